"""Readings as they travel beside a signed batch: rows that are hashed, columns that are sent (docs/spec/batch.md).

The encoder of the gateway; pure Python, no numpy. The ledger decodes the same bytes as columns (``ledger.state.columns``).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gridcore import cbor, merkle
from gridcore.column import encode_column
from gridcore.errors import EncodingError
from gridcore.observations import OBSERVATIONS_BYTES_MAX
from gridcore.sm3 import sm3

REGISTERS = ("1-0:1.8.0", "1-0:2.8.0")
ROWS_MAX = 4096
SEED_BYTES = 32
ATTACHMENT_ITEMS_MAX = 12
"""CBOR items of an attachment: a map of three keys, an array of five columns, a seed, the observations."""
_ROW = struct.Struct("<IiBQQ")


@dataclass(frozen=True)
class Reading:
    """One meter at one slot boundary, as the meter shows it.

    meter: the installation's number (u32); offset_ms: read time relative to the boundary; quality: see gridcore.quality;
    import_wh, export_wh: cumulative registers in Wh before CT/VT ratio, 0 to 10^13 (batch.md).
    """

    meter: int
    offset_ms: int
    quality: int
    import_wh: int
    export_wh: int


def encode_row(reading: Reading) -> bytes:
    """The 25 bytes of one reading that a salted leaf covers. Raises EncodingError for a value out of its width."""
    try:
        return _ROW.pack(reading.meter, reading.offset_ms, reading.quality, reading.import_wh, reading.export_wh)
    except struct.error as error:
        raise EncodingError(f"reading of meter {reading.meter}: {error}") from None


def rows_root(seed: bytes, readings: Sequence[Reading]) -> bytes:
    """Root over the salted rows, in order."""
    return merkle.salted_root(seed, [encode_row(reading) for reading in readings])


class Attached(NamedTuple):
    """Readings beside a batch. The batch says rows, rows_root and observations (their digest, None without); attachment travels."""

    rows: int
    rows_root: bytes
    observations: bytes | None
    attachment: bytes


def attach(seed: bytes, readings: Sequence[Reading], observations: bytes = b"") -> Attached:
    """Salt (32 bytes ``seed``) and encode readings in their order. Limits and EncodingError as of ``encode_attachment``."""
    attachment = encode_attachment(seed, readings, observations)
    return Attached(len(readings), rows_root(seed, readings), observations_digest(observations), attachment)


def observations_digest(observations: bytes) -> bytes | None:
    """How a batch names the encoded observations beside it; None where there are none."""
    return sm3(observations) if observations else None


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
