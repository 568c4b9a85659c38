"""The state of genesis: which leaves a chain has before its first block, and in which order (docs/spec/header.md).

A genesis may have millions of registry rows. Of all of them what orders and numbers their entities is held, as columns, and the encoded
leaves, back to back; what a row says and its salted bytes are made one after the other, each time that somebody asks for them.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore import cbor, merkle
from gridcore.genesis import Genesis
from gridcore.governance.contract import ApprovedContract
from gridcore.registry.area import AREA
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.row import decode_row
from gridcore.registry.zone import ZONE
from gridcore.rows import PackedRows
from gridcore.sm3 import DIGEST_BYTES
from ledger.leaves.chain import CHAIN, ChainLeaf
from ledger.leaves.columns import Int64
from ledger.leaves.contracts import CONTRACTS, ContractsLeaf
from ledger.leaves.delivery import DELIVERY, DeliveryLeaf
from ledger.leaves.family import Value
from ledger.leaves.progress import PROGRESS, ProgressLeaf
from ledger.leaves.protocol import PROTOCOL, ProtocolLeaf
from ledger.leaves.validators import VALIDATORS, ValidatorsLeaf
from ledger.registry.columns import AllRegistered
from ledger.registry.entries import ENTITY_FAMILIES, NUMBER_FIELDS, EntityLeaf, Entry
from ledger.registry.histories import Numbering
from ledger.state.state import LeafChange, StateChange
from ledger.tiles import tree_over

HASHED_TOGETHER: Final = 4_096
"""Rows and leaves that are hashed at once."""
_HEAD_BYTES: Final = 8
"""Of a digest, by which it is found: few have the same ones."""


class GenesisState(NamedTuple):
    """What a genesis makes of the empty state, and all that it registers: what ``registered`` gives follows from the rows, not from saved leaves."""

    change: StateChange
    registered: AllRegistered


def genesis_state(genesis: Genesis) -> GenesisState:
    """The state of a genesis, which ``check_genesis`` has passed; leaves are numbered in its order."""
    digests = _digests(_salted(genesis))
    registered = _Registered(genesis, _Entities.of(genesis.registry), digests)
    leaves, hashes = _packed(_values(genesis, registered))
    return GenesisState(StateChange(leaves, {}, tree_over(hashes), registered.bodies_by_digest), registered)


def genesis_change(genesis: Genesis) -> StateChange:
    """The same without what it registers."""
    return genesis_state(genesis).change


@dataclass(frozen=True)
class _Entities:
    """The entities that rows of genesis make.

    places: by key, in the order of their first rows; of_row, from_s: int64[rows], the place of each row's entity and from when
    it holds (UTC seconds); pins: of the contracts that zones name, by id. By their first rows: zone_of_area, first_slot_s (of
    zones, UTC seconds), and point_areas, in the order of the points.
    """

    places: Mapping[str, int]
    of_row: Int64
    from_s: Int64
    pins: Mapping[str, bytes]
    zone_of_area: Mapping[str, str]
    first_slot_s: Mapping[str, int]
    point_areas: Sequence[str]

    @classmethod
    def of(cls, rows: Sequence[bytes]) -> _Entities:
        """Decode each row once."""
        places: dict[str, int] = {}
        of_row, from_s = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.int64)
        pins: dict[str, bytes] = {}
        zone_of_area: dict[str, str] = {}
        first_slot_s: dict[str, int] = {}
        point_areas: list[str] = []
        for index, row in enumerate(map(decode_row, rows)):
            kind, _, name = row.key.partition("/")
            if row.key not in places:
                places[row.key] = len(places)
                if kind == AREA.kind:
                    zone_of_area[name] = AREA.record_of(row.value).zone
                elif kind == ZONE.kind:
                    first_slot_s[name] = ZONE.record_of(row.value).first_slot_start_s
                elif kind == POINT.kind:
                    point_areas.append(sys.intern(POINT.record_of(row.value).area))
            if kind == ZONE.kind:
                pins[row.value["contract"]] = row.value["contract_pin"]
            of_row[index], from_s[index] = places[row.key], row.from_s
        return cls(places, of_row, from_s, pins, zone_of_area, first_slot_s, point_areas)

    def names(self, kind: str) -> list[str]:
        """The names of a kind, ascending by their bytes."""
        found = (key.partition("/")[2] for key in self.places if key.startswith(f"{kind}/"))
        return sorted(found, key=str.encode)

    def leaves(self, digests: Sequence[bytes], prefix: str = "") -> Iterator[tuple[str, EntityLeaf]]:
        """Key and leaf of each entity whose key begins with ``prefix``, of all entities or of a kind, in order. digests: of the salted rows."""
        numbering, areas = Numbering(), iter(self.point_areas)
        order = np.argsort(self.of_row, kind="stable")
        ends = np.cumsum(np.bincount(self.of_row, minlength=len(self.places)))
        start = 0
        for key, end in zip(self.places, ends.tolist(), strict=True):
            first, start = start, end
            if not key.startswith(prefix):
                continue
            leaf = EntityLeaf(())
            for row in order[first:end].tolist():
                leaf = leaf.added(Entry(int(self.from_s[row]), 0, digests[row]))
            kind, _, name = key.partition("/")
            if kind in NUMBER_FIELDS:
                area = next(areas) if kind == POINT.kind else name
                zone = "" if kind == PARTY.kind else self.zone_of_area[area]
                leaf = leaf._replace(number=numbering.next(kind, zone))
            yield key, leaf


@dataclass(frozen=True)
class _Registered:
    """All that a genesis registers: see ``AllRegistered``. digests: of the salted rows, in the order of the genesis."""

    genesis: Genesis
    entities: _Entities
    digests: PackedRows

    def each_entity(self, kind: str) -> Iterator[tuple[str, EntityLeaf]]:
        """See ``AllRegistered``."""
        prefix = ENTITY_FAMILIES[kind].prefix
        return ((key.removeprefix(prefix), leaf) for key, leaf in self.entities.leaves(self.digests, prefix))

    def bodies(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """See ``AllRegistered``."""
        heads = np.frombuffer(b"".join(digest[:_HEAD_BYTES] for digest in digests), dtype=">u8")
        found = np.searchsorted(self._heads, heads).tolist()
        return [self._salted(self._place(digest, at)) for digest, at in zip(digests, found, strict=True)]

    @property
    def bodies_by_digest(self) -> Iterable[tuple[bytes, bytes]]:
        """Digest and salted row of each, ascending by the digest's first eight bytes; made anew by each iteration."""
        return _Bodies(self)

    @cached_property
    def order(self) -> Int64:
        """int64[rows]: the rows, ascending by the first eight bytes of their digests."""
        return np.argsort(self._heads_of_rows, kind="stable")

    @cached_property
    def salts(self) -> PackedRows:
        """Of each row."""
        return merkle.salts(self.genesis.salt_seed, len(self.genesis.registry))

    @cached_property
    def _heads(self) -> NDArray[np.uint64]:
        return self._heads_of_rows[self.order]

    @property
    def _heads_of_rows(self) -> NDArray[np.uint64]:
        return np.frombuffer(self.digests.data, dtype=">u8")[:: DIGEST_BYTES // _HEAD_BYTES].astype(np.uint64)

    def _place(self, digest: bytes, at: int) -> int:
        """The row of a digest. at: in the order of heads the first that may be it."""
        rows = (int(row) for row in self.order[at:])
        return next(row for row in rows if self.digests[row] == digest)

    def _salted(self, row: int) -> bytes:
        return self.salts[row] + self.genesis.registry[row]


@dataclass(frozen=True)
class _Bodies(Iterable[tuple[bytes, bytes]]):
    """See ``_Registered.bodies_by_digest``."""

    of: _Registered

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        rows, salts, digests = self.of.genesis.registry, self.of.salts, self.of.digests
        return ((digests[row], salts[row] + rows[row]) for row in self.of.order.tolist())


def _values(genesis: Genesis, registered: _Registered) -> Iterator[tuple[str, Value]]:
    """Key and value of each leaf of a genesis, in order."""
    entities = registered.entities
    chain = ChainLeaf(genesis.clock, genesis.currency, genesis.name, genesis.slot_s, genesis.thresholds)
    yield CHAIN.key(), CHAIN.encode(chain)
    yield PROTOCOL.key(), PROTOCOL.encode(ProtocolLeaf(genesis.protocol))
    yield CONTRACTS.key(), CONTRACTS.encode(_approved(entities.pins))
    yield VALIDATORS.key(), VALIDATORS.encode(ValidatorsLeaf(tuple(genesis.validators)))
    for key, leaf in entities.leaves(registered.digests):
        yield key, ENTITY_FAMILIES[key.partition("/")[0]].encode(leaf)
    for name in entities.names(GATEWAY.kind):
        yield DELIVERY.key(name), DELIVERY.encode(DeliveryLeaf())
    for name in entities.names(ZONE.kind):
        yield PROGRESS.key(name), PROGRESS.encode(ProgressLeaf(entities.first_slot_s[name]))


@dataclass(frozen=True)
class _Leaves(Iterable[LeafChange]):
    """The leaves of a genesis. parts: their bytes, ``HASHED_TOGETHER`` leaves back to back in each; sizes: int64[leaves]."""

    keys: Sequence[str]
    parts: Sequence[bytes]
    sizes: Int64

    def __iter__(self) -> Iterator[LeafChange]:
        for number, part in enumerate(self.parts):
            first, start = number * HASHED_TOGETHER, 0
            for place, size in enumerate(self.sizes[first : first + HASHED_TOGETHER].tolist(), first):
                yield LeafChange(place, self.keys[place], part[start : start + size])
                start += size


def _packed(values: Iterator[tuple[str, Value]]) -> tuple[_Leaves, PackedRows]:
    """Leaves of keys and values, each encoded once, and their hashes."""
    keys, parts, sizes, hashes = list[str](), list[bytes](), array("q"), list[bytes]()
    while some := list(islice(values, HASHED_TOGETHER)):
        leaves = [cbor.encode([key, value]) for key, value in some]
        keys.extend(key for key, _ in some)
        sizes.extend(map(len, leaves))
        parts.append(b"".join(leaves))
        hashes.append(merkle.leaf_hashes(leaves).data)
    return _Leaves(keys, parts, np.array(sizes, dtype=np.int64)), PackedRows(b"".join(hashes), DIGEST_BYTES)


def _approved(pins: Mapping[str, bytes]) -> ContractsLeaf:
    """What zones of a genesis name is approved from the start."""
    approved = [ApprovedContract(contract, pin, 0) for contract, pin in pins.items()]
    return ContractsLeaf(sorted(approved, key=lambda known: known.contract.encode()))


def _salted(genesis: Genesis) -> Iterator[bytes]:
    salts = merkle.salts(genesis.salt_seed, len(genesis.registry))
    return (salt + row for salt, row in zip(salts, genesis.registry, strict=True))


def _digests(leaves: Iterable[bytes]) -> PackedRows:
    """The leaf hash of each of many leaves, of which few are held at once."""
    left = iter(leaves)
    some = iter(lambda: list(islice(left, HASHED_TOGETHER)), [])
    return PackedRows(b"".join(merkle.leaf_hashes(leaves).data for leaves in some), DIGEST_BYTES)
