"""Ask one meter everything its profile says, and judge the answers: the check before a meter may produce billable readings.

Public register maps contradict each other often, so a profile is believed only after the meter in front of one answered as
the profile says: identity registers match, every required point decodes, values lie within plausible bounds, the two
readings of the billing registers agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from edge.blocks import Block, plan_reads
from edge.decode import decode_point, decode_register
from edge.drivers.modbus import DeviceRefusedError, LineConfig, LineError, ModbusLine
from edge.meters import Meter, MeterConfig, SamplePolicy
from edge.sampling import QuarantinedError, read_meter
from firmware_profiles.formats import WORDS
from firmware_profiles.schema import BILLING_OBIS, Identity, Point, Profile
from gridcore.clock import monotonic_ms
from gridcore.errors import EncodingError

UNANSWERED_MAX = 2
"""So many requests without an answer before the first one that has one: the meter is out of reach."""
_PROBE_LIMIT_WH = 1_000_000


@dataclass(frozen=True, slots=True)
class ProbedPoint:
    """One line of the report. ``value`` in ``unit``, exact; None unless it decoded. ``words`` as the meter sent them."""

    obis: str
    function_code: int
    address: int
    words: tuple[int, ...]
    value: Fraction | None
    unit: str
    verdict: str
    """ok, low, high (outside of the profile's bounds), missing, refused, no_answer, undecodable or mismatch."""
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


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What the meter answered. ``double_read`` is "ok" or says why the billing registers cannot be read twice alike."""

    host: str
    port: int
    unit_id: int
    profile: str
    identity: tuple[ProbedPoint, ...]
    points: tuple[ProbedPoint, ...]
    double_read: str

    @property
    def is_fine(self) -> bool:
        """Whether the meter may produce billable readings by this profile."""
        return self.double_read == "ok" and all(point.is_fine for point in (*self.identity, *self.points))

    def as_table(self) -> dict[str, object]:
        """Return the report as plain values for JSON: numbers as exact text, words in hex."""
        return {
            "host": self.host,
            "port": self.port,
            "unit_id": self.unit_id,
            "profile": self.profile,
            "fine": self.is_fine,
            "double_read": self.double_read,
            "identity": [_row(point) for point in self.identity],
            "points": [_row(point) for point in self.points],
        }


async def probe(host: str, port: int, unit_id: int, profile: Profile, *, framer: str = "socket") -> ProbeReport:
    """Read every point of ``profile`` from device ``unit_id`` at ``host``:``port``.

    Raises LineError when nothing answers to UNANSWERED_MAX requests; everything an answering meter does is in the report.
    """
    line = ModbusLine(LineConfig(line=f"{host}:{port}", host=host, port=port, framer=framer))
    try:
        plan = plan_reads(profile)
        identity: list[ProbedPoint] = []
        points: list[ProbedPoint] = []
        silent: list[str] = []  # what became of each request until one is answered
        parts: tuple[Identity | Block, ...] = (*profile.identity, *plan.billing, *plan.telemetry)
        for part in parts:
            if isinstance(part, Identity):
                probed = [await _probe_identity(line, unit_id, part, profile)]
                identity += probed
            else:
                probed = await _probe_block(line, unit_id, part, profile)
                points += probed
            has_answered = any(point.verdict != "no_answer" for point in (*identity, *points))
            silent += [] if has_answered else [probed[0].detail]
            if not has_answered and len(silent) >= min(UNANSWERED_MAX, len(parts)):
                raise LineError(silent[0])
        config = MeterConfig(0, f"unit {unit_id}", line.config.line, unit_id, profile.id, _PROBE_LIMIT_WH)
        double_read = "ok"
        try:
            await read_meter(line, Meter(config, profile, plan), boundary_ms=monotonic_ms(), policy=SamplePolicy())
        except (LineError, QuarantinedError) as error:
            double_read = str(error)
    finally:
        await line.close()
    ordered = sorted(points, key=lambda point: [int(part) for part in point.obis.split(".")])
    return ProbeReport(host, port, unit_id, profile.id, tuple(identity), tuple(ordered), double_read)


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


async def _probe_block(line: ModbusLine, unit_id: int, block: Block, profile: Profile) -> list[ProbedPoint]:
    """Read a block; when the meter refuses it as a whole, read its points one by one to see which it lacks."""
    started_ms = monotonic_ms()
    try:
        words = await _read(line, unit_id, block.function_code, block.address, block.count, profile)
    except DeviceRefusedError as error:
        if len(block.points) > 1:
            single = [Block(point.function_code, point.address, point.words, (point,)) for point in block.points]
            return [probed for part in single for probed in await _probe_block(line, unit_id, part, profile)]
        return [_failed(point, "refused", str(error), monotonic_ms() - started_ms) for point in block.points]
    except LineError as error:
        return [_failed(point, "no_answer", str(error), monotonic_ms() - started_ms) for point in block.points]
    latency_ms = monotonic_ms() - started_ms
    return [_judged(point, block.words_of(point, words), latency_ms) for point in block.points]


async def _read(
    line: ModbusLine, unit_id: int, function_code: int, address: int, count: int, profile: Profile
) -> Sequence[int]:
    return await line.read_words(
        unit_id, function_code, address, count, timeout_ms=profile.timeout_ms, min_gap_ms=profile.min_gap_ms
    )


def _judged(point: Point, words: Sequence[int], latency_ms: float) -> ProbedPoint:
    try:
        value = decode_point(words, point)
    except EncodingError as error:
        return _failed(point, "undecodable", str(error), latency_ms, words)
    if value is None:
        return _failed(point, "missing", "the meter says 'no value'", latency_ms, words)
    verdict, detail = "ok", ""
    if point.min is not None and value < point.min:
        verdict, detail = "low", f"below {point.min} {point.unit}"
    elif point.max is not None and value > point.max:
        verdict, detail = "high", f"above {point.max} {point.unit}"
    return ProbedPoint(
        point.obis,
        point.function_code,
        point.address,
        tuple(words),
        value,
        point.unit,
        verdict,
        point.required,
        latency_ms,
        detail,
    )


def _failed(point: Point, verdict: str, detail: str, latency_ms: float, words: Sequence[int] = ()) -> ProbedPoint:
    return ProbedPoint(
        point.obis,
        point.function_code,
        point.address,
        tuple(words),
        None,
        point.unit,
        verdict,
        point.required,
        latency_ms,
        detail,
    )


async def _probe_identity(line: ModbusLine, unit_id: int, item: Identity, profile: Profile) -> ProbedPoint:
    started_ms = monotonic_ms()
    words: Sequence[int] = ()
    value: Fraction | None = None
    try:
        words = await _read(line, unit_id, item.function_code, item.address, WORDS[item.type], profile)
        value = decode_register(words, item.type, item.order, "1/1")
        verdict = "ok" if value in item.expect else "mismatch"
        detail = "" if verdict == "ok" else f"expected {' or '.join(str(known) for known in item.expect)}"
    except DeviceRefusedError as error:
        verdict, detail = "refused", str(error)
    except LineError as error:
        verdict, detail = "no_answer", str(error)
    latency_ms = monotonic_ms() - started_ms
    return ProbedPoint(
        "identity", item.function_code, item.address, tuple(words), value, "1", verdict, True, latency_ms, detail
    )


def _row(point: ProbedPoint) -> dict[str, object]:
    return {
        "obis": point.obis,
        "function_code": point.function_code,
        "register": f"{point.address:#06x}",
        "words": " ".join(f"{word:04x}" for word in point.words),
        "value": None if point.value is None else str(point.value),
        "decimal": None if point.value is None else exact_text(point.value),
        "kwh": point.kwh or None,
        "unit": point.unit,
        "verdict": point.verdict,
        "required": point.required,
        "latency_ms": round(point.latency_ms, 1),
        "detail": point.detail,
    }
