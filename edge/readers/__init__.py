"""The ways to a meter's values, one module for each protocol; here what they share: what a read gives and how it fails.

A reader gives exact values by OBIS, with the bytes that the meter sent as evidence. Whoever asks it knows neither the
protocol nor the line behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol

from edge.links import Down
from gridcore.errors import GridError

UNIT_ID_MAX = 255
"""Highest unit id (Modbus messaging on TCP/IP 1.0b, 4.4.2; on a serial line devices have 1 to 247)."""
PORT_DEFAULT = 502
"""Where Modbus TCP listens (Modbus messaging on TCP/IP 1.0b, 4.3.1)."""


class LineError(GridError):
    """A request brought no usable answer. The line stays usable."""


class LineDownError(LineError):
    """There is no connection: every meter of the line is out of reach."""

    def __init__(self, message: str, down: Down = Down.OTHER) -> None:
        super().__init__(message)
        self.down = down


class NoAnswerError(LineError):
    """The device did not answer in time."""


class HungUpError(NoAnswerError):
    """The other side took the connection and the request, and ended the connection without an answer."""


class DeviceRefusedError(LineError):
    """The device answered that it will not. ``code``: the protocol's own (of Modbus: section 7 of its application protocol).

    ``is_silence``: a gateway answered that the device behind it does not.
    """

    def __init__(self, message: str, code: int, *, is_silence: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.is_silence = is_silence


class WrongAnswerError(LineError):
    """What arrived is no answer to the request: another device, transaction, function or length."""


class Register(NamedTuple):
    """A cumulative register in whole Wh (secondary), its step (Wh), and the bytes it was decoded from, in the order they came."""

    obis: str
    register_wh: int
    step_wh: int
    raw: bytes


class RawAnswer(NamedTuple):
    """What a meter sent, as it came. ``place``: function code and first register ("3:0x0048"), or a data item ("00010000")."""

    place: str
    data: bytes


class QuarantinedError(GridError):
    """What a meter gave is no reading: it does not decode, says "no value", or its two readings do not agree.

    ``answers``: what it sent of its billing registers, where they are what does not decode.
    """

    def __init__(self, message: str, answers: tuple[RawAnswer, ...] = ()) -> None:
        super().__init__(message)
        self.answers = answers


@dataclass(frozen=True, slots=True)
class BillingRead:
    """The registers that are signed and billed, in the order of BILLING_OBIS, and when they had arrived (monotonic ms).

    ``frozen``: the meter itself had stored them at the boundary; ``answers``: what they were decoded from, with whatever came
    in the same answers.
    """

    registers: tuple[Register, ...]
    arrived_ms: float
    frozen: bool = False
    answers: tuple[RawAnswer, ...] = ()


class Quantity(NamedTuple):
    """A value that informs: exact, in the base unit of its point, and when it arrived (monotonic ms)."""

    obis: str
    value: Fraction
    arrived_ms: float


class MeterReader(Protocol):
    """Reads one meter. Each method raises LineError without a usable answer, QuarantinedError for an unusable value.

    ``until_ms``: the moment on the monotonic clock at which there is no use in an answer any more.
    """

    async def read_billing(self, until_ms: float) -> BillingRead:
        """Read the billing registers."""
        ...

    async def confirm_billing(self, until_ms: float) -> BillingRead:
        """Read them again by another request, so that no stray answer can stand for both."""
        ...

    @property
    def records_s(self) -> int:
        """How far back the meter's own records of its billing registers reach (s); 0: it keeps none."""
        ...

    async def read_record(self, boundary_s: int, until_ms: float) -> BillingRead | None:
        """Read what the meter itself has stored of an earlier boundary (UTC s), marked frozen; None: it has no record of it."""
        ...

    async def read_serial(self, until_ms: float) -> str:
        """Read the meter's serial number; "" where its profile knows none."""
        ...

    async def read_misfit(self, until_ms: float) -> str:
        """Read whether the meter is of its profile's models: "" where it is or nobody can tell, else one line."""
        ...

    async def read_clock_ahead(self, until_ms: float) -> int | None:
        """Read how far the meter's own clock is ahead of this machine's (s); None where its profile knows none."""
        ...

    async def read_observed(self, until_ms: float) -> list[Quantity]:
        """Read the points that are configured to be observed; QuarantinedError when none of them has a value."""
        ...
