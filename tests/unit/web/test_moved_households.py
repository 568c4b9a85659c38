"""A point that is billed to another party from a slot on: its pages show nobody the curve of whom it was billed to before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridcore.master_data import Named
from gridcore.registry.calendar import Calendar
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridweb.access import Role, Viewer
from gridweb.format import money
from gridweb.pages.household_tables import household_days_table, household_intervals_table
from gridweb.pages.month_tables import Month, read_month
from gridweb.points import Day, find_point
from gridweb.tables import Table
from tests.unit.web.ledger_world import ledger_world
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S, START_S, UTILITY
from tests.worlds.two_areas import TWO_AREAS

SECOND_S = FIRST_S + SLOT_S
MOVED = Named(POINT, "P-3", Point("a-1", "load", party="p-1"), from_s=SECOND_S)
"""The load of l-1 counts for p-1 from the second slot on."""
WORLD = replace(TWO_AREAS, more=[*TWO_AREAS.more, MOVED])
ROWS = [(1, 2000, 7), (2, 530, 900), (3, 13, 0), (4, 90, 5)]
"""In the second slot p-1 takes 100 Wh and the load 40."""


def column_of(table: Table, key: str) -> list[object]:
    """The values of a column."""
    at = [column.key for column in table.columns].index(key)
    return [row[at] for row in table.rows]


async def test_a_household_sees_of_a_point_what_was_billed_to_it_alone(tmp_path: Path) -> None:
    async with ledger_world(tmp_path, consortium=WORLD) as world:
        third_s = SECOND_S + SLOT_S
        await world.submit([world.sender.batch("gw-1", third_s, ROWS)], [world.sender.clock(third_s + SLOT_S)])
        viewer = Viewer("p", Role.HOUSEHOLD, "p-1")
        assert (await find_point(world.source, "p-1")).since_s == (0, SECOND_S)
        slots = await household_intervals_table(world.source, viewer, "p-1", start_s=DAYS[1], end_s=DAYS[2])
        assert list(zip(column_of(slots, "slot_start_s"), column_of(slots, "import_wh"), strict=True)) == [
            (FIRST_S, 900),
            (SECOND_S, 140),
        ]
        days = await household_days_table(world.source, viewer, "p-1", start_s=DAYS[1], end_s=DAYS[2])
        assert column_of(days, "import_wh") == [1_040]


@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_month_has_of_a_day_on_which_a_point_changed_hands_each_partys_own_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_whole: bool
) -> None:
    ends_s = SECOND_S + (SLOT_S if is_whole else 2 * SLOT_S)
    calendar = replace_days([FIRST_S - 3_600, FIRST_S, ends_s, ends_s + 3_600])
    async with ledger_world(tmp_path, consortium=replace(WORLD, calendar=calendar)) as world:
        third_s = SECOND_S + SLOT_S
        await world.submit([world.sender.batch("gw-1", third_s, ROWS)], [world.sender.clock(third_s + SLOT_S)])
        question = world.source.cached
        for party, energies in (("p-1", 1_040), ("p-2", 30), ("l-1", 80)):
            point = replace(await find_point(world.source, "p-1"), party=party)  # l-1 is billed nowhere any more
            month = Month("2027-01", (Day(FIRST_S, ends_s, "2027-01-15"),))
            asked: list[str] = []
            monkeypatch.setattr(world.source, "cached", remember(asked, question))
            found = await read_month(world.source, point, month)
            told = await world.source.query(f"areas/a-1/days/{FIRST_S}/kinds", party=party)
            assert {one.kind: (one.lines, one.energy_wh, one.amount_nano) for one in found.sums} == {
                one["line_kind"]: (one["lines"], one["energy_wh"], one["amount_nano"]) for one in told["kinds"]
            }
            levied = sum(one.energy_wh for one in found.sums if one.kind == "levy")
            assert (levied, found.slots_settled) == (energies, 2)
            assert bool(asked) == (not is_whole), "the ledger is asked for the sums of a day that is under way alone"


async def test_a_new_tenant_is_told_what_he_owes_and_not_what_the_one_before_left_at_his_point(tmp_path: Path) -> None:
    """The load took 80 Wh for l-1 in the first slot and 40 for p-1 in the second; l-1 has paid 7 nano, p-1 5."""
    bound = Named(PARTY, "p-1", Party("a-1", UTILITY, trades=True, credit_nano=10**12), from_s=START_S)
    async with ledger_world(tmp_path, consortium=replace(WORLD, more=[*WORLD.more, bound])) as world:
        third_s, sender = SECOND_S + SLOT_S, world.sender
        await world.submit([sender.batch("gw-1", third_s, ROWS)], [sender.clock(third_s + SLOT_S)])
        await world.submit([sender.payment("P-3", "l-1", 7), sender.payment("P-3", "p-1", 5)])
        reader: Any = world.node.client("util")
        own, left = [await pays_in_all_slots(reader, party) for party in ("p-1", "l-1")]
        balance = (await reader.query("credit", party="p-1"))["owes_nano"]
        assert (balance, own - 5, left > 7) == (own - 5 + left - 7, balance - (left - 7), True)

        itself: Any = world.node.client("p-1")
        credit = await itself.query("credit", party="p-1")
        assert (credit["owes_nano"], credit["shares_points"]) == (None, True)
        accounts = await itself.query("accounts", area="a-1")
        assert [(row["point"], row["owes_nano"] is None) for row in accounts["balances"]] == [
            ("P-1", False),
            ("P-3", True),
        ]
        assert (await world.node.client("p-2").query("credit", party="p-2"))["shares_points"] is False

        address = "/households/p-1/payments"
        page = await world.web.browser(Role.HOUSEHOLD, "p-1").text(address)
        shown, hidden = (money(nano, "CNY", 4) for nano in (own - 5, left - 7))
        assert [words in page for words in (shown, hidden, "own slots since the first", "is not shown to you")] == [
            True,
            False,
            True,
            True,
        ]
        assert money(balance, "CNY", 4) not in page
        utility = await world.web.browser(Role.UTILITY).text(address)
        assert [words in utility for words in (shown, hidden, "Beside it in the balance of its points")] == [True] * 3
        day = await world.web.browser(Role.HOUSEHOLD, "p-1").text("/households/p-1")
        assert "Since the first slot, all days together" not in day


async def pays_in_all_slots(reader: Any, party: str) -> int:
    """What both settled slots come to for a party, by their runs."""
    runs = [await reader.query(f"areas/a-1/slots/{start_s}/run") for start_s in (FIRST_S, SECOND_S)]
    return sum(int(one["pays_nano"]) for run in runs for one in run["parties"] if one["party"] == party)


def replace_days(days: list[int]) -> Calendar:
    """The calendar of the chain, with other days."""
    return TWO_AREAS.calendar._replace(days=days)


def remember(asked: list[str], question: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    """A question that notes what is asked."""

    async def noting(path: str, **params: str | int) -> object:
        asked.append(path)
        return await question(path, **params)

    return noting


@pytest.mark.parametrize(
    ("span", "parts"),
    [
        ((0, 100), [(0, 50, ["a"]), (50, 100, ["a", "b"])]),
        ((0, 50), [(0, 50, ["a"])]),
        ((50, 100), [(50, 100, ["a", "b"])]),
        ((60, 100), [(60, 100, ["a", "b"])]),
    ],
)
async def test_a_span_has_parts_where_a_meter_comes_to_a_party(
    tmp_path: Path, span: tuple[int, int], parts: list[object]
) -> None:
    async with ledger_world(tmp_path, is_settled=False) as world:
        point = replace(await find_point(world.source, "p-1"), meters=("a", "b"), since_s=(0, 50))
        assert point.spans(*span) == parts
        late = replace(point, since_s=(70, 90))
        assert late.spans(0, 80) == [(70, 80, ["a"])]
        assert late.spans(0, 70) == []
