"""What every engine offers to the parts above it (``ledger.http``): submit transactions, wait for ledger time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gridcore.codes import Code
from gridcore.errors import GridError

BLOCK_INTERVAL_S: Final = 1.0
"""In which a node that nothing holds up decides what has come: the embedded engine's tick, a consortium's usual block."""
INTERVALS_WAITED_MAX: Final = 3
"""Whose transactions have waited longer than so many block intervals stands still."""
STALLS: Final = {
    "disk": "no blocks: the disk takes no writes, or has no more than the reserve; it goes on by itself when there is room",
    "block": "no blocks: one has been in the making for over a minute; see the node's log",
    "waiting": "transactions have waited for a block for over 3 s: see the node's log; a very large block ends by itself",
    "quorum": "no blocks for over a minute: validators with more than two thirds of the power do not reach one another; see who is away",
    "behind": "no blocks of its own: the node takes over what the other validators decided while it was away",
    "engine": "no blocks: the consensus engine does not answer, and is started again; see engine.log in its home",
    "clock": (
        "ledger time stands: the node's clock is more than 900 s ahead of it; put the clock right if it is wrong, "
        "else accept it (gridledger node accept-clock)"
    ),
}
"""Why an engine makes no blocks, or blocks that do nothing, by word."""


class EngineStoppedError(GridError):
    """The engine no longer makes blocks (it was closed, or a promise was broken); nothing submitted now is decided."""


class StandbyError(GridError):
    """This node has no key: it answers questions, and decides nothing that is submitted to it."""


@dataclass(frozen=True)
class Outcome:
    """What came of one submitted transaction: the node's answer to whoever submitted it.

    code: ACCEPTED or a refusal, decided in the block of ``height``; EXISTS with the height of the block that applied it;
    WAITING: held until counter ``waiting_for`` of the same gateway has come; NODE_BUSY: not taken, try again later.
    A refusal without a height never entered a block, so there is no receipt of it: 10 to 17, COUNTER_GAP and ROWS_MISMATCH, and any
    refusal beyond the share of its signer (``ledger.engines.refusals``).
    id: SM3 of the signed bytes, b"" for bytes that are no transaction. rows: verdicts of a batch's rows that were not used,
    as (row index, meter number, code). other_history: the batch names a verified header that this node's history does not have.
    """

    code: Code
    id: bytes
    height: int | None = None
    waiting_for: int | None = None
    rows: tuple[tuple[int, int, int], ...] = ()
    other_history: bool = False


@dataclass(frozen=True)
class Sender:
    """Where a submission comes from. ``network``: an address, or the network that one subscriber has; ``connection``: of it."""

    network: str
    connection: str


INSIDE: Final = Sender("", "")
"""This process itself."""


class Engine(Protocol):
    """One node's way to blocks."""

    async def submit(self, transactions: Sequence[bytes], sender: Sender = INSIDE) -> list[Outcome]:
        """Answer each transaction (wire bytes), in the order given, once it is decided and certified or refused.

        Cancelled, as when who submitted hangs up, it examines no more of them. EngineStoppedError when the engine has stopped.
        """
        ...

    @property
    def disputed_by(self) -> int:
        """Gateways that hold receipts of another history than this node's: an alarm where it is not 0."""
        ...

    @property
    def stall(self) -> str:
        """Why nothing goes on at the moment: a key of STALLS, or "" while all does."""
        ...

    @property
    def stands_s(self) -> int:
        """By how many seconds ledger time is behind the node's clock and waits for ``clock/accept``; 0 while it moves."""
        ...

    @property
    def gauges(self) -> Mapping[str, tuple[str, int]]:
        """Numbers of its own for metrics: name -> (help, value)."""
        ...

    async def wait_clock(self, after_s: int, timeout_s: float) -> int:
        """Ledger time (UTC seconds) as soon as it is later than ``after_s``, or as it is after ``timeout_s`` seconds."""
        ...

    async def wait_height(self, after_height: int, timeout_s: float) -> int:
        """Height of the newest block as soon as it is beyond ``after_height``, or as it is after ``timeout_s``."""
        ...

    async def wait_stopped(self) -> None:
        """Return when the engine was closed; raise what broke it otherwise, in its last block too."""
        ...
