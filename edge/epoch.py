"""A new epoch for a gateway whose outbox is lost, damaged or refused: opened by its organisation, visible on the ledger.

The old file, if any, is kept aside. Batches in it that have no receipt are signed anew in the new epoch with the same
readings (a value that the ledger already has counts as equal), so that only what the file no longer holds is missing. What a
wrong clock signed is left behind: boundaries to come, and such as are older than an outbox keeps anything.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.batches import after
from edge.config import EdgeConfig
from edge.nodes import Nodes
from edge.outbox import Outbox
from edge.outbox_file import OutboxDamagedError, QueuedBatch, create_outbox, is_outbox_there, keep_aside
from edge.parts import AgentParts
from edge.progress import Progress
from edge.receipts import ReceiptTrust
from edge.standing import Standing, believed_boundary_s, check_status, fetch_standing
from gridcore.clock import WallClock
from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.errors import EncodingError, GridError, UsageError
from gridcore.header import VerificationError
from gridcore.logs import get_logger
from gridcore.sm import Signer
from gridcore.transactions.content import CLIENT_ID_BYTES, sign_content
from gridcore.transactions.open_epoch import REASON_CHARACTERS_MAX, OpenEpoch
from gridcore.transactions.reading_batch import VerifiedHeader

VALID_S = 3600

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """``was_open``: the ledger had it open and unused already; ``carried``: batches signed anew; ``left_out``: batches of a
    false time, which only the old file has; ``aside``: that file.
    """

    epoch: int
    was_open: bool
    carried: int
    left_out: int
    aside: Path | None


async def open_epoch(parts: AgentParts, organisation: str, signer: Signer, reason: str, client: Nodes) -> NewEpoch:
    """Open the gateway's next epoch as ``organisation`` and start a new outbox (the caller holds ``lock_outbox``).

    ``client`` signs as the organisation. An epoch that the ledger has open but unused is taken instead of a further one.
    GridError when the ledger refuses, or its receipt does not verify; then nothing here has changed.
    """
    config = parts.config
    if not 1 <= len(reason) <= REASON_CHARACTERS_MAX:
        raise UsageError(f"--reason has 1 to {REASON_CHARACTERS_MAX} characters, not {len(reason)}")
    waiting, old_epoch = _read_old(config)
    status = await client.status()
    check_status(config, status)
    standing = await fetch_standing(client, config.gateway)
    was_open = standing.counter == 0 and old_epoch != standing.epoch
    opened_by: VerifiedHeader | None = None
    if not was_open:
        content = OpenEpoch(
            client_id=secrets.token_bytes(CLIENT_ID_BYTES),
            valid_until_s=status.ledger_time_s + VALID_S,
            epoch=standing.epoch + 1,
            gateway=config.gateway,
            reason=reason,
        )
        signed = sign_content(content, chain=config.chain, signer=organisation, sign=signer.sign)
        opened_by = await _decide(client, signed.wire, config, parts.trust)
        standing = await fetch_standing(client, config.gateway)
    carried = [item for item in waiting if _is_of_true_time(item, status.ledger_time_s, config)]
    left_out = len(waiting) - len(carried)
    if left_out:
        _log.error(
            "batches_left_out", batches=left_out, effect="their boundaries are of a false time; the old file has them"
        )
    aside = _start_anew(parts, standing, carried, opened_by)
    _log.info("epoch_opened", gateway=config.gateway, epoch=standing.epoch, carried=len(carried))
    return NewEpoch(standing.epoch, was_open, len(carried), left_out, aside)


def _is_of_true_time(item: QueuedBatch, ledger_time_s: int, config: EdgeConfig) -> bool:
    """Whether a boundary can have been one: not to come, not before the first, not older than an outbox keeps anything."""
    oldest_s = max(config.first_boundary_s, ledger_time_s - config.outbox_limits.age_s_max)
    return oldest_s <= item.boundary_s <= ledger_time_s


def _read_old(config: EdgeConfig) -> tuple[list[QueuedBatch], int | None]:
    """The batches without receipt and the epoch of the old outbox; nothing when it is lost or damaged."""
    if not is_outbox_there(config.outbox):
        return [], None
    try:
        old = Outbox.open(config.outbox, gateway=config.gateway, chain=config.chain, limits=config.outbox_limits)
    except OutboxDamagedError as error:
        _log.error("outbox_given_up", reason=str(error))
        return [], None
    try:
        return old.oldest(old.depth), old.progress.epoch
    finally:
        old.close()


async def _decide(client: Nodes, wire: bytes, config: EdgeConfig, trust: ReceiptTrust) -> VerifiedHeader:
    """Submit; the header of the receipt, which verifies and says that the epoch was opened."""
    transaction = decode_transaction(wire)
    (answer,) = await client.submit([wire])
    if answer.code not in (Code.ACCEPTED, Code.EXISTS):
        raise GridError(f"gateway {config.gateway}: the ledger refuses a new epoch: {answer.code} {answer.name}")
    receipt = await client.receipt(transaction.id)
    if receipt is None:
        raise GridError(f"gateway {config.gateway}: the node gives no receipt of the new epoch; run this again")
    try:
        await trust.check(client, receipt, transaction.digest)
    except (VerificationError, EncodingError) as error:
        raise GridError(f"gateway {config.gateway}: the receipt of the new epoch does not count: {error}") from None
    if receipt.code != Code.ACCEPTED:
        raise GridError(f"gateway {config.gateway}: the receipt says that the new epoch was refused: {receipt.code}")
    return VerifiedHeader(receipt.header.height, receipt.header.digest())


def _start_anew(
    parts: AgentParts, standing: Standing, waiting: Sequence[QueuedBatch], opened_by: VerifiedHeader | None
) -> Path | None:
    config = parts.config
    last_boundary_s = believed_boundary_s(config, standing, WallClock())
    progress = Progress(
        config.gateway, config.chain, standing.epoch, last_boundary_s=last_boundary_s, receipt=opened_by
    )
    remade: list[QueuedBatch] = []
    for item in waiting:
        made = parts.maker.remake(item.wire, progress)
        remade.append(made)
        progress = after(progress, made)
    aside = keep_aside(config.outbox) if is_outbox_there(config.outbox) else None
    create_outbox(config.outbox, progress, remade)
    return aside
