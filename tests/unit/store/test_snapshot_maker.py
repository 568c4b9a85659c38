"""Which heights get a snapshot, where they are to come thick and fast."""

from __future__ import annotations

from pathlib import Path

from tests.worlds.quartet import quartet


def test_where_every_block_is_to_have_a_snapshot_one_waits_for_its_certificate_before_the_next_is_begun(
    tmp_path: Path,
) -> None:
    with quartet(tmp_path, snapshot_blocks=1) as four:
        for _ in range(3):
            four.decide()
        four.ledger().wait_snapshot()
        assert [one.manifest.height for one in four.ledger().snapshots.all()] == [1]
