"""How much of the chain refused transactions may take: a refusal beyond its signer's share is answered, and has no place in a block.

A receipt of a refusal is worth having, a hundred thousand of them are a way to fill everybody's disk. Accepted transactions never
count, so no share that is used up keeps out what the ledger would accept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger.engines.shares import Author

WINDOW_S: Final = 3_600
"""Shares are whole again after so long."""
REFUSED_BYTES_OF_SIGNER_MAX: Final = 64 * 1024
REFUSED_BYTES_OF_ORGANISATION_MAX: Final = 1024 * 1024
REFUSED_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of all signers together."""


@dataclass(frozen=True)
class RefusalLimits:
    """Bytes in a window: of a signer, of an organisation, of all."""

    of_signer: int = REFUSED_BYTES_OF_SIGNER_MAX
    of_organisation: int = REFUSED_BYTES_OF_ORGANISATION_MAX
    of_all: int = REFUSED_BYTES_MAX


class RefusalShares:
    """Wire bytes of refused transactions that blocks have taken in this window, by author. Used by one thread; others may ask what ``fits``."""

    def __init__(self, limits: RefusalLimits, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._ends_s = monotonic() + WINDOW_S
        self._of_signer: Counter[str] = Counter()
        self._of_organisation: Counter[str] = Counter()
        self._total = 0

    def fits(self, sizes: Counter[Author]) -> bool:
        """Whether there would be room if all of this (bytes by author) were refused."""
        self._begin_window()
        limits, by_organisation = self._limits, Counter[str]()
        for author, size in sizes.items():
            by_organisation[author.organisation] += size
        return (
            all(self._of_signer[author.signer] + size <= limits.of_signer for author, size in sizes.items())
            and all(
                self._of_organisation[name] + size <= limits.of_organisation for name, size in by_organisation.items()
            )
            and self._total + sizes.total() <= limits.of_all
        )

    def take(self, author: Author, size: int) -> bool:
        """Use up room for one refusal of ``size`` bytes; False, and nothing is used, where there is none."""
        if not self.fits(Counter({author: size})):
            return False
        self._of_signer[author.signer] += size
        self._of_organisation[author.organisation] += size
        self._total += size
        return True

    def _begin_window(self) -> None:
        if self._monotonic() >= self._ends_s:
            self._ends_s = self._monotonic() + WINDOW_S
            self._of_signer.clear()
            self._of_organisation.clear()
            self._total = 0
