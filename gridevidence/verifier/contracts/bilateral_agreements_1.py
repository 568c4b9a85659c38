"""The arithmetic of ``bilateral_agreements/1``: what was agreed between two points first, the rest with supplier and offtaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gridevidence.layout import PRIMARY_WH_MAX
from gridevidence.verifier.answers import hold
from gridevidence.verifier.contract import Agreed, Contract, LineKind, PointLine, Settled, priced_line

AGREED_KINDS: Final = (
    LineKind("agreement_buy", "clearing", 1, ""),
    LineKind("agreement_sell", "clearing", 1, ""),
    LineKind("agreement_difference", "clearing", 1, ""),
)
BESIDE_KINDS: Final = (
    LineKind("residual_import", "supplier", 1, "residual_price_micro_per_kwh"),
    LineKind("residual_export", "offtaker", -1, "feed_in_price_micro_per_kwh"),
    LineKind("network_traded", "network", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", "network", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", "levy", 1, "levy_micro_per_kwh"),
)
DIFFERENCE_NANO_MAX: Final = 5 * 10**17  # one beyond it comes to nothing


class Within(NamedTuple):
    """What one agreement may have come to, as far as the point alone tells: least to most Wh, at a price per Wh."""

    least_wh: int
    most_wh: int
    nano_per_wh: int


def lines_of_partner(of: Settled) -> list[PointLine]:
    """A line of each kind, in their order."""
    kept = of.columns
    agreed = zip(
        AGREED_KINDS,
        (kept["bought_wh"], kept["sold_wh"], kept["difference_wh"]),
        (kept["bought_nano"], -kept["sold_nano"], kept["difference_nano"]),
        strict=True,
    )
    rest_wh = of.import_wh - kept["bought_wh"]
    beside_wh = (rest_wh, of.export_wh - kept["sold_wh"], kept["bought_wh"], rest_wh, of.import_wh)
    lines = [PointLine(kind, energy_wh, None, amount_nano) for kind, energy_wh, amount_nano in agreed]
    return lines + [priced_line(kind, energy_wh, of) for kind, energy_wh in zip(BESIDE_KINDS, beside_wh, strict=True)]


def agreed_wh(agreed: Agreed, of: Settled) -> int:
    """What was agreed for the slot; for a share of what somebody else exports no more than any point may."""
    if agreed.quantity_wh is not None:
        return agreed.quantity_wh
    return of.export_wh * (agreed.share_ppm or 0) // 10**6 if agreed.is_seller else PRIMARY_WH_MAX


def _traded(of: Settled, *, is_seller: bool) -> Iterator[Within]:
    """The energy agreements of one side: at most what was agreed, and what the point metered."""
    metered_wh = of.export_wh if is_seller else of.import_wh
    for agreed in of.agreements:
        if agreed.is_seller == is_seller and not agreed.is_difference:
            yield Within(0, min(agreed_wh(agreed, of), metered_wh), agreed.price)


def differences(of: Settled) -> Iterator[Within]:
    """The differences: what was agreed, exactly, unless it is a share of what the other side exports."""
    for agreed in of.agreements:
        if agreed.is_difference:
            most_wh, nano_per_wh = agreed_wh(agreed, of), -agreed.price if agreed.is_seller else agreed.price
            is_exact = agreed.quantity_wh is not None or agreed.is_seller
            if not is_exact or abs(most_wh * nano_per_wh) <= DIFFERENCE_NANO_MAX:
                yield Within(most_wh if is_exact else 0, most_wh, nano_per_wh)


def hold_within(what: str, parts: Sequence[Within], energy_wh: int, amount_nano: int) -> None:
    """Hold that the parts can come to this energy and, with it, to this amount."""
    least_wh, most_wh = sum(part.least_wh for part in parts), sum(part.most_wh for part in parts)
    hold(least_wh <= energy_wh <= most_wh, f"the energy {what} is not what the agreements say")
    by_price = sorted(parts, key=lambda part: part.nano_per_wh)
    lowest, highest = (_amount(order, energy_wh - least_wh) for order in (by_price, by_price[::-1]))
    hold(lowest <= amount_nano <= highest, f"the amount {what} is not what the agreements say")


def _amount(parts: Sequence[Within], left_wh: int) -> int:
    """The amount where the first parts take all of what is left beyond the least of each."""
    nano = sum(part.least_wh * part.nano_per_wh for part in parts)
    for part in parts:
        taken_wh = min(left_wh, part.most_wh - part.least_wh)
        nano, left_wh = nano + taken_wh * part.nano_per_wh, left_wh - taken_wh
    return nano


def _check_partner(of: Settled) -> None:
    """What the point bought, sold and owes of differences, as far as its own energy and its agreements tell."""
    kept = of.columns
    hold(0 <= kept["bought_wh"] <= of.import_wh, "the point bought more by agreement than it imports")
    hold(0 <= kept["sold_wh"] <= of.export_wh, "the point sold more by agreement than it exports")
    hold_within("bought", list(_traded(of, is_seller=False)), kept["bought_wh"], kept["bought_nano"])
    hold_within("sold", list(_traded(of, is_seller=True)), kept["sold_wh"], kept["sold_nano"])
    hold_within("of differences", list(differences(of)), kept["difference_wh"], kept["difference_nano"])


BILATERAL_AGREEMENTS_1: Final = Contract(
    contract_id="bilateral_agreements/1",
    position_columns=(
        "bought_wh", "sold_wh", "bought_nano", "sold_nano", "difference_wh", "difference_nano", "pays_nano",
        "supplier_only_nano",
    ),
    area_columns=(),
    line_kinds=(*AGREED_KINDS, *BESIDE_KINDS),
    price_keys=tuple(beside.price for beside in BESIDE_KINDS),
    terms={},
    takes_prices=lambda _: True,
    lines_of_point=lines_of_partner,
    check_point=_check_partner,
    clear=None,
    not_checked=(
        "what the other sides of the point's agreements metered, which bounds their energy, and that no other agreement of the point holds",
    ),
    takes_agreements=True,
)  # fmt: skip
