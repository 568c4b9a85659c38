"""What a DL/T 645 profile may say: ``[dlt645]`` and the data id of each point.

Values are binary-coded decimal, sent from the lowest byte on, with 33H added to each (taken off before they come here). A frozen
record (``frozen_data_id``) holds the total first and the tariffs behind it; a load record (``[dlt645.records]``) the energies of one moment.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from fractions import Fraction

from firmware_profiles.formats import bcd
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
from gridcore.errors import EncodingError

FREEZES = ("broadcast", "timed")
VALUE_BYTES_MAX = 8
RECORD_BYTES = 16
"""Of the energies in a load record (class 4): import, export and both reactive totals (DL/T 645-2007, annex B)."""
RECORD_ID = re.compile(r"060[04]0001")
_DATA_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlt645Point(Point):
    """One quantity under a data id."""

    data_id: str
    """Eight hexadecimal digits, most significant first, e.g. "00010000" (forward active energy, total)."""
    bytes: int = field(metadata={"min": 1, "max": VALUE_BYTES_MAX})
    """Bytes of the value."""
    signed: bool = False
    """Whether the top bit of the highest byte is a sign."""
    frozen_data_id: str = ""
    """The same quantity in the record of the last freeze (see ``freeze``)."""
    record_byte: int | None = field(default=None, metadata={"min": 0, "max": RECORD_BYTES - 1})
    """Where the same quantity begins among the energies of a load record (see ``records``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlt645Records:
    """The table ``[dlt645.records]``: the load records in which the meter itself stores its registers."""

    data_id: str
    """The record of a given time: "06040001" of energies alone (class 4), "06000001" of all classes."""
    interval_min: int = field(metadata={"min": 1, "max": 1440})
    """The meter stores one each so many minutes of its own clock; of a meter set otherwise some are missing."""
    depth: int = field(metadata={"min": 1, "max": 100_000})
    """So many of them it keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlt645:
    """The table ``[dlt645]``: how the meter wants to be asked."""

    wake_bytes: int = field(default=4, metadata={"min": 0, "max": 4})
    """FEH bytes before a request."""
    min_gap_ms: int = field(default=30, metadata={"min": 0, "max": 10_000})
    """Silence that the meter needs between two frames."""
    freeze: tuple[str, ...] = field(default=(), metadata={"max": 2, "choices": FREEZES})
    """"broadcast": it freezes its registers when the command 16H goes to all; "timed": it does by itself at times set before."""
    freeze_time_id: str = ""
    """Data id of the time (YYMMDDhhmm) of the last freeze."""
    date_id: str = ""
    """Data id of the meter's date and weekday (YYMMDDWW)."""
    time_id: str = ""
    """Data id of the meter's time (hhmmss)."""
    serial_id: str = ""
    """Data id of the meter's number: what binds it to its address."""
    records: Dlt645Records | None = None
    """Load records out of which a boundary without a reading is fetched later; absent: the meter has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlt645Profile(Profile):
    """A meter that is read by DL/T 645-2007."""

    dlt645: Dlt645
    points: tuple[Dlt645Point, ...] = field(metadata={"min": 1, "max": POINTS_MAX})

    def __post_init__(self) -> None:
        check_profile(self)
        table = self.dlt645
        for key in ("freeze_time_id", "date_id", "time_id", "serial_id"):
            if getattr(table, key):
                _check_data_id(f"dlt645: {key}", getattr(table, key))
        if bool(table.freeze) != bool(table.freeze_time_id):
            raise ProfileError(
                "dlt645: freeze and freeze_time_id go together; a frozen register without its time says nothing"
            )
        _check_records(self)
        fill(self, "points", tuple(_completed_point(point, self) for point in self.points))

    def point(self, obis: str) -> Dlt645Point:
        """Return the point ``obis``; ProfileError naming the known ones if the meter has none."""
        return find_point(self.points, obis, self.id)

    @property
    def billing_points(self) -> tuple[Dlt645Point, ...]:
        """The billing registers in the order of BILLING_OBIS."""
        return tuple(self.point(obis) for obis in BILLING_OBIS if obis in self.billing)


def decode_value(data: bytes, point: Dlt645Point) -> Fraction | None:
    """The exact value in the ``data`` behind a data id (33H taken off), None where all bytes are FFH.

    Raises EncodingError for too few bytes or a digit that is not decimal.
    """
    value = data[: point.bytes]
    if len(value) != point.bytes:
        raise EncodingError(f"{point.obis} takes {point.bytes} bytes, not {len(data)}")
    if value == b"\xff" * point.bytes:
        return None
    raw = int.from_bytes(value, "little")
    sign_bit = 1 << (8 * point.bytes - 1) if point.signed else 0
    magnitude = bcd(raw & ~sign_bit) * point.ratio
    return -magnitude if raw & sign_bit else magnitude


def _check_records(profile: Dlt645Profile) -> None:
    table, billing = profile.dlt645, profile.billing_points
    for point in profile.points:
        if point.record_byte is not None and table.records is None:
            raise ProfileError(
                f"point {point.obis}: record_byte needs [dlt645.records]; say which records the meter keeps"
            )
        if point.record_byte is not None and point.record_byte + point.bytes > RECORD_BYTES:
            raise ProfileError(
                f"point {point.obis}: record_byte {point.record_byte} leaves no room for {point.bytes} bytes; the energies of a "
                f"load record take {RECORD_BYTES}"
            )
    if table.records is None:
        return
    if not RECORD_ID.fullmatch(table.records.data_id):
        raise ProfileError(
            f"dlt645.records: data_id {table.records.data_id!r} is no load record of energies at a given time; give "
            "'06040001' or '06000001'"
        )
    if not table.date_id or not table.time_id:
        raise ProfileError("dlt645.records needs date_id and time_id: a record is of a moment of the meter's own clock")
    for point in billing:
        if point.record_byte is None:
            raise ProfileError(f"dlt645.records: point {point.obis} is billed; give its record_byte")


def _completed_point(point: Dlt645Point, profile: Dlt645Profile) -> Dlt645Point:
    where = f"point {point.obis}"
    _check_data_id(f"{where}: data_id", point.data_id)
    if point.frozen_data_id:
        _check_data_id(f"{where}: frozen_data_id", point.frozen_data_id)
        if not profile.dlt645.freeze:
            raise ProfileError(f"{where}: frozen_data_id needs freeze in [dlt645]; say how the meter freezes")
    if point.obis not in profile.billing:
        return point
    return dataclasses.replace(point, resolution_wh=checked_resolution_wh(point, 10 ** (2 * point.bytes)))


def _check_data_id(where: str, data_id: str) -> None:
    if not _DATA_ID.fullmatch(data_id):
        raise ProfileError(f"{where} {data_id!r} is not eight digits of 0-9 a-f, such as '00010000'")
