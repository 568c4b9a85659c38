"""Which readings a demonstration loses on purpose: a pure function of the seed, so that every run loses the same."""

from __future__ import annotations

from dataclasses import dataclass

from gridcore.sm3 import sm3

PPM = 1_000_000


@dataclass(frozen=True)
class Dropped:
    """Readings that never come. ppm: how many of a million; seed: of the world."""

    seed: int
    ppm: int = 0

    def is_dropped(self, boundary_s: int, meter: str) -> bool:
        """Whether a meter says nothing at a boundary (UTC seconds)."""
        if not self.ppm:
            return False
        drawn = sm3(f"dropped/{self.seed}/{boundary_s}/{meter}".encode())
        return int.from_bytes(drawn[:8], "big") % PPM < self.ppm
