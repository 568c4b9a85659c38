"""The lines between validators: a cut one holds what is on its way, and only lines between the two sides are cut."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from gridcore.errors import GridError
from gridcore.serving.ports import HOST, free_port
from gridledger.demo import field
from gridledger.demo.field import Field
from gridledger.demo.nodes import NodePlace, engine_home, place_nodes
from gridledger.demo.peer_lines import PeerLine, PeerLines, peer_lines_of
from ledger.engines.cometbft.home import HomeConfig, make_keys, write_home
from simulators.scenarios.schema import Consortium

if TYPE_CHECKING:
    from gridledger.demo.scene import Scene

WHILE_S = 0.2
"""So long nothing comes over a line that is cut."""


async def test_what_is_sent_over_a_cut_line_arrives_when_it_is_there_again_and_a_new_connection_waits() -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            heard.put_nowait(data)
        writer.close()

    peer = await asyncio.start_server(listen, HOST, 0)
    line = PeerLine("a", "b", port := free_port(), peer.sockets[0].getsockname()[1])
    await line.start()
    _, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"before")
    assert await asyncio.wait_for(heard.get(), 5) == b"before"
    line.set_cut(True)
    writer.write(b"vote")
    _, later = await asyncio.open_connection(HOST, port)
    later.write(b"hello")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(heard.get(), WHILE_S)
    line.set_cut(False)
    assert sorted([await asyncio.wait_for(heard.get(), 5) for _ in range(2)]) == [b"hello", b"vote"]
    await line.close()
    peer.close()
    writer.close()
    later.close()


def test_a_partition_cuts_the_lines_between_its_sides_and_no_other() -> None:
    names = ("node", "node-2", "node-3", "node-4")
    pairs = [(caller, called) for caller in names for called in names if caller != called]
    lines = [PeerLine(*pair, 0, 0) for pair in pairs]
    PeerLines(lines).cut_off(("node-3", "node-4"))
    held = {frozenset(pair) for pair, line in zip(pairs, lines, strict=True) if line.is_cut}
    assert held == {frozenset({one, other}) for one in names[:2] for other in names[2:]}
    PeerLines(lines).cut_off(())
    assert [line.is_cut for line in lines] == [False] * 12


def lay_out(run_dir: Path, *, has_lines: bool) -> tuple[NodePlace, ...]:
    """Three nodes, and the homes of their engines; ``has_lines``: which call each other elsewhere than where they listen."""
    places = place_nodes(run_dir, Consortium(3), lambda _: 0)
    keys = {place.name: make_keys(engine_home(run_dir, place.name)) for place in places}
    ports = {place.name: free_port() for place in places}
    for place in places:
        peers = [
            f"{keys[name].node_id}@{HOST}:{free_port() if has_lines else ports[name]}"
            for name in keys
            if name != place.name
        ]
        config = HomeConfig(place.name, run_dir / "abci.sock", 1, HOST, ports[place.name], peers)
        write_home(engine_home(run_dir, place.name), b"{}", config)
    return places


async def test_lines_are_those_that_the_engines_configurations_lead_over(tmp_path: Path) -> None:
    for name in ("with", "without", "alone"):
        (tmp_path / name).mkdir()
    async with peer_lines_of(tmp_path / "with", lay_out(tmp_path / "with", has_lines=True)) as lines:
        assert sorted(sorted(line.ends) for line in lines.lines) == sorted(
            2 * [["node", "node-2"], ["node", "node-3"], ["node-2", "node-3"]]
        )
        with pytest.raises(OSError, match="address already in use"):
            await lines.lines[0].start()
    for name in ("without", "alone"):
        is_alone = name == "alone"
        places = place_nodes(tmp_path, None, lambda _: 0) if is_alone else lay_out(tmp_path / name, has_lines=False)
        async with peer_lines_of(tmp_path / name, places) as lines:
            assert lines.lines == ()


def heights_of(monkeypatch: pytest.MonkeyPatch, *heights: int) -> Field:
    """A field whose nodes say these heights, one behind the other; nothing is waited for."""
    told = iter(heights)

    async def height(_: Field, __: str) -> int:
        return next(told)

    monkeypatch.setattr(Field, "_height", height)
    monkeypatch.setattr(field, "UNDERWAY_S", 0)
    monkeypatch.setattr(field, "STANDS_S", 0)
    made = object.__new__(Field)
    made._scene = cast("Scene", SimpleNamespace(nodes=[SimpleNamespace(name="node"), SimpleNamespace(name="node-2")]))
    made._lines = PeerLines([PeerLine("node", "node-2", 0, 0)])
    return made


async def test_a_block_that_is_made_where_none_can_be_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    stands = heights_of(monkeypatch, 7, 6, 7, 6)
    await stands._stand(frozenset({"node-2"}))
    assert [line.is_cut for line in stands._lines.lines] == [False]
    with pytest.raises(GridError, match=r"node-2 are cut off, and blocks are made: from \[7, 6\] to \[8, 6\]"):
        await heights_of(monkeypatch, 7, 6, 8, 6)._stand(frozenset({"node-2"}))


async def test_a_node_that_is_cut_off_and_has_the_newest_block_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    await heights_of(monkeypatch, 7, 6)._check_left_behind(["node-2"])
    await heights_of(monkeypatch, 7)._check_left_behind([])
    with pytest.raises(GridError, match="node-2 is cut off and has come to height 7; the others are at 7"):
        await heights_of(monkeypatch, 7, 7)._check_left_behind(["node-2"])
