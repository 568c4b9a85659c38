"""Markets whose gates come to trades between two orders: docs/spec/contracts.md, and what their bundles show of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import takewhile
from math import floor

from tests.second_verifier.auction import between
from tests.second_verifier.encoding import Item, MalformedError, as_array, as_int, as_map
from tests.second_verifier.rows import BookRow

BUY, SELL = 0, 1


@dataclass(frozen=True)
class Pair:
    """A trade between the orders of two ranks."""

    buy: int
    sell: int
    energy_wh: int
    price_micro_per_kwh: int
    fee_micro_per_kwh: int = 0


def pay_as_bid(book: Sequence[BookRow]) -> list[Pair]:
    """The best buy with the best sell, at the buy's limit, while they cross."""
    left = {row.rank: row.quantity_wh for row in book}
    buys = sorted((-row.price_micro_per_kwh, row.rank) for row in book if row.side == BUY)
    sells = sorted((row.price_micro_per_kwh, row.rank) for row in book if row.side == SELL)
    pairs = []
    for negated, buy in buys:
        for _, sell in takewhile(lambda one, most=-negated: one[0] <= most, sells):  # type: ignore[misc]
            energy = min(left[buy], left[sell])
            if energy:
                pairs.append(Pair(buy, sell, energy, -negated))
                left[buy] -= energy
                left[sell] -= energy
    return pairs


def between_limits(book: Sequence[BookRow], pairs: list[Pair], k_ppm: int) -> list[Pair]:
    """The same pairs, each at a share of the way from the sell's limit to the buy's."""
    limits = [row.price_micro_per_kwh for row in book]
    return [replace(pair, price_micro_per_kwh=between(limits[pair.sell], limits[pair.buy], k_ppm)) for pair in pairs]


def by_choice(book: Sequence[BookRow], rule: str) -> list[Pair]:
    """First choices first, the best limit first, each with the cheapest offers of the kinds and the seller that it wants."""
    left = {row.rank: row.quantity_wh for row in book}
    rooms = {row.wanted[0]: 0 for row in book}
    for row in book:
        rooms[row.wanted[0]] = max(rooms[row.wanted[0]], row.quantity_wh)
    sells = sorted((row for row in book if row.side == SELL), key=lambda row: (row.price_micro_per_kwh, row.rank))
    buys = [row for row in book if row.side == BUY]
    buys.sort(key=lambda row: (row.wanted[1], -row.price_micro_per_kwh, row.rank))
    pairs = []
    for buy in buys:
        bid, _, kinds, seller = buy.wanted
        for sell in sells:
            energy = min(left[buy.rank], left[sell.rank], rooms[bid])
            is_wanted = sell.wanted[2] & kinds and (not seller or sell.wanted[3] == seller)
            if not energy or not is_wanted or sell.price_micro_per_kwh > buy.price_micro_per_kwh:
                continue
            price = (buy if rule == "pay_as_bid" else sell).price_micro_per_kwh
            pairs.append(Pair(buy.rank, sell.rank, energy, price))
            left[buy.rank], left[sell.rank] = left[buy.rank] - energy, left[sell.rank] - energy
            rooms[bid] -= energy
    return pairs


@dataclass(frozen=True)
class Place:
    """A place of a grid; parent: a number, 0 of the first; what it takes of a kWh, and of each unit of the offer's limit."""

    number: int
    parent: int
    fee_micro_per_kwh: int
    fee_ppm: int = 0

    def fee(self, limit: int) -> int:
        return self.fee_micro_per_kwh + floor(Fraction(max(limit, 0) * self.fee_ppm, 1_000_000))


def read_places(terms: dict[str, Item], *, percent: bool = False) -> list[Place]:
    """The places of the grid: each behind its parent, at most 8 levels. percent: whether each has a fraction too."""
    found: list[Place] = []
    levels: dict[int, int] = {}
    for item in as_array(terms["grid_places"], 1, 64):
        fields = as_map(
            item, "fee_micro_per_kwh place" + (" parent" if found else "") + (" fee_ppm" if percent else "")
        )
        number, parent = as_int(fields["place"], 1, 65_535), as_int(fields.get("parent", 0), 0, 65_535)
        if number in levels or (found and parent not in levels):
            raise MalformedError("places that are no tree")
        levels[number] = levels.get(parent, 0) + 1
        if levels[number] > 8:
            raise MalformedError("a place that lies too deep")
        fees = as_int(fields["fee_micro_per_kwh"], 0, 10**9), as_int(fields.get("fee_ppm", 0), 0, 1_000_000)
        found.append(Place(number, parent, *fees))
    return found


def up_the_grid(book: Sequence[BookRow], places: Sequence[Place], rule: str) -> list[Pair]:
    """The lowest places first, each a market."""
    parent = {place.number: place.parent for place in places}
    known = {place.number: place for place in places}

    def path(number: int) -> list[int]:
        found = []
        while number in parent:
            found.append(number)
            number = parent[number]
        return found

    left = {row.rank: row.quantity_wh for row in book}
    paths = {row.rank: path(row.wanted[0]) for row in book}
    order = [place.number for place in places]

    def fees_of(row: BookRow, market: int, limit: int) -> int:
        """Of a limit, along the way of a row to a market: a sell's with that of the market."""
        own = paths[row.rank]
        return sum(known[number].fee(limit) for number in own[: own.index(market) + (row.side == SELL)])

    pairs = []
    for market in sorted(order, key=lambda number: (-len(path(number)), order.index(number))):
        there = [row for row in book if market in paths[row.rank]]
        paid = {row.rank: fees_of(row, market, row.price_micro_per_kwh) for row in there}
        buys = sorted((paid[row.rank] - row.price_micro_per_kwh, row.rank) for row in there if row.side == BUY)
        sells = sorted((paid[row.rank] + row.price_micro_per_kwh, row.rank) for row in there if row.side == SELL)
        for seen_buy, buy in buys:
            for seen_sell, sell in sells:
                energy = min(left[buy], left[sell])
                if seen_sell > -seen_buy:
                    break
                if energy:
                    fees = fees_of(book[buy], market, book[sell].price_micro_per_kwh) + paid[sell]
                    price = (
                        book[buy].price_micro_per_kwh - fees if rule == "pay_as_bid" else book[sell].price_micro_per_kwh
                    )
                    pairs.append(Pair(buy, sell, energy, price, fees))
                    left[buy], left[sell] = left[buy] - energy, left[sell] - energy
    return pairs


def as_they_come(book: Sequence[BookRow]) -> list[Pair]:
    """Each order with the best that rests, at the limit of that one."""
    left: dict[int, int] = {}
    pairs = []
    for row in book:
        if row.until_rank <= row.rank:
            continue
        is_buy = row.side == BUY
        there = [
            (other.price_micro_per_kwh if is_buy else -other.price_micro_per_kwh, other.rank)
            for other in book[: row.rank]
            if other.side != row.side and other.until_rank > row.rank and left.get(other.rank)
        ]
        most = row.price_micro_per_kwh if is_buy else -row.price_micro_per_kwh
        left[row.rank] = row.quantity_wh
        for price, rank in sorted(there):
            energy = min(left[row.rank], left[rank])
            if price > most or not energy:
                break
            both = (row.rank, rank) if is_buy else (rank, row.rank)
            pairs.append(Pair(*both, energy, book[rank].price_micro_per_kwh))
            left[row.rank] -= energy
            left[rank] -= energy
    return pairs


@dataclass(frozen=True)
class Reduced:
    """What is left once the buy and the sell that meet last set the two prices; no pairs: nothing is traded."""

    pairs: list[Pair]
    buyers_price: int | None


def reduce(book: Sequence[BookRow]) -> Reduced:
    """The orders before those that meet last, of either side, share out the smaller of the two sums by quantity."""
    meetings = pay_as_bid(book)
    if not meetings:
        return Reduced([], None)
    last = book[meetings[-1].buy], book[meetings[-1].sell]
    buys = {one.buy for one in meetings} - {last[0].rank}
    sells = {one.sell for one in meetings} - {last[1].rank}
    volume = min(sum(book[rank].quantity_wh for rank in ranks) for ranks in (buys, sells))
    if not volume:
        return Reduced([], None)
    axis = [_filled(book, sorted(ranks), volume) for ranks in (buys, sells)]
    ends = sorted({end for side in axis for end, _ in side})
    pairs = []
    for start, end in zip([0, *ends], ends, strict=False):
        buy, sell = (next(rank for to, rank in side if to >= end) for side in axis)
        pairs.append(Pair(buy, sell, end - start, last[1].price_micro_per_kwh))
    return Reduced(pairs, last[0].price_micro_per_kwh)


def _filled(book: Sequence[BookRow], ranks: list[int], volume: int) -> list[tuple[int, int]]:
    """Where the energy of each filled order ends, one order beside the other, and its rank."""
    whole = sum(book[rank].quantity_wh for rank in ranks)
    exact = {rank: Fraction(volume * book[rank].quantity_wh, whole) for rank in ranks}
    shares = {rank: exact[rank].numerator // exact[rank].denominator for rank in ranks}
    short = volume - sum(shares.values())
    for rank in sorted(ranks, key=lambda one: (shares[one] - exact[one], one))[:short]:
        shares[rank] += 1
    ends, end = [], 0
    for rank in ranks:
        end += shares[rank]
        if shares[rank]:
            ends.append((end, rank))
    return ends
