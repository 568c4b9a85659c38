"""A fleet of virtual meters: several lines, many meters on each, behind TCP sockets or serial lines; one state a boundary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from firmware_profiles.modbus import ModbusProfile
from gridcore.clock import wall_ms
from gridcore.errors import GridError, UsageError, require
from simulators.meters.bus import Bus, PtyClient, Speech, TcpClient, Wire
from simulators.meters.dlt645 import Dlt645Speech, Dlt645Station, address_of
from simulators.meters.faults import NO_LINE_FAULT, Fault, LineFault
from simulators.meters.registers import RegisterImage
from simulators.meters.responder import ModbusStation, RtuSpeech, SocketSpeech
from simulators.meters.station import MeterClock, Quantities, Station

METERS_PER_LINE = 31
"""RS-485 unit loads on one segment beside the gateway: how ``assign_lines`` cuts a fleet."""
SLOTS_PER_HOUR = 4
FIRST_SERIAL = 1_000_000


@dataclass(frozen=True, slots=True)
class VirtualMeter:
    """One meter of the fleet: its name, its place, the profile by which it shows its values."""

    meter: str
    line: str
    unit_id: int
    """Its Modbus address; of a DL/T 645 meter the number whose 12 digits are its address."""
    profile: ModbusProfile | None = None
    """None of a DL/T 645 meter: there the standard says what stands where."""
    turnaround_ms: int = 0
    """From the end of a request to the begin of its answer, where the line has a wire."""
    clock_ahead_ms: int = 0
    clock_drift_ppm: int = 0
    freeze_interval_min: int = 60
    """A DL/T 645 meter freezes its registers each so many minutes of its own clock."""
    load_record_min: int = 15
    """It stores a load record each so many minutes; 0: it keeps none."""


@dataclass(frozen=True, slots=True)
class LineEndpoint:
    """Where a line answers: a TCP socket, or a serial ``device`` ("" for a socket)."""

    line: str
    host: str
    port: int
    device: str = ""


def assign_lines(
    meters: Sequence[tuple[str, ModbusProfile | None]], *, prefix: str = "line", per_line: int = METERS_PER_LINE
) -> list[VirtualMeter]:
    """Give ``meters`` (name, profile) lines ``<prefix>-1`` … and unit ids from 1, in their order, about equally many a line."""
    require(1 <= per_line <= 247, "a Modbus line has 1 to 247 unit ids")
    lines = max(1, -(-len(meters) // per_line))
    size, more = divmod(len(meters), lines)
    placed: list[VirtualMeter] = []
    for index in range(lines):
        count = size + (1 if index < more else 0)
        part = meters[len(placed) : len(placed) + count]
        placed += [
            VirtualMeter(meter, f"{prefix}-{index + 1}", unit, profile) for unit, (meter, profile) in enumerate(part, 1)
        ]
    return placed


class MeterFleet:
    """Serves ``meters``; column arguments and results are in their order. One event loop only.

    framer: "socket" (Modbus TCP), "rtu" or "dlt645"; medium: "tcp" (a gateway, a serial device server) or "pty" (a serial
    line); wire: line timing of the buses, None: answers come at once; true_ms: the time by which the meters' clocks go;
    first_serial: the serial number of the first meter, which the others count on from.
    """

    def __init__(
        self,
        meters: Sequence[VirtualMeter],
        *,
        framer: str = "socket",
        medium: str = "tcp",
        wire: Wire | None = None,
        true_ms: Callable[[], int] = wall_ms,
        first_serial: int = FIRST_SERIAL,
    ) -> None:
        require(framer in ("socket", "rtu", "dlt645"), "a line speaks Modbus TCP (socket), rtu or dlt645")
        require(medium == "tcp" or (medium == "pty" and framer != "socket"), "rtu and dlt645 alone go over a pty")
        self.meters = tuple(meters)
        self._framer, self._medium = framer, medium
        self._index = {meter.meter: index for index, meter in enumerate(self.meters)}
        self._stations = [
            _station(meter, serial, framer, true_ms) for serial, meter in enumerate(self.meters, first_serial)
        ]
        self._quantities = [Quantities() for _ in self.meters]
        self._units: dict[str, dict[int, Station]] = {}
        for meter, station in zip(self.meters, self._stations, strict=True):
            units = self._units.setdefault(meter.line, {})
            if meter.unit_id in units or self.meters[self._index[meter.meter]] is not meter:
                raise UsageError(
                    f"virtual meter {meter.meter!r} (line {meter.line}, unit {meter.unit_id}) is given twice"
                )
            units[meter.unit_id] = station
        self._buses = {line: Bus(_speech(units, framer), wire) for line, units in self._units.items()}
        self._servers: dict[str, asyncio.Server] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self._ptys: dict[str, PtyClient] = {}
        self._connections: dict[str, set[asyncio.Transport]] = {line: set() for line in self._units}
        self._accepted = dict.fromkeys(self._units, 0)

    async def start(self, host: str = "127.0.0.1", ports: Mapping[str, int] | None = None) -> list[LineEndpoint]:
        """Open each line and say where it is: a socket (``ports`` by line, default: free ones), or a serial device."""
        endpoints = []
        for line, bus in self._buses.items():
            if self._medium == "pty":
                self._ptys[line] = PtyClient(bus)
                endpoints.append(LineEndpoint(line, "", 0, self._ptys[line].path))
            else:
                port = await self._open(line, host, (ports or {}).get(line, 0))
                endpoints.append(LineEndpoint(line, host, port))
        return endpoints

    async def _open(self, line: str, host: str, port: int) -> int:
        try:
            server = await asyncio.get_running_loop().create_server(partial(self._accept, line), host, port)
        except OSError as error:
            await self.close()
            raise GridError(
                f"line {line}: port {port} on {host} cannot be opened ({error.strerror}); choose another"
            ) from None
        self._servers[line] = server
        address = server.sockets[0].getsockname()
        self._places[line] = host, int(address[1])
        return int(address[1])

    def _accept(self, line: str) -> TcpClient:
        self._accepted[line] += 1
        return TcpClient(self._buses[line], self._connections[line])

    async def restore_line(self, line: str) -> None:
        """Open a line's socket again where it was before it was cut; nothing where it is open."""
        if line not in self._servers:
            await self._open(line, *self._places[line])

    async def cut_line(self, line: str) -> None:
        """Close the line's socket and its connections, as a power cut of the device server would; or pull a serial plug."""
        self._buses[line].close()
        pty, server = self._ptys.pop(line, None), self._servers.pop(line, None)
        if pty is not None:
            pty.close()
        if server is not None:
            server.close()
            for transport in list(self._connections[line]):
                transport.abort()
            await server.wait_closed()

    async def close(self) -> None:
        """Close all lines."""
        for line in self._buses:
            await self.cut_line(line)

    def set_registers(
        self,
        import_wh: Sequence[int],
        export_wh: Sequence[int],
        power_w: Sequence[float] | None = None,
        voltage_v: Sequence[float] | None = None,
    ) -> None:
        """Show the state at one boundary: true cumulative energy on the meters' side (Wh, divided by the ratio, floored).

        Registers show the floor of their own step. Without ``power_w`` the power is the mean since the last call, one slot
        of 15 minutes earlier; without ``voltage_v`` 230 V.
        """
        require(
            len(import_wh) == len(export_wh) == len(self.meters), "one import and one export register for each meter"
        )
        for index, station in enumerate(self._stations):
            before = self._quantities[index]
            imported, exported = int(import_wh[index]), int(export_wh[index])
            mean_w = float((imported - before.import_wh - exported + before.export_wh) * SLOTS_PER_HOUR)
            quantities = Quantities(
                imported,
                exported,
                mean_w if power_w is None else float(power_w[index]),
                230.0 if voltage_v is None else float(voltage_v[index]),
            )
            self._quantities[index] = quantities
            station.count(quantities)

    def set_fault(self, meter: str, fault: Fault | None) -> None:
        """Give ``meter`` a ``fault`` from now on, or take it away."""
        self._stations[self._index[meter]].set_fault(fault)

    def step_clock(self, meter: str, by_ms: int) -> None:
        """Let the clock in ``meter`` jump."""
        clock = self._stations[self._index[meter]].clock
        clock.set(clock.now_ms() + by_ms)

    def set_line_fault(self, line: str, fault: LineFault | None) -> None:
        """Give the way to the meters of ``line`` a ``fault``, or take it away."""
        self._buses[line].fault = fault or NO_LINE_FAULT

    def exchange_addresses(self, meter: str, other: str) -> None:
        """Let two Modbus meters answer at each other's place."""
        places = [self.meters[self._index[name]] for name in (meter, other)]
        units = [self._units[place.line] for place in places]
        first, second = (unit[place.unit_id] for unit, place in zip(units, places, strict=True))
        units[0][places[0].unit_id], units[1][places[1].unit_id] = second, first

    def replace_meter(self, meter: str, serial: int) -> None:
        """Hang a new meter, with another serial number and registers at 0, in the place of ``meter``."""
        index = self._index[meter]
        self._stations[index].serial = serial
        self._quantities[index] = Quantities()
        self._stations[index].count(Quantities())

    def serial(self, meter: str) -> int:
        """The serial number of ``meter``."""
        return self._stations[self._index[meter]].serial

    def accepted(self, line: str) -> int:
        """Return how many connections ``line`` has accepted since it was opened first."""
        return self._accepted[line]

    def requests(self) -> int:
        """Return how many requests all meters have seen."""
        return sum(station.requests for station in self._stations)


def _station(meter: VirtualMeter, serial: int, framer: str, true_ms: Callable[[], int]) -> Station:
    clock = MeterClock(meter.clock_ahead_ms, meter.clock_drift_ppm, true_ms)
    if framer == "dlt645":
        return Dlt645Station(
            address_of(meter.unit_id),
            serial,
            meter.turnaround_ms,
            clock,
            freeze_interval_min=meter.freeze_interval_min,
            load_record_min=meter.load_record_min,
        )
    if meter.profile is None:
        raise UsageError(f"virtual meter {meter.meter!r} has no profile; a Modbus meter shows its values by one")
    return ModbusStation(RegisterImage(meter.profile), serial, meter.turnaround_ms, clock)


def _speech(units: Mapping[int, Station], framer: str) -> Speech:
    if framer == "dlt645":
        return Dlt645Speech(units)
    return RtuSpeech(units) if framer == "rtu" else SocketSpeech(units)
