"""A site with one household, H001 of area A1, whose curve tests set; and one whose household has a bundle made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gridseries.series import INTERVALS, SLOTS, AnyRow, Row
from gridweb.access import Role
from ledger.contract import Billed
from ledger.one_group import one_group
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.second_verifier.evidence import Evidence
from tests.unit.web.web_world import CONTRACT, DAY_S, NOW_S, Browser, World, make_world

PARTY, METER, RATIO = "H001", 17, 2
SLOT_S, START_S, PRICE = 900, 1_718_902_800, 380_000
PRICES = {
    "feed_in_price_micro_per_kwh": 280_000,
    "levy_micro_per_kwh": 40_000,
    "network_residual_micro_per_kwh": 180_000,
    "network_traded_micro_per_kwh": 150_000,
    "residual_price_micro_per_kwh": 460_000,
    "shortfall_price_micro_per_kwh": 490_000,
    "surplus_price_micro_per_kwh": 270_000,
}
IMPORT_WH, EXPORT_WH, BOUGHT_WH = 1_200, 10, 500
PAYS_NANO = BOUGHT_WH * PRICE + 700 * 460_000 - 10 * 280_000 + 500 * 150_000 + 700 * 180_000 + 1_200 * 40_000
ALONE_NANO = IMPORT_WH * (460_000 + 180_000 + 40_000) - EXPORT_WH * 280_000
DAY_START_S = START_S - START_S % DAY_S + 16 * 3600 - DAY_S  # local midnight in Shanghai before START_S
if DAY_START_S + DAY_S <= START_S:
    DAY_START_S += DAY_S
METER_CODE = "M-H001"
LINE = f"/households/{PARTY}/lines/{START_S}/trade_buy"
NEIGHBOUR, NEIGHBOURS_METER = "H002", "M-H002"


def installation(party: str | None, number: int, meter: str) -> dict[str, Any]:
    """A row of the node's answer about installations."""
    names = {"number": number, "meter": meter, "point": f"P-{number}", "party": party, "role": "household"}
    return {**names, "gateway": "GW-1", "ratio": RATIO, "modulus_wh": 0, "limit_wh": 10_000, "trades": True}


def household_world(folder: Path, **config: Any) -> World:
    """The site."""
    world = make_world(folder, **config)
    rows = [
        installation(PARTY, METER, METER_CODE),
        installation(NEIGHBOUR, METER + 1, NEIGHBOURS_METER),
        installation(None, METER + 2, "M-F"),
    ]
    # Ledger time of the fake node is NOW_S: the day of the slot is not the newest one.
    days = [DAY_START_S + day * DAY_S for day in range(-1, (NOW_S - DAY_START_S) // DAY_S + 3)]
    world.node.answers |= _answers("A1", rows, days, "Asia/Shanghai", DAY_START_S)
    return world


def evidence_world(folder: Path, evidence: Evidence, contract: Mapping[str, Any] = CONTRACT) -> World:
    """A site whose household h1 of area a1 has one slot, on the first day of 1970, with this bundle and trust root."""
    world = make_world(folder)
    rows = [installation("h1", 1, "M-1"), installation("h2", 2, "M-2")]
    world.node.answers |= _answers("a1", rows, [0, DAY_S, 2 * DAY_S], "UTC", 0, contract)
    world.node.answers["evidence"] = evidence.bundle_bytes
    world.site.config.trust.write_bytes(evidence.trust_bytes)
    return world


def _answers(
    name: str,
    rows: list[dict[str, Any]],
    days: list[int],
    tz: str,
    first_slot_start_s: int,
    contract: Mapping[str, Any] = CONTRACT,
) -> dict[str, Any]:
    """What the node says of an area, its installations and its calendar."""
    area = {"area": name, "calendar": "c", "contract": contract["contract"]}
    area |= {"first_slot_start_s": first_slot_start_s, "meters": 3, "settling": 2, "traders": 2}
    rules = {"id": "r", "prices": PRICES, "metering_deadline_s": 900}
    return {
        "areas": {"areas": [{**area, "rules": rules}], "contracts": [contract]},
        "calendars/c": {"calendar": "c", "tz": tz, "tz_version": "1", "months": [0], "days": days},
        f"areas/{name}/installations": {"installations": rows, "next": None},
        "registry/tariff": {"kind": "tariff", "names": [], "next": None},
        **{f"registry/party/{row['party']}": {"entries": [_PARTY_ENTRY]} for row in rows if row["party"]},
    }


_PARTY_ENTRY = {"from_s": 0, "recorded_height": 0, "value": {"area": "A1", "organisation": "o", "trades": True}}


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
    """The lines of the household in a slot, as the node states them."""
    energies = (np.array([energy_wh], dtype=np.int64) for energy_wh in (IMPORT_WH, EXPORT_WH, BOUGHT_WH, 0))
    slot = one_group(PRICES, *energies)
    lines = CONTRACTS["p2p_call_auction/1"].lines(slot, {}, trade_prices_micro_per_kwh=[PRICE], terms=[{}])
    return [line._asdict() for line in statements.lines(lines, [Billed(PARTY, "P-1")])]


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
    kinds = [
        {
            "line_kind": line["line_kind"],
            "lines": count,
            "energy_wh": count * line["energy_wh"],
            "amount_nano": count * line["amount_nano"],
        }
        for line in statement_lines()
    ]
    world.node.answers[f"areas/A1/days/{DAY_START_S}/kinds"] = {"slots_settled": count, "kinds": kinds}


async def fill_day(world: World) -> None:
    """A whole settled day of the household, which the node states too, and of its neighbour."""
    slots = range(DAY_START_S, DAY_START_S + DAY_S, SLOT_S)
    state(world, slots)
    await fill(world, [settled(slot) for slot in slots])
    await fill(world, [settled(slot, NEIGHBOURS_METER, import_wh=777_777) for slot in slots])


def household(world: World, language: str = "en", party: str = PARTY) -> Browser:
    """The browser of the household."""
    return world.browser(Role.HOUSEHOLD, party, language)
