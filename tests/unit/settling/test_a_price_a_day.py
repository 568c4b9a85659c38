"""A utility that registers the prices of each next day: 64 entries of a series are two months."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

import pytest

from gridcore.codes import Code
from gridcore.master_data import Named
from gridcore.registry.party import PARTY, Party
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries
from gridcore.registry.row import Row
from gridcore.registry.tariff import TARIFF
from gridledger.cli import main
from gridledger.settling.area_month import AreaDocuments
from gridledger.settling.chain.tariffs import series_of_component
from ledger.registry import entries
from ledger.registry.entries import ENTITY_FAMILIES, ENTRIES_MAX
from ledger.store.errors import PrunedError
from ledger.store.ledger import Ledger
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from tests.unit.settling.test_month_documents import make, rows
from tests.unit.settling.test_registered_tariffs import DAYS as DAYS_OF_FILES
from tests.unit.settling.test_tariffs_by_series import NIGHT, PRICES, SPOT, charged, folder
from tests.worlds.consortium import DAY_S, DAYS, FIRST_S, START_S, UTILITY, Consortium, household
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.tariffed import HOME, MONTH
from tests.worlds.transactions import Sender

FIRST_OF_FILES_S: Final = 1_751_068_800
"""Where DAYS_OF_FILES begin."""
DAYS_OF_MONTH, DAYS_BROUGHT, SLOT_S = 20, 110, 3_600
MARKET: Final = {"account": "grid", "base": "import", "name": "market", "price_series": "spot", "taxed": True}
WORLD: Final = Consortium(
    slot_s=SLOT_S,
    meters=[household(1, "p-1", trades=False)],
    roles={"admin": ["administrator"]},
    more=[
        Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [1])),  # of 1970
        Named(TARIFF, "dynamic", HOME._replace(components=[MARKET])),
        Named(PARTY, "p-1", Party("a-1", UTILITY, trades=False, tariff="dynamic"), START_S),
    ],
)
"""No slot of its zone is ever final."""


def prices_of(day: int) -> list[Row]:
    """Of a day, the first one that of the first slot."""
    values = [1_000 * day + place for place in range(DAY_S // SLOT_S)]
    return [*Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, values), DAYS[1] + day * DAY_S).rows()]


def brought(ledger: Ledger, sender: Sender, days: range) -> list[int]:
    """The codes of the blocks that bring the prices of each day and go on by a day."""
    return [
        code
        for day in days
        for wire in (sender.register(prices_of(day)), sender.clock(sender.now_s + DAY_S))
        for code in decide(ledger, [wire])
    ]


def test_a_price_a_day_of_a_series_that_tariffs_alone_name_goes_on_and_the_first_month_s_documents_stay_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sender, data = WORLD.sender(), tmp_path / "ledger"
    ledger = open_ledger(data, WORLD)
    codes = decide(ledger, [sender.register(prices_of(0))]) + decide(ledger, [sender.clock(FIRST_S)])
    for slots in range(6):
        codes += decide(ledger, [sender.batch("gw-1", FIRST_S + slots * SLOT_S, [(1, 500 * slots, 0)])])
        codes += decide(ledger, [sender.clock(FIRST_S + (slots + 1) * SLOT_S)])
    codes += brought(ledger, sender, range(1, DAYS_OF_MONTH))
    ledger.close()
    assert make(data, tmp_path / "before") == 0
    (line,) = [row for row in rows(tmp_path / "before", "invoice_lines.csv") if row["line_kind"] == "market"]
    assert int(line["amount_nano"]) > 500 * sum(range(8, 8 + 5)), "what is metered, and estimates"
    ledger = open_ledger(data, WORLD)
    codes += brought(ledger, sender, range(DAYS_OF_MONTH, DAYS_BROUGHT))
    assert codes == [0] * len(codes)
    leaf = ENTITY_FAMILIES["price_series"].must(ledger, "spot")
    assert (len(leaf.entries), leaf.folded_to_s) == (ENTRIES_MAX, DAYS[1] + (DAYS_BROUGHT - ENTRIES_MAX - 1) * DAY_S)
    assert decide(ledger, [sender.register(prices_of(0))]) == [Code.REGISTRY_NOT_AHEAD]
    ledger.close()
    assert make(data, tmp_path / "after") == 0
    for name in ("statements.csv", "invoices.csv", "invoice_lines.csv"):
        assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "before" / name).read_bytes()
    explain = ["settle", "explain", "--data", str(data), "--line", f"p-1/{MONTH}/market", "--documents"]
    for made in ("before", "after"):
        assert main(["settle", "replay", "--data", str(data), "--documents", str(tmp_path / made)]) == 0
        assert main([*explain, str(tmp_path / made)]) == 0
    assert "price_series/spot (8–" in capsys.readouterr().out
    with sqlite3.connect(data / "state.db") as database:
        assert database.execute("DELETE FROM folded_entries WHERE from_s = ?", (DAYS[1],)).rowcount == 1
    assert make(data, tmp_path / "never") != 0
    (told,) = capsys.readouterr().err.splitlines()
    assert "price_series/spot: what it said up to" in told
    with reading(data, CONTRACTS) as reader, pytest.raises(PrunedError, match="which did not apply all blocks"):
        AreaDocuments()(reader, "a-1", MONTH, party="p-1", start=0)


def test_newer_files_go_on_with_a_price_of_which_the_ledger_has_folded_the_first_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "ENTRIES_MAX", 2)
    out, day_prices = (
        tmp_path / "out",
        {day: f"{day}T00:00:00Z,spot,{7 + at}\n" for at, day in enumerate(DAYS_OF_FILES)},
    )
    for day in DAYS_OF_FILES:
        action = "--out" if day == DAYS_OF_FILES[0] else "--onto"
        source = folder(tmp_path / day, SPOT, PRICES + day_prices[day], (day,))
        assert main(["settle", "files", str(source), action, str(out)]) == 0
    with reading(out / "ledger", CONTRACTS) as reader:
        assert ENTITY_FAMILIES["price_series"].must(reader, series_of_component("spot")).folded_to_s == FIRST_OF_FILES_S
        height = reader.height
    assert charged(out, "market") == dict.fromkeys(("M1", "M2"), 96_000 * (7 + 8 + 9))
    again = folder(tmp_path / "again", SPOT, PRICES + "".join(day_prices.values()), DAYS_OF_FILES)
    assert main(["settle", "files", str(again), "--onto", str(out)]) == 0
    with reading(out / "ledger", CONTRACTS) as reader:
        assert reader.height == height, "no price is another one"
    night = NIGHT + 'parties = ["M1"]\n'
    other = folder(tmp_path / "other", SPOT + night, PRICES + day_prices[DAYS_OF_FILES[2]], DAYS_OF_FILES[2:])
    assert main(["settle", "files", str(other), "--onto", str(out)]) == 0
    # the tariff that M2 has now is a new one, from the beginning on; the next local day begins at 22:00 UTC
    assert charged(out, "night") == {"M1": 8 * 9_000}
