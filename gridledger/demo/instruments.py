"""Meters and devices of a demonstration: on sockets of their own, each showing what the world says of its place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from firmware_profiles import ModbusProfile, load_profile
from gridcore.serving.ports import HOST
from gridledger.demo.devices import Broker, PlacedDevice, connect_devices, devices_toml, place_devices
from gridledger.demo.exchange import NUMBERS_FROM, Exchange, exchanges_of, write_exchange
from gridledger.demo.genesis import gateway_of
from gridledger.demo.scene import Scene
from gridledger.demo.troubles import Troubles
from gridledger.founding.folder import write_new
from simulators.grid.metering import MeterSpec
from simulators.grid.world import LINE_ENDS_OBSERVED, World
from simulators.meters.bus import Wire
from simulators.meters.dlt645 import address_of
from simulators.meters.faults import Fault
from simulators.meters.fleet import FIRST_SERIAL, LineEndpoint, MeterFleet, VirtualMeter, assign_lines
from simulators.meters.mqtt_devices import MqttFleet
from simulators.scenarios.meter_kinds import BITS_PER_BYTE, DLT645, MODBUS_RTU, MODBUS_TCP, Wiring
from simulators.scenarios.schema import SLOT_S

SAMPLING: Final = {"slot_s": SLOT_S, "window_ms": 20_000, "attempts_max": 20, "backoff_ms": 20}
AT_ONCE: Final = {"timeout_ms": 400, "drain_ms": 50, "gateway_ms_max": 0}
"""Of lines whose meters answer at once: who is silent for so long never answers. A process that stands still for longer is asked again."""
SUBMIT: Final = {"retry_ms_min": 20, "retry_ms_max": 500}
VOLTAGE: Final = "32.7.0"
REPEAT_S: Final = 0.5
FRAMER_OF: Final = {MODBUS_TCP: "socket", MODBUS_RTU: "rtu", DLT645: "dlt645"}
"""What agents and virtual meters call what a line speaks."""
LINES_OF: Final = {MODBUS_TCP: "line", MODBUS_RTU: "rtu", DLT645: "dlt645"}
"""How the names of lines begin."""


@dataclass(frozen=True)
class AreaMeters:
    """The meters of one area that speak alike. ``rows``: their columns in the world, in the fleet's order; ``faulty``: what is wrong with them now."""

    rows: tuple[int, ...]
    fleet: MeterFleet
    wiring: Wiring
    faulty: dict[str, Fault] = field(default_factory=dict)


class _Line(NamedTuple):
    """A line of an area: where it answers, and of which kind it is."""

    end: LineEndpoint
    wiring: Wiring


class MetersTime:
    """The time by which clocks of meters go: that of the boundary that they show, and it stands still between two, as the ledger's does."""

    def __init__(self, time_s: int) -> None:
        self._time_s = time_s

    def move_to(self, time_s: int) -> None:
        """It is this time now, UTC seconds."""
        self._time_s = time_s

    def now_ms(self) -> int:
        """UTC ms."""
        return self._time_s * 1000


class Instruments:
    """All meters of a world, and the MQTT devices beside some of them."""

    def __init__(
        self,
        world: World,
        areas: Sequence[AreaMeters],
        devices: MqttFleet | None,
        placed: Sequence[PlacedDevice],
        troubles: Troubles,
        config_of: Mapping[str, Path],
        time: MetersTime,
    ) -> None:
        """``config_of``: by area, the configuration file of its gateway; ``time``: by which the meters' clocks go."""
        self._world = world
        self._areas = areas
        self._devices = devices
        self._placed = placed
        self._troubles = troubles
        self._config_of = config_of
        self._time = time
        self._exchanged: dict[int, Exchange] = {}
        self._connecting: asyncio.Task[None] | None = None

    @property
    def areas_with_devices(self) -> set[str]:
        """The areas that some devices stand in."""
        return {self._world.meters[placed.row].area for placed in self._placed}

    @property
    def devices_listen(self) -> bool:
        """Whether the broker passes on to the devices what they are asked."""
        return self._devices is None or self._devices.is_listening

    @asynccontextmanager
    async def speaking(self, broker: Broker | None) -> AsyncIterator[None]:
        """Connect the devices, beside what happens inside the block, and let them say their state again and again; they leave while the broker is there.

        So a device is heard by an agent that listens a moment later, or after a broker was gone for a moment.
        """
        if self._devices is None or broker is None:
            yield
            return
        self._connecting = asyncio.create_task(connect_devices(self._devices, broker))
        repeating = asyncio.create_task(self._repeat())
        try:
            yield
        finally:
            for task in (self._connecting, repeating):
                task.cancel()
            await asyncio.gather(self._connecting, repeating, return_exceptions=True)
            await self._devices.close()

    async def _repeat(self) -> None:
        while self._devices is not None:
            await asyncio.sleep(REPEAT_S)
            await self._devices.speak()

    async def catch_up(self, boundary_index: int) -> None:
        """Bring meters to the state that they have at a boundary after all those before it; nobody listens yet."""
        for index in range(boundary_index + 1):
            await self._show_meters(index)
            for exchange in exchanges_of(self._world) if index < boundary_index else ():
                if exchange.slot == index:
                    self.exchange(exchange)

    def exchange(self, exchange: Exchange) -> None:
        """Hang the new meter where the old one was, and name it to the gateway, which has to be started again."""
        place = self._world.meters[exchange.row]
        fleet = next(area.fleet for area in self._areas if exchange.row in area.rows)
        fleet.replace_meter(place.meter, fleet.serial(place.meter) + NUMBERS_FROM)
        self._exchanged[exchange.row] = exchange
        write_exchange(self._config_of[place.area], self._world, exchange)

    async def show(self, boundary_index: int) -> None:
        """Let everything show its state at a boundary: registers on the own side of the current transformer, power, voltage."""
        await self._show_meters(boundary_index)
        await self._show_devices(boundary_index)

    async def _show_meters(self, boundary_index: int) -> None:
        imported, exported = (column.tolist() for column in self._world.counted_registers(boundary_index))
        for row, exchange in self._exchanged.items():
            imported[row] -= exchange.import_wh
            exported[row] -= exchange.export_wh
        powers_w = self._world.mean_powers_w(boundary_index).tolist()
        voltages_v = self._world.phase_voltages_v(boundary_index).tolist()
        meters = self._world.meters
        for area in self._areas:
            if self._troubles:
                await self._trouble(area, boundary_index)
            area.fleet.set_registers(
                [_own_side(meters[row], imported[row]) for row in area.rows],
                [_own_side(meters[row], exported[row]) for row in area.rows],
                [powers_w[row] / meters[row].ratio for row in area.rows],
                [voltages_v[row] for row in area.rows],
            )
        self._time.move_to(int(self._world.boundary_s[boundary_index]))

    async def _show_devices(self, boundary_index: int) -> None:
        if self._devices is None or self._connecting is None:
            return
        await self._connecting
        rows = [placed.row for placed in self._placed]
        imported, exported = self._world.counted_registers(boundary_index)
        powers_w = self._world.mean_powers_w(boundary_index)
        voltages_v = self._world.phase_voltages_v(boundary_index)
        await self._devices.set_registers(
            imported[rows].tolist(), exported[rows].tolist(), powers_w[rows].tolist(), voltages_v[rows].tolist()
        )

    async def _trouble(self, area: AreaMeters, boundary_index: int) -> None:
        """Let come, and go, what is wrong with some meters of an area."""
        name = self._world.meters[area.rows[0]].area
        places = {meter.meter for meter in area.fleet.meters}
        of_area = self._troubles.meter_faults(boundary_index, name)
        faults = {meter: fault for meter, fault in of_area.items() if meter in places}
        for meter in {*faults, *area.faulty}:
            fault = faults.get(meter)
            if fault != area.faulty.get(meter) or (
                fault is not None and fault.requests >= 0
            ):  # that one is over by itself
                area.fleet.set_fault(meter, fault)
        area.faulty.clear()
        area.faulty.update(faults)
        for line in {meter.line for meter in area.fleet.meters}:
            area.fleet.set_line_fault(line, self._troubles.line_fault(boundary_index, name, area.wiring))
            if self._troubles.is_cut_from_meters(boundary_index, name):
                await area.fleet.cut_line(line)
            else:
                await area.fleet.restore_line(line)
        for meter, by_ms in self._troubles.clock_steps(boundary_index):
            if meter in places:
                area.fleet.step_clock(meter, by_ms)
        for meter, other in self._troubles.swaps(boundary_index):
            if meter in places:
                area.fleet.exchange_addresses(meter, other)


def _own_side(meter: MeterSpec, energy_wh: int) -> int:
    """What has flowed, on the own side of the current transformer, as a register counts it that starts again at its modulus."""
    return (energy_wh % meter.modulus_wh if meter.modulus_wh else energy_wh) // meter.ratio


def _fleets_of(world: World, area: str, time: MetersTime) -> Iterator[AreaMeters]:
    """The meters of an area, those on lines of one kind together; on lines of their own."""
    rows_of: dict[Wiring, list[int]] = {}
    for row, meter in enumerate(world.meters):
        if meter.area == area:
            rows_of.setdefault(meter.wiring, []).append(row)
    for number, (wiring, rows) in enumerate(rows_of.items()):
        speaks = [other.speaks for other in rows_of]
        word = LINES_OF[wiring.speaks]
        meters = assign_lines(
            [(world.meters[row].meter, _modbus_profile(world.meters[row])) for row in rows],
            prefix=f"{word}{number}" if wiring.speaks in speaks[:number] else word,
            per_line=wiring.meters_per_line,
        )
        clocks = [world.meters[row].clock for row in rows]
        meters = [
            replace(meter, clock_ahead_ms=clock.ahead_s * 1000, clock_drift_ppm=clock.drift_ppm)
            for meter, clock in zip(meters, clocks, strict=True)
        ]
        wire = Wire(wiring.baud, BITS_PER_BYTE) if wiring.baud else None
        fleet = MeterFleet(
            meters,
            framer=FRAMER_OF[wiring.speaks],
            wire=wire,
            true_ms=time.now_ms,
            first_serial=FIRST_SERIAL + sum(map(len, list(rows_of.values())[:number])),
        )
        yield AreaMeters(tuple(rows), fleet, wiring)


def _modbus_profile(meter: MeterSpec) -> ModbusProfile | None:
    """By which a meter shows its values; None of DL/T 645, where the standard says it."""
    return None if meter.wiring.speaks == DLT645 else _loaded(meter.profile)


@cache
def _loaded(profile: str) -> ModbusProfile:
    return load_profile(profile, kind=ModbusProfile)


@asynccontextmanager
async def instruments_of(
    scene: Scene,
    world: World,
    broker: Broker | None,
    troubles: Troubles,
    shown: int | None = None,
    node_urls: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Instruments]:
    """Every area's meters on sockets of their own, devices where there is a broker, and the agents' configuration files.

    ``shown``: of a run that goes on, the boundary that its meters showed last; ``node_urls``: by area, where its agent finds the node, if not
    where that is.
    """
    placed = place_devices(world) if broker is not None else ()
    time = MetersTime(int(world.boundary_s[0]))
    async with AsyncExitStack() as stack:
        areas = []
        for number, area in enumerate(world.areas, 1):
            lines: list[_Line] = []
            hung: list[tuple[int, VirtualMeter]] = []
            for meters in _fleets_of(world, area, time):
                stack.push_async_callback(meters.fleet.close)
                lines += [_Line(end, meters.wiring) for end in await meters.fleet.start(HOST)]
                hung += zip(meters.rows, meters.fleet.meters, strict=True)
                areas.append(meters)
            url = node_urls.get(area, scene.node_of_gateway(number).url)
            text = _edge_toml(scene, world, number, url, lines, hung)
            own = [one for one in placed if world.meters[one.row].area == area]
            if broker is not None and own:
                text += "\n" + devices_toml(broker.port, own)
            scene.edge_config(number).unlink(missing_ok=True)  # of a run that goes on: its meters were on other ports
            write_new(scene.edge_config(number), text)
        devices = None
        if placed:
            devices = MqttFleet([one.device for one in placed])
        config_of = {area: scene.edge_config(number) for number, area in enumerate(world.areas, 1)}
        instruments = Instruments(world, areas, devices, placed, troubles, config_of, time)
        if shown is not None:
            await instruments.catch_up(shown)
        yield instruments


def _edge_toml(
    scene: Scene,
    world: World,
    number: int,
    node_url: str,
    lines: Sequence[_Line],
    placed: Sequence[tuple[int, VirtualMeter]],
) -> str:
    gateway = gateway_of(number)
    head = {
        "gateway": gateway,
        "chain": scene.chain,
        "node": node_url,
        "trust": "../trust.json",
        "key": f"file:{gateway}.pem",
        "key_password": f"file:{gateway}.password",
        "outbox": f"edge-{number}.outbox",
        "clock": "ledger",
        "first_boundary_s": int(world.boundary_s[0]),
        "last_boundary_s": int(world.boundary_s[-1]),
    }
    parts = ["".join(f"{key} = {json.dumps(value)}\n" for key, value in head.items())]
    for name, table in (("sampling", SAMPLING), ("submit", SUBMIT)):
        parts.append(f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in table.items()))
    for end, wiring in lines:
        framer = FRAMER_OF[wiring.speaks]
        parts.append(f'[[lines]]\nline = "{end.line}"\nhost = "{end.host}"\nport = {end.port}\nframer = "{framer}"\n')
        if not wiring.baud:
            parts[-1] += "".join(f"{key} = {value}\n" for key, value in AT_ONCE.items())
    line_ends = world.line_ends[number - 1][:LINE_ENDS_OBSERVED]
    for row, virtual in placed:
        meter = world.meters[row]
        place = f"unit_id = {virtual.unit_id}" if virtual.profile else f'address = "{address_of(virtual.unit_id)}"'
        is_observed = meter.role == "feeder" or row in line_ends
        parts.append(
            f'[[meters]]\nnumber = {row}\nmeter = "{meter.meter}"\nline = "{virtual.line}"\n{place}\n'
            f'profile = "{meter.profile}"\nlimit_wh = {meter.limit_wh // meter.ratio}\n'
            + (f'observe = ["{VOLTAGE}"]\n' if is_observed else "")
        )
    return "\n".join(parts)
