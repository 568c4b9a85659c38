"""Gateways and what they sent: counters, registers, rows that were not used, observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.errors import EncodingError
from gridcore.node_interface import API
from gridcore.observations import Observation, decode_observations
from gridcore.quality import ABSENT_QUALITY, quality_words
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from gridcore.transactions.readings import split_attachment
from ledger.http import parameters
from ledger.http.queries import answers
from ledger.http.queries.answers import leaf_page, plain, window
from ledger.http.roles import GATEWAY_ITSELF, OWN_ROWS, READERS, Scope
from ledger.http.route import Query
from ledger.http.view import LedgerView
from ledger.known_values import KnownValue, values_of_slot
from ledger.leaves.delivery import DELIVERY
from ledger.leaves.exception import EXCEPTION

OBSERVED_BATCHES_MAX: Final = 64
"""Batches of one boundary whose observations are put together: a gateway sends one, and a few more when meters answer late."""


def gateway(view: LedgerView, gateway_id: str) -> Json:
    """Counters of a gateway: what its next batch continues from."""
    delivery = DELIVERY.load(view.reader, gateway_id)
    if delivery is None:
        raise Problem("not-found", f"no gateway {gateway_id!r} on this chain")
    return {"gateway": gateway_id, **plain(DELIVERY.encode(delivery)), **registered(view, gateway_id)}


def gateways(view: LedgerView, start: int) -> Json:
    """Every gateway: its counters, who answers for it, how many meters it reads and in which areas."""
    keys, following = leaf_page(view, DELIVERY.prefix, start)
    reads_of = view.reads_of
    found = []
    for key in keys:
        (gateway_id,) = DELIVERY.names(key)
        delivery = DELIVERY.must(view.reader, gateway_id)
        meters, area_ids = reads_of.get(gateway_id, (0, ()))
        counters = {name: getattr(delivery, name) for name in ("counter", "epoch", "last_boundary_s")}
        entry = {"gateway": gateway_id, **counters, **registered(view, gateway_id)}
        found.append({**entry, "meters": meters, "areas": list(area_ids)})
    return {"gateways": found, "next": following}


def registered(view: LedgerView, gateway_id: str) -> Json:
    """Who answers for a gateway, and how its key is kept; None for one that is retired."""
    found = view.reader.in_force(GATEWAY, gateway_id)
    protection = found.protection if isinstance(found, Gateway) else None
    return {"organisation": None if found is None else found.organisation, "protection": protection}


def registers(view: LedgerView, scope: Scope, area_id: str, boundary_s: int, start: int) -> Json:
    """Registers of the meters that hung in an area at a boundary, in primary Wh (ratio applied), in the order of their rows."""
    area = view.area(area_id, boundary_s)
    view.check_slot("boundary_s", boundary_s)
    rows, codes = view.meters(area, scope.party)
    quality, import_wh, export_wh = view.registers(area, rows, boundary_s)
    quality = view.told_quality(area, rows, quality, boundary_s, view.reader.height)
    ratio = area.in_force.ratio[rows]
    first, end, following = window(len(rows), start)
    found = []
    for at in range(first, end):
        absent = int(quality[at]) == ABSENT_QUALITY
        primary = [None if absent else int(column[at]) * int(ratio[at]) for column in (import_wh, export_wh)]
        word, flags = quality_words(int(quality[at]))
        found.append(
            {
                "meter": codes[at],
                "import_wh": primary[0],
                "export_wh": primary[1],
                "quality": word,
                "flags": list(flags),
            }
        )
    return {"area": area.id, "boundary_s": boundary_s, "registers": found, "next": following}


def exceptions(view: LedgerView, gateway_id: str | None, start: int) -> Json:
    """Rows of batches that were not used, with the reason; of one gateway or of all. A page has at most PAGE_ROWS_MAX rows, of
    whole batches, and one batch at least.
    """
    prefix = EXCEPTION.prefix if gateway_id is None else f"{EXCEPTION.prefix}{gateway_id}/"
    keys, following = leaf_page(view, prefix, start)
    found: list[Json] = []
    rows = 0
    for place, key in enumerate(keys):
        owner, epoch, counter = EXCEPTION.names(key)
        exception = EXCEPTION.must(view.reader, owner, int(epoch), int(counter))
        rows += exception.rows
        if found and rows > answers.PAGE_ROWS_MAX:
            return {"exceptions": found, "next": start + place}
        verdicts = view.reader.refused_rows(owner, int(epoch), int(counter))
        entry = {"gateway": owner, "epoch": int(epoch), "counter": int(counter), "boundary_s": exception.boundary_s}
        told = [{**verdict._asdict(), "name": Code(verdict.code).name} for verdict in verdicts]
        found.append({**entry, "rows": told})
    return {"exceptions": found, "next": following}


def observations(view: LedgerView, gateway_id: str, boundary_s: int) -> Json:
    """Informational values of a gateway at a boundary, out of all its batches there; of a device and code the first one counts.

    ``unreadable``: batches whose observations are none. The ledger keeps them unread.
    """
    if DELIVERY.load(view.reader, gateway_id) is None:
        raise Problem("not-found", f"no gateway {gateway_id!r} on this chain")
    view.check_slot("boundary_s", boundary_s)
    values: dict[tuple[int, str], Observation] = {}
    names: dict[int, str] = {}
    absent: dict[int, str] = {}
    unreadable = 0
    for data in _observed(view, gateway_id, boundary_s):
        try:
            observed = decode_observations(data)
        except EncodingError:
            unreadable += 1
            continue
        for row in observed.rows:
            values.setdefault((row.device, row.obis), row)
        names = {**observed.names, **names}
        absent = {**observed.absent, **absent}
    devices = {device for device, _ in values}
    names |= view.meter_codes(gateway_id, devices | absent.keys())
    found = [
        {
            "device": row.device,
            "name": names.get(row.device),
            "obis": row.obis,
            "value_milli": row.value_milli,
            "offset_ms": row.offset_ms,
        }
        for row in values.values()
    ]
    missing = [
        {"device": device, "name": names.get(device), "reason": absent[device]}
        for device in sorted(absent.keys() - devices)
    ]
    answer = {"gateway": gateway_id, "boundary_s": boundary_s, "observations": found, "absent": missing}
    return {**answer, "unreadable": unreadable}


def _observed(view: LedgerView, gateway_id: str, boundary_s: int) -> list[bytes]:
    """Encoded observations of the accepted batches of a boundary that have any, in order of acceptance."""
    batches = view.reader.find_batches(gateway_id, boundary_s, boundary_s)[:OBSERVED_BATCHES_MAX]
    wires = (view.transactions(batch.height)[batch.position] for batch in batches)
    observed = (split_attachment(decode_transaction(wire).attachment)[2] for wire in wires)
    return [data for data in observed if data]


def known_values(view: LedgerView, area_id: str, day_start_s: int, code: str) -> Json:
    """What runs knew of a meter in the slots of a local day, value after value: the last one counts, those before it were superseded."""
    area = view.area(area_id)
    day_end_s, slots = view.day_slots(area, day_start_s)
    numbers = view.reader.installations_of(code)
    installations = np.flatnonzero(np.isin(area.registry.numbers, numbers)).tolist()
    if not installations:
        raise Problem("not-found", f"no meter {code!r} was ever installed on this chain")
    found = []
    for slot_start_s in slots:
        known = values_of_slot(view.reader, area.zone, installations, slot_start_s)
        if known.values:
            values = [_known(view, value, numbers, slot_start_s + view.slot_s) for value in known.values]
            found.append({"slot_start_s": slot_start_s, "values": values, "left_off": known.left_off})
    return {"area": area_id, "meter": code, "day_start_s": day_start_s, "day_end_s": day_end_s, "slots": found}


def _known(view: LedgerView, value: KnownValue, numbers: Sequence[int], end_s: int) -> Json:
    """numbers: of the installations that the meter ever had, of which one at most hangs when the slot ends."""
    each = np.full(len(numbers), value.quality, dtype=np.uint8)
    word, flags = quality_words(int(view.substitutes.told(each, numbers, end_s, value.height).max()))
    return {**value._asdict(), "quality": word, "flags": list(flags)}


ROUTES: Final = (
    Query(
        rule=f"{API}/gateways", summary="All gateways.", access=READERS, query=gateways, parameters=(parameters.START,)
    ),
    Query(
        rule=f"{API}/gateways/<gateway>",
        summary="Epoch and counters.",
        access=GATEWAY_ITSELF,
        query=gateway,
        parameters=(parameters.GATEWAY,),
    ),
    Query(
        rule=f"{API}/gateways/<gateway>/observations",
        summary="Values that bill nothing.",
        access=READERS,
        query=observations,
        parameters=(parameters.GATEWAY, parameters.BOUNDARY),
    ),
    Query(
        rule=f"{API}/exceptions",
        summary="Rows of batches that were not used.",
        access=READERS,
        query=exceptions,
        parameters=(parameters.OF_GATEWAY, parameters.START),
    ),
    Query(
        rule=f"{API}/areas/<area>/days/<day>/values",
        summary="Values of a meter that superseded one another.",
        access=READERS,
        query=known_values,
        is_long=True,
        parameters=(parameters.AREA, parameters.DAY, parameters.OF_METER),
    ),
    Query(
        rule=f"{API}/areas/<area>/registers",
        summary="Registers in primary Wh.",
        access=OWN_ROWS,
        query=registers,
        parameters=(parameters.AREA, parameters.BOUNDARY, parameters.PARTY, parameters.START),
    ),
)
