"""Make ``data/european_lv.npz``: the IEEE European Low Voltage Test Feeder as pandapower ships it, 907 nodes and 55 homes on one phase each.

Runs in the environment that ``extract_simbench.py`` describes:

    VENV/bin/python -m simulators.grid.extract_european_lv simulators/grid/data/european_lv.npz

Licence: ``data/LICENSE-european_lv.md``. Loads are kept as places (node and phase) alone: which homes they are, a scenario says.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

SNAPSHOTS = ("on_peak_566", "off_peak_1", "off_peak_1440")
PHASES = ("a", "b", "c")


def load_net(snapshot: str) -> Any:
    """The pandapower net of a minute of the test feeder's day, below a source without impedance of its own.

    The transformer's winding in delta closes its zero sequence: a branch for magnetising, as large as the leakage in the file, is left out.
    """
    net = importlib.import_module("pandapower.networks").ieee_european_lv_asymmetric(snapshot)
    net.ext_grid["s_sc_max_mva"] = 1e12
    net.trafo["mag0_percent"] = 1e12
    return net


def phase_of_each_load() -> np.ndarray[Any, np.dtype[np.int32]]:
    """[loads] 0, 1 or 2: where a load takes something in one of the minutes."""
    taken = sum(
        np.abs(load_net(snapshot).asymmetric_load[[f"p_{phase}_mw" for phase in PHASES]].to_numpy(np.float64))
        for snapshot in SNAPSHOTS
    )
    if not ((taken > 0).sum(axis=1) == 1).all():
        raise SystemExit("a load has no phase, or several; look at the network")
    phase: np.ndarray[Any, np.dtype[np.int32]] = np.argmax(taken, axis=1).astype(np.int32)
    return phase


def extract(net: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of the extract by name; units in the names, shapes in ``simulators/grid/feeder.py``."""
    line, trafo = net.line, net.trafo.iloc[0]
    length_km = line.length_km.to_numpy(np.float64)
    return {
        "node_u_rated_v": net.bus.vn_kv.to_numpy(np.float64) * 1e3,
        "line_from": line.from_bus.to_numpy(np.int32),
        "line_to": line.to_bus.to_numpy(np.int32),
        "line_r_ohm": line.r_ohm_per_km.to_numpy(np.float64) * length_km,
        "line_x_ohm": line.x_ohm_per_km.to_numpy(np.float64) * length_km,
        "line_r0_ohm": line.r0_ohm_per_km.to_numpy(np.float64) * length_km,
        "line_x0_ohm": line.x0_ohm_per_km.to_numpy(np.float64) * length_km,
        "line_i_max_a": line.max_i_ka.to_numpy(np.float64) * 1e3,
        "source_u_pu": np.array(net.ext_grid.vm_pu.iloc[0]),
        "transformer_nodes": np.array([trafo.hv_bus, trafo.lv_bus], dtype=np.int32),
        "transformer_u_v": np.array([trafo.vn_hv_kv, trafo.vn_lv_kv]) * 1e3,
        "transformer_sn_va": np.array(trafo.sn_mva * 1e6),
        "transformer_uk": np.array(trafo.vk_percent / 100),
        "transformer_pk_w": np.array(trafo.vkr_percent / 100 * trafo.sn_mva * 1e6),
        "transformer_i0": np.array(trafo.i0_percent / 100),
        "transformer_p0_w": np.array(trafo.pfe_kw * 1e3),
        "transformer_clock": np.array(round(trafo.shift_degree / 30), dtype=np.int32),
        "transformer_tap": np.array([trafo.tap_pos, trafo.tap_min, trafo.tap_max, trafo.tap_neutral], dtype=np.int32),
        "transformer_tap_v": np.array(trafo.tap_step_percent / 100 * trafo.vn_hv_kv * 1e3),
        "load_node": net.asymmetric_load.bus.to_numpy(np.int32),
        "load_phase": phase_of_each_load(),
    }


def main(arguments: Sequence[str]) -> int:
    """Write the extract to the one path given; 2 on bad usage."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m simulators.grid.extract_european_lv OUTPUT.npz\n")
        return 2
    np.savez_compressed(Path(arguments[0]), allow_pickle=False, **extract(load_net(SNAPSHOTS[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
