"""Batches of one block are judged together: they leave what they would have left one after the other."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridcore.codes import Code
from ledger.leaves import columns
from ledger.state import metering
from tests.worlds.consortium import SLOT_S, Consortium, area, feeder, gateway
from tests.worlds.feeders import FEEDERS, FIRST_SLOT_S
from tests.worlds.keys import sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender

GATEWAYS, METERS, BOUNDARIES = 4, 26, 3
WORLD = replace(
    FEEDERS,
    start_s=FIRST_SLOT_S + BOUNDARIES * SLOT_S,
    areas=[area(name) for name in ("A", "B")],
    gateways=[gateway(f"gw-{number}") for number in range(GATEWAYS)],
    meters=[feeder(number, area="AB"[number % 2], gateway=f"gw-{number // 3 % GATEWAYS}") for number in range(METERS)],
)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of three rows: a batch reaches into several, several batches meet in one."""
    monkeypatch.setattr(columns, "CHUNK_ROWS", 3)


def wires_of(draw: random.Random, world: Consortium, count: int) -> list[bytes]:
    """Batches with rows of every fate: taken, late, equal, another value, backwards, twice, foreign, unknown."""
    sender = Sender(world.chain, world.start_s, sign_cheaply)
    wires = []
    boundary = draw.randrange(BOUNDARIES)
    for _ in range(count):
        if draw.random() < 0.2:
            boundary = draw.randrange(BOUNDARIES)
        number = draw.randrange(GATEWAYS)
        own = [meter for meter in range(METERS) if meter // 3 % GATEWAYS == number]
        meters = draw.sample(own, draw.randint(1, len(own)))
        if draw.random() < 0.1:
            meters += draw.choices(range(METERS + 2), k=2)
        rows = [(meter, 100 + draw.choice([0, 200 * boundary]), 50) for meter in meters]
        wires.append(sender.batch(f"gw-{number}", FIRST_SLOT_S + boundary * SLOT_S, rows))
    return wires


def leaves(ledger: MemoryLedger) -> dict[str, bytes]:
    """Every leaf by key: blocks number new leaves by key, so that other blocks give the same leaves other numbers."""
    return {key: ledger.state.leaf(key) for key in ledger.state.leaf_keys()}


@given(st.randoms(use_true_random=False), st.integers(1, 9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_block_of_batches_leaves_what_a_block_for_each_leaves(draw: random.Random, count: int) -> None:
    wires = wires_of(draw, WORLD, count)
    together, alone = MemoryLedger(WORLD.genesis), MemoryLedger(WORLD.genesis)
    results = together.apply(wires).results
    assert results == tuple(alone.apply([wire]).results[0] for wire in wires)
    assert {result.code for result in results} == {Code.ACCEPTED}
    assert leaves(together) == leaves(alone)


def test_batches_are_joined_as_long_as_no_meter_occurs_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = Sender(WORLD.chain, WORLD.start_s, sign_cheaply)
    first, second = ([(meter, 100, 50) for meter in range(3 * gw, 3 * gw + 3)] for gw in range(2))
    joined: list[int] = []
    real = metering._keep_rows

    def counted(draft: Any, readings: Any) -> Any:
        joined.append(len(readings.seeds))
        return real(draft, readings)

    monkeypatch.setattr(metering, "_keep_rows", counted)
    ledger = MemoryLedger(WORLD.genesis)
    ledger.apply([sender.batch("gw-0", FIRST_SLOT_S, first), sender.batch("gw-1", FIRST_SLOT_S, second)])
    assert joined == [2]
    ledger.apply([sender.batch("gw-0", FIRST_SLOT_S, first), sender.batch("gw-0", FIRST_SLOT_S, first[:1])])
    assert joined == [2, 1, 1]
    later = FIRST_SLOT_S + SLOT_S
    ledger.apply([sender.batch("gw-0", later, first), sender.batch("gw-1", FIRST_SLOT_S, second[:1])])
    assert joined == [2, 1, 1, 1, 1]
