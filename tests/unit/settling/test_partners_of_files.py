"""Suppliers, offtakers and grid operators in ``points.csv``: what they receive of a settled folder, and of the folder that is extracted of a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from gridcore.errors import UsageError
from gridcore.master_data import Named
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.tariff import TARIFF
from gridledger.cli import main
from gridledger.settling.files.folder import read_folder
from gridledger.settling.partners import Partners
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_market_partners import assert_is_the_receipt_of_accounts, rows
from tests.worlds.consortium import FIRST_S, SLOT_S, START_S, UTILITY, Consortium
from tests.worlds.ledgers import ledger_with
from tests.worlds.tariffed import HOME, MONTH, component, first_slots, late_reading, with_more

POINTS: Final = "point,party,area,supplier,offtaker,grid_operator\nP1,M1,A1,north,,dso\nP2,M2,A1,south,east,dso\n"
SHARED: Final = RULES.replace(
    'contract = "mid_market_rate/1"',
    'contract = "sharing_keys/1"\nmethod = "dynamic"\ntrade_price_micro_per_kwh = 370000',
)


def folder_of(path: Path, points: str = POINTS, **files: str) -> Path:
    return make_folder(path, {"points.csv": points, "rules.toml": SHARED, **files})


def settled(folder: Path, out: Path, *, onto: bool = False) -> int:
    return main(["settle", "files", str(folder), "--onto" if onto else "--out", str(out)])


def months(out: Path) -> dict[tuple[str, str], int]:
    """By account and partner, all months together."""
    found: dict[tuple[str, str], int] = {}
    for row in rows(out, "partner_months.csv"):
        key = row["account"], row["partner"]
        found[key] = found.get(key, 0) + int(row["received_nano"])
    return found


def supplied(out: Path) -> dict[tuple[str, str], int]:
    """What suppliers receive in the end."""
    return {key: nano for key, nano in months(out).items() if key[0] == "supplier" and nano}


def named(point: str, party: str, partners: Partners, from_s: int = FIRST_S) -> Named[Point]:
    said = {field: name or None for field, name in partners._asdict().items()}
    return Named(POINT, point, Point("a-1", "household", party, **said), from_s)


def world(*points: Named[Point]) -> Consortium:
    """The metered world; everybody who is billed has a tariff, which charges to no account of a partner."""
    tariff = HOME._replace(components=[component("energy", "residual", 100_001)])
    third = Named(PARTY, "l-1", Party("a-1", UTILITY, trades=False, tariff="simple"), START_S)
    return with_more(Named(TARIFF, "simple", tariff), third, *points)


# ------------------------------------------------------------------------------------------------- of a folder


def test_whom_points_of_a_folder_name_receives_by_name_and_all_together_what_the_accounts_do(tmp_path: Path) -> None:
    """P1 takes 500 and 1,125 Wh, P2 1 Wh in the second slot; P2 gives 250 and 12,000 Wh: 250 Wh of P1's are north's, 10,874 Wh of P2's east's."""
    folder, out = folder_of(tmp_path / "in"), tmp_path / "out"
    assert settled(folder, out) == 0
    assert_is_the_receipt_of_accounts(out, "Europe/Berlin")
    found = months(out)
    assert found["supplier", "north"] == 250 * 460_000
    assert found["offtaker", "east"] == -(12_000 - 1_126) * 280_000
    assert found["network", "dso"] == (500 + 1_125 + 1) * 180_000
    assert found.keys() == {("supplier", "north"), ("offtaker", "east"), ("network", "dso")}


def test_what_partners_of_a_settled_folder_receive_is_computed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert settled(folder_of(tmp_path / "in"), out) == 0
    replay = ["settle", "replay", "--settled", str(out)]
    assert main(replay) == 0
    whole = (out / "partners.csv").read_text()
    (out / "partners.csv").write_text(whole.replace("north", "other"))
    capsys.readouterr()
    assert main(replay) == 1
    assert "NOT THE SAME: partners.csv, row " in capsys.readouterr().out


def test_newer_readings_go_to_the_same_partners_and_another_partner_gets_what_the_one_before_gives_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert settled(folder_of(tmp_path / "in"), out) == 0
    readings = {"readings.csv": "start,point,import_kwh,export_kwh\n2025-06-01T00:00:00Z,P1,0.75,0\n"}
    newer = folder_of(tmp_path / "newer", **readings)
    assert settled(newer, out, onto=True) == 0
    assert months(out)["supplier", "north"] == 500 * 460_000
    assert_is_the_receipt_of_accounts(out, "Europe/Berlin")
    capsys.readouterr()
    nobody = folder_of(tmp_path / "nobody", POINTS.replace("south", ""), **readings)
    assert settled(nobody, out, onto=True) != 0
    said = "points.csv: point P2: the ledger has supplier south, not nobody; slots were settled by it"
    assert capsys.readouterr().err.splitlines()[-1] == said
    other = folder_of(tmp_path / "other", POINTS.replace("north", "west"), **readings)
    assert settled(other, out, onto=True) == 0
    assert (months(out)["supplier", "west"], months(out).get(("supplier", "north"), 0)) == (500 * 460_000, 0)
    assert_is_the_receipt_of_accounts(out, "Europe/Berlin")


def test_a_correction_of_early_slots_by_the_points_of_that_time_leaves_the_supplier_that_came_behind_them(
    tmp_path: Path,
) -> None:
    """P1 takes 1 kWh a slot: of north at first, of south from the third slot on. A late change to west ends there too."""
    head, out = "point,party,area,supplier\n", tmp_path / "out"
    slots = [f"2025-06-01T00:{minute:02}:00Z,P1,1,0\n" for minute in (0, 15, 30, 45)]

    def folder(supplier: str, of: list[str]) -> Path:
        files = {"readings.csv": "start,point,import_kwh,export_kwh\n" + "".join(of)}
        return folder_of(tmp_path / f"{supplier}-{len(of)}", f"{head}P1,M1,A1,{supplier}\n", **files)

    assert settled(folder("north", slots), out) == 0
    assert settled(folder("south", slots[2:]), out, onto=True) == 0
    halves = {("supplier", "north"): 2_000 * 460_000, ("supplier", "south"): 2_000 * 460_000}
    assert supplied(out) == halves
    assert settled(folder("north", [slots[0].replace("P1,1,0", "P1,2,0")]), out, onto=True) == 0
    assert supplied(out) == {**halves, ("supplier", "north"): 3_000 * 460_000}
    assert settled(folder("west", slots[1:2]), out, onto=True) == 0
    each = {"north": 2_000, "west": 1_000, "south": 2_000}
    assert supplied(out) == {("supplier", name): energy_wh * 460_000 for name, energy_wh in each.items()}
    assert settled(folder("east", slots[1:]), out, onto=True) == 0
    assert supplied(out) == {("supplier", "north"): 2_000 * 460_000, ("supplier", "east"): 3_000 * 460_000}


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (POINTS.replace("north", "North Energy"), "points.csv, row 2, supplier: 'North Energy' is no name; a name has"),
        (POINTS.replace("east", "e" * 65), "points.csv, row 3, offtaker: "),
        (POINTS.replace("grid_operator", "grid_operators"), "points.csv"),
        (
            POINTS.replace("operator", "operator,valid_from").replace("dso", "dso,") + "P2,M1,A1,west,,,2025-06-01T00:15:00Z\n",
            "points.csv, row 4, valid_from: P2 has another supplier, offtaker or grid_operator in its first row; leave all three empty here",
        ),
    ],
)  # fmt: skip
def test_a_partner_that_cannot_be_is_one_line(tmp_path: Path, points: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        read_folder(folder_of(tmp_path, points))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


# --------------------------------------------------------------------------- of the folder that is extracted of a ledger


def test_partners_receive_of_the_extracted_folder_what_they_receive_of_the_ledger(tmp_path: Path) -> None:
    of = world(
        named("P-1", "p-1", Partners("north", "", "dso")),
        named("P-2", "p-2", Partners("south", "east", "dso")),
        named("P-5", "p-2", Partners("north")),
    )
    data, sender = tmp_path / "ledger", of.sender()
    with ledger_with(data, of, [*first_slots(sender), *late_reading(sender, 600)]):
        pass
    documents, folder, out = (tmp_path / name for name in ("documents", "extracted", "settled"))
    assert main(["settle", "documents", "--data", str(data), "--month", MONTH, "--out", str(documents)]) == 0
    assert main(["settle", "extract", "--data", str(data), "--out", str(folder)]) == 0
    assert (folder / "points.csv").read_text().splitlines() == [
        "point,party,area,valid_from,grid_place,energy_kind,voltage_level,supplier,offtaker,grid_operator,role,exchange_area",
        "P-1,p-1,a-1,,,,,north,,dso,,", "P-2,p-2,a-1,,,,,south,east,dso,,", "P-3,l-1,a-1,,,,,,,,,", "P-4,,a-1,,,,,,,,feeder,",
        "P-5,p-2,a-1,,,,,north,,,,",
    ]  # fmt: skip
    assert settled(folder, out) == 0
    assert rows(out, "partner_months.csv") == rows(documents, "partner_months.csv")
    assert {
        ("supplier", "north"),
        ("offtaker", "east"),
        ("network", "dso"),
        ("network", "network/unassigned"),
    } <= months(out).keys()


def test_the_supplier_of_a_party_without_a_tariff_is_in_the_settled_folder_that_is_extracted_of_the_ledger(
    tmp_path: Path,
) -> None:
    """l-1, who names no tariff, takes 40 Wh in each of four slots."""
    of = with_more(named("P-3", "l-1", Partners("west")))
    data, documents, folder, out = (tmp_path / name for name in ("ledger", "documents", "extracted", "settled"))
    with ledger_with(data, of, first_slots(of.sender())):
        pass
    assert main(["settle", "documents", "--data", str(data), "--month", MONTH, "--out", str(documents)]) == 0
    assert ("supplier", "west") not in months(documents)
    assert main(["settle", "extract", "--data", str(data), "--out", str(folder)]) == 0
    assert settled(folder, out) == 0
    assert months(out)["supplier", "west"] == 4 * 40 * 460_000


def test_a_supplier_that_changes_in_the_span_is_left_out_and_told(tmp_path: Path) -> None:
    of = world(
        named("P-1", "p-1", Partners("north", "east", "dso")),
        named("P-1", "p-1", Partners("south", "east", "dso"), FIRST_S + 2 * SLOT_S),
    )
    data, folder = tmp_path / "ledger", tmp_path / "extracted"
    with ledger_with(data, of, first_slots(of.sender())):
        pass
    assert main(["settle", "extract", "--data", str(data), "--out", str(folder)]) == 0
    assert (folder / "points.csv").read_text().splitlines()[1] == "P-1,p-1,a-1,,,,,,east,dso,,"
    said = "points name another supplier from a slot on (1, P-1 first), which points.csv cannot say: it is empty there"
    assert f"# {said}" in (folder / "rules.toml").read_text()
