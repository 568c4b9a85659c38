"""Stretches of a run in which something is so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def spans(is_on: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The stretches of bool[n] that are true: the first place of each, and the one behind its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_on, [False]]).astype(np.int8)))
    yield from ((int(first), int(end)) for first, end in edges.reshape(-1, 2))
