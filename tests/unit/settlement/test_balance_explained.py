"""``settle explain`` of an entry of a balance, and ``settle replay`` of a folder of one: on a ledger of two zones with a border between them."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.master_data import Named
from gridcore.registry.balance_terms import BALANCE_TERMS, LOSS_PRICE, SURPLUS_PRICE, BalancePenalty
from gridledger.cli import main
from gridledger.settling.balance_derivation import EntryName, derive_entry, first_differing
from settlement.area_balance import Border, Entry, Known, SlotHistory, Terms, answering_account, area_balance
from settlement.balance_groups import GroupEnergy
from tests.unit.settlement.test_borders_of_areas import PRICES, TERMS, WORLD, settled
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.ledgers import decide, open_ledger

PENALTY: Final = {"penalty_ppm": 250_000, "price_micro_per_kwh": 800_000, "sides": "both", "tolerance_ppm": 30_000}
LATER: Final = Named(
    BALANCE_TERMS,
    "a-1",
    TERMS._replace(prices={**PRICES, SURPLUS_PRICE: 1, LOSS_PRICE: 500_000}, series=None, penalty=PENALTY),
    FIRST_S,
)
UNTIL: Final = ["--from", str(FIRST_S), "--until", str(FIRST_S + SLOT_S)]


@pytest.fixture
def ledger_dir(tmp_path: Path) -> Path:
    """One settled slot; what a border showed came late, then the terms were corrected from the slot on."""
    with settled(tmp_path / "ledger", late=[(3, 300, 60)], then=[*LATER.rows()]):
        pass
    return tmp_path / "ledger"


def explained(folder: Path, capsys: pytest.CaptureFixture[str], line: str, *more: str) -> Any:
    """What the command says of an entry."""
    words = ["settle", "explain", "--data", str(folder), "--area", "a-1", "--line", line, "--json", *more]
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)


def test_a_loss_is_explained_border_by_border_with_what_each_block_posted(
    ledger_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explained(ledger_dir, capsys, f"grid/{FIRST_S}/loss", "--language", "en")
    assert (found["energy_wh"], found["pays_nano"], found["holds"]) == (40, 40 * 500_000, True)
    steps = [(step["what"], step["formula"], step["result"]) for step in found["steps"]]
    assert ("Border P-3 to area a-2, in", "300", 300) in steps
    assert ("Came in over all borders", "700 + 300", 1_000) in steps
    assert ("Lost: in + produced − out − consumed (minus: gained)", "1000 + 0 − 60 − 900", 40) in steps
    assert ("What the party pays (minus: receives): energy × price", "40 × 500000", 40 * 500_000) in steps
    posted = [(formula, result) for what, formula, result in steps if what.startswith("Posted by")]
    assert posted == [(f"{40 * 410_000} − 0", 40 * 410_000), (f"{40 * 500_000} − {40 * 410_000}", 40 * 90_000)]
    assert steps[-1] == ("All postings together", f"{40 * 410_000} + {40 * 90_000}", 40 * 500_000)
    assert {entry["kind"] for entry in found["entries"]} == {"loss"}


def test_a_shortfall_and_a_penalty_are_explained_from_meters_and_trades(
    ledger_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explained(ledger_dir, capsys, f"east/{FIRST_S}/shortfall", "--language", "en")
    assert [step["formula"] for step in found["steps"][:3]] == ["0 − 900", "0 − 0", "(-900) − 0"]
    assert found["pays_nano"] == 900 * 600_000
    found = explained(ledger_dir, capsys, f"east/{FIRST_S}/penalty", "--language", "zh_CN")
    assert found["title"] == "超出免责偏差的考核"
    assert found["pays_nano"] == 900 * 800_000 // 4
    assert found["steps"][-3]["formula"] == "900 × 800000 × 250000 / 1000000"


def test_an_entry_is_explained_as_of_an_earlier_run_in_words_of_both_languages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with settled(tmp_path / "ledger"):
        pass
    words = ["settle", "explain", "--data", str(tmp_path / "ledger"), "--area", "a-1"]
    words += ["--line", f"grid/{FIRST_S}/loss", "--run", "initial"]
    assert main([*words, "--language", "en"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Losses of the grid (a-1, grid/{FIRST_S}/loss), run initial\n")
    assert "40 × 410000 = 16400000 1e-9 CNY  [recomputed]" in said
    assert "not checked: that the energies of points and borders follow from the blocks" in said
    assert main([*words, "--language", "zh_CN"]) == 0
    assert "损耗：流入 + 上网 − 流出 − 用电" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--line", f"grid/{FIRST_S}/los"], "'los' is no kind of an entry of a balance; they are loss, gain"),
        (
            ["--line", f"grid/{FIRST_S}/gain"],
            f"gain: nothing of it is posted; the slot has east/{FIRST_S}/shortfall, grid/{FIRST_S}/loss",
        ),
        (["--line", f"grid/{FIRST_S + 9 * SLOT_S}/loss"], "area a-1 has no settled slot that starts then"),
        (["--line", "grid/loss"], "--line 'grid/loss': write ACCOUNT/SLOT/KIND"),
        (["--line", f"grid/{FIRST_S}/loss", "--run", "final"], "--run 'final': the slot has initial"),
        (["--line", f"grid/{FIRST_S}/loss", "--point", "P-1"], "--point: no entry of a balance is there"),
        (["--line", f"grid/{FIRST_S}/loss", "--area", "x"], "--area x: is no area of this chain"),
    ],
)
def test_an_entry_that_is_not_there_is_one_line(
    ledger_dir: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["settle", "explain", "--data", str(ledger_dir), "--area", "a-1", *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def balance_folder(ledger_dir: Path, out: Path) -> Path:
    """The balance of the slot as files."""
    words = ["settle", "balance", "--data", str(ledger_dir), "--area", "a-1", *UNTIL, "--out", str(out)]
    assert main(words) == 0
    return out


def test_a_balance_is_computed_again_and_a_changed_row_of_each_file_is_named(
    ledger_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = balance_folder(ledger_dir, tmp_path / "out")
    replay = ["settle", "replay", "--data", str(ledger_dir), "--balance", str(out)]
    capsys.readouterr()
    assert main([*replay, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["area"], again["slots"], again["same"]) == ("a-1", 1, True)
    assert again["entries"] == len((out / "balance_entries.csv").read_text().splitlines()) - 1 > 3
    for name in ("balance.csv", "borders.csv", "balance_entries.csv", "balance_accounts.csv"):
        whole = (out / name).read_text()
        head, _first, *rest = whole.splitlines(keepends=True)
        (out / name).write_text("".join([head, *rest]))
        assert main(replay) == 1
        assert f"NOT THE SAME: {name}, " in capsys.readouterr().out
        (out / name).write_text(whole)
    assert main(replay) == 0


def test_a_balance_stays_the_same_after_the_ledger_has_gone_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with settled(tmp_path / "ledger"):
        pass
    out = balance_folder(tmp_path / "ledger", tmp_path / "out")
    shutil.copytree(tmp_path / "ledger", tmp_path / "before")
    sender = WORLD.sender()
    sender.clock(FIRST_S + 2 * SLOT_S)
    with closing(open_ledger(tmp_path / "ledger", WORLD)) as ledger:
        assert decide(ledger, [sender.register([*LATER.rows()])]) == [0]
    assert main(["settle", "replay", "--data", str(tmp_path / "ledger"), "--balance", str(out)]) == 0
    newer = balance_folder(tmp_path / "ledger", tmp_path / "newer")
    assert (newer / "balance_entries.csv").read_text() != (out / "balance_entries.csv").read_text()
    capsys.readouterr()
    assert main(["settle", "replay", "--data", str(tmp_path / "before"), "--balance", str(newer)]) == 2
    assert f"the balance of {newer} is of height" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--balance", "nowhere"], "holds no balance_ledger.csv"),
        (["--balance", "nowhere", "--month", "2027-01"], "--month: the slots of --balance stand in its folder"),
        (["--balance", "nowhere", "--area", "a-1"], "--area: the slots of --balance stand in its folder"),
        (["--balance", "nowhere", "--documents", "x"], "--balance: is of --data alone"),
    ],
)
def test_what_is_no_folder_of_a_balance_is_one_line(
    ledger_dir: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["settle", "replay", "--data", str(ledger_dir), *words]) == 2
    assert said in capsys.readouterr().err


ENERGY: Final = st.integers(0, 2_000)
PRICE: Final = st.integers(-900_000, 900_000)
SHARE: Final = st.integers(0, 1_000_000)
PENALTIES: Final = st.builds(
    BalancePenalty, SHARE, st.integers(0, 900_000), st.sampled_from(["both", "short_only"]), SHARE
)
TERMS_DRAWN: Final = st.builds(
    Terms, st.sampled_from(["grid", "east"]), PRICE, PRICE, PRICE, PRICE, st.none() | PENALTIES
)
GROUPS: Final = st.lists(
    st.builds(GroupEnergy, st.sampled_from(["", "east", "west"]), ENERGY, ENERGY, ENERGY, ENERGY),
    max_size=3,
    unique_by=lambda group: group.group,
)
BORDERS: Final = st.lists(
    st.builds(Border, st.sampled_from(["F", "B"]), st.sampled_from(["", "south"]), st.none() | ENERGY, ENERGY),
    max_size=2,
)
HISTORIES: Final = st.lists(
    st.builds(Known, st.just(0), st.just("initial"), GROUPS, BORDERS, st.none() | TERMS_DRAWN), min_size=1, max_size=4
).map(lambda known: [one._replace(height=height, run=f"r-{height}") for height, one in enumerate(known, 1)])


@given(HISTORIES)
def test_plain_sums_give_every_entry_that_is_posted(known: list[Known]) -> None:
    history = SlotHistory(900, known)
    entries = area_balance("north", [history]).entries
    assert first_differing("north", history, entries) is None
    names = {EntryName("north", answering_account("north", one), 900, one.kind) for one in entries}
    derived = [derive_entry(history, name, "CNY") for name in sorted(names, key=str)]
    assert all(one.holds for one in derived)
    assert sum(len(one.entries) for one in derived) == len(entries)


def test_an_entry_with_another_amount_energy_or_side_is_found() -> None:
    groups = [GroupEnergy("east", 900, 0, 100, 0)]
    history = SlotHistory(900, [Known(3, "initial", groups, (), Terms("grid", 1, 2, 3, 5))])
    (entry,) = area_balance("north", [history]).entries
    changed: list[Entry] = [
        entry._replace(amount_nano=entry.amount_nano + 1),
        entry._replace(energy_wh=entry.energy_wh - 1),
        entry._replace(debit_account=entry.credit_account, credit_account=entry.debit_account),
    ]
    assert first_differing("north", history, [entry]) is None
    assert [first_differing("north", history, [one]) for one in changed] == changed
