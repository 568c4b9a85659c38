"""metering/interval_import: energies of slots that files have, of many meters at once, for which an importer answers (docs/spec/import.md).

The signed part names the salted tree over the rows; the rows travel beside it as columns, with the seed of their salts.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Self

from gridcore import cbor
from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.forms import DIGEST, INSTANT, Form, integer, octets, text
from gridcore.quality import ABSENT_QUALITY, CORRECTED, ESTIMATED, FLAG_INTERPOLATED, MEASURED, MISSING
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields

ROWS_MAX: Final = 65_536
"""Meters times slots of one import."""
SLOTS_MAX: Final = 288
"""A day of slots of five minutes."""
FILES_MAX: Final = 16
SEED_BYTES: Final = 32
COLUMNS: Final = ("meter", "quality", "import_wh", "export_wh")
ATTACHMENT_ITEMS_MAX: Final = 9
"""CBOR items of an attachment: a map of two keys, an array of four columns, a seed."""
QUALITIES: Final = (MEASURED, ESTIMATED, CORRECTED, MISSING, ESTIMATED | FLAG_INTERPOLATED, ABSENT_QUALITY)
"""Quality bytes of a row. ``MISSING``: what is not known of import and export is 0; ``ABSENT_QUALITY``: it says nothing of the meter."""
ROW: Final = struct.Struct("<IqBqq")
"""Meter, start of the slot, quality, import and export."""


def _are_files(value: Any) -> bool:
    name = text(1, 64)
    return (
        isinstance(value, list)
        and 1 <= len(value) <= FILES_MAX
        and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
        and all(name.holds(pair[0]) and DIGEST.holds(pair[1]) for pair in value)
    )


_BODY: Final[Mapping[str, Form]] = {
    "agent": text(0, 64),
    "estimates": text(0, 64),
    "files": Form(f"an array of 1 to {FILES_MAX} of [name, SM3 of the file]", _are_files),
    "first_slot_s": INSTANT,
    "meters": integer(1, ROWS_MAX),
    "rows_root": DIGEST,
    "slot_s": integer(1, 86_400),
    "slots": integer(1, SLOTS_MAX),
}
_ATTACHMENT: Final[Mapping[str, Form]] = {
    "columns": Form(
        f"an array of {len(COLUMNS)} byte strings",
        lambda value: (
            isinstance(value, list)
            and len(value) == len(COLUMNS)
            and all(isinstance(column, bytes) for column in value)
        ),
    ),
    "seed": octets(SEED_BYTES),
}


class ImportedFile(NamedTuple):
    """A file that an import was made from. sm3: of its bytes, 32 bytes."""

    name: str
    sm3: bytes


@dataclass(frozen=True, kw_only=True)
class IntervalImport(ClientNamed):
    """Energies of ``slots`` slots of ``slot_s`` seconds from ``first_slot_s`` (UTC seconds) on, of ``meters`` meters in each.

    agent: name and version of the program; estimates: by which method missing values were estimated, "" where none was;
    rows_root: over the salted rows, one for each slot and meter.
    """

    kind: ClassVar[str] = "metering/interval_import"

    agent: str
    estimates: str
    files: Sequence[ImportedFile]
    first_slot_s: int
    meters: int
    rows_root: bytes
    slot_s: int
    slots: int

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {
            "agent": self.agent,
            "estimates": self.estimates,
            "files": [list(file) for file in self.files],
            "first_slot_s": self.first_slot_s,
            "meters": self.meters,
            "rows_root": self.rows_root,
            "slot_s": self.slot_s,
            "slots": self.slots,
        }

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content. The attachment is not looked at."""
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        body = dict(check_fields(cls.kind, transaction.body, _BODY))
        if body["meters"] * body["slots"] > ROWS_MAX:
            raise EncodingError(f"{cls.kind}: meters times slots is at most {ROWS_MAX}")
        files = [ImportedFile(*pair) for pair in body.pop("files")]
        return cls(**identity, **body, files=files)


class EncodedIntervals(NamedTuple):
    """An attachment, its columns not decoded. seed: 32 bytes; columns: in the order of ``COLUMNS``."""

    seed: bytes
    columns: Sequence[bytes]


def join_intervals(seed: bytes, columns: Sequence[bytes]) -> bytes:
    """An attachment of encoded columns."""
    return cbor.encode({"columns": list(columns), "seed": seed})


def split_intervals(attachment: bytes) -> EncodedIntervals:
    """Seed and encoded columns of an attachment. EncodingError for any other form."""
    value = cbor.decode(attachment, items_max=ATTACHMENT_ITEMS_MAX)
    return EncodedIntervals(**check_fields("attachment", value, _ATTACHMENT))
