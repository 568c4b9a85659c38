"""Who did what: transactions that say more than what slots were metered and traded, with the organisation that is behind each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gridcore.codes import Code
from gridcore.envelope import Transaction, decode_transaction
from gridcore.errors import EncodingError
from gridcore.governance.table import decode_action
from gridcore.node_interface import API
from gridcore.registry.row import decode_row
from gridcore.registry.signer import SIGNER
from gridcore.serving.openapi import HEX, TEXT, WHOLE, Json, object_of
from gridcore.transactions.governance_propose import GovernancePropose
from gridcore.transactions.registry_register import RegistryRegister, decode_attached_rows
from ledger.http.parameters import optional, read_optional_word, read_start
from ledger.http.queries.answers import plain
from ledger.http.queries.blocks import check_height
from ledger.http.roles import READERS
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.store.rows import Act

ACTS_MAX: Final = 1_000
"""Acts in one answer; more where a single block has more."""


def audit(view: LedgerView, after_height: int, organisation: str | None) -> Json:
    """Acts after a height, ascending, of one organisation or all; ``height``: up to which the answer tells."""
    check_height(view, after_height)
    height, acts = view.reader.acts(after_height, ACTS_MAX)
    described = [_described(view, act, wire) for act, wire in _with_wires(view, acts)]
    shown = [act for act in described if organisation is None or act["organisation"] == organisation]
    return {"height": height, "newest": view.reader.height, "acts": shown}


def _with_wires(view: LedgerView, acts: list[Act]) -> Iterator[tuple[Act, bytes | None]]:
    """Each act with its bytes, None where it was refused and its block was pruned since."""
    wires: dict[int, bytes] = {}
    of_height = 0
    for act in acts:
        if act.height != of_height:
            of_height = act.height
            wires = {decided.position: decided.wire for decided in view.reader.transactions(of_height)}
        yield act, wires.get(act.position)


def _described(view: LedgerView, act: Act, wire: bytes | None) -> dict[str, Any]:
    header = view.reader.header(act.height)
    signer = view.reader.in_force(SIGNER, act.signer, header.ledger_time_s)
    return {
        "height": act.height,
        "time_s": header.time_s,
        "ledger_time_s": header.ledger_time_s,
        "id": act.id.hex(),
        "signer": act.signer,
        "organisation": None if signer is None else signer.organisation,
        "kind": act.kind,
        "code": act.code,
        "name": Code(act.code).name,
        "what": None if wire is None else _what(decode_transaction(wire)),
    }


def _what(transaction: Transaction) -> dict[str, Any]:
    """What it says; of a registration the keys of its rows and from when on each counts."""
    if transaction.kind == GovernancePropose.kind:
        return {"action": _action(transaction.body["action"]), "open_until_s": transaction.body["open_until_s"]}
    if transaction.kind != RegistryRegister.kind:
        return {name: plain(value) for name, value in transaction.body.items()}
    rows = map(decode_row, decode_attached_rows(transaction.attachment).rows)
    return {"rows": [{"key": row.key, "from_s": row.from_s} for row in rows]}


def _action(encoded: bytes) -> Any:
    """A proposed action; of one that was refused because it is none, its bytes."""
    try:
        action = decode_action(encoded)
    except EncodingError:
        return plain(encoded)
    return plain(action.sort.encode(action.record))


_ACT: Final = object_of(
    {
        "height": WHOLE,
        "time_s": WHOLE,
        "ledger_time_s": WHOLE,
        "id": HEX,
        "signer": TEXT,
        "organisation": {"type": ["string", "null"]},
        "kind": TEXT,
        "code": WHOLE,
        "name": TEXT,
        "what": {"type": ["object", "null"], "description": "Its body; of a registration key and from_s of its rows."},
    }
)

ROUTES: Final = (
    Query(
        rule=f"{API}/audit",
        summary="Who did what to registry, keys, epochs and clock.",
        access=READERS,
        query=audit,
        parameters=(
            optional("after_height", "Tell of blocks after this height.", read_start, "integer"),
            optional("organisation", "Of this organisation alone.", read_optional_word),
        ),
        schema=object_of({"height": WHOLE, "newest": WHOLE, "acts": {"type": "array", "items": _ACT}}),
    ),
)
