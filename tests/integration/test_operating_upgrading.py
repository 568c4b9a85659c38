"""docs/operating/upgrading.md and auditing.md: their commands as they stand, over a ``state.db`` of other releases."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.client import run_with_client
from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, Village, blocks_of, founded


def state_root(village: Village) -> bytes:
    return run_with_client(village.url, lambda client: client.status()).state_root


def make_of_version(path: Path, version: int) -> None:
    """A database as a release of another form would have left it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE acts")
        connection.execute(f"PRAGMA user_version = {version}")


def test_a_newer_and_an_older_release_go_on_from_the_same_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    archive, check, run = blocks_of("upgrading.md")
    village = founded(tmp_path)
    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S, FIRST_S)
        village.do(archive)
        root = state_root(village)
    for version in (99, 1):
        village.do(check)
        make_of_version(tmp_path / "village" / "ledger" / "state.db", version)
        with village.running(run):
            assert state_root(village) == root


def test_acts_are_told_by_the_command_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (audit,) = blocks_of("auditing.md")
    village = founded(tmp_path)
    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S, FIRST_S)
        capsys.readouterr()
        village.do(audit.rstrip("\n") + " --organisation operator --json")
    acts = json.loads(capsys.readouterr().out)["acts"]
    assert [(act["height"], act["organisation"], act["what"]) for act in acts] == [
        (1, "operator", {"to_s": FIRST_S - SLOT_S}),
        (2, "operator", {"to_s": FIRST_S}),
    ]
