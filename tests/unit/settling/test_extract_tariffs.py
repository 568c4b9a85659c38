"""``settle extract`` of metered ledgers: tariffs, borders and balances come along, so that the folder settles to the ledger's own documents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridcore.master_data import Named
from gridcore.registry.calendar import Calendar
from gridcore.registry.party import PARTY, Party
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries
from gridcore.registry.reactive_energy import REACTIVE_ENERGY, ReactiveEnergy
from gridcore.registry.tariff import TARIFF, Tariff
from gridledger.cli import main
from gridledger.settling.extract import tariffs as extract_tariffs
from tests.unit.settlement.test_borders_of_areas import blocks_of
from tests.unit.settling.folders import make_folder
from tests.unit.settling.test_balance_documents import world as balanced_world
from tests.unit.settling.test_extract import BY_DAY, REACTIVE, answered, refused, rows_of
from tests.worlds.consortium import DAY_S, FIRST_S, SLOT_S, START_S, UTILITY, Consortium
from tests.worlds.ledgers import ledger_with
from tests.worlds.tariffed import HOME, MONTH, first_slots, with_more
from tests.worlds.tariffed import component as row_of_component

OFFERED = [
    row_of_component("energy", "residual", 55_555),
    {"account": "town", "base": "import", "name": "market", "price_series": "spot", "taxed": True},
    row_of_component("demand", "kw_contracted", 32_000_000),
    row_of_component("share", "percent", 10_000, of=["energy", "market", "nowhere"]),
]
BEFORE = (FIRST_S - START_S) // SLOT_S
SPOT = Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [0] * BEFORE + [310_000, -7_000, 12, 0, 5, 6]), START_S)
SHOP = HOME._replace(components=OFFERED)
SLOTS = 5
MIDNIGHT_S = FIRST_S + 4 * SLOT_S
"""Of the ledger whose days begin at 09:00 UTC: the 15th of January begins in its fifth slot."""
BY_DAYS = SHOP._replace(
    components=[
        *OFFERED,
        {**row_of_component("holiday", "import", 7_001), "day_kinds": ["holiday"]},
        {
            "account": "grid",
            "base": "percent",
            "name": "cosine",
            "of": ["energy", "levy"],
            "power_factor_standard": 90,
            "taxed": True,
        },
    ],
    days={"holiday": ["2027-01-15"]},
)
"""Lines of a kind of days and of a power factor beside those of a shop."""


def two_tariffs(shop: Tariff = SHOP, *more: Named[Any]) -> Consortium:
    """p-1 has the tariff of a home, p-2 that of a shop, with a component of the same name, a series and a power of its own."""
    world = with_more()
    party = Party("a-1", UTILITY, trades=True, contracted_w={"demand": 7_501}, tariff="shop")
    kept = [one for one in world.more if not (isinstance(one, Named) and one.name == "p-2")]
    rows = [SPOT, *more, Named(TARIFF, "shop", shop, START_S), Named(PARTY, "p-2", party, START_S)]
    return replace(world, more=[*kept, *rows])


def with_days(world: Consortium) -> Consortium:
    """The same with local days that begin at 09:00 UTC."""
    days = [MIDNIGHT_S + day * DAY_S for day in (-2, -1, 0, 1)]
    return replace(world, calendar=Calendar(days=days, months=[0], tz="Etc/GMT+9", tz_version="1"))


def changed_at_midnight() -> Consortium:
    """Both rates of tax, and that of a component, change inside the month; reactive energies of p-2's points are known."""
    own_rate = {**BY_DAYS.components[0], "tax_ppm": 160_000}
    later = BY_DAYS._replace(components=[own_rate, *BY_DAYS.components[1:]], tax_ppm=90_000)
    spans = [ReactiveEnergy(varh, 0, FIRST_S + SLOTS * SLOT_S) for varh in (900, 40)]
    world = two_tariffs(
        BY_DAYS,
        Named(TARIFF, "home", HOME._replace(tax_ppm=90_000), MIDNIGHT_S),
        Named(TARIFF, "shop", later, MIDNIGHT_S),
        *(Named(REACTIVE_ENERGY, point, span, FIRST_S) for point, span in zip(("P-2", "P-5"), spans, strict=True)),
    )
    return with_days(world)


def extracted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], world: Consortium, blocks: Any, *arguments: str
) -> dict[str, Any]:
    """The ledger of some blocks as ``ledger``, ``folder`` and ``again``; what extract answered."""
    with ledger_with(tmp_path / "ledger", world, blocks):
        pass
    capsys.readouterr()
    data = ("--data", tmp_path / "ledger")
    answer = answered(capsys, "extract", *data, *arguments, "--out", tmp_path / "folder")
    answered(capsys, "files", tmp_path / "folder", "--out", tmp_path / "again")
    return answer


def of_parties(out: Path, name: str, *parties: str) -> list[dict[str, str]]:
    return [row for row in rows_of(out / name) if row["party"] in parties]


DOCUMENTS = ("statements.csv", "invoices.csv", "invoice_lines.csv", "invoice_taxes.csv")


def test_the_folder_of_a_metered_ledger_has_its_documents_line_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = changed_at_midnight()
    answer = extracted(tmp_path, capsys, world, first_slots(world.sender(), SLOTS))
    assert answer["notes"] == ["1 parties, l-1 first, name no tariff: here their invoices go by [invoice]"]
    data, out = tmp_path / "ledger", tmp_path / "documents"
    assert main(["settle", "documents", "--data", str(data), "--month", MONTH, "--out", str(out)]) == 0
    ours = {name: of_parties(tmp_path / "again", name, "p-1", "p-2") for name in DOCUMENTS}
    assert ours == {name: rows_of(out / name) for name in DOCUMENTS}
    kinds = {row["line_kind"] for row in ours["statements.csv"]}
    own = {"energy", "market", "demand", "share", "holiday", "cosine"}
    assert own | {"night", "peak", "stay", "factor", "funds"} <= kinds
    rates = {(row["line_kind"], row["tax_ppm"]) for row in ours["invoice_lines.csv"] if row["party"] == "p-2"}
    assert {("energy", "130000"), ("energy", "160000"), ("market", "130000"), ("market", "90000")} <= rates


def test_areas_lose_in_the_folder_what_they_lose_on_the_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = balanced_world("grid", "east")
    answer = extracted(tmp_path, capsys, world, blocks_of(world), "--area", "a-1")
    assert "the border P-3 to a-2, which is not taken, stands as a feeder of a-1" in answer["notes"]
    span = ("--from", str(FIRST_S), "--until", str(FIRST_S + SLOT_S))
    ledgers = tmp_path / "balance"
    answered(capsys, "balance", "--data", tmp_path / "ledger", "--area", "a-1", *span, "--out", ledgers)
    for name in ("balance.csv", "balance_entries.csv", "balance_accounts.csv"):
        theirs, ours = ([{**row, "height": ""} for row in rows_of(out / name)] for out in (ledgers, tmp_path / "again"))
        assert ours == theirs
    assert [row["loss_wh"] for row in rows_of(tmp_path / "again" / "balance.csv")] == ["40"]


def noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shop: Tariff, *more: Named[Any]
) -> tuple[list[str], set[str]]:
    """What is said of a ledger with another tariff of a shop, and which lines the folder comes to."""
    world = two_tariffs(shop, *more)
    answer = extracted(tmp_path, capsys, world, first_slots(world.sender()))
    return answer["notes"], {row["line_kind"] for row in rows_of(tmp_path / "again" / "statements.csv")}


def test_terms_of_invoices_that_differ_and_a_series_without_a_price_are_said_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    components = [*OFFERED, {**OFFERED[1], "name": "gone", "price_series": "late"}]
    late = Named(PRICE_SERIES, "late", PriceSeries.of(SLOT_S, [1]), START_S)
    notes, kinds = noted(tmp_path, capsys, HOME._replace(components=components, tax_ppm=60_000), late)
    assert any("the tariff component gone is left out: series late says no price in the slot" in note for note in notes)
    assert any("the tariff shop has other terms of invoices (tax_ppm 60000, not 130000)" in note for note in notes)
    assert "gone" not in kinds
    assert "market" in kinds


def test_components_that_no_file_says_are_left_out_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A component of one name goes to two accounts: in a file each kind of line has one."""
    other = [{**OFFERED[0], "account": "funds"}, *OFFERED[1:]]
    notes, kinds = noted(tmp_path, capsys, HOME._replace(components=other))
    words = "tariff component energy: its entries must have one account, base and tax flag"
    assert f"the components of tariffs are left out, rules.toml cannot say them: {words}" in notes
    assert "energy" not in kinds


def test_components_that_follow_trades_of_a_pool_are_left_out_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing was traded on the ledger, so its documents stand; no folder says such a tariff under this contract."""
    levels = {"levels": [["10kV", 200_000], ["35kV", 170_000]], "user_level": "10kV"}
    following = {"account": "grid", "base": "traded", "covers": "trade", "name": "way", "taxed": True, **levels}
    notes, kinds = noted(tmp_path, capsys, HOME._replace(components=[*OFFERED, following]))
    (note,) = (note for note in notes if note.startswith("the components of tariffs are left out"))
    assert "[[tariff.component]] way: covers, and trades of" in note
    assert "name no sides; give highest_level beside it" in note
    assert "way" not in kinds


def test_a_rate_of_tax_that_one_tariff_alone_changes_is_said_with_its_day(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = Named(TARIFF, "shop", SHOP._replace(tax_ppm=90_000, rounding="half_up_away"), MIDNIGHT_S)
    world = with_days(two_tariffs(SHOP, later))
    answer = extracted(tmp_path, capsys, world, first_slots(world.sender(), SLOTS))
    words = "tax_ppm 130000, 90000 from 2027-01-15 on, not 130000, rounding half_up_away, not half_even"
    line = f"the tariff shop has other terms of invoices ({words}) than [invoice], which is one for all parties"
    assert line in answer["notes"]
    assert f"# {line}\n" in (tmp_path / "folder" / "rules.toml").read_text()


def test_reactive_energy_that_reaches_beyond_the_slots_of_a_span_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(capsys, "files", make_folder(tmp_path / "in", BY_DAY), "--out", tmp_path / "out")
    part = ("--until", "2025-06-15T00:30:00+02:00", "--out", tmp_path / "part")
    answer = answered(capsys, "extract", "--data", tmp_path / "out" / "ledger", *part)
    line = "2 spans of reactive energy (P1 first) reach beyond these slots: factor is not charged in their months"
    assert line in str(answer["notes"])
    again = answered(capsys, "files", tmp_path / "part", "--out", tmp_path / "again")
    assert "factor of M1 is not charged in 2025-06: " in str(again["notes"])


def test_more_spans_of_reactive_energy_than_a_file_takes_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = [
        f"2025-06-14T{hour},P1,1,0\n" for hour in ("23:00:00,2025-06-14T23:30:00", "23:30:00,2025-06-15T00:00:00")
    ]
    files = {**BY_DAY, "reactive.csv": REACTIVE.splitlines(keepends=True)[0] + "".join(halves)}
    answered(capsys, "files", make_folder(tmp_path / "in", files), "--out", tmp_path / "out")
    data = ("extract", "--data", tmp_path / "out" / "ledger", "--out", tmp_path / "folder")
    monkeypatch.setattr(extract_tariffs, "ENTRIES_MAX", 1)
    line = refused(capsys, *data)
    assert "point P1 has 2 spans of reactive energy, reactive.csv takes 1 of a point; name fewer days" in line
    monkeypatch.setattr(extract_tariffs, "ENTRIES_MAX", 2)
    assert answered(capsys, *data)["points"] == 2
