"""The state of genesis: which leaves a chain has before its first block, and in which order (docs/spec/header.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gridcore import cbor, merkle
from gridcore.genesis import Genesis
from gridcore.registry.area import AREA
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.point import POINT
from gridcore.registry.row import Row, decode_row, salt_rows
from gridcore.registry.zone import ZONE, Zone
from ledger.leaves.calendar import CALENDAR
from ledger.leaves.chain import CHAIN, ChainLeaf
from ledger.leaves.delivery import DELIVERY, DeliveryLeaf
from ledger.leaves.family import Value
from ledger.leaves.progress import PROGRESS, ProgressLeaf
from ledger.leaves.protocol import PROTOCOL, ProtocolLeaf
from ledger.registry.entries import ENTITY_FAMILIES, NUMBER_FIELDS, EntityLeaf, Entry
from ledger.state.state import LeafChange, StateChange
from ledger.tiles import MemoryTiles, empty_tree


class _Entities(NamedTuple):
    """Entities by key, in the order of their first rows, and the first record of each zone by name."""

    leaves: Mapping[str, EntityLeaf]
    zones: Mapping[str, Zone]


def genesis_change(genesis: Genesis) -> StateChange:
    """What a genesis, which ``check_genesis`` has passed, makes of the empty state; leaves are numbered in its order."""
    salted = salt_rows(genesis.salt_seed, genesis.registry)
    digests = list(merkle.leaf_hashes(salted))
    values = _leaves(genesis, _entities(genesis.registry, digests))
    leaves = tuple(LeafChange(number, key, cbor.encode([key, value])) for number, (key, value) in enumerate(values))
    tree = empty_tree(MemoryTiles()).changed({}, merkle.leaf_hashes([leaf.leaf for leaf in leaves]))
    return StateChange(leaves, {}, tree, dict(zip(digests, salted, strict=True)))


def _leaves(genesis: Genesis, entities: _Entities) -> Iterator[tuple[str, Value]]:
    chain = ChainLeaf(genesis.clock, genesis.currency, genesis.name, genesis.slot_s, genesis.thresholds)
    yield CHAIN.key(), CHAIN.encode(chain)
    yield PROTOCOL.key(), PROTOCOL.encode(ProtocolLeaf(genesis.protocol))
    for name in sorted(genesis.calendars, key=str.encode):
        yield CALENDAR.key(name), CALENDAR.encode(genesis.calendars[name])
    for key, leaf in entities.leaves.items():
        yield key, ENTITY_FAMILIES[key.partition("/")[0]].encode(leaf)
    prefix = ENTITY_FAMILIES[GATEWAY.kind].prefix
    gateways = [key.removeprefix(prefix) for key in entities.leaves if key.startswith(prefix)]
    for name in sorted(gateways, key=str.encode):
        yield DELIVERY.key(name), DELIVERY.encode(DeliveryLeaf())
    for name in sorted(entities.zones, key=str.encode):
        first_slot_s = entities.zones[name].first_slot_start_s
        yield PROGRESS.key(name), PROGRESS.encode(ProgressLeaf(first_slot_s, first_slot_s))


def _entities(rows: Sequence[bytes], digests: Sequence[bytes]) -> _Entities:
    """The entities that rows of genesis make, numbered in the order of their first rows, of which hardly anything is kept."""
    leaves: dict[str, EntityLeaf] = {}
    zones: dict[str, Zone] = {}
    within: dict[str, str] = {}
    for encoded, digest in zip(rows, digests, strict=True):
        row = decode_row(encoded)
        entry = Entry(row.from_s, 0, digest)
        if row.key in leaves:
            leaves[row.key] = leaves[row.key].added(entry)
            continue
        leaves[row.key] = EntityLeaf([entry])
        kind, _, name = row.key.partition("/")
        if kind in NUMBER_FIELDS:
            within[row.key] = _within(kind, row)
        elif kind == ZONE.kind:
            zones[name] = ZONE.record_of(row.value)
    for key, number in _numbers(within):
        leaves[key] = leaves[key]._replace(number=number)
    return _Entities(leaves, zones)


def _within(kind: str, row: Row) -> str:
    """The area of a point, the zone of an area; "" for a party, which is counted in the whole chain."""
    if kind == POINT.kind:
        return POINT.record_of(row.value).area
    return AREA.record_of(row.value).zone if kind == AREA.kind else ""


def _numbers(within: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Key and number of the entities that are counted: areas and points in their zone. within: see ``_within``, by key."""
    counts: Counter[tuple[str, str]] = Counter()
    for key, inside in within.items():
        kind = key.partition("/")[0]
        counted = kind, within[AREA.key(inside)] if kind == POINT.kind else inside
        yield key, counts[counted]
        counts[counted] += 1
