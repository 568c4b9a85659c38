"""What the second verifier answers where a contract asks more of orders: what they want, or where in the grid they stand."""

from dataclasses import replace
from typing import Any

import pytest

from tests.second_verifier.evidence import evidence_of
from tests.second_verifier.facts import (
    END_S,
    START_S,
    ConditionFacts,
    FillFacts,
    OrderFacts,
    PositionFacts,
    ProfileFacts,
    ReadingFacts,
    TradeFacts,
)
from tests.second_verifier.story import ALONG_GRID, BOUGHT, CONDITIONAL, PLACED, POSITION, SOLD, Story
from tests.second_verifier.test_second_changes import words
from tests.second_verifier.test_second_pairs import gets, owes
from tests.second_verifier.told import Told
from tests.second_verifier.verify import verify

ANY, RENEWABLE = 2**11 - 1, 2**1 + 2**4 + 2**5 + 2**8 + 2**10
GAS, HYDRO, SOLAR = 2**3, 2**5, 2**8

# Rather of h2 at 310,000 than of what is renewable at 300,000, 600 Wh in all. h2 sells 700 Wh of a river.
PREFERRED = Story(
    contract=CONDITIONAL,
    gate_has_price=False,
    clearing_price=0,
    order=OrderFacts(price=310_000),
    conditions=(ConditionFacts(300, 310_000, seller="h2"), ConditionFacts(energy_kind="renewable")),
    fill=FillFacts(quantity_wh=300, price=310_000, filled_wh=300, asked=(0, 0, ANY, 1)),
    more_fills=(FillFacts(counter=2, filled_wh=300, asked=(0, 1, RENEWABLE, 0)),),
    others=(SOLD._replace(asked=(2, 0, HYDRO, 1)),),
    trades=(TradeFacts(300, 310_000), TradeFacts(300, buyer=(0, 2))),
    book=(
        (0, 0, 300, 310_000, 300, 0, 0, ANY, 1),
        (1, 0, 600, 300_000, 300, 0, 1, RENEWABLE, 0),
        (2, 1, 700, 100_000, 600, 2, 0, HYDRO, 1),
    ),
    position=owes(183_000_000),
    neighbour=gets(183_000_000),
)
# The same out of a batch: an aggregator says of h2 its number.
POOLED = replace(PREFERRED, is_placed=True, placed=PLACED._replace(wanted=((0, ANY, 2, 600), (1, RENEWABLE, 0, 600))))
# The same by the second part of a profile, in its third slot.
STANDING_BID = replace(PREFERRED, profile=ProfileFacts(), taken_up=(("profiles_have_conditions", True),))
# h1 sells 700 Wh of the sun from 100,000 on, and exports 900; h2 buys 600 of them at 300,000 and exports 800 itself.
ROOF = Story(
    contract=CONDITIONAL,
    gate_has_price=False,
    clearing_price=0,
    energy_kind="solar",
    order=OrderFacts(price=100_000, quantity_wh=700, side="sell"),
    fill=FillFacts(0, 1, 1, 700, 100_000, 600, (1, 0, SOLAR, 0)),
    others=(FillFacts(1, asked=(0, 0, SOLAR, 0)),),
    trades=(TradeFacts(buyer=(1, 1), seller=(0, 1)),),
    book=((0, 0, 600, 300_000, 600, 0, 0, SOLAR, 0), (1, 1, 700, 100_000, 600, 1, 0, SOLAR, 0)),
    start=ReadingFacts(START_S, 50_000),
    end=ReadingFacts(END_S, 50_000, 900, offset_ms=-80, quality=0x10),
    position=POSITION._replace(
        end_import=50_000,
        end_export=900,
        import_wh=0,
        export_wh=900,
        columns=(0, 600, 0, 180_000_000, -195_000_000, -45_000_000),
    ),
    neighbour=gets(0)._replace(columns=(600, 0, 180_000_000, 0, 116_000_000, -40_000_000)),
)
# h1 is at place 10, h2 at 20: they meet at 1, for 10,000, 5,000 and 20,000. h1 pays 300,000, of which h2 gets 265,000.
DISTANT = Story(
    contract=ALONG_GRID,
    gate_has_price=False,
    clearing_price=0,
    grid_place=10,
    fill=BOUGHT._replace(asked=(10,)),
    others=(SOLD._replace(asked=(20,)),),
    trades=(TradeFacts(price=265_000, fee=35_000),),
    book=((0, 0, 600, 300_000, 600, 10), (1, 1, 700, 100_000, 600, 20)),
    position=owes(159_000_000, 21_000_000),
    neighbour=gets(159_000_000, 0),
)
HONEST_ASKED = {
    "a bid with two conditions": PREFERRED,
    "a bid with two conditions in a batch": POOLED,
    "a bid with two conditions by a profile": STANDING_BID,
    "a buy without conditions in a batch with bids": replace(
        PREFERRED,
        is_placed=True,
        placed=PLACED._replace(wanted=((0, 0, 0, 0),)),
        conditions=(),
        fill=FillFacts(price=310_000, asked=(0, 0, ANY, 0)),
        more_fills=(),
        trades=(TradeFacts(price=310_000),),
        book=((0, 0, 600, 310_000, 600, 0, 0, ANY, 0), (1, 1, 700, 100_000, 600, 1, 0, HYDRO, 0)),
        others=(SOLD._replace(asked=(1, 0, HYDRO, 0)),),
        position=owes(186_000_000),
        neighbour=gets(186_000_000),
    ),
    "a sell of the kind of its point": ROOF,
    "a sell of a kind that its point had before the gate": replace(ROOF, late_point=("energy_kind", "gas")),
    "a sell of no known kind": replace(
        ROOF,
        energy_kind=None,
        fill=ROOF.fill._replace(asked=(1, 0, 1, 0)),
        others=(ROOF.others[0]._replace(asked=(0, 0, ANY, 0)),),
        book=((0, 0, 600, 300_000, 600, 0, 0, ANY, 0), (1, 1, 700, 100_000, 600, 1, 0, 1, 0)),
    ),
    "a sell of the kind of both points": replace(
        ROOF,
        sibling=PositionFacts(2, 0, 0, 0, 0, 0, 0, 0, (0, 0, 0, 0, 0, 0)),
        sibling_kind="solar",
    ),
    "a trade along the grid": DISTANT,
    "a buy at a place where its point was before the gate": replace(DISTANT, late_point=("grid_place", 20)),
}


def _second(**changes: Any) -> Story:
    """h1's second condition got something else."""
    return replace(PREFERRED, more_fills=(PREFERRED.more_fills[0]._replace(**changes),))


def _pooled(*wanted: tuple[int, ...], **changes: Any) -> Story:
    """The rows of h1's bid in the batch want something else."""
    return replace(POOLED, placed=POOLED.placed._replace(wanted=wanted, **changes))


def _placed(trade: TradeFacts, **changes: Any) -> Story:
    return replace(DISTANT, trades=(trade,), **changes)


ASKED_LIES = [
    ("the choice of another condition", "orders", _second(asked=(0, 0, RENEWABLE, 0))),
    ("more kinds than the condition takes", "orders", _second(asked=(0, 1, ANY, 0))),
    ("a seller whom the condition does not name", "orders", _second(asked=(0, 1, RENEWABLE, 1))),
    ("the conditions of one order as two bids", "orders", _second(asked=(1, 1, RENEWABLE, 0))),
    ("a condition without what was asked", "orders", _second(asked=())),
    (
        "more for all conditions than for the largest of them",
        "orders",
        replace(
            _second(filled_wh=301),
            volume_wh=601,
            trades=(TradeFacts(300, 310_000), TradeFacts(301, buyer=(0, 2))),
            position=POSITION._replace(columns=(601, 0, 183_300_000, 0, 348_960_000, 370_000_000)),
        ),
    ),
    ("conditions in a batch that sell", "shape", _pooled(*POOLED.placed.wanted, side=1)),
    ("a condition in a batch of more than its bid", "shape", _pooled((0, ANY, 2, 600), (1, RENEWABLE, 0, 599))),
    ("a fifth condition in a batch", "shape", _pooled((0, ANY, 2, 600), (4, RENEWABLE, 0, 600))),
    ("a condition in a batch for a kind that there is not", "shape", _pooled((0, ANY, 2, 600), (1, 2**11, 0, 600))),
    (
        "a row of a batch that is no condition and wants a seller",
        "shape",
        _pooled((0, 0, 2, 0), (1, RENEWABLE, 0, 600)),
    ),
    ("conditions in a batch of bids of two sizes", "orders", _pooled((0, ANY, 2, 600), (1, RENEWABLE, 0, 700))),
    (
        "conditions in a batch of two bids as one",
        "orders",
        replace(
            _pooled((0, ANY, 2, 600), (0, RENEWABLE, 0, 600)),
            more_fills=(PREFERRED.more_fills[0]._replace(asked=(0, 0, RENEWABLE, 0)),),
        ),
    ),
    (
        "conditions in a batch of one bid as two",
        "orders",
        replace(POOLED, more_fills=(PREFERRED.more_fills[0]._replace(asked=(1, 1, RENEWABLE, 0)),)),
    ),
    ("a condition in a batch that takes more kinds", "orders", _pooled((0, ANY, 2, 600), (1, ANY, 0, 600))),
    ("a condition in a batch that wants nobody", "orders", _pooled((0, ANY, 0, 600), (1, RENEWABLE, 0, 600))),
    (
        "more for all conditions in a batch than for the largest of them",
        "orders",
        replace(
            POOLED,
            more_fills=(PREFERRED.more_fills[0]._replace(filled_wh=301),),
            volume_wh=601,
            trades=(TradeFacts(300, 310_000), TradeFacts(301, buyer=(0, 2))),
            position=POSITION._replace(columns=(601, 0, 183_300_000, 0, 348_960_000, 370_000_000)),
        ),
    ),
    (
        "a profile with conditions in a zone that knows none",
        "orders",
        replace(STANDING_BID, taken_up=()),
    ),
    (
        "a fill of more kinds than the condition of a profile takes",
        "orders",
        replace(STANDING_BID, more_fills=(PREFERRED.more_fills[0]._replace(asked=(0, 1, ANY, 0)),)),
    ),
    (
        "the conditions of a profile's part as two bids",
        "orders",
        replace(STANDING_BID, more_fills=(PREFERRED.more_fills[0]._replace(asked=(1, 1, RENEWABLE, 0)),)),
    ),
    (
        "conditions of a profile that buy more together than the largest in the slot",
        "orders",
        replace(
            STANDING_BID,
            profile=ProfileFacts(quantities=(900, 0, 600, 700)),
            more_fills=(PREFERRED.more_fills[0]._replace(filled_wh=301),),
            volume_wh=601,
            trades=(TradeFacts(300, 310_000), TradeFacts(301, buyer=(0, 2))),
            position=POSITION._replace(columns=(601, 0, 183_300_000, 0, 348_960_000, 370_000_000)),
        ),
    ),
    ("a part of a profile with conditions that sells", "shape", replace(STANDING_BID, order=OrderFacts(side="sell"))),
    ("a part of a profile with five conditions", "shape", replace(STANDING_BID, conditions=(ConditionFacts(),) * 5)),
    (
        "a condition of a profile without a quantity",
        "shape",
        replace(
            STANDING_BID,
            profile=ProfileFacts(quantities=(0, 0, 0, 0)),
            conditions=(ConditionFacts(0), *PREFERRED.conditions[1:]),
        ),
    ),
    ("a sell of two kinds", "orders", replace(ROOF, fill=ROOF.fill._replace(asked=(1, 0, SOLAR + GAS, 0)))),
    ("a sell of no kind at all", "orders", replace(ROOF, fill=ROOF.fill._replace(asked=(1, 0, 0, 0)))),
    ("a sell of another kind than the point is of", "orders", replace(ROOF, energy_kind="gas")),
    ("a sell of a kind that the point is not known to be of", "orders", replace(ROOF, energy_kind=None)),
    (
        "a sell of a kind that another point of the party is not of",
        "orders",
        replace(ROOF, sibling=PositionFacts(2, 0, 0, 0, 0, 0, 0, 0, (0, 0, 0, 0, 0, 0)), sibling_kind="wind"),
    ),
    ("a buy at another place than the point", "orders", replace(DISTANT, grid_place=20)),
    ("a buy at a place that the point is not at", "orders", replace(DISTANT, grid_place=None)),
    ("a buy at no place", "orders", replace(DISTANT, grid_place=None, fill=BOUGHT._replace(asked=(0,)))),
    ("a fee of the trade that the fill has not", "orders", replace(DISTANT, fee_nano=20_999_999)),
    (
        "a fee below 0",
        "orders",
        _placed(TradeFacts(price=265_000, fee=-35_000), position=owes(159_000_000, -21_000_000)),
    ),
    (
        "a price beyond the limit with its fee",
        "orders",
        _placed(TradeFacts(price=265_001, fee=35_000), position=owes(159_000_600, 21_000_000)),
    ),
    ("a position that paid fewer fees", "orders", replace(DISTANT, position=owes(159_000_000, 20_999_999))),
    ("a trade without a fee", "orders", _placed(TradeFacts(price=265_000), fee_nano=21_000_000)),
]
BOOK_ASKED = [
    (
        "at the limit of the offer",
        replace(
            ROOF,
            trades=(ROOF.trades[0]._replace(price=100_000),),
            position=ROOF.position._replace(columns=(0, 600, 0, 60_000_000, -75_000_000, -45_000_000)),
        ),
    ),
    ("of a kind that nobody wanted", replace(ROOF, book=((0, 0, 600, 300_000, 600, 0, 0, GAS, 0), ROOF.book[1]))),
    (
        "with a choice before the first",
        replace(PREFERRED, book=((0, 0, 300, 310_000, 300, 0, 2, ANY, 1), *PREFERRED.book[1:])),
    ),
    ("at fees of another way", _placed(TradeFacts(price=270_000, fee=30_000), position=owes(162_000_000, 18_000_000))),
    (
        "with an order at a place that there is not",
        replace(DISTANT, book=(DISTANT.book[0], (1, 1, 700, 100_000, 600, 21))),
    ),
]
"""Chains that only the book refutes."""


@pytest.mark.parametrize("story", [pytest.param(story, id=name) for name, story in HONEST_ASKED.items()])
def test_honest_orders_are_verified_with_and_without_the_book(story: Story) -> None:
    of = evidence_of(Told(story))
    for book in (None, of.book_bytes):
        assert words(verify(of.bundle_bytes, of.trust_bytes, book)) == ("verified", None)


@pytest.mark.parametrize(("claim", "story"), [pytest.param(*lie[1:], id=lie[0]) for lie in ASKED_LIES])
def test_a_lie_about_what_is_asked_is_found_by_its_claim(claim: str, story: Story) -> None:
    of = evidence_of(Told(story))
    assert words(verify(of.bundle_bytes, of.trust_bytes, None)) == ("not_verified", claim)


@pytest.mark.parametrize("story", [pytest.param(story, id=name) for name, story in BOOK_ASKED])
def test_trades_that_do_not_follow_from_the_book_are_refuted_by_the_book_alone(story: Story) -> None:
    of = evidence_of(Told(story))
    assert words(verify(of.bundle_bytes, of.trust_bytes, None)) == ("verified", None)
    assert words(verify(of.bundle_bytes, of.trust_bytes, of.book_bytes)) == ("not_verified", "book")
