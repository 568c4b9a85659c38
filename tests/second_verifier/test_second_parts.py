"""What the second verifier answers about a slot inside which a meter is put up, or taken down."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.second_verifier.evidence import evidence_of
from tests.second_verifier.story import CAME, LEFT, RESET, SUBSTITUTED, Story
from tests.second_verifier.test_second_changes import changed, words
from tests.second_verifier.told import Told
from tests.second_verifier.verify import verify

HONEST_PARTS = {
    "a meter taken down inside the slot": LEFT,
    "a meter put up inside the slot": CAME,
    "a register that nobody read": SUBSTITUTED,
}


def _placed(story: Story, **changes: Any) -> Story:
    return replace(story, position=story.position._replace(**changes))


PART_LIES: list[tuple[str, str, Story]] = [
    ("a meter taken down in a zone that measures no parts", "registry", replace(LEFT, measures_part_slots=False)),
    ("a meter put up in a zone that measures no parts", "registry", replace(CAME, measures_part_slots=False)),
    ("a meter taken down behind the slot", "registry", replace(LEFT, leaves_s=9_901)),
    ("a meter taken down where the slot ends", "registry", replace(LEFT, leaves_s=9_900)),
    ("a meter put up where the slot begins", "registry", replace(CAME, comes_s=9_000)),
    ("a meter put up where the slot ends", "registry", replace(CAME, comes_s=9_900)),
    (
        "a meter taken down without its registers",
        "registry",
        replace(LEFT, rewritten=("installation/1", "final_registers", None)),
    ),
    (
        "a meter put up without its registers",
        "registry",
        replace(CAME, rewritten=("installation/1", "first_registers", None)),
    ),
    ("a meter put up at another point", "registry", replace(CAME, rewritten=("installation/1", "point", "p2"))),
    ("a register at the end of a meter taken down", "energy", _placed(LEFT, end_import=51_000, end_export=0)),
    ("a register at the begin of a meter put up", "energy", _placed(CAME, start_import=50_000, start_export=0)),
    ("more energy than the meter counted until it was taken down", "energy", replace(LEFT, end=LEFT.end, limit_wh=999)),
    ("another quality of a meter taken down", "readings", _placed(LEFT, quality=2)),
]
PART_CHANGES: list[tuple[str, str, Story, Callable[[dict[str, Any]], Any]]] = [
    (
        "what a meter counted behind a break is left out",
        "registry",
        replace(RESET, measures_part_slots=True),
        lambda b: b["pieces"].pop(),
    ),
    (
        "what a meter counted before a break is left out",
        "registry",
        replace(RESET, measures_part_slots=True),
        lambda b: b["pieces"].pop(0),
    ),
    ("neither end of a part is read", "shape", LEFT, lambda b: b["pieces"][0].pop("start")),
]


@pytest.mark.parametrize("story", [pytest.param(story, id=name) for name, story in HONEST_PARTS.items()])
def test_a_part_of_a_slot_is_verified(story: Story) -> None:
    evidence = evidence_of(Told(story))
    assert verify(evidence.bundle_bytes, evidence.trust_bytes, None).answer == "verified"


@pytest.mark.parametrize(("claim", "story"), [pytest.param(claim, story, id=name) for name, claim, story in PART_LIES])
def test_a_lie_about_a_part_of_a_slot_is_not_verified(claim: str, story: Story) -> None:
    evidence = evidence_of(Told(story))
    assert words(verify(evidence.bundle_bytes, evidence.trust_bytes, None)) == ("not_verified", claim)


@pytest.mark.parametrize(("claim", "story", "change"), [pytest.param(*rest, id=name) for name, *rest in PART_CHANGES])
def test_a_part_that_is_shown_otherwise_is_not_verified(
    claim: str, story: Story, change: Callable[[dict[str, Any]], Any]
) -> None:
    evidence = evidence_of(Told(story))
    assert words(verify(changed(evidence, change), evidence.trust_bytes, None)) == ("not_verified", claim)
