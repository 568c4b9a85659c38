"""What a node answers of the documents of balances: those that the command makes, kept until something changes from which they follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridcore.codes import Code
from gridcore.errors import UsageError
from gridcore.master_data import Named
from gridcore.registry.balance_terms import BALANCE_TERMS
from gridcore.registry.tariff import TARIFF
from gridledger.settling import area_balance_month
from gridledger.settling.area_balance_month import AreaBalanceDocuments
from gridweb.i18n import speaking
from gridweb.reasons import said
from ledger.client import NodeRefused
from ledger.http.documents import AreaMonth
from ledger.store.ledger import Ledger
from tests.unit.settlement.test_borders_of_areas import ENDS, STARTS, TERMS, blocks_of
from tests.unit.settling.test_balance_documents import QUANTUM_NANO, TAX_PPM, made, world
from tests.unit.settling.test_balance_of_a_folder import rows_of
from tests.worlds.consortium import FIRST_S, SLOT_S, START_S
from tests.worlds.ledgers import decide, ledger_with
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.tariffed import HOME

MONTH = "2027-01"
OF = world("grid", "east")
LATE = [ENDS[0][2]]
"""The border between both areas, which its meter in a-1 reads late."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A settled slot in both zones; the border's reading came with a correction."""
    with ledger_with(tmp_path / "ledger", OF, blocks_of(OF, late=LATE)) as ledger:
        yield ledger


def ask(
    documents: AreaBalanceDocuments, ledger: Ledger, party: str | None = None, start: int = 0, area: str = "a-1"
) -> AreaMonth:
    return documents(ledger, area, MONTH, party=party, start=start)


def test_the_documents_of_a_node_are_those_of_the_command(ledger: Ledger, tmp_path: Path) -> None:
    out = made(tmp_path / "made", OF)
    found = ask(AreaBalanceDocuments(), ledger).documents
    rows = rows_of(out, "balance_invoices.csv")
    assert [(one.party, one.run, one.net, one.tax, one.gross, one.rounding_nano) for one in found] == [
        (row["party"], row["run"], *(int(row[name]) for name in ("net", "tax", "gross", "rounding"))) for row in rows
    ]
    assert [(one.party, one.run) for one in found] == [("east", "initial"), ("grid", "correction-1")]
    lines = [(of.party, one.line_kind, one.energy_wh, one.amount_nano, one.amount) for of in found for one in of.lines]
    assert lines == [
        (row["party"], row["line_kind"], *(int(row[name]) for name in ("energy_wh", "amount_nano", "amount")))
        for row in rows_of(out, "balance_invoice_lines.csv")
    ]
    assert [one.account for of in found for one in of.lines] == ["a-1/imbalance", "a-1/losses"]
    east = found[0]
    assert (east.net * QUANTUM_NANO - east.rounding_nano, east.tax_ppm) == (900 * 600_000, TAX_PPM)
    assert [tuple(one) for one in east.taxes] == [(TAX_PPM, east.net, east.tax)]


def test_a_party_is_told_its_own_documents_and_one_that_answers_for_nothing_none(ledger: Ledger) -> None:
    documents = AreaBalanceDocuments()
    assert {one.party for one in ask(documents, ledger, "grid").documents} == {"grid"}
    nobody = ask(documents, ledger, "p-1")
    assert (nobody.documents, nobody.without_tariff, nobody.following) == ([], [], None)


def test_who_answers_and_names_no_tariff_is_named_where_he_is_asked_for(tmp_path: Path) -> None:
    of = world("grid")
    with ledger_with(tmp_path / "ledger", of, blocks_of(of, late=LATE)) as ledger:
        documents = AreaBalanceDocuments()
        assert ask(documents, ledger).without_tariff == ["east"]
        assert ask(documents, ledger, "grid").without_tariff == []
        assert {one.party for one in ask(documents, ledger).documents} == {"grid"}


def test_at_the_limit_of_parties_one_answer_has_all_and_one_more_is_in_the_next(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = AreaBalanceDocuments()
    monkeypatch.setattr(area_balance_month, "PARTIES_AT_ONCE", 2)
    assert ask(documents, ledger).following is None
    monkeypatch.setattr(area_balance_month, "PARTIES_AT_ONCE", 1)
    parts = [ask(documents, ledger, start=start) for start in range(2)]
    assert [([one.party for one in part.documents], part.following) for part in parts] == [
        (["east"], 1),
        (["grid"], None),
    ]


def test_a_month_is_kept_while_only_time_goes_on_and_made_again_by_a_run_of_the_zone_across_a_border_or_another_tariff(
    tmp_path: Path,
) -> None:
    of = replace(OF, more=[*OF.more, Named(BALANCE_TERMS, "a-2", TERMS, FIRST_S)])
    sender, documents = of.sender(), AreaBalanceDocuments()
    untaxed = Named(TARIFF, "plain", HOME._replace(components=[], tax_ppm=0), START_S)
    first = [
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, STARTS[0]), sender.batch("gw-2", FIRST_S, STARTS[1])],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, ENDS[0][:2]), sender.batch("gw-2", FIRST_S + SLOT_S, ENDS[1])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
    ]
    then = {
        "time": [sender.clock(FIRST_S + 2 * SLOT_S + 60)],
        "run": [sender.batch("gw-1", FIRST_S + SLOT_S, LATE), sender.clock(FIRST_S + 3 * SLOT_S)],
        "tariff": [sender.register(list(untaxed.rows()))],
    }
    with ledger_with(tmp_path / "ledger", of, first) as ledger:
        found = {"first": (ask(documents, ledger, area="a-2"), ask(AreaBalanceDocuments(), ledger, area="a-2"))}
        for step, wires in then.items():
            for wire in wires:
                assert decide(ledger, [wire]) == [Code.ACCEPTED]
            found[step] = ask(documents, ledger, area="a-2"), ask(AreaBalanceDocuments(), ledger, area="a-2")
    assert [kept for kept, _ in found.values()] == [anew for _, anew in found.values()]
    of_step = {step: kept.documents for step, (kept, _) in found.items()}
    assert of_step["time"][0] is of_step["first"][0]
    assert [[one.party for one in of_step[step]] for step in ("first", "run")] == [["east"], ["east", "grid"]]
    assert [of_step[step][0].tax < 0 for step in ("run", "tariff")] == [True, False]


def test_as_many_lines_are_kept_as_there_may_be_and_of_one_more_the_oldest_month_goes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = AreaBalanceDocuments()
    newest = ask(documents, ledger).documents[0]
    lines_of_a_month = 1 + 2 + 4
    monkeypatch.setattr(area_balance_month, "LINES_KEPT_MAX", 2 * lines_of_a_month)
    documents(ledger, "a-1", MONTH, party=None, start=0, height=ledger.height)
    assert ask(documents, ledger).documents[0] is newest
    monkeypatch.setattr(area_balance_month, "LINES_KEPT_MAX", 2 * lines_of_a_month - 1)
    documents(ledger, "a-1", MONTH, party=None, start=0, height=ledger.height)
    assert ask(documents, ledger).documents[0] is not newest


def test_a_month_or_area_that_is_not_there_is_one_clear_line(ledger: Ledger) -> None:
    documents = AreaBalanceDocuments()
    with pytest.raises(UsageError, match="month 2027-02: area a-1 has no settled slot of it; it has 2027-01") as month:
        documents(ledger, "a-1", "2027-02", party=None, start=0)
    with pytest.raises(UsageError, match="no area 'a-9' on this chain") as area:
        documents(ledger, "a-9", MONTH, party=None, start=0)
    with speaking("zh_CN"):
        assert [said(str(one.value)) for one in (month, area)] == [
            "2027-02：台区 a-1 在该月没有已结算的时段；已有 2027-01",
            "此链上没有台区“a-9”",
        ]


async def test_a_node_answers_readers_all_and_a_party_its_own_alone(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger", OF) as node:
        await submit_all(node.client("util"), blocks_of(OF, late=LATE))
        path = f"areas/a-1/months/{MONTH}/balance-documents"
        found: Any = await node.client("util").query(path)
        assert [(one["party"], one["run"]) for one in found["documents"]] == [
            ("east", "initial"),
            ("grid", "correction-1"),
        ]
        assert (found["slots_settled"], found["disputed"], found["next"]) == (2, [], None)
        with pytest.raises(NodeRefused, match="a month is written YYYY-MM"):
            await node.client("util").query("areas/a-1/months/may/balance-documents")
        with pytest.raises(NodeRefused):
            await node.client("gw-1").query(path)
