"""Borders on a ledger: one meter between two areas of two zones counts for both with opposite signs, and each area's loss is right."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.master_data import Named
from gridcore.registry.balance_terms import (
    BALANCE_TERMS,
    GAIN_PRICE,
    LOSS_PRICE,
    SHORTFALL_PRICE,
    SURPLUS_PRICE,
    BalanceTerms,
)
from gridcore.registry.point import POINT, Point
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries
from gridcore.registry.row import Row
from gridledger.cli import main
from gridledger.settling.area_slots import slot_histories
from ledger.http.queries.settlement import run
from ledger.http.roles import Scope
from ledger.http.view import LedgerView
from ledger.registry.entries import ENTITY_FAMILIES
from ledger.store.errors import PrunedError
from ledger.store.ledger import Ledger
from settlement import statements
from settlement.area_balance import AreaBalance, area_balance
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S, Consortium, area, feeder, gateway, household, rules, zone
from tests.worlds.ledgers import decide, ledger_with
from tests.worlds.nodes import running_node, submit_all

PRICES = {LOSS_PRICE: 400_000, GAIN_PRICE: 250_000, SURPLUS_PRICE: 200_000, SHORTFALL_PRICE: 600_000}
TERMS = BalanceTerms("grid", PRICES, {LOSS_PRICE: "spot"})
SPOT = [Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [410_000]), FIRST_S)]


def home(number: int, area_id: str) -> Named[Point]:
    record = Point(area_id, "household", f"p-{number}")
    record = record._replace(balance_responsible_import="east", balance_responsible_export="east")
    return Named(POINT, f"P-{number}", record, 1)


WORLD = Consortium(
    zones=[zone("z-1"), zone("z-2")],
    areas=[area("a-1"), area("a-2", zone="z-2")],
    gateways=[gateway("gw-1"), gateway("gw-2")],
    meters=[
        household(1, "p-1", trades=False),
        feeder(2),
        feeder(3, role="exchange", exchange_area="a-2"),
        household(5, "p-5", area="a-2", gateway="gw-2", trades=False),
        feeder(6, area="a-2", gateway="gw-2"),
    ],
    roles={"admin": ["administrator"]},
    more=[home(1, "a-1"), home(5, "a-2"), *SPOT, Named(BALANCE_TERMS, "a-1", TERMS, FIRST_S)],
)
Rows = Sequence[tuple[int, int, int]]
STARTS: tuple[Rows, Rows] = ([(1, 0, 0), (2, 0, 0), (3, 0, 0)], [(5, 0, 0), (6, 0, 0)])
ENDS: tuple[Rows, Rows] = ([(1, 900, 0), (2, 700, 0), (3, 300, 60)], [(5, 0, 500), (6, 20, 250)])
"""Area a-1 takes 900 Wh and gets 700 + 300 - 60: 40 are lost. Area a-2 gives 500 and gets 20 + 60 - 250 - 300: 30 are lost."""


def blocks_of(world: Consortium, late: Rows = (), then: Sequence[Row] = ()) -> list[list[bytes]]:
    """Submissions that settle the first slot in both zones; see ``settled``."""
    sender = world.sender()
    on_time = [row for row in ENDS[0] if row[0] not in [number for number, *_ in late]]
    blocks = [
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, STARTS[0]), sender.batch("gw-2", FIRST_S, STARTS[1])],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, on_time), sender.batch("gw-2", FIRST_S + SLOT_S, ENDS[1])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
    ]
    if late:
        blocks += [[sender.batch("gw-1", FIRST_S + SLOT_S, late)], [sender.clock(FIRST_S + 3 * SLOT_S)]]
    if then:
        blocks.append([sender.register(then)])
    return blocks


@contextmanager
def settled(folder: Path, world: Consortium = WORLD, *, late: Rows = (), then: Sequence[Row] = ()) -> Iterator[Ledger]:
    """The first slot, settled in both zones. late: rows of gw-1 at the slot's end that come only after the initial run; then: what is registered at last."""
    with ledger_with(folder, world, blocks_of(world, late, then)) as ledger:
        yield ledger


def balances(ledger: Ledger) -> dict[str, AreaBalance]:
    return {
        name: area_balance(name, slot_histories(ledger, name, FIRST_S, FIRST_S + SLOT_S)) for name in ("a-1", "a-2")
    }


def test_each_area_loses_what_it_loses_and_the_border_counts_on_both_sides(tmp_path: Path) -> None:
    with settled(tmp_path / "ledger") as ledger:
        found = balances(ledger)
    lines = {name: balance.lines[0] for name, balance in found.items()}
    assert [(line.in_wh, line.out_wh, line.loss_wh) for line in lines.values()] == [(1000, 60, 40), (80, 550, 30)]
    assert [tuple(one)[1:] for balance in found.values() for one in balance.crossings] == [
        ("P-3", "a-2", 300, 60, 240),
        ("P-3", "a-1", 60, 300, -240),
    ]


def test_losses_are_worth_the_price_of_the_series_in_the_slot(tmp_path: Path) -> None:
    with settled(tmp_path / "ledger") as ledger:
        found = balances(ledger)
    entries = {one.kind: one for one in found["a-1"].entries}
    assert (entries["loss"].debit_account, entries["loss"].amount_nano) == ("grid", 40 * 410_000)
    assert (entries["shortfall"].debit_account, entries["shortfall"].amount_nano) == ("east", 900 * 600_000)
    assert found["a-2"].entries == []  # it has no terms


def test_a_border_that_is_read_late_leaves_both_losses_open_until_then(tmp_path: Path) -> None:
    with settled(tmp_path / "ledger", late=[(3, 300, 60)]) as ledger:
        found = balances(ledger)
    losses = [one for one in found["a-1"].entries if one.kind == "loss"]
    assert [(one.run, one.energy_wh) for one in losses] == [("correction-1", 40)]
    assert found["a-2"].lines[0].loss_wh == 30
    with settled(tmp_path / "open", WORLD) as ledger:
        on_time = balances(ledger)
    assert found["a-1"].accounts == on_time["a-1"].accounts


def test_while_a_border_is_not_read_neither_area_has_a_loss(tmp_path: Path) -> None:
    world = replace(WORLD, meters=[*WORLD.meters, feeder(4, role="exchange", exchange_area="a-2")])
    with settled(tmp_path / "ledger", world) as ledger:
        found = balances(ledger)
    assert [balance.lines[0].loss_wh for balance in found.values()] == [None, None]
    assert [one.net_wh for one in found["a-2"].crossings] == [-240, None]
    assert "loss" not in {one.kind for one in found["a-1"].entries}


def test_a_border_that_moved_further_than_its_meter_can_is_not_known(tmp_path: Path) -> None:
    limited = [replace(meter, limit_wh=299) if meter.number == 3 else meter for meter in WORLD.meters]
    with settled(tmp_path / "ledger", replace(WORLD, meters=limited)) as ledger:
        found = balances(ledger)
    assert [balance.lines[0].loss_wh for balance in found.values()] == [None, None]


def test_terms_that_are_registered_later_for_a_slot_that_is_settled_post_from_their_block_on(tmp_path: Path) -> None:
    dearer = TERMS._replace(series=None, loss_responsible="new-grid")
    with settled(tmp_path / "ledger", then=[*Named(BALANCE_TERMS, "a-1", dearer, FIRST_S).rows()]) as ledger:
        found = balances(ledger)
    owed = {one.account: one.balance_nano for one in found["a-1"].accounts}
    assert (owed["grid"], owed["new-grid"]) == (0, 40 * 400_000)


def test_a_border_that_is_said_later_to_lead_elsewhere_is_taken_from_one_area_and_counts_for_the_other(
    tmp_path: Path,
) -> None:
    others = [household(7, "p-7", area="a-3", gateway="gw-3", trades=False), feeder(8, area="a-3", gateway="gw-3")]
    world = replace(
        WORLD,
        zones=[*WORLD.zones, zone("z-3")],
        areas=[*WORLD.areas, area("a-3", zone="z-3")],
        gateways=[*WORLD.gateways, gateway("gw-3")],
        meters=[*WORLD.meters, *others],
    )
    sender = world.sender()
    moved = Named(POINT, "P-3", Point("a-1", "exchange", exchange_area="a-3"), FIRST_S)
    blocks = blocks_of(world, then=[*moved.rows()])
    blocks[1].append(sender.batch("gw-3", FIRST_S, [(7, 0, 0), (8, 0, 0)]))
    blocks[3].append(sender.batch("gw-3", FIRST_S + SLOT_S, [(7, 350, 0), (8, 600, 0)]))
    with ledger_with(tmp_path / "ledger", world, blocks) as ledger:
        found = [
            area_balance(name, slot_histories(ledger, name, FIRST_S, FIRST_S + SLOT_S))
            for name in ("a-1", "a-2", "a-3")
        ]
    assert [[tuple(one)[1:] for one in balance.crossings] for balance in found] == [
        [("P-3", "a-3", 300, 60, 240)],
        [],
        [("P-3", "a-1", 60, 300, -240)],
    ]
    assert [(line.loss_wh, line.gain_wh) for balance in found for line in balance.lines] == [(40, 0), (270, 0), (10, 0)]


def test_the_command_prints_sums_and_writes_all_four_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with settled(tmp_path / "ledger"):
        pass
    words = ["settle", "balance", "--data", str(tmp_path / "ledger"), "--area", "a-1", "--from", str(FIRST_S)]
    assert main([*words, "--until", str(FIRST_S + SLOT_S), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "from a-2, less to it" in said
    with (tmp_path / "out" / "balance.csv").open() as file:
        (line,) = csv.DictReader(file)
    assert (line["loss_wh"], line["loss_nano"]) == ("40", str(40 * 410_000))
    with (tmp_path / "out" / "balance_accounts.csv").open() as file:
        assert sum(int(row["balance_nano"]) for row in csv.DictReader(file)) == 0
    assert main([*words, "--until", str(FIRST_S)]) == 2
    assert "area a-1 has no settled slot there" in capsys.readouterr().err
    assert (
        main(["settle", "balance", "--data", str(tmp_path / "ledger"), "--area", "x", "--from", "0", "--until", "1"])
        == 2
    )
    assert "--area x: is no area of this chain" in capsys.readouterr().err


def test_where_a_border_is_not_known_in_any_slot_the_command_says_so_and_prints_no_zero_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limited = [replace(meter, limit_wh=299) if meter.number == 3 else meter for meter in WORLD.meters]
    with settled(tmp_path / "ledger", replace(WORLD, meters=limited)):
        pass
    words = ["settle", "balance", "--data", str(tmp_path / "ledger"), "--area", "a-2", "--from", str(FIRST_S)]
    assert main([*words, "--until", str(FIRST_S + SLOT_S)]) == 0
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "1 slots",
        "what crossed the borders is not known in any of them, or the area has none: so no losses are",
        "produced 0.500 kWh",
        "consumed 0.000 kWh",
        "from a-1, less to it not known",
    ]


async def test_a_node_states_what_was_known_as_of_each_block(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger", WORLD) as node:
        await submit_all(node.client("util"), blocks_of(WORLD))
        day = await node.client("util").query(f"areas/a-2/days/{DAYS[1]}/balance")
        (slot,) = day["slots"]
        (known,) = slot["known"]
        assert (slot["slot_start_s"], known["run"], known["terms"]) == (FIRST_S, "initial", None)
        assert known["borders"] == [
            {"point": "P-6", "other_area": "", "in_wh": 20, "out_wh": 250},
            {"point": "P-3", "other_area": "a-1", "in_wh": 60, "out_wh": 300},
        ]
        (priced,) = (await node.client("util").query(f"areas/a-1/days/{DAYS[1]}/balance"))["slots"]
        assert priced["known"][-1]["terms"] == {"loss_responsible": "grid", "prices": {**PRICES, LOSS_PRICE: 410_000}}


async def test_a_node_states_the_penalty_of_terms_that_have_one_and_it_is_posted(tmp_path: Path) -> None:
    penalty = {"penalty_ppm": 250_000, "price_micro_per_kwh": 800_000, "sides": "both", "tolerance_ppm": 30_000}
    later = Named(BALANCE_TERMS, "a-1", TERMS._replace(penalty=penalty), FIRST_S)
    blocks = blocks_of(WORLD, then=[*later.rows()])
    async with running_node(tmp_path / "node", WORLD) as node:
        await submit_all(node.client("util"), blocks)
        (slot,) = (await node.client("util").query(f"areas/a-1/days/{DAYS[1]}/balance"))["slots"]
        assert ["penalty" in known["terms"] for known in slot["known"]] == [False, True]
        assert slot["known"][-1]["terms"]["penalty"] == penalty
    with ledger_with(tmp_path / "ledger", WORLD, blocks) as ledger:
        balance = area_balance("a-1", slot_histories(ledger, "a-1", FIRST_S, FIRST_S + SLOT_S))
    posted = [one for one in balance.entries if one.kind == "penalty"]
    assert [(one.debit_account, one.energy_wh, one.amount_nano) for one in posted] == [("east", 900, 900 * 200_000)]


async def test_a_border_that_leads_elsewhere_from_a_boundary_on_still_counts_in_the_slot_before_it(
    tmp_path: Path,
) -> None:
    moved = Named(POINT, "P-3", Point("a-1", "feeder"), FIRST_S + SLOT_S)
    async with running_node(tmp_path / "ledger", WORLD) as node:
        await submit_all(node.client("util"), blocks_of(WORLD, then=[*moved.rows()]))
        counted = [
            (await node.client("util").query("areas/a-2/coverage", boundary_s=FIRST_S + slots * SLOT_S))[
                "borders_elsewhere"
            ]
            for slots in (1, 2)
        ]
    assert counted == [1, 0]


def test_what_a_series_said_of_a_final_slot_and_has_folded_still_prices_its_lines_and_balance_where_all_blocks_were_applied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = [FIRST_S + slots * SLOT_S for slots in range(66)]
    said = [Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [45_000]), from_s) for from_s in (0, *starts)]
    follows_spot = rules()._replace(record=rules().record._replace(series={"levy_micro_per_kwh": "spot"}))
    world = Consortium(
        zones=[zone("z-1", final_after_s=4 * SLOT_S)],
        rules=[follows_spot],
        meters=[household(1, "p-1", trades=False), feeder(2)],
        roles={"admin": ["administrator"]},
        more=[*said[:64], Named(BALANCE_TERMS, "a-1", TERMS, FIRST_S)],
    )
    sender = world.sender()
    blocks = [[sender.clock(starts[0])], [sender.batch("gw-1", starts[0], [(1, 0, 0), (2, 0, 0)])]]
    for slots, start_s in enumerate(starts[1:9], 1):
        blocks += [[sender.clock(start_s)], [sender.batch("gw-1", start_s, [(1, 500 * slots, 0), (2, 600 * slots, 0)])]]
    words = ["settle", "balance", "--data", str(tmp_path / "ledger"), "--area", "a-1", "--from", str(FIRST_S)]
    words += ["--until", str(FIRST_S + SLOT_S)]
    with ledger_with(tmp_path / "ledger", world, blocks) as ledger:
        view, all_parties = LedgerView(ledger, CONTRACTS, statements), Scope(None, reads_all=True)
        before = area_balance("a-1", slot_histories(ledger, "a-1", FIRST_S, FIRST_S + SLOT_S))
        assert before.lines[0].loss_nano == 100 * 45_000
        lines = run(view, all_parties, "a-1", FIRST_S, None, 0)
        assert decide(ledger, [sender.register([row for one in said[64:] for row in one.rows()])]) == [0]
        assert ENTITY_FAMILIES["price_series"].must(ledger, "spot").folded_to_s > FIRST_S
        assert area_balance("a-1", slot_histories(ledger, "a-1", FIRST_S, FIRST_S + SLOT_S)) == before
        assert run(view, all_parties, "a-1", FIRST_S, None, 0) == lines
        assert {line["amount_nano"] for line in lines["lines"] if line["line_kind"] == "levy"} == {45_000 * 500}
    assert main(words) == 0
    assert main(["settle", "extract", "--data", str(tmp_path / "ledger"), "--out", str(tmp_path / "out")]) == 0
    assert "levy_micro_per_kwh,,,45000" in (tmp_path / "out" / "prices.csv").read_text()
    with sqlite3.connect(tmp_path / "ledger" / "state.db") as database:
        assert database.execute("DELETE FROM folded_entries WHERE from_s = ?", (FIRST_S,)).rowcount == 1
    capsys.readouterr()
    assert main(words) != 0
    said_then = capsys.readouterr().err
    assert "price_series/spot: what it said up to" in said_then
    assert len(said_then.splitlines()) == 1
    with ledger_with(tmp_path / "ledger", world, []) as ledger, pytest.raises(PrunedError, match="is not on this node"):
        run(LedgerView(ledger, CONTRACTS, statements), all_parties, "a-1", FIRST_S, None, 0)
