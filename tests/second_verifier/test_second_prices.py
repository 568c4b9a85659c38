"""What the second verifier answers where prices come from series, and where a point has rules of its own."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest

from tests.second_verifier.encoding import Item
from tests.second_verifier.evidence import HEADER, Evidence, evidence_of
from tests.second_verifier.facts import PositionFacts, SeriesFacts, TariffFacts
from tests.second_verifier.story import POSITION, SHARED, Story
from tests.second_verifier.test_second_changes import changed, words
from tests.second_verifier.told import Told
from tests.second_verifier.verify import verify

# Of the three quarter hours of the series the second is the slot's: h1 pays 400 x 310,000 instead of 400 x 300,000 for the rest.
RETAIL = SeriesFacts()
PRICED = Story(
    series=(RETAIL,),
    rules=TariffFacts(series=(("residual_price", "retail"),)),
    position=POSITION._replace(columns=(600, 0, 230_000_000, 380_000_000)),
)
# h1 has a supplier of its own: 400 x 250,000.
OWN_PRICES = Story(
    own_rules=TariffFacts(prices=(("residual_price", 250_000),)),
    position=POSITION._replace(columns=(600, 0, 206_000_000, 320_000_000)),
)
# What the community exchanges is at the area's prices, the network's charge at those of the point's own rules.
SHARED_AT_OWN_PRICES = replace(
    SHARED,
    own_rules=TariffFacts(prices=(("residual_price", 250_000), ("network_traded", 30_000))),
    position=POSITION._replace(columns=(800, 0, 200_000_000, 246_000_000, 320_000_000)),
)
WHOLESALE = SeriesFacts("wholesale", prices=(60_000, 305_000, 70_000))
BY_RETAIL = (("residual_price", "retail"),)


def at_price(price: int) -> PositionFacts:
    """What h1 owes where its residual 400 Wh cost this much for each kWh."""
    return POSITION._replace(columns=(600, 0, 106_000_000 + 400 * price, 70_000_000 + 1_000 * price))


def by_series(*series: SeriesFacts, price: int) -> Story:
    return replace(PRICED, series=series, position=at_price(price))


TWO_SERIES = replace(
    PRICED,
    series=(RETAIL, WHOLESALE),
    rules=TariffFacts(series=(("feed_in_price", "wholesale"), *BY_RETAIL)),
)
OWN_SERIES = replace(PRICED, rules=TariffFacts(), own_rules=TariffFacts(series=BY_RETAIL))
BOTH_SERIES = replace(
    OWN_SERIES, series=(RETAIL, WHOLESALE), rules=TariffFacts(series=(("residual_price", "wholesale"),))
)
CORRECTED = replace(PRICED, corrected=RETAIL._replace(from_s=9_000, prices=(250_000,)))
LATER_ENTRY = replace(PRICED, series=(RETAIL, RETAIL._replace(from_s=9_001, prices=(250_000,))))
# The feed-in price of the slot is above the retail price: the community exchanges at its own prices.
REFUSED_EXCHANGE = replace(SHARED, series=(RETAIL,), rules=TariffFacts(series=(("feed_in_price", "retail"),)))
# 800 x (310,000 + 50,000) / 2 and 200 x 310,000 for energy.
PRICED_EXCHANGE = replace(
    SHARED,
    series=(RETAIL,),
    rules=TariffFacts(series=BY_RETAIL),
    position=POSITION._replace(columns=(800, 0, 206_000_000, 244_000_000, 380_000_000)),
)

HONEST_PRICES = {
    "a price by a series": PRICED,
    "a price by a series of hours": by_series(RETAIL._replace(slot_s=3_600), price=280_000),
    "a price by the last value of a series": by_series(RETAIL._replace(prices=(280_000, 310_000)), price=310_000),
    "a series that ended before the slot": by_series(RETAIL._replace(prices=(280_000,)), price=300_000),
    "a price at the edge of what the contract takes": by_series(RETAIL._replace(prices=(0, 310_000)), price=310_000),
    "a price that the contract does not take": by_series(RETAIL._replace(prices=(0, 310_001)), price=300_000),
    "two prices by series": TWO_SERIES,
    "a series with an entry that begins later": LATER_ENTRY,
    "a price that is corrected after the run": CORRECTED,
    "rules of a point's own": OWN_PRICES,
    "a series of a point's own rules": OWN_SERIES,
    "series of the area's rules and of a point's own": BOTH_SERIES,
    "a community with a point at prices of its own": SHARED_AT_OWN_PRICES,
    "a community at the prices of the slot": PRICED_EXCHANGE,
    "a community whose prices of the slot the contract does not take": REFUSED_EXCHANGE,
}

PRICE_LIES: list[tuple[str, str, Story]] = [
    ("the price of the slot before", "lines", by_series(RETAIL, price=280_000)),
    ("the price of the slot after", "lines", by_series(RETAIL, price=290_000)),
    ("the rules' own price in place of that of a series", "lines", by_series(RETAIL, price=300_000)),
    ("the value of another series", "lines", replace(TWO_SERIES, position=at_price(305_000))),
    ("a price by the length of the chain's slots", "lines", by_series(RETAIL._replace(slot_s=3_600), price=310_000)),
    (
        "the last value of a series that has ended",
        "lines",
        by_series(RETAIL._replace(prices=(280_000,)), price=280_000),
    ),
    (
        "a price that the contract does not take and was billed",
        "lines",
        by_series(RETAIL._replace(prices=(0, 310_001)), price=310_001),
    ),
    ("a price of an entry that begins later", "lines", replace(LATER_ENTRY, position=at_price(250_000))),
    ("a price of an entry that was recorded after the run", "lines", replace(CORRECTED, position=at_price(250_000))),
    (
        "an entry of a series that another one replaces",
        "registry",
        by_series(RETAIL, RETAIL._replace(from_s=9_000, prices=(250_000,)), price=310_000),
    ),
    ("a series that begins later", "registry", by_series(RETAIL._replace(from_s=9_001), price=300_000)),
    ("the area's price for a point with rules of its own", "lines", replace(OWN_PRICES, position=POSITION)),
    (
        "the price of the area's series for a point with its own",
        "lines",
        replace(BOTH_SERIES, position=at_price(305_000)),
    ),
    ("rules of another point", "registry", replace(OWN_PRICES, rewritten=("point/p1", "rules", "r2"))),
    (
        "rules of its own that the point does not name",
        "registry",
        replace(OWN_PRICES, rewritten=("point/p1", "rules", None)),
    ),
    (
        "rules of its own that the contract does not take",
        "lines",
        replace(OWN_PRICES, own_rules=TariffFacts((("residual_price", 310_001),)), position=at_price(310_001)),
    ),
    (
        "rules with a price beyond its bound",
        "lines",
        replace(OWN_PRICES, own_rules=TariffFacts((("feed_in_price", 10**9 + 1), ("residual_price", 250_000)))),
    ),
    (
        "rules of the area that the contract does not take",
        "lines",
        replace(OWN_PRICES, rules=TariffFacts((("surplus_price", 50_001),))),
    ),
    (
        "a community's exchange at a point's own prices",
        "lines",
        replace(
            SHARED_AT_OWN_PRICES,
            position=POSITION._replace(columns=(800, 0, 170_000_000, 216_000_000, 320_000_000)),
        ),
    ),
    (
        "a network charge at the area's prices",
        "lines",
        replace(
            SHARED_AT_OWN_PRICES,
            position=POSITION._replace(columns=(800, 0, 200_000_000, 238_000_000, 320_000_000)),
        ),
    ),
    ("a community's exchange at another slot's prices", "lines", replace(PRICED_EXCHANGE, position=SHARED.position)),
    (
        "a series of a price that the contract has not",
        "shape",
        replace(PRICED, rules=TariffFacts(series=(("x", "retail"),)), position=POSITION),
    ),
    (
        "a series with a price beyond its bound",
        "shape",
        by_series(RETAIL._replace(prices=(0, 10**9 + 1)), price=300_000),
    ),
    ("a series without a price", "shape", by_series(RETAIL._replace(prices=()), price=300_000)),
    ("a series of slots without a length", "shape", by_series(RETAIL._replace(slot_s=0), price=300_000)),
]


@lru_cache(maxsize=4)
def _told(story: Story) -> Told:
    return Told(story)


def evidence_by(story: Story) -> Evidence:
    return evidence_of(_told(story))


def _entry(story: Story, key: str, number: int) -> Item:
    told = _told(story)
    return dict(told.chain.opened([row for row in told.genesis_rows if row.key == key][number], HEADER))


def _corrected_entry() -> Item:
    told = _told(CORRECTED)
    assert told.corrected is not None
    return dict(told.chain.opened(told.corrected, HEADER))


Change = Callable[[Any], object]  # of the bundle's map, in place
PRICE_CHANGES: list[tuple[str, str, Story, Change]] = [
    ("no series", "registry", PRICED, lambda bundle: bundle.pop("series")),
    ("an empty list of series", "shape", PRICED, lambda bundle: bundle["series"].clear()),
    ("twenty-five series", "shape", PRICED, lambda bundle: bundle.update(series=bundle["series"] * 25)),
    ("the series twice", "registry", PRICED, lambda bundle: bundle.update(series=bundle["series"] * 2)),
    ("the series in another order", "registry", TWO_SERIES, lambda bundle: bundle["series"].reverse()),
    ("one of two series", "registry", TWO_SERIES, lambda bundle: bundle["series"].pop()),
    (
        "a series that the rules do not name",
        "registry",
        replace(PRICED, series=(RETAIL, WHOLESALE)),
        lambda bundle: bundle["series"].append(
            _entry(replace(PRICED, series=(RETAIL, WHOLESALE)), "price_series/wholesale", 0)
        ),
    ),
    (
        "another series in place of that of the rules",
        "registry",
        replace(PRICED, series=(RETAIL, WHOLESALE)),
        lambda bundle: bundle.update(
            series=[_entry(replace(PRICED, series=(RETAIL, WHOLESALE)), "price_series/wholesale", 0)]
        ),
    ),
    ("rules in place of a series", "registry", PRICED, lambda bundle: bundle.update(series=[bundle["rules"]])),
    ("a series of another state", "registry", PRICED, lambda bundle: bundle["series"][0]["path"].pop()),
    ("a series with another salt", "registry", PRICED, lambda bundle: bundle["series"][0].update(salt=bytes(16))),
    (
        "an entry of a series that is not yet in force",
        "registry",
        LATER_ENTRY,
        lambda bundle: bundle.update(series=[_entry(LATER_ENTRY, "price_series/retail", 1)]),
    ),
    (
        "an entry of a series that was recorded after the run",
        "registry",
        CORRECTED,
        lambda bundle: bundle.update(series=[_corrected_entry()]),
    ),
    ("no rules of the point's own", "registry", OWN_PRICES, lambda bundle: bundle.pop("point_rules")),
    (
        "the area's rules in place of the point's own",
        "registry",
        OWN_PRICES,
        lambda bundle: bundle.update(point_rules=bundle["rules"]),
    ),
    (
        "rules of its own for a point that names none",
        "registry",
        PRICED,
        lambda bundle: bundle.update(point_rules=bundle["rules"]),
    ),
    (
        "the point's own rules in place of the area's",
        "registry",
        OWN_PRICES,
        lambda bundle: bundle.update(rules=bundle["point_rules"]),
    ),
    (
        "a price series in place of the point's own rules",
        "registry",
        OWN_SERIES,
        lambda bundle: bundle.update(point_rules=bundle["series"][0]),
    ),
]


@pytest.mark.parametrize("story", [pytest.param(story, id=name) for name, story in HONEST_PRICES.items()])
def test_honest_prices_are_verified(story: Story) -> None:
    of = evidence_by(story)
    assert words(verify(of.bundle_bytes, of.trust_bytes, None)) == ("verified", None)


@pytest.mark.parametrize(("claim", "story"), [pytest.param(claim, story, id=name) for name, claim, story in PRICE_LIES])
def test_certified_lie_about_a_price_is_not_verified(claim: str, story: Story) -> None:
    of = evidence_by(story)
    assert words(verify(of.bundle_bytes, of.trust_bytes, None)) == ("not_verified", claim)


@pytest.mark.parametrize(
    ("claim", "story", "change"),
    [pytest.param(claim, story, change, id=name) for name, claim, story, change in PRICE_CHANGES],
)
def test_bundle_with_other_prices_is_not_verified(claim: str, story: Story, change: Change) -> None:
    of = evidence_by(story)
    assert words(verify(changed(of, change), of.trust_bytes, None)) == ("not_verified", claim)
