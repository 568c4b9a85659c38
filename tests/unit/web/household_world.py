"""A site with one household, H001, whose curve and bundle tests set: area A1 and slot of ``tests.unit.verify.bundle_world``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tests.unit.verify.bundle_world import (
    ALONE_NANO,
    BOUGHT_WH,
    EXPORT_WH,
    IMPORT_WH,
    METER,
    PARTY,
    PAYS_NANO,
    PRICE,
    PRICES,
    RATIO,
    SLOT_S,
    START_S,
)
from tests.unit.verify.bundle_world import World as BundleWorld

from gridseries.series import INTERVALS, SLOTS, AnyRow, Row
from gridweb.access import Role
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.unit.web.web_world import CONTRACT, DAY_S, NOW_S, Browser, World, make_world

DAY_START_S = START_S - START_S % DAY_S + 16 * 3600 - DAY_S  # local midnight in Shanghai before START_S
if DAY_START_S + DAY_S <= START_S:
    DAY_START_S += DAY_S
METER_CODE = "M-H001"
LINE = f"/households/{PARTY}/lines/{START_S}/trade_buy"
NEIGHBOUR, NEIGHBOURS_METER = "H002", "M-H002"


def installation(party: str | None, number: int, meter: str) -> dict[str, Any]:
    """A row of the node's answer about installations."""
    names = {"number": number, "meter": meter, "point": f"P-{number}", "party": party, "role": "household"}
    return {**names, "gateway": "GW-1", "ratio": RATIO, "limit_wh": 10_000, "trades": True}


def household_world(folder: Path, bundle: BundleWorld | None = None, **config: Any) -> World:
    """The site. ``bundle``: whose bundle the node hands out, and whose trust root the pages have."""
    world = make_world(folder, **config)
    bundle = bundle or BundleWorld()
    area = {"area": "A1", "calendar": "c", "contract": CONTRACT["contract"]}
    area |= {"first_slot_start_s": DAY_START_S, "meters": 3, "settling": 2}
    rules = {"id": "r", "prices": PRICES, "metering_deadline_s": 900}
    # Ledger time of the fake node is NOW_S: the day of the slot is not the newest one.
    days = [DAY_START_S + day * DAY_S for day in range(-1, (NOW_S - DAY_START_S) // DAY_S + 3)]
    world.node.answers |= {
        "areas": {"areas": [{**area, "rules": rules}], "contracts": [CONTRACT]},
        "calendars/c": {"calendar": "c", "tz": "Asia/Shanghai", "tz_version": "1", "months": [0], "days": days},
        "areas/A1/installations": {
            "installations": [
                installation(PARTY, METER, METER_CODE),
                installation(NEIGHBOUR, METER + 1, NEIGHBOURS_METER),
                installation(None, METER + 2, "M-F"),
            ],
            "next": None,
        },
        "evidence": bundle.bundle(),
    }
    world.site.config.trust.write_text(json.dumps(bundle.trust()))
    return world


def settled(time_s: int, meter: str = METER_CODE, **changes: Any) -> AnyRow:
    """The row of a settled slot: that of the bundle world's."""
    values: dict[str, Any] = {
        "import_wh": IMPORT_WH,
        "export_wh": EXPORT_WH,
        "bought_wh": BOUGHT_WH,
        "sold_wh": 0,
        "pays_nano": PAYS_NANO,
        "supplier_only_nano": ALONE_NANO,
        "quality": 0,
    }
    values |= changes
    return Row(("A1", meter), time_s, tuple(values[name] for name in INTERVALS.fields))


async def fill(world: World, rows: Iterable[AnyRow]) -> None:
    """Give the series these rows of points, and the price to each of their slots."""
    rows = list(rows)
    await world.series.write(INTERVALS, rows)
    values = [PRICE if name == "price_micro_per_kwh" else 1 for name in SLOTS.fields]
    await world.series.write(SLOTS, [Row(("A1",), row.time_s, tuple(values)) for row in rows])


def statement_lines() -> list[dict[str, Any]]:
    """The lines of the household in a slot of the bundle world, as the node states them."""
    kept = {"bought_wh": BOUGHT_WH, "sold_wh": 0, "pays_nano": PAYS_NANO}
    columns = {name: np.array([value], dtype=np.int64) for name, value in kept.items()}
    import_wh, export_wh = (np.array([value], dtype=np.int64) for value in (IMPORT_WH, EXPORT_WH))
    contract = CONTRACTS["p2p_call_auction/1"]
    lines = contract.lines(import_wh, export_wh, columns, trade_price_micro_per_kwh=PRICE, prices=PRICES)
    return [line._asdict() for line in statements.lines(lines, [PARTY])]


def state(world: World, slots: Iterable[int], *, expected: int = 96) -> None:
    """Let the node state these slots of the household's day."""
    found = [{"slot_start_s": slot, "lines": statement_lines()} for slot in slots]
    count = len(found)
    energies = {"import_wh": count * IMPORT_WH, "export_wh": count * EXPORT_WH, "bought_wh": count * BOUGHT_WH}
    money = {"pays_nano": count * PAYS_NANO, "supplier_only_nano": count * ALONE_NANO}
    total = {"party": PARTY, **energies, "sold_wh": 0, **money, "saving_nano": count * (ALONE_NANO - PAYS_NANO)}
    world.node.answers[f"areas/A1/days/{DAY_START_S}/statements"] = {
        "slots_expected": expected,
        "slots_settled": count,
        "statements": [total],
        "slots": found,
    }


async def fill_day(world: World) -> None:
    """A whole settled day of the household, which the node states too, and of its neighbour."""
    slots = range(DAY_START_S, DAY_START_S + DAY_S, SLOT_S)
    state(world, slots)
    await fill(world, [settled(slot) for slot in slots])
    await fill(world, [settled(slot, NEIGHBOURS_METER, import_wh=777_777) for slot in slots])


def household(world: World, language: str = "en") -> Browser:
    """The browser of the household."""
    return world.browser(Role.HOUSEHOLD, PARTY, language)
