"""What a probe found out about one meter, and how each value is judged: the same for every protocol.

Public register maps contradict each other often, so a profile is believed only after the meter in front of one answered as
the profile says: identity registers match, every required point decodes, values lie within plausible bounds, the two
readings of the billing registers agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from edge.readers import DeviceRefusedError, LineError, WrongAnswerError
from firmware_profiles.schema import BILLING_OBIS, Point


@dataclass(frozen=True, slots=True)
class ProbedPoint:
    """One line of the report. ``place`` as of ``edge.readers.RawAnswer``; ``raw`` as the meter sent it; ``value`` in ``unit``,
    exact; None unless it decoded.
    """

    obis: str
    place: str
    raw: bytes
    value: Fraction | None
    unit: str
    verdict: str
    """ok, low, high (outside of the profile's bounds), missing, refused, no_answer, wrong_answer, undecodable or mismatch."""
    required: bool
    latency_ms: float
    detail: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether the point lets the meter be used: plausible, or absent and not required."""
        return self.verdict == "ok" or (not self.required and self.verdict in ("missing", "refused"))

    @property
    def kwh(self) -> str:
        """An energy in Wh as exact kWh; "" for anything else."""
        return exact_text(self.value / 1000) if self.value is not None and self.unit == "Wh" else ""

    @property
    def shown(self) -> str:
        """The value for a person: energy and whole numbers exact, other measured values with six digits; "-" without one."""
        if self.value is None:
            return "-"
        is_exact = self.obis in BILLING_OBIS or self.unit.endswith("h") or self.value.denominator == 1
        return exact_text(self.value) if is_exact else f"{float(self.value):.6g}"

    def as_row(self) -> dict[str, object]:
        """Return the point as plain values for JSON: numbers as exact text, what was sent in hex."""
        return {
            "obis": self.obis,
            "place": self.place,
            "raw": self.raw.hex(" ", 2),
            "value": None if self.value is None else str(self.value),
            "decimal": None if self.value is None else exact_text(self.value),
            "kwh": self.kwh or None,
            "unit": self.unit,
            "verdict": self.verdict,
            "required": self.required,
            "latency_ms": round(self.latency_ms, 1),
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What the meter answered. ``line``: where its line is; ``meter``: its place on it, a unit id or an address.

    ``double_read`` is "ok" or says why the billing registers cannot be read twice alike; ``order_guess``: "" or in which byte
    order the words would make more sense than in the profile's.
    """

    line: str
    meter: str
    profile: str
    identity: tuple[ProbedPoint, ...]
    points: tuple[ProbedPoint, ...]
    double_read: str
    order_guess: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether the meter may produce billable readings by this profile."""
        return self.double_read == "ok" and all(point.is_fine for point in (*self.identity, *self.points))

    @property
    def slowest_ms(self) -> float:
        """The longest that an answer took."""
        return max((point.latency_ms for point in (*self.identity, *self.points)), default=0.0)

    @property
    def serial(self) -> str:
        """The meter's serial number; "" where none was read."""
        return next((point.detail for point in self.identity if point.obis == "serial" and point.verdict == "ok"), "")

    def as_table(self) -> dict[str, object]:
        """Return the report as plain values for JSON."""
        return {
            "line": self.line,
            "meter": self.meter,
            "profile": self.profile,
            "fine": self.is_fine,
            "double_read": self.double_read,
            "order_guess": self.order_guess or None,
            "slowest_ms": round(self.slowest_ms, 1),
            "identity": [point.as_row() for point in self.identity],
            "points": [point.as_row() for point in self.points],
        }


class Asked:
    """One question's place and time: makes the points of its answer. ``latency_ms`` from the question to its end."""

    def __init__(self, place: str, latency_ms: float) -> None:
        self.place = place
        self.latency_ms = latency_ms

    def judged(self, point: Point, raw: bytes, value: Fraction | None) -> ProbedPoint:
        """A value that decoded (None: "no value"), held against the profile's bounds."""
        if value is None:
            return self.failed(point, "missing", "the meter says 'no value'", raw)
        verdict, detail = "ok", ""
        if point.min is not None and value < point.min:
            verdict, detail = "low", f"below {point.min} {point.unit}"
        elif point.max is not None and value > point.max:
            verdict, detail = "high", f"above {point.max} {point.unit}"
        return ProbedPoint(
            point.obis, self.place, raw, value, point.unit, verdict, point.required, self.latency_ms, detail
        )

    def failed(self, point: Point, verdict: str, detail: str, raw: bytes = b"") -> ProbedPoint:
        """A point without a value."""
        return ProbedPoint(
            point.obis, self.place, raw, None, point.unit, verdict, point.required, self.latency_ms, detail
        )

    def fact(
        self,
        name: str,
        verdict: str,
        detail: str,
        raw: bytes = b"",
        value: Fraction | None = None,
        *,
        required: bool = False,
    ) -> ProbedPoint:
        """What is no point of the profile: identity, serial number, clock."""
        return ProbedPoint(name, self.place, raw, value, "1", verdict, required, self.latency_ms, detail)


def verdict_of(error: LineError) -> str:
    """What a request without a usable answer is called in the report."""
    if isinstance(error, DeviceRefusedError):
        return "refused"
    return "wrong_answer" if isinstance(error, WrongAnswerError) else "no_answer"


def exact_text(value: Fraction) -> str:
    """``value`` as a plain decimal without rounding, such as "3682940" or "0.125"; "1/3" where no decimal is exact."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return str(value)
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
    sign = "-" if value < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)
