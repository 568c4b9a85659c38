"""Make the frozen oracle of the three-phase power flow with pandapower: the IEEE European Low Voltage Test Feeder, four cases.

Runs in the environment that ``extract_simbench.py`` describes:

    VENV/bin/python -m simulators.grid.make_european_oracle tests/unit/simgrid/oracle_european_lv.npz

The first two cases are minutes of the test feeder's own day; in the third each home takes another power, up to 5 kW; in
the fourth half of them feed in as much as 6 kW.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from simulators.grid.extract_european_lv import PHASES, SNAPSHOTS, load_net, phase_of_each_load

REACTIVE_SHARE = 0.3
TOLERANCE_MVA = 1e-10


def cases(phase: np.ndarray[Any, np.dtype[np.int32]]) -> list[tuple[Any, Any]]:
    """What each load takes on its phase in each case, W and var [loads]."""
    drawn = []
    rows = np.arange(len(phase))
    for snapshot in SNAPSHOTS[:2]:
        load = load_net(snapshot).asymmetric_load
        p_w = load[[f"p_{name}_mw" for name in PHASES]].to_numpy(np.float64)[rows, phase] * 1e6
        q_var = load[[f"q_{name}_mvar" for name in PHASES]].to_numpy(np.float64)[rows, phase] * 1e6
        drawn.append((p_w, q_var))
    spread_w = 100.0 * (rows * 7 % 50)
    mixed_w = np.where(rows % 2, -120.0 * (rows % 51), 80.0 * (rows * 3 % 40))
    return [*drawn, *((p_w, REACTIVE_SHARE * np.abs(p_w)) for p_w in (spread_w, mixed_w))]


def main(arguments: Sequence[str]) -> int:
    """Write the oracle to the one path given; 2 on bad usage."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m simulators.grid.make_european_oracle OUTPUT.npz\n")
        return 2
    pandapower = importlib.import_module("pandapower")
    net, phase = load_net(SNAPSHOTS[0]), phase_of_each_load()
    powers = cases(phase)
    u_pu, loss_w, upper_w, line_loading = [], [], [], []
    for p_w, q_var in powers:
        for number, name in enumerate(PHASES):
            net.asymmetric_load[f"p_{name}_mw"] = np.where(phase == number, p_w, 0.0) / 1e6
            net.asymmetric_load[f"q_{name}_mvar"] = np.where(phase == number, q_var, 0.0) / 1e6
        pandapower.runpp_3ph(net, tolerance_mva=TOLERANCE_MVA, max_iteration=100)
        u_pu.append(net.res_bus_3ph[[f"vm_{name}_pu" for name in PHASES]].to_numpy().ravel())
        of_source = sum(net.res_ext_grid_3ph[f"p_{name}_mw"].iloc[0] for name in PHASES) * 1e6
        upper_w.append(of_source)
        line_loading.append(net.res_line_3ph.loading_percent.to_numpy() / 100)
        loss_w.append(of_source - p_w.sum())
    np.savez_compressed(
        Path(arguments[0]),
        allow_pickle=False,
        p_w=np.array([p_w for p_w, _ in powers]),
        q_var=np.array([q_var for _, q_var in powers]),
        u_pu=np.array(u_pu),
        upper_w=np.array(upper_w),
        loss_w=np.array(loss_w),
        line_loading=np.array(line_loading),
        versions=np.array([f"pandapower {version('pandapower')}"]),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
