"""The registry entity by entity, with its history, and what the ledger would say to new rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.node_interface import API, CBOR_TYPE
from gridcore.registry.entities import ENTITIES
from gridcore.registry.row import Row, decode_row, salt_rows, unsalted
from gridcore.registry.signer import SIGNER
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from gridcore.sm import is_valid_signature
from gridcore.transactions.registry_register import SEED_BYTES, decode_attached_rows
from ledger.http import parameters
from ledger.http.parameters import in_path, read_word
from ledger.http.queries.answers import leaf_page, plain
from ledger.http.roles import ADMINISTRATORS, READERS
from ledger.http.route import Posted, Query
from ledger.http.view import LedgerView
from ledger.kinds.registry_register import is_of_one
from ledger.leaves.pending import PENDING
from ledger.registry.entries import ENTITY_FAMILIES, NUMBER_FIELDS
from ledger.registry.histories import Fault
from ledger.state.draft import Draft
from ledger.state.registration_rules import Judge
from ledger.state.registrations import SaltedRow


def entities(view: LedgerView, kind: str, start: int) -> Json:
    """The names of all entities of a kind, in the order in which they were recorded first."""
    _check_kind(kind)
    keys, following = leaf_page(view, f"{kind}/", start)
    return {"kind": kind, "names": [key.partition("/")[2] for key in keys], "next": following}


def entity(view: LedgerView, kind: str, name: str) -> Json:
    """One entity with all its entries that are not folded, oldest first."""
    _check_kind(kind)
    with view.reader.frozen():
        leaf = ENTITY_FAMILIES[kind].load(view.reader, name)
        if leaf is None:
            raise Problem("not-found", f"no {kind} {name!r} is registered")
        entries = [
            {
                "from_s": entry.from_s,
                "recorded_height": entry.recorded_height,
                "value": plain(decode_row(unsalted(view.reader.body(entry.digest))).value),
            }
            for entry in leaf.entries
        ]
    number = {NUMBER_FIELDS[kind]: leaf.number} if kind in NUMBER_FIELDS else {}
    folded = {} if leaf.folded_to_s < 0 else {"folded_to_s": leaf.folded_to_s}
    return {"kind": kind, "name": name, **number, **folded, "entries": entries}


def pending(view: LedgerView) -> Json:
    """The rows that wait for other organisations' approval, with those whose time is over."""
    found = []
    with view.reader.frozen():
        for key in view.reader.leaf_keys(PENDING.prefix):
            (transaction,) = PENDING.names(key)
            leaf = PENDING.must(view.reader, transaction)
            if leaf.rows:
                rows = [decode_row(unsalted(view.reader.body(digest))) for digest in leaf.rows]
                told = {"approved_by": list(leaf.approved_by), "organisation": leaf.organisation}
                shown = [{"key": row.key, "from_s": row.from_s, "value": plain(row.value)} for row in rows]
                found.append({"transaction": transaction, **told, "valid_until_s": leaf.valid_until_s, "rows": shown})
    return {"pending": found}


def check(view: LedgerView, caller: str, body: bytes) -> Json:
    """What would become of rows if the caller registered them now: which stand already, what is wrong with the first that may not, and
    how many other organisations have to approve.

    ``body``: the attachment of a registry/register.
    """
    try:
        rows = [decode_row(encoded) for encoded in decode_attached_rows(body).rows]
    except EncodingError as error:
        raise Problem("bad-request", f"the body is an attachment of registry/register: {error}") from None
    with view.reader.frozen():
        draft = Draft(view.reader.application.state, view.reader.height + 1, view.reader.ledger_time_s, view.contracts)
        signer = draft.in_force(SIGNER, caller)
        draft.is_signed = is_valid_signature
        standing = {place for place, row in enumerate(rows) if _stands(draft, row)}
        new = [place for place in range(len(rows)) if place not in standing]
        judge = Judge(draft, "" if signer is None else signer.organisation)
        fault = judge.first_fault(_salted([rows[at] for at in new]))
        approvals = 0 if is_of_one([SaltedRow(rows[at], b"") for at in new]) else draft.thresholds.registry - 1
        approvals = max(approvals, len(judge.answering() - {judge.organisation}))
    shown = None if fault is None else _shown(fault, new)
    return {"standing": sorted(standing), "approvals": approvals, "fault": shown}


def _stands(draft: Draft, row: Row) -> bool:
    """Whether an entity is just so from this very time on by what was recorded last."""
    kind, _, name = row.key.partition("/")
    leaf = ENTITY_FAMILIES[kind].load(draft, name) if kind in ENTITIES else None
    own = [] if leaf is None else [entry for entry in leaf.entries if entry.from_s == row.from_s]
    return bool(own) and decode_row(unsalted(draft.body(own[-1].digest))) == row


def _salted(rows: Sequence[Row]) -> list[SaltedRow]:
    encoded = [cbor.encode(list(row)) for row in rows]
    return [SaltedRow(*both) for both in zip(rows, salt_rows(bytes(SEED_BYTES), encoded), strict=True)]


def _shown(fault: Fault, new: Sequence[int]) -> Json:
    """``row``: place of the row among those of the body; null where what was recorded before is at fault."""
    place = fault.stated.place
    return {
        "row": None if place < 0 else new[place],
        "key": fault.stated.key,
        "code": int(fault.code),
        "name": fault.code.name,
        "words": fault.words,
    }


def _check_kind(kind: str) -> None:
    if kind not in ENTITIES:
        raise Problem("not-found", f"no kind of entity is called {kind!r}; there are {', '.join(ENTITIES)}")


_KIND: Final = in_path("kind", "kind", "What kind of entity: organisation, signer, point, ...", read_word)
_NAME: Final = in_path("name", "name", "Its name.", read_word)
ROUTES: Final = (
    Query(
        rule=f"{API}/registry/<kind>",
        summary="Names of the entities of a kind.",
        query=entities,
        access=READERS,
        parameters=(_KIND, parameters.START),
    ),
    Query(
        rule=f"{API}/registry/pending",
        summary="Rows that wait for approval.",
        query=pending,
        access=READERS,
    ),
    Query(
        rule=f"{API}/registry/<kind>/<name>",
        summary="An entity of the registry with its history.",
        query=entity,
        access=READERS,
        parameters=(_KIND, _NAME),
    ),
    Posted(
        rule=f"{API}/registry/check",
        summary="What would become of registry rows.",
        query=check,
        access=ADMINISTRATORS,
        parameters=(parameters.DIGEST,),
        body=CBOR_TYPE,
    ),
)
