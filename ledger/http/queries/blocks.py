"""Blocks: what one holds, and what was written after a height, for whoever follows the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.errors import EncodingError, UsageError, broken
from gridcore.node_interface import API
from gridcore.serving.openapi import TEXT, WHOLE, Json, object_of
from gridcore.serving.problems import Problem
from ledger.http.parameters import HEIGHT, START
from ledger.http.queries.answers import window
from ledger.http.roles import READERS
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.leaves.chain import CHAIN
from ledger.leaves.clearing import CLEARING
from ledger.leaves.columns import chunk_bounds
from ledger.leaves.exception import EXCEPTION
from ledger.leaves.registers import REGISTERS
from ledger.leaves.run import RUN
from ledger.outlook import shortages

Subject = tuple[str, ...]
"""What a follower is told of: a leaf's family and what names the leaf, or a gateway's batches of a boundary."""

BATCH: Final = "batch"
"""How a gateway's accepted batch is called among what was written: it is no leaf."""
CHANGES_MAX: Final = 5_000
"""Writes in one answer; more where a single block made more."""


def status(view: LedgerView) -> Json:
    """Where the chain stands."""
    reader = view.reader
    with reader.frozen():
        chain, height, certified_height = CHAIN.must(reader), reader.height, reader.certified_height
        power = reader.certificate_power(certified_height)
        return {
            "certificate_power": power.signed,
            "certified_height": certified_height,
            "chain": reader.chain,
            "clock": chain.clock,
            "currency": chain.currency,
            "header_digest": reader.digest(height).hex(),
            "height": height,
            "ledger_time_s": reader.ledger_time_s,
            "shortages": [shortage._asdict() for shortage in shortages(reader)],
            "signers_power": power.total,
            "simulated": chain.clock == "simulated",
            "slot_s": chain.slot_s,
            "state_root": reader.state_root().hex(),
        }


def check_height(view: LedgerView, after_height: int) -> None:
    """Problem 400 unless the ledger can be followed from this height on; checked before a follower waits."""
    newest = view.reader.height
    if not 0 <= after_height <= newest:
        detail = f"after_height={after_height}: this ledger has heights 0 to {newest}; start again from 0"
        raise Problem("bad-request", detail)


def changes(view: LedgerView, after_height: int) -> Json:
    """What was written after a height, ascending by height and without repetition, up to ``height``; ``newest``: of the ledger.

    A subject that was written several times counts for its last write, so a follower that goes on from ``height`` misses none.
    ``digest`` and ``after_digest`` are of the headers at both ends: a follower sees whether it still follows the same ledger.
    """
    check_height(view, after_height)
    with view.reader.frozen():
        newest = view.reader.height
        height, found = view.reader.changes(after_height, CHANGES_MAX)
        digests = {"digest": view.reader.digest(height).hex(), "after_digest": view.reader.digest(after_height).hex()}
    last: dict[Subject, int] = {}
    observed: set[Subject] = set()
    for change in found:
        for subject in _subjects(view, change.subject):
            last.pop(subject, None)
            last[subject] = change.height
            if subject[0] == BATCH and change.subject.endswith("/1"):
                observed.add(subject)
    entries = [{**_entry(view, subject, subject in observed), "height": written} for subject, written in last.items()]
    return {"height": height, **digests, "newest": newest, "changes": entries}


def _subjects(view: LedgerView, written: str) -> Iterable[Subject]:
    """What was written, as followers are told: of a zone, each of its areas; of a chunk of rows, each area that has rows in it.

    Registers of one area and boundary are one subject, however many chunks they take, and so are a gateway's batches of it.
    """
    registry = view.reader.registry
    match tuple(written.split("/")):
        case (REGISTERS.name, at_s, zone, chunk):
            areas = registry.areas_of_rows(zone, *chunk_bounds(int(chunk)))
            return [(REGISTERS.name, area, at_s) for area in areas]
        case (CLEARING.name, at_s, zone):
            return [(CLEARING.name, area, at_s) for area in registry.zone(zone).areas]
        case (RUN.name, at_s, zone, run):
            return [(RUN.name, area, at_s, run) for area in registry.zone(zone).areas]
        case (family, *names):
            return [(family, *names[:2])] if family == BATCH else [(family, *names)]
    return broken(f"{written} is one of the subjects that are followed")


def _entry(view: LedgerView, subject: Subject, is_observed: bool) -> Json:
    match subject:
        case (REGISTERS.name | CLEARING.name as kind, area, at_s):
            return {"kind": kind, "area": area, "at_s": int(at_s)}
        case (RUN.name, area, at_s, run):
            return {"kind": "run", "area": area, "at_s": int(at_s), "run": run}
        case (family, gateway, at_s) if family == BATCH:
            return {"kind": BATCH, "gateway": gateway, "at_s": int(at_s), "observations": is_observed}
        case (EXCEPTION.name, gateway, epoch, counter):
            exception = EXCEPTION.must(view.reader, gateway, int(epoch), int(counter))
            known = {"kind": "exception", "gateway": gateway, "epoch": int(epoch), "counter": int(counter)}
            return {**known, "at_s": exception.boundary_s}
    return broken(f"{subject} is one of the subjects that are followed")


def block(view: LedgerView, height: int, start: int) -> Json:
    """A block: its header, who certified it, and what became of each of its transactions."""
    reader = view.reader
    if height == 0:
        raise Problem("not-found", "height 0: is genesis, which is no block")
    try:
        header = reader.header(height)
    except UsageError as error:
        raise Problem("not-found", str(error)) from None
    signed = {key for key, _ in reader.certificate(height)}
    wires, results = view.transactions(height), reader.results(height)
    first, end, following = window(len(wires), start)
    transactions = [
        {**_described(wire), "id": entry.id.hex(), "code": entry.code, "name": Code(entry.code).name}
        for wire, entry in zip(wires[first:end], results[first:end], strict=True)
    ]
    return {
        "height": height,
        "time_s": header.time_s,
        "ledger_time_s": header.ledger_time_s,
        "protocol_version": header.protocol_version,
        "digest": header.digest().hex(),
        "previous": header.previous.hex(),
        "history_root": header.history_root.hex(),
        "data_root": header.data_root.hex(),
        "state_root": header.state_root.hex(),
        "covered_by": reader.covering_height(height),
        "signers": [
            {
                "name": validator.name,
                "public_key": validator.public_key.hex(),
                "power": validator.power,
                "signed": validator.public_key in signed,
            }
            for validator in reader.validators_at(height)
        ],
        "transactions": transactions,
        "next": following,
    }


def _described(wire: bytes) -> dict[str, Any]:
    """Kind and signer of a transaction, None for bytes that are no transaction."""
    try:
        transaction = decode_transaction(wire)
    except EncodingError:
        return {"kind": None, "signer": None}
    return {"kind": transaction.kind, "signer": transaction.signer}


CHANGES: Final = object_of(
    {
        "height": {**WHOLE, "description": "Up to which the answer tells: the next after_height."},
        "digest": {**TEXT, "description": "Of the header at height, hex digits."},
        "after_digest": {**TEXT, "description": "Of the header at after_height, hex digits."},
        "newest": WHOLE,
        "changes": {
            "type": "array",
            "items": object_of(
                {
                    "kind": {"enum": ["batch", "clearing", "exception", "registers", "run"]},
                    "at_s": WHOLE,
                    "height": WHOLE,
                    "area": TEXT,
                    "run": TEXT,
                    "gateway": TEXT,
                    "observations": {"type": "boolean", "description": "Of a batch: whether there are any."},
                    "epoch": WHOLE,
                    "counter": WHOLE,
                },
                optional=("area", "run", "gateway", "observations", "epoch", "counter"),
            ),
        },
    }
)
"""The shape of an answer to ``changes``."""

ROUTES: Final = (
    Query(
        rule=f"{API}/blocks/<height>",
        summary="A block and its transactions.",
        access=READERS,
        query=block,
        parameters=(HEIGHT, START),
    ),
)
