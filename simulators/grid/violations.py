"""What in a feeder was beyond its limits, slot by slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.grid.power_flow import Flow
from simulators.scenarios.schema import Grid

PER_MILLE = 1000
TRANSFORMER: Final = "transformer"
_LOADING_MAX: Final = np.iinfo(np.uint16).max
"""65 times what is rated: a flow that has a solution does not come near."""


class Violation(NamedTuple):
    """One thing beyond its limit in one slot. ``element``: a meter, a line or the transformer; values in per mille of what is rated."""

    slot_start_s: int
    area: str
    kind: str  # voltage_low | voltage_high | line_loading | transformer_loading
    element: str
    value_per_mille: int
    limit_per_mille: int


def loadings_of(flow: Flow) -> NDArray[np.uint16]:
    """[slots, lines and the transformer behind them] in per mille of what each carries at most."""
    loading = np.concatenate([flow.line_loading, flow.transformer_loading[:, None]], axis=1)
    per_mille: NDArray[np.uint16] = np.minimum(np.rint(loading * PER_MILLE), _LOADING_MAX).astype(np.uint16)
    return per_mille


def violations_of(
    grid: Grid,
    area: str,
    slot_start_s: NDArray[np.int64],
    meters: Sequence[str],
    voltage_pu: NDArray[np.float32],
    flow: Flow,
    lines: Sequence[str],
) -> tuple[Violation, ...]:
    """Voltages at ``meters`` [slots, meters] outside the band, and what is loaded above its limit; by slot, kind and element."""
    loading = grid.loading_percent_max * 10
    found: list[Violation] = []
    for kind, elements, values, limit, sign in (
        ("line_loading", lines, flow.line_loading, loading, 1),
        ("transformer_loading", (TRANSFORMER,), flow.transformer_loading[:, None], loading, 1),
        ("voltage_high", meters, voltage_pu, grid.voltage_percent_max * 10, 1),
        ("voltage_low", meters, voltage_pu, grid.voltage_percent_min * 10, -1),
    ):
        shown = np.rint(values * PER_MILLE).astype(np.int64)
        for slot, column in np.argwhere(sign * shown > sign * limit).tolist():
            start_s, value = int(slot_start_s[slot]), int(shown[slot, column])
            found.append(Violation(start_s, area, kind, elements[column], value, limit))
    return tuple(sorted(found))
