"""metering/open_epoch: an organisation lets a gateway that lost its outbox start a new counter."""

from __future__ import annotations

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.transactions.open_epoch import OpenEpoch
from gridcore.transactions.reading_batch import FIRST_PREVIOUS
from ledger.leaves.gateway import GATEWAY
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft


def open_epoch(draft: Draft, transaction: Transaction, content: OpenEpoch) -> Code:
    """Epochs follow one another without gaps; the gateway's organisation alone opens them."""
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    gateway = GATEWAY.load(draft, content.gateway)
    if gateway is not None and gateway.organisation != transaction.signer:
        return Code.NOT_PERMITTED
    if gateway is None or content.epoch != gateway.epoch + 1:
        return Code.EPOCH_NOT_NEXT
    opened = gateway._replace(counter=0, epoch=content.epoch, last=FIRST_PREVIOUS)
    GATEWAY.save(draft, opened, content.gateway)
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED
