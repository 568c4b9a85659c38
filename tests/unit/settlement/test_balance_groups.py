"""Balance groups: schedules from trades, exchanges between groups, imbalance as metered less schedule, against the obvious way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from gridledger.cli import main
from ledger.balance_groups import GroupSums
from settlement.balance_groups import (
    GroupEnergy,
    ImbalancePrices,
    SlotGroups,
    balance_report,
    schedule_exchanges,
)
from settlement.errors import SettlementError
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S, Consortium, household, load, zone
from tests.worlds.ledgers import ledger_with
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.two_areas import one_settled_slot

EAST, WEST = GroupEnergy("east", 900, 0, 300, 0), GroupEnergy("west", 0, 500, 0, 300)
PRICES = ImbalancePrices(250_000, 600_000)


def test_a_trade_between_groups_is_an_exchange_and_the_rest_is_imbalance() -> None:
    report = balance_report([SlotGroups(FIRST_S, [WEST, EAST])], PRICES)
    east, west = report.lines
    assert (east.schedule_wh, east.metered_wh, east.imbalance_wh) == (-300, -900, -600)
    assert (west.schedule_wh, west.metered_wh, west.imbalance_wh) == (300, 500, 200)
    assert (east.imbalance_nano, west.imbalance_nano) == (-600 * 600_000, 200 * 250_000)
    assert [tuple(one) for one in report.exchanges] == [(FIRST_S, "west", "east", 300)]
    assert [(one.group, one.surplus_wh, one.shortfall_wh) for one in report.totals] == [
        ("east", 0, 600),
        ("west", 200, 0),
    ]


def test_trades_within_a_group_are_no_exchange() -> None:
    assert schedule_exchanges([GroupEnergy("one", 500, 500, 500, 500)]) == []


def test_bought_that_nobody_sold_is_refused() -> None:
    with pytest.raises(SettlementError, match="is not what all have sold"):
        schedule_exchanges([EAST])


def by_single_wh(groups: list[GroupEnergy]) -> Counter[tuple[str, str]]:
    """The obvious way: every Wh that a group gives meets the next Wh that one takes, both in the order of names."""
    given_wh = [one.group for one in groups for _ in range(max(one.schedule_wh, 0))]
    taken_wh = [one.group for one in groups for _ in range(max(-one.schedule_wh, 0))]
    return Counter(zip(given_wh, taken_wh, strict=True))


@st.composite
def balanced(draw: st.DrawFn) -> list[GroupEnergy]:
    """Groups whose trades are between themselves, Wh for Wh, with any metered energies."""
    names = sorted(draw(st.sets(st.sampled_from("abcdefg"), min_size=1)))
    trades = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names), st.integers(0, 40)), max_size=12))
    bought, sold = Counter[str](), Counter[str]()
    for seller, buyer, energy_wh in trades:
        sold[seller] += energy_wh
        bought[buyer] += energy_wh
    metered = st.integers(0, 100)
    return [GroupEnergy(name, draw(metered), draw(metered), bought[name], sold[name]) for name in names]


@given(balanced())
def test_exchanges_are_those_of_single_wh_and_bring_every_schedule_to_zero(groups: list[GroupEnergy]) -> None:
    moved = schedule_exchanges(groups)
    assert Counter({(giver, taker): wh for giver, taker, wh in moved}) == by_single_wh(groups)
    for one in groups:
        out_wh = sum(wh for giver, _, wh in moved if giver == one.group)
        in_wh = sum(wh for _, taker, wh in moved if taker == one.group)
        assert out_wh - in_wh == one.schedule_wh
    assert all(giver != taker and wh > 0 for giver, taker, wh in moved)


@given(st.lists(balanced(), max_size=6))
def test_imbalances_of_all_groups_are_what_all_gave_less_what_all_took(slots: list[list[GroupEnergy]]) -> None:
    report = balance_report([SlotGroups(number * SLOT_S, groups) for number, groups in enumerate(slots)], PRICES)
    gave_wh = sum(one.export_wh - one.import_wh for groups in slots for one in groups)
    assert sum(total.imbalance_wh for total in report.totals) == gave_wh
    assert sum(total.surplus_wh - total.shortfall_wh for total in report.totals) == gave_wh
    paid = sum(
        line.imbalance_wh * (PRICES.surplus_micro_per_kwh if line.imbalance_wh > 0 else PRICES.shortfall_micro_per_kwh)
        for line in report.lines
    )
    assert sum(total.imbalance_nano or 0 for total in report.totals) == paid


def point(number: int, importing: str | None, exporting: str | None) -> Named[Point]:
    """The point of a household, with who answers for each of its directions."""
    record = Point("a-1", "household", f"p-{number}", balance_responsible_import=importing)
    return Named(POINT, f"P-{number}", record._replace(balance_responsible_export=exporting), 1)


GROUPS = Consortium(
    zones=[zone("z-1")],
    meters=[household(1, "p-1"), household(2, "p-2"), load(3, "l-1", ratio=40)],
    roles={"reg": ["regulator"], "admin": ["administrator"]},
    more=[point(1, "east", "west"), point(2, "west", "east")],
)
EXPECTED = [
    GroupSums("", 80, 0, 0, 0),
    GroupSums("east", 900, 500, 300, 300),
    GroupSums("west", 0, 0, 0, 0),
]


def slot_without_feeder() -> list[list[bytes]]:
    """One settled slot in which p-2 sells 300 Wh to p-1; l-1 names no party."""
    return one_settled_slot(GROUPS.sender())


async def test_a_day_by_group_counts_each_direction_for_its_own_party(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger", GROUPS) as node:
        await submit_all(node.client("util"), slot_without_feeder())
        path = f"areas/a-1/days/{DAYS[1]}/balance-groups"
        day = await node.client("reg").query(path)
        (slot,) = day["slots"]
        assert (slot["slot_start_s"], slot["run"]) == (FIRST_S, "initial")
        assert [GroupSums(**group) for group in slot["groups"]] == EXPECTED


async def test_a_point_that_names_another_party_from_a_slot_on_counts_for_that_one_from_there(tmp_path: Path) -> None:
    changed = point(1, "north", "west")._replace(from_s=FIRST_S + SLOT_S)
    consortium = replace(GROUPS, more=[*GROUPS.more, changed])
    async with running_node(tmp_path / "ledger", consortium) as node:
        sender = consortium.sender()
        await submit_all(node.client("util"), one_settled_slot(sender))
        rows = [(1, 2000, 0), (2, 500, 600), (3, 12, 0), (4, 95, 5)]
        second = [[sender.batch("gw-1", FIRST_S + 2 * SLOT_S, rows)], [sender.clock(FIRST_S + 3 * SLOT_S)]]
        await submit_all(node.client("util"), second)
        slots = (await node.client("reg").query(f"areas/a-1/days/{DAYS[1]}/balance-groups"))["slots"]
        taken = [{group["group"]: group["import_wh"] for group in slot["groups"]} for slot in slots]
        assert taken == [{"": 80, "east": 900, "west": 0}, {"": 0, "east": 0, "north": 100, "west": 0}]


def test_the_command_prints_totals_and_writes_both_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ledger_with(tmp_path / "ledger", GROUPS, slot_without_feeder()):
        pass
    words = ["settle", "imbalance", "--data", str(tmp_path / "ledger"), "--area", "a-1", "--from", str(FIRST_S)]
    prices = ["--surplus-price", "250000", "--shortfall-price", "600000", "--out", str(tmp_path / "out")]
    assert main([*words, "--until", str(FIRST_S + SLOT_S), *prices]) == 0
    said = capsys.readouterr().out
    assert "east" in said
    assert "(no party named)" in said
    lines = (tmp_path / "out" / "groups.csv").read_text().splitlines()
    assert lines[0].startswith("slot_start_s,group,import_wh")
    assert lines[2] == f"{FIRST_S},east,900,500,300,300,0,-400,-400,{-400 * 600_000}"
    assert (tmp_path / "out" / "exchanges.csv").read_text().splitlines() == [
        "slot_start_s,from_group,to_group,energy_wh"
    ]
    assert main([*words, "--until", str(FIRST_S)]) == 2
    assert "area a-1 has no settled slot there" in capsys.readouterr().err
    assert main([*words, "--until", str(FIRST_S + SLOT_S), "--surplus-price", "1"]) == 2
    assert "give both, or neither" in capsys.readouterr().err
