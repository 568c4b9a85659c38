"""The IEEE European Low Voltage Test Feeder: 907 nodes, 905 lines, an 800 kVA transformer, 55 homes of one phase each.

Wires and places are the test feeder's (``data/LICENSE-european_lv.md``). Homes read the household shapes of SimBench, in turn, for its own
55 profiles are of one day only; what they take in a year is drawn up below.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulators.grid.feeder import (
    HOUSEHOLD_PREFIX,
    Feeder,
    ZeroSequence,
    load_feeder,
    rated_w,
    rating_of,
    reactive_ratio,
    read_shipped,
)

EXTRACT_NAME: Final = "data/european_lv.npz"
ANNUAL_KWH: Final = (2_400, 3_100, 3_800, 4_600)
"""What homes take in a year, in turn."""


@lru_cache(maxsize=1)
def load_european_lv() -> Feeder:
    """The test feeder; read once per process. GridError when its file is missing or cut."""
    return read_shipped(EXTRACT_NAME, _feeder_of)


def _feeder_of(arrays: dict[str, NDArray[Any]]) -> Feeder:
    shapes = load_feeder()
    of_homes = [row for row, name in enumerate(shapes.load_profile_names) if name.startswith(HOUSEHOLD_PREFIX)]
    homes, lines = len(arrays["load_node"]), len(arrays["line_from"])
    profile = np.array([of_homes[home % len(of_homes)] for home in range(homes)], dtype=np.int32)
    power_w = np.array([rated_w(shapes, int(row), ANNUAL_KWH[home % 4]) for home, row in enumerate(profile)])
    return replace(
        shapes,
        node_u_rated_v=arrays["node_u_rated_v"],
        line_nodes=np.stack([arrays["line_from"], arrays["line_to"]]),
        line_r_ohm=arrays["line_r_ohm"],
        line_x_ohm=arrays["line_x_ohm"],
        line_c_f=np.zeros(lines),
        line_i_max_a=arrays["line_i_max_a"],
        line_names=tuple(f"line {number}" for number in range(1, lines + 1)),
        source_u_pu=float(arrays["source_u_pu"]),
        transformer=rating_of(arrays),
        load_node=arrays["load_node"],
        load_profile=profile,
        load_p_w=power_w,
        load_q_var=power_w * np.array([reactive_ratio(shapes, int(row)) for row in profile]),
        households=homes,
        phases=3,
        load_phase=arrays["load_phase"],
        zero_sequence=ZeroSequence(arrays["line_r0_ohm"], arrays["line_x0_ohm"], np.zeros(lines)),
    )
