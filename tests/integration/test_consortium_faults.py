"""Four validators with the real engine: killed, parted and healed. What was acknowledged stays, and nobody ever differs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from ledger.engines.base import BLOCK_INTERVAL_S, INTERVALS_WAITED_MAX, STALLS
from tests.external import NEEDS_COMETBFT
from tests.integration.consortium_world import MEMBERS, PATIENCE_S, STARTED_S, Consortium, running
from tests.waiting import wait_until

pytestmark = [*NEEDS_COMETBFT, pytest.mark.slow]
QUIET_S = 6.0
"""So long nothing may move where nobody has more than two thirds: several rounds of the engine."""
READY_S_MAX = 5.0
"""So long after three block intervals it may take until a node says that its transactions wait."""


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    """Four nodes that run; each test leaves them running, on whatever height."""
    with running(tmp_path_factory.mktemp("f")) as found:
        yield found


class Clock:
    """Steps of ledger time, each once."""

    now_s = STARTED_S + 60

    @classmethod
    def next(cls) -> int:
        """The next instant."""
        cls.now_s += 60
        return cls.now_s


def check_goes_on(consortium: Consortium, via: str) -> None:
    """A further transaction is acknowledged, every node certifies its block, and all agree on every header."""
    consortium.advance(Clock.next(), via)
    consortium.wait_height(consortium.certified(via))
    consortium.check_agreement()


def test_engine_killed_is_started_again_and_its_node_follows(consortium: Consortium) -> None:
    consortium.kill_engine("retailer")
    check_goes_on(consortium, "grid")
    check_goes_on(consortium, "retailer")


def test_node_killed_comes_back_and_follows(consortium: Consortium) -> None:
    consortium.kill("aggregator")
    consortium.advance(Clock.next(), "grid")
    consortium.start("aggregator")
    check_goes_on(consortium, "aggregator")


def test_node_and_engine_killed_together_come_back(consortium: Consortium) -> None:
    consortium.kill_engine("regulator")
    consortium.kill("regulator")
    consortium.start("regulator")
    check_goes_on(consortium, "regulator")


def test_all_killed_at_once_come_back_with_everything_that_was_acknowledged(consortium: Consortium) -> None:
    consortium.advance(Clock.next())
    acknowledged = Clock.now_s
    consortium.kill_engine(*MEMBERS)
    consortium.kill(*MEMBERS)
    consortium.start(*MEMBERS)
    check_goes_on(consortium, "grid")
    for name in MEMBERS:
        status = consortium.status(name)
        assert status is not None
        assert status.ledger_time_s >= acknowledged


def test_one_validator_that_is_parted_stops_and_catches_up(consortium: Consortium) -> None:
    consortium.network.part(["grid"])
    try:
        consortium.advance(Clock.next(), "retailer")
        reached = consortium.certified("retailer")
        assert consortium.height("grid") < reached
    finally:
        consortium.network.heal()
    consortium.wait_height(reached, "grid")
    check_goes_on(consortium, "grid")


def test_two_against_two_stop_without_a_wrong_answer_and_go_on_when_healed(consortium: Consortium) -> None:
    wire = consortium.clock_step(Clock.next())
    consortium.network.part(["grid", "retailer"])
    try:
        wait_until(lambda: is_still(consortium), "nobody makes blocks", PATIENCE_S)
        (answer,) = consortium.submit("grid", [wire])
        assert answer.name == "NODE_BUSY"
        consortium.check_agreement()
    finally:
        consortium.network.heal()
    check_goes_on(consortium, "aggregator")


def test_a_node_whose_transaction_waits_three_block_intervals_is_not_ready_until_a_block_is_made(
    consortium: Consortium,
) -> None:
    assert readiness(consortium, "grid") == (200, "")
    wire = consortium.clock_step(Clock.next())
    consortium.network.part(["grid", "retailer"])
    try:
        with ThreadPoolExecutor(1) as pool:
            submitted_s = time.monotonic()
            submission = pool.submit(consortium.submit, "grid", [wire])
            wait_until(lambda: readiness(consortium, "grid")[0] == 503, "it is not ready", PATIENCE_S)
            took_s = time.monotonic() - submitted_s
            assert readiness(consortium, "grid") == (503, STALLS["waiting"])
            assert took_s < INTERVALS_WAITED_MAX * BLOCK_INTERVAL_S + READY_S_MAX
            (answer,) = submission.result()
        assert answer.name == "NODE_BUSY"
        assert readiness(consortium, "grid")[0] == 503, "who has given up waiting has made no block"
    finally:
        consortium.network.heal()
    wait_until(lambda: readiness(consortium, "grid") == (200, ""), "it is ready again", PATIENCE_S)


def readiness(consortium: Consortium, name: str) -> tuple[int, str]:
    """What a node answers at /readyz: the status, and what holds it up, "" for nothing."""
    answer = httpx.get(f"{consortium.url(name)}/readyz", timeout=30.0)
    return answer.status_code, answer.json().get("detail", "")


def is_still(consortium: Consortium) -> bool:
    """Whether no height moves for QUIET_S."""
    before = [consortium.height(name) for name in MEMBERS]
    time.sleep(QUIET_S)
    return [consortium.height(name) for name in MEMBERS] == before


def test_nodes_end_cleanly_with_their_engines(consortium: Consortium) -> None:
    engines = [consortium.engine_pid(name) for name in MEMBERS]
    assert consortium.stop(*MEMBERS) == [0, 0, 0, 0]
    for pid in engines:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    consortium.start(*MEMBERS)
    check_goes_on(consortium, "regulator")


def test_rebuilt_validator_follows_first_and_never_votes_twice(consortium: Consortium) -> None:
    consortium.kill("regulator")
    consortium.advance(Clock.next(), "grid")
    consortium.lose_disk("regulator")
    consortium.start("regulator")
    wait_until(lambda: "engine_votes_again" in consortium.log("regulator"), "it votes again", PATIENCE_S)
    check_goes_on(consortium, "regulator")
    consortium.kill("grid")  # now more than two thirds are there with it alone
    consortium.advance(Clock.next(), "regulator")
    consortium.start("grid")
    check_goes_on(consortium, "grid")
    engine_log = consortium.folder / "regulator" / "engine" / "engine.log"
    assert "conflicting vote" not in engine_log.read_text()
