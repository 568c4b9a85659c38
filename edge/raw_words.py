"""What meters sent at each boundary, as it came, kept on the gateway for a while: ``edge replay`` decodes it again. What was no
reading, because it did not decode, is kept too, once a meter and boundary: by a mended profile it may be one.

A ring in an SQLite file of its own beside the outbox, bounded by bytes and age; the oldest samples go first. A sample's words
are on the disk (synchronous=FULL) before its batch is signed, so a reading that was signed has its words after a power cut too; one
that a power cut kept from being signed may have words here and no batch.

The file is a help, not evidence, and nothing of it is ever signed: a disk that takes nothing, or a damaged file, is said in the log and
costs no reading. A damaged file is put aside, in place of an earlier one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from edge.config import RawWordsLimits
from edge.readers import RawAnswer
from edge.samples import Absence, MeterSample, Sample
from gridcore import cbor
from gridcore.errors import EncodingError, UsageError
from gridcore.files import make_private
from gridcore.logs import get_logger
from gridcore.quality import MISSING
from gridcore.sm3 import sm3

SUFFIX: Final = ".raw"
"""Of the file beside the outbox."""
APPLICATION_ID: Final = 0x474C5257
VERSION: Final = 1
BUSY_MS_MAX: Final = 2_000
"""A reader that holds the file for longer costs these words, not the boundary."""
SAMPLES_AT_ONCE: Final = 16
"""So many are read in one go: whoever takes them slowly holds no state of the file, which its log would have to keep."""
WAL_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of the write-ahead log that stay on the disk when it has grown beyond that for a while."""
_SUFFIXES: Final = ("", "-wal", "-shm")
_SCHEMA: Final = """
CREATE TABLE samples(id INTEGER PRIMARY KEY AUTOINCREMENT, boundary_s INTEGER NOT NULL, content BLOB NOT NULL, digest BLOB NOT NULL);
"""

_log = get_logger(__name__)


class ProfileVersion(NamedTuple):
    """A profile's id and the SM3 of its file."""

    profile: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class StoredReading:
    """A reading with the words behind it. ``registers_wh`` as they were decoded then, in the order of BILLING_OBIS; none, and quality
    MISSING, where they did not decode.
    """

    boundary_s: int
    number: int
    meter: str
    version: ProfileVersion
    quality: int
    flags: int
    registers_wh: tuple[int, ...]
    answers: tuple[RawAnswer, ...]


class RawWords:
    """The ring; the only writer. ``versions``: the profile that each meter (by number) is read by; it may change between samples."""

    def __init__(self, path: Path | None, limits: RawWordsLimits, versions: Mapping[int, ProfileVersion]) -> None:
        """``path``: None: nothing is kept."""
        self.versions = versions
        self._path = path
        self._limits = limits
        self._connection: sqlite3.Connection | None = None
        self._is_failing = False

    def keep(self, samples: Sequence[Sample]) -> None:
        """Store the words of these samples in one commit (blocking), and let the oldest go beyond the limits. Raises nothing."""
        samples = [sample for sample in samples if sample.meters or _unread(sample)]
        if self._path is None or not samples:
            return
        try:
            if self._connection is None:
                self._connection = _open(self._path)
            self._keep(self._connection, samples)
        except (sqlite3.Error, OSError) as error:
            self.close()
            if not self._is_failing:
                _log.error("raw_words_not_kept", path=str(self._path), reason=str(error), effect="readings go on")
            self._is_failing = True
        else:
            if self._is_failing:
                _log.warning("raw_words_kept_again", path=str(self._path))
            self._is_failing = False

    def close(self) -> None:
        """Close the file; the next sample opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:  # the disk refuses the last checkpoint; the next opening makes it good
                _log.warning("raw_words_not_closed", reason=str(error))

    def _keep(self, connection: sqlite3.Connection, samples: Sequence[Sample]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sample in samples:
                content = _encode(sample, self.versions)
                row = (sample.boundary_s, content, sm3(content))
                connection.execute("INSERT INTO samples(boundary_s, content, digest) VALUES (?, ?, ?)", row)
            self._make_room(connection, max(sample.boundary_s for sample in samples))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _make_room(self, connection: sqlite3.Connection, newest_s: int) -> None:
        """Delete the oldest samples while the file is too large, or they too old; the newest stays."""
        limits = self._limits
        while True:
            oldest = connection.execute("SELECT id, boundary_s FROM samples ORDER BY id LIMIT 2").fetchall()
            is_old = oldest[0][1] < newest_s - limits.age_s_max
            if len(oldest) < 2 or (not is_old and _used_bytes(connection) <= limits.bytes_max):
                return
            connection.execute("DELETE FROM samples WHERE id = ?", (oldest[0][0],))


def raw_words_path(outbox: Path) -> Path:
    """Where the words of the agent with this outbox lie."""
    return outbox.with_name(outbox.name + SUFFIX)


def read_raw_words(path: Path, first_s: int, last_s: int) -> Iterator[StoredReading]:
    """The readings of the boundaries from ``first_s`` to ``last_s`` in the order in which they were taken, also while an agent writes.

    UsageError when there is no such file, or when it is damaged.
    """
    if not path.exists():
        raise UsageError(f"{path}: there are no raw words; the agent keeps them from its first reading on")
    try:
        with closing(_connect(path, "ro")) as connection:
            _check_kind(connection)
            query = "SELECT id, content, digest FROM samples WHERE id > ? AND boundary_s BETWEEN ? AND ? ORDER BY id LIMIT ?"
            number = 0
            while rows := connection.execute(query, (number, first_s, last_s, SAMPLES_AT_ONCE)).fetchall():
                for number, content, digest in rows:
                    if not isinstance(content, bytes) or sm3(content) != digest:
                        raise UsageError(f"{path}: sample {number} is not as it was written; the disk is failing")
                    yield from _decode(content)
    except (sqlite3.Error, EncodingError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); check its owner and the disk") from None


def _open(path: Path) -> sqlite3.Connection:
    """The file, made when there is none; one that is damaged or another program's is put aside first. OSError, sqlite3.Error."""
    try:
        return _opened(path)
    except (sqlite3.DatabaseError, EncodingError) as error:
        if isinstance(error, sqlite3.OperationalError):  # the disk or a lock, not the content
            raise
        aside = path.with_name(f"{path.name}.damaged")
        for suffix in _SUFFIXES:
            companion = path.with_name(path.name + suffix)
            if companion.exists():
                companion.replace(aside.with_name(aside.name + suffix))
        _log.error("raw_words_damaged", path=str(path), reason=str(error), kept_as=str(aside))
        return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    make_private(path)
    connection = _connect(path, "rw")
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}").fetchone()
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute(_SCHEMA)
        _check_kind(connection)
        finding = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if finding != "ok":
            raise EncodingError(" ".join(str(finding).split()))
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS_MAX}")
    return connection


def _check_kind(connection: sqlite3.Connection) -> None:
    found = tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    if found != (APPLICATION_ID, VERSION):
        raise EncodingError(f"it holds no raw words of version {VERSION}")


def _used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold something; what was deleted is written over before the file grows."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _encode(sample: Sample, versions: Mapping[int, ProfileVersion]) -> bytes:
    unread = _unread(sample)
    numbers = [one.number for one in sample.meters] + [one.number for one in unread]
    named = sorted({versions[number] for number in numbers})
    rows = [
        _row(one, named.index(versions[one.number]), one.quality, one.flags, one.registers_wh) for one in sample.meters
    ]
    rows += [_row(one, named.index(versions[one.number]), MISSING, 0, ()) for one in unread]
    return cbor.encode(
        {"boundary_s": sample.boundary_s, "profiles": [list(version) for version in named], "readings": rows}
    )


def _unread(sample: Sample) -> list[Absence]:
    """The meters whose answers are no reading."""
    return [absence for absence in sample.absent if absence.answers]


def _row(
    one: MeterSample | Absence, profile: int, quality: int, flags: int, registers_wh: Sequence[int]
) -> list[cbor.Value]:
    answers: list[cbor.Value] = [list(answer) for answer in one.answers]
    return [one.number, one.meter, profile, quality, flags, list(registers_wh), answers]


def _decode(content: bytes) -> Iterator[StoredReading]:
    value: dict[str, Any] = cbor.decode(content)
    versions = [ProfileVersion(*version) for version in value["profiles"]]
    for number, meter, profile, quality, flags, registers_wh, answers in value["readings"]:
        yield StoredReading(
            value["boundary_s"],
            number,
            meter,
            versions[profile],
            quality,
            flags,
            tuple(registers_wh),
            tuple(RawAnswer(*answer) for answer in answers),
        )
