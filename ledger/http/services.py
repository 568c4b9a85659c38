"""The routes that the node answers itself: where the chain stands, submissions, receipts, whatever waits, health."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from quart import request

from gridcore.codes import RETRY
from gridcore.envelope import decode_transaction
from gridcore.errors import EncodingError
from gridcore.genesis import CLOCKS
from gridcore.node_interface import API, CBOR_TYPE, TRANSACTIONS_MAX, WAIT_S_MAX
from gridcore.remedies import code_name, remedy_of
from gridcore.serving.asgi import client_of
from gridcore.serving.door import network_of
from gridcore.serving.metrics import CONTENT_TYPE
from gridcore.serving.openapi import HEX, TEXT, WHOLE, WHOLE_OR_NULL, Json, object_of
from gridcore.serving.problems import Problem
from gridcore.transactions.reading_batch import ReadingBatch
from ledger.attendance import MISSED_MAX, absent_validators
from ledger.engines.base import STALLS, Outcome, Sender
from ledger.http.dispatcher import Dispatcher, check_presented
from ledger.http.parameters import TRANSACTION_ID, needed, optional, read_wait, read_whole, read_whole_or_earlier
from ledger.http.queries import blocks
from ledger.http.roles import EVERYBODY, READERS
from ledger.http.route import Query, Schema, Service
from ledger.http.submission import decode_submission
from ledger.http.view import LedgerView
from ledger.outlook import outlook


async def status(dispatcher: Dispatcher) -> Json:
    """Where the chain stands."""
    return {
        **await dispatcher.ask(EVERYBODY, blocks.status, {}),
        "disputed_by": dispatcher.node.engine.disputed_by,
        "engine": {name: value for name, (_, value) in dispatcher.node.engine.gauges.items()},
        "instance": dispatcher.instance.hex(),
        "stall": dispatcher.node.engine.stall,
        "version": dispatcher.node.version,
    }


async def clock(dispatcher: Dispatcher, after_s: int, wait_s: float) -> Json:
    """Ledger time, once it is later than ``after_s`` or ``wait_s`` have passed."""
    return {"ledger_time_s": await dispatcher.wait("the clock", dispatcher.node.engine.wait_clock(after_s, wait_s))}


async def submit(dispatcher: Dispatcher) -> Json:
    """Decide transactions: a canonical CBOR array of wire bytes in, one answer for each out, in this order."""
    sender = _sender()
    with dispatcher.bodies.body(sender.network) as body:
        data = await body.read(request.body, request.content_length)
        wires = decode_submission(data)
        if presented := client_of(request.scope):
            for signer in _gateways_of(wires):
                check_presented(presented, signer)
        outcomes = await dispatcher.submit(wires, sender)
    return {"answers": [_answer_json(outcome) for outcome in outcomes]}


def _gateways_of(wires: Sequence[bytes]) -> Iterator[str]:
    """Whose reading batches are among these transactions, as they say themselves."""
    for wire in wires:
        with suppress(EncodingError):
            transaction = decode_transaction(wire)
            if transaction.kind == ReadingBatch.kind:
                yield transaction.signer


def receipt(view: LedgerView, transaction_id: bytes) -> bytes:
    """The receipt of a decided transaction, for anyone who knows its id; NotCertifiedError while no certificate covers its block."""
    found = view.reader.receipt(transaction_id)
    if found is None:
        raise Problem("not-found", "no block has decided this transaction")
    return found


async def changes(dispatcher: Dispatcher, after_height: int, wait_s: float) -> Json:
    """What was written after a height, once there is a block beyond it or ``wait_s`` have passed."""
    await dispatcher.ask(EVERYBODY, blocks.check_height, {"after_height": after_height})
    await dispatcher.wait("a block", dispatcher.node.engine.wait_height(after_height, wait_s))
    return await dispatcher.ask(EVERYBODY, blocks.changes, {"after_height": after_height})


async def healthz(_dispatcher: Dispatcher) -> Json:
    """The process answers."""
    return {"status": "ok"}


async def readyz(dispatcher: Dispatcher) -> Json:
    """Blocks can be made: the engine takes submissions, nothing holds it up, and the ledger answers."""
    if dispatcher.node.engine.stall:
        raise Problem("busy", STALLS[dispatcher.node.engine.stall])
    height = await dispatcher.ask(EVERYBODY, _height, {})
    await dispatcher.node.engine.submit(())
    return {"status": "ready", "height": height, "disputed_by": dispatcher.node.engine.disputed_by}


async def metrics(dispatcher: Dispatcher) -> str:
    """Counters and gauges as Prometheus text."""
    height, time_s = await dispatcher.ask(EVERYBODY, _height_and_time, {})
    gauges = {
        **await dispatcher.ask(EVERYBODY, _outlook, {}),
        **await dispatcher.ask(EVERYBODY, _certificates, {}),
        "height": ("Height of the newest block.", height),
        "ledger_time_seconds": ("Ledger time, UTC seconds.", time_s),
        "ledger_time_stands_seconds": (
            "Seconds by which ledger time is behind the node's clock and waits for clock/accept; 0 while it moves.",
            dispatcher.node.engine.stands_s,
        ),
        **dispatcher.gauges(),
    }
    return dispatcher.metrics.render(gauges)


def _sender() -> Sender:
    """Where the request in hand comes from."""
    host, port = (request.scope["client"] or ("", 0))[:2]
    return Sender(network_of(host), f"{host} {port}")


def _height(view: LedgerView) -> int:
    return view.reader.height


def _height_and_time(view: LedgerView) -> tuple[int, int]:
    return view.reader.height, view.reader.ledger_time_s


def _certificates(view: LedgerView) -> dict[str, tuple[str, int]]:
    """How far certificates have come, as gauges."""
    with view.reader.frozen():
        height, certified_height = view.reader.height, view.reader.certified_height
        power = view.reader.certificate_power(certified_height)
        absent = absent_validators(view.reader)
    return {
        "certified_height": ("Height of the newest header that has a certificate.", certified_height),
        "certificate_lag_blocks": ("Blocks since that header.", height - certified_height),
        "certificate_power": ("Power of the signers of that certificate.", power.signed),
        "signers_power": ("Power of the whole set that certifies.", power.total),
        "validators_absent": (
            f"Validators without a signature in the newest {MISSED_MAX} certificates, which they could have signed.",
            len(absent),
        ),
    }


def _outlook(view: LedgerView) -> dict[str, tuple[str, int]]:
    """How far everything reaches, as gauges; -1 where there is no end, or none is known."""
    calendar_days, certificate_days, prices_days, room = outlook(view.reader)
    days = {
        "calendar_days_left": ("Days that the calendar which ends first still has; -1 without any.", calendar_days),
        "certificate_days_left": (
            "Days that the authority's certificate which ends first still holds; -1 without any.",
            certificate_days,
        ),
        "disk_days_left": ("Days until only the reserve is left; -1 while not known.", room.days_left),
        "prices_days_left": ("Days up to which prices are published that none follow; -1 without any.", prices_days),
    }
    gauges = {name: (words, -1 if left is None else left) for name, (words, left) in days.items()}
    return {**gauges, "disk_free_bytes": ("Bytes that the disk still takes.", room.free_bytes)}


def _answer_json(outcome: Outcome) -> Json:
    return {
        "id": outcome.id.hex(),
        "code": int(outcome.code),
        "name": outcome.code.name,
        "retry": outcome.code in RETRY,
        "height": outcome.height,
        "waiting_for": outcome.waiting_for,
        "rows": [list(row) for row in outcome.rows],
        "remedies": {code_name(code): remedy_of(code) for code in sorted({code for _, _, code in outcome.rows})},
        "other_history": outcome.other_history,
    }


_ANSWER: Final = Schema(
    "Answer",
    object_of(
        {
            "id": HEX,
            "code": WHOLE,
            "name": TEXT,
            "retry": {"type": "boolean", "description": "Whether sending the same bytes again can help."},
            "height": WHOLE_OR_NULL,
            "waiting_for": WHOLE_OR_NULL,
            "rows": {
                "type": "array",
                "description": "Verdicts of rows that were not used: row, meter, code.",
                "items": {},
            },
            "remedies": {
                "type": "object",
                "description": "What helps rows that were not used, by the name of their code.",
                "additionalProperties": TEXT,
            },
            "other_history": {
                "type": "boolean",
                "description": "Whether the batch names a verified header that this node's history does not have.",
            },
        }
    ),
)
_STATUS: Final = Schema(
    "Status",
    object_of(
        {
            "chain": TEXT,
            "clock": {"enum": list(CLOCKS)},
            "currency": TEXT,
            **dict.fromkeys(("certificate_power", "certified_height", "signers_power"), WHOLE),
            "disputed_by": WHOLE,
            "engine": {
                "type": "object",
                "description": "Numbers of the engine, such as engine_peers and mempool_transactions.",
                "additionalProperties": WHOLE,
            },
            "header_digest": HEX,
            "height": WHOLE,
            "instance": HEX,
            "ledger_time_s": WHOLE,
            "simulated": {"type": "boolean"},
            "slot_s": WHOLE,
            "shortages": {
                "type": "array",
                "description": "What will run out within 30 days: kind (calendar, certificate, prices, disk), subject, days_left.",
                "items": {},
            },
            "stall": TEXT,
            "state_root": HEX,
            "version": TEXT,
        }
    ),
)

ROUTES: Final = (
    Service(rule="/healthz", summary="Whether the process answers.", serve=healthz),
    Service(rule="/readyz", summary="Whether blocks can be made.", serve=readyz),
    Service(rule="/metrics", summary="Counters for Prometheus.", serve=metrics, content=CONTENT_TYPE),
    Service(
        rule=f"{API}/status",
        summary="Chain, height, newest header, ledger time.",
        serve=status,
        schema=_STATUS,
    ),
    Service(
        rule=f"{API}/clock",
        summary="Ledger time, once it is later than after_s.",
        serve=clock,
        parameters=(
            optional("after_s", "Answer as soon as ledger time is later than this.", read_whole_or_earlier, "integer"),
            optional("wait_s", f"Wait at most so long; at most {WAIT_S_MAX} s.", read_wait, "number"),
        ),
        schema=object_of({"ledger_time_s": WHOLE}),
    ),
    Service(
        rule=f"{API}/transactions",
        method="POST",
        summary=f"Decide up to {TRANSACTIONS_MAX} transactions.",
        serve=submit,
        body=CBOR_TYPE,
        schema={"type": "object", "properties": {"answers": {"type": "array", "items": _ANSWER}}},
        answered="One answer for each, in order, once decided.",
    ),
    Query(
        rule=f"{API}/receipts/<transaction_id>",
        summary="Receipt of a decided transaction.",
        query=receipt,
        parameters=(TRANSACTION_ID,),
        content=CBOR_TYPE,
    ),
    Service(
        rule=f"{API}/changes",
        summary="What was written after a height.",
        access=READERS,
        serve=changes,
        parameters=(
            needed("after_height", "Tell what was written after this height.", read_whole),
            optional("wait_s", f"Wait so long for a block; at most {WAIT_S_MAX} s.", read_wait, "number"),
        ),
        schema=blocks.CHANGES,
    ),
)
