"""``gridledger settle exceptions``: the worklist of the pages for scripts, with who works on what."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pytest

from gridcore.clock import WallClock
from gridcore.quality import MEASURED
from gridcore.sm import SigningKey
from gridcore.verify import Trust
from gridledger import serving
from gridledger.cli import main
from gridledger.serving import KeyConfig, Parts, ServeConfig
from gridseries.config import SeriesConfig
from gridseries.embedded import EmbeddedSeries
from gridseries.series import INTERVALS, Cursor
from gridweb.config import WebConfig
from gridweb.database import open_database
from gridweb.worklist import State, Worklist
from tests.unit.web.test_marked_energies_page import SLOT_S, TODAY_S, world_of, write
from tests.unit.web.web_world import FakeNode

KEY = f"spike/a-1/M-1/{TODAY_S + 3 * SLOT_S}/spike"


class OneNode(FakeNode):
    """A node in place of the client of one."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OneNode:
    """The pages of a ledger with two spikes, of which one is taken: their series and users lie beside ``web.toml``."""
    (tmp_path / "world").mkdir()
    world = world_of(tmp_path / "world")
    key = SigningKey.generate()
    config = ServeConfig(
        "http://127.0.0.1:1",
        KeyConfig("web", "file:x"),
        WebConfig(tmp_path / "trust.json", tmp_path / "users.db"),
        SeriesConfig(path=tmp_path / "series.db"),
    )
    parts = Parts(config, Trust("test-0123", bytes(32), ((key.public_key, 1, "operator"),), ()), key)

    async def fill() -> None:
        await write(world, {("M-1", 3): (5_000, 0, MEASURED), ("M-2", 5): (4_000, 0, MEASURED)})
        series = EmbeddedSeries(tmp_path / "series.db", 100)
        await series.claim("test-0123")
        await series.write(INTERVALS, list(world.series.rows[INTERVALS.name].values()))
        await series.save_cursor(Cursor(7, bytes(32)))
        await series.close()

    asyncio.run(fill())
    with closing(open_database(tmp_path / "users.db")) as database:
        Worklist(database, WallClock()).note(KEY, State.TAKEN, "anna", "asks the household", "ben")
    found = OneNode(answers=world.node.answers)
    monkeypatch.setattr(serving, "Client", lambda *_, **__: found)
    monkeypatch.setattr(serving, "check_file", lambda _: parts)
    return found


def listed(capsys: pytest.CaptureFixture[str], *more: str) -> list[tuple[Any, ...]]:
    assert main(["settle", "exceptions", "--config", "web.toml", "--json", *more]) == 0
    table = json.loads(capsys.readouterr().out)
    keys = [column["key"] for column in table["columns"]]
    return [tuple(row[keys.index(key)] for key in ("meter", "state", "person", "note")) for row in table["rows"]]


ONE = ("M-1", "taken", "anna", "asks the household")
OTHER = ("M-2", "open", None, None)


@pytest.mark.usefixtures("node")
def test_the_command_lists_what_the_pages_list_and_those_of_a_state_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys) == [ONE, OTHER]
    assert listed(capsys, "--area", "a-1", "--day", str(TODAY_S)) == [ONE, OTHER]
    assert listed(capsys, "--state", "open") == [OTHER]
    assert listed(capsys, "--state", "done") == []
    assert main(["settle", "exceptions", "--config", "web.toml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("taken  anna  asks the household")


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("suffix", [".csv", ".json", ".xlsx"])
def test_the_list_is_written_as_a_file_and_none_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / f"list{suffix}"
    arguments = ["settle", "exceptions", "--config", "web.toml", "--out", str(out)]
    assert main(arguments) == 0
    assert out.read_bytes()[:4] in (b"what", b'{"ta', b"PK\x03\x04")
    capsys.readouterr()
    assert main(arguments) == 2
    assert "name a file that is not there yet" in capsys.readouterr().err


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--area", "a-9"], "no area 'a-9' on this chain"),
        (["--day", "yesterday"], "write YYYY-MM-DD"),
        (["--out", "list.txt"], "--out list.txt: ends with .csv, .json, .xlsx"),
    ],
)
def test_what_cannot_be_listed_is_one_line(capsys: pytest.CaptureFixture[str], more: list[str], words: str) -> None:
    assert main(["settle", "exceptions", "--config", "web.toml", *more]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert words in line


def test_a_node_that_is_away_is_one_line(node: OneNode, capsys: pytest.CaptureFixture[str]) -> None:
    node.away = True
    assert main(["settle", "exceptions", "--config", "web.toml"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "no node answers there" in line
