"""Make ``data/semiurb4.npz``, ``urban6.npz`` and ``rural3.npz``: the small extracts of SimBench's low-voltage grids that the grid simulator ships.

Runs outside the project's environment, because pandapower needs an older pandas:

    uv venv VENV && uv pip install --python VENV/bin/python simbench==1.6.3 pandapower==3.5.6
    VENV/bin/python -m simulators.grid.extract_simbench rural3 simulators/grid/data/rural3.npz

The data is SimBench's (Open Database License 1.0, see ``data/LICENSE-ODbL.md``); this script is ours. What it changes:
only the columns that this grid uses are kept; shapes become int16 with one scale per column (a step is at most 1/32767 of the
column's peak); the German summer-time labels become a regular wall clock of 366 days x 96 quarter hours (the missing hour of
27 March repeats the hour before, the second of the doubled hours of 30 October is left out).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

GRIDS = ("semiurb4", "urban6", "rural3")
DAYS = 366
SLOTS_PER_DAY = 96


def load_simbench_net(grid: str) -> Any:
    """The pandapower net of the grid ``1-LV-<grid>--2-sw``, with the tap changer made effective (pandapower 3 ignores it otherwise)."""
    simbench = importlib.import_module("simbench")
    net = simbench.get_simbench_net(f"1-LV-{grid}--2-sw")
    net.trafo["tap_changer_type"] = "Ratio"
    return net


def wall_clock_rows(labels: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """For each of 366 x 96 wall-clock slots the row of the SimBench tables (labels ``dd.mm.2016 HH:MM``) that it shows."""
    row_of = np.full(DAYS * SLOTS_PER_DAY, -1, dtype=np.int64)
    first = np.datetime64("2016-01-01T00:00")
    for row, label in enumerate(labels):
        moment = np.datetime64(f"{label[6:10]}-{label[3:5]}-{label[0:2]}T{label[11:16]}")
        at = int((moment - first) / np.timedelta64(15, "m"))
        if row_of[at] < 0:
            row_of[at] = row
    for slot in np.flatnonzero(row_of < 0):
        row_of[slot] = row_of[slot - 4]
    return row_of


def pack(columns: list[Any]) -> tuple[np.ndarray[Any, np.dtype[np.int16]], np.ndarray[Any, np.dtype[np.float64]]]:
    """Columns as int16 rows, and the factor that turns each row back into its shape."""
    values = np.array(columns, dtype=np.float64)
    scale = np.maximum(np.abs(values).max(axis=1), 1e-9) / 32767
    return np.rint(values / scale[:, None]).astype(np.int16), scale


def extract(net: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of the extract by name; units in the names, shapes in ``simulators/grid/feeder.py``."""
    rows = wall_clock_rows(list(net.profiles["load"]["time"]))
    loads, units, trafo = net.load, net.sgen, net.trafo.iloc[0]
    load_profiles = sorted(set(loads.profile))
    pv_profiles = sorted(set(units.profile))
    p_shapes = pack([net.profiles["load"][f"{name}_pload"].to_numpy()[rows] for name in load_profiles])
    q_shapes = pack([net.profiles["load"][f"{name}_qload"].to_numpy()[rows] for name in load_profiles])
    pv_shapes = pack([net.profiles["renewables"][name].to_numpy()[rows] for name in pv_profiles])
    return {
        "node_u_rated_v": net.bus.vn_kv.to_numpy() * 1e3,
        "line_from": net.line.from_bus.to_numpy(np.int32),
        "line_to": net.line.to_bus.to_numpy(np.int32),
        "line_r_ohm": (net.line.r_ohm_per_km * net.line.length_km).to_numpy(),
        "line_x_ohm": (net.line.x_ohm_per_km * net.line.length_km).to_numpy(),
        "line_c_f": (net.line.c_nf_per_km * net.line.length_km).to_numpy() * 1e-9,
        "line_i_max_a": net.line.max_i_ka.to_numpy() * 1e3,
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
        "load_node": loads.bus.to_numpy(np.int32),
        "load_profile": np.array([load_profiles.index(name) for name in loads.profile], dtype=np.int32),
        "load_p_w": loads.p_mw.to_numpy() * 1e6,
        "load_q_var": loads.q_mvar.to_numpy() * 1e6,
        "pv_node": units.bus.to_numpy(np.int32),
        "pv_profile": np.array([pv_profiles.index(name) for name in units.profile], dtype=np.int32),
        "pv_p_w": units.p_mw.to_numpy() * 1e6,
        "load_profile_names": np.array(load_profiles),
        "pv_profile_names": np.array(pv_profiles),
        "load_p_shapes": p_shapes[0],
        "load_p_scale": p_shapes[1],
        "load_q_shapes": q_shapes[0],
        "load_q_scale": q_shapes[1],
        "pv_shapes": pv_shapes[0],
        "pv_scale": pv_shapes[1],
    }


def main(arguments: Sequence[str]) -> int:
    """Write the extract of a grid to a path; 2 on bad usage."""
    if len(arguments) != 2 or arguments[0] not in GRIDS:
        sys.stderr.write(f"usage: python -m simulators.grid.extract_simbench {'|'.join(GRIDS)} OUTPUT.npz\n")
        return 2
    np.savez_compressed(Path(arguments[1]), allow_pickle=False, **extract(load_simbench_net(arguments[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
