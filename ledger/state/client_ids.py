"""Client ids: a transaction that its sender names takes effect once (docs/spec/state.md, "Client ids")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.transactions.content import ClientNamed
from ledger.leaves.seen import SEEN, SeenId, SeenLeaf
from ledger.state.draft import Draft

VALID_S_MAX: Final = 86_400
IDS_PER_HOUR_MAX: Final = 4096
_HOUR_S: Final = 3600


def check_client_id(draft: Draft, transaction: Transaction, content: ClientNamed) -> Code:
    """ACCEPTED for a client id that is valid and new, EXISTS for the same transaction again, else why not."""
    valid_until_s = content.valid_until_s
    if valid_until_s < draft.ledger_time_s:
        return Code.EXPIRED
    if valid_until_s > draft.ledger_time_s + VALID_S_MAX:
        return Code.VALID_TOO_LONG
    own = [seen for seen in _seen_ids(draft, valid_until_s) if seen.signer == transaction.signer]
    for seen in own:
        if seen.client_id == content.client_id:
            return Code.EXISTS if seen.transaction_id == transaction.id else Code.ID_REUSED
    return Code.TOO_MANY_IDS if len(own) >= IDS_PER_HOUR_MAX else Code.ACCEPTED


def remember_client_id(draft: Draft, transaction: Transaction, content: ClientNamed) -> None:
    """Keep an accepted transaction's client id until it has expired."""
    hour = content.valid_until_s // _HOUR_S
    new = SeenId(transaction.signer, content.client_id, transaction.id)
    SEEN.save(draft, SeenLeaf(hour, [*_seen_ids(draft, content.valid_until_s), new]), hour)


def _seen_ids(draft: Draft, valid_until_s: int) -> Sequence[SeenId]:
    """The ids that are valid until the same hour."""
    hour = valid_until_s // _HOUR_S
    bucket = SEEN.load(draft, hour)
    return bucket.ids if bucket is not None and bucket.hour == hour else ()
