"""Components of a tariff whose price a series says slot by slot: of folders and of ledgers, and what is not said."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import pytest

from gridcore.errors import UsageError
from gridcore.master_data import Named
from gridcore.registry.party import PARTY, Party
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries
from gridcore.registry.tariff import TARIFF
from gridledger.cli import main
from gridledger.settling.area_month import AreaDocuments
from gridledger.settling.chain import files_scope, settled_slots
from gridledger.settling.documents import DocumentFolder
from gridledger.settling.files.folder import read_folder
from gridledger.settling.month_derivation import DocumentName, derive_document
from ledger.registry.entries import ENTITY_FAMILIES
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_month_documents import make, rows
from tests.unit.settling.test_registered_tariffs import DAYS, POINTS, readings
from tests.worlds.consortium import FIRST_S, SLOT_S, START_S, UTILITY, Consortium, household, rules, zone
from tests.worlds.ledgers import decide, ledger_with, open_ledger
from tests.worlds.tariffed import COMPONENTS, HOME, MONTH, first_slots, late_reading, with_more

SPOT: Final = '[[tariff.component]]\nname = "market"\naccount = "grid"\nbase = "import"\nprice_series = "spot"\n'
NIGHT: Final = SPOT.replace("market", "night").replace('"import"', '"residual"') + 'windows = [["00:00", "06:00"]]\n'
PRICES: Final = "start,key,price_micro_per_kwh\n"
DAY_PRICES: Final = (
    PRICES + f"{DAYS[0]}T00:00:00Z,spot,100000\n{DAYS[1]}T10:15:00Z,spot,-20000\n{DAYS[1]}T11:00:00Z,spot,300001\n"
)


def folder(path: Path, tariff: str, prices: str | None, days: tuple[str, ...] = DAYS[:2]) -> Path:
    files = {"points.csv": POINTS, "readings.csv": readings(days), "rules.toml": RULES + tariff, "prices.csv": prices}
    return make_folder(path, files)


def charged(out: Path, kind: str) -> dict[str, int]:
    """Nano of each party's lines of a kind, of all months and runs."""
    found: dict[str, int] = defaultdict(int)
    for row in rows(out, "statements.csv"):
        if row["line_kind"] == kind:
            assert row["price_micro_per_kwh"] == ""
            found[row["party"]] += int(row["amount_nano"])
    return found


def test_a_folder_is_charged_each_slot_s_energy_at_the_price_of_that_slot(tmp_path: Path) -> None:
    source, out = folder(tmp_path / "in", SPOT + NIGHT, DAY_PRICES), tmp_path / "out"
    assert main(["settle", "files", str(source), "--out", str(out)]) == 0
    slots = {100_000: 96 + 41, -20_000: 3, 300_001: 52}  # 1 kWh each
    assert charged(out, "market") == dict.fromkeys(("M1", "M2"), sum(price * n for price, n in slots.items()) * 1_000)
    # 00:00 to 06:00 in Berlin is 22:00 to 04:00 UTC
    nights = 100_000 * (16 + 24) + 300_001 * 8
    assert charged(out, "night") == dict.fromkeys(("M1", "M2"), nights * 1_000)
    whole = DocumentFolder(out)
    for row in rows(out, "invoice_lines.csv"):
        assert derive_document(whole, DocumentName(row["party"], row["month"], row["line_kind"], row["run"])).holds
    assert main(["settle", "replay", "--settled", str(out)]) == 0
    assert main(["settle", "extract", "--data", str(out / "ledger"), "--out", str(tmp_path / "extracted")]) == 0
    assert 'price_series = ["spot"]' in (tmp_path / "extracted" / "rules.toml").read_text()
    report = (out / "report.html").read_text()
    assert "by slot: series tariff-spot-" in report
    assert "按时段：价格序列 tariff-spot-" in report


def test_the_series_of_a_ledgers_tariffs_come_along_for_other_rules(tmp_path: Path) -> None:
    source, out = folder(tmp_path / "in", SPOT, DAY_PRICES), tmp_path / "out"
    assert main(["settle", "files", str(source), "--out", str(out)]) == 0
    rules, plain = tmp_path / "dearer.toml", tmp_path / "plain.toml"
    rules.write_text(RULES + SPOT.replace("market", "spot-price") + SPOT.replace("market", "again"), "utf-8")
    plain.write_text(RULES, "utf-8")
    tried = tmp_path / "tried"
    asked = ["settle", "what-if", "--from", str(out), "--rules", str(rules), "--rules", str(plain), "--out", str(tried)]
    assert main(asked) == 0
    once = charged(out, "market")
    assert set(once) == {"M1", "M2"}
    assert (
        charged(tried / "variants" / "dearer", "again") == charged(tried / "variants" / "dearer", "spot-price") == once
    )
    assert charged(tried / "variants" / "plain", "market") == {}


def test_a_key_that_only_other_rules_name_is_one_and_is_not_charged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = folder(tmp_path / "in", '[tariff]\nprice_series = ["spot"]\n', DAY_PRICES), tmp_path / "out"
    assert main(["settle", "files", str(source), "--out", str(out)]) == 0
    assert main(["settle", "files", str(folder(tmp_path / "none", "", DAY_PRICES)), "--out", str(tmp_path / "no")]) == 2
    for number, written in enumerate(('"spot"', '["sp ot"]', str([f"s{at}" for at in range(65)]))):
        path = folder(tmp_path / str(number), f"[tariff]\nprice_series = {written}\n", DAY_PRICES)
        capsys.readouterr()
        assert main(["settle", "files", str(path), "--out", str(tmp_path / "no")]) == 2
        assert "[tariff] price_series is no list of keys; give at most 64 keys of prices.csv" in capsys.readouterr().err


def test_newer_prices_of_a_series_change_the_charges_from_their_first_slot_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["settle", "files", str(folder(tmp_path / "first", SPOT, DAY_PRICES)), "--out", str(out)]) == 0
    before = charged(out, "market")
    newer = folder(tmp_path / "newer", SPOT, PRICES + f"{DAYS[2]}T00:00:00Z,spot,7\n", DAYS[2:])
    assert main(["settle", "files", str(newer), "--onto", str(out)]) == 0
    assert charged(out, "market") == {party: nano + 96 * 7_000 for party, nano in before.items()}
    assert {row["run"] for row in rows(out, "statements.csv")} == {"initial"}
    corrected = folder(tmp_path / "corrected", SPOT, PRICES + f"{DAYS[2]}T00:00:00Z,spot,9\n", DAYS[2:])
    assert main(["settle", "files", str(corrected), "--onto", str(out)]) == 0
    assert charged(out, "market") == {party: nano + 96 * 9_000 for party, nano in before.items()}
    fixed = SPOT.replace('price_series = "spot"', "price_micro_per_kwh = 1")
    assert main(["settle", "files", str(folder(tmp_path / "fixed", fixed, None, DAYS[2:])), "--onto", str(out)]) == 0
    # the local day of 30 June has begun at 22:00 UTC of the day before: the fixed price begins with the next one
    kinds = [row for row in rows(out, "statements.csv") if row["line_kind"] == "market" and row["party"] == "M1"]
    assert [int(row["amount_nano"]) for row in kinds] == [before["M1"] + 88 * 9_000, 8_000]


NO_PRICE: Final = (
    "names the series spot, which has no price from the first slot on; give prices.csv rows with the key spot"
)


@pytest.mark.parametrize(
    ("tariff", "prices", "words"),
    [
        (SPOT, None, f"rules.toml: the tariff component market {NO_PRICE}"),
        (SPOT, PRICES + f"{DAYS[0]}T00:15:00Z,spot,1\n", f"rules.toml: the tariff component market {NO_PRICE}"),
        (
            SPOT,
            f"start,key,area,price_micro_per_kwh\n{DAYS[0]}T00:00:00Z,spot,A1,1\n",
            "prices.csv: spot, which the tariff component market names, has no price for all; give it with area and point empty",
        ),
        (SPOT.replace('"spot"', '"sp ot"'), None, "[[tariff.component]] 1, price_series: 1 to 64 of A-Z"),
        (SPOT + "price_micro_per_kwh = 1\n", None, "1, price_series: it says the price alone, of a component per kWh"),
        (SPOT + "steps = [{price_micro_per_kwh = 1}]\n", None, "1, price_series: it says the price alone"),
        (SPOT.replace('"import"', '"day"'), None, "1, price_series: it says the price alone, of a component per kWh"),
    ],
)
def test_what_is_wrong_with_a_series_is_one_line(tmp_path: Path, tariff: str, prices: str | None, words: str) -> None:
    with pytest.raises(UsageError) as error:
        read_folder(folder(tmp_path, tariff, prices))
    assert words in str(error.value).replace("'", "")
    assert "\n" not in str(error.value)


# -------------------------------------------------------------------------------------------------- a metered ledger


def dynamic(slots: int) -> Consortium:
    """The charged world, its energy at a market's price, of which so many slots are said: 0, -1,000, -2,000 and so on micro per kWh."""
    by_series: list[dict[str, Any]] = [dict(one) for one in COMPONENTS]
    del by_series[0]["price"]
    by_series[0]["price_series"] = "spot"
    values = [-1_000 * place for place in range(slots)]
    return with_more(
        Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [1])),  # of 1970
        Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, values), FIRST_S),
        Named(TARIFF, "dynamic", HOME._replace(components=by_series)),
        Named(
            PARTY, "p-1", Party("a-1", UTILITY, trades=True, contracted_w={"demand": 1}, tariff="dynamic"), START_S + 1
        ),
    )


def test_a_price_that_is_not_said_yet_keeps_the_month_s_documents_back_and_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, data, out = dynamic(3), tmp_path / "ledger", tmp_path / "out"
    sender = world.sender()
    with ledger_with(data, world, [*first_slots(sender), *late_reading(sender, 700)]):
        pass
    said = (
        "price series spot says no price of the slot that starts at 2027-01-15T08:45+00:00, by which component energy of p-1 is charged; "
        "register it"
    )
    assert make(data, out) == 1
    assert capsys.readouterr().err.strip() == said
    assert not out.exists()
    with (
        reading(data, CONTRACTS) as reader,
        pytest.raises(UsageError, match=f"^month {MONTH}: price series spot says no price"),
    ):
        AreaDocuments()(reader, "a-1", MONTH, party="p-1", start=0)
    (more,) = Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [9] * 13), FIRST_S + 3 * SLOT_S).rows()
    ledger = open_ledger(data, world)
    assert decide(ledger, [sender.register([more])]) == [0]
    ledger.close()
    assert make(data, out) == 0
    (energy,) = [row for row in rows(out, "statements.csv") if (row["party"], row["line_kind"]) == ("p-1", "energy")]
    assert int(energy["amount_nano"]) == 1_000 * (0 - 1_000 - 2_000 + 9)
    capsys.readouterr()
    explain = ["settle", "explain", "--data", str(data), "--documents", str(out), "--line", f"p-1/{MONTH}/energy"]
    assert main([*explain, "--language", "zh_CN"]) == 0
    assert "各时段电量 × price_series/spot 在该时段的价格" in capsys.readouterr().out
    assert main([*explain, "--language", "en"]) == 0
    told = capsys.readouterr().out
    assert "the energy of each slot × its price by price_series/spot (-2000–9 × 1e-6 CNY/kWh)" in told
    assert main(["settle", "replay", "--data", str(data), "--documents", str(out)]) == 0


def test_prices_that_the_state_has_folded_away_are_charged_as_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = [FIRST_S + slots * SLOT_S for slots in range(66)]
    said = [Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [45_000]), from_s) for from_s in (0, *starts)]
    component = {"account": "grid", "base": "import", "name": "market", "price_series": "spot", "taxed": True}
    world = Consortium(
        zones=[zone("z-1", final_after_s=4 * SLOT_S)],
        rules=[rules()._replace(record=rules().record._replace(series={"levy_micro_per_kwh": "spot"}))],
        meters=[household(1, "p-1", trades=False)],
        roles={"admin": ["administrator"]},
        more=[
            *said[:64],
            Named(TARIFF, "dynamic", HOME._replace(components=[component])),
            Named(PARTY, "p-1", Party("a-1", UTILITY, trades=False, tariff="dynamic"), START_S),
        ],
    )
    sender, data = world.sender(), tmp_path / "ledger"
    blocks = [[sender.clock(starts[0])], [sender.batch("gw-1", starts[0], [(1, 0, 0)])]]
    for slots, start_s in enumerate(starts[1:9], 1):
        blocks += [[sender.clock(start_s)], [sender.batch("gw-1", start_s, [(1, 500 * slots, 0)])]]
    with ledger_with(data, world, blocks):
        pass
    assert make(data, tmp_path / "before") == 0
    assert charged(tmp_path / "before", "market") == {"p-1": 7 * 500 * 45_000}
    ledger = open_ledger(data, world)
    assert decide(ledger, [sender.register([row for one in said[64:] for row in one.rows()])]) == [0]
    assert ENTITY_FAMILIES["price_series"].must(ledger, "spot").folded_to_s > FIRST_S
    ledger.close()
    assert make(data, tmp_path / "after") == 0
    assert rows(tmp_path / "after", "invoice_lines.csv") == rows(tmp_path / "before", "invoice_lines.csv")
    assert main(["settle", "replay", "--data", str(data), "--documents", str(tmp_path / "before")]) == 0
    with sqlite3.connect(data / "state.db") as database:
        assert database.execute("DELETE FROM folded_entries WHERE from_s = ?", (FIRST_S,)).rowcount == 1
    capsys.readouterr()
    assert make(data, tmp_path / "never") != 0
    told = capsys.readouterr().err
    assert "price_series/spot: what it said up to" in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "never").exists()


DATED: Final = """\
final_after_s = 5184000
[runs]
as_of = 2025-07-12
initial_measured_ppm = 0
initial_last_after_s = 172800
final_run_after_s = 2592000
dispute_material_nano = 1000000
[[runs.corrections]]
due_after_s = 604800
"""
DAILY: Final = '[[tariff.component]]\nname = "daily"\naccount = "grid"\nbase = "day"\nprice_micro_per_day = 100000\n'


def test_behind_the_last_reading_nothing_is_charged_where_ledger_time_goes_on_to_dates_of_runs(tmp_path: Path) -> None:
    tariff, out = DATED + SPOT + DAILY, tmp_path / "out"
    plain = ["settle", "files", str(folder(tmp_path / "plain", SPOT + DAILY, DAY_PRICES)), "--out", str(tmp_path / "p")]
    assert main(["settle", "files", str(folder(tmp_path / "in", tariff, DAY_PRICES)), "--out", str(out)]) == 0
    assert main(plain) == 0
    for name in ("statements.csv", "invoices.csv", "invoice_lines.csv"):
        assert rows(out, name) == rows(tmp_path / "p", name), name
    row = rows(out, "invoice_lines.csv")[-1]
    document = DocumentName(row["party"], row["month"], row["line_kind"], row["run"])
    assert derive_document(DocumentFolder(out), document).holds
    before = charged(out, "market")
    with reading(out / "ledger", CONTRACTS) as reader:
        then = files_scope(reader)
    newer = folder(tmp_path / "newer", tariff, PRICES + f"{DAYS[2]}T00:00:00Z,spot,7\n", DAYS[2:])
    assert main(["settle", "files", str(newer), "--onto", str(out)]) == 0
    assert charged(out, "market") == {party: nano + 96 * 7_000 for party, nano in before.items()}
    with reading(out / "ledger", CONTRACTS) as reader:
        settled = [len(settled_slots(reader, scope)) for scope in (then, files_scope(reader))]
    assert settled == [2 * 96, 3 * 96], "as of a block, what had come by then"
