"""Whatever passes as a genesis, the stand-alone verifier takes: both files state the forms, and here they are held together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore import cbor, verify
from gridcore.errors import UsageError
from gridcore.genesis import decode_genesis
from ledger.genesis import SIGNERS_MAX, check_genesis
from tests.unit.node.node_world import FIRST_S, SLOT_S, make_genesis, make_leaves

TEXTS = st.text(max_size=70) | st.text("aZ0._-/ é\x00\x7f\x85\u2028\n", max_size=66)
SHAPES = {
    "chain": verify.CHAIN,
    "gateway": verify.GATEWAY,
    "installation": verify.INSTALLATION,
    "rules": verify.RULES,
    "signer": verify.SIGNER,
}


def is_genesis(leaves: list[list[Any]], **frame: Any) -> bool:
    """Whether it passes from its bytes on, as the node reads it."""
    try:
        check_genesis(decode_genesis(cbor.encode(make_genesis(leaves, **frame))))
    except UsageError:
        return False
    return True


def check_against_the_verifier(leaves: list[list[Any]]) -> None:
    """Every leaf that a bundle can hold has the shape that the verifier wants; a feeder is never in a bundle."""
    for key, value in leaves:
        kind = key.split("/")[0]
        if kind in SHAPES and value.get("role") != "feeder":
            verify.conform(value, SHAPES[kind], key)


@given(TEXTS)
def test_every_chain_name_of_a_genesis_makes_a_chain_id_that_verifies(name: str) -> None:
    leaves = make_leaves()
    leaves[0][1]["name"] = name
    if is_genesis(leaves, name=name):
        chain = str(make_genesis(leaves, name=name)["chain"])
        verify.conform(chain, verify.HEADER[1], "the chain id")
        assert "/" not in chain
        assert chain.isprintable()


@pytest.mark.parametrize("name", ["test-", "n" * 40, "上海 1"])
def test_a_chain_may_have_such_a_name(name: str) -> None:
    leaves = make_leaves()
    leaves[0][1]["name"] = name
    assert is_genesis(leaves, name=name)


@pytest.mark.parametrize("field", ["meter", "point", "profile"])
@given(text=TEXTS)
def test_every_text_of_an_installation_verifies(field: str, text: str) -> None:
    leaves = make_leaves()
    dict(leaves)["installation/1"][field] = text
    if is_genesis(leaves):
        check_against_the_verifier(leaves)


@given(TEXTS)
def test_every_protection_of_a_gateway_verifies(text: str) -> None:
    leaves = make_leaves()
    dict(leaves)["gateway/gw-1"]["protection"] = text
    if is_genesis(leaves):
        check_against_the_verifier(leaves)


@pytest.mark.parametrize("ahead_s", [-SLOT_S, 0, 1, SLOT_S])
def test_an_installation_is_in_use_from_the_first_slot_that_its_area_settles(ahead_s: int) -> None:
    leaves = make_leaves()
    dict(leaves)["installation/1"]["from_s"] = FIRST_S + ahead_s
    assert is_genesis(leaves) == (ahead_s <= 0)


def test_a_signer_set_of_the_largest_size_fits_a_bundle() -> None:
    assert SIGNERS_MAX == verify.LIST_ITEMS_MAX


def test_the_worlds_own_leaves_verify() -> None:
    assert is_genesis(make_leaves())
    check_against_the_verifier(make_leaves())
