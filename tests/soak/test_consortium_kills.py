"""Ten minutes of four validators with the real engine, killed and parted by turns of chance while ledger time moves on.

The same again: GRIDLEDGER_KILL_SEED=<printed>; another length: GRIDLEDGER_KILL_S=<seconds>.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.external import NEEDS_COMETBFT
from tests.integration.consortium_world import MEMBERS, PATIENCE_S, STARTED_S, Consortium, running
from tests.waiting import wait_until

pytestmark = [*NEEDS_COMETBFT, pytest.mark.soak]
LENGTH_S = float(os.environ.get("GRIDLEDGER_KILL_S") or 600)
SEED = int(os.environ.get("GRIDLEDGER_KILL_SEED") or secrets.randbits(32))


@pytest.fixture
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    """Four nodes that run."""
    with running(tmp_path_factory.mktemp("k")) as found:
        yield found


def test_whatever_is_killed_and_parted_nothing_acknowledged_is_lost_and_nobody_differs(consortium: Consortium) -> None:
    print(f"the same again: GRIDLEDGER_KILL_SEED={SEED} GRIDLEDGER_KILL_S={LENGTH_S:.0f}")
    chance, end_s, now_s = random.Random(SEED), time.monotonic() + LENGTH_S, STARTED_S + 60
    faults = (kill_node, kill_engine, kill_both, kill_all, part_one, part_half)
    done = 0
    while time.monotonic() < end_s:
        fault = chance.choice(faults)
        heal = fault(consortium, chance)
        if fault not in (kill_all, part_half):  # more than two thirds go on meanwhile
            now_s += 1
            there = [
                name for name in MEMBERS[:-1] if consortium.height(name) >= 0
            ]  # the last is the one that is parted
            consortium.advance(now_s, chance.choice(there))
        heal()
        now_s += 1
        consortium.advance(now_s, chance.choice(MEMBERS))
        consortium.wait_height(max(consortium.certified(name) for name in MEMBERS))
        consortium.check_agreement()
        for name in MEMBERS:
            status = consortium.status(name)
            assert status is not None, name
            assert status.ledger_time_s == now_s, name
        done += 1
    assert done


def kill_node(consortium: Consortium, chance: random.Random) -> Callable[[], None]:
    """kill -9 of a node; what brings it back."""
    name = chance.choice(MEMBERS)
    consortium.kill(name)
    return lambda: consortium.start(name)


def kill_engine(consortium: Consortium, chance: random.Random) -> Callable[[], None]:
    """kill -9 of an engine, which its node starts again."""
    consortium.kill_engine(chance.choice(MEMBERS))
    return lambda: None


def kill_both(consortium: Consortium, chance: random.Random) -> Callable[[], None]:
    """kill -9 of an engine and its node."""
    name = chance.choice(MEMBERS)
    consortium.kill_engine(name)
    consortium.kill(name)
    return lambda: consortium.start(name)


def kill_all(consortium: Consortium, chance: random.Random) -> Callable[[], None]:
    """kill -9 of everything at once, started again in any order."""
    consortium.kill_engine(*MEMBERS)
    consortium.kill(*MEMBERS)
    order = chance.sample(MEMBERS, len(MEMBERS))
    return lambda: consortium.start(*order)


def part_one(consortium: Consortium, chance: random.Random) -> Callable[[], None]:
    """One against three; clients stay with the three."""
    consortium.network.part([MEMBERS[-1]])
    return consortium.network.heal


def part_half(consortium: Consortium, chance: random.Random) -> Callable[[], None]:
    """Two against two for a while: nobody has more than two thirds."""
    consortium.network.part(chance.sample(MEMBERS, 2))
    time.sleep(chance.uniform(1, 10))
    return consortium.network.heal


def test_node_without_quorum_is_not_ready_and_says_why(consortium: Consortium) -> None:
    consortium.network.part(MEMBERS[:2])

    def answer() -> httpx.Response:
        return httpx.get(f"{consortium.url('grid')}/readyz", timeout=30)

    wait_until(lambda: answer().status_code == 503, "not ready", 2 * PATIENCE_S)
    assert "more than two thirds of the power do not reach one another" in answer().json()["detail"]
    consortium.network.heal()
    wait_until(lambda: answer().status_code == 200, "ready again", 2 * PATIENCE_S)
