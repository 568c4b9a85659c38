"""From the outbox to the ledger: oldest first, again until a receipt that we have verified ourselves, never past a refusal.

What each answer means for the batch it belongs to:

    ACCEPTED, EXISTS                    fetch its receipt, verify it (edge.receipts), delete the batch
    COUNTER_PASSED, COUNTER_REUSED      the same when there is an accepting receipt of this very batch, else a refusal
    codes of RETRY, no answer           send again after a pause that doubles, with jitter
    "not now", "less often" (503, 429)  the same, and not before the node has said, up to ``retry_ms_max``
    decided, not yet certified          the same: it stays here until its receipt has come
    any other code                      halt: the batches behind it hang on it. Keep all, raise an alarm, ask again rarely
    a receipt that does not verify      alarm, keep all, ask again
    the node's history lacks a header   the same, whatever the code: what was acknowledged before is not there any more
    that a receipt has shown us
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from edge.backoff import backoff_ms
from edge.config import SubmitPolicy
from edge.outbox import Outbox, OutboxError
from edge.outbox_file import QueuedBatch
from edge.progress import RefusedRow
from edge.receipts import ReceiptTrust
from gridcore.codes import RETRY, Code
from gridcore.envelope import decode_transaction
from gridcore.errors import EncodingError, GridError
from gridcore.header import Receipt, VerificationError
from gridcore.logs import get_logger
from gridcore.remedies import code_name, remedy_of
from ledger.client import Answer, NodeBusy, NodeRefused, NodeUnreachable, NotCertified

METERS_SHOWN_MAX = 16
"""Meters that a line of the log names."""
HALTED_S = 300.0
"""A refused batch is offered again after this: what was wrong may have been mended at the ledger."""
COPIED = "another batch stands under its counter: a copy of this outbox is or was in use. Open a new epoch: 'gridledger edge epoch'"
"""What a gateway that exists twice is told (docs/operating/cloned-gateway.md)."""

_log = get_logger(__name__)


class Node(Protocol):
    """What submission needs of ``ledger.client.Client``."""

    async def submit(self, transactions: Sequence[bytes]) -> list[Answer]:
        """See ``ledger.client.Client``."""
        ...

    async def receipt(self, transaction_id: bytes) -> Receipt | None:
        """See ``ledger.client.Client``."""
        ...

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        """See ``ledger.client.Client``."""
        ...


class Outcome(Enum):
    """How one round of submission ended."""

    ALL_DONE = "every batch that was sent has its verified receipt"
    RETRY = "try again soon"
    HALTED = "a batch was refused, or a receipt does not verify"


class _HaltedError(GridError):
    """Submission must not go on behind this batch; the message is the alarm."""


class Submitter:
    """Empties an outbox into a node. ``trust``: whose receipts count."""

    def __init__(
        self,
        node: Node,
        outbox: Outbox,
        *,
        trust: ReceiptTrust,
        policy: SubmitPolicy | None = None,
        jitter: random.Random | None = None,
    ) -> None:
        self._node = node
        self._outbox = outbox
        self._trust = trust
        self._policy = policy or SubmitPolicy()
        self._jitter = jitter or random.SystemRandom()
        self._wake = asyncio.Event()
        self._said = ""
        self._left_alone_s = 0

    def wake(self) -> None:
        """There is a new batch, or the node is back: do not wait out the pause between tries.

        The pause after a halt (HALTED_S) is waited out: a refused batch is not accepted for a new one behind it.
        """
        self._wake.set()

    async def run(self) -> None:
        """Submit for ever; ends only by cancellation."""
        failures = 0
        while True:
            self._wake.clear()
            if not self._outbox.depth:
                await self._wake.wait()
                continue
            outcome = await self.submit_once()
            if outcome is Outcome.ALL_DONE:
                failures = 0
            elif outcome is Outcome.RETRY:
                failures += 1
                pause_ms = backoff_ms(failures, self._policy.retry_ms_min, self._policy.retry_ms_max, self._jitter)
                asked_ms = min(1000 * self._left_alone_s, self._policy.retry_ms_max)
                await asyncio.sleep(asked_ms / 1000.0)  # a new batch does not shorten what the node has asked for
                pause_ms -= asked_ms
                if pause_ms <= 0:
                    continue
                with contextlib.suppress(TimeoutError):  # wait_for of Python 3.11 may swallow a cancellation
                    async with asyncio.timeout(pause_ms / 1000.0):
                        await self._wake.wait()
            else:
                await asyncio.sleep(HALTED_S)

    async def submit_once(self) -> Outcome:
        """Send the oldest batches once and delete those whose receipts verify."""
        try:
            batches = await asyncio.to_thread(self._outbox.oldest, self._policy.batches_per_request)
        except OutboxError as error:
            self._say("outbox_not_read", str(error))
            return Outcome.RETRY
        if not batches:
            return Outcome.ALL_DONE
        self._left_alone_s = 0
        receipts: list[tuple[int, Receipt]] = []
        refused: list[RefusedRow] = []
        outcome, alarm = Outcome.ALL_DONE, ""
        try:
            answers = await self._node.submit([batch.wire for batch in batches])
            for batch, answer in zip(batches, answers, strict=True):
                receipt = await self._settle(batch, answer, is_oldest=batch is batches[0])
                if receipt is None:
                    outcome = Outcome.RETRY
                    break
                receipts.append((batch.counter, receipt))
                refused += _refused_rows(batch, answer)
        except (NodeUnreachable, NodeRefused) as error:
            self._say_trouble(error)
            outcome = Outcome.RETRY
        except _HaltedError as halted:
            outcome, alarm = Outcome.HALTED, str(halted)
        if receipts and not await self._acknowledge(receipts, refused):
            outcome = Outcome.RETRY
        if alarm:
            await self._raise_alarm(alarm)
        elif outcome is Outcome.ALL_DONE and self._said:
            _log.info("node_takes_batches_again", last=self._said)
            self._said = ""
        return outcome

    async def _settle(self, batch: QueuedBatch, answer: Answer, *, is_oldest: bool) -> Receipt | None:
        """The verified receipt that decided ``batch``, None to try again; _HaltedError when neither is right."""
        if answer.other_history:
            raise _HaltedError(
                f"batch {batch.counter} names a header of a verified receipt, and the node's history does not have it: the node "
                "lost blocks, or signed another history"
            )
        if answer.code in RETRY:
            self._say("batch_not_taken_yet", f"batch {batch.counter}: {answer.name}", code=answer.code)
            if is_oldest and answer.waiting_for is not None and answer.waiting_for < batch.counter:
                lost = f"{answer.waiting_for} to {batch.counter - 1}"
                raise _HaltedError(f"the node waits for batches {lost}, which it had acknowledged: it lost blocks")
            return None
        is_applied = answer.code in (Code.ACCEPTED, Code.EXISTS)
        refused = f"batch {batch.counter} was refused: {answer.code} {answer.name}"
        if not is_applied and answer.code not in (Code.COUNTER_PASSED, Code.COUNTER_REUSED):
            to_do = remedy_of(answer.code)
            raise _HaltedError(f"{refused}: {to_do}" if to_do else refused)
        receipt = await self._node.receipt(batch.id)
        if receipt is None:
            if is_applied:
                self._say("receipt_not_there_yet", f"batch {batch.counter}", code=answer.code)
                return None
            raise _HaltedError(f"{refused}; {COPIED}")
        try:
            digest = decode_transaction(batch.wire).digest
            await self._trust.check(self._node, receipt, digest)
        except (VerificationError, EncodingError) as error:
            raise _HaltedError(f"the receipt of batch {batch.counter} does not count: {error}; all are kept") from None
        if receipt.code in (Code.COUNTER_PASSED, Code.COUNTER_REUSED):
            raise _HaltedError(f"{refused}; {COPIED}")
        if receipt.code != Code.ACCEPTED:
            raise _HaltedError(f"batch {batch.counter} was refused: its receipt says {receipt.code}")
        return receipt

    async def _acknowledge(self, receipts: Sequence[tuple[int, Receipt]], refused: Sequence[RefusedRow]) -> bool:
        newest = max((receipt.header for _, receipt in receipts), key=lambda header: header.height)
        counters = [counter for counter, _ in receipts]
        kept = {counter: receipt.encode() for counter, receipt in receipts}
        try:
            await asyncio.to_thread(self._outbox.acknowledge, counters, newest.height, newest.digest(), refused, kept)
        except OutboxError as error:  # they stay, and are answered EXISTS next time
            self._say("outbox_not_written", str(error))
            return False
        _log.debug("batches_acknowledged", counters=counters, height=newest.height, waiting=self._outbox.depth)
        return True

    async def _raise_alarm(self, alarm: str) -> None:
        _log.error("submission_halted", reason=alarm, waiting=self._outbox.depth)
        self._said = "submission_halted"
        with contextlib.suppress(OutboxError):  # the log has it
            await asyncio.to_thread(self._outbox.note_alarm, alarm)

    def _say_trouble(self, error: NodeUnreachable | NodeRefused) -> None:
        """Say why the node did not settle what it was sent, and keep in mind how long it wants to be left alone."""
        waiting = self._outbox.depth
        match error:
            case NotCertified():
                self._say("decided_not_yet_certified", error.detail, waiting=waiting)
            case NodeBusy():
                self._left_alone_s = error.retry_after_s
                self._say("node_is_busy", str(error), waiting=waiting, retry_after_s=error.retry_after_s)
            case NodeRefused():
                self._say("node_refused", str(error), waiting=waiting, status=error.status)
            case _:
                self._say("node_does_not_answer", str(error), waiting=waiting)

    def _say(self, event: str, reason: str, **facts: int) -> None:
        """One line when a trouble begins, not one for each try."""
        if self._said != event:
            _log.warning(event, reason=reason, **facts)
            self._said = event


def _refused_rows(batch: QueuedBatch, answer: Answer) -> list[RefusedRow]:
    """The readings of a batch that the ledger did not use; one line of the log for each code that they have."""
    refused = [RefusedRow(batch.boundary_s, meter, code) for _, meter, code in answer.rows]
    for code in sorted({row.code for row in refused}):
        name = code_name(code)
        meters = [row.meter for row in refused if row.code == code]
        what = {"rows": len(meters), "meters": meters[:METERS_SHOWN_MAX], "to_do": remedy_of(code)}
        _log.warning(
            "readings_not_used", batch=batch.counter, boundary_s=batch.boundary_s, code=code, verdict=name, **what
        )
    return refused
