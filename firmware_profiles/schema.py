"""What a meter profile may say, as frozen dataclasses, and the rules over several of its fields.

The keys of the TOML file are the field names below. Types, ranges, choices and unknown keys are checked by
``gridcore.config``; the rules here are those that need more than one field to be seen. Background: peers' register maps
contradict each other often, so source and evidence are required and every number that money depends on is exact.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from fractions import Fraction

from firmware_profiles.formats import NATURE, ORDERS, WORDS, order_for, orders_of, parse_scale
from gridcore.errors import EncodingError, UsageError

BILLING_OBIS = ("1.8.0", "2.8.0")
"""Active energy import and export, cumulative: the registers that are signed and billed, in batch order."""

BASE_UNITS = ("Wh", "varh", "VAh", "W", "var", "VA", "V", "A", "Hz", "1")
EVIDENCE = ("vendor-doc", "two-sources", "one-source", "field-tested")
TRANSPORTS = ("modbus-tcp", "modbus-rtu-over-tcp")
WORDS_PER_REQUEST_MAX = 125  # Modbus application protocol 1.1b3, 6.3 and 6.4
POINTS_MAX = 256
ADDRESS_MAX = 0xFFFF

OBIS = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
ID = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


class ProfileError(UsageError):
    """A profile that cannot be used; the line names file, point or key, and what would be right."""


@dataclass(frozen=True, slots=True)
class Point:
    """One quantity of the meter: where it lies, how it is coded, in which unit, within which bounds."""

    obis: str
    """Group values C.D.E of IEC 62056-6-1, e.g. "1.8.0" (active energy import)."""
    address: int = field(metadata={"min": 0, "max": ADDRESS_MAX})
    """Address in the protocol data unit, from 0 (not the 3xxxx/4xxxx number of a manual)."""
    type: str = field(metadata={"choices": tuple(WORDS)})
    scale: str
    """Base units per raw count as an exact fraction, e.g. "1000/1" for a register in kWh."""
    unit: str = field(metadata={"choices": BASE_UNITS})
    order: str = ""
    """Byte order; left out: the profile's."""
    function_code: int = field(default=0, metadata={"choices": (0, 3, 4)})
    """3 holding, 4 input registers; left out (0): the profile's."""
    nan: tuple[int, ...] = ()
    """Raw values that mean "no value", compared modulo 2^width (-1 is all ones)."""
    min: int | None = None
    """Smallest plausible value in ``unit``; a reading below it is reported by the probe."""
    max: int | None = None
    monotonic: bool = False
    modulus_wh: int = field(default=0, metadata={"min": 0})
    """The register starts again from 0 at this value (Wh); 0: never known to."""
    resolution_wh: int = field(default=0, metadata={"min": 0})
    """Step of the register in Wh. Required of a billing register that is a float, else its scale."""
    required: bool = True
    """Whether every variant of the meter has it (the probe fails on an absent required point)."""

    @property
    def words(self) -> int:
        """Number of 16-bit registers."""
        return WORDS[self.type]

    @property
    def end(self) -> int:
        """Address after the last register."""
        return self.address + self.words

    @property
    def is_billing(self) -> bool:
        """Whether the point is a register that is signed and billed."""
        return self.obis in BILLING_OBIS

    @property
    def ratio(self) -> Fraction:
        """``scale`` as a number."""
        return parse_scale(self.scale)


@dataclass(frozen=True, slots=True)
class Identity:
    """A register whose content tells the model: read by the probe before the meter may produce billable readings."""

    address: int = field(metadata={"min": 0, "max": ADDRESS_MAX})
    type: str = field(metadata={"choices": tuple(name for name in WORDS if NATURE[name] in ("unsigned", "signed"))})
    expect: tuple[int, ...] = field(metadata={"min": 1, "max": 64})
    order: str = ""
    function_code: int = field(default=0, metadata={"choices": (0, 3, 4)})


@dataclass(frozen=True, slots=True)
class ReadableBlock:
    """Registers that the vendor lets one request read, holes between points included."""

    address: int = field(metadata={"min": 0, "max": ADDRESS_MAX})
    count: int = field(metadata={"min": 1, "max": WORDS_PER_REQUEST_MAX})
    function_code: int = field(default=0, metadata={"choices": (0, 3, 4)})


@dataclass(frozen=True, slots=True)
class Profile:
    """One meter model. After loading, ``order`` and ``function_code`` of every part are filled in and ``digest`` is set."""

    id: str
    vendor: str = field(metadata={"min": 1, "max": 64})
    models: tuple[str, ...] = field(metadata={"min": 1, "max": 64})
    source: tuple[str, ...] = field(metadata={"min": 1, "max": 16})
    """Where each fact comes from: document and page, or file of a public project."""
    evidence: str = field(metadata={"choices": EVIDENCE})
    transport: tuple[str, ...] = field(metadata={"min": 1, "max": 8, "choices": TRANSPORTS})
    function_code: int = field(metadata={"choices": (3, 4)})
    order: str = field(metadata={"choices": tuple(ORDERS)})
    max_words: int = field(metadata={"min": 2, "max": WORDS_PER_REQUEST_MAX})
    """Most registers in one request."""
    min_gap_ms: int = field(metadata={"min": 0, "max": 10_000})
    """Silence that the meter needs between two requests on a serial line."""
    timeout_ms: int = field(metadata={"min": 10, "max": 60_000})
    ratio: str = field(metadata={"choices": ("secondary", "primary")})
    """"secondary": registers count what flows through the meter; only the ledger multiplies by CT and VT ratio."""
    points: tuple[Point, ...] = field(metadata={"min": 1, "max": POINTS_MAX})
    firmware: str = "any"
    """Range of firmware versions for which the facts were seen to hold."""
    notes: str = ""
    identity: tuple[Identity, ...] = field(default=(), metadata={"max": 16})
    blocks: tuple[ReadableBlock, ...] = field(default=(), metadata={"max": 64})
    digest: bytes = field(default=b"", init=False, compare=False)
    """SM3 of the file with LF line ends: what a reading batch names."""

    def __post_init__(self) -> None:
        if not ID.fullmatch(self.id):
            raise ProfileError(f"id {self.id!r} is not lower-case words joined by '_', such as 'eastron_sdm630'")
        for key in ("models", "source"):
            if not all(text.strip() for text in getattr(self, key)):
                raise ProfileError(
                    f"{key} has an empty entry; say {'which model' if key == 'models' else 'where the facts come from'}"
                )
        _fill(self, "points", tuple(_completed_point(point, self) for point in self.points))
        _fill(self, "identity", tuple(_completed_identity(item, self) for item in self.identity))
        _fill(self, "blocks", tuple(_completed_block(block, self) for block in self.blocks))
        _check_overlap(self.points)
        _check_blocks(self)
        for obis in BILLING_OBIS:
            if obis not in {point.obis for point in self.points}:
                raise ProfileError(f"points lacks {obis}; a billing meter needs {' and '.join(BILLING_OBIS)}")

    def point(self, obis: str) -> Point:
        """Return the point ``obis``; ProfileError naming the known ones if the meter has none."""
        for point in self.points:
            if point.obis == obis:
                return point
        raise ProfileError(f"profile {self.id} has no point {obis!r}; it has {', '.join(p.obis for p in self.points)}")

    @property
    def billing(self) -> tuple[Point, ...]:
        """The billing registers in the order of BILLING_OBIS."""
        return tuple(self.point(obis) for obis in BILLING_OBIS)

    @property
    def resolution_wh(self) -> int:
        """Step of the billing registers in (secondary) Wh; the coarsest if they differ."""
        return max(point.resolution_wh for point in self.billing)

    @property
    def modulus_wh(self) -> int:
        """Roll-over of the import register in (secondary) Wh, 0 if none is known."""
        return self.billing[0].modulus_wh


def _fill(record: object, name: str, value: object) -> None:
    object.__setattr__(record, name, value)  # frozen for everyone else


def _completed_order(type_name: str, order: str, profile: Profile, where: str) -> str:
    if not order:
        return order_for(type_name, profile.order)
    if order not in orders_of(type_name):
        raise ProfileError(
            f"{where}: order {order!r} does not fit {type_name}; choose {', '.join(orders_of(type_name))}"
        )
    return order


def _completed_point(point: Point, profile: Profile) -> Point:
    where = f"point {point.obis}"
    if not OBIS.fullmatch(point.obis):
        raise ProfileError(f"{where}: obis is not of the form C.D.E, such as '1.8.0'")
    try:
        scale = parse_scale(point.scale)
    except EncodingError as error:
        raise ProfileError(f"{where}: {error}") from None
    if scale == 0:
        raise ProfileError(f"{where}: scale is 0; give the unit's amount of one raw count")
    _check_range(point.address, point.words, where)
    if point.min is not None and point.max is not None and point.min > point.max:
        raise ProfileError(f"{where}: min {point.min} is above max {point.max}")
    resolution_wh = _checked_billing(point, scale, where) if point.is_billing else point.resolution_wh
    return dataclasses.replace(
        point,
        order=_completed_order(point.type, point.order, profile, where),
        function_code=point.function_code or profile.function_code,
        resolution_wh=resolution_wh,
    )


def _checked_billing(point: Point, scale: Fraction, where: str) -> int:
    """Check what money depends on; return the register's step in Wh."""
    if point.unit != "Wh":
        raise ProfileError(f"{where}: a billing register has unit 'Wh', not {point.unit!r}; put kWh into scale")
    if scale < 0:
        raise ProfileError(f"{where}: scale {point.scale} is negative; a cumulative register never is")
    if not point.monotonic:
        raise ProfileError(f"{where}: monotonic = true is missing; a billing register only grows")
    if NATURE[point.type] == "float":
        if point.resolution_wh < 1:
            raise ProfileError(f"{where}: a float billing register needs resolution_wh, the step it is rounded to (Wh)")
        if point.modulus_wh % point.resolution_wh:
            raise ProfileError(f"{where}: modulus_wh {point.modulus_wh} is no multiple of {point.resolution_wh} Wh")
        return point.resolution_wh
    step = max(1, scale.numerator // scale.denominator)
    if point.resolution_wh not in (0, step):
        raise ProfileError(
            f"{where}: resolution_wh {point.resolution_wh} differs from its scale; leave it out or say {step}"
        )
    raw_values = 10 ** (4 * point.words) if NATURE[point.type] == "bcd" else 1 << (16 * point.words)
    if point.modulus_wh > raw_values * scale:
        raise ProfileError(
            f"{where}: modulus_wh {point.modulus_wh} is more than {point.type} holds: {raw_values * scale} Wh"
        )
    return step


def _completed_identity(item: Identity, profile: Profile) -> Identity:
    where = f"identity {item.address:#x}"
    _check_range(item.address, WORDS[item.type], where)
    order = _completed_order(item.type, item.order, profile, where)
    return dataclasses.replace(item, order=order, function_code=item.function_code or profile.function_code)


def _completed_block(block: ReadableBlock, profile: Profile) -> ReadableBlock:
    where = f"block {block.address:#x}"
    _check_range(block.address, block.count, where)
    if block.count > profile.max_words:
        raise ProfileError(f"{where}: count {block.count} is above max_words {profile.max_words}")
    return dataclasses.replace(block, function_code=block.function_code or profile.function_code)


def _check_range(address: int, count: int, where: str) -> None:
    if address + count - 1 > ADDRESS_MAX:
        raise ProfileError(f"{where}: registers {address:#x} to {address + count - 1:#x} go beyond {ADDRESS_MAX:#x}")


def _check_overlap(points: tuple[Point, ...]) -> None:
    """Two points on the same registers may be one quantity under two names; half of one is a mistake in the map."""
    obis = [point.obis for point in points]
    for name in obis:
        if obis.count(name) > 1:
            raise ProfileError(f"point {name} is given twice; each obis stands once")
    ordered = sorted(points, key=lambda point: (point.function_code, point.address, point.end))
    widest: Point | None = None
    for point in ordered:
        if widest is not None and point.function_code == widest.function_code and point.address < widest.end:
            if (point.address, point.end) != (widest.address, widest.end):
                raise ProfileError(
                    f"point {point.obis} (registers {point.address:#x} to {point.end - 1:#x}) partly overlaps point "
                    f"{widest.obis} ({widest.address:#x} to {widest.end - 1:#x}); ranges are identical or disjoint"
                )
        else:
            widest = point


def _check_blocks(profile: Profile) -> None:
    for block in profile.blocks:
        end = block.address + block.count
        for point in profile.points:
            if point.function_code == block.function_code and (
                point.address < block.address < point.end or point.address < end < point.end
            ):
                raise ProfileError(f"block {block.address:#x}+{block.count} cuts point {point.obis} in two")
