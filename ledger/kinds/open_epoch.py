"""metering/open_epoch: an organisation lets a gateway that lost its outbox start a new counter."""

from __future__ import annotations

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.signer import SIGNER
from gridcore.transactions.open_epoch import OpenEpoch
from gridcore.transactions.reading_batch import FIRST_PREVIOUS
from ledger.leaves.delivery import DELIVERY
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft


def open_epoch(draft: Draft, transaction: Transaction, content: OpenEpoch) -> Code:
    """Epochs follow one another without gaps; the gateway's organisation alone opens them."""
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    gateway, signer = draft.in_force(GATEWAY, content.gateway), draft.in_force(SIGNER, transaction.signer)
    if gateway is not None and (signer is None or gateway.organisation != signer.organisation):
        return Code.NOT_PERMITTED
    delivery = DELIVERY.load(draft, content.gateway)
    if gateway is None or delivery is None or content.epoch != delivery.epoch + 1:
        return Code.EPOCH_NOT_NEXT
    opened = delivery._replace(counter=0, epoch=content.epoch, last=FIRST_PREVIOUS)
    DELIVERY.save(draft, opened, content.gateway)
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED
