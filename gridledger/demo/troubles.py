"""What goes wrong with meters and gateways while a scenario runs, and which readings nobody can therefore have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

from gridledger.demo.dropped import Dropped
from simulators.grid.world import World
from simulators.meters.faults import Fault, LineFault
from simulators.scenarios.meter_kinds import MODBUS_TCP, Wiring
from simulators.scenarios.schema import (
    BLACKOUT,
    CLOCK_STEP,
    CUT_FROM_METERS,
    CUT_FROM_NODE,
    DEAD_BROKER,
    DEAD_GATEWAY,
    DUPLICATED,
    EXCEPTION,
    GARBLED,
    LATE,
    LOST,
    METER_CLOCK,
    NO_VALUE,
    PARTITION,
    REBOOT,
    REORDERED,
    RESET,
    STOLEN_KEY,
    STUCK,
    SWAPPED,
    VALIDATOR_DOWN,
    WORD_SWAP,
    Event,
)

BROKEN: Final = Fault(exception=4)
"""A meter whose reading is lost: it answers that it has failed."""
TOO_LATE_MS: Final = 5_000
"""More than an agent waits for an answer of any meter that a scenario has."""
LINE_FAULTS: Final = {
    GARBLED: LineFault(noise=b"\x00\xff\x55"),
    DUPLICATED: LineFault(twice=True),
    REORDERED: LineFault(overtaken_every=16),
}
DAMAGED: Final = LineFault(damaged=True)
"""Interference on a serial line: what stands before a frame is passed over there, so it is the frame that suffers."""
METER_STEP_MS: Final = 3_600_000
"""By so much a meter's clock that was set back is behind."""
STEP_S: Final = 420
"""A gateway's clock that was set back is behind by this: no boundary of it is one of the ledger's."""
METER_FAULTS: Final[dict[str, Callable[[int], Fault]]] = {
    LATE: lambda _: Fault(late_ms=TOO_LATE_MS),
    LOST: lambda _: Fault(silent=True),
    EXCEPTION: lambda _: BROKEN,
    NO_VALUE: lambda _: Fault(shows="no_value"),
    RESET: lambda counted_wh: Fault(lower_wh=counted_wh),
    STUCK: lambda _: Fault(stuck=True),
    WORD_SWAP: lambda _: Fault(shows="words_swapped"),
    REBOOT: lambda _: Fault(shows="zero", requests=1),
}
"""The fault of a meter, by what its import register had counted when it began."""
_NO_READING: Final = frozenset({LATE, LOST, EXCEPTION, NO_VALUE, RESET, SWAPPED, WORD_SWAP})
_NO_READING_OF_AREA: Final = frozenset({BLACKOUT, DEAD_GATEWAY, GARBLED, CUT_FROM_METERS, CLOCK_STEP})
_BETWEEN_GATEWAY_AND_NODE: Final = frozenset({CUT_FROM_NODE, CLOCK_STEP})


class Troubles:
    """The events of a world, and the readings that are dropped besides."""

    def __init__(self, world: World, dropped: Dropped) -> None:
        self.world = world
        self._dropped = dropped
        self._boundary_s: list[int] = world.boundary_s.tolist()
        self._row_of = {meter.meter: row for row, meter in enumerate(world.meters)}
        self._events: dict[int, list[Event]] = defaultdict(list)
        for event in world.scenario.events:
            for index in range(event.from_slot, event.until_slot):
                self._events[index].append(event)

    def __bool__(self) -> bool:
        """Whether anything can go wrong at all."""
        return bool(self._dropped.ppm or self._events)

    def has_no_reading(self, boundary_index: int, meter: str, area: str) -> bool:
        """Whether the reading of a meter at a boundary is one that nobody waits for."""
        if self._dropped.is_dropped(self._boundary_s[boundary_index], meter):
            return True
        if self.world.not_taken[boundary_index, self._row_of[meter]]:
            return True
        for event in self._events.get(boundary_index, ()):
            if event.kind in _NO_READING_OF_AREA and event.target == area:
                return True
            if event.kind in _NO_READING and meter in (event.target, event.other):
                return True
        return False

    def lack_readings(self, boundary_index: int) -> int:
        """How many readings of a boundary nobody waits for."""
        return sum(self.has_no_reading(boundary_index, meter.meter, meter.area) for meter in self.world.meters)

    def lost(self) -> int:
        """How many readings nobody waits for."""
        return sum(map(self.lack_readings, range(len(self._boundary_s))))

    def meter_faults(self, boundary_index: int, area: str) -> dict[str, Fault]:
        """What is wrong with meters of an area at a boundary."""
        found: dict[str, Fault] = {}
        for meter in self.world.meters if self._dropped.ppm else ():
            if meter.area == area and self._dropped.is_dropped(self._boundary_s[boundary_index], meter.meter):
                found[meter.meter] = BROKEN
        for event in self._events.get(boundary_index, ()):
            if event.kind in METER_FAULTS:
                found[event.target] = METER_FAULTS[event.kind](self._counted_wh(event))
        return found

    def line_fault(self, boundary_index: int, area: str, wiring: Wiring) -> LineFault | None:
        """What is wrong with the lines of a kind in an area."""
        faults = [
            DAMAGED if event.kind == GARBLED and wiring.speaks != MODBUS_TCP else LINE_FAULTS.get(event.kind)
            for event in self._of_area(boundary_index, area)
        ]
        return next((fault for fault in faults if fault is not None), None)

    def is_cut_from_meters(self, boundary_index: int, area: str) -> bool:
        """Whether no bytes pass between the gateway of an area and its meters."""
        return any(event.kind == CUT_FROM_METERS for event in self._of_area(boundary_index, area))

    def is_cut_from_node(self, boundary_index: int, area: str) -> bool:
        """Whether no bytes pass between the gateway of an area and the node; it has its time from elsewhere."""
        return any(event.kind == CUT_FROM_NODE for event in self._of_area(boundary_index, area))

    def clock_behind_s(self, boundary_index: int, area: str) -> int:
        """By how much the clock of an area's gateway is behind."""
        return STEP_S if any(event.kind == CLOCK_STEP for event in self._of_area(boundary_index, area)) else 0

    def is_broker_dead(self, boundary_index: int) -> bool:
        """Whether the broker of the devices does not run."""
        return any(event.kind == DEAD_BROKER for event in self._events.get(boundary_index, ()))

    def nodes_down(self, boundary_index: int) -> set[str]:
        """The nodes that do not run at a boundary."""
        return {event.target for event in self._events.get(boundary_index, ()) if event.kind == VALIDATOR_DOWN}

    def nodes_cut_off(self, boundary_index: int) -> frozenset[str]:
        """The nodes that run at a boundary and do not hear the others."""
        events = self._events.get(boundary_index, ())
        return next((event.nodes for event in events if event.kind == PARTITION), frozenset())

    def stands(self, cut_off: frozenset[str]) -> bool:
        """Whether nobody makes blocks while some nodes are cut off."""
        consortium = self.world.scenario.consortium
        return consortium is not None and not consortium.goes_on_without(cut_off)

    def nodes_that_stop(self) -> set[str]:
        """Those that do not run, or do not hear the others, at some boundary."""
        return set().union(*(event.nodes for event in self.world.scenario.events))

    def areas_with_relay(self) -> set[str]:
        """The areas of which something may happen between gateway and node."""
        return {event.target for event in self.world.scenario.events if event.kind in _BETWEEN_GATEWAY_AND_NODE}

    def swaps(self, boundary_index: int) -> Iterator[tuple[str, str]]:
        """Pairs of meters that change places at a boundary: when it begins, and when it is over."""
        for event in self.world.scenario.events:
            if event.kind == SWAPPED and boundary_index in (event.from_slot, event.until_slot):
                yield event.target, event.other

    def clock_steps(self, boundary_index: int) -> Iterator[tuple[str, int]]:
        """Meters whose clocks jump at a boundary, and by how many ms: when it begins, and when it is over."""
        for event in self.world.scenario.events:
            if event.kind == METER_CLOCK and boundary_index in (event.from_slot, event.until_slot):
                yield event.target, -METER_STEP_MS if boundary_index == event.from_slot else METER_STEP_MS

    def is_gateway_dead(self, boundary_index: int, area: str) -> bool:
        """Whether the gateway of an area is without power, or broken."""
        return any(event.kind in (BLACKOUT, DEAD_GATEWAY) for event in self._of_area(boundary_index, area))

    def is_key_stolen(self, boundary_index: int, area: str) -> bool:
        """Whether somebody else uses the key of an area's gateway."""
        return any(event.kind == STOLEN_KEY for event in self._of_area(boundary_index, area))

    def _of_area(self, boundary_index: int, area: str) -> list[Event]:
        return [event for event in self._events.get(boundary_index, ()) if event.target == area]

    def _counted_wh(self, event: Event) -> int:
        """What the import register had counted when an event began, on the own side of the current transformer."""
        row = next(row for row, meter in enumerate(self.world.meters) if meter.meter == event.target)
        return int(self.world.true_registers(event.from_slot)[0][row]) // self.world.meters[row].ratio
