"""All issues of a book computed again from their ledger, each by the blocks up to its height, and compared row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from gridcore.errors import UsageError
from gridledger.settling.chain import Scope
from gridledger.settling.outgoing.book import DOCUMENTS, LINES, TAXES, Batch, Book, folder_of, is_rated, read_book
from gridledger.settling.outgoing.making import Made, check_book, made_rows, without_rates
from gridledger.settling.replaying_documents import Differing
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS


class BookAgain(NamedTuple):
    """How much was computed again. differing: the first row that is not what the ledger gives, with its issue in the file's name."""

    issues: int
    documents: int
    differing: Differing | None


def book_again(data_dir: Path, folder: Path, guard: Path | None, progress: Callable[[str], None]) -> BookAgain:
    """Compute all documents of a book. UsageError for a folder without issues and for another ledger, FilesError for a book that was changed."""
    read, book = Book(), Book()
    with reading(data_dir, CONTRACTS, guard) as reader:
        for batch in read_book(folder, read):
            issue = batch.issue
            progress(f"issue {issue.issue}")
            check_book(reader, [issue], Scope(issue.zone, reader.height), folder)
            scope = Scope(issue.zone, issue.height, issue.area or None)
            made, _ = made_rows(reader, scope, issue, book)
            if not is_rated(batch.lines):  # before lines had rates they stood together, whatever rates there were
                lines = without_rates(made.lines)
                made = made._replace(lines=[row for row in lines if row.energy_wh or row.amount_nano or row.amount])
            differing = _first_differing(folder_of(folder, issue.issue).name, batch, made)
            if differing is not None:
                return BookAgain(issue.issue, book.documents, differing)
            book.add(batch)
    if not book.issues:
        raise UsageError(f"--book {folder}: holds no issue; name a folder that settle issue has made")
    return BookAgain(len(book.issues), book.documents, None)


def _first_differing(name: str, batch: Batch, made: Made) -> Differing | None:
    tables: Sequence[tuple[str, Sequence[Sequence[object]], Sequence[Sequence[object]]]] = (
        (DOCUMENTS, batch.documents, made.documents),
        (LINES, batch.lines, made.lines),
        (TAXES, batch.taxes, made.taxes),
    )
    for file, stated, computed in tables:
        for place, (said, row) in enumerate(zip_longest(stated, computed)):
            if said != row:
                number = None if said is None else place + 2  # the header is row 1
                return Differing(f"{name}/{file}", number, _texts(said), _texts(row))
    return None


def _texts(row: Sequence[object] | None) -> tuple[str, ...] | None:
    return None if row is None else tuple(map(str, row))
