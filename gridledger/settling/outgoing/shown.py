"""The book of ``web.book`` as the pages show it: read only, within bounds, and compared with what it says of itself (``gridweb.issued``).

Whether the ledger gives the same documents is what ``gridledger settle replay --book`` computes: the pages have no ledger of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from os import stat_result
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.errors import UsageError
from gridledger.settling.files.fault import FilesError
from gridledger.settling.outgoing.book import (
    LINES,
    TAXES,
    Book,
    DocumentRow,
    IssueRow,
    Parts,
    folder_of,
    read_book,
    read_parts,
)
from gridweb.issued import (
    DOCUMENTS_MAX,
    IssuedBook,
    IssuedDocument,
    IssuedLine,
    IssuedParts,
    IssuedTax,
    NewestIssue,
)

BYTES_MAX: Final = 192 * 1024 * 1024
"""Of all files of a book: about 1.8 KB for a document of eight lines."""
LINES_KEPT_MAX: Final = 1 << 19
"""Lines of the issue of which a document was shown last, about 200 bytes each; of a larger one nothing is kept."""
_HOLDS: Final = "gridledger settle issue makes it"
_AGAIN: Final = "look again in a moment"


class _KeptParts(NamedTuple):
    """What the documents of an issue hold, by number, and the state of the two files that say it."""

    issue: IssueRow
    state: Hashable
    parts: Mapping[str, Parts]


class ShownBook:
    """The book in a folder; an absent or an empty one has no issue yet. ``parts`` may be called from several threads, beside ``read``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._issues: list[IssueRow] = []
        self._kept: _KeptParts | None = None
        self._lock = threading.Lock()

    def state(self) -> Hashable:
        """See ``BookReader``."""
        try:
            return tuple((str(path), *_state_of(one)) for path, one in self._files())
        except OSError as error:
            return error.strerror

    def read(self) -> IssuedBook:
        """See ``BookReader``. UsageError without the folder's own name: what is wrong where in it, or that it has more than pages hold."""
        with self._readable():
            if self._folder.exists() and not self._folder.is_dir():
                raise UsageError(f"is no folder; {_HOLDS}")
            found = sum(one.st_size for _path, one in self._files())
            if found > BYTES_MAX:
                raise UsageError(f"has {found} bytes, pages read at most {BYTES_MAX}")
            book, documents = Book(), list[IssuedDocument]()
            for batch in read_book(self._folder, book):
                documents += [_document(batch.issue.issue, one) for one in batch.documents]
                if len(documents) > DOCUMENTS_MAX:
                    raise UsageError(f"has more than {DOCUMENTS_MAX} documents, pages hold no more")
        self._issues = book.issues
        return IssuedBook(documents, _newest(book))

    def parts(self, document: IssuedDocument) -> IssuedParts:
        """See ``BookReader``."""
        issues = self._issues  # those of a read that may have come in between, of a book that was restored
        if document.issue > len(issues):
            raise UsageError(f"issue {document.issue} is not there any more; {_AGAIN}")
        with self._readable(), self._lock:
            found = self._parts_of(issues[document.issue - 1]).get(document.number, Parts((), ()))
        quantum_nano = document.quantum_nano
        lines = [
            IssuedLine(
                row.line_kind, row.account, row.energy_wh, row.amount_nano, row.amount * quantum_nano, row.tax_ppm
            )
            for row in found.lines
        ]
        taxes = [IssuedTax(row.tax_ppm, row.taxed * quantum_nano, row.tax * quantum_nano) for row in found.taxes]
        if sum(one.amount_nano for one in lines) + sum(one.tax_nano for one in taxes) != document.gross_nano:
            raise UsageError(f"{document.number} is another document by now; {_AGAIN}")
        return IssuedParts(lines, taxes)

    def _parts_of(self, issue: IssueRow) -> Mapping[str, Parts]:
        """Of all documents of an issue; read once for those that are asked for one after the other, while its files are as they were."""
        folder = folder_of(self._folder, issue.issue)
        state = None
        with suppress(OSError):  # reading says which file it is
            state = tuple(_state_of((folder / name).stat()) for name in (LINES, TAXES))
        if self._kept is None or (self._kept.issue, self._kept.state) != (issue, state):
            self._kept = None
            found = read_parts(folder, issue)
            if sum(len(one.lines) for one in found.values()) > LINES_KEPT_MAX:
                return found
            self._kept = _KeptParts(issue, state, found)
        return self._kept.parts

    def _files(self) -> Iterator[tuple[Path, stat_result]]:
        """All files of issues, by name. OSError."""
        folders = sorted(self._folder.glob("[0-9][0-9][0-9][0-9]"))
        for path in (path for folder in folders for path in sorted(folder.glob("*.csv"))):
            yield path, path.stat()

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UsageError(f"cannot be read ({error.strerror}); {_HOLDS}") from None
        except FilesError as error:
            raise UsageError(str(error).removeprefix(f"{self._folder}/").removeprefix(f"{self._folder}: ")) from None


def _state_of(file: stat_result) -> tuple[int, ...]:
    """What changes when a file does, also where it is written in place and gets its old times back."""
    return file.st_size, file.st_mtime_ns, file.st_ctime_ns, file.st_ino


def check_book_folder(folder: Path) -> None:
    """UsageError unless the pages could use the book; it may be absent, in a folder that is there."""
    try:
        if not folder.exists() and not folder.parent.is_dir():
            raise UsageError(f"its folder does not exist; {_HOLDS}")
        ShownBook(folder).read()
    except UsageError as error:
        raise UsageError(f"web.book: {folder}: {error}") from None


def _newest(book: Book) -> NewestIssue | None:
    if not book.issues:
        return None
    issue = book.issues[-1]
    return NewestIssue(issue.issue, issue.chain, issue.height, issue.digest)


def _document(issue: int, row: DocumentRow) -> IssuedDocument:
    return IssuedDocument(
        issue=issue,
        number=row.number,
        date=row.date,
        due_date=row.due_date,
        sort=row.sort,
        corrects=row.corrects,
        party=row.party,
        month=row.month,
        zone=row.zone,
        area=row.area,
        subject=row.subject,
        currency=row.currency,
        quantum_nano=row.quantum_nano,
        net_nano=row.net * row.quantum_nano,
        tax_nano=row.tax * row.quantum_nano,
        gross_nano=row.gross * row.quantum_nano,
        rounding_nano=row.rounding,
    )
