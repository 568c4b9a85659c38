"""The book as pages read it: what its files may say, what they may be, and when they are read again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gridcore.errors import UsageError
from gridledger.settling.files.fault import FilesError
from gridledger.settling.outgoing import book as books
from gridledger.settling.outgoing import shown
from gridledger.settling.outgoing.book import digest_of
from gridledger.settling.outgoing.shown import ShownBook
from gridweb.issued import Issued
from tests.unit.web.test_issued_pages import document, issue

FIRST = document(1, 2020, "p-1", 100)


def read_fault(book: Path) -> str:
    with pytest.raises(UsageError) as caught:
        ShownBook(book).read()
    return str(caught.value)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"sort": "evil"}, "documents.csv, row 2, sort: is not one of invoice, credit, debit"),
        ({"sort": "debit"}, "util-2020-000001 is called debit where it is invoice"),
        ({"party": "a/../b"}, "documents.csv, row 2, party: is not 1 to 64 of A-Z a-z 0-9 . _ -"),
        ({"date": "zzzz"}, "issue.csv, row 2, date: is not a date, YYYY-MM-DD"),
        ({"due_date": "2020-02-30"}, "issue.csv, row 2, due_date: is not a date, YYYY-MM-DD"),
        ({"month": "2020-13"}, "documents.csv, row 2, month: is not a month, YYYY-MM"),
        ({"subject": "nope"}, "documents.csv, row 2, subject: is not one of energy, balance"),
        ({"currency": "$$"}, "documents.csv, row 2, currency: is not three capital letters"),
        ({"quantum_nano": -5}, "documents.csv, row 2, quantum_nano: is not a whole number, 1 to"),
        ({"quantum_nano": 0}, "documents.csv, row 2, quantum_nano: is not a whole number, 1 to"),
        ({"tax_ppm": 1_000_001}, "documents.csv, row 2, tax_ppm: is not a whole number, 0 to 1000000"),
        ({"area": "a b"}, "documents.csv, row 2, area: is not 1 to 64 of A-Z a-z 0-9 . _ -, or empty"),
    ],
)
def test_a_document_that_says_what_settle_issue_never_writes_is_one_line(
    tmp_path: Path, says: dict[str, Any], words: str
) -> None:
    issue(tmp_path, 1, [FIRST._replace(**says)])
    assert words in read_fault(tmp_path)


@pytest.mark.parametrize(
    ("was", "says", "words"),
    [
        (",util,", ",../../x,", "issue.csv, row 2, issuer: is not 1 to 64 of A-Z a-z 0-9 . _ -"),
        ("ab" * 32, "ab", "issue.csv, row 2, digest: is not 64 hex digits"),
        (
            ",96,90,1,",
            f",96,90,{2**63},",
            "issue.csv, row 2, documents: is not a whole number, -9223372036854775808 to",
        ),
        (",test-0123,", ",\x1b[2J,", "issue.csv, row 2, chain: is not a text that can be printed"),
    ],
)
def test_an_issue_that_says_what_settle_issue_never_writes_is_one_line(
    tmp_path: Path, was: str, says: str, words: str
) -> None:
    """No file says the SM3 of the newest issue's own row."""
    path = issue(tmp_path, 1, [FIRST]) / books.ISSUE
    path.write_text(path.read_text().replace(was, says))
    assert words in read_fault(tmp_path)


def test_a_document_of_a_book_that_was_replaced_meanwhile_is_refused_in_one_line(tmp_path: Path) -> None:
    before = issue(tmp_path, 1, [FIRST])
    later = document(1, 2030, "p-1", 7, corrects=FIRST.number)._replace(sort="debit")
    issue(tmp_path, 2, [later], digest_of(before / books.ISSUE))
    reader = ShownBook(tmp_path)
    first, second = reader.read().documents
    shutil.rmtree(tmp_path / "0002")
    shutil.rmtree(tmp_path / "0001")
    issue(tmp_path, 1, [document(1, 2020, "p-1", 200)])
    reader.read()
    with pytest.raises(UsageError, match=r"issue 2 is not there any more; look again in a moment"):
        reader.parts(second)
    with pytest.raises(UsageError, match=r"util-2020-000001 is another document by now; look again in a moment"):
        reader.parts(first)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_pipe_a_device_and_a_folder_in_place_of_a_file_are_one_line(tmp_path: Path, kind: str) -> None:
    lines = issue(tmp_path, 1, [FIRST]) / books.LINES
    lines.unlink()
    if kind == "pipe":
        os.mkfifo(lines)
    elif kind == "device":
        lines.symlink_to("/dev/null")
    else:
        lines.mkdir()
    assert "0001/document_lines.csv: is no file" in read_fault(tmp_path)


def test_a_file_that_grows_while_it_is_read_is_read_as_long_as_it_was_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    before, fstat = digest_of(path), os.fstat

    def then_it_grows(file: int) -> os.stat_result:
        found = fstat(file)
        path.write_bytes(b"abcdef")
        return found

    monkeypatch.setattr(os, "fstat", then_it_grows)
    assert digest_of(path) == before


def test_documents_shown_one_after_the_other_read_their_issue_once_until_its_files_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [document(number, 2020, f"p-{number}", 100 * number) for number in (1, 2, 3)]
    folder, reader, reads = issue(tmp_path, 1, documents), ShownBook(tmp_path), list[Path]()

    def counted(path: Path, row: books.IssueRow) -> Mapping[str, books.Parts]:
        reads.append(path)
        return books.read_parts(path, row)

    monkeypatch.setattr(shown, "read_parts", counted)

    def lines_of_all() -> list[int]:
        return [len(reader.parts(one).lines) for one in reader.read().documents]

    assert (lines_of_all(), len(reads)) == ([2, 2, 2], 1)
    monkeypatch.setattr(shown, "LINES_KEPT_MAX", 6)
    os.utime(folder / books.LINES, ns=(1, 1))
    assert (lines_of_all(), len(reads)) == ([2, 2, 2], 2)
    monkeypatch.setattr(shown, "LINES_KEPT_MAX", 5)
    os.utime(folder / books.LINES, ns=(2, 2))
    assert (lines_of_all(), len(reads)) == ([2, 2, 2], 5)
    one = reader.read().documents[0]
    (folder / books.LINES).write_bytes((folder / books.LINES).read_bytes()[:-3])
    with pytest.raises(UsageError, match=r"document_lines\.csv: is not the file that was issued"):
        reader.parts(one)


def test_a_change_in_place_is_seen_though_the_file_has_its_size_and_times_again(tmp_path: Path) -> None:
    path = issue(tmp_path, 1, [FIRST]) / books.DOCUMENTS
    reader, was = ShownBook(tmp_path), path.stat()
    before = reader.state()
    with path.open("r+b") as file:
        data = file.read()
        file.seek(0)
        file.write(data.replace(b"p-1", b"p-9"))
    while path.stat().st_ctime_ns == was.st_ctime_ns or path.stat().st_mtime_ns != was.st_mtime_ns:
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))  # times go by ticks of some milliseconds
    assert reader.state() != before


async def test_a_book_that_could_not_be_read_is_read_again_though_nothing_of_its_files_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(tmp_path, 1, [FIRST])
    monkeypatch.setattr("gridweb.issued.LOOK_EVERY_S", 0)
    pages = Issued(ShownBook(tmp_path))

    def refused(path: Path) -> str:
        raise FilesError(f"{path.name}: cannot be read (Permission denied)")

    with monkeypatch.context() as away:
        away.setattr(books, "digest_of", refused)
        assert "cannot be read (Permission denied)" in (await pages.book()).fault
    found = await pages.book()
    assert (found.fault, [one.number for one in found.documents]) == ("", [FIRST.number])
