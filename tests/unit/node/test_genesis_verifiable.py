"""Whatever passes as a genesis, the stand-alone verifier takes: both files state the forms, and here they are held together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore import verify
from gridcore.envelope import NAME
from gridcore.errors import UsageError
from gridcore.genesis import decode_genesis
from ledger.genesis import SIGNERS_MAX, check_genesis
from ledger.leaves.chain import CHAIN_NAME_PATTERN
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium
from tests.worlds.two_areas import TWO_AREAS

TEXTS = st.text(max_size=70) | st.text("aZ0._-/ é\x00\x7f\x85\u2028\n", max_size=66)
NAMES = st.from_regex(NAME, fullmatch=True)
CHAIN_NAMES = st.from_regex(CHAIN_NAME_PATTERN, fullmatch=True).filter(str.isprintable)
SHAPES = {
    "chain": verify.CHAIN,
    "gateway": verify.GATEWAY,
    "installation": verify.INSTALLATION,
    "rules": verify.RULES,
    "signer": verify.SIGNER,
}


def is_genesis(consortium: Consortium) -> bool:
    """Whether it passes from its bytes on, as the node reads it."""
    try:
        check_genesis(decode_genesis(consortium.genesis_file))
    except UsageError:
        return False
    return True


def check_against_the_verifier(consortium: Consortium) -> None:
    """The chain id, and every leaf that a bundle can hold, have the form that the verifier wants; a feeder is never in a bundle."""
    verify.conform(consortium.chain, verify.HEADER[1], "the chain id")
    assert "/" not in consortium.chain
    assert consortium.chain.isprintable()
    kinds = set()
    for key, value in consortium.leaves().items():
        kind = key.split("/")[0]
        if kind in SHAPES and value.get("role") != "feeder":
            verify.conform(value, SHAPES[kind], key)
            kinds.add(kind)
    assert kinds == set(SHAPES)


def with_meter(**changes: Any) -> Consortium:
    """The first meter is another one."""
    return replace(TWO_AREAS, meters=[replace(TWO_AREAS.meters[0], **changes), *TWO_AREAS.meters[1:]])


def with_protection(text: str) -> Consortium:
    """The first gateway's key is kept otherwise."""
    return replace(TWO_AREAS, gateways=[replace(TWO_AREAS.gateways[0], protection=text), *TWO_AREAS.gateways[1:]])


@given(CHAIN_NAMES)
def test_every_printable_chain_name_is_allowed_and_verifies(name: str) -> None:
    assert is_genesis(replace(TWO_AREAS, name=name))
    check_against_the_verifier(replace(TWO_AREAS, name=name))


@given(NAMES)
def test_every_name_is_allowed_where_a_leaf_names_something_and_verifies(name: str) -> None:
    for consortium in (with_meter(meter=name, point=name, profile=name), with_protection(name)):
        assert is_genesis(consortium)
        check_against_the_verifier(consortium)


@given(TEXTS)
def test_a_text_that_is_no_name_is_refused_by_the_genesis(text: str) -> None:
    fits = NAME.fullmatch(text) is not None
    for consortium in (with_meter(meter=text), with_meter(point=text), with_meter(profile=text), with_protection(text)):
        assert is_genesis(consortium) is fits
    assert is_genesis(replace(TWO_AREAS, name=text)) is (
        CHAIN_NAME_PATTERN.fullmatch(text) is not None and text.isprintable()
    )


@pytest.mark.parametrize("name", ["test-", "n" * 40, "上海 1"])
def test_a_chain_may_have_such_a_name(name: str) -> None:
    assert is_genesis(replace(TWO_AREAS, name=name))


@pytest.mark.parametrize("ahead_s", [-SLOT_S, 0, 1, SLOT_S])
def test_an_installation_is_in_use_from_the_first_slot_that_its_area_settles(ahead_s: int) -> None:
    assert is_genesis(with_meter(from_s=FIRST_S + ahead_s)) == (ahead_s <= 0)


def test_a_signer_set_of_the_largest_size_fits_a_bundle() -> None:
    assert SIGNERS_MAX == verify.LIST_ITEMS_MAX


def test_the_worlds_own_leaves_verify() -> None:
    assert is_genesis(TWO_AREAS)
    check_against_the_verifier(TWO_AREAS)
