"""Entities that are kept open: a row is read, compared and decoded once, and never stands for a leaf that has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from gridcore import merkle
from gridcore.errors import InvariantError
from gridcore.registry.row import Row, salt_rows
from gridcore.registry.signer import SIGNER, RevokedSigner, Signer
from gridcore.sm import SigningKey
from ledger.leaves.family import Value
from ledger.registry import bodies
from ledger.registry.bodies import OpenedEntities, in_force, newest
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf, Entry

FAMILY = ENTITY_FAMILIES[SIGNER.kind]
KEY = SigningKey.from_scalar(bytes(31) + b"\x07").public_key
FIRST = Signer("o", KEY, ["clock"])


class Entities:
    """A state of signers. read: how often a row was read by itself; questions: how often many were together."""

    def __init__(self) -> None:
        self.opened = OpenedEntities()
        self.read = self.questions = 0
        self._leaves: dict[str, Value] = {}
        self._bodies: dict[bytes, bytes] = {}

    def get(self, key: str) -> Value | None:
        return self._leaves.get(key)

    def body(self, digest: bytes) -> bytes:
        self.read += 1
        return self._bodies[digest]

    def folded(self, key: str, leaf: EntityLeaf) -> Sequence[Entry]:
        raise AssertionError(f"nobody asks for what {key} has folded ({leaf.folded_to_s})")

    def load_together(self, keys: Iterable[str]) -> None:
        assert set(keys) <= self._leaves.keys() | {SIGNER.key("nobody")}

    def bodies(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        self.questions += 1
        return [self._bodies[digest] for digest in digests]

    def record(self, name: str, *rows: tuple[int, Signer | RevokedSigner]) -> None:
        """Give a signer these records, each from its time on."""
        leaf = EntityLeaf(())
        for from_s, record in rows:
            (body,) = salt_rows(bytes(32), [Row(SIGNER.key(name), from_s, SIGNER.encode(record)).encode()])
            self._bodies[merkle.leaf_hash(body)] = body
            leaf = leaf.added(Entry(from_s, 0, merkle.leaf_hash(body)))
        self._leaves[FAMILY.key(name)] = FAMILY.encode(leaf)


def record_at(entities: Entities, name: str, time_s: int) -> Signer | RevokedSigner | None:
    found = in_force(entities, SIGNER, name, time_s, 9)
    return None if found is None else found.record


def test_a_row_is_read_once_however_often_it_is_asked_for() -> None:
    entities = Entities()
    entities.record("s", (0, FIRST), (50, RevokedSigner("o")))
    for _ in range(3):
        assert record_at(entities, "s", 10) == FIRST
    assert entities.read == 1
    assert record_at(entities, "s", 50) == RevokedSigner("o")
    last = newest(entities, SIGNER, "s")
    assert last is not None
    assert last.record == RevokedSigner("o")
    assert entities.read == 2


def test_a_leaf_that_has_changed_is_opened_anew() -> None:
    entities = Entities()
    entities.record("s", (0, FIRST))
    assert record_at(entities, "s", 10) == FIRST
    entities.record("s", (0, FIRST), (5, RevokedSigner("o")))
    assert record_at(entities, "s", 10) == RevokedSigner("o")


def test_an_entity_that_comes_into_being_is_found() -> None:
    entities = Entities()
    assert record_at(entities, "s", 10) is None
    entities.record("s", (0, FIRST))
    assert record_at(entities, "s", 10) == FIRST


def test_more_entities_than_are_kept_are_found_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "OPENED_MAX", 3)
    entities = Entities()
    names: Mapping[str, Signer] = {f"s{number}": FIRST._replace(organisation=f"o{number}") for number in range(10)}
    for name, record in names.items():
        entities.record(name, (0, record))
    for _ in range(2):
        assert {name: record_at(entities, name, 0) for name in names} == names


def test_many_entities_are_opened_in_one_question_each_with_all_its_entries() -> None:
    entities = Entities()
    names = [f"s{number}" for number in range(5)]
    for name in names:
        entities.record(name, (0, FIRST), (50, RevokedSigner("o")))
    entities.opened.open_together(entities, SIGNER, [*names, "nobody"])
    assert [record_at(entities, name, time_s) for name in names for time_s in (10, 50)] == [
        FIRST,
        RevokedSigner("o"),
    ] * 5
    assert (entities.read, entities.questions) == (0, 1)
    assert record_at(entities, "nobody", 10) is None


def test_only_so_many_are_opened_together_as_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "OPENED_TOGETHER_MAX", 3)
    entities = Entities()
    names = [f"s{number}" for number in range(4)]
    for name in names:
        entities.record(name, (0, FIRST))
    entities.opened.open_together(entities, SIGNER, names[:3])
    with pytest.raises(InvariantError):
        entities.opened.open_together(entities, SIGNER, names)
