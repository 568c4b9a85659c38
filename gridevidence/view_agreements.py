"""The agreements of a bundle's point, as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gridevidence.verifier.contract import Agreed
from gridevidence.verifier.records import Opened


@dataclass(frozen=True)
class AgreementView:
    """An agreement in the slot. price_micro_per_kwh: of a difference strike less reference; one of quantity_wh and share_ppm is None."""

    name: str
    is_seller: bool
    is_difference: bool
    price_micro_per_kwh: int
    quantity_wh: int | None
    share_ppm: int | None


def read_agreements(opened: Sequence[Opened], agreed: Sequence[Agreed]) -> tuple[AgreementView, ...]:
    """Of each opened entry, beside what it says of the slot."""
    return tuple(
        AgreementView(one.entity.name, said.is_seller, said.is_difference, said.price, said.quantity_wh, said.share_ppm)
        for one, said in zip(opened, agreed, strict=True)
    )
