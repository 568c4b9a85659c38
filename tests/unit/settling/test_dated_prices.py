"""``[[prices]]`` with validity: which price a slot is settled at, on a new ledger and by newer files, and what is refused."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.errors import UsageError
from gridcore.registry.rules import RULES as RULES_ENTITY
from gridledger.settling.chain import settled_ledger
from gridledger.settling.dataset import LaterPrices
from gridledger.settling.files.dated_prices import ENTRIES_OF_PRICES_MAX, read_dated
from gridledger.settling.files.folder import read_folder
from gridledger.settling.files.stamps import Zone
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_amended_prices import last_bills, part_of, price_at
from tests.unit.settling.test_chain_prices import LEVY, prices_of, series
from tests.worlds.datasets import COMMUNITY_PRICES, FIRST_S, SLOT_S, community

PRICES = RULES[RULES.index("[prices]") + len("[prices]\n") : RULES.index("[timeline]")]


def entry(levy: int, validity: str) -> str:
    return f"[[prices]]\n{validity}\n{PRICES.replace('levy_micro_per_kwh = 40000', f'levy_micro_per_kwh = {levy}')}"


def rules_with(*entries: str) -> dict[str, str | bytes | None]:
    return {"rules.toml": RULES.replace(f"[prices]\n{PRICES}", "".join(entries))}


def changed(prices: dict[int, int]) -> Any:
    """A day of four slots at the levy that a slot has from there on."""
    first, *later = (
        LaterPrices(FIRST_S + slot * SLOT_S, {**COMMUNITY_PRICES, LEVY: levy}) for slot, levy in prices.items()
    )
    rules = community(1, 1).rules
    return rules._replace(prices=first.prices, later_prices=later)


def test_entries_hold_from_local_midnight_to_local_midnight_in_any_order(tmp_path: Path) -> None:
    later, first = entry(7, "valid_from = 2025-06-01"), entry(5, "valid_from = 2025-01-01\nvalid_until = 2025-06-01")
    readings = "start,point,import_kwh,export_kwh\n" + "".join(
        f"2025-05-31T{hour}:{minute}:00,{point},1,0\n" if hour == 23 else f"2025-06-01T00:{minute}:00,{point},1,0\n"
        for point in ("P1", "P2")
        for hour, minute in ((23, 30), (23, 45), (0, "00"))
    )
    dataset = read_folder(make_folder(tmp_path / "in", {**rules_with(later, first), "readings.csv": readings}))
    assert dataset.rules.prices[LEVY] == 5
    with settled_ledger(dataset, tmp_path) as ledger:
        bills = last_bills(ledger, dataset)
    starts = dataset.slot_start_s.tolist()
    assert [bills[at_s, "P1"][1] for at_s in starts] == [5, 5, 7]


def test_the_ledger_has_one_entry_of_its_rules_for_each(tmp_path: Path) -> None:
    rules = changed({0: 5, 3: 7, 9: 11})
    with settled_ledger(community(12, 2, rules=rules), tmp_path) as ledger:
        found = [ledger.in_force(RULES_ENTITY, "files", FIRST_S + slot * SLOT_S) for slot in (0, 2, 3, 8, 9, 11)]
    assert [one.prices[LEVY] for one in found if one is not None] == [5, 5, 7, 7, 11, 11]


def test_a_price_of_prices_csv_counts_before_the_dated_one_from_its_start_on(tmp_path: Path) -> None:
    rows = [series(LEVY, {4: 100}), series(LEVY, {2: 200}, point="P001")]
    prices = prices_of(community(12, 2, rules=changed({0: 5, 3: 7, 9: 11}), series=rows), tmp_path)
    assert [prices["P000", slot, LEVY] for slot in (0, 2, 3, 4, 9, 11)] == [5, 5, 7, 100, 100, 100]
    assert [prices["P001", slot, LEVY] for slot in (0, 1, 2, 3, 4, 9, 11)] == [5, 5, 200, 200, 200, 200, 200]


DATED = st.dictionaries(st.integers(1, 23), st.integers(0, 50), max_size=4).map(
    lambda drawn: dict(sorted(drawn.items()))
)


@settings(max_examples=8, deadline=None)
@given(DATED, st.lists(st.tuples(DATED, st.integers(0, 20), st.integers(1, 24)), min_size=1, max_size=3))
def test_after_any_newer_rules_each_slot_has_the_price_of_the_newest_file_up_to_the_next_change_behind_it(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[int, int],
    changes: list[tuple[dict[int, int], int, int]],
) -> None:
    folder = tmp_path_factory.mktemp("dated")
    stated = {0: 1, **before}
    whole = community(24, 2, rules=changed(stated))
    with settled_ledger(whole, folder):
        pass
    expected = {slot: price_at(stated, slot) for slot in range(24)}
    found = {}
    for prices, first, slots in changes:
        newer = {first: price_at({0: 2, **prices}, first), **{at: price for at, price in prices.items() if at > first}}
        last_said = max(min(first + slots, 24) - 1, *newer)
        behind = [slot for slot in range(last_said + 1, 24) if expected[slot] != expected[slot - 1]]
        expected |= {slot: price_at(newer, slot) for slot in range(first, min(behind, default=24))}
        part = part_of(whole, first, min(first + slots, 24))._replace(rules=changed(newer))
        with settled_ledger(part, folder) as ledger:
            found = last_bills(ledger, whole)
            height = ledger.height
        with settled_ledger(part, folder) as ledger:
            assert ledger.height == height, "the same files say nothing new"
    assert {slot: found[FIRST_S + slot * SLOT_S, "P000"][1] for slot in range(24)} == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 800), min_size=1, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_entries_without_gap_and_overlap_are_taken_and_any_moved_end_is_refused(days: list[int], random: Any) -> None:
    starts = [date(2025, 1, 1) + timedelta(days=day) for day in sorted(days)]
    ends = [*starts[1:], None]
    tables = [
        {"valid_from": start, "p": place} | ({} if end is None else {"valid_until": end})
        for place, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
    zone, paris = Zone("Europe/Paris"), ZoneInfo("Europe/Paris")
    shuffled = random.sample(tables, len(tables))
    entries = read_dated(shuffled, zone)
    assert [entry.prices["p"] for entry in entries] == list(range(len(starts)))
    expected = [np.datetime64(day) for day in starts]
    local = [np.datetime64(_local(entry.from_s, paris)) for entry in entries]
    assert local == expected
    if len(tables) > 1:
        at = random.randrange(len(tables) - 1)
        moved = dict(tables[at], valid_until=tables[at]["valid_until"] + timedelta(days=random.choice([-1, 1])))
        with pytest.raises(UsageError, match=r"rules\.toml: \[\[prices\]\] \d+, valid_(from|until)"):
            read_dated([*tables[:at], moved, *tables[at + 1 :]], zone)


def _local(at_s: int | None, zone: ZoneInfo) -> str:
    from datetime import datetime

    assert at_s is not None
    return datetime.fromtimestamp(at_s, zone).strftime("%Y-%m-%dT%H:%M")


FAULTS = {
    "a gap": (
        (entry(1, "valid_until = 2025-06-01"), entry(2, "valid_from = 2025-06-02")),
        (
            "rules.toml: [[prices]] 2, valid_from: the entry leaves a gap behind entry 1; begin it (valid_from) on the day on which "
            "entry 1 ends (valid_until)"
        ),
    ),
    "an overlap": (
        (entry(1, "valid_until = 2025-06-03"), entry(2, "valid_from = 2025-06-02")),
        (
            "rules.toml: [[prices]] 2, valid_from: the entry overlaps entry 1; begin it (valid_from) on the day on which entry 1 ends "
            "(valid_until)"
        ),
    ),
    "two without validity": (
        (entry(1, ""), entry(2, "")),
        (
            "rules.toml: [[prices]] 2, valid_from: the entry overlaps entry 1; begin it (valid_from) on the day on which entry 1 ends "
            "(valid_until)"
        ),
    ),
    "an entry that lacks a price": (
        (entry(1, "valid_until = 2025-06-01"), "[[prices]]\nvalid_from = 2025-06-01\nlevy_micro_per_kwh = 3\n"),
        "rules.toml: [[prices]] 2, feed_in_price_micro_per_kwh: missing; every entry has all prices that another one has",
    ),
    "the end before the beginning": (
        (entry(1, "valid_from = 2025-06-02\nvalid_until = 2025-06-01"),),
        "rules.toml: [[prices]] 1, valid_until: is not after valid_from; an entry holds for a day at least",
    ),
    "a text as day": (
        (entry(1, 'valid_from = "2025-06-01"'),),
        (
            "rules.toml: [[prices]] 1, valid_from = '2025-06-01' is no day; give a local day as 2026-07-01, without quotes and without "
            "a time"
        ),
    ),
    "slots before the first entry": (
        (entry(1, "valid_from = 2025-06-02"),),
        (
            "rules.toml: [[prices]] valid_from: none holds before 2025-06-01T22:00:00Z, and the first slot is 2025-06-01T00:00:00Z; "
            "begin the first entry there, or leave out its valid_from"
        ),
    ),
    "slots behind the last entry": (
        (entry(1, "valid_until = 2025-06-01"),),
        (
            "rules.toml: [[prices]] valid_until: none holds from 2025-05-31T22:00:00Z on, and the last slot ends at "
            "2025-06-01T00:30:00Z; give an entry from then on, or leave out the last one's valid_until"
        ),
    ),
    "validity of the one table": (
        (f"[prices]\nvalid_from = 2025-06-01\n{PRICES}",),
        "rules.toml: [prices] valid_from: one table has no validity; write each entry as a table [[prices]]",
    ),
    "prices that do not go together from a day on": (
        (
            entry(1, "valid_until = 2025-06-01"),
            entry(1, "valid_from = 2025-06-01").replace(
                "residual_price_micro_per_kwh = 460000", "residual_price_micro_per_kwh = 1"
            ),
        ),
        (
            "rules.toml: [market] or [prices]: prices: residual_price_micro_per_kwh >= feed_in_price_micro_per_kwh >= 0 does not hold; "
            "docs/settle-files.md has the terms of mid_market_rate/1"
        ),
    ),
    "more than an entity keeps": (
        tuple(entry(1, "") for _ in range(ENTRIES_OF_PRICES_MAX + 1)),
        "rules.toml: [[prices]]: 61 entries; give at most 60; prices that vary more often stand in prices.csv",
    ),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_what_is_wrong_with_dated_prices_is_one_line_that_names_the_entry(tmp_path: Path, name: str) -> None:
    entries, line = FAULTS[name]
    with pytest.raises(UsageError) as caught:
        read_folder(make_folder(tmp_path, rules_with(*entries)))
    assert str(caught.value) == line


def test_prices_that_do_not_go_together_later_name_the_instant(tmp_path: Path) -> None:
    wrong = entry(1, "valid_from = 2025-06-02").replace(
        "residual_price_micro_per_kwh = 460000", "residual_price_micro_per_kwh = 1"
    )
    readings = "start,point,import_kwh,export_kwh\n" + "".join(
        f"2025-06-01T{21 + at // 4}:{at % 4 * 15:02}:00Z,{point},1,0\n" for point in ("P1", "P2") for at in range(8)
    )
    folder = make_folder(
        tmp_path, {**rules_with(entry(1, "valid_until = 2025-06-02"), wrong), "readings.csv": readings}
    )
    with pytest.raises(
        UsageError, match=r"rules\.toml: the prices from 2025-06-01T22:00:00Z on: prices: residual_price"
    ):
        read_folder(folder)
