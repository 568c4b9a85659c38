"""One slot under each contract of the catalogue, from orders and meters to bills: plain loops over parties, whole numbers and fractions.

A party has one point here, so that what its orders got is what its meter is billed by. What a mechanism yields is said by the other modules of this
package; this one puts them together: ``REFERENCES`` has one entry a contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import floor
from typing import Any, NamedTuple

from tests.slow import bilateral_agreements, call_auction, conditional_bid, grid_fee_path, sharing_keys
from tests.slow.bilateral_agreements import Deal
from tests.slow.matching import ContinuousBook, LimitOrder, SequencedOrder, match_pay_as_bid
from tests.slow.schedules import settle_schedules
from tests.slow.sharing import GridPrices, SharedSlot, bill_sharing, supply_demand_ratio
from tests.slow.split import split_by_weight
from tests.slow.trade_reduction import LimitOrder as ReducedOrder
from tests.slow.trade_reduction import trade_reduction

SERVED_LAST = 10**9


class Meter(NamedTuple):
    """A party's point in a slot, Wh; share_ppm and priority of a sharing key, -1 where the registry says none."""

    import_wh: int
    export_wh: int
    share_ppm: int = -1
    priority: int = -1

    @property
    def net_wh(self) -> int:
        """Export less import."""
        return self.export_wh - self.import_wh


class Placed(NamedTuple):
    """An order, in the order of ranks. limit: micro per kWh; arrival: among all orders; until: before which rank it is withdrawn.

    bid, choice: of a bid with conditions the rank of its first one, and the place of this one; kinds: what is asked for, or offered; seller:
    the party asked for, None for any; place: of the grid, 0 for none.
    """

    party: int
    buys: bool
    energy_wh: int
    limit: int
    arrival: int
    until: int
    bid: int
    choice: int = 0
    kinds: frozenset[str] = frozenset()
    seller: int | None = None
    place: int = 0


class Slot(NamedTuple):
    """What a contract is handed. before: the other slots of a month that ends with this one, None where none does."""

    prices: Mapping[str, int]
    terms: Mapping[str, Any]
    meters: Sequence[Meter]
    orders: Sequence[Placed] = ()
    deals: Sequence[Deal] = ()
    before: Sequence[Sequence[Meter]] | None = None

    def price(self, name: str) -> int:
        """By its short name."""
        keys = [key for key in self.prices if key.startswith(name)]
        return self.prices[keys[0]]


class Trade(NamedTuple):
    """Ranks of two orders, Wh, what the seller gets for a kWh and what the buyer pays beyond it."""

    buy: int
    sell: int
    energy_wh: int
    price: int
    fee: int = 0


class Gate(NamedTuple):
    """What each order got; the trades, None where there is one price for all; that price."""

    filled_wh: Sequence[int]
    trades: Sequence[Trade] | None
    price: int | None = None


Lines = dict[str, tuple[int, int]]
"""Wh and nano of one point by kind of line, without those of no energy."""


class Result(NamedTuple):
    """gate: None where there are no orders; lines: of each meter."""

    gate: Gate | None
    lines: Sequence[Lines]


def paired(slot: Slot, trades: Sequence[Trade], price: int | None = None) -> Gate:
    """The gate of some trades."""
    filled = [0] * len(slot.orders)
    for trade in trades:
        filled[trade.buy] += trade.energy_wh
        filled[trade.sell] += trade.energy_wh
    return Gate(filled, trades, price)


def uniform(slot: Slot) -> Gate:
    """``p2p_call_auction``: nearest to a reference, or a share of the way."""
    orders = [
        call_auction.Order(call_auction.BUY if one.buys else call_auction.SELL, one.energy_wh, one.limit, one.arrival)
        for one in slot.orders
    ]
    if "price_k_ppm" in slot.terms:
        volume, price = call_auction.split_by_text(orders, slot.terms["price_k_ppm"])
    else:
        volume, price = call_auction.price_by_text(orders, slot.terms["reference_price_micro_per_kwh"])
    filled = call_auction.fills_by_text(orders, volume, slot.terms["rationing"])
    return Gate(filled if volume else [0] * len(orders), None, price)


def _named(slot: Slot) -> list[LimitOrder]:
    return [LimitOrder(f"{rank:03}", one.buys, one.energy_wh, one.limit) for rank, one in enumerate(slot.orders)]


def _split(slot: Slot, trades: Sequence[Trade]) -> Gate:
    """Each trade at the area's share of the way from the sell's limit to the buy's."""
    k_ppm = slot.terms["price_k_ppm"]
    limits = [one.limit for one in slot.orders]
    return paired(
        slot, [one._replace(price=call_auction.between(limits[one.sell], limits[one.buy], k_ppm)) for one in trades]
    )


def at_the_bid(slot: Slot) -> Gate:
    """``pay_as_bid/1``."""
    made = match_pay_as_bid(SequencedOrder(order, 0) for order in _named(slot))
    return paired(slot, [Trade(int(one.buy_id), int(one.sell_id), one.energy_wh, one.price) for one in made])


def continuous(slot: Slot) -> Gate:
    """``continuous_double_auction/1``: orders come by rank, and go before the rank at which they are withdrawn."""
    book, trades, orders = ContinuousBook(), list[Trade](), _named(slot)
    for rank, order in enumerate(orders):
        for name in [name for name in book.resting_wh if slot.orders[int(name)].until <= rank]:
            book.cancel(name)
        if slot.orders[rank].until > rank:
            trades += [Trade(int(one.buy_id), int(one.sell_id), one.energy_wh, one.price) for one in book.submit(order)]
    return paired(slot, trades)


def reduced(slot: Slot) -> Gate:
    """``trade_reduction/1``: what each order got; who is paired with whom changes nobody's bill, and is by rank."""
    found = trade_reduction([ReducedOrder(*order) for order in _named(slot)])
    filled = [found.filled_wh[f"{rank:03}"] for rank in range(len(slot.orders))]
    left, trades = list(filled), list[Trade]()
    for buy in [rank for rank, one in enumerate(slot.orders) if one.buys]:
        for sell in [rank for rank, one in enumerate(slot.orders) if not one.buys]:
            energy_wh = min(left[buy], left[sell])
            if energy_wh:
                assert found.sell_price is not None
                trades.append(Trade(buy, sell, energy_wh, found.sell_price))
                left[buy], left[sell] = left[buy] - energy_wh, left[sell] - energy_wh
    return Gate(filled, trades, found.buy_price)


def by_conditions(slot: Slot) -> Gate:
    """``conditional_bid/1``."""
    bids: dict[str, list[tuple[int, conditional_bid.Condition]]] = {}
    offers = []
    for rank, one in enumerate(slot.orders):
        if one.buys:
            seller = "" if one.seller is None else str(one.seller)
            condition = conditional_bid.Condition(one.energy_wh, one.limit, seller, one.kinds)
            bids.setdefault(f"{one.bid:03}", []).append((rank, condition))
        else:
            kind = next(iter(one.kinds), "")
            offers.append(conditional_bid.Offer(f"{rank:03}", one.energy_wh, one.limit, str(one.party), kind))
    asked = [(name, [condition for _, condition in of_bid]) for name, of_bid in bids.items()]
    met = conditional_bid.meet(asked, offers, slot.terms["price_rule"])
    return paired(slot, [Trade(bids[one.bid][one.choice][0], int(one.offer), one.energy_wh, one.price) for one in met])


def along_the_grid(slot: Slot) -> Gate:
    """``grid_fee_path``: at what the area's rule says, with fractions always at the offer."""
    places = {
        str(one["place"]): grid_fee_path.Place(
            str(one.get("parent", "")), one["fee_micro_per_kwh"], one.get("fee_ppm", 0)
        )
        for one in slot.terms["grid_places"]
    }
    orders = [
        grid_fee_path.Order(
            f"{rank:03}", one.buys, one.energy_wh, one.limit, str(one.place) if str(one.place) in places else ""
        )
        for rank, one in enumerate(slot.orders)
    ]
    met = grid_fee_path.meet(places, orders, slot.terms.get("price_rule", "pay_as_offer"))
    return paired(slot, [Trade(int(one.buy), int(one.sell), one.energy_wh, one.price, one.fees) for one in met])


def add(lines: Lines, kind: str, energy_wh: int, nano: int) -> None:
    """One more item of a line."""
    wh, amount = lines.get(kind, (0, 0))
    if energy_wh:
        lines[kind] = wh + energy_wh, amount + nano


def bill_of_trader(slot: Slot, meter: Meter, bought_wh: int, sold_wh: int) -> Lines:
    """What was metered otherwise than traded, and the grid's charges."""
    lines: Lines = {}
    taken, fed = meter.import_wh, meter.export_wh
    for kind, energy_wh, price, sign in (
        ("residual_import", max(taken - bought_wh, 0), "residual_price", 1),
        ("surplus", max(bought_wh - taken, 0), "surplus_price", -1),
        ("residual_export", max(fed - sold_wh, 0), "feed_in", -1),
        ("shortfall", max(sold_wh - fed, 0), "shortfall_price", 1),
        ("network_traded", min(taken, bought_wh), "network_traded", 1),
        ("network_residual", taken - min(taken, bought_wh), "network_residual", 1),
        ("levy", taken, "levy", 1),
    ):
        if energy_wh:
            add(lines, kind, energy_wh, sign * energy_wh * slot.price(price))
    return lines


def traded(clear: Callable[[Slot], Gate], slot: Slot) -> Result:
    """A gate, and the bill of each party."""
    gate, of_parties = clear(slot), list[Lines]()
    for party, meter in enumerate(slot.meters):
        lines: Lines = {}
        for rank, (one, wh) in enumerate(zip(slot.orders, gate.filled_wh, strict=True)):
            if one.party != party:
                continue
            own = [trade for trade in gate.trades or () if rank in (trade.buy, trade.sell)]
            nano = sum(trade.energy_wh * trade.price for trade in own)
            if gate.trades is None:
                nano = wh * (gate.price or 0)
            add(lines, "trade_buy" if one.buys else "trade_sell", wh, nano if one.buys else -nano)
            fee_nano = sum(trade.energy_wh * trade.fee for trade in own)
            if one.buys and "grid_places" in slot.terms:
                add(lines, "grid_fee", wh, fee_nano)
            if one.buys and gate.trades is not None and gate.price is not None:
                add(lines, "auction_surplus", wh, wh * gate.price - nano)
        bought, sold = (lines.get(kind, (0, 0))[0] for kind in ("trade_buy", "trade_sell"))
        of_parties.append(lines | bill_of_trader(slot, meter, bought, sold))
    return Result(gate, of_parties)


def by_agreement(slot: Slot) -> Result:
    """``bilateral_agreements/1``."""
    taken, fed = ([meter[at] for meter in slot.meters] for at in (0, 1))
    balances, _ = bilateral_agreements.settle_deals(taken, fed, slot.deals)
    found = []
    for meter, own in zip(slot.meters, balances, strict=True):
        lines: Lines = {}
        add(lines, "agreement_buy", own.bought_wh, own.bought_nano)
        add(lines, "agreement_sell", own.sold_wh, -own.sold_nano)
        add(lines, "agreement_difference", own.difference_wh, own.difference_nano)
        found.append(lines | bill_of_trader(slot, meter, own.bought_wh, own.sold_wh))
    return Result(None, found)


def by_schedule(slot: Slot) -> Result:
    """``schedules_and_deviations/1``."""
    taken, fed = ([meter[at] for meter in slot.meters] for at in (0, 1))
    exact = settle_schedules(taken, fed, slot.deals, slot.prices)
    return Result(
        None,
        [{kind: (floor(wh), floor(nano)) for kind, (wh, nano) in lines.items() if wh} for lines in exact],
    )


def half_way(net_wh: Sequence[int], prices: GridPrices) -> SharedSlot:
    """``mid_market_rate/1``: what stays inside is paid half way between the grid's prices, rounded down once."""
    over, lacks = [max(net, 0) for net in net_wh], [max(-net, 0) for net in net_wh]
    inside = min(sum(over), sum(lacks))
    paid_inside = inside * (prices.retail + prices.feed_in) // 2
    got = split_by_weight(paid_inside + (sum(over) - inside) * prices.feed_in, over)
    paid = split_by_weight(paid_inside + (sum(lacks) - inside) * prices.retail, lacks)
    return SharedSlot(tuple(a - b for a, b in zip(paid, got, strict=True)), sum(paid) - sum(got), None, None)


def _charges(slot: Slot) -> list[Lines]:
    """Network charge and levy of each member; its part of what stays inside is traded."""
    over, lacks = ([max(sign * meter.net_wh, 0) for meter in slot.meters] for sign in (1, -1))
    bought = split_by_weight(min(sum(over), sum(lacks)), lacks)
    charged = ("network_traded", "network_residual", "levy")
    return [
        {kind: line for kind, line in bill_of_trader(slot, meter, wh, 0).items() if kind in charged}
        for meter, wh in zip(slot.meters, bought, strict=True)
    ]


def in_community(rule: Callable[[Sequence[int], GridPrices], SharedSlot], slot: Slot) -> Result:
    """A community that shares each slot."""
    net_wh = [meter.net_wh for meter in slot.meters]
    shared = rule(net_wh, GridPrices(slot.price("residual_price"), slot.price("feed_in")))
    found = _charges(slot)
    for lines, net, nano in zip(found, net_wh, shared.pays_nano, strict=True):
        add(lines, "community_buy" if net < 0 else "community_sell", abs(net), nano)
    return Result(None, found)


def by_month(slot: Slot) -> Result:
    """``bill_sharing/1``: charges of the slot, and the bill of a month that ends with it."""
    found = _charges(slot)
    if slot.before is None:
        return Result(None, found)
    slots_wh = [[meter.net_wh for meter in meters] for meters in (*slot.before, slot.meters)]
    prices = GridPrices(slot.price("residual_price"), slot.price("feed_in"))
    # what a member pays and what it earns are two lines: each side is shared as if the grid paid nothing for the other
    paid = bill_sharing(slots_wh, prices._replace(feed_in=0)).pays_nano
    both = bill_sharing(slots_wh, prices).pays_nano
    for lines, net_wh, pays, owes in zip(found, zip(*slots_wh, strict=True), paid, both, strict=True):
        add(lines, "community_buy", sum(max(-net, 0) for net in net_wh), pays)
        add(lines, "community_sell", sum(max(net, 0) for net in net_wh), owes - pays)
    return Result(None, found)


def by_keys(slot: Slot) -> Result:
    """``sharing_keys/1``: all export of the area is given to those who import, by the method."""
    taken, fed = ([meter[at] for meter in slot.meters] for at in (0, 1))
    made, price = sum(fed), slot.terms["trade_price_micro_per_kwh"]
    keys = [max(meter.share_ppm, 0) for meter in slot.meters]
    turns = [meter.priority if meter.priority >= 0 else SERVED_LAST for meter in slot.meters]
    allocation = {
        "static": partial(sharing_keys.allocate_static, made, taken, keys),
        "static_reallocated": partial(sharing_keys.allocate_reallocated, made, taken, keys),
        "dynamic": partial(sharing_keys.allocate_dynamic, made, taken),
        "priority": partial(sharing_keys.allocate_by_priority, made, taken, turns),
    }[slot.terms["method"]]()
    given_wh = split_by_weight(sum(allocation.allocated_wh), fed)
    found = []
    for meter, bought, sold in zip(slot.meters, allocation.allocated_wh, given_wh, strict=True):
        lines: Lines = {}
        add(lines, "trade_buy", bought, bought * price)
        add(lines, "trade_sell", sold, -sold * price)
        billed = meter if slot.terms.get("settle_residual", True) else meter._replace(import_wh=bought, export_wh=sold)
        found.append(lines | bill_of_trader(slot, billed, bought, sold))
    return Result(None, found)


def _then_split(clear: Callable[[Slot], Gate]) -> Callable[[Slot], Gate]:
    """A gate of another contract, at prices between both limits."""
    return lambda slot: _split(slot, clear(slot).trades or ())


REFERENCES: Mapping[str, Callable[[Slot], Result]] = {
    "p2p_call_auction/1": partial(traded, uniform),
    "p2p_call_auction/2": partial(traded, uniform),
    "pay_as_bid/1": partial(traded, at_the_bid),
    "pay_as_bid/2": partial(traded, _then_split(at_the_bid)),
    "continuous_double_auction/1": partial(traded, continuous),
    "continuous_double_auction/2": partial(traded, _then_split(continuous)),
    "trade_reduction/1": partial(traded, reduced),
    "conditional_bid/1": partial(traded, by_conditions),
    "grid_fee_path/1": partial(traded, along_the_grid),
    "grid_fee_path/2": partial(traded, along_the_grid),
    "bilateral_agreements/1": by_agreement,
    "schedules_and_deviations/1": by_schedule,
    "mid_market_rate/1": partial(in_community, half_way),
    "supply_demand_ratio/1": partial(in_community, supply_demand_ratio),
    "bill_sharing/1": by_month,
    "sharing_keys/1": by_keys,
}
"""By contract id what its production code must yield."""
