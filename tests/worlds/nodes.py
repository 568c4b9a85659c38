"""A node of a test chain in this process, with clients in everybody's name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gridcore.clock import WallClock
from gridcore.serving.asgi import open_socket, url_of
from gridcore.serving.tls import TlsFiles
from gridledger.settling.area_balance_month import AreaBalanceDocuments
from gridledger.settling.area_certificates import certificates_of_area
from gridledger.settling.area_month import AreaDocuments
from ledger.client import Client
from ledger.engines.embedded import EmbeddedEngine
from ledger.engines.quotas import Quotas
from ledger.http.dispatcher import Node
from ledger.http.server import Door, serve_node
from ledger.store.ledger import Ledger
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.waiting import until
from tests.worlds.consortium import Consortium
from tests.worlds.keys import key
from tests.worlds.ledgers import open_ledger
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import TWO_AREAS


@dataclass
class RunningNode:
    """A node, and clients of it."""

    url: str
    consortium: Consortium
    ledger: Ledger
    stop: asyncio.Event
    gateways_url: str
    _clients: dict[str, Client] = field(default_factory=dict)

    @property
    def chain(self) -> str:
        """The chain's id."""
        return self.consortium.chain

    def sender(self) -> Sender:
        """Everybody's hand, as if nothing had been sent yet."""
        return self.consortium.sender()

    def client(self, signer: str | None = None) -> Client:
        """A client that signs as ``signer``, or not at all."""
        name = signer or ""
        if name not in self._clients:
            signing = key(signer) if signer else None
            self._clients[name] = Client(self.url, chain=self.chain, signer_id=signer, signer=signing, timeout_s=10)
        return self._clients[name]

    async def close_clients(self) -> None:
        """Close them all."""
        for client in self._clients.values():
            await client.close()


@asynccontextmanager
async def running_node(
    data_dir: Path,
    consortium: Consortium = TWO_AREAS,
    *,
    quotas: Quotas | None = None,
    gateways: TlsFiles | None = None,
) -> AsyncIterator[RunningNode]:
    """A node on a free port of this machine; stopped at the end, which raises what broke it. ``gateways``: with a door for them."""
    bound = open_socket("127.0.0.1", 0)
    doors = [Door(bound)]
    if gateways is not None:
        doors.append(Door(open_socket("127.0.0.1", 0), gateways))
    stop, ready = asyncio.Event(), asyncio.Event()
    with closing(open_ledger(data_dir, consortium, clock=WallClock())) as ledger:
        running = RunningNode(url_of(bound), consortium, ledger, stop, url_of(doors[-1].bound, doors[-1].tls))
        async with EmbeddedEngine(ledger, quotas=quotas) as engine:
            makes = (AreaDocuments(), certificates_of_area, AreaBalanceDocuments())
            node = Node(ledger, engine, CONTRACTS, statements, WallClock(), "0.0-test", stop, *makes)
            serving = asyncio.create_task(serve_node(node, *doors, ready=lambda _: ready.set()))
            await ready.wait()
            try:
                yield running
            finally:
                await running.close_clients()
                stop.set()
                await serving


async def wait_for_waiters(url: str, count: int) -> None:
    """Until ``count`` requests wait with the node at ``url`` for ledger time or for a block."""
    async with httpx.AsyncClient(trust_env=False) as http:

        async def is_so() -> bool:
            return f"gridledger_node_waiters {count}\n" in (await http.get(f"{url}/metrics")).text

        await until(is_so)


async def submit_all(client: Client, submissions: Sequence[Sequence[bytes]]) -> None:
    """Submit one after the other; every transaction must be accepted."""
    for wires in submissions:
        answers = await client.submit(wires)
        assert [answer.name for answer in answers] == ["ACCEPTED"] * len(wires)
