"""A validator whose disk is gone begins with a snapshot of the others, by the real engine, and has their headers from there on."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcore.config import load_config
from gridcore.serving.ports import HOST
from ledger.config import NodeConfig
from ledger.store.snapshots import SNAPSHOTS_NAME
from tests.external import NEEDS_COMETBFT
from tests.integration.consortium_world import MEMBERS, PATIENCE_S, STARTED_S, Consortium, founded, wires_between
from tests.waiting import wait_until

pytestmark = [*NEEDS_COMETBFT, pytest.mark.slow]
EVERY = 10
LOST = "regulator"
OTHERS = [name for name in MEMBERS if name != LOST]
LIAR = "grid"


@pytest.fixture
def consortium(tmp_path: Path) -> Iterator[Consortium]:
    """Four nodes; all but the liar make a snapshot every ten blocks."""
    place = founded(tmp_path)
    for name in MEMBERS:
        file = place / name / "node.toml"
        file.write_text(
            re.sub(
                r"^(rpc_port = \d+)$",
                rf"\1\nsnapshot_blocks = {0 if name == LIAR else EVERY}",
                file.read_text(),
                flags=re.MULTILINE,
            )
        )
        config = place / name / "engine" / "config" / "config.toml"
        config.write_text(
            re.sub(r'empty_blocks_interval = "\d+ms"', 'empty_blocks_interval = "500ms"', config.read_text())
        )
    made = Consortium(place, wires_between(place))
    with made.network.running():
        try:
            made.start(*MEMBERS)
            made.advance(STARTED_S + 60)
            yield made
        finally:
            made.end()


def gridledger(consortium: Consortium, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gridledger", *arguments]
    return subprocess.run(
        command, cwd=consortium.folder / LOST, capture_output=True, text=True, timeout=60, check=False
    )


def lose_the_disk(consortium: Consortium) -> None:
    """Ledger, guard and the engine's data are gone; keys and configuration were kept elsewhere."""
    consortium.kill(LOST)
    shutil.rmtree(consortium.folder / LOST / "ledger")
    shutil.rmtree(consortium.folder / LOST / "engine" / "data")


def rejoin(consortium: Consortium) -> None:
    folder = consortium.folder / LOST
    made = gridledger(consortium, "node", "init", "--genesis", "genesis.cbor", "--data", "ledger")
    assert made.returncode == 0, made.stderr
    ports = [load_config(consortium.folder / name / "node.toml", NodeConfig).engine.rpc_port for name in OTHERS]
    members = [f"--member=http://{HOST}:{port}" for port in ports]
    asked = gridledger(consortium, "consortium", "rejoin", "--config", "node.toml", *members)
    assert asked.returncode == 0, asked.stderr
    assert "enable = true" in (folder / "engine" / "config" / "config.toml").read_text()
    consortium.start(LOST)


def digest(consortium: Consortium, name: str, height: int) -> str:
    return consortium._digests(name, [height])[0]


def check_follows(consortium: Consortium, to_s: int) -> None:
    """The node that joined acknowledges a transaction, and its headers are those of the others."""
    consortium.advance(to_s, LOST)
    height = consortium.certified(LOST)
    consortium.wait_height(height, *OTHERS)
    assert len({digest(consortium, name, height) for name in MEMBERS}) == 1


def lie(consortium: Consortium) -> None:
    """Have the liar offer a snapshot of another node, one chunk of which is not the one that its manifest lists."""
    snapshots = consortium.folder / OTHERS[-1] / "ledger" / SNAPSHOTS_NAME
    copied = shutil.copytree(
        snapshots / str(2 * EVERY), consortium.folder / LIAR / "ledger" / SNAPSHOTS_NAME / str(2 * EVERY)
    )
    chunk = copied / "2"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"\0")


def said(consortium: Consortium, words: str) -> bool:
    return words in (consortium.folder / LOST / "node.log").read_text()


def test_validator_with_a_lost_disk_joins_by_state_sync_and_takes_nothing_of_a_peer_that_lies(
    consortium: Consortium,
) -> None:
    consortium.wait_height(EVERY + 2)
    lose_the_disk(consortium)
    consortium.advance(STARTED_S + 120)
    consortium.wait_height(2 * EVERY + 12, *OTHERS)  # the engine looks at ten blocks for votes of its key
    lie(consortium)
    consortium.network.part([LOST, LIAR])
    rejoin(consortium)
    wait_until(lambda: said(consortium, "snapshot_chunk_refused"), "the lie", PATIENCE_S)
    assert not said(consortium, "snapshot_installed")
    consortium.network.heal()
    wait_until(lambda: said(consortium, "snapshot_installed"), "the node that joins", PATIENCE_S)
    check_follows(consortium, STARTED_S + 180)
    consortium.kill(LOST)
    consortium.start(LOST)
    check_follows(consortium, STARTED_S + 240)
    assert consortium.stop(LOST) == [0]
    checked = gridledger(consortium, "node", "check", "--data", "ledger")
    assert checked.returncode == 0, checked.stdout + checked.stderr
