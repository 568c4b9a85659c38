"""power_flow: voltages, losses and loadings of a day and a year of quarter hours, on the grids that ship: two of SimBench, and in three phases the
European test feeder of 907 nodes.

The loads are those of the shapes' own year, so that every step is another one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gridledger.bench import Benchmark, Measurement, best_seconds
from simulators.scenarios.schema import EUROPEAN_LV, SIMBENCH_RURAL3, SIMBENCH_URBAN6

DAY_SLOTS = 96
YEAR_SLOTS = 366 * DAY_SLOTS


def feeder(source: str, slots: int, limit_s: float) -> Measurement:
    """Power flow of so many slots, from powers at terminals to results, in limit_s at most; the model is built before."""
    from simulators.grid.power_flow import FeederModel
    from simulators.grid.world import shipped_feeder

    grid = shipped_feeder(source)
    model, terminal_of = FeederModel(grid), np.zeros((grid.loads, grid.terminals))
    terminal_of[np.arange(grid.loads), grid.load_terminal] = 1.0
    when = np.arange(slots)[:, np.newaxis]

    def at_terminals(
        shapes: NDArray[np.int16], scale: NDArray[np.float64], rated: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        loads: NDArray[np.float64] = shapes[grid.load_profile, when] * (scale[grid.load_profile] * rated)
        return loads @ terminal_of

    p_w = at_terminals(grid.load_p_shapes, grid.load_p_scale, grid.load_p_w)
    q_var = at_terminals(grid.load_q_shapes, grid.load_q_scale, grid.load_q_var)
    return Measurement(slots, best_seconds(lambda: model.solve(p_w, q_var), 3)).within(limit_s)


BENCHMARKS: dict[str, Benchmark] = {
    "power_flow/day": lambda: feeder(SIMBENCH_RURAL3, DAY_SLOTS, 0.05),
    "power_flow/year": lambda: feeder(SIMBENCH_RURAL3, YEAR_SLOTS, 10),
    "power_flow/urban6/day": lambda: feeder(SIMBENCH_URBAN6, DAY_SLOTS, 0.05),
    "power_flow/urban6/year": lambda: feeder(SIMBENCH_URBAN6, YEAR_SLOTS, 10),
    "power_flow/european_lv/day": lambda: feeder(EUROPEAN_LV, DAY_SLOTS, 1),
}
