"""A green claim, Wh by Wh (docs/spec/mechanisms.md, green_claim/1)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def covered(generation_wh: Sequence[int], load_wh: Sequence[int], *, any_slot: bool) -> Fraction:
    """The share of the load that gets a Wh of generation: of its own slot, or of any."""
    left = list(generation_wh)
    found = 0
    for slot, wanted in enumerate(load_wh):
        for _ in range(wanted):
            giver = next((at for at, rest in enumerate(left) if rest and (any_slot or at == slot)), None)
            if giver is not None:
                left[giver] -= 1
                found += 1
    return Fraction(found, sum(load_wh))
