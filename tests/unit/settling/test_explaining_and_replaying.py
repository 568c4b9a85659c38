"""``gridledger settle explain|replay``: a line step by step, a run made again; each mistake in one line, each lie found."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from gridcore import cbor
from gridcore.quality import ESTIMATED
from gridevidence.view import decode_bundle
from gridledger.cli import main
from gridledger.settling.derivation import LANGUAGES, derive_line
from ledger.evidence import build_bundle
from ledger.leaves.positions import POSITIONS
from ledger.leaves.runs import RUNS
from ledger.store.offline import reading
from ledger.store.rerun import RunName, rerun
from ledger.store.state_db import DB_NAME
from settlement.catalogue import CONTRACTS
from tests.worlds.community import COMMUNITY, one_shared_slot
from tests.worlds.consortium import DAY_S, FIRST_S, SLOT_S, Consortium, feeder, household, zone
from tests.worlds.ledgers import ledger_with
from tests.worlds.pairs import PAIRS, one_paired_slot
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

LINES = {
    "auction": {"p-1": "trade_buy", "p-2": "trade_sell", "l-1": "levy"},
    "pairs": {"shop": "trade_buy", "roof": "trade_sell", "house": "trade_buy", "barn": "trade_sell"},
    "community": {"house": "levy", "roof": "community_sell", "shop": "community_buy"},
}
"""A line of each party, by world."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Data directories at rest, each with one settled slot, one a contract."""
    found = {}
    for name, consortium, slot in (
        ("auction", TWO_AREAS, one_settled_slot),
        ("pairs", PAIRS, one_paired_slot),
        ("community", COMMUNITY, one_shared_slot),
    ):
        found[name] = tmp_path_factory.mktemp(name) / "ledger"
        with ledger_with(found[name], consortium, slot(consortium.sender())):
            pass
    return found


@pytest.mark.parametrize(
    ("world", "party", "kind"), [(world, *line) for world, lines in LINES.items() for line in lines.items()]
)
def test_every_line_of_a_slot_is_derived_to_the_integer_that_the_ledger_says(
    folders: dict[str, Path], world: str, party: str, kind: str
) -> None:
    with reading(folders[world], CONTRACTS) as reader:
        view = decode_bundle(build_bundle(reader, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind))
    terms = [term for term in view.position.terms if term.energy_wh]
    assert kind in {term.kind for term in terms}
    for term in terms:
        derivation = derive_line(view, term.kind)
        assert derivation.holds, [step for step in derivation.steps if not step.holds]
        assert derivation.amount_nano == term.amount_nano == derivation.steps[-2].result
        assert derivation.steps[-1].result == view.position.pays_nano
        assert all(set(LANGUAGES) == set(step.what) == set(step.formula) for step in derivation.steps)


def test_a_changed_amount_in_a_bundle_does_not_hold(folders: dict[str, Path]) -> None:
    with reading(folders["auction"], CONTRACTS) as reader:
        view = decode_bundle(build_bundle(reader, CONTRACTS, party="p-1", slot_start_s=FIRST_S, line_kind="levy"))
    position = view.position
    wrong = tuple(
        type(term)(**{**term.__dict__, "amount_nano": term.amount_nano + (term.kind == "levy")})
        for term in position.terms
    )
    changed = type(view)(**{**view.__dict__, "position": type(position)(**{**position.__dict__, "terms": wrong})})
    assert not derive_line(changed, "levy").holds


def test_a_line_is_explained_on_the_command_line_in_both_languages(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explain = ["settle", "explain", "--data", str(folders["auction"]), "--line", f"p-1/{FIRST_S}/levy"]
    assert main([*explain, "--language", "en"]) == 0
    assert "(1900 − 1000) × 1 = 900 Wh  [recomputed]" in capsys.readouterr().out
    assert main([*explain, "--language", "zh_CN"]) == 0
    assert "重算一致" in capsys.readouterr().out
    assert main([*explain, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["holds"] is True
    assert answer["amount_nano"] == answer["steps"][-2]["result"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("p-1", "write PARTY/SLOT/KIND"),
        ("p-1/x/levy", "write PARTY/SLOT/KIND"),
        (f"p-1/{FIRST_S}/gift", "line kind 'gift': one of trade_buy"),
        (f"p-1/{FIRST_S}/trade_sell", "p-1 has no line trade_sell"),
        (f"nobody/{FIRST_S}/levy", "none of that name is billed"),
        ("p-1/900/levy", "slot 900"),
    ],
)
def test_a_line_that_is_none_is_one_clear_line(
    folders: dict[str, Path], line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settle", "explain", "--data", str(folders["auction"]), "--line", line]) in (1, 2)
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("world", LINES)
def test_a_run_made_again_from_the_blocks_is_the_same_bit_by_bit(folders: dict[str, Path], world: str) -> None:
    first = rerun(folders[world], RunName("a-1", FIRST_S, None), CONTRACTS)
    again = rerun(folders[world], RunName("a-1", FIRST_S, "initial"), CONTRACTS)
    assert first == again
    assert first.differing == ()
    assert first.compared == 3
    assert first.leaf.as_of_height == first.height - 1
    assert not list(folders[world].glob("check-*")), "what was derived is gone"


def test_the_same_slot_of_another_chain_has_another_run_id(folders: dict[str, Path]) -> None:
    ids = {rerun(folder, RunName("a-1", FIRST_S, None), CONTRACTS).run_id for folder in folders.values()}
    assert len(ids) == len(folders)


def test_a_changed_row_in_the_database_is_named_and_the_answer_is_no(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ledger"
    shutil.copytree(folders["auction"], folder)
    key = POSITIONS.key(FIRST_S, "z-1", "initial", 0)
    with sqlite3.connect(folder / DB_NAME) as connection:
        ((body,),) = connection.execute("SELECT leaf FROM leaves WHERE key = ?", (key,)).fetchall()
        name, value = cbor.decode(body)
        pays = bytearray(value["columns"]["pays_nano"])
        pays[0] ^= 1
        value["columns"]["pays_nano"] = bytes(pays)
        connection.execute("UPDATE leaves SET leaf = ? WHERE key = ?", (cbor.encode([name, value]), key))
    connection.close()
    assert main(["settle", "replay", "--data", str(folder), "--area", "a-1", "--slot", str(FIRST_S), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["same"], answer["differing"]) == (False, [key])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--area", "nowhere", "--slot", str(FIRST_S)], "--area nowhere: is no area of this chain"),
        (["--area", "a-1", "--slot", "900"], "--slot 900 of area a-1: no slot starts then; slots start every 900 s"),
        (["--area", "a-1", "--slot", str(FIRST_S + 900)], "it falls due at 2027-01-15T08:45:00Z, ledger time is"),
        (
            ["--area", "a-1", "--slot", str(FIRST_S), "--run", "final"],
            "its zone names no run_calendar, and has no final runs",
        ),
    ],
)
def test_a_run_that_is_none_is_one_clear_line(
    folders: dict[str, Path], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["settle", "replay", "--data", str(folders["auction"]), *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def test_an_energy_of_an_outage_is_explained_as_its_part_of_what_the_registers_counted(tmp_path: Path) -> None:
    """Three days without the meter, then its register: told by the derivation, and the run is made again from the blocks."""
    world = Consortium(
        start_s=FIRST_S - SLOT_S,
        zones=[zone(metering_deadline_s=0, gap_slots_max=4_320)],
        meters=[household(1, "p-1"), feeder(2)],
    )
    sender = world.sender()
    returns_s = FIRST_S + 3 * DAY_S
    blocks = [[sender.clock(FIRST_S), sender.batch("gw-1", FIRST_S, [(1, 0, 0), (2, 0, 0)])]]
    blocks += [[sender.clock(FIRST_S + day * DAY_S)] for day in (1, 2, 3)]
    blocks += [[sender.batch("gw-1", returns_s, [(1, 28_800, 0), (2, 50_000, 0)])], []]
    slot_s = FIRST_S + 2 * DAY_S
    with ledger_with(tmp_path / "ledger", world, blocks) as ledger:
        run = RUNS.must(ledger, slot_s, "z-1").last
        bundle = build_bundle(ledger, CONTRACTS, party="p-1", slot_start_s=slot_s, line_kind="levy")
        initial = POSITIONS.must(ledger, slot_s, "z-1", "initial", 0)
    assert initial.quality.tolist()[:1] == [ESTIMATED]
    derivation = derive_line(decode_bundle(bundle), "levy")
    (energy,) = (step for step in derivation.steps if step.what["en"].startswith("Import of the slot"))
    assert energy.what["en"].endswith("(estimated: the slot's part of what the registers around the gap have counted)")
    assert (energy.result, derivation.holds) == (100, True)
    again = rerun(tmp_path / "ledger", RunName("a-1", slot_s, run), CONTRACTS)
    assert (run, again.differing) == ("correction-1", ())
