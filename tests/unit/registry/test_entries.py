"""Dated entries of one entity: which one is in force, which may be added, and what becomes of the oldest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gridcore import cbor
from gridcore.registry.row import NOT_FOLDED
from gridcore.sm3 import sm3
from ledger.registry.dated import dated
from ledger.registry.entries import ENTITY_FAMILIES, ENTRIES_MAX, EntityLeaf, Entry

DIGEST = bytes(range(32))
PLACES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), unique=True, max_size=80)


def leaf_of(*places: tuple[int, int]) -> EntityLeaf:
    """Entries from these times, recorded at these heights, in this order."""
    leaf = EntityLeaf(())
    for from_s, height in places:
        leaf = leaf.added(Entry(from_s, height, DIGEST))
    return leaf


def test_the_last_entry_that_has_begun_and_was_known_is_in_force() -> None:
    leaf = leaf_of((10, 0), (20, 5), (10, 7))
    assert leaf.in_force(9, 9) is None
    assert leaf.in_force(10, 6) == (10, 0, DIGEST)
    assert leaf.in_force(10, 7) == (10, 7, DIGEST)
    assert leaf.in_force(20, 4) == (10, 0, DIGEST)
    assert leaf.in_force(99, 5) == (20, 5, DIGEST)


@given(PLACES, st.integers(0, 50), st.integers(0, 9))
def test_what_is_in_force_follows_from_the_entries_in_any_order(
    places: list[tuple[int, int]], time_s: int, height: int
) -> None:
    leaf = leaf_of(*places[:ENTRIES_MAX])
    known = [place for place in places[:ENTRIES_MAX] if place[0] <= time_s and place[1] <= height]
    found = leaf.in_force(time_s, height)
    assert (found and found[:2]) == (max(known) if known else None)


def test_an_entry_of_the_same_time_and_block_is_not_taken_twice() -> None:
    leaf = leaf_of((10, 3))
    assert not leaf.takes(10, 3)
    assert leaf.takes(10, 4)
    assert leaf.takes(11, 3)
    assert leaf.takes(9, 3)


def test_the_oldest_of_more_than_64_entries_is_folded() -> None:
    leaf = leaf_of(*((second, 1) for second in range(ENTRIES_MAX)))
    assert leaf.folded == NOT_FOLDED
    assert not leaf.takes(0, 2)
    leaf = leaf.added(Entry(100, 2, DIGEST))
    assert len(leaf.entries) == ENTRIES_MAX
    assert leaf.folded == sm3(cbor.encode(["folded/1", bytes(32), [0, 1, DIGEST]]))
    assert (leaf.folded_to_s, leaf.entries[0].from_s) == (0, 1)
    assert not leaf.takes(0, 3)
    again = leaf.added(Entry(200, 3, DIGEST))
    assert again.folded == sm3(cbor.encode(["folded/1", leaf.folded, [1, 1, DIGEST]]))


@given(st.sampled_from(sorted(ENTITY_FAMILIES)), PLACES)
def test_a_leaf_comes_back_from_its_map(kind: str, places: list[tuple[int, int]]) -> None:
    leaf, family = leaf_of(*places), ENTITY_FAMILIES[kind]
    if kind in ("area", "party", "point"):
        leaf = leaf._replace(number=7)
    value = family.encode(leaf)
    assert family.decode(**value) == leaf._replace(entries=list(leaf.entries))
    assert ("folded" in value) == (len(places) > ENTRIES_MAX)


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), unique=True, max_size=4), max_size=8),
    st.data(),
)
def test_the_entries_of_some_entities_by_themselves_are_in_force_as_among_all(
    places: list[list[tuple[int, int]]], data: st.DataObject
) -> None:
    entries = dated([[Entry(from_s, height, DIGEST) for from_s, height in sorted(own)] for own in places])
    first = data.draw(st.integers(0, len(places)))
    end = data.draw(st.integers(first, len(places)))
    time_s, height = data.draw(st.integers(0, 10)), data.draw(st.integers(0, 10))
    span = entries.span_of(first, end)
    own = entries.within(span, first).in_force(end - first, time_s, height)
    among_all = entries.in_force(len(places), time_s, height)[first:end]
    assert [place + span.start if place >= 0 else -1 for place in own.tolist()] == among_all.tolist()
