"""Reading batches: one gateway, one slot boundary, one signature, columns of readings (docs/spec/batch.md).

The encoder of the gateway; pure Python, no numpy. The ledger checks the same bytes as columns (``ledger.state.metering``).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridcore import cbor, merkle
from gridcore.column import decode_column, encode_column
from gridcore.errors import EncodingError
from gridcore.observations import OBSERVATIONS_BYTES_MAX
from gridcore.sm3 import sm3

KIND = "metering/reading_batch"
REGISTERS = ("1-0:1.8.0", "1-0:2.8.0")
ROWS_MAX = 4096
REGISTER_WH_MAX = 10**13
SEED_BYTES = 32
ATTACHMENT_ITEMS_MAX = 12
"""CBOR items of an attachment: a map of three keys, an array of five columns, a seed, the observations."""
ABSENT_QUALITY = 0xFF
FIRST_PREVIOUS = bytes(32)
MEASURED, ESTIMATED, CORRECTED, SUSPECT, MISSING = range(5)
QUALITIES = ("measured", "estimated", "corrected", "suspect", "missing")
FLAG_LATE, FLAG_INTERPOLATED, FLAG_FROZEN, FLAG_ROLLOVER = 1, 2, 4, 8
FLAGS = {"late": FLAG_LATE, "interpolated": FLAG_INTERPOLATED, "frozen": FLAG_FROZEN, "rollover": FLAG_ROLLOVER}
_ROW = struct.Struct("<IiBQQ")


@dataclass(frozen=True)
class Reading:
    """One meter at one slot boundary, as the meter shows it.

    meter: the installation's number (u32); offset_ms: read time relative to the boundary; quality: code | flags << 4;
    import_wh, export_wh: cumulative registers in Wh before CT/VT ratio, 0 ... REGISTER_WH_MAX.
    """

    meter: int
    offset_ms: int
    quality: int
    import_wh: int
    export_wh: int


def quality_words(quality: int) -> tuple[str, tuple[str, ...]]:
    """The word and the flags of a quality byte; an absent value is "missing"."""
    if quality == ABSENT_QUALITY:
        return "missing", ()
    code = quality & 15
    word = QUALITIES[code] if code < len(QUALITIES) else f"unknown {code}"
    return word, tuple(name for name, flag in FLAGS.items() if quality >> 4 & flag)


def encode_row(reading: Reading) -> bytes:
    """The 25 bytes of one reading that a salted leaf covers. Raises EncodingError for a value out of its width."""
    try:
        return _ROW.pack(reading.meter, reading.offset_ms, reading.quality, reading.import_wh, reading.export_wh)
    except struct.error as error:
        raise EncodingError(f"reading of meter {reading.meter}: {error}") from None


def decode_row(row: bytes) -> Reading:
    """Inverse of encode_row. Raises EncodingError unless the row has 25 bytes."""
    if len(row) != _ROW.size:
        raise EncodingError(f"a reading row has {_ROW.size} bytes, not {len(row)}")
    return Reading(*_ROW.unpack(row))


def rows_root(seed: bytes, readings: Sequence[Reading]) -> bytes:
    """Root over the salted rows, in order."""
    return merkle.salted_root(seed, [encode_row(reading) for reading in readings])


def encode_attachment(seed: bytes, readings: Sequence[Reading], observations: bytes = b"") -> bytes:
    """Columns and salt seed that travel beside a signed batch, and encoded observations where there are any.

    1 to ROWS_MAX readings, at most OBSERVATIONS_BYTES_MAX bytes of observations, else EncodingError.
    """
    if not 1 <= len(readings) <= ROWS_MAX:
        raise EncodingError(f"a batch has 1 to {ROWS_MAX} rows, not {len(readings)}")
    columns = (
        [reading.meter for reading in readings],
        [reading.offset_ms for reading in readings],
        [reading.quality for reading in readings],
        [reading.import_wh for reading in readings],
        [reading.export_wh for reading in readings],
    )
    attachment: dict[str, Any] = {"columns": [encode_column(column) for column in columns], "seed": seed}
    if observations:
        _check_size(observations)
        attachment["observations"] = observations
    return cbor.encode(attachment)


def decode_attachment(attachment: bytes, rows: int) -> tuple[bytes, list[Reading]]:
    """Seed and readings of a batch of ``rows`` rows. Raises EncodingError for anything but the canonical form."""
    seed, columns, _ = split_attachment(attachment)
    decoded = [decode_column(column, rows) for column in columns]
    readings = [Reading(*values) for values in zip(*decoded, strict=True)]
    for reading in readings:
        encode_row(reading)
    return seed, readings


def split_attachment(attachment: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Seed, the five encoded columns (meter, offset_ms, quality, import, export) and the observations, none of them decoded.

    Without observations their bytes are empty: an empty byte string in their place is refused.
    """
    value = cbor.decode(attachment, items_max=ATTACHMENT_ITEMS_MAX)
    if not isinstance(value, dict) or set(value) - {"observations"} != {"columns", "seed"}:
        raise EncodingError("a batch's attachment has the keys columns, seed and, where there are any, observations")
    seed, columns = value["seed"], value["columns"]
    if not isinstance(seed, bytes) or len(seed) != SEED_BYTES:
        raise EncodingError(f"a salt seed has {SEED_BYTES} bytes")
    if not isinstance(columns, list) or len(columns) != 3 + len(REGISTERS):
        raise EncodingError(f"a batch has {3 + len(REGISTERS)} columns")
    if not all(isinstance(column, bytes) for column in columns):
        raise EncodingError("a column is a byte string")
    if "observations" not in value:
        return seed, columns, b""
    observations = value["observations"]
    if not isinstance(observations, bytes) or not observations:
        raise EncodingError("observations are a byte string that is not empty")
    _check_size(observations)
    return seed, columns, observations


def _check_size(observations: bytes) -> None:
    if len(observations) > OBSERVATIONS_BYTES_MAX:
        raise EncodingError(f"observations take {len(observations)} bytes, more than {OBSERVATIONS_BYTES_MAX}")


def names_observations(body: Mapping[str, Any], observations: bytes) -> bool:
    """Whether the signed ``body`` names just these encoded ``observations`` by their digest; none where they are empty."""
    return body.get("observations") == (sm3(observations) if observations else None)


def encode_body(
    *,
    agent: str,
    boundary_s: int,
    clock: Mapping[str, Any],
    configuration: bytes,
    previous: bytes,
    profiles: bytes,
    rows: int,
    root: bytes,
    receipt: tuple[int, bytes] | None,
    observations: bytes = b"",
) -> dict[str, Any]:
    """The body of a reading batch's envelope; ``receipt`` is (height, header digest) of the newest verified header.

    observations: their encoded bytes, as the attachment holds them; empty where there are none.
    """
    body: dict[str, Any] = {
        "agent": agent,
        "boundary_s": boundary_s,
        "clock": dict(clock),
        "configuration": configuration,
        "previous": previous,
        "profiles": profiles,
        "registers": list(REGISTERS),
        "rows": rows,
        "rows_root": root,
    }
    if receipt is not None:
        body["receipt"] = list(receipt)
    if observations:
        body["observations"] = sm3(observations)
    return body
