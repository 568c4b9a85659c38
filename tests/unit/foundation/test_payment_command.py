"""``gridledger payment``: recorded and listed on a running node; each mistake in one line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gridledger.cli import main
from tests.unit.foundation.test_dispute_command import acting
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.two_areas import one_settled_slot

SAID = ["--point", "P-1", "--party", "p-1", "--ground", "received"]


async def test_a_utility_records_a_payment_once_and_the_party_lists_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUSH", "hush")

    async def run(*words: str) -> int:
        return await asyncio.to_thread(main, ["payment", *words])

    async with running_node(tmp_path / "ledger") as node:
        await submit_all(node.client(), one_settled_slot(node.sender()))
        household, utility = (acting(tmp_path, node.url, name) for name in ("p-1", "util"))
        record = ["record", *SAID, "--amount", "12.5", "--reference", "bank line 17"]
        assert await run("list", "--party", "p-1", *household) == 0
        assert capsys.readouterr().out == "no payments\n"
        assert await run(*record, *utility) == 0
        assert "received 12.50 for P-1 of p-1: stands in block" in capsys.readouterr().out
        assert await run(*record, *utility) == 1
        assert "98 PAID_ALREADY: a payment of this ground and reference" in capsys.readouterr().out
        assert await run(*record, *household) == 1
        assert "15 NOT_PERMITTED: a utility of the party's organisation" in capsys.readouterr().out
        assert await run("list", "--party", "p-1", *household, "--json") == 0
        (paid,) = json.loads(capsys.readouterr().out)["payments"]
        assert (paid["amount_nano"], paid["ground"], paid["point"]) == (12_500_000_000, "received", "P-1")
        assert await run("list", "--party", "p-1", *utility) == 0
        assert "12.50  P-1  block" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("amount", "reference", "said"),
    [
        ("0", "x", "'0' is no amount; give an amount above 0 and up to 1000000"),
        ("-5", "x", "'-5' is no amount"),
        ("1000000.000000001", "x", "is no amount"),
        ("1,50", "x", "'1,50' is no amount"),
        ("1.0000000001", "x", "with at most 9 places"),
        ("1", 201 * "x", "give 1 to 200 characters that name the movement"),
        ("1", "a\nb", "give 1 to 200 characters that name the movement"),
    ],
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], amount: str, reference: str, said: str) -> None:
    who = ["--url", "http://127.0.0.1:1", "--signer", "util", "--key", "file:none", "--password", "env:HUSH"]
    assert main(["payment", "record", *SAID, f"--amount={amount}", f"--reference={reference}", *who]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
