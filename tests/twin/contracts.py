"""The slow twin of the contracts: how a slot's orders are cleared and how its energy is settled (docs/spec/contracts.md).

Written from the rules alone, candidate by candidate and member by member, in whole numbers and fractions. ``market`` and
``settlement`` say when they are called and what becomes of the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

# --------------------------------------------------------------------------------------------- the call auction


class Order(NamedTuple):
    """A standing order, as the book holds it."""

    area: int
    party: str
    number: int
    counter: int
    side: int
    """0 buy, 1 sell."""
    quantity_wh: int
    price: int
    held: int
    """Micro per kWh."""
    transaction_id: bytes
    seed: bytes
    recorded: int = 0
    """Height of the block that took it."""
    withdrawn: int = 0
    """Height of the block that withdrew it, 0 for none."""
    whole: int = 0
    """1: it is filled as a whole or not at all."""
    wants: int = 0
    """Of a condition of a bid: what it asks for, packed."""
    asked: tuple[int, ...] = ()
    """Beside side, quantity and limit, under a contract that asks for more."""

    def id(self, slot_start_s: int) -> bytes:
        """``<party>/<slot>/<counter>``, whose UTF-8 bytes break ties."""
        return f"{self.party}/{slot_start_s}/{self.counter}".encode()


class Trade(NamedTuple):
    """A trade between two orders of a gate, by their ranks."""

    buy: int
    sell: int
    energy_wh: int
    price: int
    fee: int = 0
    """What the buyer pays of each kWh beyond the price."""


class Gate(NamedTuple):
    """What a gate comes to: one price (0 without volume), volume, filled Wh of each order; or trades at prices of their own."""

    price: int
    volume_wh: int
    filled_wh: list[int]
    trades: list[Trade] | None = None
    is_priced_too: bool = False
    """Whether buyers pay the price, beside trades at what sellers get."""

    @property
    def has_price(self) -> bool:
        """Whether there is one price for all, or for all buyers."""
        return (self.trades is None or self.is_priced_too) and self.volume_wh > 0


def split_by_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """``total`` in proportion to ``weights``; odd units to the largest remainders, equal ones in the order given."""
    shares = [Fraction(total * weight, sum(weights)) for weight in weights]
    parts = [int(share) for share in shares]
    order = sorted(range(len(weights)), key=lambda i: (parts[i] - shares[i], i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def split(total: int, weights: Sequence[int]) -> list[int]:
    """By largest remainder; nothing among those who have no weight."""
    return split_by_largest_remainder(total, weights) if sum(weights) else [0 for _ in weights]


def clearing_price(orders: Sequence[Order], reference: int | None) -> tuple[int, int]:
    """(price, volume) of the uniform price that trades most."""
    candidates = []
    for price in sorted({order.price for order in orders}):
        demand = sum(o.quantity_wh for o in orders if o.side == 0 and o.price >= price)
        supply = sum(o.quantity_wh for o in orders if o.side == 1 and o.price <= price)
        candidates.append((min(demand, supply), demand - supply, price))
    volume = max((volume for volume, _, _ in candidates), default=0)
    candidates = [c for c in candidates if c[0] == volume]
    least = min((abs(excess) for _, excess, _ in candidates), default=0)
    candidates = [c for c in candidates if abs(c[1]) == least]
    if not candidates:
        return 0, 0
    low, high = candidates[0][2], candidates[-1][2]
    if all(excess > 0 for _, excess, _ in candidates):
        return high, volume
    if all(excess < 0 for _, excess, _ in candidates):
        return low, volume
    return (low + high) // 2 if reference is None else min(max(reference, low), high), volume


def ration(orders: Sequence[Order], volume: int, best_first: Callable[[Order], int]) -> dict[Order, int]:
    """Whole price levels, the best first, while they fit; the one that does not is shared pro rata of what is left."""
    fills: dict[Order, int] = {}
    for level in sorted({best_first(order) for order in orders}):
        members = [order for order in orders if best_first(order) == level]
        quantities = [order.quantity_wh for order in members]
        parts = quantities if sum(quantities) <= volume else split_by_largest_remainder(volume, quantities)
        fills |= dict(zip(members, parts, strict=True))
        volume -= sum(parts)
    return fills


def in_turn(orders: Sequence[Order], volume: int, best_first: Callable[[Order], int]) -> dict[Order, int]:
    """The best first, of one limit who came first."""
    fills: dict[Order, int] = {}
    for order in sorted(orders, key=lambda order: (best_first(order), order.asked[0])):
        fills[order] = min(volume, order.quantity_wh)
        volume -= fills[order]
    return fills


def between(low: int, high: int, terms: Mapping[str, Any]) -> int:
    """The price that lies the terms' share of the way from the lower to the higher."""
    return floor(low + Fraction((high - low) * terms["price_k_ppm"], 10**6))


def clear_auction(orders: Sequence[Order], terms: Mapping[str, Any]) -> tuple[int, int, list[int]]:
    """(price, volume, filled Wh of each order). Orders come ascending by order id."""
    if "price_k_ppm" in terms:
        (low, volume), (high, _) = clearing_price(orders, -(10**9)), clearing_price(orders, 10**9)
        price = between(low, high, terms)
    else:
        price, volume = clearing_price(orders, terms["reference_price_micro_per_kwh"])
    if volume == 0:
        return 0, 0, [0 for _ in orders]
    buys = [order for order in orders if order.side == 0 and order.price >= price]
    sells = [order for order in orders if order.side == 1 and order.price <= price]
    if terms["rationing"] == "time":
        turns = [in_turn(buys, volume, lambda o: -o.price), in_turn(sells, volume, lambda o: o.price)]
        return price, volume, [turns[order.side].get(order, 0) for order in orders]
    fills = ration(buys, volume, lambda order: -order.price) | ration(sells, volume, lambda order: order.price)
    return price, volume, [fills.get(order, 0) for order in orders]


# ------------------------------------------------------------------------------------------------- slot settlement


class Member(NamedTuple):
    """A point that settles: what it metered and traded, in Wh. prices: its own, None where its area's hold; its keys, -1 for none;
    what its trades come to, 0 where a gate has one price for all.
    """

    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    prices: Mapping[str, int] | None = None
    share_ppm: int = -1
    priority: int = -1
    bought_nano: int = 0
    sold_nano: int = 0
    row: int = -1
    """Of its zone."""
    fee_nano: int = 0
    """What it pays for the way of what it bought."""


class Month(NamedTuple):
    """The month of a slot. Where it closes with the slot: what its other slots have come to, by row of the zone, by area number."""

    start_s: int
    closes: bool
    points: Mapping[int, tuple[int, ...]]
    areas: Mapping[int, tuple[int, ...]]


class Settled(NamedTuple):
    """The contract's position columns of each member, its area columns, and what each account receives in nano."""

    positions: Sequence[tuple[int, ...]]
    area: tuple[int, ...]
    received: dict[str, int]


class Line(NamedTuple):
    """One kind of line of one member; a positive amount is owed by the member to the account."""

    amount_nano: int
    account: str


def named(prices: Mapping[str, int]) -> dict[str, int]:
    """The prices by their short names."""
    return {name.removesuffix("_micro_per_kwh"): price for name, price in prices.items()}


def supplier_only(member: Member, p: Mapping[str, int]) -> int:
    """What the same energy would cost with the supplier alone."""
    own = member.import_wh * (p["residual_price"] + p["network_residual"] + p["levy"])
    return own - member.export_wh * p["feed_in_price"]


def received_by(accounts: Sequence[str], lines: Sequence[Line]) -> dict[str, int]:
    """The sum of the lines of each account."""
    return {account: sum(line.amount_nano for line in lines if line.account == account) for account in accounts}


def auction_lines(member: Member, trade_price: int, p: Mapping[str, int]) -> list[Line]:
    """``slot_settlement/1`` of one member."""
    over_import, over_export = member.import_wh - member.bought_wh, member.export_wh - member.sold_wh
    traded = min(member.import_wh, member.bought_wh)
    return [
        Line(+member.bought_wh * trade_price, "clearing"),
        Line(-member.sold_wh * trade_price, "clearing"),
        Line(+max(over_import, 0) * p["residual_price"], "supplier"),
        Line(-max(-over_import, 0) * p["surplus_price"], "balance"),
        Line(-max(over_export, 0) * p["feed_in_price"], "offtaker"),
        Line(+max(-over_export, 0) * p["shortfall_price"], "balance"),
        Line(+traded * p["network_traded"], "network"),
        Line(+(member.import_wh - traded) * p["network_residual"], "network"),
        Line(+member.import_wh * p["levy"], "levy"),
    ]


REFERENCE = "reference_price_micro_per_kwh"
COMMON_PRICES = {"residual_price", "feed_in_price", "network_traded", "network_residual", "levy"}


def are_prices(prices: Mapping[str, int]) -> bool:
    """Whether none is absurd."""
    return all(abs(price) <= 10**9 for price in prices.values())


class CallAuction:
    """``p2p_call_auction/1``."""

    takes_orders = True
    clears_whole = True
    order_terms: tuple[str, ...] = ()
    takes_agreements = False
    ranks_by_arrival = False
    accounts: tuple[str, ...] = ("balance", "clearing", "levy", "network", "offtaker", "supplier")
    position_columns: tuple[str, ...] = ("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano")
    area_columns: tuple[str, ...] = ()
    summed: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """What is summed over a month, of points and of areas."""

    @classmethod
    def ask(cls, _twin: Any, _zone: str, _slot: int, orders: list[Order]) -> list[Order]:
        """The ranked orders of an area with what the contract asks of them: nothing."""
        return orders

    @classmethod
    def clear(cls, orders: Sequence[Order], terms: Mapping[str, Any]) -> Gate:
        """By the auction's rule."""
        return Gate(*clear_auction(orders, terms))

    @staticmethod
    def exposure(side: int, price: int, prices: Mapping[str, int]) -> int:
        """What a kWh of an order can cost at most: the worse of delivered and not delivered, at the limit."""
        p = named(prices)
        return max(0, *((price, price - p["surplus_price"]) if side == 0 else (-price, p["shortfall_price"] - price)))

    @classmethod
    def takes(cls, rules: Mapping[str, Any]) -> bool:
        """Whether rules have its seven prices and its terms, and no others, and nobody earns by energy that one side has alone."""
        p, terms = named(rules["prices"]), rules["terms"]
        if set(p) != {*COMMON_PRICES, "surplus_price", "shortfall_price"} or set(terms) != {REFERENCE, "rationing"}:
            return False
        if p["surplus_price"] > min(p["shortfall_price"], p["feed_in_price"]) or not are_prices(p):
            return False
        if p["residual_price"] + p["network_residual"] > p["shortfall_price"] + p["network_traded"]:
            return False
        reference = terms[REFERENCE]
        return terms["rationing"] == "pro_rata" and type(reference) is int and abs(reference) <= 10**9

    @classmethod
    def settle(
        cls, members: Sequence[Member], trade_price: int, prices: Mapping[str, int], terms: Mapping[str, Any]
    ) -> Settled:
        """Each member for itself."""
        own = [named(member.prices or prices) for member in members]
        bills = [auction_lines(member, trade_price, p) for member, p in zip(members, own, strict=True)]
        positions = [
            (member.bought_wh, member.sold_wh, sum(line.amount_nano for line in bill), supplier_only(member, p))
            for member, bill, p in zip(members, bills, own, strict=True)
        ]
        return Settled(positions, (), received_by(cls.accounts, [line for bill in bills for line in bill]))


class SplitCallAuction(CallAuction):
    """``p2p_call_auction/2``: one of two rules of the price, and one of two of rationing."""

    order_terms = ("arrival",)

    @classmethod
    def ask(cls, _twin: Any, _zone: str, _slot: int, orders: list[Order]) -> list[Order]:
        """The ranked orders of an area with how many of them came before."""
        came = sorted(orders, key=lambda o: (o.recorded, o.transaction_id, o.number, o.counter))
        return [order._replace(asked=(came.index(order),)) for order in orders]

    @classmethod
    def takes(cls, rules: Mapping[str, Any]) -> bool:
        """The prices of version 1, and terms of which one says the price."""
        terms = rules["terms"]
        rule = set(terms) - {"rationing"}
        if rule not in ({REFERENCE}, {"price_k_ppm"}) or terms.get("rationing") not in ("pro_rata", "time"):
            return False
        before = {REFERENCE: terms.get(REFERENCE, 0), "rationing": "pro_rata"}
        return is_k(terms.get("price_k_ppm", 0)) and super().takes({**rules, "terms": before})


def is_k(k_ppm: Any) -> bool:
    """Whether it is a share of the way from one price to another."""
    return type(k_ppm) is int and 0 <= k_ppm <= 10**6


class MidMarketRate:
    """``mid_market_rate/1``: what the community makes and uses itself changes hands in the middle of both prices."""

    takes_orders = False
    takes_agreements = False
    ranks_by_arrival = False
    accounts = ("community", "levy", "network")
    position_columns: tuple[str, ...] = ("bought_wh", "sold_wh", "community_nano", "pays_nano", "supplier_only_nano")
    area_columns: tuple[str, ...] = ("surplus_wh", "deficit_wh")
    summed: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    feed_in_min = 0

    @staticmethod
    def exposure(side: int, price: int, prices: Mapping[str, int]) -> int:
        """No order is taken."""
        return 0

    @staticmethod
    def clear(orders: Sequence[Order], terms: Mapping[str, Any]) -> Gate:
        """No order is taken, so none is filled."""
        return Gate(0, 0, [0 for _ in orders])

    @classmethod
    def takes(cls, rules: Mapping[str, Any]) -> bool:
        """Whether rules have its prices, the retail price at least the feed-in price, and no terms."""
        p = named(rules["prices"])
        has_keys = set(p) == COMMON_PRICES and not rules["terms"]
        return has_keys and are_prices(p) and p["residual_price"] >= p["feed_in_price"] >= cls.feed_in_min

    @staticmethod
    def exchange(surplus: int, deficit: int, p: Mapping[str, int]) -> tuple[int, int]:
        """What the buyers pay together, and what the sellers get."""
        shared = min(surplus, deficit)
        transfer = shared * (p["feed_in_price"] + p["residual_price"]) // 2
        return transfer + (deficit - shared) * p["residual_price"], transfer + (surplus - shared) * p["feed_in_price"]

    @classmethod
    def settle(
        cls, members: Sequence[Member], trade_price: int, prices: Mapping[str, int], terms: Mapping[str, Any]
    ) -> Settled:
        """The whole area at once."""
        p = named(prices)
        surplus = [max(member.export_wh - member.import_wh, 0) for member in members]
        deficit = [max(member.import_wh - member.export_wh, 0) for member in members]
        shared = min(sum(surplus), sum(deficit))
        buyers, sellers = cls.exchange(sum(surplus), sum(deficit), p)
        paid, earned = split(buyers, deficit), split(sellers, surplus)
        bought, sold = split(shared, deficit), split(shared, surplus)
        positions, lines = [], []
        for i, member in enumerate(members):
            community, p = paid[i] - earned[i], named(member.prices or prices)
            bill = [Line(community, "community"), *charges(member, bought[i], p)]
            pays = sum(line.amount_nano for line in bill)
            positions.append((bought[i], sold[i], community, pays, supplier_only(member, p)))
            lines += bill
        return Settled(positions, (sum(surplus), sum(deficit)), received_by(cls.accounts, lines))


class SupplyDemandRatio(MidMarketRate):
    """``supply_demand_ratio/1``: the same at prices that follow the ratio of supply to demand."""

    feed_in_min = 1

    @staticmethod
    def exchange(surplus: int, deficit: int, p: Mapping[str, int]) -> tuple[int, int]:
        """What the buyers pay together, and what the sellers get."""
        low, high = p["feed_in_price"], p["residual_price"]
        ratio = Fraction(surplus, deficit) if deficit else Fraction(1)
        price = Fraction(low * high) / ((high - low) * ratio + low) if ratio < 1 else Fraction(low)
        sellers = floor(surplus * price)
        return sellers + (deficit - surplus) * (high if ratio < 1 else low), sellers


class BillSharing(MidMarketRate):
    """``bill_sharing/1``: charges in every slot, and with a month's last slot what all of it imported and exported."""

    position_columns = (
        "bought_wh",
        "sold_wh",
        "deficit_wh",
        "surplus_wh",
        "period_deficit_wh",
        "period_surplus_wh",
        "paid_nano",
        "earned_nano",
        "pays_nano",
        "supplier_only_nano",
    )
    share_nano_max = 4 * 10**18
    summed = (("deficit_wh", "surplus_wh"), ("cost_units", "cost_nano", "income_units", "income_nano"))
    area_columns = (
        "period_start_s",
        *summed[0],
        *summed[1],
        *("period_" + name for name in summed[0]),
        *("period_" + name for name in summed[1]),
    )

    @classmethod
    def settle_in_month(
        cls, members: Sequence[Member], prices: Mapping[str, int], month: Month, rows: Sequence[int], area: int
    ) -> Settled:
        """The slot, and the month where it ends; ``rows``: of the members in the zone, ``area``: its number."""
        p = named(prices)
        surplus = [max(member.export_wh - member.import_wh, 0) for member in members]
        deficit = [max(member.import_wh - member.export_wh, 0) for member in members]
        shared = min(sum(surplus), sum(deficit))
        bought, sold = split(shared, deficit), split(shared, surplus)
        cost = max(sum(deficit) - sum(surplus), 0) * p["residual_price"]
        income = max(sum(surplus) - sum(deficit), 0) * p["feed_in_price"]
        money = (*divmod(cost, 10**9), *divmod(income, 10**9))
        lacked, over, closed = [0] * len(rows), [0] * len(rows), [0] * 4
        if month.closes:
            lacked = [own + month.points[row][0] for own, row in zip(deficit, rows, strict=True)]
            over = [own + month.points[row][1] for own, row in zip(surplus, rows, strict=True)]
            closed = [own + other for own, other in zip(money, month.areas[area], strict=True)]
            for side, weights in ((0, lacked), (2, over)):
                total = closed[side] * 10**9 + closed[side + 1]
                if total * max(weights, default=0) > cls.share_nano_max * sum(weights):
                    closed[side : side + 2] = [0, 0]
        paid = split(closed[0] * 10**9 + closed[1], lacked)
        earned = split(closed[2] * 10**9 + closed[3], over)
        positions, lines = [], []
        for i, member in enumerate(members):
            p = named(member.prices or prices)
            bill = [Line(paid[i], "community"), Line(-earned[i], "community"), *charges(member, bought[i], p)]
            kept = (bought[i], sold[i], deficit[i], surplus[i], lacked[i], over[i], paid[i], earned[i])
            positions.append((*kept, sum(line.amount_nano for line in bill), supplier_only(member, p)))
            lines += bill
        own = (month.start_s, sum(deficit), sum(surplus), *money, sum(lacked), sum(over), *closed)
        return Settled(positions, own, received_by(cls.accounts, lines))


def charges(member: Member, bought: int, p: Mapping[str, int]) -> list[Line]:
    """Network and levy of an import, of which ``bought`` Wh are the community's own."""
    return [
        Line(bought * p["network_traded"], "network"),
        Line((member.import_wh - bought) * p["network_residual"], "network"),
        Line(member.import_wh * p["levy"], "levy"),
    ]
