"""power_flow: the feeder of 129 nodes and 153 loads (SimBench rural3), a day and a year of quarter hours: voltages, losses and loadings.

The loads are those of SimBench's own year, so that every step is another one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gridledger.bench import Benchmark, Measurement, best_seconds

DAY_SLOTS = 96
YEAR_SLOTS = 365 * DAY_SLOTS


def feeder(slots: int) -> Measurement:
    """Power flow of so many slots, from loads at nodes to results; the model is built before."""
    from simulators.grid.feeder import load_feeder
    from simulators.grid.power_flow import FeederModel

    grid = load_feeder()
    model, node_of = FeederModel(grid), np.zeros((grid.loads, grid.nodes))
    node_of[np.arange(grid.loads), grid.load_node] = 1.0
    when = np.arange(slots)[:, np.newaxis]

    def at_nodes(
        shapes: NDArray[np.int16], scale: NDArray[np.float64], rated: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        loads: NDArray[np.float64] = shapes[grid.load_profile, when] * (scale[grid.load_profile] * rated)
        return loads @ node_of

    p_w = at_nodes(grid.load_p_shapes, grid.load_p_scale, grid.load_p_w)
    q_var = at_nodes(grid.load_q_shapes, grid.load_q_scale, grid.load_q_var)
    return Measurement(slots, best_seconds(lambda: model.solve(p_w, q_var), 3))


BENCHMARKS: dict[str, Benchmark] = {
    "power_flow/day": lambda: feeder(DAY_SLOTS),
    "power_flow/year": lambda: feeder(YEAR_SLOTS),
}
