"""``agreement/<name>``: what two parties have agreed for energy between two of their points, slot by slot.

Both parties' organisations answer for a row of it (docs/spec/registry.md, "Agreements").
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import NAME, choice, integer
from gridcore.registry.entity import Entity, Shape
from gridcore.registry.installation import PRIMARY_LIMIT_WH_MAX
from gridcore.registry.price_series import PRICE_MICRO_PER_KWH_MAX

FIXED_QUANTITY: Final = "fixed_quantity"
"""So much energy a slot."""
PAY_AS_PRODUCED: Final = "pay_as_produced"
"""A share of what the seller's point exports."""
DIFFERENCE: Final = "difference"
"""A contract for difference: strike less reference, for a quantity or a share; money alone moves."""
BASES: Final = (DIFFERENCE, FIXED_QUANTITY, PAY_AS_PRODUCED)
SHARE_PPM_MAX: Final = 1_000_000
AGREEMENTS_OF_POINT_MAX: Final = 8
"""Agreements of one point that are in force at a time: a bundle of it shows all of them."""


class Agreement(NamedTuple):
    """buyer, seller: parties; buyer_point, seller_point: theirs, of one area; these four never change.

    basis: one of ``BASES``; price_micro_per_kwh: of the energy, or the strike of a difference; exactly one of quantity_wh, of each slot, and
    share_ppm, of the seller's export. series: a price series; of a difference its reference price, else the price slot by slot, for which
    price_micro_per_kwh stands where the series says none.
    """

    buyer: str
    buyer_point: str
    basis: str
    price_micro_per_kwh: int
    seller: str
    seller_point: str
    quantity_wh: int | None = None
    series: str | None = None
    share_ppm: int | None = None


class EndedAgreement(NamedTuple):
    """An agreement that is over: parties and points as before."""

    buyer: str
    buyer_point: str
    seller: str
    seller_point: str


def _fault(agreement: Agreement) -> str:
    """What is wrong with an agreement whose fields all have their forms."""
    basis, is_share = agreement.basis, agreement.share_ppm is not None
    if agreement.buyer_point == agreement.seller_point:
        return "buyer_point is another point than seller_point"
    if is_share == (agreement.quantity_wh is not None):
        return "it has either quantity_wh or share_ppm"
    if (basis == FIXED_QUANTITY and is_share) or (basis == PAY_AS_PRODUCED and not is_share):
        return f"{basis} has {'quantity_wh' if basis == FIXED_QUANTITY else 'share_ppm'}"
    if basis == DIFFERENCE and agreement.series is None:
        return "series is missing: a difference names the price series of its reference price"
    return ""


SIDES: Final = ("buyer", "buyer_point", "seller", "seller_point")
_SIDES: Final = dict.fromkeys(SIDES, NAME)
AGREEMENT: Final[Entity[Agreement | EndedAgreement]] = Entity(
    "agreement",
    Shape(
        Agreement,
        {
            **_SIDES,
            "basis": choice(*BASES),
            "price_micro_per_kwh": integer(-PRICE_MICRO_PER_KWH_MAX, PRICE_MICRO_PER_KWH_MAX),
            "quantity_wh": integer(1, PRIMARY_LIMIT_WH_MAX),
            "series": NAME,
            "share_ppm": integer(1, SHARE_PPM_MAX),
        },
        optional=frozenset({"quantity_wh", "series", "share_ppm"}),
        rule=_fault,
    ),
    ending=("ended", Shape(EndedAgreement, _SIDES)),
)
