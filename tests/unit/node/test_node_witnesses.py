"""Gateways as witnesses: a header that one holds a receipt of, and that the node does not have, is an alarm for both."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from gridcore.envelope import decode_transaction, encode_transaction
from gridcore.transactions.reading_batch import VerifiedHeader
from tests.worlds.consortium import FIRST_S
from tests.worlds.nodes import RunningNode, running_node

HELD = "gateway_has_receipt_of_another_history"


async def alarms(node: RunningNode) -> tuple[int, int, bool]:
    """What status, readiness and metrics say."""
    async with httpx.AsyncClient(trust_env=False) as http:
        ready = (await http.get(f"{node.url}/readyz")).json()
        metrics = (await http.get(f"{node.url}/metrics")).text
    disputed_by = (await node.client().status()).disputed_by
    return disputed_by, ready["disputed_by"], f"gridledger_node_disputed_by {disputed_by}\n" in metrics


@pytest.mark.parametrize("height", [0, 1, 2, 3, 1 << 62, -1])
async def test_a_header_that_is_not_in_the_nodes_history_raises_the_alarm_once_and_the_batch_is_taken(
    tmp_path: Path, height: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        sender, client = node.sender(), node.client("gw-1")
        await client.submit([sender.clock(FIRST_S)])
        await client.submit([sender.clock(FIRST_S + 1)])
        for _ in range(2):
            batch = sender.batch(
                "gw-1", FIRST_S, [(1, 100, 0)], receipt=VerifiedHeader(height, b"another header of 32 bytes......")
            )
            (answer,) = await client.submit([batch])
            assert (answer.name, answer.other_history) == ("ACCEPTED", True)
            assert await alarms(node) == (1, 1, True)
    assert capsys.readouterr().err.count(HELD) == 1


async def test_headers_of_the_nodes_own_history_are_no_alarm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_node(tmp_path / "ledger") as node:
        sender, client = node.sender(), node.client("gw-1")
        await client.submit([sender.clock(FIRST_S)])
        for height in (0, 1, 1, 2):
            receipt = VerifiedHeader(height, node.ledger.digest(height))
            (answer,) = await client.submit([sender.batch("gw-1", FIRST_S, [(1, 100, 0)], receipt=receipt)])
            assert (answer.name, answer.other_history) == ("ACCEPTED", False)
        assert await alarms(node) == (0, 0, True)
    assert HELD not in capsys.readouterr().err


async def test_a_forged_batch_raises_no_alarm(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        wire = node.sender().batch("gw-1", FIRST_S, [(1, 100, 0)], receipt=VerifiedHeader(7, bytes(32)))
        batch = decode_transaction(wire)
        forged = encode_transaction(batch.signed, bytes(64), batch.attachment)
        (answer,) = await node.client().submit([forged])
        assert answer.name == "WRONG_SIGNATURE"
        assert not answer.other_history
        assert await alarms(node) == (0, 0, True)
