"""The database of a node on its disk."""

from __future__ import annotations

from pathlib import Path

from ledger.store.state_db import _connect


def test_load_curves_are_readable_by_the_nodes_user_alone(tmp_path: Path) -> None:
    connection = _connect(tmp_path / "state.db")
    connection.execute("CREATE TABLE t (x)")
    files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    connection.close()

    assert "state.db-wal" in files
    assert set(files.values()) == {0o600}
