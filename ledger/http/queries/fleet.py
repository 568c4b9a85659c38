"""All gateways at one look: what the ledger knows by their batches, and what they have reported to this node.

A report is the gateway's own word, signed by its query and kept in memory: no evidence, and none of it is on the chain (ADR 0086).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from quart import request

from gridcore.envelope import decode_transaction
from gridcore.errors import EncodingError
from gridcore.gateway_report import REPORT_BYTES_MAX, GatewayReport
from gridcore.node_interface import API, CBOR_TYPE
from gridcore.serving.door import network_of
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from gridcore.sm3 import sm3
from gridcore.transactions.reading_batch import ReadingBatch
from ledger.http import parameters
from ledger.http.dispatcher import Dispatcher
from ledger.http.queries.answers import leaf_page
from ledger.http.queries.metering import registered
from ledger.http.roles import EVERYBODY, GATEWAY_ALONE, READERS
from ledger.http.route import Service
from ledger.http.view import LedgerView
from ledger.leaves.delivery import DELIVERY
from ledger.store.errors import PrunedError

GATEWAYS_MAX: Final = 250
"""Gateways of one page: of each a batch is looked up."""


async def fleet(dispatcher: Dispatcher, start: int) -> Json:
    """Every gateway: its counters, its newest batch, and its newest report to this node."""
    found = await dispatcher.ask(EVERYBODY, known_by_batches, {"start": start})
    for entry in found["gateways"]:
        received = dispatcher.reports.of(entry["gateway"])
        told = None if received is None else {**asdict(received.report), "received_s": received.received_s}
        entry["report"] = told
    return found


def known_by_batches(view: LedgerView, start: int) -> Json:
    """What the ledger knows of the gateways of a page; ``newest``: of the newest batch, None where there is none or it was pruned."""
    keys, following = leaf_page(view, DELIVERY.prefix, start, GATEWAYS_MAX)
    reads_of = view.reads_of
    found: list[Json] = []
    places: list[tuple[int, int, int]] = []  # (height, position, row): by height, so that each block is read once
    for row, key in enumerate(keys):
        (gateway,) = DELIVERY.names(key)
        delivery = DELIVERY.must(view.reader, gateway)
        meters, area_ids = reads_of.get(gateway, (0, ()))
        counters = {name: getattr(delivery, name) for name in ("counter", "epoch", "last_boundary_s")}
        entry = {"gateway": gateway, **counters, **registered(view, gateway), "meters": meters}
        found.append({**entry, "areas": list(area_ids), "newest": None})
        batches = view.reader.find_batches(gateway, delivery.last_boundary_s, delivery.last_boundary_s)
        if batches:
            places.append((batches[-1].height, batches[-1].position, row))
    for height, position, row in sorted(places):
        found[row]["newest"] = _newest(view, height, position, found[row]["gateway"])
    return {"gateways": found, "next": following}


def _newest(view: LedgerView, height: int, position: int, gateway: str) -> Json | None:
    """What a batch says of its gateway, and how many of its rows were not used."""
    try:
        batch = ReadingBatch.decode(decode_transaction(view.transactions(height)[position]))
    except PrunedError:
        return None
    return {
        "agent": batch.agent,
        "boundary_s": batch.boundary_s,
        "height": height,
        "clock_state": batch.clock.state,
        "clock_offset_ms": batch.clock.offset_ms,
        "profiles": batch.profiles.hex(),
        "rows": batch.rows,
        "refused_rows": len(view.reader.refused_rows(gateway, batch.epoch, batch.counter)),
    }


async def report(dispatcher: Dispatcher, gateway_id: str, digest: bytes) -> Json:
    """Take a gateway's report of itself. Problem 400 for a body that is none, or of another digest than was signed."""
    host, _ = (request.scope["client"] or ("", 0))[:2]
    if (request.content_length or 0) > REPORT_BYTES_MAX:
        raise Problem("too-large", f"a report has at most {REPORT_BYTES_MAX} bytes")
    with dispatcher.bodies.body(network_of(host)) as body:
        data = await body.read(request.body, request.content_length)
    if len(data) > REPORT_BYTES_MAX:
        raise Problem("too-large", f"a report has at most {REPORT_BYTES_MAX} bytes")
    if sm3(data) != digest:
        raise Problem("bad-request", "digest is the SM3 of the body")
    try:
        told = GatewayReport.decode(data)
    except EncodingError as error:
        raise Problem("bad-request", str(error)) from None
    received_s = dispatcher.node.clock.now_s()
    dispatcher.reports.keep(gateway_id, told, received_s)
    return {"received_s": received_s}


ROUTES: Final = (
    Service(
        rule=f"{API}/fleet",
        summary="All gateways with their newest batches and reports.",
        access=READERS,
        serve=fleet,
        parameters=(parameters.START,),
    ),
    Service(
        rule=f"{API}/gateways/<gateway>/report",
        summary="Take a gateway's report of itself.",
        access=GATEWAY_ALONE,
        serve=report,
        parameters=(parameters.GATEWAY, parameters.DIGEST),
        method="POST",
        body=CBOR_TYPE,
    ),
)
