"""Whatever passes as a genesis, the stand-alone verifier takes: both state the forms, and here they are held together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore import cbor, verify
from gridcore.envelope import NAME
from gridcore.errors import UsageError
from gridcore.genesis import CHAIN_NAME_PATTERN, decode_genesis
from gridcore.header import genesis_header
from gridcore.registry.entities import ENTITIES
from gridcore.registry.row import Row, decode_row, salt_rows
from gridcore.validator import VALIDATORS_MAX
from ledger.genesis_check import check_genesis
from ledger.state.memory import MemoryState
from tests.simulation.generated_world import World
from tests.worlds.consortium import Consortium
from tests.worlds.two_areas import TWO_AREAS

TEXTS = st.text(max_size=70) | st.text("aZ0._-/ é\x00\x7f\x85\u2028\n", max_size=66)
NAMES = st.from_regex(NAME, fullmatch=True)
CHAIN_NAMES = st.from_regex(CHAIN_NAME_PATTERN, fullmatch=True).filter(str.isprintable)
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, 1, -1, 2**31, 2**63, "", "a", "a b", b"", bytes(65), [], [0, 0], ["clock"], {}]
)


def is_genesis(consortium: Consortium) -> bool:
    """Whether it passes from its bytes on, as the node reads it."""
    try:
        check_genesis(decode_genesis(consortium.genesis_file))
    except UsageError:
        return False
    return True


def check_against_the_verifier(consortium: Consortium) -> None:
    """Header of genesis, leaves of entities and registry rows have the form that the verifier wants."""
    genesis = consortium.genesis
    state = MemoryState(genesis)
    header = genesis_header(genesis, state.root())
    verify.read_header(header.encode(), "the header of genesis")
    chain = {"leaf": state.leaf("chain"), "path": state.sided_path("chain")}
    verify.read_leaf(chain, "chain", verify.CHAIN)
    for salted in salt_rows(genesis.salt_seed, genesis.registry):
        if decode_row(salted[16:]).key.partition("/")[0] not in verify.ENTITIES:  # organisations are in no bundle
            continue
        row = verify.read_registry_row(salted[16:], salted[:16], "a row")
        part = {"leaf": state.leaf(row.key), "path": state.sided_path(row.key)}
        verify.read_entity(part, "an entity")


def with_meter(**changes: Any) -> Consortium:
    """The first meter is another one."""
    return replace(TWO_AREAS, meters=[replace(TWO_AREAS.meters[0], **changes), *TWO_AREAS.meters[1:]])


@given(CHAIN_NAMES)
def test_every_printable_chain_name_is_allowed_and_verifies(name: str) -> None:
    assert is_genesis(replace(TWO_AREAS, name=name))
    check_against_the_verifier(replace(TWO_AREAS, name=name))


@given(NAMES)
def test_every_name_is_allowed_where_a_row_names_something_and_verifies(name: str) -> None:
    consortium = with_meter(meter=name, point=name, profile=name, party=name)
    assert is_genesis(consortium)
    check_against_the_verifier(consortium)


@given(TEXTS)
def test_a_text_that_is_no_name_is_refused_by_the_genesis(text: str) -> None:
    fits = NAME.fullmatch(text) is not None
    for consortium in (with_meter(meter=text), with_meter(point=text), with_meter(profile=text)):
        assert is_genesis(consortium) is fits
    assert is_genesis(replace(TWO_AREAS, name=text)) is (
        CHAIN_NAME_PATTERN.fullmatch(text) is not None and text.isprintable()
    )


NOT_IN_BUNDLES = ("organisation/", "calendar/")


@given(st.sampled_from([row for row in TWO_AREAS.rows() if not row.key.startswith(NOT_IN_BUNDLES)]), st.data())
def test_a_row_is_read_by_the_verifier_exactly_where_its_entity_has_that_form(row: Row, data: st.DataObject) -> None:
    value = dict(row.value)
    field = data.draw(st.sampled_from([*value, "revoked", "removed", "retired", "first_registers", "party"]))
    drawn = data.draw(VALUES)
    changed = {**value, field: drawn} if drawn is not None else {k: v for k, v in value.items() if k != field}
    spoiled = row._replace(value=changed)
    fault = ENTITIES[row.key.partition("/")[0]].fault_of(changed)
    try:
        encoded = spoiled.encode()
        verify.read_registry_row(encoded, bytes(16), "a row")
        is_read = True
    except verify.Halt:
        is_read = False
    assert is_read is (fault == ""), fault


@pytest.mark.parametrize("seed", range(10))
def test_rows_and_leaves_of_drawn_worlds_are_read_by_the_verifier(seed: int) -> None:
    check_against_the_verifier(World(seed).consortium)


@pytest.mark.parametrize("name", ["test-", "n" * 40, "上海 1"])
def test_a_chain_may_have_such_a_name(name: str) -> None:
    assert is_genesis(replace(TWO_AREAS, name=name))


def test_a_signer_set_of_the_largest_size_fits_a_bundle() -> None:
    assert VALIDATORS_MAX == verify.LIST_ITEMS_MAX


def test_the_worlds_own_rows_verify() -> None:
    assert is_genesis(TWO_AREAS)
    assert cbor.decode(TWO_AREAS.genesis_file)["version"] == 2
    check_against_the_verifier(TWO_AREAS)
