"""A bank's file of movements: CSV, a row for each; every row is read, and what is wrong in one is one line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.errors import UsageError, excerpt
from gridcore.forms import NAME
from gridcore.sm3 import sm3
from gridcore.transactions.payment import AMOUNT_NANO_MAX, GROUNDS
from gridledger.settling.files.fault import nearest
from gridledger.settling.files.table import Header, Table

COLUMNS: Final = ("date", "reference", "point", "party", "amount")
OPTIONAL: Final = ("ground",)
ROWS_MAX: Final = 4_000
"""Movements of a file: a signer may name 4,096 transactions an hour."""
REFERENCE_CHARACTERS_MAX: Final = 200
EARLIEST_CLOCK: Final = timedelta(hours=14)
"""A local day begins up to so long before the day of UTC of the same name."""
RECEIVED: Final = "received"
PAID_OUT: Final = "paid_out"
AMOUNT_RIGHT: Final = f"above 0 and up to {AMOUNT_NANO_MAX // 10**9}, with at most 9 places, such as 50.00"
_AMOUNT: Final = re.compile(r"([0-9]{1,7})(?:\.([0-9]{1,9}))?", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class MovementKey(NamedTuple):
    """What a point takes once: reference is the SM3 of its words."""

    point: str
    ground: str
    reference: bytes


class Movement(NamedTuple):
    """A row. number: of the file, the header being row 1; day: when the bank booked it; amount_nano: above 0, ground says the direction."""

    number: int
    day: date
    words: str
    point: str
    party: str
    amount_nano: int
    ground: str

    @property
    def key(self) -> MovementKey:
        """By which it is known."""
        return MovementKey(self.point, self.ground, sm3(self.words.encode()))


class RowFault(NamedTuple):
    """What is wrong in a row, and what would be right."""

    number: int
    words: str


class BankFile(NamedTuple):
    """All rows: those that can be recorded, and the faults of the others."""

    name: str
    movements: list[Movement]
    faults: list[RowFault]


def nano_of(text: str) -> int | None:
    """An amount of the currency in nano, None for what is none."""
    found = _AMOUNT.fullmatch(text)
    nano = 0 if found is None else int(found[1]) * 10**9 + int((found[2] or "").ljust(9, "0"))
    return nano if 1 <= nano <= AMOUNT_NANO_MAX else None


def read_bank_file(path: Path, today_s: int) -> BankFile:
    """The rows of a file. today_s: ledger time, behind which nothing can have been booked.

    FilesError for what is no such table, UsageError for more than ROWS_MAX rows.
    """
    found = BankFile(path.name, [], [])
    known: dict[MovementKey, int] = {}
    today = (datetime.fromtimestamp(today_s, UTC) + EARLIEST_CLOCK).date()
    for number, cells in _rows(path):
        movement = _movement(number, cells, today)
        if isinstance(movement, RowFault):
            found.faults.append(movement)
            continue
        first = known.setdefault(movement.key, number)
        if first != number:
            words = (
                f"is the movement of row {first} once more: a point takes a ground and reference once; leave one out"
            )
            found.faults.append(RowFault(number, words))
            continue
        found.movements.append(movement)
    if not found.movements and not found.faults:
        raise UsageError(f"{path}: holds no row; a row is a movement of the bank's account")
    return found


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    count = 0
    for block in Table(path, Header(COLUMNS, OPTIONAL)).blocks():
        texts = {name: fields.texts() for name, fields in block.columns.items()}
        for place, number in enumerate(block.row.tolist()):
            count += 1
            if count > ROWS_MAX:
                raise UsageError(f"{path}: holds more than {ROWS_MAX} rows; import it in parts")
            yield number, {name: column[place] for name, column in texts.items()}


def _movement(number: int, cells: Mapping[str, str], today: date) -> Movement | RowFault:
    day, amount, ground = _day(cells["date"]), cells["amount"], cells.get("ground", "")
    is_negative = amount.startswith("-")
    nano = nano_of(amount.removeprefix("-"))
    if day is None:
        words = f"date: {excerpt(cells['date'])} is no day; write YYYY-MM-DD, as 2026-07-01"
    elif day > today:
        words = f"date: {day} is behind ledger time, {today}; give the day on which the bank has booked it"
    elif not 1 <= len(cells["reference"]) <= REFERENCE_CHARACTERS_MAX or not cells["reference"].isprintable():
        words = f"reference: give 1 to {REFERENCE_CHARACTERS_MAX} characters that name the movement, such as the bank's own number"
    elif cells["reference"] != cells["reference"].strip():
        words = "reference: begins or ends with a space; take it away, or the same movement may be recorded with it and without"
    elif not (NAME.holds(cells["point"]) and NAME.holds(cells["party"])):
        column = "party" if NAME.holds(cells["point"]) else "point"
        words = f"{column}: holds no name of the registry, such as P-H001"  # not what it holds: it may be a person's
    elif nano is None:
        words = f"amount: {excerpt(amount)} is no amount; give one {AMOUNT_RIGHT}"
    elif ground not in ("", *GROUNDS):
        words = f"ground: {excerpt(ground)} is none; {nearest(ground, GROUNDS)}"
    elif ground and is_negative:
        words = (
            f"amount: is below 0 and ground says {ground}; leave ground empty (paid_out), or give the amount above 0"
        )
    else:
        said = ground or (PAID_OUT if is_negative else RECEIVED)
        return Movement(number, day, cells["reference"], cells["point"], cells["party"], nano, said)
    return RowFault(number, words)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None
