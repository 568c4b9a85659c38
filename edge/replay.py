"""Raw words decoded again, by another profile or another version of one: what would have been read. Pure; nothing is signed.

A profile may ask for registers that were not read then. It is decoded as far as the words go, and what is missing is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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

    ``now_wh``: None where the words do not decode, or were not read: ``detail`` says which.
    """

    reading: StoredReading
    obis: str
    then_wh: int
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
        for obis, then_wh in zip(BILLING_OBIS, reading.registers_wh, strict=True):
            try:
                now_wh, detail = _decode(reading, obis, profile), ""
            except EncodingError as error:
                now_wh, detail = None, str(error)
            yield Redecoded(reading, obis, then_wh, now_wh, version, detail)


def _decode(reading: StoredReading, obis: str, profile: Profile) -> int:
    """The register in whole Wh; 0 where the profile has none, as when it is sampled. EncodingError."""
    if obis not in profile.billing:
        return 0
    if isinstance(profile, ModbusProfile):
        return modbus.billed_wh(_words(reading.answers, profile.point(obis)), profile.point(obis))
    if isinstance(profile, Dlt645Profile):
        point = profile.point(obis)
        return dlt645.billed_wh(_item(reading, point), point)
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


def _item(reading: StoredReading, point: Dlt645Point) -> bytes:
    data_id = point.frozen_data_id if reading.flags & FLAG_FROZEN else point.data_id
    for place, data in reading.answers:
        if place == data_id:
            return data
    raise EncodingError(f"data item {data_id or 'of the frozen value'} was not read then")
