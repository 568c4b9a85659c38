"""``month.csv``: of which ledger, up to which block, and of which month a folder of documents is. One row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.forms import NAME
from gridledger.settling.files.fault import FilesError, fault
from gridledger.settling.files.fields import integers
from gridledger.settling.files.table import Block, Header, Table

MONTH: Final = "month.csv"
MONTH_FORM: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_COUNT_MAX: Final = 2**53


class DocumentedMonth(NamedTuple):
    """area: empty for all areas of the zone; height, digest: of the newest block that counts; slots: that the month has since the zone's first one.

    slots_settled: how many of them have a run; parties: that documents are made for; without_tariff: how many others are billed, and name no tariff.
    """

    month: str
    chain: str
    zone: str
    area: str
    height: int
    digest: str
    slots: int
    slots_settled: int
    parties: int
    without_tariff: int

    @property
    def is_complete(self) -> bool:
        """Whether every slot of the month is settled."""
        return self.slots_settled == self.slots


_COUNTS: Final = ("height", "slots", "slots_settled", "parties", "without_tariff")


def read_month(out: Path) -> DocumentedMonth:
    """The month of a folder. FilesError for what ``settle documents`` does not write."""
    try:
        rows = [row for block in Table(out / MONTH, Header(DocumentedMonth._fields)).blocks() for row in _rows(block)]
        if len(rows) != 1:
            raise fault(MONTH, f"holds {len(rows)} rows, not one", "make the documents again")
    except FilesError as error:
        raise FilesError(f"{out}/{error}") from None
    return rows[0]


def _rows(block: Block) -> list[DocumentedMonth]:
    counts = {name: integers(block.columns[name], 0, _COUNT_MAX).tolist() for name in _COUNTS}
    texts = {name: block.columns[name].texts() for name in DocumentedMonth._fields if name not in _COUNTS}
    for name, column in texts.items():
        for at, text in enumerate(column):
            if not _fits(name, text):
                raise block.columns[name].fault(at, f"is no {name}", "make the documents again")
    columns = {**texts, **counts}
    return [DocumentedMonth(*row) for row in zip(*(columns[name] for name in DocumentedMonth._fields), strict=True)]


def _fits(name: str, text: str) -> bool:
    if name == "month":
        return MONTH_FORM.fullmatch(text) is not None
    if name == "digest":
        return _DIGEST.fullmatch(text) is not None
    return (name == "area" and not text) or NAME.holds(text)
