"""Tariffs in rules.toml: what is none is one line before anything is settled, and what is one stands in what comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.settling.chain import read_runs, settled_ledger, tariffs_of_ledger
from gridledger.settling.files.folder import read_folder
from gridledger.settling.files.rules import OWN_ACCOUNTS_MAX
from gridledger.settling.results import write_results
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_settled_results import read

COMPONENT = '[[tariff.component]]\nname = "a_day"\naccount = "grid"\nbase = "day"\nprice_micro_per_day = 300000\n'


@pytest.mark.parametrize(
    ("tariff", "words"),
    [
        (COMPONENT.replace("base", "bass"), "bass: unknown key; did you mean base?; docs/tariffs.md has all keys"),
        (COMPONENT + COMPONENT, "tariff component a_day: entries overlap at an entry without valid_from"),
        (
            "[tariff]\ncomponents = 3\n",
            "rules.toml: [tariff] holds something else than components; give each as a table",
        ),
        ("[tariff]\ncomponent = [3]\n", "rules.toml: [tariff] component is no list of tables; give each as a table"),
        (COMPONENT + 'parties = ["M3"]\n', "a_day: M3 is no party of points.csv; known: 'M1', 'M2'"),
        (
            '[tariff]\naccounts = ["M1"]\n' + COMPONENT.replace("grid", "M1"),
            "a_day: account M1 is a party of points.csv; give the account another name",
        ),
        (
            COMPONENT.replace("grid", "gird"),
            (
                "rules.toml: [[tariff.component]] a_day: account = gird is no account; one of your own stands in [tariff] accounts; "
                "did you mean grid?"
            ),
        ),
        (
            COMPONENT.replace("grid", "no-such-account"),
            "a_day: account = no-such-account is no account; one of your own stands in [tariff] accounts; known: auction_surplus, ",
        ),
        (
            '[tariff]\naccounts = "museum"\n' + COMPONENT,
            "[tariff] accounts is no list of accounts; give at most 64 names",
        ),
        ('[tariff]\naccounts = [""]\n' + COMPONENT, "[tariff] accounts is no list of accounts; give at most 64 names"),
    ],
)
def test_what_is_no_tariff_is_one_line(tmp_path: Path, tariff: str, words: str) -> None:
    folder = make_folder(tmp_path, {"rules.toml": RULES + tariff})
    with pytest.raises(UsageError) as error:
        read_folder(folder)
    line = str(error.value)
    assert "\n" not in line
    assert words.replace("'", "") in line.replace("'", "")


def test_an_account_of_one_s_own_is_named_once_and_receives_components(tmp_path: Path) -> None:
    own = [f"museum {number}" for number in range(OWN_ACCOUNTS_MAX)]
    rules = f"{RULES}[tariff]\naccounts = {own}\n" + COMPONENT.replace("grid", own[-1])
    (component,) = read_folder(make_folder(tmp_path, {"rules.toml": rules})).rules.tariff
    assert component.account == own[-1]
    rules = rules.replace("accounts = [", 'accounts = ["one too many", ')
    with pytest.raises(UsageError, match=r"\[tariff\] accounts is no list of accounts; give at most 64 names"):
        read_folder(make_folder(tmp_path, {"rules.toml": rules}))


@pytest.mark.parametrize("account", ["grid", "funds", "network", "offtaker", "community"])
def test_an_account_that_contracts_or_tariffs_have_needs_no_declaring(tmp_path: Path, account: str) -> None:
    rules = RULES + COMPONENT.replace("grid", account)
    assert read_folder(make_folder(tmp_path, {"rules.toml": rules})).rules.tariff[0].account == account


def test_a_folder_s_tariff_is_charged_to_every_party(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    dataset = read_folder(make_folder(tmp_path / "in", {"rules.toml": RULES + COMPONENT}))
    out = tmp_path / "out"
    out.mkdir()
    with settled_ledger(dataset, out, lambda done, of: None) as ledger:
        results = write_results(out, dataset, read_runs(ledger, dataset), tariffs_of_ledger(ledger, dataset))
    rows = [row for row in read(out / "statements.csv") if row[3] == "a_day"]
    assert [(row[1], row[6]) for row in rows] == [("M1", 300_000_000), ("M2", 300_000_000)]
    assert results.postings_sum_nano == 0
    assert {path.name for path in out.iterdir()} >= {"statements.csv", "postings.csv", "invoices.csv", "report.html"}
