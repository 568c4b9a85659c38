"""Ledger time and client ids (docs/spec/state.md, "Client ids", "clock/advance")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridcore.codes import Code
from gridcore.envelope import Transaction
from ledger.leaves.ledger_time import TIME, TimeLeaf
from ledger.leaves.seen import SEEN, SeenId, SeenLeaf
from ledger.state.draft import Draft

VALID_S_MAX: Final = 86_400
IDS_PER_HOUR_MAX: Final = 4096
_HOUR_S: Final = 3600


def advance(draft: Draft, transaction: Transaction) -> tuple[Code, tuple[()]]:
    """clock/advance: move the ledger time of a simulated chain."""
    if not draft.is_simulated:
        return Code.CLOCK_IS_BLOCK_TIME, ()
    if (code := check_client_id(draft, transaction)) is not Code.ACCEPTED:
        return code, ()
    to_s = transaction.body["to_s"]
    if to_s <= draft.ledger_time_s:
        return Code.CLOCK_NOT_AHEAD, ()
    TIME.save(draft, TimeLeaf(to_s))
    remember_client_id(draft, transaction)
    return Code.ACCEPTED, ()


def check_client_id(draft: Draft, transaction: Transaction) -> Code:
    """ACCEPTED for a client id that is valid and new, EXISTS for the same transaction again, else why not."""
    valid_until_s = transaction.identity["valid_until_s"]
    if valid_until_s < draft.ledger_time_s:
        return Code.EXPIRED
    if valid_until_s > draft.ledger_time_s + VALID_S_MAX:
        return Code.VALID_TOO_LONG
    own = [seen for seen in _seen_ids(draft, valid_until_s) if seen.signer == transaction.signer]
    for seen in own:
        if seen.client_id == transaction.identity["client_id"]:
            return Code.EXISTS if seen.transaction_id == transaction.id else Code.ID_REUSED
    return Code.TOO_MANY_IDS if len(own) >= IDS_PER_HOUR_MAX else Code.ACCEPTED


def remember_client_id(draft: Draft, transaction: Transaction) -> None:
    """Keep an accepted transaction's client id until it has expired."""
    valid_until_s = transaction.identity["valid_until_s"]
    hour = valid_until_s // _HOUR_S
    new = SeenId(transaction.signer, transaction.identity["client_id"], transaction.id)
    SEEN.save(draft, SeenLeaf(hour, [*_seen_ids(draft, valid_until_s), new]), hour)


def _seen_ids(draft: Draft, valid_until_s: int) -> Sequence[SeenId]:
    """The ids that are valid until the same hour."""
    hour = valid_until_s // _HOUR_S
    bucket = SEEN.load(draft, hour)
    return bucket.ids if bucket is not None and bucket.hour == hour else ()
