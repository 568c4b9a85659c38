"""What a folder holds at most: taken at its limit, refused in one line beyond it, and nothing is made (docs/settle-files.md, "Limits")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from gridcore.errors import GridError, UsageError
from gridledger.cli import main
from gridledger.settling.chain import prices, settled_ledger
from gridledger.settling.files import folder, grid, keys, points, reactive
from gridledger.settling.files import prices as prices_file
from gridledger.settling.files.folder import read_folder
from tests.unit.settling.folders import READINGS, RULES, make_folder
from tests.unit.settling.test_chain_prices import LEVY, series
from tests.worlds.datasets import community

HEADER, *ROWS = READINGS.splitlines()
MOVES = "point,party,area,valid_from\nP1,M1,A1,\nP2,M2,A1,\nP1,M3,A1,2025-06-01T00:15:00Z\n"
PRICES = "start,key,price_micro_per_kwh\n" + "".join(
    f"2025-06-01T00:{minute}:00Z,levy_micro_per_kwh,5\n" for minute in ("00", "15")
)
SHARING = {
    "rules.toml": RULES.replace(
        '"mid_market_rate/1"', '"sharing_keys/1"\nmethod = "static"\ntrade_price_micro_per_kwh = 370000'
    )
}
REACTIVE = "point,start,end,reactive_kvarh,returned_kvarh\n" + "".join(
    f"{point},2025-06-01T00:00:00Z,2025-06-01T00:30:00Z,1,0\n" for point in ("P1", "P2")
)
LIMITS: Mapping[str, tuple[ModuleType, str, int, Mapping[str, str | bytes | None], str]] = {
    "points": (points, "POINTS_MAX", 2, {}, "points.csv: holds more than 1 points or moves; settle fewer at once"),
    "moves": (points, "MOVES_MAX", 1, {"points.csv": MOVES}, "points.csv, row 4, point: who is billed for P1 changes more than 0 times"),
    "prices": (prices_file, "PRICES_MAX", 2, {"prices.csv": PRICES}, "prices.csv: holds more than 1 prices; settle fewer points or"),
    "keys": (keys, "KEYS_MAX", 2, {**SHARING, "keys.csv": "point,share_ppm\nP1,1\nP2,2\n"}, "keys.csv: holds more than 1 keys; settle"),
    "reactive energies": (reactive, "SPANS_MAX", 2, {"reactive.csv": REACTIVE}, "reactive.csv: holds more than 1 spans; settle fewer"),
    "energies": (grid, "CELLS_MAX", 4, {}, "2 slots of 2 points; settle at most 3 energies at once; check the first and the last"),
    "files of readings": (
        folder, "INPUT_FILES_MAX", 2,
        {"readings.csv": None, **{f"readings/{at}.csv": "\n".join([HEADER, *ROWS[2 * at : 2 * at + 2], ""]) for at in range(2)}},
        "readings: holds 2 files; give 1 to 1 files of readings",
    ),
}  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS)
def test_a_folder_is_read_at_its_limit_and_refused_beyond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    module, name, most, files, words = LIMITS[limit]
    path = make_folder(tmp_path, files)
    monkeypatch.setattr(module, name, most)
    assert len(read_folder(path).slot_start_s) == 2
    monkeypatch.setattr(module, name, most - 1)
    with pytest.raises(UsageError) as refused:
        read_folder(path)
    assert words in str(refused.value)


def test_a_price_has_as_many_values_as_a_series_of_the_ledger_holds_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = community(8, 2, series=[series(LEVY, {0: 10, 1: 20})])
    monkeypatch.setattr(prices, "SPANS_MAX", 4)
    monkeypatch.setattr(prices, "ENTRIES_MAX", 2)
    at, beyond = tmp_path / "at", tmp_path / "beyond"
    at.mkdir()
    beyond.mkdir()
    with settled_ledger(dataset, at) as ledger:
        assert ledger.height > 0
    longer = community(9, 2, series=dataset.series)
    says = r"prices.csv: a price has 9 values; a ledger takes 8: settle fewer slots"
    with pytest.raises(GridError, match=says), settled_ledger(longer, beyond):
        pass
    assert list(beyond.iterdir()) == []


def contracted(days: int) -> str:
    """A component whose contracted power is another one on each day of so many, 1 kW more each."""
    first = date(2025, 6, 1)
    return "".join(
        '[[tariff.component]]\nname = "capacity"\naccount = "network"\nbase = "kw_contracted"\nprice_micro_per_kw_month = 31000000\n'
        f"valid_from = {first + timedelta(at)}\nvalid_until = {first + timedelta(at + 1)}\n"
        f"[tariff.component.contracted_kw]\nM1 = {at + 1}\n"
        for at in range(days)
    )


def keys_of_p1(times: int) -> str:
    first = datetime(2025, 6, 1, tzinfo=UTC)
    starts = [first + timedelta(minutes=15 * at) for at in range(times)]
    rows = "".join(f"P1,{at + 1},{start:%Y-%m-%dT%H:%M:%SZ}\n" for at, start in enumerate(starts))
    return "point,share_ppm,valid_from\nP2,1,\n" + rows


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            lambda changes: {"rules.toml": RULES + contracted(changes - 1)},  # it ends once more
            "rules.toml: [[tariff.component]]: the tariff or contracted_kw of M1 changes 64 times",
        ),
        (
            lambda changes: {**SHARING, "keys.csv": keys_of_p1(changes)},
            "points.csv, keys.csv: the point P1 changes 64 times",
        ),
    ],
    ids=["contracted power", "keys"],
)
def test_a_party_or_point_that_changes_more_often_than_a_ledger_keeps_is_refused_and_not_billed_without_its_first_days(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: Callable[[int], Mapping[str, str]], words: str
) -> None:
    most, more = (make_folder(tmp_path / str(changes), files(changes)) for changes in (63, 64))
    assert main(["settle", "files", str(most), "--check"]) == 0
    capsys.readouterr()
    assert main(["settle", "files", str(more), "--check"]) == 2
    assert main(["settle", "files", str(more), "--out", str(tmp_path / "out")]) == 2
    assert [line for line in capsys.readouterr().err.splitlines() if words in line] == [
        f"{words}, a ledger takes 63; settle fewer months at once"
    ] * 2
    assert not (tmp_path / "out").exists()
