"""The nodes that a gateway may talk to, as one: the one that answered last is asked, another where it does not answer.

A node that is busy is left alone for as long as it asks, and the others are not asked in its place: they have the same
blocks to make. Where a request has reached a node and its answer was lost, the next node gets the same bytes: it answers
EXISTS, or takes them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Self, TypeVar

from edge.config import EdgeConfig
from gridcore.header import Receipt
from gridcore.logs import get_logger
from gridcore.node_interface import WAIT_S_MAX
from gridcore.sm import Signer, SignerError
from ledger.client import Answer, Client, NodeBusy, NodeRefused, NodeStatus, NodeUnreachable

ANSWERED = "answered"

T = TypeVar("T")
_log = get_logger(__name__)


class NodeState(NamedTuple):
    """A node: whether it is the one that is asked first, and how its last answer was: "answered", a trouble, or "" (not asked yet)."""

    url: str
    is_asked: bool
    last: str


class Nodes:
    """Fills the place of a ``ledger.client.Client`` for whoever submits, asks for standing, or follows ledger time."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = clients
        self._now = 0
        self._last = ["" for _ in clients]
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for client in self._clients:
            await self._opened.enter_async_context(client)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    def states(self) -> list[NodeState]:
        """How each node stands, in the order of the configuration."""
        return [
            NodeState(client.url, number == self._now, self._last[number])
            for number, client in enumerate(self._clients)
        ]

    async def status(self) -> NodeStatus:
        """See ``Client``."""
        return await self._ask(lambda client: client.status())

    async def wait_clock(self, after_s: int, wait_s: float = WAIT_S_MAX) -> int:
        """See ``Client``."""
        return await self._ask(lambda client: client.wait_clock(after_s, wait_s))

    async def submit(self, transactions: Sequence[bytes]) -> list[Answer]:
        """See ``Client``."""
        return await self._ask(lambda client: client.submit(transactions))

    async def receipt(self, transaction_id: bytes) -> Receipt | None:
        """See ``Client``."""
        return await self._ask(lambda client: client.receipt(transaction_id))

    async def query(self, path: str, **params: str | int) -> Any:
        """See ``Client``."""
        return await self._ask(lambda client: client.query(path, **params))

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        """See ``Client``."""
        return await self._ask(lambda client: client.fetch_bytes(path, **params))

    async def report(self, gateway: str, body: bytes) -> int:
        """Tell every node what the gateway reports of itself; how many took it. Raises nothing for what a node or the key does."""
        taken = 0
        for client in self._clients:
            try:
                await client.query_about(f"gateways/{gateway}/report", body)
                taken += 1
            except (NodeUnreachable, NodeRefused, SignerError) as error:  # a token may be away for a while
                _log.debug("report_not_taken", node=client.url, reason=str(error))
        return taken

    async def _ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """The first answer of a node, beginning with the one that answered last; NodeUnreachable of the last one where none does."""
        asked = self._now
        for turn in range(len(self._clients)):
            number = (asked + turn) % len(self._clients)
            try:
                answer = await question(self._clients[number])
            except NodeBusy as error:
                self._last[number] = str(error)
                raise
            except NodeUnreachable as error:
                self._last[number] = str(error)
                failure = error
                continue
            self._last[number] = ANSWERED
            if number != self._now:
                _log.warning(
                    "another_node_is_asked", node=self._clients[number].url, instead_of=self._clients[asked].url
                )
                self._now = number
            return answer
        raise failure


def open_nodes(config: EdgeConfig, signer_id: str, signer: Signer) -> Nodes:
    """The configured nodes; queries to them are signed as ``signer_id``. UsageError where TLS files are none."""
    return Nodes(
        [
            Client(
                url,
                chain=config.chain,
                signer_id=signer_id,
                signer=signer,
                timeout_s=config.submit.timeout_ms / 1000.0,
                authority=config.node_authority,
                own=config.own_tls,
            )
            for url in config.nodes
        ]
    )
