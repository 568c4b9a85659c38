"""Markets whose gates come to trades between two orders: docs/spec/contracts.md, and what their bundles show of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile

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


def up_the_grid(book: Sequence[BookRow], places: Sequence[tuple[int, int, int]], rule: str) -> list[Pair]:
    """The lowest places first, each a market. places: number, number of the parent (0 of the first), fee."""
    parent = {number: above for number, above, _ in places}
    fee = {number: own for number, _, own in places}

    def path(number: int) -> list[int]:
        found = []
        while number in parent:
            found.append(number)
            number = parent[number]
        return found

    left = {row.rank: row.quantity_wh for row in book}
    paths = {row.rank: path(row.wanted[0]) for row in book}
    order = [number for number, _, _ in places]
    pairs = []
    for market in sorted(order, key=lambda number: (-len(path(number)), order.index(number))):
        there = [row for row in book if market in paths[row.rank]]
        paid = {
            row.rank: sum(
                fee[number] for number in paths[row.rank][: paths[row.rank].index(market) + (row.side == SELL)]
            )
            for row in there
        }
        buys = sorted((paid[row.rank] - row.price_micro_per_kwh, row.rank) for row in there if row.side == BUY)
        sells = sorted((paid[row.rank] + row.price_micro_per_kwh, row.rank) for row in there if row.side == SELL)
        for seen_buy, buy in buys:
            for seen_sell, sell in sells:
                energy = min(left[buy], left[sell])
                if seen_sell > -seen_buy:
                    break
                if energy:
                    fees = paid[buy] + paid[sell]
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
