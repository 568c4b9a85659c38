"""Accepts the clock in the name of a signer, for a node whose machine's clock is synchronised (docs/node.md)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gridcore.clock import Clock
from gridcore.kernel_clock import kernel_clock_state
from gridcore.logs import get_logger
from gridcore.sm import Signer
from gridcore.transactions.clock_accept import ClockAccept
from gridcore.transactions.content import CLIENT_ID_BYTES, sign_content
from gridcore.transactions.reading_batch import ClockState
from ledger.engines.base import Engine

LOOK_S: Final = 1.0
LOOKS: Final = 30
"""So many looks in a row must find that ledger time stands and that the machine's clock is synchronised."""
VALID_S: Final = 3600

log = get_logger(__name__)


@dataclass(frozen=True)
class Timekeeper:
    """``run`` it beside an engine. signer_name: of role clock, on ``chain``; clock: the machine's; state: what the kernel says of it."""

    engine: Engine
    chain: str
    signer_name: str
    signer: Signer
    clock: Clock
    state: Callable[[], ClockState] = kernel_clock_state
    look_s: float = LOOK_S

    async def run(self) -> None:
        """Look until cancelled."""
        sure = 0
        while True:
            await asyncio.sleep(self.look_s)
            is_wanted = self.engine.stands_s > 0 and self.state().state == "synced"
            sure = sure + 1 if is_wanted else 0
            if sure == LOOKS:
                sure = 0
                await self._accept()

    async def _accept(self) -> None:
        to_s, ledger_time_s = self.clock.now_s(), await self.engine.wait_clock(-1, 0.0)
        wire = sign_acceptance(self.chain, self.signer_name, self.signer, ledger_time_s, to_s)
        (outcome,) = await self.engine.submit([wire])
        log.warning("clock_accepted", to_s=to_s, ledger_time_s=ledger_time_s, code=int(outcome.code))


def sign_acceptance(chain: str, signer_name: str, signer: Signer, ledger_time_s: int, to_s: int) -> bytes:
    """clock/accept as wire bytes: ledger time, which is ``ledger_time_s``, may come up to ``to_s`` (both UTC seconds)."""
    content = ClockAccept(
        client_id=secrets.token_bytes(CLIENT_ID_BYTES), valid_until_s=ledger_time_s + VALID_S, to_s=to_s
    )
    return sign_content(content, chain=chain, signer=signer_name, sign=signer.sign).wire
