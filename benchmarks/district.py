"""A district of 50,000 households, a day of it through the ledger: what ``benchmarks.pages`` looks at beside the demonstration.

A hundred areas of 500 households, all of which are metered and place an order in each of the 96 slots of DAY_S, and a feeder meter;
one gateway an area. Gateway GAP says nothing for an hour. One more area, YEAR, has been settled for 365 days by then: its few households
have 35,040 slots each. ``python -m benchmarks.district DIR`` fills a folder with a node's data directory, keys and configuration files;
``serving`` runs node and pages over it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from socket import socket
from typing import Final
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

from benchmarks.district_series import project
from benchmarks.million import AGGREGATOR, KEY, PRICES, clock
from gridcore.clock import WallClock
from gridcore.errors import require
from gridcore.genesis import Genesis
from gridcore.master_data import MasterData, MeteredPoint, Named
from gridcore.observations import Observation, Observations, encode_observations
from gridcore.registry.area import AREA, Area
from gridcore.registry.calendar import Calendar
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.zone import ZONE, Zone
from gridcore.sm3 import sm3
from gridcore.transactions.content import sign_content
from gridcore.transactions.order_batch import ROWS_MAX, OrderBatch, PlacedOrder, attach_orders
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, ClockState, ReadingBatch
from gridcore.transactions.readings import Reading, attach
from gridcore.validator import Validator
from gridledger.founding.folder import save_key_and_password, write_new
from ledger.store.directory import init_ledger
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS, pins

SLOT_S: Final = 900
SLOTS_OF_DAY: Final = 96
DAY_S: Final = 1_799_942_400
"""Local midnight (UTC+8) of the day."""
DAY_LENGTH_S: Final = SLOTS_OF_DAY * SLOT_S
END_S: Final = DAY_S + DAY_LENGTH_S
TIME_ZONE: Final = "Asia/Shanghai"
YEAR: Final = "YEAR"
HOMES_OF_YEAR: Final = 4
STEP_OF_YEAR_S: Final = DAY_LENGTH_S // 4
"""Ledger time of a block before DAY_S: its slots are settled together, which takes a third of the time."""
CONTRACT: Final = "p2p_call_auction/1"
AREAS_OF_ZONE: Final = 20
OBSERVED_OF_AREA: Final = 20
"""Meters of an area whose voltage is observed at each boundary."""
GAP: Final = 7
GAP_SLOTS: Final = range(60, 64)
FEEDER_LOSS_PERCENT: Final = 3
READY_WITHIN_S: Final = 120.0

Column = NDArray[np.int64]


@dataclass(frozen=True)
class Neighbourhood:
    """An area; its gateway is called alike. homes, feeder: numbers of its meters."""

    name: str
    zone: str
    homes: range
    feeder: int


@dataclass(frozen=True)
class District:
    """``areas`` areas of ``homes`` households each, and the area YEAR, whose last day of ``days`` is DAY_S."""

    areas: int = 100
    homes: int = 500
    days: int = 365

    @property
    def neighbourhoods(self) -> list[Neighbourhood]:
        """All areas, YEAR last. Households come before feeders: their numbers are those of their parties, too."""
        first = self.areas * self.homes
        of_year = range(first, first + HOMES_OF_YEAR)
        return [
            *(
                Neighbourhood(
                    area_name(area), f"Z{area // AREAS_OF_ZONE:02d}", self.homes_of(area), of_year.stop + area
                )
                for area in range(self.areas)
            ),
            Neighbourhood(YEAR, f"Z{YEAR}", of_year, of_year.stop + self.areas),
        ]

    @property
    def first_s(self) -> int:
        """Local midnight of the first day of YEAR."""
        return DAY_S - (self.days - 1) * DAY_LENGTH_S

    def homes_of(self, area: int) -> range:
        """Numbers of an area's households."""
        return range(area * self.homes, (area + 1) * self.homes)


def party_name(number: int) -> str:
    """The pseudonym of a household."""
    return f"P{number:05d}"


def meter_name(number: int) -> str:
    """The code of a household's meter."""
    return f"M{number:05d}"


def area_name(area: int) -> str:
    """The name of an area of the district."""
    return f"A{area:03d}"


# ------------------------------------------------------------------------------------------------------------ energies


@dataclass(frozen=True)
class Flow:
    """What households take and give in a slot, Wh, by household."""

    import_wh: Column
    export_wh: Column


def flow(numbers: Column, slot_start_s: int) -> Flow:
    """A load with a morning and an evening, and on every second roof a sun that shines."""
    day, slot = divmod((slot_start_s - DAY_S) // SLOT_S, SLOTS_OF_DAY)
    evening = max(0, 40 - 4 * abs(slot - 76)) + max(0, 24 - 4 * abs(slot - 30))
    load_wh = 60 + numbers * 7 % 90 + evening * (1 + numbers % 3) + (numbers + slot * 31 + day * 13) % 23
    light = max(0, (slot - 24) * (72 - slot))
    sun_wh = (numbers % 2) * light * (3 + (numbers * 13) % 5) // 12
    net_wh = load_wh - sun_wh
    return Flow(np.maximum(net_wh, 0), np.maximum(-net_wh, 0))


class Registers:
    """What the meters of a gateway show: household by household, then the feeder."""

    def __init__(self, numbers: Sequence[int], feeder: int) -> None:
        self.numbers = [*numbers, feeder]
        self._homes = np.array(numbers, dtype=np.int64)
        self._import_wh = np.full(len(self.numbers), 1_000, dtype=np.int64)
        self._export_wh = np.full(len(self.numbers), 1_000, dtype=np.int64)

    def pass_slot(self, slot_start_s: int) -> None:
        """Let a slot go by."""
        of_slot = flow(self._homes, slot_start_s)
        size = len(self._homes)
        self._import_wh[:size] += of_slot.import_wh
        self._export_wh[:size] += of_slot.export_wh
        net_wh = int(of_slot.import_wh.sum() - of_slot.export_wh.sum())
        above_wh = net_wh + abs(net_wh) * FEEDER_LOSS_PERCENT // 100
        self._import_wh[-1] += max(above_wh, 0)
        self._export_wh[-1] += max(-above_wh, 0)

    def readings(self) -> list[Reading]:
        """What they show now."""
        columns = zip(self.numbers, self._import_wh.tolist(), self._export_wh.tolist(), strict=True)
        return [Reading(number, 0, 0, taken, given) for number, taken, given in columns]


class GatewayChain:
    """The signed batches of a gateway, each naming the one before."""

    def __init__(self, chain: str, name: str, registers: Registers) -> None:
        self._chain, self._name, self.registers = chain, name, registers
        self._counter, self._previous = 0, FIRST_PREVIOUS

    def batch(self, boundary_s: int) -> bytes:
        """The next one."""
        self._counter += 1
        observed = tuple(
            Observation(number, "32.7.0", 231_000 - number * 37 % 9_000 - (boundary_s // SLOT_S) % 50 * 20, 0)
            for number in self.registers.numbers[:OBSERVED_OF_AREA]
        )
        observations = encode_observations(Observations(observed))
        seed = sm3(f"{self._name}/{self._counter}".encode())
        attached = attach(seed, self.registers.readings(), observations)
        content = ReadingBatch(
            agent="bench",
            boundary_s=boundary_s,
            clock=ClockState(0, "simulated"),
            configuration=bytes(32),
            counter=self._counter,
            epoch=1,
            previous=self._previous,
            profiles=bytes(32),
            rows=attached.rows,
            rows_root=attached.rows_root,
            observations=attached.observations,
        )
        signed = sign_content(
            content, chain=self._chain, signer=self._name, sign=KEY.sign, attachment=attached.attachment
        )
        self._previous = signed.id
        return signed.wire


def orders(chain: str, zone: str, numbers: range, slot_start_s: int, clock_s: int) -> Iterator[bytes]:
    """An order of each household of a zone that takes or gives anything: about what the slot will bring."""
    column = np.array(numbers, dtype=np.int64)
    of_slot = flow(column, slot_start_s)
    sides = (of_slot.export_wh > 0).astype(np.int64)
    limits = np.where(sides == 0, 370_000, 280_000) + column * 7_919 % 90_000
    quantities = of_slot.import_wh + of_slot.export_wh
    placed = [
        PlacedOrder(number, 1, side, quantity, limit)
        for number, side, quantity, limit in zip(
            numbers, sides.tolist(), quantities.tolist(), limits.tolist(), strict=True
        )
        if quantity
    ]
    for start in range(0, len(placed), ROWS_MAX):
        seed = sm3(f"{zone}/{slot_start_s}/{start}".encode())
        attached = attach_orders(seed, placed[start : start + ROWS_MAX])
        content = OrderBatch(
            client_id=seed[:16],
            valid_until_s=clock_s + 3_600,
            rows=attached.rows,
            rows_root=attached.rows_root,
            slot_start_s=slot_start_s,
            zone=zone,
        )
        yield sign_content(content, chain=chain, signer=AGGREGATOR, sign=KEY.sign, attachment=attached.attachment).wire


# ------------------------------------------------------------------------------------------------------------- genesis


def genesis(district: District) -> Genesis:
    """The chain at the start of the first day of YEAR."""
    days = [district.first_s + number * DAY_LENGTH_S for number in range(district.days + 2)]
    areas = district.neighbourhoods
    begins_s = {area.zone: district.first_s if area.name == YEAR else DAY_S for area in areas}
    return MasterData(
        name="district",
        clock="simulated",
        ledger_time_s=district.first_s,
        slot_s=SLOT_S,
        validators=[Validator("operator", "o", KEY.public_key)],
        calendars={"c": Calendar(days=days, months=[], tz=TIME_ZONE, tz_version="1")},
        listed=[
            Named(
                ORGANISATION, "o", Organisation(["aggregator", "clock", "gateway", "regulator", "utility"], "Benchmark")
            ),
            Named(RULES, "r", Rules(PRICES, {"reference_price_micro_per_kwh": 370_000, "rationing": "pro_rata"})),
            Named(SIGNER, "operator", Signer("o", KEY.public_key, ["clock", "utility"])),
            Named(SIGNER, "web", Signer("o", KEY.public_key, ["regulator"])),
            Named(SIGNER, AGGREGATOR, Signer("o", KEY.public_key, ["aggregator"])),
            *(Named(SIGNER, area.name, Signer("o", KEY.public_key, ["gateway"])) for area in areas),
            *(Named(GATEWAY, area.name, Gateway("o", "software")) for area in areas),
            *(Named(ZONE, zone, _zone(first_s)) for zone, first_s in begins_s.items()),
            *(Named(AREA, area.name, Area("c", "r", area.zone)) for area in areas),
            *(_household(number, area.name) for area in areas for number in area.homes),
            *(_feeder(area) for area in areas),
        ],
        salt_seed=bytes(32),
    ).genesis()


def _zone(first_slot_start_s: int) -> Zone:
    return Zone(
        contract=CONTRACT,
        contract_pin=pins()[CONTRACT],
        first_slot_start_s=first_slot_start_s,
        gate_before_start_s=300,
        metering_deadline_s=SLOT_S,
        open_before_start_s=86_400,
    )


def _household(number: int, area: str) -> MeteredPoint:
    return MeteredPoint(
        number=number,
        area=area,
        gateway=area,
        meter=meter_name(number),
        point=f"S{number:05d}",
        profile="eastron_sdm630",
        role="household",
        limit_wh=11_000,
        organisation="o",
        first_registers=(0, 0),
        party=party_name(number),
        trades=True,
        aggregator=AGGREGATOR,
    )


def _feeder(area: Neighbourhood) -> MeteredPoint:
    return MeteredPoint(
        number=area.feeder,
        area=area.name,
        gateway=area.name,
        meter=f"F{area.name}",
        point=f"S{area.feeder:05d}",
        profile="eastron_sdm630",
        role="feeder",
        limit_wh=1_000_000,
        organisation="o",
        first_registers=(0, 0),
    )


# -------------------------------------------------------------------------------------------------------------- ledger


class Maker:
    """Brings a ledger through the days of YEAR, and then through the day of all."""

    def __init__(self, ledger: Ledger, district: District) -> None:
        self._ledger, self._district = ledger, district
        self._gateways = {
            area.name: GatewayChain(ledger.chain, area.name, Registers(area.homes, area.feeder))
            for area in district.neighbourhoods
        }

    def pass_days_before(self) -> None:
        """The days of YEAR up to DAY_S."""
        chain, year, first_s = self._ledger.chain, self._district.neighbourhoods[-1], self._district.first_s
        gateway = self._gateways[YEAR]
        self._decide([gateway.batch(first_s)], ends_at_s=first_s)
        for before_s in range(first_s, DAY_S, STEP_OF_YEAR_S):
            at_s = before_s + STEP_OF_YEAR_S
            wires: list[bytes] = []
            for slot_start_s in range(before_s + SLOT_S, at_s + SLOT_S, SLOT_S):
                wires += orders(chain, year.zone, year.homes, slot_start_s, before_s)
            self._decide(wires, ends_at_s=before_s)
            wires = [clock(chain, at_s)]
            for slot_start_s in range(before_s, at_s, SLOT_S):
                gateway.registers.pass_slot(slot_start_s)
                wires.append(gateway.batch(slot_start_s + SLOT_S))
            self._decide(wires, ends_at_s=at_s)
        _say(f"{self._district.days - 1} days, height {self._ledger.height}")

    def pass_day(self) -> None:
        """The day of all, and what it takes until its last slot is settled."""
        chain = self._ledger.chain
        for slot, at_s in enumerate(range(DAY_S, END_S + 2 * SLOT_S, SLOT_S)):
            wires = [clock(chain, at_s)] if slot else []
            for name, gateway in self._gateways.items() if at_s <= END_S else ():
                if slot:
                    gateway.registers.pass_slot(at_s - SLOT_S)
                is_sent = name == YEAR and not slot
                if not is_sent and (name != area_name(GAP) or slot not in GAP_SLOTS):
                    wires.append(gateway.batch(at_s))
            for zone, numbers in self._zones() if at_s + SLOT_S < END_S else ():
                wires += orders(chain, zone, numbers, at_s + SLOT_S, at_s)
            self._decide(wires, ends_at_s=at_s)
            _say(f"slot {slot}, height {self._ledger.height}")

    def _zones(self) -> Iterator[tuple[str, range]]:
        for zone, areas in groupby(self._district.neighbourhoods, key=lambda area: area.zone):
            homes = [area.homes for area in areas]
            yield zone, range(homes[0].start, homes[-1].stop)

    def _decide(self, wires: list[bytes], *, ends_at_s: int) -> None:
        ledger = self._ledger
        results = ledger.make_block(ledger.examine(wires)).results
        for wire, result in zip(wires, results, strict=True):
            require(
                not result.code and not result.rows,
                f"the district's transactions are accepted: {result}, {wire[:200]!r}",
            )
        while ledger.work_pending:
            ledger.make_block(())
        require(ledger.ledger_time_s == ends_at_s, "ledger time follows the district's")


def make(folder: Path, district: District) -> None:
    """Fill a new folder."""
    folder.mkdir(parents=True)
    (folder / "ledger").mkdir()
    founded = genesis(district)
    init_ledger(folder / "ledger", founded.encode())
    write_new(folder / "trust.json", json.dumps(trust_of(founded), indent=2) + "\n")
    for name in ("node", "web"):
        save_key_and_password(folder, name, KEY)
    with closing(Ledger.open(folder / "ledger", CONTRACTS, KEY, WallClock(), pins=pins())) as ledger:
        maker = Maker(ledger, district)
        maker.pass_days_before()
        maker.pass_day()
    project(folder)


@dataclass(frozen=True)
class Served:
    """Pages and the node behind them, by their process ids. url: of the pages."""

    url: str
    processes: Sequence[int]

    def cpu_s(self) -> float:
        """What both have taken of CPU so far, by the kernel's clock of hundredths."""
        stats = (Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split() for process in self.processes)
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Pages over a folder that ``make`` has filled, with the node behind them."""
    node_port, pages_port = free_port(), free_port()
    processes = []
    with ExitStack() as running:
        for name, command, config in (
            ("node", ("node", "run"), _NODE.format(port=node_port)),
            ("web", ("serve",), _WEB.format(node_port=node_port, port=pages_port)),
        ):
            (folder / f"{name}.toml").write_text(config)
            log = running.enter_context((folder / f"{name}.log").open("ab"))
            words = [sys.executable, "-m", "gridledger", *command, "--config", str(folder / f"{name}.toml")]
            process = subprocess.Popen(words, stdout=log, stderr=log)
            running.callback(_end, process)
            processes.append(process.pid)
        url = f"http://127.0.0.1:{pages_port}"
        _wait_until_ready(url)
        yield Served(url, processes)


def _wait_until_ready(url: str) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            with urlopen(f"{url}/readyz", timeout=READY_WITHIN_S):  # noqa: S310 - loopback
                return
        except OSError:  # nobody listens yet, or the node behind the pages does not answer yet
            require(time.monotonic() < give_up, "node and pages come up")
            time.sleep(0.2)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


_NODE: Final = """data_dir = "ledger"

[listen]
port = {port}

[key]
uri = "file:node.pem"
password = "file:node.password"
"""
_WEB: Final = """node = "http://127.0.0.1:{node_port}"

[key]
signer = "web"
uri = "file:web.pem"
password = "file:web.password"

[web]
trust = "trust.json"
users = "users.db"
demo = true

[web.listen]
port = {port}

[series]
path = "series.db"
"""


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    make(Path(sys.argv[1]), District(*map(int, sys.argv[2:])))
