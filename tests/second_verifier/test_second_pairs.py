"""What the second verifier answers about orders that traded in pairs: each with its own price, each trade shown."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.second_verifier.evidence import evidence_of
from tests.second_verifier.facts import FillFacts, PositionFacts, TradeFacts
from tests.second_verifier.paired import Pair, reduce
from tests.second_verifier.rows import BookRow
from tests.second_verifier.story import BOUGHT, CONTINUOUS, NEIGHBOUR, PAY_AS_BID, POSITION, REDUCTION, SOLD, Story
from tests.second_verifier.test_second_changes import changed, words
from tests.second_verifier.test_second_prices import Change
from tests.second_verifier.told import Told
from tests.second_verifier.verify import verify

# h1 imports 1,000 Wh and bought 600: beside them 400 Wh residual, network and levy, 166,000,000 in all; h2 has 10,000,000 for 200 Wh left over.
BESIDE, LEFT_OVER, ONLY, SOLD_ONLY = 166_000_000, -10_000_000, 370_000_000, -40_000_000


def owes(nano: int, *surplus: int) -> PositionFacts:
    """What h1 owes that bought 600 Wh."""
    return POSITION._replace(columns=(600, 0, nano, 0, *surplus, nano + sum(surplus) + BESIDE, ONLY))


def gets(nano: int, *surplus: int) -> PositionFacts:
    """What h2 gets that sold them."""
    return NEIGHBOUR._replace(columns=(0, 600, 0, nano, *surplus, LEFT_OVER - nano, SOLD_ONLY))


# At the buy's limit.
BID = Story(
    contract=PAY_AS_BID,
    gate_has_price=False,
    clearing_price=0,
    trades=(TradeFacts(),),
    position=owes(180_000_000),
    neighbour=gets(180_000_000),
)
# Two trades: 200 Wh with h2's first order, 400 Wh with its second one.
TWICE = replace(
    BID,
    others=(SOLD._replace(quantity_wh=200, filled_wh=200), FillFacts(1, 2, 1, 500, 200_000, 400)),
    trades=(TradeFacts(200), TradeFacts(400, seller=(1, 2))),
    book=((0, 0, 600, 300_000, 600), (1, 1, 200, 100_000, 200), (2, 1, 500, 200_000, 400)),
)
# h2's sell rested: its limit. A buy of h1's neighbour was withdrawn before it came.
CAME = Story(
    contract=CONTINUOUS,
    gate_has_price=False,
    clearing_price=0,
    trades=(TradeFacts(price=100_000),),
    others=(SOLD, FillFacts(1, 2, 0, 50, 90_000, 0)),
    book=((0, 1, 700, 100_000, 600, 3), (1, 0, 50, 90_000, 0, 2), (2, 0, 600, 300_000, 600, 3)),
    position=owes(60_000_000),
    neighbour=gets(60_000_000),
)
# The last buy and the last sell that meet are h2's other orders: buyers pay 250,000, sellers get 150,000.
GIVEN_UP = Story(
    contract=REDUCTION,
    clearing_price=250_000,
    trades=(TradeFacts(price=150_000),),
    others=(SOLD, FillFacts(1, 2, 0, 200, 250_000, 0), FillFacts(1, 3, 1, 300, 150_000, 0)),
    book=(
        (0, 0, 600, 300_000, 600),
        (1, 1, 700, 100_000, 600),
        (2, 0, 200, 250_000, 0),
        (3, 1, 300, 150_000, 0),
    ),
    position=owes(90_000_000, 60_000_000),
    neighbour=gets(90_000_000, 0),
)
HONEST_PAIRS = {
    "a trade at the limit of the buy": BID,
    "two trades of one order": TWICE,
    "a trade at the limit of what rested": CAME,
    "a trade within the two that were given up": GIVEN_UP,
}
PAIR_LIES = [
    ("a trade beyond the limit of the buy", "orders", replace(BID, trades=(TradeFacts(price=300_001),))),
    ("a fill of more than its trades come to", "orders", replace(BID, amount_nano=179_999_999)),
    ("a trade of less than was filled", "orders", replace(BID, trades=(TradeFacts(599),), amount_nano=180_000_000)),
    ("a trade of two others", "orders", replace(TWICE, trades=(TradeFacts(200), TradeFacts(400, buyer=(2, 1))))),
    (
        "two trades with one order",
        "orders",
        replace(TWICE, trades=(TradeFacts(200), TradeFacts(400))),
    ),
    ("a trade of nothing", "orders", replace(TWICE, trades=(TradeFacts(600), TradeFacts(0, seller=(1, 2))))),
    ("a position that paid less", "orders", replace(BID, position=owes(179_999_999))),
    ("a part of an order that is all or none", "orders", replace(BID, fill=BOUGHT._replace(side=2), is_whole=True)),
    ("a price beside the trades", "clearing", replace(BID, gate_has_price=True, clearing_price=300_000)),
    ("no price of the buyers", "lines", replace(GIVEN_UP, gate_has_price=False)),
    ("no trades", "clearing", replace(BID, trades=(), amount_nano=180_000_000)),
    ("a surplus that is kept", "lines", replace(GIVEN_UP, position=owes(90_000_000, 59_999_999))),
    (
        "buyers who pay less than sellers get",
        "lines",
        replace(GIVEN_UP, clearing_price=149_000, position=owes(90_000_000, -600_000)),
    ),
    (
        "a price of the buyers beyond a limit",
        "orders",
        replace(GIVEN_UP, clearing_price=300_001, position=owes(90_000_000, 90_000_600)),
    ),
]
PAIR_CHANGES: list[tuple[str, str, Story, Change]] = [
    ("one of two trades", "orders", TWICE, lambda bundle: bundle["orders"][0]["trades"].pop()),
    ("trades in place of one another", "orders", TWICE, lambda bundle: _twice(bundle["orders"][0]["trades"])),
    ("an empty list of trades", "shape", BID, lambda bundle: bundle["orders"][0]["trades"].clear()),
]
BOOK_PAIRS = [
    ("at the price of the sell", "book", replace(BID, trades=(TradeFacts(price=100_000),), position=owes(60_000_000))),
    ("at the price of what came", "book", replace(CAME, trades=(TradeFacts(),), position=owes(180_000_000))),
    (
        "with an order that had been withdrawn",
        "book",
        replace(CAME, book=((*CAME.book[0][:-1], 2), *CAME.book[1:])),
    ),
    (
        "at another price of the buyers",
        "book",
        replace(GIVEN_UP, clearing_price=240_000, position=owes(90_000_000, 54_000_000)),
    ),
    (
        "with the two that set the prices",
        "book",
        replace(GIVEN_UP, book=(*GIVEN_UP.book[:3], (3, 1, 300, 150_000, 100))),
    ),
]
"""Chains that only the book refutes."""


def _twice(trades: list[object]) -> None:
    trades[1] = trades[0]


@pytest.mark.parametrize("story", [pytest.param(story, id=name) for name, story in HONEST_PAIRS.items()])
def test_honest_trades_are_verified_with_and_without_the_book(story: Story) -> None:
    of = evidence_of(Told(story))
    for book in (None, of.book_bytes):
        assert words(verify(of.bundle_bytes, of.trust_bytes, book)) == ("verified", None)


@pytest.mark.parametrize(("claim", "story"), [pytest.param(*lie[1:], id=lie[0]) for lie in PAIR_LIES])
def test_a_lie_about_trades_is_found_by_its_claim(claim: str, story: Story) -> None:
    of = evidence_of(Told(story))
    assert words(verify(of.bundle_bytes, of.trust_bytes, None)) == ("not_verified", claim)


@pytest.mark.parametrize(("claim", "story", "change"), [pytest.param(*one[1:], id=one[0]) for one in PAIR_CHANGES])
def test_a_bundle_with_other_trades_is_refuted(claim: str, story: Story, change: Callable[..., object]) -> None:
    of = evidence_of(Told(story))
    assert words(verify(changed(of, change), of.trust_bytes, None)) == ("not_verified", claim)


@pytest.mark.parametrize(("claim", "story"), [pytest.param(*lie[1:], id=lie[0]) for lie in BOOK_PAIRS])
def test_what_does_not_follow_from_the_book_is_refuted_by_the_book_alone(claim: str, story: Story) -> None:
    of = evidence_of(Told(story))
    assert words(verify(of.bundle_bytes, of.trust_bytes, None)) == ("verified", None)
    assert words(verify(of.bundle_bytes, of.trust_bytes, of.book_bytes)) == ("not_verified", claim)


def test_both_sides_share_out_the_smaller_sum_of_what_is_left_by_quantity() -> None:
    """Buys 3 and 4 before the last, sells 10: 7 Wh, at 20, while buyers pay 30."""
    sides = [(0, 3, 50), (1, 5, 10), (0, 4, 40), (1, 5, 11), (0, 9, 30), (1, 9, 20)]
    book = [BookRow(rank, *row, 0, 0, all_or_none=False, wanted=()) for rank, row in enumerate(sides)]
    found = reduce(book)
    assert found.buyers_price == 30
    assert found.pairs == [Pair(0, 1, 3, 20), Pair(2, 1, 1, 20), Pair(2, 3, 3, 20)]
    assert reduce(book[:2]).pairs == []
