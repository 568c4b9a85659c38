"""What a folder's tariff becomes on its ledger, and how newer files change it."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest

from gridcore.errors import GridError
from gridcore.registry.party import PARTY
from gridcore.registry.tariff import TARIFF
from gridledger.cli import main
from gridledger.settling.chain import read_runs, settled_ledger, tariffs_of_ledger
from gridledger.settling.files.folder import read_folder
from gridledger.settling.results import write_results
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.settled_folder import tariffs_of

POINTS = "point,party,area\nP1,M1,A1\nP2,M2,A1\n"
DAYS = ("2025-06-28", "2025-06-29", "2025-06-30")
"""Of UTC, as the local days of the rules are two hours ahead: slots from 22:00 on belong to the next one."""


def component(name: str, base: str, price: int, *more: str) -> str:
    unit = {"day": "price_micro_per_day", "percent": "share_ppm", "kw_contracted": "price_micro_per_kw_month"}
    unit["kw_peak"] = unit["kw_contracted"]
    key = unit.get(base, "price_micro_per_kwh")
    lines = (f'name = "{name}"', 'account = "grid"', f'base = "{base}"', f"{key} = {price}", *more)
    return "\n[[tariff.component]]\n" + "\n".join(lines) + "\n"


TARIFF_TEXT = (
    component("energy", "import", 100_000, "valid_until = 2025-06-30")
    + component("energy", "import", 200_000, "valid_from = 2025-06-30")
    + component("demand", "kw_contracted", 32_000_000, "contracted_kw = {M1 = 12}")
    + component("bonus", "day", -70_000, 'parties = ["M2"]')
    + component("factor", "percent", -7_500, 'of = ["energy", "demand"]')
)


def readings(days: tuple[str, ...] = DAYS, kwh: str = "1.000") -> str:
    rows = [
        f"{day}T{hour:02}:{minute:02}:00Z,{point},{kwh},0.000\n"
        for day in days
        for hour in range(24)
        for minute in (0, 15, 30, 45)
        for point in ("P1", "P2")
    ]
    return "start,point,import_kwh,export_kwh\n" + "".join(rows)


def folder(path: Path, tariff: str, days: tuple[str, ...] = DAYS) -> Path:
    return make_folder(path, {"points.csv": POINTS, "readings.csv": readings(days), "rules.toml": RULES + tariff})


def charges(out: Path) -> dict[tuple[str, str], int]:
    """Nano of each party and kind of line, over all months."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    with (out / "statements.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["party"], row["line_kind"]] += int(row["amount_nano"])
    return found


def settle(source: Path, out: Path, how: str = "--out") -> None:
    assert main(["settle", "files", str(source), how, str(out)]) == 0


def test_a_tariff_is_registered_and_what_the_ledger_has_is_charged_as_the_file_says(tmp_path: Path) -> None:
    dataset = read_folder(folder(tmp_path / "in", TARIFF_TEXT))
    outs = [tmp_path / "by-ledger", tmp_path / "by-file"]
    for out in (tmp_path / "home", *outs):
        out.mkdir()
    with settled_ledger(dataset, tmp_path / "home") as ledger:
        runs = list(read_runs(ledger, dataset))
        found = tariffs_of_ledger(ledger, dataset)
        named = {party: ledger.in_force(PARTY, party, int(dataset.slot_start_s[0])) for party in ("M1", "M2")}
        assert {record.tariff for record in named.values() if record is not None} >= {"files"}
        assert named["M1"] is not None
        assert named["M1"].contracted_w == {"demand": 12_000}
        assert named["M2"] is not None
        assert named["M2"].contracted_w is None
        tariff = ledger.in_force(TARIFF, "files", int(dataset.slot_start_s[-1]))
        assert tariff is not None
        assert [one["name"] for one in tariff.components] == ["energy", "demand", "bonus", "factor"]
    roots = [
        write_results(out, dataset, runs, tariffs).results_root
        for out, tariffs in zip(outs, (found, tariffs_of(dataset)), strict=True)
    ]
    assert roots[0] == roots[1]
    assert (outs[0] / "invoices.csv").read_bytes() == (outs[1] / "invoices.csv").read_bytes()
    energy = {key[0]: nano for key, nano in charges(outs[0]).items() if key[1] == "energy"}
    # 1 kWh a slot: until 29 June 22:00 UTC at 0.1, from then on at 0.2
    assert energy == dict.fromkeys(("M1", "M2"), (2 * 96 - 8) * 10**8 + (96 + 8) * 2 * 10**8)


def test_newer_files_change_components_from_their_first_slot_on_and_no_day_before(tmp_path: Path) -> None:
    out = tmp_path / "out"
    settle(folder(tmp_path / "first", component("energy", "import", 100_000), DAYS[:2]), out)
    dearer = component("energy", "import", 300_000) + component("fee", "day", 500_000)
    settle(folder(tmp_path / "newer", dearer, DAYS[2:]), out, "--onto")
    found = charges(out)
    # the local day of 30 June has begun at 22:00 UTC of the day before: the next one begins at 22:00 of the newer day
    assert found["M1", "energy"] == (2 * 96 + 88) * 10**8 + 8 * 3 * 10**8
    assert found["M1", "fee"] == 500_000_000
    settle(folder(tmp_path / "newer", component("energy", "import", 100_000), DAYS[2:]), out, "--onto")
    assert charges(out)["M1", "energy"] == 3 * 96 * 10**8
    assert ("M1", "fee") not in charges(out)


def test_newer_files_without_a_tariff_end_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    settle(folder(tmp_path / "first", component("fee", "day", 1_000_000), DAYS[:1]), out)
    settle(folder(tmp_path / "newer", "", DAYS[1:]), out, "--onto")
    assert charges(out)["M1", "fee"] == 2 * 10**9, "of the two local days that the first file reached into"


@pytest.mark.parametrize(
    ("tariff", "words"),
    [
        (
            component("fee", "day", 1).replace('"grid"', '"funds"'),
            r"^rules\.toml: \[\[tariff\.component\]\] fee has another account, base or tax flag than on the ledger",
        ),
        (
            "\n[invoice]\nquantum_nano = 1000\n",
            r"^rules\.toml: \[invoice\] quantum_nano: the ledger has 10000000, not 1000",
        ),
    ],
)
def test_what_would_mix_two_things_under_one_name_is_refused_before_anything_changes(
    tmp_path: Path, tariff: str, words: str
) -> None:
    out = tmp_path / "out"
    settle(folder(tmp_path / "first", component("fee", "day", 1), DAYS[:1]), out)
    with reading(out / "ledger", CONTRACTS) as reader:
        height = reader.height
    newer = read_folder(folder(tmp_path / "newer", tariff, DAYS[1:2]))
    with pytest.raises(GridError, match=words), settled_ledger(newer, out):
        pass
    with reading(out / "ledger", CONTRACTS) as reader:
        assert reader.height == height


def test_a_tariff_that_no_ledger_takes_is_one_line(tmp_path: Path) -> None:
    many = "".join(component(f"c{number}", "day", 1) for number in range(65))
    dataset = read_folder(folder(tmp_path / "in", many, DAYS[:1]))
    with (
        pytest.raises(GridError, match=r"a ledger does not take them: components is an array of at most 64 maps"),
        settled_ledger(dataset, tmp_path),
    ):
        pass
    first = date(2025, 1, 1)
    entries = [(1 + at, first + timedelta(at), first + timedelta(at + 1)) for at in range(60)]
    days = "".join(
        component("c", "day", price, f"valid_from = {day}", f"valid_until = {end}") for price, day, end in entries
    )
    dataset = read_folder(folder(tmp_path / "days", days, DAYS[:1]))
    with (
        pytest.raises(GridError, match=r"they begin and end on 61 days, a ledger takes 59"),
        settled_ledger(dataset, tmp_path),
    ):
        pass


def test_a_party_that_contracted_for_more_components_than_a_row_holds_is_one_line(tmp_path: Path) -> None:
    many = "".join(component(f"d{at}", "kw_contracted", 1, "contracted_kw = {M1 = 1}") for at in range(17))
    dataset = read_folder(folder(tmp_path / "in", many, DAYS[:1]))
    words = r"^rules\.toml: \[\[tariff\.component\]\], contracted_kw: M1 has 17 components at once, a ledger takes 16$"
    with pytest.raises(GridError, match=words), settled_ledger(dataset, tmp_path):
        pass


def test_parties_whose_components_read_the_same_one_behind_the_other_have_two_tariffs(tmp_path: Path) -> None:
    first, second = date(2025, 6, 1), date(2025, 6, 2)
    of_one = component("a", "day", 1, 'parties = ["M1"]', f"valid_from = {first}")
    of_one += component("b", "day", 2, 'parties = ["M1"]', f"valid_from = {second}")
    name = f"a {first.toordinal()}/b"
    of_other = component(name, "day", 5, 'parties = ["M2"]', f"valid_from = {second}")
    dataset = read_folder(folder(tmp_path / "in", of_one + of_other, DAYS[:1]))
    with settled_ledger(dataset, tmp_path) as ledger:
        found = tariffs_of_ledger(ledger, dataset)
    assert {party: [one.name for one in tariff.components] for party, tariff in found.items()} == {
        "M1": ["a", "b"],
        "M2": [name],
    }


def test_components_of_more_bytes_than_a_row_has_are_one_line(tmp_path: Path) -> None:
    steps = ", ".join(f"{{until_kwh = {10**9 + at}, price_micro_per_kwh = {10**11}}}" for at in range(15))
    windows = ", ".join(f'["{hour:02}:10", "{hour:02}:50"]' for hour in range(24))
    more = f"steps = [{steps}, {{price_micro_per_kwh = 1}}]\nwindows = [{windows}]"
    long = "".join(component(f"{at}{'x' * 60}", "import", 1, more) for at in range(64))
    long = long.replace("price_micro_per_kwh = 1\nsteps", "steps")
    out = tmp_path / "out"
    settle(folder(tmp_path / "first", component("fee", "day", 1), DAYS[:1]), out)
    newer = read_folder(folder(tmp_path / "newer", long, DAYS[1:2]))
    words = r"a ledger does not take them: all of them have \d+ bytes, a row has 32768$"
    with pytest.raises(GridError, match=words), settled_ledger(newer, out):
        pass
