"""Runs: what the points of a zone used in a slot, what they pay, and what the accounts receive (docs/spec/state.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from gridcore import cbor
from gridcore.sm3 import sm3
from tests.twin import long_gaps
from tests.twin.bilateral import BilateralAgreements, deals_in
from tests.twin.contracts import BillSharing, Member, Month, Settled
from tests.twin.estimates import estimate, place_of
from tests.twin.forms import ZEROS, Column, Leaf, pack, salted_root
from tests.twin.intervals import imported_at, seed_at
from tests.twin.market import chunks
from tests.twin.markets import MARKETS
from tests.twin.metering import ABSENT, Registers, chunk_seeds, row_at
from tests.twin.periods import count, month_of, month_to_close
from tests.twin.pieces import counts_part_slots, energies_of
from tests.twin.run_dates import run_name

if TYPE_CHECKING:
    from tests.twin.twin import Twin

CHUNK = 1_024
NANO = 10**9
MEASURED = 0
FOLLOWED = (
    "party", "supplier", "offtaker", "grid_operator", "balance_responsible_import", "balance_responsible_export", "energy_kind",
)  # fmt: skip


class Point(NamedTuple):
    """One row of a zone in a slot; registers: start and end of import, of export, -1 where absent."""

    area: int
    party: str
    quality: int
    registers: tuple[int, int, int, int]
    import_wh: int
    export_wh: int


def settling_rows(twin: Twin, zone: str, slot: int) -> list[int]:
    """The rows whose point has a party in the slot."""
    rows = []
    for row, name in enumerate(twin.registry.points[zone]):
        point = twin.registry.value("point/" + name, slot, twin.height - 1)
        if point is not None and "party" in point:
            rows.append(row)
    return rows


def read_point(twin: Twin, zone: str, row: int, slot: int) -> Point:
    """What a row shows for a slot."""
    name = twin.registry.points[zone][row]
    point = twin.registry.value("point/" + name, slot, twin.height - 1) or {}
    start, end = (value_at(twin, zone, row, at_s) for at_s in (slot, slot + twin.slot_s))
    shown = [-1 if reading is None else reading[0][index] for index in (0, 1) for reading in (start, end)]
    known = energies_of(twin, zone, name, slot, start, end)
    area = twin.leaves["area/" + point["area"]]["number"] if point else 0
    quality = end[1] if end is not None else ABSENT if known is None else MEASURED
    energies = known or [0, 0]
    imported = imported_at(twin, zone, row, slot)
    if imported is not None:
        quality, *energies = imported
        shown = [-1] * 4
    elif "party" in point and known is None:
        find = estimate if twin.gap_slots_max(zone, slot) is None else long_gaps.estimate
        energies[0], energies[1], quality = find(twin, place_of(twin, zone, row, slot), slot)
    registers = (shown[0], shown[1], shown[2], shown[3])
    return Point(area, point.get("party", ""), quality, registers, energies[0], energies[1])


def known_quality(twin: Twin, zone: str, row: int, slot: int) -> int | None:
    """The quality of a row's energy in a slot, None where it is not known."""
    imported = imported_at(twin, zone, row, slot)
    if imported is not None:
        return int(imported[0])
    start, end = (value_at(twin, zone, row, at_s) for at_s in (slot, slot + twin.slot_s))
    known = energies_of(twin, zone, twin.registry.points[zone][row], slot, start, end)
    return None if known is None else MEASURED if end is None else end[1]


def value_at(twin: Twin, zone: str, row: int, boundary_s: int) -> tuple[Registers, int] | None:
    """The value of a row at a boundary; where part slots are measured only while a meter hangs there."""
    point = twin.registry.points[zone][row]
    if counts_part_slots(twin, zone) and twin.registry.installation_at(point, boundary_s, twin.height - 1) is None:
        return None
    return row_at(twin, zone, row, boundary_s)


def is_complete(twin: Twin, zone: str, slot: int, measured_ppm: int) -> bool:
    """Whether enough settling rows of a slot have values that were measured or corrected."""
    rows = settling_rows(twin, zone, slot)
    qualities = [known_quality(twin, zone, row, slot) for row in rows]
    measured = sum(quality is not None and quality % 16 in (0, 2) for quality in qualities)
    return measured * 10**6 >= measured_ppm * len(rows)


def settle_slot(twin: Twin, zone: str, slot: int) -> tuple[int | None, int | None]:
    """The next run of a slot: positions, and the difference of what each point owes and each account receives.

    Returns the end of the month in which the run was counted, None where it was in none; and what a dispute run that is not made would
    have changed, None where none was left out.
    """
    settling = settling_rows(twin, zone, slot)
    runs = twin.leaves.get(f"runs/{slot}/{zone}", {"runs": []})["runs"]
    if not settling and not runs:
        return None, None
    last = f"{slot}/{zone}/{runs[-1][0]}" if runs else None
    run = run_name(twin, zone, slot, runs)
    contract = twin.contract(zone, slot)
    market = MARKETS[contract["contract"]]
    points = [read_point(twin, zone, row, slot) for row in range(len(twin.registry.points[zone]))]
    columns = [[0] * len(market.position_columns) for _ in points]
    month = month_to_close(twin, zone, slot, last, market.summed) if market.summed[0] else None
    areas = settle_areas(twin, zone, slot, settling, points, columns, month)
    area_columns, received = [settled.area for settled in areas], [settled.received for settled in areas]
    rules_digests = [twin.rules(area, slot)[0] for area in twin.registry.areas[zone]]
    seeds = [chunk_seeds(twin, zone, boundary) for boundary in (slot, slot + twin.slot_s)]
    seeds[0] = [seed_at(twin, zone, chunk, slot) or read for chunk, read in enumerate(seeds[0])]
    seed = sm3(cbor.encode(["result-seed/2", slot, zone, run, *seeds]))
    rows_bytes = rows_of_points(points, columns)
    area_rows = rows_of_areas(rules_digests, area_columns)
    totals = total_rows(received, market.accounts)
    own_columns = [dict(zip(market.area_columns, own, strict=True)) for own in area_columns]
    positions = positions_of(seed, points, columns, market.position_columns)
    results = results_of(seed, rules_digests, own_columns, received)
    moved = [] if last is None else moved_rows(twin, zone, slot, last)
    if last is not None and run != "final" and not moved and says_the_same(twin, last, positions, results):
        return None, None
    pays = market.position_columns.index("pays_nano")
    if last is not None and run.startswith("dispute-"):
        change = changed_nano(twin, last, [own[pays] for own in columns], moved)
        if change < twin.timeline(zone)["run_calendar"]["dispute_material_nano"]:
            return None, change
    post(twin, zone, [own[pays] for own in columns], received, seed, last)
    twin.leaves[f"run/{slot}/{zone}/{run}"] = {
        "areas": len(area_rows),
        "areas_root": salted_root(sm3(seed + b"areas"), area_rows),
        "as_of_height": twin.height - 1,
        "contract": contract["contract"],
        "contract_pin": contract["contract_pin"],
        "points": len(settling),
        "rows": len(rows_bytes),
        "rows_root": salted_root(seed, rows_bytes),
        "run": run,
        "slot_start_s": slot,
        "totals_root": salted_root(sm3(seed + b"totals"), totals),
        "zone": zone,
    }
    twin.leaves[f"runs/{slot}/{zone}"] = {"runs": [*runs, [run, twin.height]]}
    for family, leaves in (("positions", positions), ("results", results)):
        for chunk, leaf in enumerate(leaves):
            twin.leaves[f"{family}/{slot}/{zone}/{run}/{chunk}"] = leaf
    if month is None:
        return None, None
    count(twin, zone, month.start_s, last, (positions, results), market.summed, seed)
    return month_of(twin, zone, slot)[1], None


def moved_rows(twin: Twin, zone: str, slot: int, last: str) -> list[int]:
    """The rows whose points name others, or another kind of energy, than the last run of a slot saw, where the zone's runs follow points."""
    if not twin.follows_points(zone, slot):
        return []
    then = twin.leaves[f"run/{last}"]["as_of_height"]
    said = []
    for height in (then, twin.height - 1):
        values = [twin.registry.value("point/" + name, slot, height) or {} for name in twin.registry.points[zone]]
        said.append([[value.get(field) for field in FOLLOWED] for value in values])
    before, now = said
    return [row for row, (then_said, now_said) in enumerate(zip(before, now, strict=True)) if then_said != now_said]


def changed_nano(twin: Twin, last: str, pays: Sequence[int], moved: Sequence[int]) -> int:
    """What the points pay otherwise than by the last run, all changes taken as positive; of moved rows both what they paid and what they pay."""
    change = 0
    for number, at in enumerate(range(0, len(pays), CHUNK)):
        found, own = twin.leaves.get(f"positions/{last}/{number}"), pays[at : at + CHUNK]
        paid = longer(found["columns"]["pays_nano"] if found else [], len(own))
        for row, (new, old) in enumerate(zip(own, paid, strict=True), at):
            change += abs(new) + abs(old) if row in moved else abs(new - old)
    return change


def rows_of_points(points: Sequence[Point], columns: Sequence[Sequence[int]]) -> list[bytes]:
    """What a run says of each point, as salted rows."""
    return [
        pack("IB", row, point.quality)
        + pack(f"{6 + len(own)}q", *point.registers, point.import_wh, point.export_wh, *own)
        for row, (point, own) in enumerate(zip(points, columns, strict=True))
    ]


def rows_of_areas(rules_digests: Sequence[bytes], area_columns: Sequence[tuple[int, ...]]) -> list[bytes]:
    """What a run says of each area, as salted rows."""
    return [
        pack("I", number) + digest + pack(f"{len(own)}q", *own)
        for number, (digest, own) in enumerate(zip(rules_digests, area_columns, strict=True))
    ]


def settle_areas(
    twin: Twin,
    zone: str,
    slot: int,
    settling: Sequence[int],
    points: Sequence[Point],
    columns: list[list[int]],
    month: Month | None,
) -> list[Settled]:
    """What each area comes to; the contract's columns of its settling rows are put into ``columns``."""
    market = MARKETS[twin.contract(zone, slot)["contract"]]
    dealt = deal_fills(twin, zone, slot, {row: points[row] for row in settling})
    prices, areas = trade_prices(twin, zone, slot), list[Settled]()
    deals = list(deals_in(twin, zone, slot, settling)) if market.takes_agreements else []
    for number, area in enumerate(twin.registry.areas[zone]):
        rows = [row for row in settling if points[row].area == number]
        members = [member_of(twin, zone, slot, row, points[row], dealt) for row in rows]
        rules = twin.rules(area, slot)[1]
        if issubclass(market, BilateralAgreements):
            settled = market.settle_deals(members, rules["prices"], deals)
        elif month is not None and issubclass(market, BillSharing):
            settled = market.settle_in_month(members, rules["prices"], month, rows, number)
        else:
            settled = market.settle(members, prices[number], rules["prices"], rules["terms"])
        for row, own in zip(rows, settled.positions, strict=True):
            columns[row] = list(own)
        areas.append(settled)
    return areas


def member_of(
    twin: Twin, zone: str, slot: int, row: int, shown: Point, dealt: Mapping[tuple[int, int], Dealt]
) -> Member:
    """What a row brings into the settlement of its area."""
    point = twin.registry.must("point/" + twin.registry.points[zone][row], slot, twin.height - 1)
    own = twin.rules_named(point["rules"], zone, slot)[1]["prices"] if "rules" in point else None
    bought, sold = (dealt.get((row, side), Dealt(0, 0)) for side in (0, 1))
    keys = point.get("share_ppm", -1), point.get("priority", -1)
    return Member(
        shown.import_wh, shown.export_wh, bought.wh, sold.wh, own, *keys, bought.nano, sold.nano, row, bought.fee
    )


def says_the_same(twin: Twin, last: str, positions: Sequence[Leaf], results: Sequence[Leaf]) -> bool:
    """Whether the last run says of every row and every area what this one would."""
    said = [(f"positions/{last}/{chunk}", leaf, ("columns", "quality")) for chunk, leaf in enumerate(positions)]
    said += [(f"results/{last}/{chunk}", leaf, ("columns", "rules")) for chunk, leaf in enumerate(results)]
    return all(twin.leaves.get(key, {part: None})[part] == leaf[part] for key, leaf, parts in said for part in parts)


def total_rows(received: Sequence[Mapping[str, int]], accounts: Sequence[str]) -> list[bytes]:
    """What each account of each area receives in this run, as salted rows."""
    return [
        pack("IBqI", number, index, *divmod(amounts[account], NANO))
        for number, amounts in enumerate(received)
        for index, account in enumerate(accounts)
    ]


class Dealt(NamedTuple):
    """A row's share of its party's fills of one side: energy, what its trades come to, and their fees."""

    wh: int
    nano: int
    fee: int = 0


def deal_fills(twin: Twin, zone: str, slot: int, points: Mapping[int, Point]) -> dict[tuple[int, int], Dealt]:
    """By row and side: the row's share of its party's fills; money is dealt as the energy is."""
    dealt: dict[tuple[int, int], Dealt] = {}
    for (party, side), total in filled(twin, zone, slot).items():
        own = sorted((row for row in points if points[row].party == party), key=lambda row: name_of(twin, zone, row))
        energies = deal(total.wh, [(points[row].import_wh, points[row].export_wh)[side] for row in own])
        shares = zip(energies, deal(total.nano, energies), deal(total.fee, energies), strict=True)
        dealt |= {(row, side): Dealt(*share) for row, share in zip(own, shares, strict=True)}
    return dealt


def deal(total: int, weights: list[int]) -> list[int]:
    """By weight, what is left by the largest remainders; all to the first where there is no weight."""
    if sum(weights) == 0:
        weights = [1, *weights[1:]]
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    shares = [floor(share) for share in exact]
    by_rest = sorted(range(len(weights)), key=lambda at: (shares[at] - exact[at], at))
    for at in by_rest[: total - sum(shares)]:
        shares[at] += 1
    return shares


def name_of(twin: Twin, zone: str, row: int) -> bytes:
    """The bytes of a point's name."""
    return twin.registry.points[zone][row].encode()


def filled(twin: Twin, zone: str, slot: int) -> dict[tuple[str, int], Dealt]:
    """What each party's orders got, by party and side."""
    sums: dict[tuple[str, int], Dealt] = {}
    for chunk in chunks(twin, f"fills/{slot}/{zone}"):
        amounts, fees = (chunk.get(name, [0] * len(chunk["party"])) for name in ("amount_nano", "fee_nano"))
        columns = zip(chunk["party"], chunk["side"], chunk["filled_wh"], amounts, fees, strict=True)
        for number, side, wh, nano, fee in columns:
            party = twin.registry.parties[number]
            before = sums.get((party, side), Dealt(0, 0))
            sums[party, side] = Dealt(before.wh + wh, before.nano + nano, before.fee + fee)
    return sums


def trade_prices(twin: Twin, zone: str, slot: int) -> list[int]:
    """By area number: the price at which the slot was cleared, 0 where nothing was."""
    cleared = chunks(twin, f"cleared/{slot}/{zone}")
    prices = [price for leaf in cleared for price in leaf["price_micro_per_kwh"]]
    return prices + [0] * (len(twin.registry.areas[zone]) - len(prices))  # areas that came after the gate


def positions_of(
    seed: bytes, points: Sequence[Point], columns: Sequence[list[int]], names: Sequence[str]
) -> list[Leaf]:
    """The rows of a run by chunks, each with the root of its rows."""
    heads = ("start_import", "end_import", "start_export", "end_export", "import_wh", "export_wh")
    table = [
        (*point.registers, point.import_wh, point.export_wh, *own) for point, own in zip(points, columns, strict=True)
    ]
    rows = [
        pack("IB", row, point.quality) + pack(f"{len(values)}q", *values)
        for row, (point, values) in enumerate(zip(points, table, strict=True))
    ]
    leaves: list[Leaf] = []
    for at in range(0, len(table), CHUNK):
        part = slice(at, at + CHUNK)
        by_name = zip((*heads, *names), zip(*table[part], strict=True), strict=True)
        leaf: Leaf = {
            "columns": {name: Column(column) for name, column in by_name},
            "quality": bytes(point.quality for point in points[part]),
            "root": salted_root(seed, rows, part),
            "seed": seed,
        }
        leaves.append(leaf)
    return leaves


def results_of(
    seed: bytes,
    rules_digests: Sequence[bytes],
    area_columns: Sequence[Mapping[str, int]],
    received: Sequence[Mapping[str, int]],
) -> list[Leaf]:
    """What the areas of a zone came to, by chunks of area numbers."""
    leaves: list[Leaf] = []
    for at in range(0, len(received), CHUNK):
        part = slice(at, at + CHUNK)
        values, accounts = area_columns[part], received[part]
        leaf: Leaf = {
            "columns": {name: Column(own[name] for own in values) for name in values[0]},
            "rules": b"".join(rules_digests[part]),
            "seed": seed,
            "totals": {name: Column(own[name] // NANO for own in accounts) for name in accounts[0]},
            "totals_nano": {name: Column(own[name] % NANO for own in accounts) for name in accounts[0]},
        }
        leaves.append(leaf)
    return leaves


def post(
    twin: Twin,
    zone: str,
    owed: Sequence[int],
    received: Sequence[Mapping[str, int]],
    seed: bytes,
    last: str | None,
) -> None:
    """What each point owes more than by the last run, and what each account has received more: the two sides of one sum."""
    assert sum(owed) == sum(sum(accounts.values()) for accounts in received)
    for number, at in enumerate(range(0, len(owed), CHUNK)):
        key, more = f"balance/{zone}/{number}", owed[at : at + CHUNK]
        if last is not None:
            found = twin.leaves.get(f"positions/{last}/{number}")
            paid = longer(found["columns"]["pays_nano"] if found else [], len(more))
            more = [new - old for new, old in zip(more, paid, strict=True)]
        none = [0] * len(more)
        old = twin.leaves.get(key, {"nano": none, "units": none, "seed": ZEROS})
        units, nano = added(longer(old["units"], len(more)), longer(old["nano"], len(more)), more)
        twin.leaves[key] = {"nano": nano, "units": units, "seed": sm3(old["seed"] + seed)}
    for number, at in enumerate(range(0, len(received), CHUNK)):
        key, areas = f"accounts/{zone}/{number}", [dict(own) for own in received[at : at + CHUNK]]
        if last is not None:
            was = twin.leaves.get(f"results/{last}/{number}", {"totals": {name: [] for name in areas[0]}})
            for name in areas[0]:
                for area, units in enumerate(was["totals"][name]):
                    areas[area][name] -= units * NANO + was["totals_nano"][name][area]
        names = [name for name in areas[0] if any(own[name] for own in areas)]
        none = [0] * len(areas)
        old = twin.leaves.get(key, {"nano": {}, "units": {}, "seed": ZEROS})
        names = sorted({*names, *old["units"]}, key=str.encode)
        leaf: Leaf = {"nano": {}, "units": {}, "seed": sm3(old["seed"] + seed)}
        for name in names:
            before = old["units"].get(name, none), old["nano"].get(name, none)
            before = longer(before[0], len(areas)), longer(before[1], len(areas))
            leaf["units"][name], leaf["nano"][name] = added(*before, [own.get(name, 0) for own in areas])
        twin.leaves[key] = leaf


def longer(column: Sequence[int], size: int) -> list[int]:
    """A column with a zero for each row or area that came after it was written."""
    return [*column, *[0] * (size - len(column))]


def added(units: Sequence[int], nano: Sequence[int], more: Sequence[int]) -> tuple[Column, Column]:
    """Two limbs, row by row, plus amounts in nano."""
    totals = [u * NANO + n + amount for u, n, amount in zip(units, nano, more, strict=True)]
    return Column(total // NANO for total in totals), Column(total % NANO for total in totals)
