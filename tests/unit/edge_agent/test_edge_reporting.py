"""Reports of a gateway to its nodes go on, whatever a node or the key does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from edge.nodes import Nodes
from edge.reporting import follow_facts
from gridcore.errors import GridError
from gridcore.gateway_report import GatewayReport
from gridcore.sm import SignerError
from ledger.client import Client, NodeUnreachable
from tests.unit.edge_agent.edge_world import GATEWAY
from tests.unit.edge_agent.test_edge_status_page import told_by_an_agent
from tests.waiting import until


class Node:
    """A node that takes reports, unless something stands in the way of the first ones."""

    url = "http://192.0.2.1:8470"

    def __init__(self, troubles: Iterator[GridError]) -> None:
        self.taken: list[GatewayReport] = []
        self._troubles = troubles

    async def query_about(self, _path: str, body: bytes) -> Any:
        for trouble in self._troubles:
            raise trouble
        self.taken.append(GatewayReport.decode(body))


class AtOnce(random.Random):
    """No pause between two reports."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0 * (a + b)


@pytest.mark.parametrize("trouble", [SignerError("the token is not there"), NodeUnreachable("no node answers there")])
async def test_reports_go_on_after_the_key_or_the_node_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: GridError
) -> None:
    told = await told_by_an_agent(tmp_path)
    monkeypatch.setattr(random, "SystemRandom", AtOnce)
    node = Node(iter([trouble, trouble]))
    nodes = Nodes([cast(Client, node)])
    following = asyncio.create_task(follow_facts(nodes, GATEWAY, lambda: told, 1))
    await until(lambda: following.done() or node.taken)
    assert not following.done()
    assert node.taken[0].meters == 3
    following.cancel()
    await asyncio.wait({following})
