"""``gridledger dispute``: contested, answered and decided on a running node; each mistake in one line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gridcore.sm.keystore import encode_private_key
from gridledger.cli import main
from tests.worlds.consortium import FIRST_S
from tests.worlds.keys import key
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.tariffed import MONTH, TARIFFED, first_slots
from tests.worlds.two_areas import one_settled_slot


def acting(folder: Path, url: str, name: str) -> list[str]:
    """Arguments of who acts."""
    path = folder / f"{name}.pem"
    if not path.exists():
        path.write_bytes(encode_private_key(key(name), b"hush", iterations=1_024))
    return ["--url", url, "--signer", name, "--key", f"file:{path}", "--password", "env:HUSH"]


async def test_a_household_contests_the_utility_rejects_and_the_regulator_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUSH", "hush")
    letter = tmp_path / "letter.txt"
    letter.write_text("The meter was exchanged at noon.")
    said = ["--statement", str(letter)]

    async def run(*words: str) -> int:
        return await asyncio.to_thread(main, ["dispute", *words])

    async with running_node(tmp_path / "ledger") as node:
        await submit_all(node.client(), one_settled_slot(node.sender()))
        household, utility, regulator = (acting(tmp_path, node.url, name) for name in ("p-1", "util", "reg"))
        contest = ["open", "--point", "P-1", "--slot", str(FIRST_S), "--ground", "reading", *said, *household]
        assert await run(*contest, "--json") == 0
        dispute = json.loads(capsys.readouterr().out)["id"]
        assert await run(*contest) == 1
        assert "75 DISPUTED_ALREADY: an open dispute" in capsys.readouterr().out
        assert await run("decide", dispute, "--outcome", "upheld", *said, *regulator) == 1
        assert "78 NOT_ANSWERED_YET" in capsys.readouterr().out
        assert await run("answer", dispute, "--outcome", "rejected", *said, *utility) == 0
        assert await run("decide", dispute, "--outcome", "upheld", *said, *regulator) == 0
        capsys.readouterr()
        assert await run("list", *household) == 0
        assert f"{dispute}  upheld" in capsys.readouterr().out
        assert await run("list", "--open", *household) == 0
        assert capsys.readouterr().out == "no disputes\n"


async def test_a_household_contests_a_line_of_its_documents_by_the_amount_that_they_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUSH", "hush")
    letter = tmp_path / "letter.txt"
    letter.write_text("12 kW were never contracted.")
    said = ["--ground", "tariff", "--statement", str(letter)]

    async def run(*words: str) -> int:
        return await asyncio.to_thread(main, ["dispute", *words])

    async with running_node(tmp_path / "ledger", TARIFFED) as node:
        await submit_all(node.client(), first_slots(node.sender()))
        household, utility = (acting(tmp_path, node.url, name) for name in ("p-1", "util"))
        found = (await node.client("p-1").query(f"areas/a-1/months/{MONTH}/documents"))["documents"]
        quantum_nano = found[0]["quantum_nano"]
        (demand,) = [line["amount"] for line in found[0]["lines"] if line["line_kind"] == "demand"]
        assert await run("open", "--month", MONTH, "--line", "demand", *said, *household, "--json") == 0
        dispute = json.loads(capsys.readouterr().out)["id"]
        assert await run("open", "--month", MONTH, "--tax", *said, *household) == 0
        assert await run("open", "--month", MONTH, "--amount", "-3.5", *said, *household) == 0
        assert await run("open", "--month", MONTH, "--line", "demand", "--amount", "1", *said, *household) == 1
        assert "or of this line of the month" in capsys.readouterr().out
        assert await run("answer", dispute, "--outcome", "agreed", "--statement", str(letter), *utility) == 0
        capsys.readouterr()
        assert await run("list", *household, "--json") == 0
        shown = {(one["part"], one["line_kind"]): one for one in json.loads(capsys.readouterr().out)["disputes"]}
        assert shown["line", "demand"]["amount_nano"] == demand * quantum_nano
        assert shown["line", "demand"]["status"] == "agreed"
        assert shown["tax", ""]["amount_nano"] == found[0]["tax"] * quantum_nano
        assert shown["total", ""]["amount_nano"] == -3_500_000_000
        assert await run("list", *household) == 0
        assert f"p-1 {MONTH} demand, tariff, {demand * quantum_nano} nano frozen" in capsys.readouterr().out
        assert await run("open", "--month", MONTH, "--line", "demnd", *said, *household) == 2
        assert f"the documents of {MONTH} have no such line; they have" in capsys.readouterr().err
        assert await run("open", "--month", "2027-07", *said, *household) != 0
        assert "month 2027-07: area a-1 has no settled slot of it" in capsys.readouterr().err


OPEN = ["open", "--ground", "tariff", "--statement", "letter.txt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*OPEN, "--slot", "0"], "--point is missing: name --point and --slot, or --month"),
        ([*OPEN, "--point", "P-1"], "--slot is missing"),
        ([*OPEN, "--point", "P-1", "--slot", "0", "--tax"], "--tax is of a month's documents"),
        ([*OPEN, "--point", "P-1", "--slot", "0", "--amount", "1"], "--amount is of a month's documents"),
        ([*OPEN, "--month", "2027-01", "--run", "initial"], "--run is of a slot"),
        ([*OPEN, "--month", "2027-13"], "--month '2027-13': a month from 1970-01 to 9999-12, as 2026-07"),
        ([*OPEN, "--month", "2027-01", "--tax", "--line", "demand"], "--tax and --line: contest one of them"),
        (["withdraw", "xyz", "--statement", "letter.txt"], "a dispute's id has 64 hex digits"),
        (["withdraw", "ab" * 32, "--statement", "empty.txt"], "1 to 1048576 bytes of reasons"),
        (["withdraw", "ab" * 32, "--statement", "absent.txt"], "--statement absent.txt: No such file"),
    ],
)
async def test_a_mistake_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    monkeypatch.setenv("HUSH", "hush")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "letter.txt").write_text("x")
    (tmp_path / "empty.txt").write_text("")
    async with running_node(tmp_path / "ledger") as node:
        assert await asyncio.to_thread(main, ["dispute", *words, *acting(tmp_path, node.url, "p-1")]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
