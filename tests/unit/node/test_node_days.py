"""Statements of a local day: sums over its settled slots, of the days that the area's calendar has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger.client import NodeRefused
from ledger.http.queries import answers, day_kinds
from ledger.leaves import columns
from ledger.leaves.run import RunLeaf
from ledger.registry.areas import Area
from ledger.runs import SettledRows, lines_of_runs
from ledger.store.reader import LedgerReader
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S
from tests.worlds.nodes import RunningNode, running_node, submit_all
from tests.worlds.two_areas import one_settled_slot

DAY = f"areas/a-1/days/{DAYS[1]}/statements"
KINDS = f"areas/a-1/days/{DAYS[1]}/kinds"
SUMS = ("import_wh", "export_wh", "bought_wh", "sold_wh", "pays_nano", "supplier_only_nano", "saving_nano")
NOT_MET = ("not_taken_wh", "not_fed_in_wh")


async def settle_two_slots(node: RunningNode) -> None:
    """The slot in which p-2 sells 300 Wh to p-1, then one without trade."""
    sender = node.sender()
    first = one_settled_slot(sender)
    third_s = FIRST_S + 2 * SLOT_S
    rows = [(1, 2000, 7), (2, 500, 900), (3, 13, 0), (4, 90, 5)]
    await submit_all(node.client(), first)
    await submit_all(node.client(), [[sender.batch("gw-1", third_s, rows)], [sender.clock(third_s + SLOT_S)]])


async def test_a_days_statement_sums_up_its_slots(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settle_two_slots(node)
        client = node.client("util")
        day = await client.query(DAY)
        runs = [await client.query(f"areas/a-1/slots/{slot}/run") for slot in (FIRST_S, FIRST_S + SLOT_S)]
        frame = {key: value for key, value in day.items() if key not in ("statements", "slots")}
        assert frame == {
            "area": "a-1",
            "day_start_s": DAYS[1],
            "day_end_s": DAYS[2],
            "run": None,
            "slots_expected": (DAYS[2] - FIRST_S) // SLOT_S,
            "slots_settled": 2,
            "next": None,
        }
        shown = {entry["party"]: [entry[name] for name in SUMS[:4]] for entry in day["statements"]}
        assert shown == {"p-1": [1000, 7, 300, 0], "p-2": [0, 800, 0, 300], "l-1": [120, 0, 0, 0]}
        for row, entry in enumerate(day["statements"]):
            assert tuple(entry) == ("party", "point", *SUMS, *NOT_MET)
            for name in ("pays_nano", "supplier_only_nano"):
                assert entry[name] == sum(run["parties"][row][name] for run in runs)
            assert entry["saving_nano"] == entry["supplier_only_nano"] - entry["pays_nano"]
        own = await node.client("p-2").query(DAY)
        assert own == frame | {
            "statements": [entry for entry in day["statements"] if entry["party"] == "p-2"],
            "slots": [
                {
                    "slot_start_s": run["slot_start_s"],
                    "run": "initial",
                    "lines": [line for line in run["lines"] if line["party"] == "p-2"],
                }
                for run in runs
            ],
        }
        assert day["slots"] == []


@pytest.mark.parametrize("party", [None, "p-1", "p-2", "l-1"])
async def test_a_day_by_kind_of_line_is_the_sums_of_its_slots_lines(tmp_path: Path, party: str | None) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settle_two_slots(node)
        asked = {} if party is None else {"party": party}
        day = await node.client("util").query(KINDS, **asked)
        runs = [await node.client("util").query(f"areas/a-1/slots/{slot}/run") for slot in (FIRST_S, FIRST_S + SLOT_S)]
        sums: dict[str, list[int]] = {}
        for line in (line for run in runs for line in run["lines"] if party in (None, line["party"])):
            of_kind = sums.setdefault(line["line_kind"], [0, 0, 0])
            of_kind[:] = [of_kind[0] + 1, of_kind[1] + line["energy_wh"], of_kind[2] + line["amount_nano"]]
        assert {
            one["line_kind"]: [one[name] for name in ("lines", "energy_wh", "amount_nano")] for one in day["kinds"]
        } == sums
        assert (day["slots_settled"], day["slots_expected"]) == (2, (DAYS[2] - FIRST_S) // SLOT_S)
        if party == "p-2":
            assert await node.client("p-2").query(KINDS) == day


async def test_a_day_without_a_run_has_no_kinds_and_a_stranger_gets_none(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        assert (await node.client("util").query(KINDS))["kinds"] == []
        await settle_two_slots(node)
        named = await node.client("util").query(KINDS, run="initial")
        assert (named["run"], named["slots_settled"]) == ("initial", 2)
        assert (await node.client("util").query(KINDS, run="final"))["slots_settled"] == 0
        with pytest.raises(NodeRefused) as refused:
            await node.client("p-1").query(KINDS, party="p-2")
        assert refused.value.status == 403


async def test_a_party_without_points_in_an_area_has_no_settled_slots_there(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        await settle_two_slots(node)
        for path in (DAY, KINDS):
            with pytest.raises(NodeRefused, match="no party 'p-3' in area 'a-1'") as refused:
                await node.client("util").query(path, party="p-3")
            assert refused.value.status == 404


async def test_lines_of_a_large_area_are_made_a_bounded_number_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(reader: LedgerReader, contracts: Any, area: Area, runs: Sequence[tuple[RunLeaf, SettledRows]]) -> Any:
        made.append(sum(len(rows.rows) for _, rows in runs))
        return lines_of_runs(reader, contracts, area, runs)

    monkeypatch.setattr(day_kinds, "lines_of_runs", counted)
    async with running_node(tmp_path / "ledger") as node:
        await settle_two_slots(node)
        whole = await node.client("util").query(KINDS)
        assert made == [6]
        for rows_max in (4, 2, 1):
            made.clear()
            monkeypatch.setattr(day_kinds, "LINE_ROWS_MAX", rows_max)
            assert await node.client("util").query(KINDS) == whole
            assert max(made) <= rows_max
            assert sum(made) == 6


async def test_pages_and_chunks_change_no_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "CHUNK_ROWS", 2)
    async with running_node(tmp_path / "ledger") as node:
        await settle_two_slots(node)
        whole: list[dict[str, Any]] = (await node.client("util").query(DAY))["statements"]
        assert [entry["party"] for entry in whole] == ["p-1", "p-2", "l-1"]
        assert (await node.client("p-2").query(DAY))["statements"] == whole[1:2]
        monkeypatch.setattr(answers, "PAGE_ROWS_MAX", 1)
        pages = [await node.client("util").query(DAY, start=start) for start in range(4)]
        assert [page["statements"] for page in pages] == [[entry] for entry in whole] + [[]]
        assert [page["next"] for page in pages] == [1, 2, None, None]


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (str(DAYS[1] + SLOT_S), f"the one around it begins at {DAYS[1]}"),
        (str(DAYS[0] - 86_400), f"local days from {DAYS[0]} to {DAYS[2]}"),
        (str(DAYS[2]), "where the last one ends"),
        (str(DAYS[0]), "no run of any slot"),
        (str(DAYS[1]), "no run of any slot"),
    ],
)
async def test_a_day_that_is_none_or_has_nothing_yet_is_not_found(tmp_path: Path, day: str, words: str) -> None:
    async with running_node(tmp_path / "ledger") as node:
        with pytest.raises(NodeRefused, match=words) as raised:
            await node.client("p-1").query(f"areas/a-1/days/{day}/statements")
        assert raised.value.status == 404


async def test_a_day_is_named_by_a_whole_number(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        with pytest.raises(NodeRefused, match="a day is named by its start") as raised:
            await node.client("util").query("areas/a-1/days/2027-01-15/statements")
        assert raised.value.status == 400
