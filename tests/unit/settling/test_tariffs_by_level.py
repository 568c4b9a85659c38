"""Network charges by voltage level (过网费): the level of a point is registered, or stands in points.csv, and each kWh costs that of its point."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from gridcore.errors import UsageError
from gridcore.master_data import Named
from gridcore.registry.grid_connection import GRID_CONNECTION, GridConnection
from gridcore.registry.party import PARTY, Party
from gridcore.registry.tariff import TARIFF, Tariff
from gridledger.cli import main
from gridledger.settling.chain import billed_in
from gridledger.settling.chain.frame import frame_of_ledger
from gridledger.settling.chain.tariffs import named_tariffs
from gridledger.settling.dataset import PointRow
from gridledger.settling.documents import DocumentFolder, slots_of_months
from gridledger.settling.files.folder import read_folder
from gridledger.settling.month_derivation import DocumentName, derive_document
from gridledger.settling.month_documents import scope_of
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.settled_folder import PRICES
from tests.unit.settling.test_month_documents import make, rows
from tests.unit.settling.test_registered_tariffs import DAYS, readings
from tests.worlds.consortium import FIRST_S, SLOT_S, START_S, UTILITY, Consortium, household, load, rules, zone
from tests.worlds.ledgers import decide, ledger_with, open_ledger
from tests.worlds.tariffed import CORRECTION_AFTER_S, MONTH, TARIFFED, first_slots, late_reading

LEVELS: Final = [["10kV", 200_000], ["35kV", 170_000], ["110kV", 150_000]]
TABLE: Final = '[["10kV", 200000], ["35kV", 170000], ["110kV", 150000]]'


def component(name: str, base: str, **more: Any) -> dict[str, Any]:
    return {"account": "grid", "base": base, "name": name, "levels": LEVELS, "taxed": True, **more}


ROWS: Final = [
    component("grid_traded", "traded", highest_level="35kV"),
    component("grid_residual", "residual"),
    component("grid_all", "import"),
]


def connected(point: str, level: str, from_s: int = 0) -> Named[GridConnection]:
    return Named(GRID_CONNECTION, point, GridConnection(level), from_s)


def world(*connections: Named[GridConnection]) -> Consortium:
    """The metered world with energy shared at the mid-market rate: p-1 takes 1000 Wh at P-1, p-2 gives 300 Wh at P-2 and takes 200 Wh at P-5."""
    tariff = Named(TARIFF, "levels", Tariff(ROWS, 10_000_000, "half_even", 130_000))
    parties = [
        Named(PARTY, name, Party("a-1", UTILITY, trades=False, tariff="levels"), START_S) for name in ("p-1", "p-2")
    ]
    return replace(
        TARIFFED,
        zones=[zone(contract="mid_market_rate/1", correction_after_s=CORRECTION_AFTER_S)],
        rules=[rules(prices=PRICES, terms={})],
        meters=[
            household(1, "p-1", trades=False), household(2, "p-2", trades=False), load(3, "l-1"), load(5, "p-2"),
        ],
        more=[tariff, *parties, *connections],
    )  # fmt: skip


def energies(out: Path, name: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Energy and nano of each party's lines of each kind, all runs together."""
    found: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows(out, name):
        wh, nano = found[row["party"], row["line_kind"]]
        found[row["party"], row["line_kind"]] = wh + int(row["energy_wh"]), nano + int(row["amount_nano"])
    return found


def totals(out: Path) -> dict[str, list[int]]:
    """Net, tax and gross of each party's documents together."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows(out, "invoices.csv"):
        found[row["party"]] = [
            known + int(row[key]) for known, key in zip(found[row["party"]], ("net", "tax", "gross"), strict=True)
        ]
    return found


def settle(data: Path, of: Consortium) -> None:
    sender = of.sender()
    with ledger_with(data, of, [*first_slots(sender), *late_reading(sender, 600)]):
        pass


def test_a_ledger_charges_traded_energy_up_to_the_highest_level_and_the_rest_the_whole_price_of_its_level(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "ledger", tmp_path / "out"
    later = connected("P-5", "35kV", FIRST_S + 2 * SLOT_S)
    of = world(connected("P-1", "10kV"), connected("P-2", "110kV"), connected("P-5", "10kV"), later)
    settle(data, of)
    assert make(data, out) == 1
    said = "point P-2 in the slot that starts at 2027-01-15T08:00+00:00: 35kV lies below the user's level 110kV;"
    assert said in capsys.readouterr().err
    ledger, sender = open_ledger(data, of), of.sender()
    sender.now_s = ledger.ledger_time_s
    assert decide(ledger, [sender.register([*connected("P-2", "35kV", 1).rows()])]) == [0]
    ledger.close()
    assert make(data, out) == 0
    found = energies(out, "statements.csv")
    (traded_wh, traded), (residual_wh, residual) = found["p-1", "grid_traded"], found["p-1", "grid_residual"]
    assert (traded_wh + residual_wh, traded_wh > 0) == (4_000, True)
    assert (traded, residual) == (traded_wh * 30_000, residual_wh * 200_000)
    assert found["p-1", "grid_all"] == (4_000, 4_000 * 200_000)
    assert found["p-2", "grid_all"] == (800, 400 * 200_000 + 400 * 170_000)
    folder = DocumentFolder(out, data)
    for row in rows(out, "invoice_lines.csv"):
        assert derive_document(folder, DocumentName(row["party"], row["month"], row["line_kind"], row["run"])).holds
    capsys.readouterr()
    line = ["settle", "explain", "--data", str(data), "--documents", str(out), "--line", f"p-2/{MONTH}/grid_all"]
    assert main([*line, "--run", "initial", "--language", "en"]) == 0
    told = capsys.readouterr().out
    assert "Of it at 35kV" in told
    assert "400 × 200000 + 400 × 170000 = 148000000 1e-9 CNY" in told
    assert main([*line[:-1], f"p-1/{MONTH}/grid_traded", "--run", "initial", "--language", "zh_CN"]) == 0
    assert "价格 10kV − 35kV" in capsys.readouterr().out
    assert main(["settle", "replay", "--data", str(data), "--documents", str(out)]) == 0
    assert main(["settle", "extract", "--data", str(data), "--out", str(tmp_path / "extracted")]) == 2
    assert (
        "point P-5 has another voltage_level from 2027-01-15T08:30:00Z on; name days of one of them"
        in capsys.readouterr().err
    )


def test_the_documents_of_a_ledger_are_those_of_the_folder_that_is_extracted_of_it(tmp_path: Path) -> None:
    data, folder = tmp_path / "ledger", tmp_path / "extracted"
    settle(data, world(connected("P-1", "10kV"), connected("P-2", "35kV"), connected("P-5", "35kV")))
    assert make(data, tmp_path / "documents") == 0
    assert main(["settle", "extract", "--data", str(data), "--out", str(folder)]) == 0
    assert (folder / "points.csv").read_text().splitlines()[1:] == [
        "P-1,p-1,a-1,,,,10kV,,,", "P-2,p-2,a-1,,,,35kV,,,", "P-3,l-1,a-1,,,,,,,", "P-5,p-2,a-1,,,,35kV,,,",
    ]  # fmt: skip
    assert main(["settle", "files", str(folder), "--out", str(tmp_path / "settled")]) == 0
    by_ledger, by_files = (energies(tmp_path / name, "statements.csv") for name in ("documents", "settled"))
    assert {key: sums for key, sums in by_files.items() if key[0] != "l-1"} == by_ledger
    documents, invoices = (totals(tmp_path / name) for name in ("documents", "settled"))
    assert {party: sums for party, sums in invoices.items() if party != "l-1"} == documents


def test_a_point_of_which_no_level_is_registered_keeps_the_documents_back_unless_the_tariff_says_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, of = tmp_path / "ledger", world(connected("P-2", "35kV"), connected("P-5", "35kV", FIRST_S + SLOT_S))
    settle(data, of)
    for point, party in (("P-1", "p-1"), ("P-5", "p-2")):
        assert make(data, tmp_path / "out") == 1
        said = (
            f"point {point} in the slot that starts at 2027-01-15T08:00+00:00: no voltage level of it is known; by it component grid_traded of {party} "
            f"is charged: register grid_connection/{point} with one of 10kV, 35kV, 110kV"
        )
        assert capsys.readouterr().err.strip() == said
        sender, ledger = of.sender(), open_ledger(data, of)
        sender.now_s = ledger.ledger_time_s
        assert decide(ledger, [sender.register([*connected(point, "10kV").rows()])]) == [0]
        ledger.close()
    assert make(data, tmp_path / "out") == 0
    assert energies(tmp_path / "out", "statements.csv")["p-2", "grid_all"] == (800, 200 * 200_000 + 600 * 170_000)
    of = world(connected("P-2", "35kV"))
    by_default = Tariff([{**one, "user_level": "35kV"} for one in ROWS], 10_000_000, "half_even", 130_000)
    of = replace(of, more=[Named(TARIFF, "levels", by_default), *list(of.more)[1:]])
    settle(tmp_path / "other", of)
    assert make(tmp_path / "other", tmp_path / "by-default") == 0
    assert energies(tmp_path / "by-default", "statements.csv")["p-2", "grid_all"] == (800, 800 * 170_000)


class Walked(list[PointRow]):
    """Points that count how often somebody goes through all of them."""

    walks = 0

    def __iter__(self) -> Iterator[PointRow]:
        self.walks += 1
        return super().__iter__()


def test_points_of_parties_with_levels_are_gone_through_as_often_however_many_parties_there_are(tmp_path: Path) -> None:
    settle(tmp_path, world(connected("P-1", "10kV"), connected("P-2", "35kV"), connected("P-5", "10kV")))
    with reading(tmp_path, CONTRACTS, None) as reader:
        scope = scope_of(reader, None)
        slots = slots_of_months(reader, scope)[MONTH]
        frame = frame_of_ledger(reader, scope, slots, billed_in(reader, scope, slots))
        points = Walked(frame.points)
        found = named_tariffs(reader, frame._replace(points=points))
    assert {party: sorted(one.levels) for party, one in found.items()} == {"p-1": ["P-1"], "p-2": ["P-2", "P-5"]}
    assert points.walks == 2


# ------------------------------------------------------------------------------------------------------------- folders

POINTS: Final = "point,party,area,voltage_level\nP1,M1,A1,10kV\nP2,M2,A1,\n"
ALL: Final = f'[[tariff.component]]\nname = "grid_all"\naccount = "grid"\nbase = "import"\nlevels = {TABLE}\n'


def folder(path: Path, tariff: str, points: str = POINTS, days: tuple[str, ...] = DAYS[:1]) -> Path:
    return make_folder(path, {"points.csv": points, "readings.csv": readings(days), "rules.toml": RULES + tariff})


def test_a_folder_charges_the_level_of_each_point_and_newer_files_change_it_from_their_first_slot_on_up_to_the_next_change(
    tmp_path: Path,
) -> None:
    out, tariff = tmp_path / "out", ALL + 'user_level = "35kV"\n'
    assert main(["settle", "files", str(folder(tmp_path / "in", tariff)), "--out", str(out)]) == 0
    found = energies(out, "statements.csv")
    assert found["M1", "grid_all"] == (96_000, 96_000 * 200_000)
    assert found["M2", "grid_all"] == (96_000, 96_000 * 170_000)
    assert "10kV: 0.20; 35kV: 0.17; 110kV: 0.15 CNY/kWh" in (out / "report.html").read_text()
    newer = folder(tmp_path / "newer", tariff, POINTS.replace("10kV", "110kV"), DAYS[1:2])
    assert main(["settle", "files", str(newer), "--onto", str(out)]) == 0
    assert energies(out, "statements.csv")["M1", "grid_all"] == (192_000, 96_000 * (200_000 + 150_000))
    assert main(["settle", "replay", "--settled", str(out)]) == 0
    early = folder(tmp_path / "early", tariff, POINTS.replace("10kV", "35kV"), DAYS[:1])
    assert main(["settle", "files", str(early), "--onto", str(out)]) == 0
    assert energies(out, "statements.csv")["M1", "grid_all"] == (192_000, 96_000 * (170_000 + 150_000))


@pytest.mark.parametrize(
    ("tariff", "points", "words"),
    [
        (
            ALL, POINTS,
            "points.csv: point P2 has no voltage_level, by which [[tariff.component]] grid_all is charged; give it in the column voltage_level, or",
        ),
        (ALL, POINTS.replace("10kV", "6kV"), "point P1 and [[tariff.component]] grid_all of rules.toml: 6kV is none of the voltage levels 10kV, 35kV, 110kV"),
        (ALL + 'highest_level = "10kV"\nparties = ["M1"]\n', POINTS.replace("10kV", "35kV"), "10kV lies below the users level 35kV"),
        ("", POINTS.replace("10kV", "x" * 65), "points.csv, row 2, voltage_level: xxx"),
        ("", POINTS + "P1,M2,A1,35kV\n", "stands in row 2 already"),
    ],
)  # fmt: skip
def test_a_level_that_gives_no_price_is_one_line(tmp_path: Path, tariff: str, points: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        read_folder(folder(tmp_path, tariff, points))
    assert words in str(error.value).replace("'", "")
    assert "\n" not in str(error.value)


def test_a_row_of_a_new_tenant_has_no_other_level(tmp_path: Path) -> None:
    points = (
        "point,party,area,voltage_level,valid_from\nP1,M1,A1,10kV,\nP2,M2,A1,10kV,\nP2,M1,A1,{},2025-06-28T10:00:00Z\n"
    )
    with pytest.raises(UsageError, match="P2 has another voltage_level in its first row; leave it empty here"):
        read_folder(folder(tmp_path / "other", "", points.format("35kV")))
    assert read_folder(folder(tmp_path / "same", ALL, points.format(""))).points[1].voltage_level == "10kV"
