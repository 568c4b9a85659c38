"""What the second verifier answers about points that have agreements."""

from dataclasses import replace

import pytest

from tests.second_verifier.evidence import evidence_of
from tests.second_verifier.facts import AgreementFacts, PositionFacts, SeriesFacts
from tests.second_verifier.story import AGREED, END, KEYED, NEIGHBOUR, POSITION, Story
from tests.second_verifier.test_second_changes import changed, words
from tests.second_verifier.test_second_prices import Change
from tests.second_verifier.told import Told
from tests.second_verifier.verify import verify

FIXED = AgreementFacts("a", "fixed_quantity", 200_000, quantity_wh=500)
SHARE = AgreementFacts("b", "pay_as_produced", 150_000, share_ppm=500_000)
HEDGE = AgreementFacts("c", "difference", 260_000, quantity_wh=2_000, series="retail")
RETAIL = SeriesFacts()
SOLD = NEIGHBOUR._replace(columns=(0, 0, 0, 0, 0, 0, -40_000_000, -40_000_000))


def owes(bought_wh: int, bought_nano: int, difference_wh: int = 0, difference_nano: int = 0) -> PositionFacts:
    """What h1 owes that imports 1,000 Wh: 370,000 for each kWh, for what is agreed 340,000 less and its price."""
    pays = 370_000_000 - 340_000 * bought_wh + bought_nano + difference_nano
    return POSITION._replace(columns=(bought_wh, 0, bought_nano, 0, difference_wh, difference_nano, pays, 370_000_000))


def story(position: PositionFacts, *agreements: AgreementFacts, series: tuple[SeriesFacts, ...] = ()) -> Story:
    """h1 has these agreements."""
    return Story(contract=AGREED, position=position, neighbour=SOLD, agreements=agreements, series=series)


ONE = story(owes(500, 100_000_000), FIXED)
TWO = story(owes(800, 145_000_000), FIXED, SHARE)
# Strike 260,000 against 310,000 of the slot: h1 is paid 50,000 for each of 2,000 Wh.
HEDGED = story(owes(500, 100_000_000, 2_000, -100_000_000), FIXED, HEDGE, series=(RETAIL,))
SPOT = story(owes(500, 155_000_000), FIXED._replace(series="retail"), series=(RETAIL,))
# h1 sells: 800 Wh exported, half of it agreed; a share of a difference that it sells is exact, one that it buys is not.
SELLER = replace(
    story(
        POSITION._replace(
            end_import=50_000,
            end_export=800,
            import_wh=0,
            export_wh=800,
            columns=(0, 400, 0, 60_000_000, 200, 10_000_000, -70_000_000, -40_000_000),
        ),
        SHARE._replace(buyer="h2", buyer_point="p2", seller="h1", seller_point="p1"),
        HEDGE._replace(
            buyer="h2", buyer_point="p2", seller="h1", seller_point="p1", quantity_wh=None, share_ppm=250_000
        ),
        series=(RETAIL,),
    ),
    end=END._replace(import_wh=50_000, export_wh=800),
)
HONEST = {
    "a fixed quantity": ONE,
    "no agreement": story(owes(0, 0)),
    "less than was agreed": story(owes(400, 80_000_000), FIXED),
    "two agreements": TWO,
    "two agreements of which one gave less": story(owes(700, 130_000_000), FIXED, SHARE),
    "a difference beside energy": HEDGED,
    "a price by a series": SPOT,
    "a price behind the end of its series": story(
        owes(500, 100_000_000), FIXED._replace(series="retail"), series=(RETAIL._replace(prices=(1,)),)
    ),
    "a seller": SELLER,
    "a share of a difference that another exports": story(
        owes(0, 0, 300, -15_000_000), HEDGE._replace(quantity_wh=None, share_ppm=1), series=(RETAIL,)
    ),
    "a difference that nobody could owe": story(
        owes(0, 0), HEDGE._replace(quantity_wh=10**9, price=-(10**9)), series=(RETAIL,)
    ),
}
LIES = [
    ("more energy than was agreed", "lines", story(owes(501, 100_200_000), FIXED)),
    ("more energy than was metered", "lines", story(owes(1_001, 200_200_000), FIXED._replace(quantity_wh=5_000))),
    ("energy at another price", "lines", story(owes(500, 100_000_001), FIXED)),
    ("two agreements dearer than the dearer one allows", "lines", story(owes(800, 145_000_001), FIXED, SHARE)),
    ("two agreements cheaper than the cheaper one allows", "lines", story(owes(800, 119_999_999), FIXED, SHARE)),
    ("energy without an agreement", "lines", story(owes(500, 100_000_000))),
    (
        "a difference of less than was agreed",
        "lines",
        replace(HEDGED, position=owes(500, 100_000_000, 1_999, -99_950_000)),
    ),
    ("a difference the wrong way round", "lines", replace(HEDGED, position=owes(500, 100_000_000, 2_000, 100_000_000))),
    (
        "a difference that nobody could owe, billed",
        "lines",
        story(
            owes(0, 0, 10**9, -(10**9 + 310_000) * 10**9),
            HEDGE._replace(quantity_wh=10**9, price=-(10**9)),
            series=(RETAIL,),
        ),
    ),
    ("a difference without a reference price", "lines", replace(HEDGED, series=(RETAIL._replace(prices=(1,)),))),
    ("an agreement of others", "registry", story(owes(500, 100_000_000), FIXED._replace(buyer_point="p3"))),
    (
        "an agreement of another party at the point",
        "registry",
        story(owes(500, 100_000_000), FIXED._replace(buyer="h2")),
    ),
    ("an agreement that is over", "registry", story(owes(500, 100_000_000), FIXED._replace(is_over=True))),
    ("an agreement that begins later", "registry", story(owes(500, 100_000_000), FIXED._replace(from_s=9_001))),
    ("a quantity and a share", "shape", story(owes(500, 100_000_000), FIXED._replace(share_ppm=5))),
    ("a share of more than all", "shape", story(owes(500, 100_000_000), SHARE._replace(share_ppm=1_000_001))),
    ("an agreement with itself", "shape", story(owes(500, 100_000_000), FIXED._replace(seller_point="p1"))),
    (
        "agreements under another contract",
        "lines",
        replace(
            Story(
                contract=KEYED,
                share_ppm=500_000,
                position=POSITION._replace(columns=(400, 0, 274_000_000, 370_000_000)),
                area_columns=(800, 1_000, 400, 600_000),
            ),
            agreements=(FIXED,),
        ),
    ),
]
CHANGES: list[tuple[str, str, Story, Change]] = [
    ("no agreements", "lines", ONE, lambda bundle: bundle.pop("agreements")),
    ("an empty list of agreements", "shape", ONE, lambda bundle: bundle["agreements"].clear()),
    ("nine agreements", "shape", ONE, lambda bundle: bundle.update(agreements=bundle["agreements"] * 9)),
    ("an agreement twice", "registry", ONE, lambda bundle: bundle.update(agreements=bundle["agreements"] * 2)),
    ("agreements in another order", "registry", TWO, lambda bundle: bundle["agreements"].reverse()),
    ("one of two agreements", "lines", TWO, lambda bundle: bundle["agreements"].pop()),
    ("rules in place of an agreement", "registry", ONE, lambda bundle: bundle.update(agreements=[bundle["rules"]])),
    ("without the reference price", "registry", HEDGED, lambda bundle: bundle.pop("series")),
]


@pytest.mark.parametrize("story", [pytest.param(story, id=name) for name, story in HONEST.items()])
def test_honest_agreements_are_verified(story: Story) -> None:
    of = evidence_of(Told(story))
    assert words(verify(of.bundle_bytes, of.trust_bytes, None)) == ("verified", None)


@pytest.mark.parametrize(("claim", "story"), [pytest.param(claim, story, id=name) for name, claim, story in LIES])
def test_certified_lie_about_an_agreement_is_not_verified(claim: str, story: Story) -> None:
    of = evidence_of(Told(story))
    assert words(verify(of.bundle_bytes, of.trust_bytes, None)) == ("not_verified", claim)


@pytest.mark.parametrize(
    ("claim", "story", "change"),
    [pytest.param(claim, story, change, id=name) for name, claim, story, change in CHANGES],
)
def test_bundle_with_other_agreements_is_not_verified(claim: str, story: Story, change: Change) -> None:
    of = evidence_of(Told(story))
    assert words(verify(changed(of, change), of.trust_bytes, None)) == ("not_verified", claim)
