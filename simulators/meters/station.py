"""A meter on a line, whatever it speaks: what it counts, its serial number and clock, and what is wrong with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from gridcore.clock import monotonic_ms, wall_ms
from simulators.meters.faults import NO_FAULT, Fault, Shows

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Quantities:
    """The state of a meter on its own (secondary) side: cumulative Wh, active power in W (import positive), phase voltage."""

    import_wh: int = 0
    export_wh: int = 0
    power_w: float = 0.0
    voltage_v: float = 230.0


@dataclass(slots=True)
class MeterClock:
    """The clock inside a meter: ahead of true time, and drifting from the moment it was set."""

    ahead_ms: int = 0
    drift_ppm: int = 0
    true_ms: Callable[[], int] = wall_ms
    set_at_ms: int = -1

    def now_ms(self) -> int:
        """The time of day that the meter shows, in UTC milliseconds."""
        true_ms = self.true_ms()
        if self.set_at_ms < 0:
            self.set_at_ms = true_ms
        return true_ms + self.ahead_ms + (true_ms - self.set_at_ms) * self.drift_ppm // PPM

    def set(self, shown_ms: int) -> None:
        """Set the clock; it drifts on from here."""
        self.set_at_ms = self.true_ms()
        self.ahead_ms = shown_ms - self.set_at_ms


class Answer(NamedTuple):
    """What a meter says, without the frame around it, and how many ms late."""

    body: bytes
    late_ms: int = 0


class Station(ABC):
    """One address on a line. ``turnaround_ms``: from the end of a request to the begin of its answer."""

    def __init__(self, serial: int = 0, turnaround_ms: int = 0, clock: MeterClock | None = None) -> None:
        self.serial = serial
        self.turnaround_ms = turnaround_ms
        self.clock = clock or MeterClock()
        self.requests = 0
        self._counted = Quantities()
        self._still: Quantities | None = None
        self._fault = NO_FAULT
        self._requests_left = -1
        self._over_at_ms = 0.0
        self._went_back_wh = 0

    @abstractmethod
    def answer(self, request: bytes) -> Answer | None:
        """The answer to a request without its frame; None: silence."""

    def count(self, counted: Quantities) -> None:
        """Move on to another state."""
        self._counted = counted

    def set_fault(self, fault: Fault | None) -> None:
        """Give it a fault from now on, or take it away."""
        self._fault = fault or NO_FAULT
        self._requests_left = self._fault.requests
        self._over_at_ms = monotonic_ms() + self._fault.lasts_ms
        self._still = self._counted if self._fault.stuck else None
        self._went_back_wh = 0

    def hear(self) -> Fault:
        """Note a request, and say what is wrong with the meter while it is answered."""
        self.requests += 1
        fault = self._fault
        if fault is NO_FAULT:
            return fault
        if self._requests_left == 0 or (fault.lasts_ms >= 0 and monotonic_ms() >= self._over_at_ms):
            self.set_fault(None)
            return NO_FAULT
        self._requests_left -= self._requests_left > 0
        self._went_back_wh += fault.back_wh
        return fault

    def shown(self) -> tuple[Quantities, Shows]:
        """What its registers show now."""
        fault, shown = self._fault, self._still or self._counted
        if fault.lower_wh or self._went_back_wh:
            shown = replace(
                shown,
                import_wh=max(0, shown.import_wh - fault.lower_wh - self._went_back_wh),
                export_wh=max(0, shown.export_wh - fault.lower_wh),
            )
        return shown, fault.shows
