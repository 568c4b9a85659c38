"""How much of the chain refused transactions may take: a refusal beyond its signer's share is answered, and has no place in a block.

A receipt of a refusal is worth having, a hundred thousand of them are a way to fill everybody's disk. Accepted transactions never
count, so no share that is used up keeps out what the ledger would accept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

WINDOW_S: Final = 3_600
"""Shares are whole again after so long."""
REFUSED_BYTES_OF_SIGNER_MAX: Final = 64 * 1024
REFUSED_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of all signers together."""


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

    def fits(self, sizes: Counter[str]) -> bool:
        """Whether there would be room if all of this (bytes by signer) were refused."""
        self._begin_window()
        within = all(self._taken[signer] + size <= self._of_signer for signer, size in sizes.items())
        return within and self._total + sizes.total() <= self._of_all

    def take(self, signer: str, size: int) -> bool:
        """Use up room for one refusal of ``size`` bytes; False, and nothing is used, where there is none."""
        if not self.fits(Counter({signer: size})):
            return False
        self._taken[signer] += size
        self._total += size
        return True

    def _begin_window(self) -> None:
        if self._monotonic() >= self._ends_s:
            self._ends_s = self._monotonic() + WINDOW_S
            self._taken.clear()
            self._total = 0
