"""Who did what: registrations, epochs and steps of the clock with the organisation behind each, also after pruning."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gridcore.master_data import Named
from gridcore.registry.signer import SIGNER, Signer
from gridcore.sm.keystore import ITERATIONS_MIN, encode_private_key
from gridcore.transactions.open_epoch import OpenEpoch
from gridledger.cli import main
from ledger.client import NodeRefused
from ledger.http.queries import audit
from tests.worlds.consortium import FIRST_S, START_S, UTILITY
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node
from tests.worlds.two_areas import TWO_AREAS

PASSWORD = "correct horse"


async def act(node: RunningNode) -> None:
    """A new key for p-1, the same once more for somebody who may not say so, an epoch, a step of the clock, and a batch."""
    sender = node.sender()
    row = Named(SIGNER, "p-1", Signer(UTILITY, key("p-1+1").public_key, ["prosumer"]), START_S + 60)
    epoch = OpenEpoch(
        client_id=bytes(16), valid_until_s=START_S + 60, gateway="gw-2", epoch=2, reason="storage replaced"
    )
    for wire in (
        sender.register(list(row.rows())),
        sender.signed("reg", epoch),
        sender.signed("util", epoch),
        sender.clock(START_S + 10),
        sender.batch("gw-1", FIRST_S - 86_400 - 900, [(1, 0, 0)]),
    ):
        await node.client().submit([wire])


async def test_acts_are_told_with_who_is_behind_them_and_what_they_say(tmp_path: Path) -> None:
    async with running_node(tmp_path, TWO_AREAS) as node:
        await act(node)
        told = await node.client("reg").query("audit")
        assert [(one["kind"], one["name"], one["organisation"], one["signer"]) for one in told["acts"]] == [
            ("registry/register", "ACCEPTED", "util", "admin"),
            ("metering/open_epoch", "ACCEPTED", "util", "util"),
            ("clock/advance", "ACCEPTED", "util", "clock"),
        ]
        assert told["acts"][0]["what"] == {"rows": [{"key": "signer/p-1", "from_s": START_S + 60}]}
        assert told["acts"][1]["what"]["reason"] == "storage replaced"
        assert (await node.client("reg").query("audit", organisation="nobody"))["acts"] == []
        after = told["acts"][0]["height"]
        assert len((await node.client("reg").query("audit", after_height=after))["acts"]) == 2
        with pytest.raises(NodeRefused, match="this is for"):
            await node.client("p-1").query("audit")


async def test_the_command_reads_page_after_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "ACTS_MAX", 1)
    (tmp_path / "reg.pem").write_bytes(encode_private_key(key("reg"), PASSWORD.encode(), iterations=ITERATIONS_MIN))
    (tmp_path / "reg.password").write_text(PASSWORD)
    (tmp_path / "reg.password").chmod(0o600)
    async with running_node(tmp_path / "ledger", TWO_AREAS) as node:
        await act(node)
        words = ["node", "audit", "--url", node.url, "--signer", "reg", "--key", f"file:{tmp_path / 'reg.pem'}"]
        words += ["--password", f"file:{tmp_path / 'reg.password'}"]
        assert await asyncio.to_thread(main, [*words, "--json"]) == 0
        assert [one["kind"].partition("/")[0] for one in json.loads(capsys.readouterr().out)["acts"]] == [
            "registry",
            "metering",
            "clock",
        ]
        assert await asyncio.to_thread(main, words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert 'util/util metering/open_epoch ACCEPTED epoch=2, gateway="gw-2", reason="storage replaced"' in lines[1]
