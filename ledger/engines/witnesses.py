"""Gateways as witnesses: what they were given a receipt of must be in this node's history (docs/adr/0035-gateways-are-witnesses.md).

Each batch names the newest header that its gateway has verified. Where this history does not have that header, either blocks of this
node were lost, or its key has signed another history. The batch is taken all the same, and stays in the chain as testimony.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gridcore.logs import get_logger
from ledger.application import Examined

GATEWAYS_MAX: Final = 65_536
"""Gateways that are remembered; the alarm of further ones is the same alarm."""

log = get_logger(__name__)


class Witnesses:
    """Gateways that hold receipts of another history, until the node is started anew. Used by one event loop."""

    def __init__(self) -> None:
        self._gateways: set[str] = set()

    def __len__(self) -> int:
        return len(self._gateways)

    def hear(self, examined: Iterable[Examined]) -> None:
        """Raise the alarm for batches that name a header which is missing here: one line of the log for each gateway."""
        for one in examined:
            transaction, missing = one.candidate.transaction, one.missing
            if transaction is None or missing is None or transaction.signer in self._gateways:
                continue
            if len(self) < GATEWAYS_MAX:
                self._gateways.add(transaction.signer)
                log.error(
                    "gateway_has_receipt_of_another_history",
                    gateway=transaction.signer,
                    height=missing.height,
                    digest=missing.digest.hex(),
                    remedy="blocks of this node were lost, or its key has signed another history: see docs/node.md",
                )
