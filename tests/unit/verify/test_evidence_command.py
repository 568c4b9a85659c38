"""``gridledger evidence export``: from a data directory at rest and from a running node; each mistake in one line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gridcore import verify
from gridcore.sm.keystore import encode_private_key
from gridledger.cli import main
from ledger.trust import trust_of
from tests.worlds.consortium import FIRST_S
from tests.worlds.keys import key
from tests.worlds.ledgers import ledger_with
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

LINE = ["--party", "p-1", "--slot", str(FIRST_S), "--line", "trade_buy"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's data directory with one settled slot, and the chain's trust root."""
    folder = tmp_path_factory.mktemp("evidence")
    with ledger_with(folder / "ledger", TWO_AREAS, one_settled_slot(TWO_AREAS.sender())):
        (folder / "trust.json").write_text(json.dumps(trust_of(TWO_AREAS.genesis)))
    return folder


def check(folder: Path, bundle: Path, book: Path) -> None:
    """Bundle and book are verified."""
    verdict = verify.verify_files(bundle, folder / "trust.json", book)
    assert verdict.answer == verify.VERIFIED, verdict.reason
    assert "trade_buy" in [line["line_kind"] for line in verdict.facts["lines"]]


def test_a_line_is_exported_from_a_data_directory(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, book = tmp_path / "line.evd", tmp_path / "slot.book"
    status = main(
        ["evidence", "export", "--data", str(folder / "ledger"), *LINE, "--out", str(out), "--book", str(book)]
    )
    assert status == 0
    assert "gridledger verify" in capsys.readouterr().out
    check(folder, out, book)


async def test_a_line_is_exported_from_a_running_node(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key.pem").write_bytes(encode_private_key(key("util"), b"hush", iterations=1_024))
    monkeypatch.setenv("HUSH", "hush")
    out, book = tmp_path / "line.evd", tmp_path / "slot.book"
    async with running_node(tmp_path / "ledger") as node:
        await submit_all(node.client(), one_settled_slot(node.sender()))
        source = ["--url", node.url, "--signer", "util", "--key", f"file:{tmp_path}/key.pem", "--password", "env:HUSH"]
        arguments = ["evidence", "export", *source, *LINE, "--out", str(out), "--book", str(book), "--json"]
        assert await asyncio.to_thread(main, arguments) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == out.stat().st_size
    check(folder, out, book)


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"--line": "gift"}, 2, "is no kind of line"),
        ({"--line": "trade_sell"}, 1, "p-1 has no line trade_sell"),
        ({"--party": "nobody"}, 1, "none of that name"),
        ({"--slot": str(FIRST_S + 1)}, 1, "no run"),
        ({"--slot": "noon"}, 2, "whole number"),
        ({"--data": "absent"}, 2, "no such directory"),
        ({"--out": "absent/line.evd"}, 2, "No such file or directory"),
        ({"--book": "absent/slot.book"}, 2, "No such file or directory"),
    ],
)
def test_each_mistake_is_one_line(
    folder: Path, tmp_path: Path, changes: dict[str, str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {
        "--data": str(folder / "ledger"),
        "--out": str(tmp_path / "x.evd"),
        **dict(zip(LINE[::2], LINE[1::2], strict=True)),
    }
    words = [word for pair in (values | changes).items() for word in pair]
    assert main(["evidence", "export", *words]) == status
    output = capsys.readouterr()
    assert (said in output.err, output.err.count("\n")) == (True, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_node_is_only_asked_with_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "x.evd")]
    assert main(["evidence", "export", "--url", "http://127.0.0.1:1", *LINE, *out]) == 2
    assert "--signer, --key and --password" in capsys.readouterr().err
    with_key = ["--signer", "util", "--key", "pkcs11:1", "--password", "env:X"]
    assert main(["evidence", "export", "--url", "http://127.0.0.1:1", *with_key, *LINE, *out]) == 2
    assert "file:PATH" in capsys.readouterr().err
