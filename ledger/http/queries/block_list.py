"""Blocks as a list, for people who look through a chain: when, what kinds of transactions, who certified; where a transaction stands."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from gridcore.codes import Code
from gridcore.node_interface import API
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from ledger.http.parameters import TRANSACTION_ID, optional, read_whole
from ledger.http.roles import READERS
from ledger.http.route import Query
from ledger.http.view import LedgerView

BLOCKS_MAX: Final = 64
"""Blocks in one answer that lists them, and ..."""
BLOCKS_TRANSACTIONS_MAX: Final = 20_000
"""... transactions in these; more where a single block has more."""


def blocks(view: LedgerView, to_height: int | None) -> Json:
    """Blocks from ``to_height`` (the newest) down: when, how many transactions of which kinds, who certified the header.

    ``next``: the ``to_height`` of the answer that goes on; None where the first block is among these.
    """
    newest = view.reader.height
    height = newest if to_height is None else min(to_height, newest)
    found: list[dict[str, Any]] = []
    transactions = 0
    while height > 0 and len(found) < BLOCKS_MAX and transactions < BLOCKS_TRANSACTIONS_MAX:
        found.append(_summary(view, height))
        transactions += found[-1]["transactions"]
        height -= 1
    return {"newest": newest, "blocks": found, "next": height if height > 0 else None}


def _summary(view: LedgerView, height: int) -> dict[str, Any]:
    reader = view.reader
    contents, validators = view.contents.of(height), reader.validators_at(height)
    signed = {key for key, _ in reader.certificate(height)}
    return {
        "height": height,
        "time_s": reader.header(height).time_s,
        "transactions": contents.transactions,
        "refused": contents.refused,
        "kinds": None if contents.kinds is None else [asdict(one) for one in contents.kinds],
        "covered_by": reader.covering_height(height),
        "signed": [one.name for one in validators if one.public_key in signed],
        "missing": [one.name for one in validators if one.public_key not in signed],
        "power_signed": sum(one.power for one in validators if one.public_key in signed),
        "power": sum(one.power for one in validators),
    }


def transaction(view: LedgerView, transaction_id: bytes) -> Json:
    """Where a transaction was decided, and how."""
    decision = view.reader.find_transaction(transaction_id)
    if decision is None:
        raise Problem("not-found", "no block has decided this transaction")
    return {
        "id": transaction_id.hex(),
        "height": decision.height,
        "position": decision.position,
        "code": decision.code,
        "name": Code(decision.code).name,
    }


def _read_to_height(name: str, text: str | None) -> int | None:
    return None if text is None else read_whole(name, text)


ROUTES: Final = (
    Query(
        rule=f"{API}/blocks",
        summary="Blocks from a height down, with who certified them.",
        access=READERS,
        query=blocks,
        parameters=(optional("to_height", "The first one; default the newest.", _read_to_height, "integer"),),
        is_long=True,
    ),
    Query(
        rule=f"{API}/transactions/<transaction_id>",
        summary="Where a transaction was decided, and how.",
        access=READERS,
        query=transaction,
        parameters=(TRANSACTION_ID,),
    ),
)
