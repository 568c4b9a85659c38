"""Documents that were issued stay as they are: what changes later is issued as further ones, under numbers without repetition and without holes."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gridcore.files import locked
from gridcore.master_data import Named
from gridcore.registry.row import Row
from gridcore.registry.tariff import TARIFF
from gridledger.cli import main
from gridledger.settling.outgoing import book as books
from gridledger.settling.outgoing import explained, making
from gridledger.settling.outgoing.explained import derive_issued_line
from gridledger.settling.outgoing.shown import ShownBook
from settlement.invoicing.issued import differences
from tests.unit.settlement.test_borders_of_areas import ENDS, blocks_of
from tests.unit.settling.folders import make_folder
from tests.unit.settling.test_balance_documents import BILLED, QUANTUM_NANO
from tests.unit.settling.test_balance_documents import world as world_with_balance
from tests.worlds.consortium import FIRST_S, UTILITY
from tests.worlds.ledgers import decide, ledger_with, open_ledger
from tests.worlds.tariffed import HOME, MONTH, TARIFFED, first_slots, late_reading
from tests.worlds.transactions import Sender

FILES = (books.ISSUE, books.DOCUMENTS, books.LINES, books.TAXES, books.ENTRIES)


def rows(out: Path, name: str) -> list[dict[str, str]]:
    with (out / name).open(newline="") as file:
        return list(csv.DictReader(file))


def issue(path: Path, *more: str, date: str = "2027-02-03", month: str = MONTH, so_far: bool = True) -> int:
    command = ["settle", "issue", "--data", str(path / "ledger"), "--book", str(path / "book"), "--month", month]
    return main([*command, "--issuer", UTILITY, "--date", date, *(["--so-far"] if so_far else []), *more])


def issued(path: Path, name: str) -> list[dict[str, str]]:
    """Rows of all issues."""
    return [row for folder in sorted((path / "book").glob("[0-9]*")) for row in rows(folder, name)]


def gross(documents: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """By party, quanta."""
    found: dict[str, int] = defaultdict(int)
    for row in documents:
        found[row["party"]] += int(row["gross"])
    return {party: quanta for party, quanta in found.items() if quanta}


def from_nothing(path: Path, name: str) -> Path:
    """What a call gives that knows of no issue."""
    out = path / name
    assert main(["settle", "documents", "--data", str(path / "ledger"), "--month", MONTH, "--out", str(out)]) == 0
    return out


def started(path: Path) -> Sender:
    sender = TARIFFED.sender()
    with ledger_with(path / "ledger", TARIFFED, first_slots(sender)):
        pass
    return sender


def goes_on(path: Path, blocks: Sequence[Sequence[bytes]]) -> None:
    ledger = open_ledger(path / "ledger", TARIFFED)
    for wires in blocks:
        assert decide(ledger, wires) == [0] * len(wires)
    ledger.close()


def registered_tax(tax_ppm: int) -> Row:
    (row,) = Named(TARIFF, "home", HOME._replace(tax_ppm=tax_ppm), FIRST_S - 86_400).rows()
    return row


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An issue of the month so far, one of what a late reading changes, and one of another tax that is registered for the whole month."""
    path = tmp_path_factory.mktemp("issued")
    sender = started(path)
    assert issue(path) == 0
    goes_on(path, late_reading(sender, 700))
    assert issue(path, "--due-days", "30", date="2027-03-01") == 0
    goes_on(path, [[sender.register([registered_tax(60_000)])]])
    assert issue(path, date="2028-01-02") == 0
    return path


def test_what_was_issued_stays_bit_by_bit_and_later_documents_name_their_invoice(tmp_path: Path) -> None:
    sender = started(tmp_path)
    assert issue(tmp_path) == 0
    first = {name: (tmp_path / "book" / "0001" / name).read_bytes() for name in FILES}
    goes_on(tmp_path, late_reading(sender, 700))
    assert issue(tmp_path, "--due-days", "30", date="2027-03-01") == 0
    assert {name: (tmp_path / "book" / "0001" / name).read_bytes() for name in FILES} == first
    numbers = {row["party"]: row["number"] for row in rows(tmp_path / "book" / "0001", books.DOCUMENTS)}
    later = rows(tmp_path / "book" / "0002", books.DOCUMENTS)
    assert [(row["party"], row["sort"], row["corrects"]) for row in later] == [("p-2", "credit", numbers["p-2"])]
    assert {(row["date"], row["due_date"]) for row in later} == {("2027-03-01", "2027-03-31")}
    assert {row["due_date"] for row in rows(tmp_path / "book" / "0001", books.DOCUMENTS)} == {"2027-02-17"}


def test_all_documents_together_are_what_a_call_from_nothing_gives(corrected: Path) -> None:
    out = from_nothing(corrected, "now")
    assert gross(issued(corrected, books.DOCUMENTS)) == gross(rows(out, "invoices.csv"))
    exact, lines = defaultdict[tuple[str, str], int](int), defaultdict[tuple[str, str], int](int)
    party_of = {row["number"]: row["party"] for row in issued(corrected, books.DOCUMENTS)}
    for row in issued(corrected, books.LINES):
        exact[party_of[row["number"]], row["line_kind"]] += int(row["amount_nano"])
    for row in rows(out, "invoice_lines.csv"):
        lines[row["party"], row["line_kind"]] += int(row["amount_nano"])
    assert {key: nano for key, nano in exact.items() if nano} == {key: nano for key, nano in lines.items() if nano}


def test_pages_read_what_was_issued_with_its_lines(corrected: Path) -> None:
    reader = ShownBook(corrected / "book")
    found = [(one.number, one.gross_nano, reader.parts(one)) for one in reader.read().documents]
    stated = [(row["number"], int(row["gross"]) * QUANTUM_NANO) for row in issued(corrected, books.DOCUMENTS)]
    assert [(number, gross_nano) for number, gross_nano, _ in found] == stated
    sums = [sum(line.amount_nano for line in of.lines) + sum(tax.tax_nano for tax in of.taxes) for *_, of in found]
    assert sums == [gross_nano for _, gross_nano, _ in found]


def test_another_tax_takes_back_what_was_issued_and_issues_all_of_it_by_the_new_one(corrected: Path) -> None:
    third = rows(corrected / "book" / "0003", books.DOCUMENTS)
    by_rate: dict[str, int] = defaultdict(int)
    for row in issued(corrected, books.DOCUMENTS):
        by_rate[row["tax_ppm"]] += int(row["tax"])
    assert by_rate["130000"] == 0 < by_rate["60000"]
    assert [(row["party"], row["tax_ppm"], row["sort"]) for row in third] == [
        ("p-1", "130000", "credit"),
        ("p-1", "60000", "debit"),
        ("p-2", "130000", "credit"),
        ("p-2", "60000", "debit"),
    ]


def test_a_document_of_several_rates_says_its_taxes_by_rate_and_a_changed_rate_of_a_component_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The energy is taxed at 13 % at first, then at 9 % by a row for the whole month: the net amount stays."""
    sender = started(tmp_path)
    assert issue(tmp_path) == 0
    components = [{**one, "tax_ppm": 90_000} if one["name"] == "energy" else one for one in HOME.components]
    (row,) = Named(TARIFF, "home", HOME._replace(components=components), FIRST_S - 86_400).rows()
    goes_on(tmp_path, [[sender.register([row])]])
    assert issue(tmp_path) == 0
    documents = {row["number"]: row for row in issued(tmp_path, books.DOCUMENTS)}
    by_rate: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    tax_of: dict[str, int] = defaultdict(int)
    for tax in issued(tmp_path, books.TAXES):
        tax_of[tax["number"]] += int(tax["tax"])
        sums = by_rate[documents[tax["number"]]["party"], int(tax["tax_ppm"])]
        sums[0], sums[1] = sums[0] + int(tax["taxed"]), sums[1] + int(tax["tax"])
    assert {number: tax_of[number] for number in documents} == {n: int(row["tax"]) for n, row in documents.items()}
    assert [row["net"] for row in rows(tmp_path / "book" / "0002", books.DOCUMENTS)] == ["0", "0"]
    owed: dict[tuple[str, int], list[int]] = {}
    for tax in rows(from_nothing(tmp_path, "now"), "invoice_taxes.csv"):
        owed[tax["party"], int(tax["tax_ppm"])] = [int(tax["taxed"]), int(tax["tax"])]
    assert by_rate == owed
    assert {rate for _, rate in owed} == {130_000, 90_000}
    replay = ["settle", "replay", "--data", str(tmp_path / "ledger"), "--book", str(tmp_path / "book")]
    assert main(replay) == 0
    capsys.readouterr()
    changed = tmp_path / "book" / "0002" / books.TAXES
    changed.write_text(changed.read_text().replace("90000", "60000"))
    assert main(replay) == 2
    assert "document_taxes.csv: is not the file that was issued" in capsys.readouterr().err


def test_numbers_of_an_issuer_and_year_have_no_hole_and_no_repetition(corrected: Path) -> None:
    numbers = [row["number"] for row in issued(corrected, books.DOCUMENTS)]
    of_2027 = [number for number in numbers if number.startswith("util-2027-")]
    assert of_2027 == [f"util-2027-{place:06}" for place in range(1, 4)]
    assert numbers[3:] == [f"util-2028-{place:06}" for place in range(1, 5)]


def test_entries_of_each_document_come_to_its_gross(corrected: Path) -> None:
    party_of = {row["number"]: row["party"] for row in issued(corrected, books.DOCUMENTS)}
    owed: dict[str, int] = defaultdict(int)
    for row in issued(corrected, books.ENTRIES):
        number = row["entry"].split("/")[0]
        assert party_of[number] in (row["debit_account"], row["credit_account"])
        owed[number] += int(row["amount_nano"]) * (1 if row["debit_account"] == party_of[number] else -1)
    assert owed == {
        row["number"]: int(row["gross"]) * int(row["quantum_nano"]) for row in issued(corrected, books.DOCUMENTS)
    }
    assert len({row["entry"] for row in issued(corrected, books.ENTRIES)}) == len(issued(corrected, books.ENTRIES))


def test_what_has_not_changed_is_not_issued_again_and_takes_no_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started(tmp_path)
    assert issue(tmp_path) == 0
    capsys.readouterr()
    assert issue(tmp_path) == 0
    assert "nothing to issue" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "book").glob("[0-9]*")] == ["0001"]


def test_all_issues_are_computed_again_and_a_changed_ledger_row_is_named(
    corrected: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = ["settle", "replay", "--data", str(corrected / "ledger"), "--book", str(corrected / "book")]
    assert main(replay) == 0
    assert "the same: 7 documents of 3 issues" in capsys.readouterr().out
    monkeypatch.setattr(making, "differences", lambda now, before: differences(now, before)[:-1])
    assert main(replay) == 1
    assert "NOT THE SAME: 0001/documents.csv, row 2, says util-2027-000001" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["ledger", "notes"])
def test_a_folder_of_other_files_is_no_book_and_stays_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    started(tmp_path)
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    (folder / "own.txt").write_text("a note\n")
    before = sorted(path.name for path in folder.iterdir())
    assert issue(tmp_path, "--book", str(folder)) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told == f"--book {folder}: holds other files and no issue; name a book, or an absent or empty folder"
    assert sorted(path.name for path in folder.iterdir()) == before


def test_what_a_killed_first_issue_left_does_not_keep_the_next_one_away(tmp_path: Path) -> None:
    started(tmp_path)
    (tmp_path / "book" / ".0001.unfinished").mkdir(parents=True)
    (tmp_path / "book" / ".0001.unfinished.lock").touch()
    assert issue(tmp_path) == 0
    assert [path.name for path in (tmp_path / "book").iterdir()] == ["0001"]


def test_a_second_call_at_once_is_told_that_another_call_makes_the_issue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started(tmp_path)
    (tmp_path / "book").mkdir()
    with locked(tmp_path / "book" / ".0001.unfinished.lock", "held"):
        assert issue(tmp_path) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told == f"{tmp_path / 'book' / '0001'}: another call makes it just now; wait until it has ended"


def test_the_open_points_of_an_issued_line_are_those_of_its_subject(tmp_path: Path) -> None:
    of = world_with_balance("grid", "east")
    with ledger_with(tmp_path / "ledger", of, blocks_of(of, late=[ENDS[0][2]])):
        pass
    assert issue(tmp_path, "--area", "a-1") == 0
    subjects = {row["number"]: row["subject"] for row in issued(tmp_path, books.DOCUMENTS)}
    told: dict[str, set[str]] = defaultdict(set)
    for row in issued(tmp_path, books.LINES):
        line = derive_issued_line(tmp_path / "ledger", tmp_path / "book", row["number"], row["line_kind"], None)
        told[subjects[row["number"]]] |= {text["en"].rpartition(": ")[2] for text in line.not_checked}
    assert told == {"energy": {"no bundle proves a charge"}, "balance": {"no bundle proves a balance"}}


def test_each_line_of_each_issue_is_explained_to_its_integer(
    corrected: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also those of what is taken back since another tax holds."""
    for row in issued(corrected, books.LINES):
        found = derive_issued_line(corrected / "ledger", corrected / "book", row["number"], row["line_kind"], None)
        assert found.holds, [step for step in found.steps if not step.holds]
        assert found.amounts == {"amount": int(row["amount"])}
    explain = ["settle", "explain", "--data", str(corrected / "ledger"), "--book", str(corrected / "book"), "--line"]
    assert main([*explain, "util-2027-000003/residual_export", "--language", "en"]) == 0
    assert "amount: less what was issued before; util-2027-000003 says " in capsys.readouterr().out
    for line, words in (
        (
            "util-2027-000003/residual_exprt",
            "--line util-2027-000003: the document has no line 'residual_exprt'; did you mean 'residual_export'?",
        ),
        ("util-2027-000099/levy", "has no document of this number"),
        ("util-2027-000003", "write NUMBER/KIND, as utility-2026-000017/levy"),
    ):
        assert main([*explain, line]) == 2
        (told,) = capsys.readouterr().err.splitlines()
        assert words in told


def test_a_line_that_does_not_follow_from_its_ledger_is_told(
    corrected: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explained, "month_lines", lambda *_: [])
    explain = ["settle", "explain", "--data", str(corrected / "ledger"), "--book", str(corrected / "book"), "--line"]
    assert main([*explain, "util-2027-000001/levy", "--language", "en"]) == 1
    assert "DIFFERS" in capsys.readouterr().out


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_changed_afterwards_is_found_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    sender = started(tmp_path)
    assert issue(tmp_path) == 0
    goes_on(tmp_path, late_reading(sender, 700))
    assert issue(tmp_path) == 0
    path = tmp_path / "book" / "0001" / name
    for was, said in (("levy", "levz"), ("130000", "130001"), (",1600,", ",1601,")):
        path.write_text(path.read_text().replace(was, said))
    capsys.readouterr()
    assert issue(tmp_path) == 2
    (told,) = capsys.readouterr().err.splitlines()
    where = "0002/issue.csv: names another issue" if name == books.ISSUE else f"0001/{name}: is not the file"
    assert where in told
    assert "take it from your backup" in told


@pytest.mark.parametrize(
    ("was", "said", "words"),
    [
        (",z-1,", ",z-9,", "0001/issue.csv: has another date, month, zone or area than util-2027-000001"),
        (",z-1,,", ",z-1,a-1,", "0001/issue.csv: has another date, month, zone or area than util-2027-000001"),
        ("2027-02-17", "2027-02-18", "0001/issue.csv: has another date, month, zone or area than util-2027-000001"),
        ("\n1,", "\n2,", "0001/issue.csv: is not of issue 1 with 2 documents"),
        (",11,", ",9,", "--data: its block 9 is another one than that of the book"),
        (",11,", ",-3,", "issue.csv, row 2, height: is not a whole number, 0 to 9007199254740992"),
        (",1600,4,", ",1600,5,", "issue 1 says 5 of 1600 slots, the ledger 4 of 1600; take the book from your backup"),
        (",1600,4,", ",1601,4,", "issue 1 says 4 of 1601 slots, the ledger 4 of 1600; take the book from your backup"),
    ],
)
def test_the_newest_issue_is_compared_with_its_documents_and_its_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], was: str, said: str, words: str
) -> None:
    """No later issue names the SM3 of its own row."""
    started(tmp_path)
    assert issue(tmp_path) == 0
    path = tmp_path / "book" / "0001" / books.ISSUE
    assert was in path.read_text()
    path.write_text(path.read_text().replace(was, said))
    capsys.readouterr()
    assert main(["settle", "replay", "--data", str(tmp_path / "ledger"), "--book", str(tmp_path / "book")]) == 2
    told = capsys.readouterr().err
    assert (told.count(words), "Traceback" in told) == (1, False)


def test_a_book_is_read_one_issue_at_a_time(tmp_path: Path) -> None:
    """Of a grown book the lines of all issues would not fit."""
    sender = started(tmp_path)
    assert issue(tmp_path) == 0
    goes_on(tmp_path, late_reading(sender, 700))
    assert issue(tmp_path) == 0
    book = books.Book()
    found = [(batch.issue.issue, len(book.issues)) for batch in books.read_book(tmp_path / "book", book)]
    assert found == [(1, 1), (2, 2)]


def test_an_issue_without_its_row_is_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started(tmp_path)
    assert issue(tmp_path) == 0
    (tmp_path / "book" / "0001" / books.ISSUE).unlink()
    capsys.readouterr()
    assert issue(tmp_path) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"{tmp_path / 'book' / '0001'}/issue.csv: is not there; ")


def test_a_file_of_an_issue_that_is_lost_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started(tmp_path)
    assert issue(tmp_path) == 0
    (tmp_path / "book" / "0001" / books.TAXES).unlink()
    capsys.readouterr()
    assert issue(tmp_path) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"{tmp_path / 'book' / '0001'}/document_taxes.csv: cannot be read (No such file")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--date", "2027-02-02"], "--date 2027-02-02: util has issued on 2027-02-03 already"),
        (["--area", "a-1"], f"--month {MONTH}: zone z-1 was issued as a whole; leave --area out"),
        (["--issuer", "utile"], "--issuer 'utile': is no organisation of this ledger"),
        (["--month", "2027-05"], "--month 2027-05: the ledger has no settled slot of it"),
        (["--month", "may"], "--month 'may': write YYYY-MM"),
    ],
)
def test_an_issue_that_cannot_be_is_one_line_and_leaves_the_book_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str
) -> None:
    started(tmp_path)
    assert issue(tmp_path) == 0
    capsys.readouterr()
    assert issue(tmp_path, *more) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(words)
    assert [path.name for path in (tmp_path / "book").glob("[0-9]*")] == ["0001"]


def test_a_month_that_is_not_complete_is_issued_only_on_demand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started(tmp_path)
    assert issue(tmp_path, so_far=False) == 2
    assert "slots are settled; issue it when the rest is, or what there is with --so-far" in capsys.readouterr().err
    assert not (tmp_path / "book").exists()


def test_a_book_goes_on_with_its_own_ledger_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started(tmp_path)
    assert issue(tmp_path) == 0
    other = tmp_path / "other"
    with ledger_with(other / "ledger", world_with_balance("grid"), []):
        pass
    (tmp_path / "book").rename(other / "book")
    capsys.readouterr()
    assert issue(other, "--area", "a-1") == 2
    assert "; the book " in capsys.readouterr().err


def test_balances_are_issued_with_the_documents_of_parties(tmp_path: Path) -> None:
    of = world_with_balance("grid", "east")
    with ledger_with(tmp_path / "ledger", of, blocks_of(of, late=[ENDS[0][2]])):
        pass
    assert issue(tmp_path, "--area", "a-1") == 0
    found = {(row["party"], row["subject"]): row for row in issued(tmp_path, books.DOCUMENTS)}
    assert found.keys() == {("east", "balance"), ("grid", "balance"), ("p-1", "energy")}
    assert found["east", "balance"]["net"] == str(900 * 600_000 // QUANTUM_NANO)
    assert {(row["line_kind"], row["account"]) for row in issued(tmp_path, books.LINES)} >= {
        ("shortfall", "a-1/imbalance"),
        ("loss", "a-1/losses"),
    }
    replay = ["settle", "replay", "--data", str(tmp_path / "ledger"), "--book", str(tmp_path / "book")]
    assert main(replay) == 0
    for row in issued(tmp_path, books.LINES):
        line = derive_issued_line(tmp_path / "ledger", tmp_path / "book", row["number"], row["line_kind"], None)
        assert line.holds, row


def test_a_ledger_of_files_is_issued_too_and_newer_files_become_further_documents(tmp_path: Path) -> None:
    make_folder(tmp_path / "in", BILLED)
    out = tmp_path / "out"
    assert main(["settle", "files", str(tmp_path / "in"), "--out", str(out)]) == 0
    command = ["settle", "issue", "--data", str(out / "ledger"), "--book", str(tmp_path / "book"), "--month", "2025-06"]
    command += ["--issuer", "operator", "--date", "2025-07-03", "--so-far"]
    assert main(command) == 0
    newer = {**BILLED, "readings.csv": "start,point,import_kwh,export_kwh\n2025-06-30T21:00:00Z,P1,1.9,0\n"}
    make_folder(tmp_path / "newer", newer)
    assert main(["settle", "files", str(tmp_path / "newer"), "--onto", str(out)]) == 0
    assert main(command) == 0
    later = rows(tmp_path / "book" / "0002", books.DOCUMENTS)
    assert {(row["party"], row["subject"]) for row in later} >= {("anna", "energy"), ("east", "balance")}
    owed = gross(rows(out, "invoices.csv"))
    for party, quanta in gross(rows(out, "balance_invoices.csv")).items():
        owed[party] = owed.get(party, 0) + quanta
    assert gross(issued(tmp_path, books.DOCUMENTS)) == {party: quanta for party, quanta in owed.items() if quanta}


@pytest.mark.parametrize(
    ("limit", "words"),
    [("ISSUES_MAX", "has 1 issues, and takes no more"), ("NUMBERS_MAX", "util has 2 documents in 2027"), ("DOCUMENTS_MAX", "a book has at most 1")],
)  # fmt: skip
def test_at_a_limit_of_a_book_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, limit: str, words: str
) -> None:
    sender = started(tmp_path)
    monkeypatch.setattr(books, "NUMBERS_MAX", 2)
    assert issue(tmp_path) == 0
    goes_on(tmp_path, late_reading(sender, 700))
    monkeypatch.setattr(making, "ISSUES_MAX", 1 if limit == "ISSUES_MAX" else 9)
    monkeypatch.setattr(books, "DOCUMENTS_MAX", 1 if limit == "DOCUMENTS_MAX" else 9)
    capsys.readouterr()
    assert issue(tmp_path) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert words in told


def test_a_call_that_another_one_overtakes_gives_no_number_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one call reads its copy of the ledger, another one has issued from another copy."""
    started(tmp_path)
    assert issue(tmp_path) == 0
    (tmp_path / "book").rename(tmp_path / "aside")
    whole = making.made_rows

    def meanwhile(*args: object) -> object:
        (tmp_path / "aside").rename(tmp_path / "book")
        return whole(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(making, "made_rows", meanwhile)
    capsys.readouterr()
    assert issue(tmp_path) == 2
    assert "another call has issued meanwhile; call again" in capsys.readouterr().err
    numbers = [row["number"] for row in issued(tmp_path, books.DOCUMENTS)]
    assert numbers == ["util-2027-000001", "util-2027-000002"]
