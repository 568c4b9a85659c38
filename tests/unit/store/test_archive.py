"""An archive holds every certified block; what is restored from it was checked block by block, and cannot sign."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from ledger.store import archive as archive_module
from ledger.store.archive import Archive, archive_blocks
from ledger.store.check import check_ledger, renew_guard
from ledger.store.errors import StoreError
from ledger.store.ledger import Ledger
from ledger.store.standby import Standby, restore
from settlement.catalogue import CONTRACTS
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.faults import Crash, CrashingFiles, UnsyncedFiles
from tests.worlds.keys import key
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

BLOCKS = one_settled_slot(TWO_AREAS.sender())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a closed ledger of one settled slot, and an archive of it."""
    folder = tmp_path_factory.mktemp("made")
    with closing(open_ledger(folder / "ledger", TWO_AREAS)) as ledger:
        for wires in BLOCKS:
            assert decide(ledger, wires) == [0] * len(wires)
    archive_blocks(folder / "ledger", folder / "archive", UnsyncedFiles())
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def run_node(data_dir: Path, guard: Path | None = None) -> Ledger:
    clock = ManualClock(TWO_AREAS.start_s)
    return Ledger.open(data_dir, CONTRACTS, key("operator"), clock, guard=guard, files=UnsyncedFiles())


def test_a_running_ledger_is_archived_block_by_block_and_each_call_adds_what_is_new(tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path / "ledger", TWO_AREAS)) as ledger:
        heights = []
        for wires in BLOCKS[:3]:
            decide(ledger, wires)
            heights.append(archive_blocks(tmp_path / "ledger", tmp_path / "archive", UnsyncedFiles()).last)
        assert heights == [1, 2, 3]
        again = archive_blocks(tmp_path / "ledger", tmp_path / "archive", UnsyncedFiles())
        assert (again.first, again.last, again.added_bytes) == (4, 3, 0)
        names = sorted(path.name for path in (tmp_path / "archive").glob("blocks-*"))
        assert names == [f"blocks-{height:010}-{height:010}" for height in (1, 2, 3)]
        blocks = list(Archive(tmp_path / "archive").blocks(1))
        assert [(block.record, block.certificate) for block in blocks] == [
            (ledger.block(height), ledger.certificate(height)) for height in (2, 3)
        ]


def test_a_segment_that_is_full_is_followed_by_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "SEGMENT_BYTES_MAX", 1000)
    assert archive_blocks(folder / "ledger", folder / "small", UnsyncedFiles()).last == len(BLOCKS)
    assert len(list((folder / "small").glob("blocks-*"))) > 1
    assert restore(Archive(folder / "small"), folder / "again", CONTRACTS, files=UnsyncedFiles()) == (0, len(BLOCKS))


def test_what_is_restored_answers_as_the_node_did_and_has_no_guard(folder: Path) -> None:
    assert restore(Archive(folder / "archive"), folder / "standby", CONTRACTS, files=UnsyncedFiles()) == (
        0,
        len(BLOCKS),
    )
    with (
        closing(Standby.open(folder / "standby", CONTRACTS, files=UnsyncedFiles())) as standby,
        closing(run_node(folder / "ledger")) as node,
    ):
        assert standby.state_root() == node.state_root()
        assert standby.header(standby.height) == node.header(node.height)
        assert standby.certificate(standby.height) == node.certificate(node.height)
    assert not (folder / "standby" / "guard").exists()


def test_what_is_restored_cannot_sign_until_its_guard_is_there(folder: Path) -> None:
    restore(Archive(folder / "archive"), folder / "standby", CONTRACTS, files=UnsyncedFiles())
    with pytest.raises(StoreError, match="guard: missing, so it is not known what this node has signed"):
        run_node(folder / "standby")
    with closing(run_node(folder / "standby", guard=folder / "ledger" / "guard")) as node:
        assert node.height == len(BLOCKS)
        decide(node, [])


def test_an_archive_that_ends_below_the_guard_makes_no_node_that_signs(folder: Path) -> None:
    with closing(run_node(folder / "ledger")) as node:
        decide(node, [])
    restore(Archive(folder / "archive"), folder / "standby", CONTRACTS, files=UnsyncedFiles())
    with pytest.raises(
        StoreError, match=rf"ends with block {len(BLOCKS)}, but this node has signed block {len(BLOCKS) + 1}"
    ):
        run_node(folder / "standby", guard=folder / "ledger" / "guard")


def test_a_restored_ledger_goes_on_when_its_guard_is_lost_and_written_anew(folder: Path) -> None:
    restore(Archive(folder / "archive"), folder / "standby", CONTRACTS, files=UnsyncedFiles())
    assert renew_guard(folder / "standby", CONTRACTS).height == len(BLOCKS)
    with closing(run_node(folder / "standby")) as node:
        clock = TWO_AREAS.sender().clock(FIRST_S + 3 * SLOT_S, valid_until_s=FIRST_S + 3 * SLOT_S)
        assert decide(node, [clock]) == [0]
    assert check_ledger(folder / "standby", CONTRACTS).holds


def test_a_standby_follows_the_archive(folder: Path) -> None:
    restore(Archive(folder / "archive"), folder / "standby", CONTRACTS, files=UnsyncedFiles())
    with closing(run_node(folder / "ledger")) as node:
        decide(node, [])
    archive_blocks(folder / "ledger", folder / "archive", UnsyncedFiles())
    height = len(BLOCKS)
    files = UnsyncedFiles()
    assert restore(Archive(folder / "archive"), folder / "standby", CONTRACTS, files=files) == (height, height + 1)
    assert restore(Archive(folder / "archive"), folder / "standby", CONTRACTS, files=files) == (height + 1, height + 1)


def test_a_standby_makes_its_database_again_from_its_blocks(folder: Path) -> None:
    restore(Archive(folder / "archive"), folder / "standby", CONTRACTS, files=UnsyncedFiles())
    (folder / "standby" / "state.db").unlink()
    height = len(BLOCKS)
    files = UnsyncedFiles()
    assert restore(Archive(folder / "archive"), folder / "standby", CONTRACTS, files=files) == (height - 1, height)


def test_a_restore_that_ends_anywhere_goes_on_with_the_next_call(folder: Path) -> None:
    archive = Archive(folder / "archive")
    counting = CrashingFiles(crash_at=-1)
    restore(archive, folder / "whole", CONTRACTS, files=counting)
    assert len(counting.steps) > 15
    for step in range(len(counting.steps)):
        data_dir = folder / f"torn-{step}"
        with pytest.raises(Crash):
            restore(archive, data_dir, CONTRACTS, files=CrashingFiles(step))
        restored = restore(archive, data_dir, CONTRACTS, files=UnsyncedFiles())
        assert restored is not None
        assert restored[1] == len(BLOCKS)


def test_an_archiver_that_ends_anywhere_goes_on_with_the_next_call(folder: Path) -> None:
    counting = CrashingFiles(crash_at=-1)
    archive_blocks(folder / "ledger", folder / "whole", counting)
    for step in range(len(counting.steps)):
        torn = folder / f"torn-{step}"
        with pytest.raises(Crash):
            archive_blocks(folder / "ledger", torn, CrashingFiles(step))
        assert archive_blocks(folder / "ledger", torn, UnsyncedFiles()).last == len(BLOCKS)
        assert len(list(Archive(torn).blocks(0))) == len(BLOCKS)


def test_an_archive_of_another_history_is_refused(folder: Path) -> None:
    with closing(open_ledger(folder / "other", TWO_AREAS)) as other:
        decide(other, BLOCKS[1])
    with pytest.raises(StoreError, match=r"its block \d+ is not one of .*other; give the archive of this ledger"):
        archive_blocks(folder / "other", folder / "archive", UnsyncedFiles())


def test_a_damaged_segment_is_named_with_its_place(folder: Path) -> None:
    path = next((folder / "archive").glob("blocks-*"))
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match=rf"{path.name}: block 1 at byte 0 is damaged: its checksum does not hold"):
        restore(Archive(folder / "archive"), folder / "standby", CONTRACTS, files=UnsyncedFiles())


def test_a_segment_that_is_missing_is_named(folder: Path) -> None:
    with closing(run_node(folder / "ledger")) as node:
        decide(node, [])
    archive_blocks(folder / "ledger", folder / "archive", UnsyncedFiles())
    (folder / "archive" / f"blocks-{1:010}-{len(BLOCKS):010}").unlink()
    with pytest.raises(StoreError, match="no segment that begins with block 1"):
        Archive(folder / "archive")


def test_neither_a_foreign_folder_nor_that_of_a_node_is_written_to(folder: Path, tmp_path: Path) -> None:
    archive = Archive(folder / "archive")
    with pytest.raises(UsageError, match="the guard of a node that signs"):
        restore(archive, folder / "ledger", CONTRACTS, files=UnsyncedFiles())
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "letter.txt").write_text("Dear")
    with pytest.raises(UsageError, match="not empty and no ledger"):
        restore(archive, tmp_path / "foreign", CONTRACTS, files=UnsyncedFiles())
    with pytest.raises(UsageError, match="not empty and no archive"):
        archive_blocks(folder / "ledger", tmp_path / "foreign", UnsyncedFiles())
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["letter.txt"]
    with pytest.raises(UsageError, match="missing, so this is no archive"):
        Archive(tmp_path / "foreign")
