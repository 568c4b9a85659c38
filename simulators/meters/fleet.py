"""A fleet of virtual meters behind real sockets: several lines, many meters on each, one state per slot boundary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from firmware_profiles.schema import Profile
from gridcore.errors import GridError, UsageError, require
from simulators.meters.registers import Quantities, RegisterImage
from simulators.meters.responder import Fault, LineProtocol, Station

METERS_PER_LINE = 31
"""RS-485 unit loads on one segment beside the gateway: how ``assign_lines`` cuts a fleet."""
SLOTS_PER_HOUR = 4


@dataclass(frozen=True, slots=True)
class VirtualMeter:
    """One meter of the fleet: its name, its place, the profile by which it shows its values."""

    meter: str
    line: str
    unit_id: int
    profile: Profile


@dataclass(frozen=True, slots=True)
class LineEndpoint:
    """Where a line answers."""

    line: str
    host: str
    port: int


def assign_lines(
    meters: Sequence[tuple[str, Profile]], *, prefix: str = "line", per_line: int = METERS_PER_LINE
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
    """Serves ``meters``; column arguments and results are in their order. One event loop only."""

    def __init__(self, meters: Sequence[VirtualMeter], *, framer: str = "socket") -> None:
        require(framer in ("socket", "rtu"), "a line speaks Modbus TCP (socket) or RTU over TCP (rtu)")
        self.meters = tuple(meters)
        self._rtu = framer == "rtu"
        self._lines: dict[str, dict[int, Station]] = {}
        self._stations: dict[str, Station] = {}
        self._quantities = [Quantities() for _ in self.meters]
        for meter in self.meters:
            units = self._lines.setdefault(meter.line, {})
            if meter.unit_id in units or meter.meter in self._stations:
                raise UsageError(
                    f"virtual meter {meter.meter!r} (line {meter.line}, unit {meter.unit_id}) is given twice"
                )
            units[meter.unit_id] = self._stations[meter.meter] = Station(RegisterImage(meter.profile))
        self._index = {meter.meter: index for index, meter in enumerate(self.meters)}
        self._servers: dict[str, asyncio.Server] = {}
        self._connections: dict[str, set[asyncio.Transport]] = {line: set() for line in self._lines}
        self._accepted = dict.fromkeys(self._lines, 0)

    async def start(self, host: str = "127.0.0.1", ports: Mapping[str, int] | None = None) -> list[LineEndpoint]:
        """Open one socket for each line (``ports`` by line, default: free ones) and say where they are."""
        endpoints = []
        for line in self._lines:
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
        return int(address[1])

    def _accept(self, line: str) -> LineProtocol:
        self._accepted[line] += 1
        return LineProtocol(self._lines[line], self._connections[line], rtu=self._rtu)

    async def cut_line(self, line: str) -> None:
        """Close the line's socket and its connections, as a power cut of the device server would."""
        server = self._servers.pop(line, None)
        if server is not None:
            server.close()
            for transport in list(self._connections[line]):
                transport.abort()
            await server.wait_closed()

    async def close(self) -> None:
        """Close all lines."""
        for line in list(self._servers):
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
        for index, meter in enumerate(self.meters):
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
            self._show(self._stations[meter.meter], quantities)

    def set_fault(self, meter: str, fault: Fault | None) -> None:
        """Give ``meter`` a ``fault``, or take it away."""
        station = self._stations[meter]
        station.fault = fault
        station.before_read = self._stepper(meter, fault.back_wh) if fault is not None and fault.back_wh else None
        self._show(station, self._quantities[self._index[meter]])

    def accepted(self, line: str) -> int:
        """Return how many connections ``line`` has accepted since it was opened first."""
        return self._accepted[line]

    def requests(self) -> int:
        """Return how many requests all meters have seen."""
        return sum(station.requests for station in self._stations.values())

    def _stepper(self, meter: str, back_wh: int) -> Callable[[], None]:
        def step() -> None:
            index = self._index[meter]
            before = self._quantities[index]
            lower = replace(before, import_wh=max(0, before.import_wh - back_wh))
            self._quantities[index] = lower
            self._show(self._stations[meter], lower)

        return step

    @staticmethod
    def _show(station: Station, quantities: Quantities) -> None:
        station.image.show(quantities, without_value=station.fault is not None and station.fault.no_value)
