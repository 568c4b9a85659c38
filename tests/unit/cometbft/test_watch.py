"""What a validator is told of its own machine: a clock that is off, a key that another node has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ledger.engines.cometbft import watch as module
from ledger.engines.cometbft.rpc import EngineRpc, EngineRpcError
from ledger.engines.cometbft.watch import ClockWatch, EngineWatch, are_enough
from simulators.consensus.founding import START_S
from tests.worlds.clocks import ManualClock
from tests.worlds.quartet import quartet


def test_clock_that_is_off_is_said_once_and_once_that_it_is_right_again(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock(10_000)
    watch = ClockWatch(clock)
    for ahead_s in (2, 3_600, 3_601, 3, -7_200, 0):
        clock.set_wrong(10_000 + ahead_s)
        watch.compare(10_000)
    told = [line.partition("event='")[2].partition("'")[0] for line in capsys.readouterr().err.splitlines()]
    assert told == ["clock_is_off", "clock_is_right", "clock_is_off", "clock_is_right"]


class Answers(EngineRpc):
    """An engine that answers as a test says; catching_up None: it does not."""

    def __init__(self, catching_up: bool | None = None, peers: int = 3, height: int = 47) -> None:
        self.catching_up = catching_up
        self.peers = peers
        self.height = height
        self.peer_height = 47

    async def ask(self, method: str, **_parameters: str) -> Any:
        """See ``EngineRpc``."""
        if self.catching_up is None:
            raise EngineRpcError("away")
        return {
            "status": {
                "sync_info": {"catching_up": self.catching_up},
                "validator_info": {"voting_power": "1"},
            },
            "net_info": {"n_peers": str(self.peers)},
            "num_unconfirmed_txs": {"total": "17"},
            "consensus_state": {"round_state": {"height/round/step": f"{self.height}/1/3"}},
            "dump_consensus_state": {
                "peers": [
                    {"peer_state": {"round_state": {"height": str(self.peer_height), "round": 1}}}
                    for _ in range(self.peers)
                ]
                + [{"peer_state": None}, {"peer_state": {"round_state": {"height": "0", "round": -1}}}]
            },
        }[method]


async def test_engine_is_away_behind_or_where_the_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rpc = Answers()
    watch = EngineWatch(rpc, lambda: [1, 1, 1, 1])
    await watch.look()
    monkeypatch.setattr(module, "AWAY_S", -1.0)
    assert watch.is_away
    monkeypatch.undo()
    rpc.catching_up = True
    await watch.look()
    assert (watch.is_away, watch.is_behind, watch.position) == (False, True, None)
    rpc.catching_up = False
    await watch.look()
    assert (watch.is_behind, watch.position) == (False, None), "not before it has followed for a while"
    monkeypatch.setattr(module, "FOLLOWED_S", 0.0)
    assert watch.position == (47, 1)
    numbers = {name: value for name, (_, value) in watch.gauges.items()}
    assert numbers == {"engine_peers": 3, "mempool_transactions": 17}


async def test_where_the_others_are_is_not_known_from_one_lagging_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLLOWED_S", 0.0)
    rpc = Answers(catching_up=False, peers=1)
    watch = EngineWatch(rpc, lambda: [1, 1, 1, 1])
    for peers, position in ((1, None), (2, None), (3, (47, 1)), (2, None), (3, (47, 1))):
        rpc.peers = peers
        await watch.look()
        assert watch.position == position, peers


async def test_where_the_others_are_is_not_known_while_an_engine_takes_their_blocks_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FOLLOWED_S", 0.0)
    rpc = Answers(catching_up=False, height=1)
    watch = EngineWatch(rpc, lambda: [1, 1, 1, 1])
    for height, position in ((1, None), (37, None), (45, None), (46, (47, 1)), (48, (48, 1))):
        rpc.height = height
        await watch.look()
        assert watch.position == position, height


@pytest.mark.parametrize(
    ("peers", "powers", "own_power", "enough"),
    [
        (4, [1] * 7, 1, False),
        (5, [1] * 7, 1, True),
        (2, [9, 9, 1, 1], 1, False),
        (3, [1, 1, 1, 4], 1, True),
        (2, [1, 1, 1, 4], 4, False),
        (3, [1, 1, 1, 4], 4, True),
        (0, [1], 1, True),
        (0, [1], 0, False),
        (1, [1, 1], 1, True),
    ],
)
def test_peers_are_enough_by_the_power_that_the_weakest_of_them_have_or_as_all_others(
    peers: int, powers: list[int], own_power: int, enough: bool
) -> None:
    assert are_enough(peers, powers, own_power) is enough


def test_signature_by_the_own_key_that_the_guard_does_not_know_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with quartet(tmp_path) as four:
        for step in range(3):
            four.decide([four.clock(START_S + 1 + step)])
        home = four.homes[3]
        guard = next((tmp_path / "node-3").rglob("guard"))
        shutil.copy(guard, tmp_path / "old")
        for step in range(3, 6):
            four.decide([four.clock(START_S + 1 + step)])
        assert "key_signs_elsewhere" not in capsys.readouterr().err
        home.close()
        shutil.copy(tmp_path / "old", guard)
        four.machines[3] = type(four.machines[3])(home.open())
        block = four.block(four.prepare())
        four.machines[3].finalize(block)
    assert "another node signs with this node's key, or an old guard was put back" in capsys.readouterr().err
