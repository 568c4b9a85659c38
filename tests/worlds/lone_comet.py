"""A consensus engine of one validator without a process: it has the door that ``EngineRpc`` has, and makes a block when a test says so."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.engine import CometEngine, Doors
from ledger.engines.cometbft.machine import Machine
from ledger.engines.cometbft.payloads import decode_wish
from ledger.engines.cometbft.proposals import framed_bytes
from ledger.engines.cometbft.rpc import EngineRpcError
from ledger.engines.pool import Limits
from ledger.engines.quotas import Quotas
from tests.worlds.feeders import FEEDERS
from tests.worlds.validators import open_consortium, with_validators

ALONE = with_validators(FEEDERS, {"operator": hashlib.sha256(b"operator").digest()})
TX_BYTES_MAX = 4 << 20


class LoneComet:
    """mempool: what waits; wishes: heights for which another block was asked; room: transactions that it takes; is_away: answers nobody.

    clock_s: block h is of h seconds later; block_bytes: as much of the mempool, in order of arrival, is a proposer given.
    """

    def __init__(self, machine: Machine) -> None:
        self.mempool: list[bytes] = []
        self.wishes: list[int] = []
        self.room = 1_000
        self.is_away = False
        self.clock_s = ALONE.start_s
        self.block_bytes = TX_BYTES_MAX
        self._machine = machine
        self._extension = b""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.mempool.clear()

    async def broadcast(self, wires: Sequence[bytes]) -> list[bool]:
        """See ``EngineRpc``."""
        if self.is_away:
            raise EngineRpcError("away")
        return [self._take(wire) for wire in wires]

    async def decide(self) -> int:
        """One block; returns its height."""
        return await asyncio.to_thread(self._decide)

    def _take(self, wire: bytes) -> bool:
        height = decode_wish(wire)
        if height is not None:
            self.wishes.append(height)
            return True
        if wire in self.mempool:
            return True
        if len(self.mempool) >= self.room:
            return False
        if self._machine.check_tx(abci.CheckTxRequest(tx=wire)).code == 0:
            self.mempool.append(wire)
        return True

    def _reaped(self) -> list[bytes]:
        ends = accumulate(framed_bytes(wire) for wire in self.mempool)
        return [wire for wire, end in zip(self.mempool, ends, strict=True) if end <= self.block_bytes]

    def _decide(self) -> int:
        machine, height = self._machine, self._machine.ledger.height + 1
        common: dict[str, Any] = {"height": height, "time": abci.Time(seconds=self.clock_s + height)}
        votes = [abci.ExtendedVoteInfo(vote_extension=self._extension)]
        commit = abci.ExtendedCommitInfo(votes=votes)
        proposal = machine.prepare_proposal(
            abci.PrepareProposalRequest(
                txs=self._reaped(), max_tx_bytes=TX_BYTES_MAX, local_last_commit=commit, **common
            )
        )
        accepted = machine.process_proposal(abci.ProcessProposalRequest(txs=proposal.txs, **common))
        assert accepted.status == abci.ProcessProposalResponse.ACCEPT
        self._extension = machine.extend_vote(abci.ExtendVoteRequest(height=height)).vote_extension
        machine.finalize_block(abci.FinalizeBlockRequest(txs=proposal.txs, **common))
        machine.commit(abci.CommitRequest())
        rest = [wire for wire in self.mempool if wire not in proposal.txs]
        again = machine.check_txs([abci.CheckTxRequest(tx=wire, type=abci.RECHECK) for wire in rest])
        self.mempool = [wire for wire, answer in zip(rest, again, strict=True) if answer.code == 0]
        return height


@asynccontextmanager
async def alone(
    folder: Path, *, limits: Limits | None = None, quotas: Quotas | None = None
) -> AsyncIterator[tuple[CometEngine, LoneComet]]:
    """The engine of one validator, under a ``LoneComet``."""
    with closing(open_consortium(folder / "data", ALONE, "operator")) as ledger:
        engine = CometEngine(ledger, Doors(f"unix://{folder / 'abci.sock'}", 1), limits, quotas)
        comet = LoneComet(engine._machine)
        engine._rpc = comet  # type: ignore[assignment]
        async with engine:
            yield engine, comet
