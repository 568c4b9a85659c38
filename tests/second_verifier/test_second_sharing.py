"""What the second verifier answers about a community that shares by keys."""

from dataclasses import replace

import pytest

from tests.second_verifier.evidence import evidence_of
from tests.second_verifier.facts import PositionFacts, TermsFacts
from tests.second_verifier.story import END, KEYED, NEIGHBOUR, POSITION, Story
from tests.second_verifier.test_second_changes import words
from tests.second_verifier.told import Told
from tests.second_verifier.verify import verify

# Of the 800 Wh of h2 the keys of h1 and h2, 50 % and 10 %, give 480: 400 to h1, and 80 to h2, who imports nothing. h1 owes 400 x 100,000
# and 600 x 300,000 for energy, 400 x 20,000 and 600 x 60,000 for network, 1,000 x 10,000 levy.
BY_KEYS = Story(
    contract=KEYED,
    share_ppm=500_000,
    position=POSITION._replace(columns=(400, 0, 274_000_000, 370_000_000)),
    neighbour=NEIGHBOUR._replace(columns=(0, 400, -60_000_000, -40_000_000)),
    area_columns=(800, 1_000, 400, 600_000),
)
# h1 takes the 80 Wh of h2's key too.
REALLOCATED = replace(
    BY_KEYS,
    terms=TermsFacts("static_reallocated"),
    position=POSITION._replace(columns=(480, 0, 254_800_000, 370_000_000)),
    neighbour=NEIGHBOUR._replace(columns=(0, 480, -64_000_000, -40_000_000)),
    area_columns=(800, 1_000, 480, 600_000),
)
# Others of the area take 1,400 Wh, so that h1 is given 1,000 / 2,400 of the 800: 333 or 334 Wh.
DYNAMIC = replace(
    BY_KEYS,
    terms=TermsFacts("dynamic"),
    position=POSITION._replace(columns=(333, 0, 290_080_000, 370_000_000)),
    neighbour=NEIGHBOUR._replace(columns=(0, 800, -80_000_000, -40_000_000)),
    area_columns=(800, 2_400, 800, 600_000),
)
# The same with h1 served first.
FIRST_SERVED = replace(
    DYNAMIC,
    terms=TermsFacts("priority"),
    priority=1,
    position=POSITION._replace(columns=(800, 0, 178_000_000, 370_000_000)),
)
# Suppliers bill the rest: h1 owes 400 x 100,000 for energy, 400 x 20,000 for network, 400 x 10,000 levy.
SHARED_ALONE = replace(
    BY_KEYS,
    terms=TermsFacts(settle_residual=False),
    position=POSITION._replace(columns=(400, 0, 52_000_000, 148_000_000)),
    neighbour=NEIGHBOUR._replace(columns=(0, 400, -40_000_000, -20_000_000)),
)
# h1 feeds in 800 of the area's 1,600 Wh, of which 401 are shared: 200 or 201 are its own. It gets 201 x 100,000 and 599 x 50,000.
GIVER = replace(
    BY_KEYS,
    end=END._replace(import_wh=50_000, export_wh=800),
    position=POSITION._replace(
        end_import=50_000,
        end_export=800,
        import_wh=0,
        export_wh=800,
        columns=(0, 201, -50_050_000, -40_000_000),
    ),
    neighbour=NEIGHBOUR._replace(columns=(0, 200, -50_000_000, -40_000_000)),
    area_columns=(1_600, 1_000, 401, 600_000),
)


def given(bought_wh: int) -> PositionFacts:
    """What h1 owes that imports 1,000 Wh and is given these: 370,000 for each kWh, less 240,000 for what is shared."""
    return POSITION._replace(columns=(bought_wh, 0, 370_000_000 - 240_000 * bought_wh, 370_000_000))


def fed_in(sold_wh: int) -> PositionFacts:
    """What h1 gets that feeds in 800 Wh, of which these are shared."""
    return GIVER.position._replace(columns=(0, sold_wh, -40_000_000 - 50_000 * sold_wh, -40_000_000))


def _with(story: Story, bought_wh: int, *area_columns: int) -> Story:
    return replace(story, position=given(bought_wh), area_columns=area_columns or story.area_columns)


HONEST_SHARING = {
    "static keys": BY_KEYS,
    "static keys of more than the whole": _with(BY_KEYS, 267, 800, 1_000, 267, 1_500_000),
    "a static share that is rounded down": _with(BY_KEYS, 399, 800, 1_000, 399, 600_001),
    "a static share that is rounded up": _with(BY_KEYS, 400, 800, 1_000, 400, 600_001),
    "a static share above the import": _with(BY_KEYS, 1_000, 4_000, 1_000, 1_000, 600_000),
    "static keys and a point without one": replace(_with(BY_KEYS, 0, 800, 1_000, 0, 100_000), share_ppm=None),
    "a community without keys": replace(_with(BY_KEYS, 0, 800, 1_000, 0, 0), share_ppm=None),
    "static keys of which the rest is given again": REALLOCATED,
    "a share by the energy taken": DYNAMIC,
    "a share by the energy taken that is rounded up": _with(DYNAMIC, 334),
    "a point that is served first": FIRST_SERVED,
    "a point that is served last": replace(_with(FIRST_SERVED, 0), priority=None),
    "a community that serves all": _with(FIRST_SERVED, 1_000, 3_000, 2_400, 2_400, 600_000),
    "suppliers that bill the rest": SHARED_ALONE,
    "a share of a point that feeds in": GIVER,
    "a share of a point that feeds in, rounded down": replace(GIVER, position=fed_in(200)),
    "a community that settles the rest as its terms say": replace(BY_KEYS, terms=TermsFacts(settle_residual=True)),
}

SHARING_LIES: list[tuple[str, str, Story]] = [
    ("a watt-hour more than the static share", "lines", _with(BY_KEYS, 401, 800, 1_000, 401, 600_000)),
    ("a watt-hour less than the static share", "lines", _with(BY_KEYS, 399)),
    ("a share by a key above the one registered", "lines", _with(BY_KEYS, 480, 800, 1_000, 480, 600_000)),
    ("a key above those of all", "lines", _with(BY_KEYS, 399, 800, 1_000, 399, 499_999)),
    ("more for one point than for all", "lines", _with(BY_KEYS, 400, 800, 1_000, 399, 600_000)),
    ("more for one point than for all by number", "lines", _with(FIRST_SERVED, 801, 800, 2_400, 800, 600_000)),
    ("a share without a key", "lines", replace(BY_KEYS, share_ppm=None)),
    ("more of the rest than the community has", "lines", _with(REALLOCATED, 481, 800, 1_000, 481, 600_000)),
    ("a part of the rest without a key", "lines", replace(REALLOCATED, share_ppm=None)),
    ("less than the share before the rest", "lines", _with(REALLOCATED, 399)),
    ("more of the rest than the point takes", "lines", _with(REALLOCATED, 1_001, 4_000, 1_001, 1_001, 600_000)),
    ("keys where the terms say by the energy taken", "lines", replace(BY_KEYS, terms=TermsFacts("dynamic"))),
    ("more than the share of the energy taken", "lines", _with(DYNAMIC, 335)),
    ("less than the share of the energy taken", "lines", _with(DYNAMIC, 332)),
    ("more shared than was fed in", "lines", _with(DYNAMIC, 334, 800, 2_400, 801, 600_000)),
    ("less shared than was fed in and taken", "lines", _with(DYNAMIC, 332, 800, 2_400, 799, 600_000)),
    ("more shared by number than was fed in", "lines", _with(FIRST_SERVED, 801, 800, 2_400, 801, 600_000)),
    ("less shared by number than was fed in", "lines", _with(FIRST_SERVED, 799, 800, 2_400, 799, 600_000)),
    ("a point that is not served where all are", "lines", _with(FIRST_SERVED, 999, 3_000, 2_400, 2_400, 600_000)),
    ("a point that is served more than it takes", "lines", _with(FIRST_SERVED, 1_001, 1_500, 2_400, 1_500, 600_000)),
    ("an import above that of all", "lines", _with(BY_KEYS, 400, 800, 999, 400, 600_000)),
    ("an export above that of all", "lines", replace(GIVER, area_columns=(799, 1_000, 401, 600_000))),
    ("a watt-hour more of what was fed in", "lines", replace(GIVER, position=fed_in(202))),
    ("a watt-hour less of what was fed in", "lines", replace(GIVER, position=fed_in(199))),
    ("the rest billed where suppliers bill it", "lines", replace(BY_KEYS, terms=TermsFacts(settle_residual=False))),
    ("the rest not billed where the community bills it", "lines", replace(SHARED_ALONE, terms=TermsFacts())),
    (
        "a price for what is shared that the terms do not say",
        "lines",
        replace(BY_KEYS, terms=TermsFacts(trade_price=99_999)),
    ),
    (
        "a price for what is shared beyond its bound",
        "lines",
        replace(
            BY_KEYS,
            terms=TermsFacts(trade_price=10**9 + 1),
            position=POSITION._replace(columns=(400, 0, 400_234_000_400, 370_000_000)),
        ),
    ),
    ("a method that the contract has not", "lines", replace(BY_KEYS, terms=TermsFacts("lottery"))),
    ("an area row without the sum of keys", "position", replace(BY_KEYS, area_columns=(800, 1_000, 400))),
    ("a key beyond the whole", "shape", replace(BY_KEYS, share_ppm=1_000_001)),
    ("a number of priority beyond its bound", "shape", replace(FIRST_SERVED, priority=1_000_001)),
]


@pytest.mark.parametrize("story", [pytest.param(story, id=name) for name, story in HONEST_SHARING.items()])
def test_honest_sharing_is_verified(story: Story) -> None:
    of = evidence_of(Told(story))
    assert words(verify(of.bundle_bytes, of.trust_bytes, None)) == ("verified", None)


@pytest.mark.parametrize(
    ("claim", "story"), [pytest.param(claim, story, id=name) for name, claim, story in SHARING_LIES]
)
def test_certified_lie_about_sharing_is_not_verified(claim: str, story: Story) -> None:
    of = evidence_of(Told(story))
    assert words(verify(of.bundle_bytes, of.trust_bytes, None)) == ("not_verified", claim)
