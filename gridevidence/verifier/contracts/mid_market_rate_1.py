"""The arithmetic of ``mid_market_rate/1``: shares of what a community's members pay each other and the grid, and charges.

A share is the point's part, by energy, of a sum over the community; units left over go to the largest remainders, which only
somebody with all members' rows can tell. So a share may be one unit above the floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridevidence.layout import I64, NATURAL, RULES, RUN
from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.contract import Cleared, Contract, LineKind, Point, PointLine, Slot

RETAIL_PRICE, GRID_PRICE = "residual_price_micro_per_kwh", "feed_in_price_micro_per_kwh"
COMMUNITY_KINDS: Final = (
    LineKind("community_buy", 1, None),
    LineKind("community_sell", -1, None),
    LineKind("network_traded", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", 1, "levy_micro_per_kwh"),
)
CHARGES: Final = COMMUNITY_KINDS[2:]


def _check_community_run(run: Mapping[str, Any]) -> None:
    inside_wh = min(run["totals_wh"]["deficit_wh"], run["totals_wh"]["surplus_wh"])
    same("the run's volume", run["volume_wh"], inside_wh)
    hold("price_micro_per_kwh" not in run, "a run of this contract has no one price")


def _charges(point: Point, slot: Slot) -> list[PointLine]:
    energies_wh = (point.bought_wh, point.import_wh - point.bought_wh, point.import_wh)
    return [slot.priced_line(kind, energy_wh) for kind, energy_wh in zip(CHARGES, energies_wh, strict=True)]


def _sums(point: Point, slot: Slot) -> tuple[int, int, int]:
    """Of the point's side: its energy, the energy of all, and the money of all in nano."""
    totals, volume_wh = slot.run["totals_wh"], slot.run["volume_wh"]
    retail, feed_in = slot.prices[RETAIL_PRICE], slot.prices[GRID_PRICE]
    transfer_nano = volume_wh * (retail + feed_in) // 2
    net_wh = point.export_wh - point.import_wh
    if net_wh < 0:
        return -net_wh, totals["deficit_wh"], transfer_nano + (totals["deficit_wh"] - volume_wh) * retail
    return net_wh, totals["surplus_wh"], transfer_nano + (totals["surplus_wh"] - volume_wh) * feed_in


def share_in_community(point: Point, slot: Slot) -> list[PointLine]:
    """A line of each of COMMUNITY_KINDS, in their order: the share is what the point pays less its charges."""
    charges, net_wh = _charges(point, slot), point.export_wh - point.import_wh
    if point.pays_nano is None:
        energy_wh, all_wh, all_nano = _sums(point, slot)
        shared_nano = all_nano * energy_wh // max(all_wh, 1) * (1 if net_wh < 0 else -1)
    else:
        shared_nano = point.pays_nano - sum(charge.amount_nano for charge in charges)
    buys = PointLine(max(-net_wh, 0), None, shared_nano if net_wh < 0 else 0)
    sells = PointLine(max(net_wh, 0), None, shared_nano if net_wh > 0 else 0)
    return [buys, sells, *charges]


def _hold_share(what: str, part: int, total: int, energy_wh: int, all_wh: int) -> None:
    """Hold that ``part`` is the share of ``energy_wh`` of ``all_wh`` in ``total``, one unit more where it does not divide."""
    floor, rest = divmod(total * energy_wh, max(all_wh, 1))
    hold(energy_wh <= all_wh and floor <= part <= floor + (rest > 0), f"{what} is no share of the community's")


def _check_share(point: Point, slot: Slot) -> None:
    energy_wh, all_wh, all_nano = _sums(point, slot)
    is_buyer, volume_wh = point.export_wh < point.import_wh, slot.run["volume_wh"]
    traded_wh, other_wh = (point.bought_wh, point.sold_wh) if is_buyer else (point.sold_wh, point.bought_wh)
    same("the energy traded on the other side", other_wh, 0)
    _hold_share("the traded energy", traded_wh, volume_wh, energy_wh, all_wh)
    buys, sells, *charges = share_in_community(point, slot)
    _hold_share("the amount", buys.amount_nano - sells.amount_nano, all_nano, energy_wh, all_wh)
    due_nano = buys.amount_nano + sells.amount_nano + sum(charge.amount_nano for charge in charges)
    same("what the point pays", point.pays_nano, due_nano)


def _alone_in_community(point: Point, slot: Slot) -> int:
    import_price = sum(
        slot.prices[key] for key in (RETAIL_PRICE, "network_residual_micro_per_kwh", "levy_micro_per_kwh")
    )
    return point.import_wh * import_price - point.export_wh * slot.prices[GRID_PRICE]


def _clear_nothing(orders: Sequence[tuple[int, ...]], _rules: Mapping[str, Any]) -> Cleared:
    return Cleared(0, None, [0] * len(orders))


MID_MARKET_RATE_1: Final = Contract(
    contract_id="mid_market_rate/1",
    rules={
        **RULES,
        "prices": {RETAIL_PRICE: I64, GRID_PRICE: I64, **{str(charge.price): I64 for charge in CHARGES}},
    },
    run={**RUN, "totals_wh": {"deficit_wh": NATURAL, "surplus_wh": NATURAL}},
    line_kinds=COMMUNITY_KINDS,
    check_run=_check_community_run,
    lines_of_point=share_in_community,
    check_point=_check_share,
    alone_of_point=_alone_in_community,
    rationings=(),
    clear=_clear_nothing,
    not_checked=(
        "that the community's surplus and deficit are the sums of its members' energies, and who got a unit that was left over",
    ),
)
