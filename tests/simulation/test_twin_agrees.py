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
from gridcore.codes import Code
from ledger.genesis_check import check_genesis
from ledger.governance import decision, undecided
from ledger.kinds import dispute_open, market_profile, reading_batch, registry_register
from ledger.leaves import columns
from ledger.registry import entries
from ledger.state import client_ids, corrections, due, run_dates
from ledger.state.memory import MemoryState
from tests.simulation.generated_world import World, outline
from tests.simulation.generator import BlockMaker
from tests.twin import corrections as twin_corrections
from tests.twin import disputes as twin_disputes
from tests.twin import estimates as twin_estimates
from tests.twin import governance as twin_governance
from tests.twin import market as twin_market
from tests.twin import metering as twin_metering
from tests.twin import orders as twin_orders
from tests.twin import payments as twin_payments
from tests.twin import periods as twin_periods
from tests.twin import profiles as twin_profiles
from tests.twin import registry as twin_registry
from tests.twin import run_dates as twin_run_dates
from tests.twin import settlement as twin_settlement
from tests.twin import twin as twin_module
from tests.twin.forms import leaf_bytes
from tests.twin.headers import transaction_digest
from tests.twin.twin import Twin
from tests.worlds.keys import is_cheaply_signed
from tests.worlds.ledgers import MemoryLedger

SEEDS_FAST, SEEDS_SOAK, BLOCKS = 25, 600, 40
CODES_MET_MIN = 8
"""Codes that a world meets in so many blocks; most meet 20."""


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks, budget and queues so small that a small world meets their ends; a chunk is a power of two of rows."""
    monkeypatch.setattr(columns, "CHUNK_ROWS", 4)
    monkeypatch.setattr(due, "Budget", partial(due.Budget, rows=11))
    monkeypatch.setattr(corrections, "CORRECTION_SPANS_MAX", 2)
    monkeypatch.setattr(run_dates, "CORRECTION_SPANS_MAX", 2)
    monkeypatch.setattr(twin_corrections, "SPANS_MAX", 2)
    monkeypatch.setattr(twin_run_dates, "SPANS_MAX", 2)
    monkeypatch.setattr(client_ids, "IDS_PER_HOUR_MAX", 2)
    monkeypatch.setattr(entries, "ENTRIES_MAX", 2)
    monkeypatch.setattr(reading_batch, "LATE_BATCHES_MAX", 2)
    monkeypatch.setattr(twin_metering, "LATE_MAX", 2)
    for module in (
        twin_market,
        twin_metering,
        twin_orders,
        twin_profiles,
        twin_settlement,
        twin_estimates,
        twin_periods,
        twin_disputes,
        twin_payments,
    ):
        monkeypatch.setattr(module, "CHUNK", 4)
    for name, limit in (("BUDGET", 11), ("IDS_MAX", 2)):
        monkeypatch.setattr(twin_module, name, limit)
    monkeypatch.setattr(twin_registry, "ENTRIES_MAX", 2)
    for name in ("PROPOSALS_MAX", "REGISTRATIONS_MAX"):
        monkeypatch.setattr(undecided, name, 2)
        monkeypatch.setattr(twin_governance, name, 2)
    for name, limit in (("PARTS_MAX", 3), ("ENTRIES_MAX", 5)):
        monkeypatch.setattr(market_profile, name, limit)
        monkeypatch.setattr(twin_profiles, name, limit)
    monkeypatch.setattr(decision, "PROPOSALS_MAX", 2)
    monkeypatch.setattr(dispute_open, "OPEN_MAX", 1)
    monkeypatch.setattr(twin_disputes, "OPEN_MAX", 1)
    monkeypatch.setattr(registry_register, "REGISTRATIONS_MAX", 2)


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


def difference(state: MemoryState, twin: Twin) -> str:
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


def run_seed(seed: int) -> None:
    """Drive both through one world, which meets acceptance and many kinds of refusal."""
    world = World(seed)
    genesis = world.consortium.genesis
    check_genesis(genesis)
    maker, twin, ledger = BlockMaker(world), Twin(cbor.decode(genesis.encode())), MemoryLedger(genesis)
    state = ledger.state
    where = f"seed {seed} {outline(world)}\n  again: {reproduce(seed)}"
    assert state.root() == twin.state_root(), f"genesis of {where}\n  {difference(state, twin)}"
    met: set[int] = set()
    for _ in range(blocks()):
        height, time_s, wires = maker.next_block(twin)
        certified_height, offenders = maker.draw_certified()
        applied = ledger.apply(wires, time_s, certified_height, offenders)
        codes = twin.apply_block(height, time_s, wires, is_cheaply_signed, certified_height, offenders)
        ours = [int(result.code) for result in applied.results]
        assert ours == codes, f"codes at height {height} of {where}\n  {codes_apart(wires, ours, codes)}"
        for result in applied.results:
            if result.id in twin.refused_rows and result.code == Code.ACCEPTED:
                assert [*map(tuple, result.rows)] == sorted(twin.refused_rows[result.id]), where
        assert [result.digest for result in applied.results] == [transaction_digest(wire) for wire in wires], where
        assert applied.work_pending == twin.work_left, f"work left over at height {height} of {where}"
        assert state.root() == twin.state_root(), f"root at height {height} of {where}\n  {difference(state, twin)}"
        met |= set(codes)
    assert Code.ACCEPTED in met, where
    assert len(met) >= blocks() * CODES_MET_MIN // BLOCKS, f"codes {sorted(met)} of {where}"


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
