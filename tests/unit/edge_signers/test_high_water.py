"""An older copy of an outbox is put back while no node answers: the TPM's counter knows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.config import EdgeConfig
from edge.high_water import BATCHES_PER_MARK, BEHIND_MAX, HighWater
from edge.outbox import Outbox
from edge.standing import open_standing
from gridcore.config import load_config
from gridcore.errors import UsageError
from gridcore.tpm import commands
from gridcore.tpm.wire import Tpm, TpmError
from tests.unit.edge_agent.edge_world import FakeNode, append, new_outbox, write_config
from tests.worlds.tpm import NEEDS_SWTPM, SoftwareTpm, software_tpm

pytestmark = NEEDS_SWTPM
AWAY = FakeNode(dead=True)


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[SoftwareTpm]:
    with software_tpm(tmp_path / "tpm") as running:
        yield running


def config_of(folder: Path, tpm: SoftwareTpm) -> EdgeConfig:
    config = load_config(write_config(folder), EdgeConfig)
    return replace(config, counter_mark=f"tpm2:0x01800100?tpm={tpm.socket}")


async def started(config: EdgeConfig) -> Outbox:
    return await open_standing(config, AWAY)


async def test_older_copy_does_not_start_and_the_newest_does(tmp_path: Path, tpm: SoftwareTpm) -> None:
    config = config_of(tmp_path, tpm)
    new_outbox(config.outbox, 1).close()
    (await started(config)).close()
    shutil.copy(config.outbox, tmp_path / "copy")
    outbox = await started(config)
    append(outbox)
    outbox.close()
    shutil.copy(config.outbox, tmp_path / "newest")
    shutil.copy(tmp_path / "copy", config.outbox)
    with pytest.raises(UsageError, match=r"is an older copy: counter_mark .* open a new epoch"):
        await started(config)
    shutil.copy(tmp_path / "newest", config.outbox)
    outbox = await started(config)
    assert outbox.progress.counter == 2
    outbox.close()


async def test_copy_of_a_running_agent_is_older_after_so_many_batches(tmp_path: Path, tpm: SoftwareTpm) -> None:
    config = config_of(tmp_path, tpm)
    new_outbox(config.outbox).close()
    outbox = await started(config)
    append(outbox)
    early = outbox.progress.mark
    for _ in range(BATCHES_PER_MARK):
        append(outbox)
    assert outbox.progress.mark == early + 1 == HighWater(config.counter_mark or "").read()
    outbox.close()


async def test_raise_that_a_power_cut_kept_back_is_made_good(tmp_path: Path, tpm: SoftwareTpm) -> None:
    """The outbox is written first: its mark may be ahead of the TPM's, never behind."""
    config = config_of(tmp_path, tpm)
    new_outbox(config.outbox).close()
    outbox = await started(config)
    outbox._store(lambda old: replace(old, mark=old.mark + 1))
    outbox.close()
    outbox = await started(config)
    assert outbox.progress.mark == HighWater(config.counter_mark or "").read()
    outbox.close()


async def test_tpm_that_does_not_answer_for_a_while_costs_no_batch(tmp_path: Path, tpm: SoftwareTpm) -> None:
    config = config_of(tmp_path, tpm)
    new_outbox(config.outbox).close()
    outbox = await started(config)
    tpm.stop()
    with capture_logs() as logs:
        for _ in range(BATCHES_PER_MARK):
            append(outbox)
    assert [line["event"] for line in logs] == ["mark_not_raised"]
    assert outbox.depth == BATCHES_PER_MARK
    outbox.close()
    with pytest.raises(UsageError, match=r"^counter_mark: .*no TPM answers there"):
        await started(config)
    tpm.start()
    outbox = await started(config)
    assert outbox.progress.mark == HighWater(config.counter_mark or "").read()
    outbox.close()


class TiredTpm(HighWater):
    """Its memory takes no more writes for now (TPM_RC_NV_RATE)."""

    def raise_to(self, mark: int) -> None:
        if mark > self.read():
            raise TpmError("the TPM refuses: too many writes", 0x920)


async def test_starts_that_fail_at_a_tpm_that_takes_no_writes_do_not_make_it_another_one(
    tmp_path: Path, tpm: SoftwareTpm
) -> None:
    config = config_of(tmp_path, tpm)
    new_outbox(config.outbox).close()
    outbox = await started(config)
    for _ in range(BEHIND_MAX + 1):
        with pytest.raises(TpmError):
            outbox.keep_mark(TiredTpm(config.counter_mark or ""))
    outbox.close()
    outbox = await started(config)
    assert outbox.progress.mark == HighWater(config.counter_mark or "").read()
    outbox.close()


async def test_outbox_beside_another_tpm_is_named(tmp_path: Path, tpm: SoftwareTpm) -> None:
    config = config_of(tmp_path, tpm)
    new_outbox(config.outbox).close()
    outbox = await started(config)
    outbox._store(lambda old: replace(old, mark=1_000_000))
    outbox.close()
    with pytest.raises(UsageError, match="this is another TPM than before"):
        await started(config)


@pytest.mark.parametrize("uri", ["tpm2:0x81000010", "tpm2:x", "tpm2:0x01800100?key=1"])
def test_index_that_is_none_is_one_line(uri: str) -> None:
    with pytest.raises(UsageError, match=r"^counter_mark "):
        HighWater(uri)


def test_counter_only_goes_up_and_lasts(tpm: SoftwareTpm) -> None:
    with Tpm(tpm.socket) as connection:
        commands.define_counter(connection, 0x01800100)
        first = commands.read_counter(connection, 0x01800100)
        commands.increment(connection, 0x01800100)
        with pytest.raises(TpmError, match="the index is defined already"):
            commands.define_counter(connection, 0x01800100)
    tpm.stop()
    tpm.start()
    with Tpm(tpm.socket) as connection:
        assert commands.read_counter(connection, 0x01800100) == first + 1
