"""Validators at the end of a run: one that has another state, or none, is a line that names it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self, cast

import pytest

from gridcore.errors import GridError
from gridledger.demo import agreeing
from gridledger.demo.nodes import NodePlace
from gridledger.demo.scene import Scene
from ledger.client import NodeStatus

HEIGHT = 9
PLACES = tuple(NodePlace(name, Path(name), f"http://127.0.0.1:{port}") for port, name in enumerate(("node", "node-2")))
FIRST = cast("NodeStatus", SimpleNamespace(height=HEIGHT, state_root=b"\x01" * 32))


class Node:
    """A node behind the client's interface: two blocks behind at first."""

    state_root = "01" * 32
    is_stuck = False
    queries: ClassVar[list[str]] = []

    def __init__(self, url: str, **_: object) -> None:
        assert url == PLACES[1].url
        self.height = HEIGHT - 2

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    async def status(self) -> object:
        self.height += not self.is_stuck
        return SimpleNamespace(height=self.height)

    async def query(self, path: str) -> dict[str, Any]:
        self.queries.append(path)
        assert self.height >= HEIGHT
        return {"state_root": self.state_root}


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Two nodes."""
    monkeypatch.setattr(agreeing, "Client", Node)
    Node.queries.clear()
    monkeypatch.setattr(agreeing, "RETRY_PAUSE_S", 0.0)
    monkeypatch.setattr(agreeing, "PATIENCE_S", 0.2)
    keys = {"utility": None}
    return cast("Scene", SimpleNamespace(nodes=PLACES, chain="c", keys=keys, run_dir=Path("run")))


async def test_a_node_that_comes_to_the_same_state_is_waited_for(scene: Scene) -> None:
    await agreeing.check_same_state(scene, FIRST)
    assert Node.queries == [f"blocks/{HEIGHT}"]


async def test_another_state_root_is_one_line(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Node, "state_root", "02" * 32)
    with pytest.raises(
        GridError, match=f"the nodes differ at height 9: node-2 has the state root {'02' * 32}, node 0101"
    ):
        await agreeing.check_same_state(scene, FIRST)


async def test_a_node_that_stays_behind_is_one_line(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Node, "is_stuck", True)
    with pytest.raises(GridError, match="node-2 has not come to height 9"):
        await agreeing.check_same_state(scene, FIRST)
