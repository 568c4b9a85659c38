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


@pytest.mark.parametrize(
    ("words", "said"),
    [
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
