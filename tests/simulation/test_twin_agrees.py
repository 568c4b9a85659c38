"""The ledger against its slow twin: random blocks, the same code for every transaction and the same state root at every height.

``GRIDLEDGER_SEEDS=7:8`` runs other seeds than the few of every test run (a single number N: the seeds 0 to N-1);
``GRIDLEDGER_BLOCKS`` is how many blocks a seed has.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

import pytest

from gridcore import cbor
from ledger.genesis import check_genesis
from ledger.state import clock, columns, due, market, metering
from ledger.state.block import Block
from ledger.state.state import State
from ledger.state.transition import apply_block
from ledger.state.verdicts import checks_of
from settlement.contracts.p2p_call_auction_1 import CONTRACT
from tests import twin as twin_module
from tests.simulation.generated_world import World, is_signed, outline
from tests.simulation.generator import BlockMaker
from tests.twin import Twin, leaf_bytes, transaction_digest

CONTRACTS = {"p2p_call_auction/1": CONTRACT}
SEEDS_FAST, SEEDS_SOAK, BLOCKS = 25, 600, 40


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks, budget and queues so small that a small world meets their ends."""
    for module in (columns, market, metering):
        monkeypatch.setattr(module, "CHUNK_ROWS", 3)
    monkeypatch.setattr(due, "Budget", partial(due.Budget, rows=11))
    monkeypatch.setattr(due, "WAITING_SLOTS_MAX", 3)
    monkeypatch.setattr(clock, "IDS_PER_HOUR_MAX", 2)
    for name, limit in (("CHUNK", 3), ("BUDGET", 11), ("WAITING_MAX", 3), ("IDS_MAX", 2)):
        monkeypatch.setattr(twin_module, name, limit)


def seeds(otherwise: range) -> range:
    """The seeds that the environment asks for."""
    first, _, end = os.environ.get("GRIDLEDGER_SEEDS", f"{otherwise.start}:{otherwise.stop}").rpartition(":")
    return range(int(first or 0), int(end))


def blocks() -> int:
    """How many blocks a seed has."""
    return int(os.environ.get("GRIDLEDGER_BLOCKS", BLOCKS))


def reproduce(seed: int) -> str:
    """The command that runs one seed again."""
    asked = f"GRIDLEDGER_BLOCKS={blocks()} " if blocks() != BLOCKS else ""
    return f"{asked}GRIDLEDGER_SEEDS={seed}:{seed + 1} .venv/bin/pytest -q tests/simulation/test_twin_agrees.py -m 'not soak'"


def difference(state: State, twin: Twin) -> str:
    """The first few leaves in which the two states differ."""
    ours, theirs = list(state.leaf_keys()), twin.numbered
    found = [f"only the ledger has {key}" for key in ours if key not in twin.leaves]
    found += [f"only the twin has {key}" for key in theirs if key not in state]
    for key in ours:
        if key in twin.leaves and state.leaf(key) != leaf_bytes(key, twin.leaves[key]):
            ledger_value, twin_value = state.get(key), cbor.decode(leaf_bytes(key, twin.leaves[key]))[1]
            found.append(f"{key}\n    ledger {ledger_value}\n    twin   {twin_value}")
    if not found:
        found.append(f"the same leaves in another order:\n    ledger {ours}\n    twin   {theirs}")
    return "\n  ".join(found[:4])


def run_seed(seed: int) -> set[int]:
    """Drive both through one world; returns the codes that it met."""
    world = World(seed)
    check_genesis(world.genesis)
    maker, twin, state = BlockMaker(world), Twin(world.genesis), State.from_genesis(world.genesis)
    where = f"seed {seed} {outline(world)}\n  again: {reproduce(seed)}"
    assert state.root() == twin.state_root(), f"genesis of {where}\n  {difference(state, twin)}"
    met: set[int] = set()
    for _ in range(blocks()):
        height, time_s, wires = maker.next_block(twin)
        block = Block(height, time_s, tuple(wires))
        checks = checks_of(state, block.decoded)
        verdicts = {(c.digest, c.public_key): is_signed(c.public_key, c.signed, c.signature) for c in checks}
        applied = apply_block(state, block, CONTRACTS, verdicts)
        codes = twin.apply_block(height, time_s, wires, is_signed)
        ours = [int(result.code) for result in applied.results]
        assert ours == codes, f"codes at height {height} of {where}\n  {codes_apart(wires, ours, codes)}"
        assert [result.digest for result in applied.results] == [transaction_digest(wire) for wire in wires], where
        assert applied.work_pending == twin.work_left, f"work left over at height {height} of {where}"
        state.commit(applied)
        assert state.root() == twin.state_root(), f"root at height {height} of {where}\n  {difference(state, twin)}"
        met |= set(codes)
    return met


def codes_apart(wires: Sequence[bytes], ours: Sequence[int], theirs: Sequence[int]) -> str:
    """The transactions on which the two disagree."""
    apart = [
        f"transaction {index}: ledger {our}, twin {their}: {wire[:1500]!r}"
        for index, (wire, our, their) in enumerate(zip(wires, ours, theirs, strict=True))
        if our != their
    ]
    return "\n  ".join(apart)


@pytest.mark.parametrize("seed", seeds(range(SEEDS_FAST)))
def test_ledger_and_twin_agree_on_every_code_and_every_state_root(seed: int) -> None:
    run_seed(seed)


@pytest.mark.parametrize("seed", seeds(range(100, 100 + SEEDS_FAST // 2)))
def test_ledger_and_twin_agree_where_every_limit_is_small(seed: int, small_limits: None) -> None:
    run_seed(seed)


@pytest.mark.soak
def test_ledger_and_twin_agree_over_many_seeds() -> None:
    for seed in seeds(range(1_000, 1_000 + SEEDS_SOAK)):
        run_seed(seed)


@pytest.mark.soak
def test_ledger_and_twin_agree_over_many_seeds_where_every_limit_is_small(small_limits: None) -> None:
    for seed in seeds(range(1_000, 1_000 + SEEDS_SOAK)):
        run_seed(seed)
