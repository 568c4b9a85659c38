"""What agreements may have come to for one side of them: docs/spec/contracts.md, "bilateral_agreements/1"."""

from collections.abc import Iterable
from dataclasses import dataclass

_DIFFERENCE_NANO_MAX = 5 * 10**17
_SLOT_WH_MAX = 10**9


@dataclass(frozen=True)
class Agreed:
    """One agreement of the point in the slot; `price` of a difference is strike less reference."""

    sells: bool
    is_difference: bool
    price: int
    quantity_wh: int | None
    share_ppm: int | None

    def most_wh(self, export_wh: int) -> int:
        if self.quantity_wh is not None:
            return self.quantity_wh
        return export_wh * (self.share_ppm or 0) // 10**6 if self.sells else _SLOT_WH_MAX

    @property
    def is_exact(self) -> bool:
        return self.quantity_wh is not None or self.sells


@dataclass(frozen=True)
class _Part:
    least: int
    most: int
    price: int


def may_trade(agreed: Iterable[Agreed], metered_wh: int, export_wh: int, wh: int, nano: int) -> bool:
    """Whether the energy agreements of one side can come to `wh` and `nano`."""
    return _reaches([_Part(0, min(one.most_wh(export_wh), metered_wh), one.price) for one in agreed], wh, nano)


def may_differ(agreed: Iterable[Agreed], export_wh: int, wh: int, nano: int) -> bool:
    """The same of differences."""
    parts = []
    for one in agreed:
        most, price = one.most_wh(export_wh), -one.price if one.sells else one.price
        if one.is_exact and abs(most * price) > _DIFFERENCE_NANO_MAX:
            continue
        parts.append(_Part(most if one.is_exact else 0, most, price))
    return _reaches(parts, wh, nano)


_SCHEDULE_WH_MAX = 125_000_000


def may_schedule(agreed: Iterable[Agreed], export_wh: int, wh: int, nano: int) -> bool:
    """Whether the schedules of one side come to `wh` and `nano`: each in full, a bought share of an unknown export anything it may be."""
    parts = []
    for one in agreed:
        most = one.most_wh(export_wh)
        if not one.is_exact:
            parts.append(_Part(0, _SCHEDULE_WH_MAX, one.price))
        elif most <= _SCHEDULE_WH_MAX:
            parts.append(_Part(most, most, one.price))
    return _reaches(parts, wh, nano)


def _reaches(parts: list[_Part], wh: int, nano: int) -> bool:
    spare = wh - sum(part.least for part in parts)
    if not 0 <= spare <= sum(part.most - part.least for part in parts):
        return False
    fixed = sum(part.least * part.price for part in parts)
    # the cheapest Wh first, and the dearest first: every amount lies between
    units = sorted((part.price, part.most - part.least) for part in parts)
    bounds = []
    for order in (units, list(reversed(units))):
        left, total = spare, fixed
        for price, room in order:
            taken = min(left, room)
            left, total = left - taken, total + taken * price
        bounds.append(total)
    return bounds[0] <= nano <= bounds[1]
