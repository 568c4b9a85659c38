"""The slow twin of ``sharing_keys/1``: production is given by keys (docs/spec/contracts.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.twin.contracts import (
    COMMON_PRICES,
    Line,
    Member,
    MidMarketRate,
    Settled,
    are_prices,
    named,
    received_by,
    split,
    supplier_only,
)


class SharingKeys:
    """``sharing_keys/1``: production is given by keys; who is given energy pays who exports it."""

    takes_orders = False
    takes_agreements = False
    ranks_by_arrival = False
    accounts = ("clearing", "levy", "network", "offtaker", "supplier")
    position_columns = ("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano")
    area_columns = ("production_wh", "consumption_wh", "shared_wh", "keys_ppm")
    summed = MidMarketRate.summed
    exposure = MidMarketRate.exposure
    clear = MidMarketRate.clear

    @classmethod
    def takes(cls, rules: Mapping[str, Any]) -> bool:
        """Whether rules have its five prices, a method, a price of what is shared, and perhaps whether the rest is settled."""
        terms = {"settle_residual": True} | rules["terms"]
        if set(terms) != {"method", "settle_residual", "trade_price_micro_per_kwh"}:
            return False
        price, is_method = terms["trade_price_micro_per_kwh"], terms["method"] in ALLOCATIONS
        is_told = is_method and type(terms["settle_residual"]) is bool and type(price) is int and abs(price) <= 10**9
        return is_told and set(named(rules["prices"])) == COMMON_PRICES and are_prices(rules["prices"])

    @classmethod
    def settle(
        cls, members: Sequence[Member], trade_price: int, prices: Mapping[str, int], terms: Mapping[str, Any]
    ) -> Settled:
        """The whole area at once."""
        production, wanted = sum(m.export_wh for m in members), [m.import_wh for m in members]
        keys = [max(member.share_ppm, 0) for member in members]
        bought = ALLOCATIONS[terms["method"]](production, wanted, keys, [m.priority for m in members])
        sold = split(sum(bought), [member.export_wh for member in members])
        positions, lines, price = [], [], terms["trade_price_micro_per_kwh"]
        for i, metered in enumerate(members):
            p, member = named(metered.prices or prices), metered
            if not terms.get("settle_residual", True):
                member = metered._replace(import_wh=bought[i], export_wh=sold[i])
            rest = member.import_wh - bought[i]
            bill = [
                Line(bought[i] * price, "clearing"),
                Line(-sold[i] * price, "clearing"),
                Line(rest * p["residual_price"], "supplier"),
                Line(-(member.export_wh - sold[i]) * p["feed_in_price"], "offtaker"),
                Line(bought[i] * p["network_traded"] + rest * p["network_residual"], "network"),
                Line(member.import_wh * p["levy"], "levy"),
            ]
            pays = sum(line.amount_nano for line in bill)
            positions.append((bought[i], sold[i], pays, supplier_only(member, p)))
            lines += bill
        area = (production, sum(wanted), sum(bought), sum(keys))
        return Settled(positions, area, received_by(cls.accounts, lines))


def give_by_keys(production: int, wanted: Sequence[int], keys: Sequence[int], turns: Sequence[int]) -> list[int]:
    """A share of what the keys share, and no more than is wanted."""
    return list(map(min, wanted, split(production * min(sum(keys), 10**6) // 10**6, keys)))


def give_again(production: int, wanted: Sequence[int], keys: Sequence[int], turns: Sequence[int]) -> list[int]:
    """The same, and again what is left to those still short, until nothing is or nobody with a key is."""
    left, given = production * min(sum(keys), 10**6) // 10**6, [0 for _ in wanted]
    while left and any(key and given[i] < wanted[i] for i, key in enumerate(keys)):
        shares = split(left, [key if given[i] < wanted[i] else 0 for i, key in enumerate(keys)])
        more = [min(share, wanted[i] - given[i]) for i, share in enumerate(shares)]
        left, given = left - sum(more), [before + added for before, added in zip(given, more, strict=True)]
    return given


def give_to_all(production: int, wanted: Sequence[int], keys: Sequence[int], turns: Sequence[int]) -> list[int]:
    """All that is wanted, or as much of it as there is, in proportion."""
    return split(min(production, sum(wanted)), wanted)


def give_in_turn(production: int, wanted: Sequence[int], keys: Sequence[int], turns: Sequence[int]) -> list[int]:
    """The lowest number first, those without one last; of one number in proportion."""
    given, last = [0 for _ in wanted], max(turns, default=0) + 1
    own = [last if turn < 0 else turn for turn in turns]
    for turn in sorted(set(own)):
        asked = [wh if own[i] == turn else 0 for i, wh in enumerate(wanted)]
        for i, wh in enumerate(give_to_all(production - sum(given), asked, keys, turns)):
            given[i] += wh
    return given


ALLOCATIONS: Mapping[str, Callable[[int, Sequence[int], Sequence[int], Sequence[int]], list[int]]] = {
    "static": give_by_keys,
    "static_reallocated": give_again,
    "dynamic": give_to_all,
    "priority": give_in_turn,
}
