"""What pages use of a node, and of the projection that follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ledger.client import Answer, NodeStatus


class NodeClient(Protocol):
    """What pages use of ``ledger.client.Client``."""

    async def status(self) -> NodeStatus:
        """What the node says of its chain."""

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        """The answer of ``/api/v1/<path>``."""

    async def query_about(self, path: str, body: bytes) -> Any:
        """The JSON answer of ``/api/v1/<path>`` to a question about a body."""

    async def submit(self, transactions: Sequence[bytes]) -> list[Answer]:
        """What became of transactions."""


class Progress(Protocol):
    """How far the projection of the ledger is: heights of blocks."""

    @property
    def height(self) -> int:
        """Up to here the time series holds everything."""

    @property
    def newest(self) -> int:
        """The newest height that was seen at the node."""
