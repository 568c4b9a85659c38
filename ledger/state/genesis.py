"""The state of genesis: which leaves a chain has before its first block, and in which order (docs/spec/header.md).

A genesis may have millions of registry rows. Only what orders and numbers their entities is held of all of them, as columns; what
a row says, its salted bytes and the leaf of an entity are made one after the other, each time that somebody asks for them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

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
from ledger.registry.entries import ENTITY_FAMILIES, NUMBER_FIELDS, EntityLeaf, Entry
from ledger.registry.histories import Numbering
from ledger.state.state import LeafChange, StateChange
from ledger.tiles import tree_over

HASHED_TOGETHER: Final = 4_096
"""Rows and leaves that are held at once to be hashed."""


def genesis_change(genesis: Genesis) -> StateChange:
    """What a genesis, which ``check_genesis`` has passed, makes of the empty state; leaves are numbered in its order."""
    digests = _digests(_salted(genesis))
    leaves = _Leaves(genesis, _Entities.of(genesis.registry), digests)
    tree = tree_over(_digests(leaf.leaf for leaf in leaves))
    return StateChange(leaves, {}, tree, _Bodies(genesis, digests))


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

    def leaves(self, digests: Sequence[bytes]) -> Iterator[tuple[str, EntityLeaf]]:
        """Each entity's key and leaf, in order. digests: of the salted rows."""
        numbering, areas = Numbering(), iter(self.point_areas)
        order = np.argsort(self.of_row, kind="stable")
        ends = np.cumsum(np.bincount(self.of_row, minlength=len(self.places)))
        start = 0
        for key, end in zip(self.places, ends.tolist(), strict=True):
            leaf = EntityLeaf(())
            for row in order[start:end].tolist():
                leaf = leaf.added(Entry(int(self.from_s[row]), 0, digests[row]))
            start = end
            kind, _, name = key.partition("/")
            if kind in NUMBER_FIELDS:
                area = next(areas) if kind == POINT.kind else name
                zone = "" if kind == PARTY.kind else self.zone_of_area[area]
                leaf = leaf._replace(number=numbering.next(kind, zone))
            yield key, leaf


@dataclass(frozen=True)
class _Leaves(Iterable[LeafChange]):
    """The leaves of a genesis, made anew by each iteration."""

    genesis: Genesis
    entities: _Entities
    digests: Sequence[bytes]

    def __iter__(self) -> Iterator[LeafChange]:
        for number, (key, value) in enumerate(self._values()):
            yield LeafChange(number, key, cbor.encode([key, value]))

    def _values(self) -> Iterator[tuple[str, Value]]:
        genesis, entities = self.genesis, self.entities
        chain = ChainLeaf(genesis.clock, genesis.currency, genesis.name, genesis.slot_s, genesis.thresholds)
        yield CHAIN.key(), CHAIN.encode(chain)
        yield PROTOCOL.key(), PROTOCOL.encode(ProtocolLeaf(genesis.protocol))
        yield CONTRACTS.key(), CONTRACTS.encode(_approved(entities.pins))
        yield VALIDATORS.key(), VALIDATORS.encode(ValidatorsLeaf(tuple(genesis.validators)))
        for key, leaf in entities.leaves(self.digests):
            yield key, ENTITY_FAMILIES[key.partition("/")[0]].encode(leaf)
        for name in entities.names(GATEWAY.kind):
            yield DELIVERY.key(name), DELIVERY.encode(DeliveryLeaf())
        for name in entities.names(ZONE.kind):
            yield PROGRESS.key(name), PROGRESS.encode(ProgressLeaf(entities.first_slot_s[name]))


def _approved(pins: Mapping[str, bytes]) -> ContractsLeaf:
    """What zones of a genesis name is approved from the start."""
    approved = [ApprovedContract(contract, pin, 0) for contract, pin in pins.items()]
    return ContractsLeaf(sorted(approved, key=lambda known: known.contract.encode()))


@dataclass(frozen=True)
class _Bodies(Iterable[tuple[bytes, bytes]]):
    """Digest and bytes of the salted rows of a genesis, ascending by the first eight bytes of the digest; made anew by each
    iteration.
    """

    genesis: Genesis
    digests: PackedRows

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        rows = self.genesis.registry
        salts = merkle.salts(self.genesis.salt_seed, len(rows))
        heads = np.frombuffer(self.digests.data, dtype=">u8")[:: DIGEST_BYTES // 8]
        for place in np.argsort(heads, kind="stable"):
            yield self.digests[place], salts[place] + rows[place]


def _salted(genesis: Genesis) -> Iterator[bytes]:
    salts = merkle.salts(genesis.salt_seed, len(genesis.registry))
    return (salt + row for salt, row in zip(salts, genesis.registry, strict=True))


def _digests(leaves: Iterable[bytes]) -> PackedRows:
    """The leaf hash of each of many leaves, of which few are held at once."""
    left = iter(leaves)
    some = iter(lambda: list(islice(left, HASHED_TOGETHER)), [])
    return PackedRows(b"".join(merkle.leaf_hashes(leaves).data for leaves in some), DIGEST_BYTES)
