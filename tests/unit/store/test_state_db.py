"""The database of a node on its disk: who may read it, what was written when, and one of an earlier version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gridcore.errors import UsageError
from ledger.leaves.delivery import DELIVERY
from ledger.store.check import check_ledger
from ledger.store.rows import Change
from ledger.store.schema import SCHEMA_VERSION, connect
from settlement.catalogue import CONTRACTS
from tests.worlds.feeders import FIRST_SLOT_S, START_S, batches, clock_advance
from tests.worlds.ledgers import decide, open_ledger

VERSION_1 = """
DROP INDEX leaves_by_height;
DROP INDEX batches_by_height;
ALTER TABLE leaves DROP COLUMN height;
PRAGMA user_version = 1;
"""
GW1, GW2 = batches("gw-1", 3), batches("gw-2", 1)
REGISTERS = f"registers/{FIRST_SLOT_S}/z-1/0"


def batch(height: int, gateway: str) -> Change:
    """An accepted batch of the one boundary."""
    return Change(height, f"batch/{gateway}/{FIRST_SLOT_S}/0")


def fill(data_dir: Path) -> None:
    """Four blocks: the clock, a batch, a batch of each gateway for the same registers, and the clock again."""
    with closing(open_ledger(data_dir)) as ledger:
        decide(ledger, [clock_advance(START_S + 1)])
        decide(ledger, [GW1[0]])
        decide(ledger, [GW2[0], GW1[1]])
        decide(ledger, [clock_advance(START_S + 2)])


def rows(data_dir: Path, query: str) -> list[Any]:
    """The rows of a query on the closed database."""
    with closing(sqlite3.connect(data_dir / "state.db")) as connection:
        return connection.execute(query).fetchall()


def test_load_curves_are_readable_by_the_nodes_user_alone(tmp_path: Path) -> None:
    connection = connect(tmp_path / "state.db")
    connection.execute("CREATE TABLE t (x)")
    files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    connection.close()

    assert "state.db-wal" in files
    assert set(files.values()) == {0o600}


def test_each_leaf_knows_the_block_that_wrote_it_last(tmp_path: Path) -> None:
    fill(tmp_path)
    heights = dict(rows(tmp_path, "SELECT key, height FROM leaves"))
    assert heights["chain"] == 0
    assert heights["progress/z-1"] == 0
    assert heights[DELIVERY.key("gw-1")] == 3
    assert heights[REGISTERS] == 3


def test_changes_are_told_up_to_the_newest_height_or_to_one_that_is_whole(tmp_path: Path) -> None:
    fill(tmp_path)
    with closing(open_ledger(tmp_path)) as ledger:
        second = [batch(2, "gw-1")]
        third = [batch(3, "gw-1"), batch(3, "gw-2"), Change(3, REGISTERS)]
        for after, most, height, expected in (
            (0, 10, 4, second + third),
            (0, 4, 4, second + third),
            (0, 3, 2, second),  # the third height would have to be cut
            (0, 1, 2, second),
            (2, 1, 3, third),  # one height at least, however many rows it has
            (2, 3, 4, third),
            (3, 1, 4, []),
            (4, 1, 4, []),
        ):
            told, found = ledger.changes(after, most)
            assert (after, most, told, sorted(found)) == (after, most, height, expected)
            assert [change.height for change in found] == sorted(change.height for change in found)
        for height in (-1, 5):
            with pytest.raises(UsageError, match="heights 0 to 4"):
                ledger.changes(height, 1)


def test_a_database_of_the_version_before_is_made_again_from_the_blocks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path)
    tables = ("leaves", "blocks", "transactions", "batches", "meters")
    before = [sorted(rows(tmp_path, f"SELECT * FROM {table}")) for table in tables]
    assert all(before)
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.executescript(VERSION_1)

    report = check_ledger(tmp_path, CONTRACTS)
    assert report.problems == []
    assert any(f"version 1, not {SCHEMA_VERSION}; the next start makes it again" in note for note in report.notes)
    capsys.readouterr()
    with closing(open_ledger(tmp_path)) as ledger:
        assert ledger.height == 4
    said = "".join(capsys.readouterr())
    assert "state_db_rebuilt" in said
    assert f"version 1, not {SCHEMA_VERSION}" in said
    assert [sorted(rows(tmp_path, f"SELECT * FROM {table}")) for table in tables] == before
    report = check_ledger(tmp_path, CONTRACTS)
    assert (report.problems, report.notes) == ([], [])


def test_a_meter_that_the_index_lacks_is_a_problem_of_the_check(tmp_path: Path) -> None:
    fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection, connection:
        connection.execute("DELETE FROM meters WHERE number = 1")
    assert any("installation 1 is not indexed" in problem for problem in check_ledger(tmp_path, CONTRACTS).problems)


def test_a_database_of_a_later_version_is_a_problem_of_the_check(tmp_path: Path) -> None:
    fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    assert any("version" in problem for problem in check_ledger(tmp_path, CONTRACTS).problems)
