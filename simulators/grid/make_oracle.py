"""Make the frozen oracle of the power flow with pandapower: the same feeder, an independent solver, a handful of slots.

Runs in the environment that ``extract_simbench.py`` describes:

    VENV/bin/python -m simulators.grid.make_oracle rural3 tests/unit/simgrid/oracle_rural3.npz

The slots are SimBench's own loads and PV units (not our diversified homes), from SimBench's float profiles rather than the int16 extract,
picked where the feeder is stressed: greatest demand, greatest feed-in, greatest reactive demand, nights and noons.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from simulators.grid.extract_simbench import GRIDS, load_simbench_net, wall_clock_rows

WALL_CLOCK_SLOTS = (0, 68, 8_000, 171 * 96 + 76, 172 * 96 + 48, 172 * 96 + 80, 300 * 96 + 30, 366 * 96 - 1)


def pick_slots(net_w: Any, q_var: Any) -> list[int]:
    """Fixed wall-clock slots, and those with the greatest demand, feed-in and reactive demand of the year."""
    extremes = (net_w.argmax(), net_w.argmin(), q_var.argmax(), np.abs(net_w).argmin())
    return sorted({*WALL_CLOCK_SLOTS, *(int(slot) for slot in extremes)})


def node_powers(net: Any, rows: Any) -> tuple[Any, Any]:
    """Consumption per slot and node in W and var: SimBench's loads less its PV units."""
    load_shapes, pv_shapes = net.profiles["load"], net.profiles["renewables"]
    p_w = np.zeros((len(rows), len(net.bus)))
    q_var = np.zeros_like(p_w)
    for load in net.load.itertuples():
        p_w[:, load.bus] += load.p_mw * 1e6 * load_shapes[f"{load.profile}_pload"].to_numpy()[rows]
        q_var[:, load.bus] += load.q_mvar * 1e6 * load_shapes[f"{load.profile}_qload"].to_numpy()[rows]
    for unit in net.sgen.itertuples():
        p_w[:, unit.bus] -= unit.p_mw * 1e6 * pv_shapes[unit.profile].to_numpy()[rows]
    return p_w, q_var


def main(arguments: Sequence[str]) -> int:
    """Write the oracle of a grid to a path; 2 on bad usage."""
    if len(arguments) != 2 or arguments[0] not in GRIDS:
        sys.stderr.write(f"usage: python -m simulators.grid.make_oracle {'|'.join(GRIDS)} OUTPUT.npz\n")
        return 2
    pandapower = importlib.import_module("pandapower")
    net = load_simbench_net(arguments[0])
    rows = wall_clock_rows(list(net.profiles["load"]["time"]))
    p_w, q_var = node_powers(net, rows)
    slots = pick_slots(p_w.sum(axis=1), q_var.sum(axis=1))
    u_pu, loss_w, upper_w, line_loading = [], [], [], []
    net.sgen["in_service"] = False
    net.storage["in_service"] = False
    net.load["in_service"] = False
    loads = [pandapower.create_load(net, bus, 0.0, 0.0) for bus in net.bus.index]
    for slot in slots:
        net.load.loc[loads, "p_mw"] = p_w[slot] / 1e6
        net.load.loc[loads, "q_mvar"] = q_var[slot] / 1e6
        pandapower.runpp(net, tolerance_mva=1e-10)
        u_pu.append(net.res_bus.vm_pu.to_numpy())
        upper_w.append(net.res_ext_grid.p_mw.iloc[0] * 1e6)
        line_loading.append(net.res_line.loading_percent.to_numpy() / 100)
        loss_w.append((net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum()) * 1e6)
    np.savez_compressed(
        Path(arguments[1]),
        allow_pickle=False,
        wall_clock_slot=np.array(slots, dtype=np.int64),
        p_w=p_w[slots],
        q_var=q_var[slots],
        u_pu=np.array(u_pu),
        upper_w=np.array(upper_w),
        loss_w=np.array(loss_w),
        line_loading=np.array(line_loading),
        versions=np.array([f"pandapower {version('pandapower')}", f"simbench {version('simbench')}"]),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
