"""What a Modbus profile may say: ``[modbus]`` and where each point lies in the registers.

Addresses are those in the request, from 0, not the 3xxxx and 4xxxx numbers of manuals. A value may lie in neighbouring
registers (``address``), be the sum of several (``sum_of``: tariffs), have words apart from each other (``word_addresses``), and take
a power of ten from another register (``scale_address``); whatever belongs to one value is read in one request.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from firmware_profiles.formats import NATURE, ORDERS, WORDS, order_for, orders_of
from firmware_profiles.schema import (
    BILLING_OBIS,
    POINTS_MAX,
    Point,
    Profile,
    ProfileError,
    check_profile,
    checked_resolution_wh,
    fill,
    find_point,
)

FRAMINGS = ("rtu", "tcp")
WORDS_PER_REQUEST_MAX = 125  # Modbus application protocol 1.1b3, 6.3 and 6.4
ADDRESS_MAX = 0xFFFF
SUMMANDS_MAX = 16
NAN_MAX = 16
WORDS_MAX = max(WORDS.values())
ABSENT: Final = -1
_ADDRESS: Final = {"min": 0, "max": ADDRESS_MAX}
_FUNCTION_CODE: Final = {"choices": (0, 3, 4)}
_INTEGERS = tuple(name for name in WORDS if NATURE[name] in ("unsigned", "signed"))
TEXT: Final = "text"
CLOCK_FIELDS = ("second", "minute", "hour", "day", "weekday", "month", "year", "unused", "unix_s")
_MANUAL_NUMBERS = {3: (40_001, 49_999, "holding"), 4: (30_001, 39_999, "input")}
"""Function code -> the numbers by which manuals call its registers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusPoint(Point):
    """One quantity in registers. After loading, ``order``, ``function_code`` and ``registers`` are filled in."""

    address: int = field(default=ABSENT, metadata=_ADDRESS)
    """First register as the request counts, from 0."""
    type: str = field(metadata={"choices": tuple(WORDS)})
    order: str = ""
    """Byte order; left out: the profile's."""
    function_code: int = field(default=0, metadata=_FUNCTION_CODE)
    """3 holding, 4 input registers; left out (0): the profile's."""
    sum_of: tuple[int, ...] = field(default=(), metadata={"max": SUMMANDS_MAX})
    """Instead of ``address``: first registers of values of this type that are added, such as tariffs."""
    word_addresses: tuple[int, ...] = field(default=(), metadata={"max": WORDS_MAX})
    """Instead of ``address``: the register of each word, where they are no neighbours, in the order in which neighbours would lie."""
    scale_address: int = field(default=ABSENT, metadata=_ADDRESS)
    """Register (i16) with the power of ten that the value is multiplied by, besides ``scale``."""
    nan: tuple[int, ...] = field(default=(), metadata={"max": NAN_MAX})
    """Raw values that mean "no value", compared modulo 2^width (-1 is all ones)."""
    registers: tuple[int, ...] = field(default=(), init=False, compare=False)
    """Every register of the point in decode order: summand by summand, then that of the power of ten."""

    def __post_init__(self) -> None:
        starts = self.sum_of or (self.address,)
        values = self.word_addresses or tuple(first + word for first in starts for word in range(self.words))
        fill(self, "registers", values + ((self.scale_address,) if self.has_scale_register else ()))

    @property
    def words(self) -> int:
        """Number of 16-bit registers of its type."""
        return WORDS[self.type]

    @property
    def first(self) -> int:
        """Address of the lowest of its registers."""
        return min(self.registers)

    @property
    def end(self) -> int:
        """Address after the highest of its registers."""
        return max(self.registers) + 1

    @property
    def has_scale_register(self) -> bool:
        """Whether the last of ``registers`` holds a power of ten."""
        return self.scale_address != ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Registers whose content tells the model: what the probe looks at before a meter is configured."""

    address: int = field(metadata=_ADDRESS)
    type: str = field(metadata={"choices": (*_INTEGERS, TEXT)})
    expect: tuple[int, ...] = field(default=(), metadata={"max": 64})
    expect_text: tuple[str, ...] = field(default=(), metadata={"max": 64})
    """Of type "text": what the registers may say, spaces and zero bytes at the end left out."""
    words: int = field(default=0, metadata={"min": 0, "max": 32})
    """Of type "text": how many registers."""
    order: str = ""
    function_code: int = field(default=0, metadata=_FUNCTION_CODE)

    @property
    def count(self) -> int:
        """Number of registers."""
        return self.words or WORDS[self.type]


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialNumber:
    """Registers that hold the meter's serial number: what binds a meter to its address."""

    address: int = field(metadata=_ADDRESS)
    type: str = field(metadata={"choices": (*_INTEGERS, "bcd32", "bcd48", TEXT)})
    words: int = field(default=0, metadata={"min": 0, "max": 32})
    """Of type "text": how many registers."""
    order: str = ""
    function_code: int = field(default=0, metadata=_FUNCTION_CODE)

    @property
    def count(self) -> int:
        """Number of registers."""
        return self.words or WORDS[self.type]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusClock:
    """Registers of the meter's own clock: one field for each ``field_bytes`` bytes in the order sent, or ``["unix_s"]`` (u32)."""

    address: int = field(metadata=_ADDRESS)
    fields: tuple[str, ...] = field(metadata={"min": 1, "max": 8, "choices": CLOCK_FIELDS})
    field_bytes: int = field(default=2, metadata={"choices": (1, 2)})
    bcd: bool = False
    zone: str = field(default="local", metadata={"choices": ("local", "utc")})
    function_code: int = field(default=0, metadata=_FUNCTION_CODE)

    @property
    def count(self) -> int:
        """Number of registers."""
        return 2 if self.fields == ("unix_s",) else -(-len(self.fields) * self.field_bytes // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableBlock:
    """Registers that the vendor lets one request read, holes between points included."""

    address: int = field(metadata=_ADDRESS)
    count: int = field(metadata={"min": 1, "max": WORDS_PER_REQUEST_MAX})
    function_code: int = field(default=0, metadata=_FUNCTION_CODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Modbus:
    """The table ``[modbus]``: how the meter wants to be asked."""

    framings: tuple[str, ...] = field(metadata={"min": 1, "max": 2, "choices": FRAMINGS})
    """What the meter or the gateway before it speaks."""
    function_code: int = field(metadata={"choices": (3, 4)})
    order: str = field(metadata={"choices": tuple(ORDERS)})
    max_words: int = field(metadata={"min": 2, "max": WORDS_PER_REQUEST_MAX})
    """Most registers in one request."""
    min_gap_ms: int = field(default=0, metadata={"min": 0, "max": 10_000})
    """Silence that the meter needs between two requests."""
    zero_based: bool = False
    """Said where an address of 30001 and more really is the one in the request, and not the number of a manual."""
    identity: tuple[Identity, ...] = field(default=(), metadata={"max": 16})
    serial: SerialNumber | None = None
    clock: ModbusClock | None = None
    blocks: tuple[ReadableBlock, ...] = field(default=(), metadata={"max": 64})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusProfile(Profile):
    """A meter or inverter that is read by Modbus."""

    modbus: Modbus
    points: tuple[ModbusPoint, ...] = field(metadata={"min": 1, "max": POINTS_MAX})

    def __post_init__(self) -> None:
        check_profile(self)
        fill(self, "modbus", _completed_table(self.modbus))
        fill(self, "points", tuple(_completed_point(point, self) for point in self.points))
        _check_overlap(self.points)
        known = known_registers(self)
        for point in self.points:
            _check_span(point, known, self.modbus)
        _check_blocks(self)

    def point(self, obis: str) -> ModbusPoint:
        """Return the point ``obis``; ProfileError naming the known ones if the meter has none."""
        return find_point(self.points, obis, self.id)

    @property
    def billing_points(self) -> tuple[ModbusPoint, ...]:
        """The billing registers in the order of BILLING_OBIS."""
        return tuple(self.point(obis) for obis in BILLING_OBIS if obis in self.billing)


def known_registers(profile: ModbusProfile) -> set[tuple[int, int]]:
    """(function code, register) of every register that a request may touch: the points', and those of readable blocks."""
    known = {(point.function_code, register) for point in profile.points for register in point.registers}
    for block in profile.modbus.blocks:
        known.update((block.function_code, register) for register in range(block.address, block.address + block.count))
    return known


def _completed_table(table: Modbus) -> Modbus:
    code = table.function_code
    identity = tuple(_completed_identity(item, table) for item in table.identity)
    serial, clock = table.serial, table.clock
    if serial is not None:
        where = "modbus.serial"
        _check_range(serial.address, _text_or_words(serial.type, serial.words, where), where)
        order = "" if serial.type == TEXT else _completed_order(serial.type, serial.order, table, where)
        serial = dataclasses.replace(serial, order=order, function_code=serial.function_code or code)
    if clock is not None:
        if "unix_s" in clock.fields and clock.fields != ("unix_s",):
            raise ProfileError("modbus.clock: fields has unix_s beside others; it stands alone")
        named = [name for name in clock.fields if name != "unused"]
        if clock.fields != ("unix_s",) and (len(set(named)) < len(named) or not {"day", "month", "year"} <= set(named)):
            raise ProfileError("modbus.clock: fields names each once, day, month and year among them")
        _check_range(clock.address, clock.count, "modbus.clock")
        clock = dataclasses.replace(clock, function_code=clock.function_code or code)
    blocks = tuple(_completed_block(block, table) for block in table.blocks)
    return dataclasses.replace(table, identity=identity, serial=serial, clock=clock, blocks=blocks)


def _completed_order(type_name: str, order: str, table: Modbus, where: str) -> str:
    if not order:
        return order_for(type_name, table.order)
    if order not in orders_of(type_name):
        raise ProfileError(
            f"{where}: order {order!r} does not fit {type_name}; choose {', '.join(orders_of(type_name))}"
        )
    return order


def _completed_identity(item: Identity, table: Modbus) -> Identity:
    where = f"identity {item.address:#x}"
    _check_range(item.address, _text_or_words(item.type, item.words, where), where)
    wanted, other = ("expect_text", "expect") if item.type == TEXT else ("expect", "expect_text")
    if getattr(item, other) or not getattr(item, wanted):
        raise ProfileError(f"{where}: type {item.type!r} needs {wanted}, and no {other}")
    order = "" if item.type == TEXT else _completed_order(item.type, item.order, table, where)
    return dataclasses.replace(item, order=order, function_code=item.function_code or table.function_code)


def _text_or_words(type_name: str, words: int, where: str) -> int:
    """Number of registers of a value that may be a text."""
    if type_name != TEXT:
        if words not in (0, WORDS[type_name]):
            raise ProfileError(f"{where}: words is for type 'text'; leave it out")
        return WORDS[type_name]
    if not words:
        raise ProfileError(f"{where}: type 'text' needs words, the number of its registers")
    return words


def _completed_block(block: ReadableBlock, table: Modbus) -> ReadableBlock:
    where = f"block {block.address:#x}"
    _check_range(block.address, block.count, where)
    if block.count > table.max_words:
        raise ProfileError(f"{where}: count {block.count} is above max_words {table.max_words}")
    return dataclasses.replace(block, function_code=block.function_code or table.function_code)


def _completed_point(point: ModbusPoint, profile: ModbusProfile) -> ModbusPoint:
    where, table = f"point {point.obis}", profile.modbus
    _check_place(point, where)
    code = point.function_code or table.function_code
    low, high, kind = _MANUAL_NUMBERS[code]
    number = point.registers[0]
    if not table.zero_based and low <= number <= high:
        raise ProfileError(
            f"{where}: address {number} looks like a manual's number of {kind} register {number - low} (from 0); "
            f"write {number - low}, or zero_based = true in [modbus] if the request really carries {number}"
        )
    bills = point.obis in profile.billing
    return dataclasses.replace(
        point,
        order=_completed_order(point.type, point.order, table, where),
        function_code=code,
        resolution_wh=_billing_resolution_wh(point) if bills else point.resolution_wh,
    )


def _check_place(point: ModbusPoint, where: str) -> None:
    """One of the three ways to say where a value lies, and whole within the address range."""
    if [point.address != ABSENT, bool(point.sum_of), bool(point.word_addresses)].count(True) != 1:
        raise ProfileError(f"{where}: give one of address, sum_of and word_addresses")
    if point.word_addresses and len(point.word_addresses) != point.words:
        given = len(point.word_addresses)
        raise ProfileError(f"{where}: word_addresses has {given} entries; {point.type} has {point.words} words")
    for address in (*point.sum_of, *point.word_addresses):
        if not 0 <= address <= ADDRESS_MAX:
            raise ProfileError(f"{where}: address {address} is out of range; allowed: 0 to {ADDRESS_MAX}")
    if len(point.sum_of) == 1:
        raise ProfileError(f"{where}: sum_of has one entry; write it as address")
    if not point.word_addresses:
        for first in point.sum_of or (point.address,):
            _check_range(first, point.words, where)


def _billing_resolution_wh(point: ModbusPoint) -> int:
    if NATURE[point.type] == "float":
        return checked_resolution_wh(point, None, "a float billing register")
    if point.has_scale_register:
        return checked_resolution_wh(point, None, "a billing register whose scale lies in a register")
    raw_values = 10 ** (4 * point.words) if NATURE[point.type] == "bcd" else 1 << (16 * point.words)
    return checked_resolution_wh(point, raw_values * max(1, len(point.sum_of)))


def _check_range(address: int, count: int, where: str) -> None:
    if address + count - 1 > ADDRESS_MAX:
        raise ProfileError(f"{where}: registers {address:#x} to {address + count - 1:#x} go beyond {ADDRESS_MAX:#x}")


def _ranges(point: ModbusPoint) -> list[tuple[int, int]]:
    """First register and register after the last of each run of neighbours that holds one value, or one word apart."""
    values = point.registers[:-1] if point.has_scale_register else point.registers
    size = 1 if point.word_addresses else point.words
    runs = [(values[start], values[start] + size) for start in range(0, len(values), size)]
    return [*runs, (point.scale_address, point.scale_address + 1)] if point.has_scale_register else runs


def _check_overlap(points: tuple[ModbusPoint, ...]) -> None:
    """Two points on the same registers may be one quantity under two names; half of one is a mistake in the map."""
    ranges = sorted(
        (point.function_code, first, end, index) for index, point in enumerate(points) for first, end in _ranges(point)
    )
    for (code, first, end, index), (next_code, next_first, next_end, other) in pairwise(ranges):
        if code == next_code and next_first < end and (first, end) != (next_first, next_end):
            raise ProfileError(
                f"point {points[other].obis} (registers {next_first:#x} to {next_end - 1:#x}) partly overlaps point "
                f"{points[index].obis} ({first:#x} to {end - 1:#x}); ranges are identical or disjoint"
            )


def _check_span(point: ModbusPoint, known: set[tuple[int, int]], table: Modbus) -> None:
    """A value is read in one request, so that its parts belong together."""
    where = f"point {point.obis}"
    if point.end - point.first > table.max_words:
        raise ProfileError(
            f"{where}: its registers {point.first:#x} to {point.end - 1:#x} do not fit one request of "
            f"max_words {table.max_words}; a value is read at once"
        )
    holes = [item for item in range(point.first, point.end) if (point.function_code, item) not in known]
    if holes:
        raise ProfileError(
            f"{where}: register {holes[0]:#x} between its own is unknown; name the registers that may be read through in "
            "[[modbus.blocks]]"
        )


def _check_blocks(profile: ModbusProfile) -> None:
    for block in profile.modbus.blocks:
        end = block.address + block.count
        for point in profile.points:
            for first, after in _ranges(point):
                if point.function_code == block.function_code and (
                    first < block.address < after or first < end < after
                ):
                    raise ProfileError(f"block {block.address:#x}+{block.count} cuts point {point.obis} in two")
