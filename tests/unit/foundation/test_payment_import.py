"""``gridledger payment import``: a bank's file is recorded as a whole, each movement once; what is wrong in a row is one line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.commands import payment
from gridledger.paying import recording, rows
from gridledger.paying.rows import nano_of, read_bank_file
from tests.unit.foundation.test_dispute_command import acting
from tests.worlds.consortium import FIRST_S
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.two_areas import one_settled_slot

HEAD = "date,reference,point,party,amount,ground\n"
GOOD = (
    "2027-01-01,bank 17,P-1,p-1,12.5,\n"
    "2027-01-01,bank 18,P-2,p-2,-3.00,\n"
    "2027-01-02,letter 4,P-1,p-1,1,written_off\n"
    "2027-01-02,bank 17,P-5,q-1,12.5,received\n"
)
"""The last one has the reference of the first, for another point: one transfer for two of them."""


def file_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "bank.csv"
    path.write_text(HEAD + text)
    return path


async def run(*words: str) -> int:
    return await asyncio.to_thread(main, ["payment", *words])


async def test_a_file_is_recorded_once_however_often_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUSH", "hush")
    async with running_node(tmp_path / "ledger") as node:
        await submit_all(node.client(), one_settled_slot(node.sender()))
        utility = acting(tmp_path, node.url, "util")
        command = ["import", "--movements", str(file_of(tmp_path, GOOD)), *utility, "--json"]
        assert await run(*command, "--check") == 0
        assert json.loads(capsys.readouterr().out)["open"] == 4
        assert await run(*command) == 0
        first = json.loads(capsys.readouterr().out)
        assert (first["recorded"], first["known"], first["refused"]) == (4, 0, [])
        assert first["amount_nano"] == (12_500 - 3_000 + 1_000 + 12_500) * 10**6
        assert await run(*command) == 0
        again = json.loads(capsys.readouterr().out)
        assert (again["recorded"], again["known"]) == (0, 4)
        more = file_of(tmp_path, GOOD + "2027-01-02,bank 19,P-2,p-2,7,\n")
        assert await run("import", "--movements", str(more), *utility) == 0
        assert "1 movements recorded, 4 recorded before, 0 refused" in capsys.readouterr().out
        assert await run("list", "--party", "p-2", *utility, "--json") == 0
        listed = json.loads(capsys.readouterr().out)["payments"]
        assert [(one["ground"], one["amount_nano"]) for one in listed] == [("paid_out", 3 * 10**9), ("received", 7 * 10**9)]  # fmt: skip


async def test_nothing_of_a_file_is_recorded_where_one_row_is_wrong_and_each_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUSH", "hush")
    wrong = (
        "2027-01-01,a,P-9,p-1,1,\n"
        "2027-01-01,b,P-1,p-9,1,\n"
        "2027-01-01,c,P-1,p-2,1,\n"
        "2027-01-01,bank 17,P-1,p-1,99,\n"
        '2027-01-01,d,P-1,p-1,"1,50",\n'
    )
    async with running_node(tmp_path / "ledger") as node:
        await submit_all(node.client(), one_settled_slot(node.sender()))
        utility = acting(tmp_path, node.url, "util")
        assert await run("import", "--movements", str(file_of(tmp_path, GOOD.splitlines()[0] + "\n")), *utility) == 0
        capsys.readouterr()
        mixed = file_of(tmp_path, "2027-01-02,bank 20,P-2,p-2,7,\n" + wrong)
        assert await run("import", "--movements", str(mixed), *utility) == 2
        said = capsys.readouterr()
        assert said.out.splitlines() == ["1 movements to record, 0 recorded before, 5 rows at fault; nothing was sent"]
        assert said.err.splitlines() == [
            "bank.csv, row 3: point: P-9 is not registered",
            "bank.csv, row 4: party: p-9 is not registered",
            "bank.csv, row 5: party: P-1 was never billed to p-2, but to p-1",
            "bank.csv, row 6: received with this reference is recorded for P-1 in block 7 with another amount or party",
            "bank.csv, row 7: amount: '1,50' is no amount; give one above 0 and up to 1000000, with at most 9 places, such as 50.00",
        ]
        assert await run("list", "--party", "p-2", *utility, "--json") == 0
        assert json.loads(capsys.readouterr().out)["payments"] == []
        household = acting(tmp_path, node.url, "p-1")
        assert await run("import", "--movements", str(file_of(tmp_path, GOOD)), *household) != 0
        assert len(capsys.readouterr().err.splitlines()) == 1


async def test_what_a_point_takes_in_a_day_is_known_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUSH", "hush")
    many = [f"2027-01-01,line {place},P-1,p-1,1,\n" for place in range(recording.OF_DAY_MAX + 1)]
    async with running_node(tmp_path / "ledger") as node:
        await submit_all(node.client(), one_settled_slot(node.sender()))
        utility = acting(tmp_path, node.url, "util")
        assert await run("import", "--movements", str(file_of(tmp_path, "".join(many))), *utility) == 2
        assert capsys.readouterr().err.splitlines() == [
            f"bank.csv, row {recording.OF_DAY_MAX + 2}: P-1 takes 16 payments a day, and this is one more: import it tomorrow, or join some"
        ]
        assert await run("import", "--movements", str(file_of(tmp_path, "".join(many[1:]))), *utility) == 0
        capsys.readouterr()
        assert await run("import", "--movements", str(file_of(tmp_path, many[0])), *utility) == 2
        assert "P-1 takes 16 payments a day" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------------- the file alone


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2027-13-01,a,P-1,p-1,1,", "date: '2027-13-01' is no day; write YYYY-MM-DD, as 2026-07-01"),
        ("01.02.2027,a,P-1,p-1,1,", "date: '01.02.2027' is no day"),
        ("2027-02-09,a,P-1,p-1,1,", "date: 2027-02-09 is behind ledger time, 2027-01-"),
        ("2027-01-01,,P-1,p-1,1,", "reference: give 1 to 200 characters"),
        (f"2027-01-01,{'a' * 201},P-1,p-1,1,", "reference: give 1 to 200 characters"),
        ("2027-01-01,a,P 1,p-1,1,", "point: holds no name of the registry"),
        ("2027-01-01,a,P-1,Anna Muster,1,", "party: holds no name of the registry, such as P-H001"),
        ("2027-01-01,bank 17 ,P-1,p-1,1,", "reference: begins or ends with a space"),
        ("2027-01-01,a,P-1,,1,", "party: holds no name of the registry"),
        ("2027-01-01,a,P-1,p-1,0,", "amount: '0' is no amount"),
        ("2027-01-01,a,P-1,p-1,--1,", "amount: '--1' is no amount"),
        ("2027-01-01,a,P-1,p-1,1,recieved", "ground: 'recieved' is none; did you mean 'received'?"),
        ("2027-01-01,a,P-1,p-1,-1,received", "amount: is below 0 and ground says received; leave ground empty"),
    ],
)
def test_a_wrong_row_is_named_with_its_column(tmp_path: Path, row: str, words: str) -> None:
    file = read_bank_file(file_of(tmp_path, f"{GOOD}{row}\n"), FIRST_S + 2 * 86_400)
    ((number, said),) = file.faults
    assert number == 6
    assert said.startswith(words)
    assert len(file.movements) == 4


def test_a_movement_that_stands_twice_in_a_file_is_named_with_its_first_row(tmp_path: Path) -> None:
    file = read_bank_file(file_of(tmp_path, GOOD + "2027-01-02,bank 17,P-1,p-1,99,\n"), FIRST_S + 2 * 86_400)
    assert [fault.number for fault in file.faults] == [6]
    assert file.faults[0].words.startswith("is the movement of row 2 once more")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no row"),
        ("date,reference,point,party\n1,2,3,4\n", "bank.csv, row 1: has no column 'amount'"),
        (HEAD.replace("ground", "grond"), "grond"),
    ],
)
def test_a_file_that_is_no_table_of_movements_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bank.csv"
    path.write_text(text or HEAD)
    with pytest.raises(UsageError) as error:
        read_bank_file(path, FIRST_S)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_at_its_limit_is_read_and_one_row_more_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "ROWS_MAX", 4)
    assert len(read_bank_file(file_of(tmp_path, GOOD), FIRST_S + 2 * 86_400).movements) == 4
    with pytest.raises(UsageError, match="holds more than 4 rows; import it in parts"):
        read_bank_file(file_of(tmp_path, GOOD + "2027-01-02,bank 21,P-1,p-1,99,\n"), FIRST_S + 2 * 86_400)


def test_faults_beyond_those_that_are_shown_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    faults = [rows.RowFault(number, "is wrong") for number in range(2, payment.FAULTS_SHOWN_MAX + 4)]
    payment._say_faults("bank.csv", faults)
    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (51, "bank.csv, row 2: is wrong", "bank.csv: and 2 more rows")


@given(st.integers(1, 10**15))
def test_every_amount_that_a_payment_can_have_is_read_as_it_is_written(nano: int) -> None:
    units, rest = divmod(nano, 10**9)
    assert nano_of(f"{units}.{rest:09}") == nano
    assert nano_of(f"{units}.{rest:09}0") is None


def numbers(found: Sequence[rows.Movement]) -> list[int]:
    return [one.number for one in found]


def test_a_negative_amount_without_a_ground_is_paid_out_and_a_positive_one_received(tmp_path: Path) -> None:
    file = read_bank_file(file_of(tmp_path, GOOD), FIRST_S + 2 * 86_400)
    assert [one.ground for one in file.movements] == ["received", "paid_out", "written_off", "received"]
    assert numbers(file.movements) == [2, 3, 4, 5]
