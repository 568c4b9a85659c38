"""Ledger time and client ids (docs/spec/state.md, "Client ids", "clock/advance")."""

from __future__ import annotations

from typing import Any, Final

from gridcore.codes import Code
from gridcore.envelope import Transaction
from ledger.state.draft import Draft

VALID_S_MAX: Final = 86_400
IDS_PER_HOUR_MAX: Final = 4096
BUCKETS: Final = 48
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
    draft.put("time", {"ledger_time_s": to_s})
    remember_client_id(draft, transaction)
    return Code.ACCEPTED, ()


def check_client_id(draft: Draft, transaction: Transaction) -> Code:
    """ACCEPTED for a client id that is valid and new, EXISTS for the same transaction again, else why not."""
    valid_until_s = transaction.identity["valid_until_s"]
    if valid_until_s < draft.ledger_time_s:
        return Code.EXPIRED
    if valid_until_s > draft.ledger_time_s + VALID_S_MAX:
        return Code.VALID_TOO_LONG
    ids = _ids(draft, valid_until_s)
    own = [entry for entry in ids if entry[0] == transaction.signer]
    for _, client_id, transaction_id in own:
        if client_id == transaction.identity["client_id"]:
            return Code.EXISTS if transaction_id == transaction.id else Code.ID_REUSED
    return Code.TOO_MANY_IDS if len(own) >= IDS_PER_HOUR_MAX else Code.ACCEPTED


def remember_client_id(draft: Draft, transaction: Transaction) -> None:
    """Keep an accepted transaction's client id until it has expired."""
    valid_until_s = transaction.identity["valid_until_s"]
    ids = _ids(draft, valid_until_s)
    entry = [transaction.signer, transaction.identity["client_id"], transaction.id]
    draft.put(_bucket(valid_until_s), {"hour": valid_until_s // _HOUR_S, "ids": [*ids, entry]})


def _bucket(valid_until_s: int) -> str:
    return f"seen/{valid_until_s // _HOUR_S % BUCKETS}"


def _ids(draft: Draft, valid_until_s: int) -> list[list[Any]]:
    bucket = draft.get(_bucket(valid_until_s))
    return list(bucket["ids"]) if bucket is not None and bucket["hour"] == valid_until_s // _HOUR_S else []
