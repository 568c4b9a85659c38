"""Client ids: a transaction that its sender names takes effect once (docs/spec/state.md, "Client ids")."""

from __future__ import annotations

from typing import Final

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.transactions.content import ClientNamed
from ledger.leaves.seen import SEEN, SeenId
from ledger.state.draft import Draft
from ledger.state.seen_ids import SeenIds

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
    own = _seen_until(draft, valid_until_s).of(transaction.signer)
    known = own.get(content.client_id)
    if known is not None:
        return Code.EXISTS if known == transaction.id else Code.ID_REUSED
    return Code.TOO_MANY_IDS if len(own) >= IDS_PER_HOUR_MAX else Code.ACCEPTED


def remember_client_id(draft: Draft, transaction: Transaction, content: ClientNamed) -> None:
    """Keep an accepted transaction's client id until it has expired."""
    seen = _seen_until(draft, content.valid_until_s)
    seen.remember(SeenId(transaction.signer, content.client_id, transaction.id))


def write_client_ids(draft: Draft) -> None:
    """Write what a block has added: of two hours of one bucket the later one stays, for the other's ids have expired."""
    for hour in sorted(draft.seen):
        draft.seen[hour].write(draft)


def _seen_until(draft: Draft, valid_until_s: int) -> SeenIds:
    """The ids that are valid until the same hour."""
    hour = valid_until_s // _HOUR_S
    known = draft.seen.get(hour)
    if known is None:
        bucket = SEEN.load(draft, hour)
        known = draft.seen[hour] = SeenIds(hour, bucket.ids if bucket is not None and bucket.hour == hour else ())
    return known
