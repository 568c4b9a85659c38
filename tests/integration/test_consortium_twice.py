"""A validator's folder that runs twice: the copy gets nowhere, and the others go on without a second vote."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from urllib.request import urlopen

import pytest

from gridcore.config import load_config
from gridcore.serving.ports import HOST, free_port
from ledger.config import NodeConfig
from tests.external import NEEDS_COMETBFT
from tests.integration.consortium_world import MEMBERS, PATIENCE_S, STARTED_S, running
from tests.waiting import wait_until

pytestmark = [*NEEDS_COMETBFT, pytest.mark.slow]
COPY = "copy"


def test_copy_of_a_running_validators_folder_is_let_in_by_nobody(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("t")) as consortium:
        folder = consortium.folder / COPY
        consortium.stop("regulator")
        shutil.copytree(
            consortium.folder / "regulator", folder, ignore=shutil.ignore_patterns("*.sock", "node.log", "engine.log*")
        )
        for file in (folder / "node.toml", folder / "engine" / "config" / "config.toml"):
            text = re.sub(r"^((?:rpc_)?port = )\d+", fresh, file.read_text(), flags=re.MULTILINE)
            file.write_text(re.sub(r'^(laddr = "tcp://[\d.]+:)\d+', fresh, text, flags=re.MULTILINE))
        consortium.start("regulator")
        consortium.wait_height(consortium.certified("grid") + 1, "regulator")
        wait_until(
            lambda: peers_of(consortium.folder / "regulator") == len(MEMBERS) - 1, "connected to all", PATIENCE_S
        )
        consortium.start(COPY)
        wait_until(lambda: consortium.height(COPY) >= 0, "the copy answers", PATIENCE_S)
        wait_until(lambda: "Stopping peer for error" in log_of(folder), "nobody lets it in", PATIENCE_S)
        before = consortium.height(COPY)
        for step in range(3):
            consortium.advance(STARTED_S + 61 + step, MEMBERS[step])
        consortium.check_agreement()
        assert consortium.height(COPY) == before
        for name in MEMBERS:
            assert "conflicting vote" not in log_of(consortium.folder / name)


def fresh(found: re.Match[str]) -> str:
    """The same with another port."""
    return f"{found[1]}{free_port()}"


def peers_of(folder: Path) -> int:
    """How many others a node's engine is connected to, as it says itself; 0 while it does not answer."""
    try:
        with urlopen(
            f"http://{HOST}:{load_config(folder / 'node.toml', NodeConfig).engine.rpc_port}/net_info"
        ) as answer:
            return int(json.load(answer)["result"]["n_peers"])
    except OSError:
        return 0


def log_of(folder: Path) -> str:
    """What an engine has said."""
    file = folder / "engine" / "engine.log"
    return file.read_text(errors="replace") if file.exists() else ""
