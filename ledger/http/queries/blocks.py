"""Blocks: what one holds, and what was written after a height, for whoever follows the ledger."""

from __future__ import annotations

from typing import Any, Final

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.errors import EncodingError, UsageError, broken
from gridcore.serving.problems import Problem
from ledger.http.access import Caller, check_reads_all
from ledger.http.queries.answers import Json, window
from ledger.http.view import LedgerView

CHANGES_MAX: Final = 5_000
"""Writes in one answer; more where a single block made more."""


def check_follower(view: LedgerView, caller: Caller, after_height: int) -> Caller:
    """The caller, who may follow the ledger from this height on; checked before it waits."""
    check_reads_all(caller)
    newest = view.reader.height
    if not 0 <= after_height <= newest:
        detail = f"after_height={after_height}: this ledger has heights 0 to {newest}; start again from 0"
        raise Problem("bad-request", detail)
    return caller


def changes(view: LedgerView, caller: Caller, after_height: int) -> Json:
    """What was written after a height, ascending by height and without repetition, up to ``height``; ``newest``: of the ledger.

    A thing that was written several times counts for its last write, so a follower that goes on from ``height`` misses none.
    ``digest`` and ``after_digest`` are of the headers at both ends: a follower sees whether it still follows the same ledger.
    """
    check_follower(view, caller, after_height)
    with view.reader.frozen():
        newest = view.reader.height
        height, found = view.reader.changes(after_height, CHANGES_MAX)
        digests = {"digest": view.reader.digest(height).hex(), "after_digest": view.reader.digest(after_height).hex()}
    last: dict[tuple[str, ...], int] = {}
    observed: set[tuple[str, ...]] = set()
    for change in found:
        subject, is_observed = _thing(change.subject)
        last.pop(subject, None)
        last[subject] = change.height
        if is_observed:
            observed.add(subject)
    entries = [{**_entry(view, subject, subject in observed), "height": written} for subject, written in last.items()]
    return {"height": height, **digests, "newest": newest, "changes": entries}


def _thing(subject: str) -> tuple[tuple[str, ...], bool]:
    """The parts of a subject that make it one thing, and whether it is a batch with observations.

    Registers of one boundary are one thing, however many chunks they take, and so are a gateway's batches of it.
    """
    parts = tuple(subject.split("/"))
    return parts[:3] if parts[0] in ("registers", "batch") else parts, parts[0] == "batch" and parts[3] == "1"


def _entry(view: LedgerView, subject: tuple[str, ...], is_observed: bool) -> Json:
    match subject:
        case ("registers" | "clearing" as kind, area, at_s):
            return {"kind": kind, "area": area, "at_s": int(at_s)}
        case ("run", area, at_s, run):
            return {"kind": "run", "area": area, "at_s": int(at_s), "run": run}
        case ("batch", gateway, at_s):
            return {"kind": "batch", "gateway": gateway, "at_s": int(at_s), "observations": is_observed}
        case (_, gateway, epoch, counter):
            at_s = view.reader.must("/".join(subject))["boundary_s"]
            known = {"kind": "exception", "gateway": gateway, "epoch": int(epoch), "counter": int(counter)}
            return {**known, "at_s": at_s}
    return broken(f"{subject} is one of the things that are followed")


def block(view: LedgerView, caller: Caller, height: int, start: int) -> Json:
    """A block: its header, who certified it, and what became of each of its transactions."""
    check_reads_all(caller)
    reader = view.reader
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
        "digest": header.digest().hex(),
        "previous": header.previous.hex(),
        "history_root": header.history_root.hex(),
        "data_root": header.data_root.hex(),
        "state_root": header.state_root.hex(),
        "signers": [
            {"name": view.signer_names.get(key), "public_key": key.hex(), "power": power, "signed": key in signed}
            for key, power in reader.signers
        ],
        "transactions": transactions,
        "next": following,
    }


def _described(wire: bytes) -> dict[str, Any]:
    """Kind and signer of a transaction, None for bytes that are none."""
    try:
        transaction = decode_transaction(wire)
    except EncodingError:
        return {"kind": None, "signer": None}
    return {"kind": transaction.kind, "signer": transaction.signer}
