"""Real processes: kill -9 at the steps of a block, and files that may not grow (RLIMIT_FSIZE) as a disk that is full."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gridcore import cbor
from gridcore.envelope import decode_transaction
from gridcore.header import check_receipt, decode_receipt
from gridcore.sm3 import sm3
from gridcore.transactions.readings import split_attachment
from ledger.leaves.latest import LATEST
from ledger.leaves.registers import REGISTERS
from ledger.store.check import check_ledger
from settlement.catalogue import CONTRACTS
from tests.integration.engine_child import WIRES
from tests.worlds.feeders import FEEDERS
from tests.worlds.keys import key
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.transactions import transaction_id

SIGNERS = [(key("operator").public_key, 1)]


def run_child(repository: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.integration.engine_child", *map(str, arguments)]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=300, check=True)


def test_a_node_killed_at_any_step_loses_nothing_acknowledged_and_applies_nothing_twice(
    repository: Path, tmp_path: Path
) -> None:
    steps = [*range(2, 15), *range(20, 100, 11)]
    run = run_child(repository, "kill", tmp_path, *steps)
    killed = [line for line in run.stdout.splitlines() if line.endswith(" 9")]
    assert len(killed) == len(steps), run.stderr
    states = set()
    for step in steps:
        data_dir = tmp_path / str(step)
        ledger = open_ledger(data_dir)
        for line in data_dir.with_suffix(".acks").read_text().split():
            receipt = decode_receipt(ledger.receipt(bytes.fromhex(line)) or b"")
            check_receipt(receipt, chain=FEEDERS.chain, digest=receipt.digest, signers=SIGNERS)
            assert receipt.code == 0
        for wire in WIRES:
            if ledger.find_applied(transaction_id(wire)) is None:
                assert decide(ledger, [wire]) == [0]
        applied = [e.id for height in range(1, ledger.height + 1) for e in ledger.results(height) if e.code == 0]
        assert sorted(applied) == sorted(map(transaction_id, WIRES))
        # Which gateway came first is up to the processes. It shows in the leaves' numbers and in the registers' salt seeds, nowhere else.
        leaves = {key: dict(ledger.get(key) or {}) for key in ledger.leaf_keys()}
        seeds = {leaf.pop("seed") for key, leaf in leaves.items() if key.startswith((REGISTERS.prefix, LATEST.prefix))}
        assert seeds == {seed_after(applied)}
        states.add(cbor.encode(leaves))
        ledger.close()
    assert len(states) == 1, "wherever it was killed, the state is the same"
    assert check_ledger(tmp_path / str(steps[-1]), CONTRACTS).problems == []


def seed_after(applied: Sequence[bytes]) -> bytes:
    """The salt seed after these transactions: each gateway's first batch adds its row, the later ones only repeat it."""
    firsts = {transaction_id(wire): decode_transaction(wire).attachment for wire in WIRES[:2]}
    seed = bytes(32)
    for transaction in applied:
        if transaction in firsts:
            batch_seed, _, _ = split_attachment(firsts[transaction])
            seed = sm3(seed + batch_seed)
    return seed


@pytest.mark.parametrize("limit", [3_000, 200_000, 600_000])
def test_files_that_may_not_grow_are_answered_busy_and_the_rest_is_accepted_later(
    repository: Path, tmp_path: Path, limit: int
) -> None:
    run = run_child(repository, "fill", tmp_path / "ledger", limit)
    assert f"accepted {len(WIRES)}, busy 1" in run.stdout, run.stdout + run.stderr
    assert limit == 3_000 or "answers True" in run.stdout
    assert "store_cannot_write" in run.stdout + run.stderr
    report = check_ledger(tmp_path / "ledger", CONTRACTS)
    assert (report.problems, report.transactions) == ([], len(WIRES))
