"""Raw words decoded again, by another profile or another version of one: what would have been read. Pure; nothing is signed.

A profile may ask for registers that were not read then. It is decoded as far as the words go, and what is missing is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edge.dlt645 import decode_load_record
from edge.raw_words import ProfileVersion, StoredReading
from edge.readers import RawAnswer, dlt645, modbus
from firmware_profiles.dlt645 import Dlt645Point, Dlt645Profile
from firmware_profiles.modbus import ModbusPoint, ModbusProfile
from firmware_profiles.schema import BILLING_OBIS, Profile
from gridcore.errors import EncodingError
from gridcore.quality import FLAG_FROZEN


@dataclass(frozen=True, slots=True)
class Redecoded:
    """One billing register of a reading, decoded then and again. Wh on the meter's side.

    ``then_wh``: None where the words were no reading then; ``now_wh``: None where the words do not decode, or were not read: ``detail`` says which.
    """

    reading: StoredReading
    obis: str
    then_wh: int | None
    now_wh: int | None
    version: ProfileVersion
    detail: str = ""

    @property
    def differs(self) -> bool:
        """Whether decoding again gives something else, or nothing."""
        return self.now_wh != self.then_wh


def replay(
    readings: Iterable[StoredReading], profile_of: Callable[[StoredReading], Profile | None]
) -> Iterator[Redecoded]:
    """Decode readings again, every billing register of each. ``profile_of``: by which profile; None: the reading is left out."""
    for reading in readings:
        profile = profile_of(reading)
        if profile is None:
            continue
        version = ProfileVersion(profile.id, profile.digest)
        was_read = bool(reading.registers_wh)
        points = BILLING_OBIS if was_read else [obis for obis in BILLING_OBIS if obis in profile.billing]
        now = {obis: _now(reading, obis, profile) for obis in points}
        if not was_read and any(detail for _, detail in now.values()):  # it is a reading when all of it decodes
            now = {obis: (None, detail) for obis, (_, detail) in now.items()}
        then = dict(zip(BILLING_OBIS, reading.registers_wh, strict=True)) if was_read else {}
        for obis, (now_wh, detail) in now.items():
            yield Redecoded(reading, obis, then.get(obis), now_wh, version, detail)


def _now(reading: StoredReading, obis: str, profile: Profile) -> tuple[int | None, str]:
    """What the register decodes to, or why it does not."""
    try:
        return _decode(reading, obis, profile), ""
    except EncodingError as error:
        return None, str(error)


def _decode(reading: StoredReading, obis: str, profile: Profile) -> int:
    """The register in whole Wh; 0 where the profile has none, as when it is sampled. EncodingError."""
    if obis not in profile.billing:
        return 0
    if isinstance(profile, ModbusProfile):
        return modbus.billed_wh(_words(reading.answers, profile.point(obis)), profile.point(obis))
    if isinstance(profile, Dlt645Profile):
        point = profile.point(obis)
        return dlt645.billed_wh(_item(reading, point, profile), point)
    raise EncodingError(f"profile {profile.id} reads no registers")


def _words(answers: Iterable[RawAnswer], point: ModbusPoint) -> list[int]:
    """The words of a point out of the answers that hold them. EncodingError names the first register that was not read."""
    known: dict[tuple[int, int], int] = {}
    for place, data in answers:
        code, _, first = place.partition(":")
        if first:
            address = int(first, 16)
            for index in range(len(data) // 2):
                known[int(code), address + index] = int.from_bytes(data[2 * index : 2 * index + 2], "big")
    words = []
    for register in point.registers:
        word = known.get((point.function_code, register))
        if word is None:
            raise EncodingError(f"register {point.function_code}:{register:#06x} was not read then")
        words.append(word)
    return words


def _item(reading: StoredReading, point: Dlt645Point, profile: Dlt645Profile) -> bytes:
    """What the meter sent of a point: the value, its frozen value, or its place in a load record. EncodingError."""
    data_id = point.frozen_data_id if reading.flags & FLAG_FROZEN else point.data_id
    records = profile.dlt645.records
    for place, data in reading.answers:
        if place == data_id:
            return data
        if records is not None and place == records.data_id:
            return dlt645.record_value(decode_load_record(data), point)
    raise EncodingError(f"data item {data_id or 'of the frozen value'} was not read then")
