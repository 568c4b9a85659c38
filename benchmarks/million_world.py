"""Data directories of worlds of a million points and more, written as a stream: what is held at once is a portion of the rows.

``make``: everything is in the genesis, as it would be of a node that has opened it once. ``register``: the genesis holds all but
the households, which do not fit into one from four million on; they were registered in block 1, and the node has begun with the
snapshot of that height. One block could not take so many rows: that there was one is all that differs from a real chain.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.million import (
    AGGREGATOR,
    CONTRACT,
    FIRST_NUMBER,
    FIRST_S,
    KEY,
    METERS_OF_GATEWAY,
    PRICES,
    SLOT_S,
    World,
)
from gridcore import cbor, merkle
from gridcore.genesis import Genesis
from gridcore.header import Header, certificate_message, signers_digest
from gridcore.master_data import MasterData, MeteredPoint, Named
from gridcore.registry.area import AREA, Area
from gridcore.registry.calendar import Calendar
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.zone import ZONE, Zone
from gridcore.rows import PackedRows
from gridcore.sm3 import DIGEST_BYTES
from gridcore.validator import Validator
from ledger.origin import Origin
from ledger.registry.columns import RegistryColumns
from ledger.registry.dated import Dated
from ledger.registry.entries import ENTITY_FAMILIES, NUMBER_FIELDS, EntityLeaf, Entry
from ledger.state.genesis import genesis_change
from ledger.state.memory import MemoryState
from ledger.state.state import LeafChange, StateChange
from ledger.store.block_log import LOG_NAME
from ledger.store.directory import GENESIS_NAME
from ledger.store.files import Files
from ledger.store.guard import GUARD_NAME, Guard
from ledger.store.joining import finish_install
from ledger.store.registry_file import REGISTRY_NAME, write_registry
from ledger.store.rows import Certified
from ledger.store.snapshot_format import Head
from ledger.store.state_db import DB_NAME, StateDb
from ledger.tiles import TileTree, empty_tree, tree_over
from settlement.catalogue import pins

PORTION_ROWS: Final = 65_536
"""Registry rows that are held at once."""
_BODY_FILES: Final = 64
_LENGTH: Final = struct.Struct(">H")


def make(data_dir: Path, world: World) -> int:
    """The data directory of a node that has opened this world's genesis once; how many leaves it has."""
    others = _other_entities(world, pins()[CONTRACT]).genesis()
    few = list(genesis_change(others).leaves)
    # The households' entities come after the others of genesis, before what gateways and zones have beside theirs.
    end = next(number for number, leaf in enumerate(few) if leaf.key.startswith("delivery/"))
    households = _Households(world, others, recorded_height=0)
    with TemporaryDirectory(dir=data_dir.parent) as folder, closing(_Bodies(Path(folder))) as bodies:
        bodies.add(merkle.leaf_hashes(_salted(others, others.registry)), _salted(others, others.registry))
        rows = list(others.registry)
        hashes = [merkle.leaf_hashes([leaf.leaf for leaf in few[:end]]).data]
        for portion in households:
            rows += portion.rows
            hashes.append(merkle.leaf_hashes([leaf for _, leaf in portion.leaves]).data)
            bodies.add(portion.digests, portion.salted)
        hashes.append(merkle.leaf_hashes([leaf.leaf for leaf in few[end:]]).data)
        tree = tree_over(PackedRows(b"".join(hashes), DIGEST_BYTES))
        genesis = replace(others, registry=rows)
        encoded = genesis.encode()
        data_dir.mkdir(parents=True)
        (data_dir / GENESIS_NAME).write_bytes(encoded)
        origin = Origin.of(genesis, tree.root)
        del encoded, genesis, rows, hashes
        Guard.create(data_dir / GUARD_NAME, 0, origin.header.digest(), Files())
        leaves = chain(
            ((leaf.key, leaf.leaf) for leaf in few[:end]),
            (leaf for portion in households for leaf in portion.leaves),
            ((leaf.key, leaf.leaf) for leaf in few[end:]),
        )
        numbered = (LeafChange(number, *leaf) for number, leaf in enumerate(leaves))
        change = StateChange(numbered, {}, tree, bodies)
        with closing(StateDb.create(data_dir / DB_NAME, origin, change)) as db:
            write_registry(data_dir / REGISTRY_NAME, _columns(world, others, 0), db, Files())
    return tree.size


def register(data_dir: Path, world: World) -> int:
    """The data directory of a node that began with a snapshot of this world, registered in block 1; how many leaves it has."""
    genesis = _other_entities(world, pins()[CONTRACT]).genesis()
    change = genesis_change(genesis)
    origin = Origin.of(genesis, change.tree.root)
    data_dir.mkdir(parents=True)
    (data_dir / GENESIS_NAME).write_bytes(genesis.encode())
    with closing(StateDb.create(data_dir / DB_NAME, origin, change)) as db:
        tree = TileTree(db.leaves, change.tree.size, change.tree.root)
        with TemporaryDirectory(dir=data_dir.parent) as folder, closing(_Bodies(Path(folder))) as bodies:
            for portion in _Households(world, genesis, recorded_height=1):
                grown = tree.changed({}, merkle.leaf_hashes([leaf for _, leaf in portion.leaves]))
                leaves = [LeafChange(number, *leaf) for number, leaf in enumerate(portion.leaves, tree.size)]
                db.save_leaves(StateChange(leaves, {}, grown), 1)
                tree.take(grown)
                bodies.add(portion.digests, portion.salted)
            sorted_bodies, same = iter(bodies), tree.changed({}, ())
            while some := list(islice(sorted_bodies, PORTION_ROWS)):
                db.save_leaves(StateChange((), {}, same, some), 1)
        history = empty_tree(db.history).changed({}, [merkle.leaf_hash(origin.header.digest())])
        db.save_history(history)
        header = Header(
            chain=genesis.chain,
            height=1,
            time_s=genesis.ledger_time_s,
            ledger_time_s=genesis.ledger_time_s,
            previous=origin.header.digest(),
            history_root=history.root,
            data_root=merkle.EMPTY_ROOT,
            state_root=tree.root,
            signers=signers_digest(origin.signers),
            signers_pending=b"",
            protocol_version=origin.header.protocol_version,
        )
        certificate = [(KEY.public_key, KEY.sign(certificate_message(genesis.chain, 1, header.digest())))]
        db.save_head(Head((header,), certificate, 0, (), (Certified(1, certificate),), tree.size))
        write_registry(data_dir / REGISTRY_NAME, _columns(world, genesis, 1), db, Files())
    Guard.create(data_dir / GUARD_NAME, 1, header.digest(), Files())
    (data_dir / LOG_NAME).touch()
    finish_install(data_dir, Files())
    return tree.size


# ------------------------------------------------------------------------------------------------------------ entities


def _other_entities(world: World, pin: bytes) -> MasterData:
    day_s = FIRST_S // 86_400 * 86_400
    zone = Zone(
        contract=CONTRACT,
        contract_pin=pin,
        first_slot_start_s=FIRST_S,
        gate_before_start_s=300,
        metering_deadline_s=world.metering_deadline_s,
        open_before_start_s=86_400,
    )
    gateways = [world.gateway(number) for number in range(world.gateways)]
    return MasterData(
        name="million",
        clock="simulated",
        ledger_time_s=world.ledger_time_s,
        slot_s=SLOT_S,
        validators=[Validator(f"v{place}", "o", key) for place, key in enumerate(world.certifiers)],
        calendars={"c": Calendar(days=[day_s, day_s + 86_400], months=[0], tz="UTC", tz_version="1")},
        listed=[
            Named(ORGANISATION, "o", Organisation(["aggregator", "clock", "gateway", "utility"], "Benchmark")),
            Named(RULES, "r", Rules(PRICES, {"reference_price_micro_per_kwh": 370_000, "rationing": "pro_rata"})),
            Named(SIGNER, "operator", Signer("o", KEY.public_key, ["clock", "utility"])),
            Named(SIGNER, AGGREGATOR, Signer("o", KEY.public_key, ["aggregator"])),
            *(Named(SIGNER, name, Signer("o", KEY.public_key, ["gateway"])) for name in gateways),
            *(Named(GATEWAY, name, Gateway("o", "software")) for name in gateways),
            *(Named(ZONE, name, zone) for name in world.zones),
            *(Named(AREA, f"A{area:05d}", Area("c", "r", world.zone_of(area))) for area in range(world.areas)),
        ],
        salt_seed=bytes(32),
    )


class _Portion(NamedTuple):
    """Neighbouring registry rows of one kind: encoded, behind their salts, digests of these; key and leaf of their entities."""

    rows: list[bytes]
    salted: list[bytes]
    digests: PackedRows
    leaves: list[tuple[str, bytes]]


@dataclass(frozen=True)
class _Households(Iterable[_Portion]):
    """All households, kind by kind (installations, parties, points), made anew by each iteration; they follow ``others``."""

    world: World
    others: Genesis
    recorded_height: int

    def __iter__(self) -> Iterator[_Portion]:
        world, place = self.world, len(self.others.registry)
        rows_of_zone = world.areas_of_zone * world.points
        numbers_of = {PARTY.kind: world.meters, POINT.kind: rows_of_zone}
        for row in sorted(_household().rows()):
            kind = row.key.partition("/")[0]
            row_form, leaf_form = _form_of_row(row.encode()), self._form_of_leaf(row.key)
            for start in range(0, world.meters, PORTION_ROWS):
                numbers = range(start, min(start + PORTION_ROWS, world.meters))
                texts = [b"%d" % (FIRST_NUMBER + number) for number in numbers]
                rows = [
                    row_form
                    % {
                        b"text": text,
                        b"area": b"A%05d" % (number // world.points),
                        b"gateway": world.gateway(number // METERS_OF_GATEWAY).encode(),
                    }
                    for number, text in zip(numbers, texts, strict=True)
                ]
                salted = _salted(self.others, rows, place)
                digests = merkle.leaf_hashes(salted)
                place += len(rows)
                of = numbers_of.get(kind, 1)
                leaves = [
                    (
                        row.key.replace(str(FIRST_NUMBER), text.decode()),
                        leaf_form % {b"text": text, b"number": cbor.encode(number % of), b"digest": digest},
                    )
                    for number, text, digest in zip(numbers, texts, digests, strict=True)
                ]
                yield _Portion(rows, salted, digests, leaves)

    def _form_of_leaf(self, key: str) -> bytes:
        """An entity's leaf with places for what differs."""
        kind, digest = key.partition("/")[0], b"\xee" * DIGEST_BYTES
        number = 0 if kind in NUMBER_FIELDS else None
        leaf = EntityLeaf([Entry(0, self.recorded_height, digest)], number=number)
        form = cbor.encode([key, ENTITY_FAMILIES[kind].encode(leaf)]).replace(b"%", b"%%")
        form = form.replace(b"%d" % FIRST_NUMBER, b"%(text)b").replace(digest, b"%(digest)b")
        name = cbor.encode(NUMBER_FIELDS.get(kind, ""))
        return form if number is None else form.replace(name + b"\0", name + b"%(number)b")


def _household() -> MeteredPoint:
    """The first household of a world."""
    return MeteredPoint(
        number=FIRST_NUMBER,
        area="A00000",
        gateway="g00000",
        meter=f"M{FIRST_NUMBER}",
        point=f"P{FIRST_NUMBER}",
        profile="eastron_sdm630",
        role="household",
        limit_wh=11_000,
        organisation="o",
        first_registers=(0, 0),
        party=f"p{FIRST_NUMBER}",
        trades=True,
        aggregator=AGGREGATOR,
    )


def _form_of_row(row: bytes) -> bytes:
    """A household's row with places for what differs."""
    form = row.replace(b"%", b"%%").replace(b"%d" % FIRST_NUMBER, b"%(text)b")
    return form.replace(b"A00000", b"%(area)b").replace(b"g00000", b"%(gateway)b")


def _salted(genesis: Genesis, rows: Sequence[bytes], first: int = 0) -> list[bytes]:
    """Rows behind their salts, of place ``first`` and those that follow."""
    salts = merkle.salts(genesis.salt_seed, len(rows), first)
    return [salt + row for salt, row in zip(salts, rows, strict=True)]


class _Bodies(Iterable[tuple[bytes, bytes]]):
    """Digests and salted rows, which come in any order and go ascending: kept in files by the first bits of their digests."""

    def __init__(self, folder: Path) -> None:
        self._files = [(folder / str(number)).open("w+b") for number in range(_BODY_FILES)]

    def add(self, digests: Sequence[bytes], salted: Sequence[bytes]) -> None:
        """Take some more."""
        for digest, body in zip(digests, salted, strict=True):
            self._files[digest[0] * _BODY_FILES // 256].write(_LENGTH.pack(len(body)) + body)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for file in self._files:
            file.seek(0)
            bodies = list(_split(file.read()))
            yield from sorted(zip(merkle.leaf_hashes(bodies), bodies, strict=True))

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()


def _split(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        (size,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size + size
        yield data[start - size : start]


def _columns(world: World, others: Genesis, recorded_height: int) -> RegistryColumns:
    """The columns that a first start would read from the leaves, which takes more than a minute a million."""
    known = MemoryState(others).registry.columns
    index = np.arange(world.meters, dtype=np.int64)
    nothing = np.zeros_like(index)
    same = np.ones_like(index)
    once = Dated(index, nothing, recorded_height * same)
    rest: dict[str, Any] = {
        "points": tuple(f"P{FIRST_NUMBER + number}" for number in range(world.meters)),
        "parties": tuple(f"p{FIRST_NUMBER + number}" for number in range(world.meters)),
    }
    return replace(
        known,
        **rest,
        point_area=index // world.points,
        point_entries=once,
        point_party=index,
        point_profile=-same,
        point_rules=-same,
        point_share_ppm=-same,
        point_priority=-same,
        point_energy_kind=-same,
        point_grid_place=nothing,
        point_exchange_area=-same,
        point_partners=-same,
        party_entries=once,
        party_area=index // world.points,
        party_trades=same,
        party_credit_nano=-same,
        aggregators=(AGGREGATOR,),
        party_aggregator=nothing,
        numbers=index + FIRST_NUMBER,
        installation_point=index,
        modulus_wh=nothing,
        installation_entries=once,
        installation_gateway=index // METERS_OF_GATEWAY,
        limit_wh=11_000 * same,
        ratio=same,
        first_import_wh=nothing,
        first_export_wh=nothing,
        final_import_wh=-same,
        final_export_wh=-same,
    )
