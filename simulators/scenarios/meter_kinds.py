"""What the meters of homes are in a scenario: what they speak, of which firmware profile, on what kind of line; and MQTT devices beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gridcore.errors import UsageError
from simulators.scenarios.keys import GROUP, check_group, check_order, one_of, whole

MODBUS_TCP, MODBUS_RTU, DLT645 = "modbus_tcp", "modbus_rtu", "dlt645"
PROFILE_OF: Final = {MODBUS_TCP: "eastron_sdm630", MODBUS_RTU: "eastron_sdm630", DLT645: "dlt645_2007"}
"""The firmware profile of meters whose scenario names none."""
METERS_PER_LINE_MAX: Final = 31
"""RS-485 unit loads on one segment beside the gateway."""
BAUD_MIN, BAUD_MAX = 1_200, 115_200
BITS_PER_BYTE: Final = 11
READING_BYTES_MAX: Final = {MODBUS_RTU: 80, DLT645: 340}
"""On the wire, both ways, while a meter is read and its reading is confirmed: its registers, and a voltage."""
LINE_S_MAX: Final = 12
"""So long all meters of a line may take at a boundary; an agent waits for 20 s."""
CLOCK_AHEAD_S_MAX: Final = 3_600
CLOCK_DRIFT_PPM_MAX: Final = 10_000
DEVICE_PROFILES_MAX: Final = 16


@dataclass(frozen=True)
class Wiring:
    """What a line speaks, at how many baud (0: answers come at once), and how many meters hang on it at most."""

    speaks: str
    baud: int = 0
    meters_per_line: int = METERS_PER_LINE_MAX


@dataclass(frozen=True, kw_only=True)
class MeterKind:
    """Of each ten homes so many have a meter like this. ``profile``: of ``firmware_profiles``, "" the usual one of what it speaks.

    Clocks of dlt645 are ``clock_ahead_s`` ahead of the time at the first boundary, and gain ``clock_drift_ppm`` from there on: whole numbers
    drawn from their ranges for each meter, negative where a clock is behind. ``baud``: frames of modbus_rtu and dlt645 take their time on a line of so many; 0: answers come at once.
    """

    homes_of_ten: int = whole(1, GROUP)
    speaks: str = one_of(MODBUS_TCP, MODBUS_RTU, DLT645)
    profile: str = dataclasses.field(default="", metadata={"max": 64})
    baud: int = whole(0, BAUD_MAX, 0)
    meters_per_line: int = whole(1, METERS_PER_LINE_MAX, METERS_PER_LINE_MAX)
    clock_ahead_s_min: int = whole(-CLOCK_AHEAD_S_MAX, CLOCK_AHEAD_S_MAX, 0)
    clock_ahead_s_max: int = whole(-CLOCK_AHEAD_S_MAX, CLOCK_AHEAD_S_MAX, 0)
    clock_drift_ppm_min: int = whole(-CLOCK_DRIFT_PPM_MAX, CLOCK_DRIFT_PPM_MAX, 0)
    clock_drift_ppm_max: int = whole(-CLOCK_DRIFT_PPM_MAX, CLOCK_DRIFT_PPM_MAX, 0)

    def __post_init__(self) -> None:
        """Check what no range says."""
        check_order(self.clock_ahead_s_min, self.clock_ahead_s_max, "clock_ahead_s")
        check_order(self.clock_drift_ppm_min, self.clock_drift_ppm_max, "clock_drift_ppm")
        if self.is_clock_wrong and self.speaks != DLT645:
            raise UsageError(f"clock_ahead_s and clock_drift_ppm are of meters with a clock; give speaks = {DLT645!r}")
        if not self.baud:
            return
        if self.speaks == MODBUS_TCP:
            raise UsageError(f"baud {self.baud}: {MODBUS_TCP} goes over a network; give speaks = {MODBUS_RTU!r}")
        if self.baud < BAUD_MIN:
            raise UsageError(f"baud {self.baud} is not from {BAUD_MIN} to {BAUD_MAX}; 0 lets answers come at once")
        reading_s = READING_BYTES_MAX[self.speaks] * BITS_PER_BYTE / self.baud
        if self.meters_per_line * reading_s > LINE_S_MAX:
            fit = int(LINE_S_MAX / reading_s)
            raise UsageError(
                f"meters_per_line {self.meters_per_line}: at {self.baud} baud a line reads {fit} of {self.speaks} in {LINE_S_MAX} s;"
                f" give {fit}, or more baud"
            )

    @property
    def profile_id(self) -> str:
        """The firmware profile."""
        return self.profile or PROFILE_OF[self.speaks]

    @property
    def is_clock_wrong(self) -> bool:
        """Whether clocks of such meters may differ from the time."""
        ahead, drift = (
            (self.clock_ahead_s_min, self.clock_ahead_s_max),
            (self.clock_drift_ppm_min, self.clock_drift_ppm_max),
        )
        return any((*ahead, *drift))

    @property
    def wiring(self) -> Wiring:
        """The kind of line that it hangs on."""
        return Wiring(self.speaks, self.baud, self.meters_per_line)


USUAL_METERS: Final = (MeterKind(homes_of_ten=GROUP, speaks=MODBUS_TCP),)
"""Where a scenario says nothing of meters."""
USUAL_WIRING: Final = USUAL_METERS[0].wiring
"""Of meters that are no home's, too."""


def kinds_of_ten(kinds: Sequence[MeterKind]) -> tuple[MeterKind, ...]:
    """Of each ten homes which has which, in the order of the tables. UsageError where they are not ten."""
    spread = tuple(kind for kind in kinds for _ in range(kind.homes_of_ten))
    if len(spread) != GROUP:
        raise UsageError(f"meters: homes_of_ten are together {len(spread)}; every home has one meter, so give {GROUP}")
    return spread


@dataclass(frozen=True)
class MqttDevices:
    """Devices beside the meters of homes, which speak to a broker: they inform and bill nothing. ``profiles``: of one after the other."""

    homes_of_ten: tuple[int, ...] = dataclasses.field(metadata={"min": 1, "max": GROUP})
    profiles: tuple[str, ...] = dataclasses.field(metadata={"min": 1, "max": DEVICE_PROFILES_MAX})

    def __post_init__(self) -> None:
        """Check what no range says."""
        check_group(self.homes_of_ten)
