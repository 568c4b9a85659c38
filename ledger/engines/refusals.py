"""How much of the chain refused transactions may take: a refusal beyond its signer's share is answered, and has no place in a block.

A receipt of a refusal is worth having, a hundred thousand of them are a way to fill everybody's disk. Accepted transactions never
count, so no share that is used up keeps out what the ledger would accept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

WINDOW_S: Final = 3_600
"""Shares are whole again after so long."""
REFUSED_BYTES_OF_SIGNER_MAX: Final = 64 * 1024
"""Of one signer; its first refusal always has a place, whatever its size."""
REFUSED_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of all signers together, and what the block has in which this is reached."""


class RefusalShares:
    """Wire bytes of refused transactions that blocks have taken in this window, by signer. Used by one thread."""

    def __init__(self, of_signer: int, of_all: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``of_signer``, ``of_all``: bytes in a window."""
        self._of_signer = of_signer
        self._of_all = of_all
        self._monotonic = monotonic
        self._ends_s = monotonic() + WINDOW_S
        self._taken: Counter[str] = Counter()
        self._total = 0

    def fit(self, sizes: Mapping[str, Sequence[int]]) -> bool:
        """Whether each signer's transactions (sizes by signer) would have a place if they were refused."""
        self._begin_window()
        return self._total < self._of_all and all(self._fits(signer, *of_one) for signer, of_one in sizes.items())

    def take(self, signer: str, size: int) -> bool:
        """Use up room for one refusal of ``size`` bytes; False, and nothing is used, where there is none."""
        self._begin_window()
        if self._total >= self._of_all or not self._fits(signer, size):
            return False
        self._taken[signer] += size
        self._total += size
        return True

    def _fits(self, signer: str, *sizes: int) -> bool:
        is_first = len(sizes) == 1 and signer not in self._taken
        return is_first or self._taken[signer] + sum(sizes) <= self._of_signer

    def _begin_window(self) -> None:
        if self._monotonic() >= self._ends_s:
            self._ends_s = self._monotonic() + WINDOW_S
            self._taken.clear()
            self._total = 0
