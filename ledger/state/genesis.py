"""The state of genesis: which leaves a chain has before its first block, and in which order (docs/spec/header.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gridcore import cbor, merkle
from gridcore.genesis import Genesis
from gridcore.governance.contract import ApprovedContract
from gridcore.registry.area import AREA
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.point import POINT
from gridcore.registry.row import Row, decode_row, salt_rows
from gridcore.registry.zone import ZONE
from ledger.leaves.chain import CHAIN, ChainLeaf
from ledger.leaves.contracts import CONTRACTS, ContractsLeaf
from ledger.leaves.delivery import DELIVERY, DeliveryLeaf
from ledger.leaves.family import Value
from ledger.leaves.progress import PROGRESS, ProgressLeaf
from ledger.leaves.protocol import PROTOCOL, ProtocolLeaf
from ledger.leaves.validators import VALIDATORS, ValidatorsLeaf
from ledger.registry.entries import ENTITY_FAMILIES, NUMBER_FIELDS, EntityLeaf, Entry
from ledger.registry.histories import Numbering
from ledger.state.state import LeafChange, StateChange
from ledger.tiles import MemoryTiles, empty_tree


class _Entities(NamedTuple):
    """Entities by key, in the order of their first rows, the first row of each, and the pins of the contracts that zones name."""

    leaves: Mapping[str, EntityLeaf]
    first: Mapping[str, Row]
    pins: Mapping[str, bytes]


def genesis_change(genesis: Genesis) -> StateChange:
    """What a genesis, which ``check_genesis`` has passed, makes of the empty state; leaves are numbered in its order."""
    salted = salt_rows(genesis.salt_seed, genesis.registry)
    digests = list(merkle.leaf_hashes(salted))
    values = dict(_leaves(genesis, _entities(genesis.registry, digests)))
    leaves = [LeafChange(number, key, cbor.encode([key, value])) for number, (key, value) in enumerate(values.items())]
    tree = empty_tree(MemoryTiles()).changed({}, merkle.leaf_hashes([leaf.leaf for leaf in leaves]))
    return StateChange(tuple(leaves), values, tree, dict(zip(digests, salted, strict=True)))


def _leaves(genesis: Genesis, entities: _Entities) -> Iterator[tuple[str, Value]]:
    chain = ChainLeaf(genesis.clock, genesis.currency, genesis.name, genesis.slot_s, genesis.thresholds)
    yield CHAIN.key(), CHAIN.encode(chain)
    yield PROTOCOL.key(), PROTOCOL.encode(ProtocolLeaf(genesis.protocol))
    yield CONTRACTS.key(), CONTRACTS.encode(_approved(entities.pins))
    yield VALIDATORS.key(), VALIDATORS.encode(ValidatorsLeaf(tuple(genesis.validators)))
    for key, leaf in entities.leaves.items():
        yield key, ENTITY_FAMILIES[key.partition("/")[0]].encode(leaf)
    for name, _ in _of_kind(entities, GATEWAY.kind):
        yield DELIVERY.key(name), DELIVERY.encode(DeliveryLeaf())
    for name, first in _of_kind(entities, ZONE.kind):
        first_slot_s = ZONE.record_of(first.value).first_slot_start_s
        yield PROGRESS.key(name), PROGRESS.encode(ProgressLeaf(first_slot_s))


def _approved(pins: Mapping[str, bytes]) -> ContractsLeaf:
    """What zones of a genesis name is approved from the start."""
    approved = [ApprovedContract(contract, pin, 0) for contract, pin in pins.items()]
    return ContractsLeaf(sorted(approved, key=lambda known: known.contract.encode()))


def _of_kind(entities: _Entities, kind: str) -> list[tuple[str, Row]]:
    """Name and first row of the entities of a kind, ascending by the bytes of the name."""
    found = [(key.partition("/")[2], row) for key, row in entities.first.items() if key.startswith(f"{kind}/")]
    return sorted(found, key=lambda entity: entity[0].encode())


def _entities(rows: Sequence[bytes], digests: Sequence[bytes]) -> _Entities:
    """The entities that rows of genesis make, numbered in the order of their first rows."""
    leaves: dict[str, EntityLeaf] = {}
    first: dict[str, Row] = {}
    pins: dict[str, bytes] = {}
    for encoded, digest in zip(rows, digests, strict=True):
        row = decode_row(encoded)
        first.setdefault(row.key, row)
        leaves[row.key] = leaves.get(row.key, EntityLeaf(())).added(Entry(row.from_s, 0, bytes(digest)))
        if row.key.startswith(f"{ZONE.kind}/"):
            pins[row.value["contract"]] = row.value["contract_pin"]
    numbering = Numbering()
    for key, row in first.items():
        kind = key.partition("/")[0]
        if kind in NUMBER_FIELDS:
            leaves[key] = leaves[key]._replace(number=numbering.next(kind, _zone_of(row, first)))
    return _Entities(leaves, first, pins)


def _zone_of(row: Row, first: Mapping[str, Row]) -> str:
    """The zone in which an area or a point is counted; "" for a party, which is counted in the whole chain."""
    if row.key.startswith(f"{POINT.kind}/"):
        return AREA.record_of(first[AREA.key(POINT.record_of(row.value).area)].value).zone
    return AREA.record_of(row.value).zone if row.key.startswith(f"{AREA.kind}/") else ""
