"""Worlds of a million metering points: a ledger's data directory made fast, for ``node_open`` and ``slot_million``.

``python -m benchmarks.million make|open|slot|orders DIR AREAS POINTS`` is what they run, each step in a process of its own, so that the
memory it reports is its own. What ``make`` writes is what a node would have made of the same genesis.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gridcore import cbor, merkle
from gridcore.clock import WallClock
from gridcore.errors import require
from gridcore.genesis import Genesis
from gridcore.master_data import MasterData, MeteredPoint, Named
from gridcore.registry.area import AREA, Area
from gridcore.registry.calendar import Calendar
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.row import salt_rows
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.zone import ZONE, Zone
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import SignedContent, sign_content
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, ClockState, ReadingBatch
from gridcore.transactions.readings import Reading, attach
from gridcore.validator import Validator
from ledger.registry.dated import Dated
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf, Entry

if TYPE_CHECKING:
    from ledger.registry.columns import RegistryColumns

METERS_OF_GATEWAY = 500
ZONE_POINTS = 100_000
SLOT_S = 900
METERING_DEADLINE_S = 900
FIRST_S = 1_800_000_000
FIRST_NUMBER = 1_000_000
"""Meter numbers of seven digits, so that every leaf is as long as the next."""
KEY = SigningKey.from_scalar(bytes(31) + b"\x51")
CONTRACT = "p2p_call_auction/1"
AGGREGATOR = "pool"
"""The signer that places the orders of every household."""
PRICES = {
    "feed_in_price_micro_per_kwh": 280_000,
    "levy_micro_per_kwh": 40_000,
    "network_residual_micro_per_kwh": 180_000,
    "network_traded_micro_per_kwh": 150_000,
    "residual_price_micro_per_kwh": 460_000,
    "shortfall_price_micro_per_kwh": 490_000,
    "surplus_price_micro_per_kwh": 280_000,
}


@dataclass(frozen=True)
class World:
    """``areas`` grid areas of ``points`` households each; gateways read 500 meters, whatever their areas.

    certifiers: keys that certify, each of power 1; ledger_time_s: at genesis; metering_deadline_s: as a zone has it.
    """

    areas: int
    points: int
    certifiers: tuple[bytes, ...] = (KEY.public_key,)
    ledger_time_s: int = FIRST_S
    metering_deadline_s: int = METERING_DEADLINE_S

    @property
    def meters(self) -> int:
        """All metering points."""
        return self.areas * self.points

    @property
    def areas_of_zone(self) -> int:
        """Areas that share a zone: as many as leave it well below the most rows that one may have."""
        return max(1, ZONE_POINTS // self.points)

    @property
    def zones(self) -> Sequence[str]:
        """The zones' names, ascending."""
        return [self.zone_of(area) for area in range(0, self.areas, self.areas_of_zone)]

    def zone_of(self, area: int) -> str:
        """The zone of an area."""
        return f"Z{area // self.areas_of_zone:05d}"

    @property
    def gateways(self) -> int:
        """Gateways that it takes to read them."""
        return -(-self.meters // METERS_OF_GATEWAY)


# ---------------------------------------------------------------------------------------------------------- the genesis


def _household(index: int, area: str, gateway: str) -> MeteredPoint:
    number = FIRST_NUMBER + index
    return MeteredPoint(
        number=number,
        area=area,
        gateway=gateway,
        meter=f"M{number}",
        point=f"P{number}",
        profile="eastron_sdm630",
        role="household",
        limit_wh=11_000,
        organisation="o",
        first_registers=(0, 0),
        party=f"p{number}",
        trades=True,
        aggregator=AGGREGATOR,
    )


def _household_rows(world: World) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of every household's registry rows (party, point, installation), from those of one that were encoded."""
    templates = []
    for row in _household(0, "A00000", "g0000").rows():
        form = row.encode().replace(b"%", b"%%").replace(b"1000000", b"%(text)b").replace(b"A00000", b"%(area)b")
        templates.append((row.key, form.replace(b"g0000", b"%(gateway)b")))
    for index in range(world.meters):
        text = str(FIRST_NUMBER + index)
        filled = {
            b"text": text.encode(),
            b"area": b"A%05d" % (index // world.points),
            b"gateway": b"g%04d" % (index // METERS_OF_GATEWAY),
        }
        for key, form in templates:
            yield key.replace("1000000", text), form % filled


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
    names = [f"g{number:04d}" for number in range(world.gateways)]
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
            *(Named(SIGNER, name, Signer("o", KEY.public_key, ["gateway"])) for name in names),
            *(Named(GATEWAY, name, Gateway("o", "software")) for name in names),
            *(Named(ZONE, name, zone) for name in world.zones),
            *(Named(AREA, f"A{area:05d}", Area("c", "r", world.zone_of(area))) for area in range(world.areas)),
        ],
        salt_seed=bytes(32),
    )


def _numbers(world: World, others: int) -> Iterator[int | None]:
    """The number that each entity's leaf holds, in the order of the rows; ``others``: entities before the households."""
    yield from (None for _ in range(others - world.areas))
    yield from (area % world.areas_of_zone for area in range(world.areas))
    rows_of_zone = world.areas_of_zone * world.points
    for index in range(world.meters):
        yield from (index, index % rows_of_zone, None)


def _leaves(keys: Sequence[str], digests: Sequence[bytes], numbers: Iterable[int | None]) -> Iterator[bytes]:
    """The leaf of each entity, which has one entry from the beginning on."""
    for key, digest, number in zip(keys, digests, numbers, strict=True):
        kind = key.partition("/")[0]
        yield cbor.encode([key, ENTITY_FAMILIES[kind].encode(EntityLeaf([Entry(0, 0, bytes(digest))], number=number))])


def _columns(world: World, others: Genesis) -> RegistryColumns:
    """The columns that a first start would read from the leaves, which takes more than a minute."""
    from ledger.state.memory import MemoryState

    known = MemoryState(others).registry.columns
    index = np.arange(world.meters, dtype=np.int64)
    once = Dated(index, np.zeros_like(index), np.zeros_like(index))
    same = np.ones_like(index)
    return replace(
        known,
        points=tuple(f"P{FIRST_NUMBER + number}" for number in range(world.meters)),
        point_area=index // world.points,
        point_entries=once,
        point_party=index,
        point_profile=-same,
        parties=tuple(f"p{FIRST_NUMBER + number}" for number in range(world.meters)),
        party_entries=once,
        party_area=index // world.points,
        party_trades=same,
        party_credit_nano=-same,
        aggregators=(AGGREGATOR,),
        party_aggregator=0 * same,
        numbers=index + FIRST_NUMBER,
        installation_point=index,
        modulus_wh=0 * same,
        installation_entries=once,
        installation_gateway=index // METERS_OF_GATEWAY,
        limit_wh=11_000 * same,
        ratio=same,
        first_import_wh=0 * same,
        first_export_wh=0 * same,
        final_import_wh=-same,
        final_export_wh=-same,
    )


def make(data_dir: Path, world: World) -> None:
    """The data directory of a node that has opened this world once."""
    from ledger.origin import Origin
    from ledger.state.genesis import genesis_change
    from ledger.state.state import LeafChange, StateChange
    from ledger.store.directory import GENESIS_NAME
    from ledger.store.files import Files
    from ledger.store.guard import GUARD_NAME, Guard
    from ledger.store.registry_file import REGISTRY_NAME, write_registry
    from ledger.store.state_db import DB_NAME, StateDb
    from ledger.tiles import tree_over
    from settlement.catalogue import pins

    others = _other_entities(world, pins()[CONTRACT]).genesis()
    few = list(genesis_change(others).leaves)
    keys = [leaf.key for leaf in few if leaf.key.partition("/")[0] in ENTITY_FAMILIES]
    first = next(leaf.number for leaf in few if leaf.key == keys[0])
    households = list(_household_rows(world))
    genesis = replace(others, registry=(*others.registry, *(row for _, row in households)))
    salted = salt_rows(genesis.salt_seed, genesis.registry)
    digests = list(merkle.leaf_hashes(salted))
    entities = [*keys, *(key for key, _ in households)]
    del households
    encoded = chain(
        ((leaf.key, leaf.leaf) for leaf in few[:first]),
        zip(entities, _leaves(entities, digests, _numbers(world, len(keys))), strict=True),
        ((leaf.key, leaf.leaf) for leaf in few[first + len(keys) :]),
    )
    changes = tuple(LeafChange(number, key, leaf) for number, (key, leaf) in enumerate(encoded))
    tree = tree_over(merkle.leaf_hashes([change.leaf for change in changes]))
    bodies = dict(zip(map(bytes, digests), salted, strict=True))
    origin = Origin.of(genesis, tree.root)
    data = genesis.encode()
    data_dir.mkdir(parents=True)
    (data_dir / GENESIS_NAME).write_bytes(data)
    Guard.create(data_dir / GUARD_NAME, 0, origin.header.digest(), Files())
    with closing(
        StateDb.create(data_dir / DB_NAME, origin, StateChange(changes, {}, tree, sorted(bodies.items())))
    ) as db:
        write_registry(data_dir / REGISTRY_NAME, _columns(world, others), db, Files())
    _say("made", leaves=len(changes), genesis_mib=len(data) >> 20)


# ------------------------------------------------------------------------------------------------------ transactions


def clock(chain: str, to_s: int) -> bytes:
    """Move ledger time."""
    step = ClockAdvance(client_id=to_s.to_bytes(16, "big"), valid_until_s=to_s, to_s=to_s)
    return sign_content(step, chain=chain, signer="operator", sign=KEY.sign).wire


def batch(world: World, chain: str, gateway: int, counter: int, previous: bytes) -> SignedContent:
    """A gateway's batch number ``counter``, one boundary later each."""
    first = gateway * METERS_OF_GATEWAY
    readings = [
        Reading(FIRST_NUMBER + meter, 0, 0, 1_000_000 + 250 * counter + meter % 97, 500_000 + 90 * counter)
        for meter in range(first, min(first + METERS_OF_GATEWAY, world.meters))
    ]
    attached = attach(sm3(b"%d/%d" % (gateway, counter)), readings)
    content = ReadingBatch(
        agent="bench",
        boundary_s=FIRST_S + (counter - 1) * SLOT_S,
        clock=ClockState(0, "simulated"),
        configuration=bytes(32),
        counter=counter,
        epoch=1,
        previous=previous,
        profiles=bytes(32),
        rows=attached.rows,
        rows_root=attached.rows_root,
    )
    return sign_content(content, chain=chain, signer=f"g{gateway:04d}", sign=KEY.sign, attachment=attached.attachment)


# ------------------------------------------------------------------------------------------------------------- steps


def open_node(data_dir: Path) -> None:
    """Open the node as ``node run`` does, and say how long that took."""
    from ledger.store.ledger import Ledger
    from settlement.catalogue import CONTRACTS, pins

    start = time.perf_counter()
    with closing(Ledger.open(data_dir, CONTRACTS, KEY, WallClock(), pins=pins())) as ledger:
        _say("open", seconds=time.perf_counter() - start, points=len(ledger.registry.numbers), height=ledger.height)


def slot(data_dir: Path, world: World) -> None:
    """One slot over the engine's submit interface; the registers at its start are there before the clock starts."""
    asyncio.run(_slot(data_dir, world))


async def _slot(data_dir: Path, world: World) -> None:
    from benchmarks.watched import Watched
    from ledger.engines.embedded import EmbeddedEngine
    from ledger.store.ledger import Ledger
    from settlement.catalogue import CONTRACTS

    files = Watched()
    ledger = Ledger.open(data_dir, CONTRACTS, KEY, WallClock(), files=files)

    def decide(wires: list[bytes]) -> None:
        results = ledger.make_block(ledger.examine(wires)).results
        require(not any(result.code or result.rows for result in results), "the benchmark's transactions are accepted")

    first = [batch(world, ledger.chain, gateway, 1, FIRST_PREVIOUS) for gateway in range(world.gateways)]
    decide([content.wire for content in first])
    decide([clock(ledger.chain, FIRST_S + SLOT_S)])
    second = [batch(world, ledger.chain, gateway, 2, content.id).wire for gateway, content in enumerate(first)]
    async with EmbeddedEngine(ledger) as engine:
        files.seconds.clear()
        height, start, cpu_s = ledger.height, time.perf_counter(), time.process_time()
        files.last = start
        shares = [second[at : at + 100] for at in range(0, len(second), 100)]
        for answers in await asyncio.gather(*(engine.submit(share) for share in shares)):
            require(not any(answer.code or answer.rows for answer in answers), "every row is accepted")
        taken = time.perf_counter()
        await engine.submit([clock(ledger.chain, FIRST_S + SLOT_S + METERING_DEADLINE_S)])
        while ledger.work_pending:
            await engine.wait_height(ledger.height, 1.0)
        done, cpu_s = time.perf_counter(), time.process_time() - cpu_s
    _say(
        "slot",
        seconds=done - start,
        received_s=taken - start,
        settled_s=done - taken,
        cpu_s=cpu_s,
        blocks=ledger.height - height,
        **{f"{point}_s": seconds for point, seconds in files.seconds.items()},
        log_mib=(data_dir / "blocks.log").stat().st_size >> 20,
        state_db_mib=(data_dir / "state.db").stat().st_size >> 20,
    )
    ledger.close()


def orders(data_dir: Path, world: World) -> None:
    """An order of every household over the engine's submit interface, and the gate of the slot."""
    from benchmarks.million_orders import place_and_clear

    _say("orders", **asyncio.run(place_and_clear(data_dir, world)))


def _say(step: str, **figures: float) -> None:
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(json.dumps({"step": step, **figures, "peak_mib": peak_mib}))  # noqa: T201


def run_step(step: str, data_dir: Path, world: World) -> dict[str, Any]:
    """A step in a process of its own; its figures, which are printed to stderr as well."""
    command = [sys.executable, "-m", "benchmarks.million", step, str(data_dir), str(world.areas), str(world.points)]
    folder = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    shown = ", ".join(
        f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )
    print(shown, file=sys.stderr, flush=True)  # noqa: T201
    return figures


def main() -> None:
    """One step, as ``run_step`` calls it."""
    step, data_dir, areas, points = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    world = World(areas, points)
    match step:
        case "make":
            make(data_dir, world)
        case "open":
            open_node(data_dir)
        case "orders":
            orders(data_dir, world)
        case _:
            slot(data_dir, world)


if __name__ == "__main__":
    main()
