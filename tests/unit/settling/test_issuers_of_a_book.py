"""Organisations that issue into one book: each its own parties' documents; whose are still to come is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.master_data import Named
from gridcore.registry.party import PARTY, Party
from gridcore.registry.tariff import TARIFF
from gridledger.cli import main
from gridledger.commands.settle.issue import _say_left_out
from gridledger.settling.outgoing.making import LeftOut
from tests.worlds.consortium import START_S, UTILITY, feeder, household, load
from tests.worlds.ledgers import ledger_with
from tests.worlds.tariffed import HOME, MONTH, TARIFFED, charged, first_slots

COOP = "coop"
SHARED = replace(
    TARIFFED,
    meters=[
        household(1, "p-1"),
        household(2, "p-2", organisation=COOP),
        load(3, "l-1"),
        feeder(4),
        load(5, "p-2", trades=True, organisation=COOP),
    ],
    more=[
        Named(TARIFF, "home", HOME),
        charged("p-1", 12_000),
        Named(PARTY, "p-2", Party("a-1", COOP, trades=True, contracted_w={"demand": 30_000}, tariff="home"), START_S),
    ],
)
"""p-2 is a party of coop."""


def test_documents_that_another_organisation_has_to_issue_are_told_until_it_has_issued_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ledger_with(tmp_path / "ledger", SHARED, first_slots(SHARED.sender())):
        pass
    command = ["settle", "issue", "--data", str(tmp_path / "ledger"), "--book", str(tmp_path / "book"), "--so-far"]
    command += ["--month", MONTH, "--date", "2027-02-03", "--json"]
    assert main([*command, "--issuer", UTILITY]) == 1
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert (answer["issued"], answer["documents"]) == (True, 1)
    assert answer["left_out"] == [{"organisation": COOP, "parties": ["p-2"]}]
    assert said.err.splitlines()[-1] == (
        "not issued, parties of other organisations: 1 (p-2 of coop); each organisation issues its own, with --issuer; into another book: --own-book"
    )
    assert main([*command, "--issuer", UTILITY, "--own-book"]) == 0
    assert "1 (p-2 of coop)" in capsys.readouterr().err
    assert main([*command, "--issuer", COOP]) == 0
    said = capsys.readouterr()
    assert (json.loads(said.out)["left_out"], "not issued" in said.err) == ([], False)
    assert main([*command, "--issuer", UTILITY]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == []


def test_at_the_limit_of_names_the_others_are_counted() -> None:
    eight, four = [f"p-{at}" for at in range(8)], [LeftOut(f"o-{at}", ["x"]) for at in range(4)]
    assert "p-7 of coop)" in _say_left_out([LeftOut(COOP, eight)])
    assert "9 (p-0, p-1, p-2, p-3, p-4, p-5, p-6, p-7 and 1 more of coop)" in _say_left_out(
        [LeftOut(COOP, [*eight, "p-8"])]
    )
    assert "4 (x of o-0; x of o-1; x of o-2; x of o-3)" in _say_left_out(four)
    assert "5 (x of o-0; x of o-1; x of o-2; x of o-3; and 1 more organisations)" in _say_left_out(
        [*four, LeftOut("o-9", ["x"])]
    )
