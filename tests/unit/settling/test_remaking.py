"""Runs that the pages have made again: from a copy of the blocks, in a process of its own, as ``settle replay`` makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.remaking import CannotRemake, ReplayConfig, remake
from gridweb.replays import Progress, RunWanted
from ledger.store.archive import archive_blocks
from ledger.store.rerun import RunName, rerun
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import FIRST_S
from tests.worlds.ledgers import ledger_with
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory at rest, with one settled slot."""
    folder = tmp_path_factory.mktemp("remaking") / "ledger"
    with ledger_with(folder, TWO_AREAS, one_settled_slot(TWO_AREAS.sender())):
        pass
    return folder


async def test_a_run_is_made_again_from_an_archive_that_is_brought_up_to_date_first(
    ledger: Path, tmp_path: Path
) -> None:
    config = ReplayConfig(archive=tmp_path / "archive", folder=tmp_path / "replica", ledger=ledger)
    again, seen = rerun(ledger, RunName("a-1", FIRST_S, "initial"), CONTRACTS), list[Progress]()
    made = await remake(config, RunWanted("a-1", FIRST_S, "initial", again.height), seen.append)
    assert (made.height, made.run_id) == (again.height, again.run_id.hex())
    assert (made.rows_root, made.state_root) == (again.leaf.rows_root.hex(), again.state_root.hex())
    assert made.received_nano == again.received_nano
    assert (made.compared, made.differing, made.differing_total) == (again.compared, (), 0)
    assert [one.step for one in seen] == ["archive", "restore", "rerun"]
    assert seen[-1] == Progress("rerun", again.height, again.height)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (RunWanted("a-9", FIRST_S, "initial", 1), "--area a-9: is no area of this chain"),
        (RunWanted("a-1", FIRST_S, "final", 1), "--run final of area a-1"),
        (
            RunWanted("a-1", FIRST_S, "initial", 10**6),
            "the run was made in block 1000000; bring it up to date: gridledger node archive",
        ),
    ],
    ids=["area", "run", "archive too short"],
)
async def test_what_cannot_be_made_again_is_refused_in_one_line(
    ledger: Path, tmp_path: Path, wanted: RunWanted, message: str
) -> None:
    archive_blocks(ledger, tmp_path / "archive")
    config = ReplayConfig(archive=tmp_path / "archive", folder=tmp_path / "replica")
    with pytest.raises(CannotRemake) as refused:
        await remake(config, wanted, lambda _progress: None)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_a_folder_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    config = ReplayConfig(archive=tmp_path / "none", folder=tmp_path / "replica")
    with pytest.raises(CannotRemake, match="gridledger node archive"):
        await remake(config, RunWanted("a-1", FIRST_S, "initial", 1), lambda _progress: None)
