"""The bound of the benchmark ``consortium``: an application that looks at nothing, under the same engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Self

from gridcore.sm3 import sm3
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.engine import Doors
from ledger.engines.cometbft.rpc import EngineRpc, EngineRpcError
from ledger.engines.cometbft.server import AbciServer


class TrivialEngine:
    """Accepts every transaction and keeps nothing; ``decided_s`` and ``send`` as in ``consortium_node.Engine``."""

    def __init__(self, doors: Doors) -> None:
        self.decided_s: dict[bytes, float] = {}
        self._server = AbciServer(self, doors.abci, self._stopped)
        self._rpc = EngineRpc(doors.rpc_port)
        self._block: Sequence[bytes] = ()
        self._waiters: dict[bytes, asyncio.Future[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._rpc.__aenter__()
        self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._server.close)
        await self._rpc.__aexit__()

    async def send(self, wire: bytes) -> None:
        """Return when the transaction is in a block."""
        waiter = self._waiters[sm3(wire)] = asyncio.get_running_loop().create_future()
        while True:
            try:
                await self._rpc.broadcast([wire])
                await waiter
            except EngineRpcError:
                await asyncio.sleep(0.1)  # it is being started
            else:
                return

    def _stopped(self, error: BaseException) -> None:
        """Nothing makes it stop."""

    def _committed(self, digests: Sequence[bytes]) -> None:
        for digest in digests:
            waiter = self._waiters.pop(digest, None)
            if waiter is not None:
                waiter.set_result(None)

    # ------------------------------------------------------------------------------------------- messages of ABCI

    def check_txs(self, requests: Sequence[abci.CheckTxRequest]) -> list[abci.CheckTxResponse]:
        """All may wait."""
        return [abci.CheckTxResponse() for _ in requests]

    def info(self, request: abci.InfoRequest) -> abci.InfoResponse:
        """At the beginning."""
        return abci.InfoResponse()

    def query(self, request: abci.QueryRequest) -> abci.QueryResponse:
        """Every peer may connect."""
        return abci.QueryResponse()

    def init_chain(self, request: abci.InitChainRequest) -> abci.InitChainResponse:
        """Whatever the chain."""
        return abci.InitChainResponse()

    def prepare_proposal(self, request: abci.PrepareProposalRequest) -> abci.PrepareProposalResponse:
        """All that waits."""
        return abci.PrepareProposalResponse(txs=request.txs)

    def process_proposal(self, request: abci.ProcessProposalRequest) -> abci.ProcessProposalResponse:
        """Whatever it holds."""
        return abci.ProcessProposalResponse(status=abci.ProcessProposalResponse.ACCEPT)

    def extend_vote(self, request: abci.ExtendVoteRequest) -> abci.ExtendVoteResponse:
        """Nothing."""
        return abci.ExtendVoteResponse()

    def verify_vote_extension(self, request: abci.VerifyVoteExtensionRequest) -> abci.VerifyVoteExtensionResponse:
        """Whatever it says."""
        return abci.VerifyVoteExtensionResponse(status=abci.VerifyVoteExtensionResponse.ACCEPT)

    def finalize_block(self, request: abci.FinalizeBlockRequest) -> abci.FinalizeBlockResponse:
        """Nothing changes."""
        self._block = request.txs
        return abci.FinalizeBlockResponse(tx_results=[abci.ExecTxResult() for _ in request.txs])

    def commit(self, request: abci.CommitRequest) -> abci.CommitResponse:
        """Whoever waits is told."""
        digests, now_s = [sm3(wire) for wire in self._block], time.monotonic()
        self.decided_s.update(dict.fromkeys(digests, now_s))
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._committed, digests)
        return abci.CommitResponse()
