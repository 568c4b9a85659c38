"""Whatever is wrong with a folder is one line: file, row, column, what is wrong, what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.settling.files.folder import read_folder
from tests.unit.settling.folders import AUCTION, POINTS, READINGS, RULES, make_folder

HEADER = "start,point,import_kwh,export_kwh\n"
ROW = "2025-06-01T00:00:00Z,P1,1,0\n"
ORDERS = "slot_start_s,order,party,side,quantity_wh,price_micro_per_kwh\n"
PRICES = "start,key,price_micro_per_kwh,area,point\n"
LEVY = "levy_micro_per_kwh"


def with_rows(*rows: str) -> dict[str, str | bytes | None]:
    return {"readings.csv": HEADER + "".join(f"{row}\n" for row in rows)}


FAULTS: dict[str, tuple[dict[str, str | bytes | None], str]] = {
    # readings
    "a slot twice": (
        with_rows("2025-06-01T00:00:00Z,P1,1,0", "2025-06-01T00:00:00Z,P2,1,0", "2025-06-01T02:00:00+02:00,P1,1,0"),
        "readings.csv, row 4, start: the slot 2025-06-01T00:00:00Z of P1 stands in row 2 already; give each slot of a point once",
    ),
    "a negative energy": (
        with_rows("2025-06-01T00:00:00Z,P1,-1.5,0"),
        (
            "readings.csv, row 2, import_kwh: '-1.5' is negative; energies and limits are at least 0; what flows the other way has "
            "its own column"
        ),
    ),
    "more than 3 decimal places": (
        with_rows("2025-06-01T00:00:00Z,P1,0.1234,0"),
        (
            "readings.csv, row 2, import_kwh: '0.1234' has 4 decimal places; give at most 3, or set [timeline] sub_wh = 'carry' in "
            "rules.toml"
        ),
    ),
    "a decimal comma in quotes": (
        with_rows('2025-06-01T00:00:00Z,P1,"1,5",0'),
        "readings.csv, row 2, import_kwh: '1,5' has a decimal comma; write '1.5'",
    ),
    "a decimal comma": (
        with_rows("2025-06-01T00:00:00Z,P1,1,5,0"),
        "readings.csv, row 2: has 5 fields, the header 4; write decimals with a point and no thousands separators",
    ),
    "no number": (
        with_rows("2025-06-01T00:00:00Z,P1,1e3,0"),
        "readings.csv, row 2, import_kwh: '1e3' is not a number; write digits and a decimal point, such as 1.25",
    ),
    "too many digits": (
        with_rows("2025-06-01T00:00:00Z,P1,1234567890123456,0"),
        "readings.csv, row 2, import_kwh: '1234567890123456' is too large; give at most 15 digits before the decimal point",
    ),
    "another unit": (
        with_rows("2025-06-01T00:00:00Z,P1,1000000.001,0"),
        "readings.csv, row 2, import_kwh: 1000000.001 is too large; a slot holds at most 1000000 kWh; check the unit, kWh",
    ),
    "above the limit of its point": (
        {**with_rows("2025-06-01T00:00:00Z,P1,1.001,0"), "points.csv": "point,party,area,limit_kw\nP1,M1,A1,4\n"},
        (
            "readings.csv, row 2, start: import of P1 is 1001 Wh; its limit is 1000 Wh a slot; mark the row suspect, or raise "
            "limit_kw in points.csv"
        ),
    ),
    "an unknown point": (
        with_rows("2025-06-01T00:00:00Z,P01,1,0"),
        "readings.csv, row 2, point: 'P01' is no known point of points.csv; did you mean 'P1'?",
    ),
    "an unknown quality": (
        {"readings.csv": READINGS.replace("measured", "mesured")},
        "readings.csv, row 3, quality: 'mesured' is no known quality; did you mean 'measured'?",
    ),
    "a time that the clock shows twice": (
        with_rows("2025-10-26T02:30:00,P1,1,0"),
        (
            "readings.csv, row 2, start: '2025-10-26T02:30:00' is shown twice by the clock in Europe/Berlin; write it with its "
            "offset, such as +01:00, or as UTC with Z"
        ),
    ),
    "a time that the clock skips": (
        with_rows("2025-03-30 02:30,P1,1,0"),
        (
            "readings.csv, row 2, start: '2025-03-30 02:30' is skipped by the clock in Europe/Berlin; write it with its offset, "
            "such as +01:00, or as UTC with Z"
        ),
    ),
    "a repeated hour whose other half is not there": (
        {**with_rows("2025-10-26T02:30:00,P1,1,0"), "rules.toml": RULES + 'repeated_hour = "in_order"\n'},
        (
            "readings.csv, row 2, start: '2025-10-26T02:30:00' is shown twice by the clock in Europe/Berlin; write it with its "
            "offset, such as +01:00, or as UTC with Z"
        ),
    ),
    "a local time without a time zone": (
        {**with_rows("2025-06-01T00:00:00,P1,1,0"), "rules.toml": RULES.replace('timezone = "Europe/Berlin"\n', "")},
        (
            "readings.csv, row 2, start: '2025-06-01T00:00:00' is a local time; write it with its offset or Z, or set [timeline] "
            "timezone in rules.toml"
        ),
    ),
    "no time": (
        with_rows("2025-02-29T00:00:00Z,P1,1,0"),
        (
            "readings.csv, row 2, start: '2025-02-29T00:00:00Z' is no time; write YYYY-MM-DDThh:mm:ss, then Z, an offset such as "
            "+08:00, or nothing for local time"
        ),
    ),
    "a start inside a slot": (
        with_rows("2025-06-01T00:07:00Z,P1,1,0"),
        (
            "readings.csv, row 2, start: a slot starts at 2025-06-01T00:07:00Z; slots of 900 s start at whole multiples of it; "
            "check [timeline] slot_s in rules.toml"
        ),
    ),
    "hourly rows in quarter hours": (
        with_rows("2025-06-01T00:00:00Z,P1,1,0", "2025-06-01T01:00:00Z,P1,1,0", "2025-06-01T03:00:00Z,P1,1,0"),
        "readings.csv: its rows are 3600 s apart, [timeline] slot_s is 900; set slot_s = 3600 in rules.toml",
    ),
    "a mistyped year": (
        with_rows("1985-06-01T00:00:00Z,P1,1,0", "2199-06-01T00:15:00Z,P1,1,0"),
        (
            "readings.csv: it reaches from 1985-06-01T00:00:00Z to 2199-06-01T00:15:00Z: 7503554 slots of 20 points; settle at most "
            "33554432 energies at once; check the first and the last time"
        ),
    ),
    "an empty row between others": (
        {"readings.csv": HEADER + ROW + "\n" + ROW},
        "readings.csv, row 3: is empty; take the row out",
    ),
    "a field too few": (
        with_rows("2025-06-01T00:00:00Z,P1,1"),
        "readings.csv, row 2: has 3 fields, the header 4; give each column its field, an empty one where nothing is known",
    ),
    "semicolons": (
        {"readings.csv": READINGS.replace(",", ";")},
        "readings.csv, row 1: its columns are separated by semicolons; use commas, or name its layout with --preset",
    ),
    "tabs": (
        {"readings.csv": READINGS.replace(",", "\t")},
        "readings.csv, row 1: its columns are separated by tabs; use commas, or name its layout with --preset",
    ),
    "UTF-16": (
        {"readings.csv": READINGS.encode("utf-16")},
        "readings.csv: is UTF-16, or no text; save it as CSV in UTF-8",
    ),
    "GBK": (
        {"points.csv": "point,party,area\nP1,王先生,A1\n".encode("gbk")},
        "points.csv, row 2: is not UTF-8 (it reads as GBK); save it as CSV in UTF-8",
    ),
    "a workbook": (
        {"readings.csv": b"PK\x03\x04rest"},
        "readings.csv: is a workbook or an archive; save the sheet as CSV in UTF-8",
    ),
    "another column": (
        {"readings.csv": READINGS.replace("quality", "qualty")},
        "readings.csv, row 1: has an unknown column 'qualty'; did you mean 'quality'?",
    ),
    "a column twice": (
        {"readings.csv": READINGS.replace("quality", "point")},
        "readings.csv, row 1: has the column 'point' twice; leave one of them",
    ),
    "a column too few": (
        {"readings.csv": "start,point,import_kwh\n"},
        "readings.csv, row 1: has no column 'export_kwh'; its header is start,point,import_kwh,export_kwh (and may have quality)",
    ),
    "no header": (
        {"readings.csv": ""},
        "readings.csv: is empty; its header is start,point,import_kwh,export_kwh (and may have quality)",
    ),
    "no rows": ({"readings.csv": HEADER}, "readings.csv: holds no rows; give the readings of at least one slot"),
    # points
    "a point in two areas": (
        {"points.csv": "point,party,area\nP1,M1,A1\nP1,M1,A2\n"},
        (
            "points.csv, row 3, point: the point P1 stands in row 2 already, in the area A1; give each point once, in one area; a row "
            "of somebody else from a time on has a valid_from"
        ),
    ),
    "a party in two areas": (
        {"points.csv": "point,party,area\nP1,M1,A1\nP2,M1,A2\n"},
        "points.csv, row 3, party: the party M1 has points of the area A1 already; give it one name for each area",
    ),
    "a person's name": (
        {"points.csv": "point,party,area\nP1,Jane Doe,A1\n"},
        (
            "points.csv, row 2, party: 'Jane Doe' is no name; a name has 1 to 64 of A-Z a-z 0-9 . _ -; use a code, never a person's "
            "name"
        ),
    ),
    "a party that is an account": (
        {"points.csv": "point,party,area\nP1,network,A1\n"},
        "points.csv, row 2, party: 'network' is an account of mid_market_rate/1; give the party another name",
    ),
    "a limit of nothing": (
        {"points.csv": "point,party,area,limit_kw\nP1,M1,A1,0\n"},
        "points.csv, row 2, limit_kw: 0 kW over 900 s is out of range; give a limit of 1 Wh to 1000 MWh a slot, or leave it empty",
    ),
    # rules
    "an unknown key": (
        {"rules.toml": RULES.replace("slot_s", "slots_s")},
        "rules.toml: timeline.slots_s is an unknown key; did you mean 'slot_s'?; see docs/settle-files.md",
    ),
    "an unknown price": (
        {"rules.toml": RULES.replace("levy_micro_per_kwh", "levi_micro_per_kwh")},
        "rules.toml: [prices] levi_micro_per_kwh is no price of mid_market_rate/1; did you mean 'levy_micro_per_kwh'?",
    ),
    "an unknown contract": (
        {"rules.toml": RULES.replace("mid_market_rate/1", "mid_market/1")},
        "rules.toml: [market] contract = 'mid_market/1' is no contract; did you mean 'mid_market_rate/1'?",
    ),
    "no currency": (
        {"rules.toml": f'{RULES}[invoice]\ncurrency = "Euro"\n'},
        "rules.toml: [invoice] currency = 'Euro' is no currency; give three capital letters, ISO 4217",
    ),
    "a later rate without a day": (
        {"rules.toml": f"{RULES}[[invoice.later_rates]]\ntax_ppm = 1\n"},
        "rules.toml: [[invoice.later_rates]] 1: valid_from is missing; an entry has valid_from and tax_ppm",
    ),
    "a later rate with an end": (
        {
            "rules.toml": f"{RULES}[[invoice.later_rates]]\n"
            "tax_ppm = 1\nvalid_from = 2025-07-01\nvalid_until = 2025-08-01\n"
        },
        "rules.toml: [[invoice.later_rates]] 1: 'valid_until' is no key; an entry has valid_from and tax_ppm",
    ),
    "a later rate with a day in quotes": (
        {"rules.toml": f'{RULES}[[invoice.later_rates]]\ntax_ppm = 1\nvalid_from = "2025-07-01"\n'},
        (
            "rules.toml: [[invoice.later_rates]] 1, valid_from = '2025-07-01' is no day; give a local day as 2026-07-01, "
            "without quotes and without a time"
        ),
    ),
    "a later rate above the whole": (
        {"rules.toml": f"{RULES}[[invoice.later_rates]]\ntax_ppm = 1000001\nvalid_from = 2025-07-01\n"},
        (
            "rules.toml: [[invoice.later_rates]] 1, tax_ppm = '1000001' is no rate; give a whole number, 0 to 1000000, in "
            "millionths"
        ),
    ),
    "later rates of one day": (
        {"rules.toml": RULES + "[[invoice.later_rates]]\ntax_ppm = 1\nvalid_from = 2025-07-01\n" * 2},
        (
            "rules.toml: [[invoice.later_rates]] 2, valid_from: is not after that of entry 1; give the entries in the order "
            "of their days"
        ),
    ),
    "later rates that are none": (
        {"rules.toml": f"{RULES}[invoice]\nlater_rates = 90000\n"},
        "rules.toml: [invoice] later_rates is no list of tables; give each as a table [[invoice.later_rates]]",
    ),
    "no time zone": (
        {"rules.toml": RULES.replace("Europe/Berlin", "Berlin")},
        "rules.toml: [timeline] timezone = 'Berlin' is no time zone; give a name of the IANA table, such as Asia/Shanghai",
    ),
    # prices
    "a price with a gap before it": (
        {
            "prices.csv": f"{PRICES}2025-06-02,{LEVY},1,,\n",
            "rules.toml": RULES.replace("levy_micro_per_kwh = 40000\n", ""),
        },
        (
            "prices.csv: levy_micro_per_kwh has no price for all from 2025-06-01T00:00:00Z on, the first slot; give one that starts "
            "there or earlier, or [prices] levy_micro_per_kwh in rules.toml"
        ),
    ),
    "prices that overlap": (
        {"prices.csv": f"{PRICES}2025-06-01,{LEVY},1,,\n2025-06-01T00:00,{LEVY},2,,\n"},
        (
            "prices.csv, row 3, start: levy_micro_per_kwh from 2025-05-31T22:00:00Z on stands in row 2 already; give each price one "
            "start"
        ),
    ),
    "a price for an area and a point": (
        {"prices.csv": f"{PRICES}2025-06-01,{LEVY},1,A1,P1\n"},
        "prices.csv, row 2, point: the price is for an area and for a point; leave one of the two empty",
    ),
    "a price that starts inside a slot": (
        {"prices.csv": f"{PRICES}2025-06-01T00:07:30Z,{LEVY},1,,\n"},
        (
            "prices.csv, row 2, start: 2025-06-01T00:07:30Z is inside a slot; a price holds for whole slots of 900 s: give "
            "2025-06-01T00:00:00Z or 2025-06-01T00:15:00Z"
        ),
    ),
    "prices that do not go together": (
        {"prices.csv": f"{PRICES}2025-06-01T00:15:00Z,feed_in_price_micro_per_kwh,500000,,P2\n"},
        (
            "prices.csv: the prices of P2 from 2025-06-01T00:15:00Z on: prices: residual_price_micro_per_kwh >= "
            "feed_in_price_micro_per_kwh >= 0 does not hold; change one of them"
        ),
    ),
    "a price past the width": (
        {"prices.csv": f"{PRICES}2025-06-01,{LEVY},1000000001,,\n"},
        "prices.csv, row 2, price_micro_per_kwh: '1000000001' is none; give a whole number, -1000000000 to 1000000000",
    ),
    # orders
    "an order for a slot that is not there": (
        {
            "rules.toml": AUCTION + 'timezone = "UTC"\n',
            "orders.csv": ORDERS + "1748735100,M1/1748735100/1,M1,buy,1,1\n",
        },
        (
            "orders.csv, row 2, slot_start_s: 1748735100 is the start of no slot of the readings; slots start from 1748736000 "
            "(2025-06-01T00:00:00Z) to 1748744100 (2025-06-01T02:15:00Z)"
        ),
    ),
    "an order twice": (
        {
            "rules.toml": AUCTION + 'timezone = "UTC"\n',
            "orders.csv": ORDERS + "1748736000,M1/1748736000/1,M1,buy,1,1\n" * 2,
        },
        "orders.csv, row 3, order: the order M1/1748736000/1 stands in row 2 already; give each order once",
    ),
    "orders without a gate": (
        {
            "rules.toml": AUCTION.replace("gate_before_start_s = 300\n", "") + 'timezone = "UTC"\n',
            "orders.csv": ORDERS + "1748736000,M1/1748736000/1,M1,buy,1,1\n",
        },
        "rules.toml: [timeline] gate_before_start_s is missing; orders need a gate and a metering deadline, in seconds",
    ),
    # registers
    "a register at its modulus": (
        {
            "readings.csv": None,
            "registers.csv": "time,point,import_kwh,export_kwh\n2025-06-01T00:00:00Z,P1,100,0\n",
            "points.csv": "point,party,area,modulus_kwh\nP1,M1,A1,100\n",
        },
        (
            "registers.csv, row 2, import_kwh: 100 is at or above 100000 Wh; a register starts again from 0 at modulus_kwh of "
            "points.csv"
        ),
    ),
    "registers of one time": (
        {"readings.csv": None, "registers.csv": "time,point,import_kwh,export_kwh\n2025-06-01T00:00:00Z,P1,1,0\n"},
        "registers.csv: holds registers of one time alone, 2025-06-01T00:00:00Z; give registers at two times at least",
    ),
    "missing energy where it shall be refused": (
        {**with_rows("2025-06-01T00:00:00Z,P1,1,0"), "rules.toml": RULES + '[estimate]\nmethod = "refuse"\n'},
        (
            "readings.csv: nothing tells the energy of P2 in the slot 2025-06-01T00:00:00Z; give its reading, or estimate it "
            "([estimate] method is refuse in rules.toml)"
        ),
    ),
}


@pytest.mark.parametrize(("changes", "line"), FAULTS.values(), ids=list(FAULTS))
def test_a_fault_is_one_line_that_names_its_place(
    tmp_path: Path, changes: dict[str, str | bytes | None], line: str
) -> None:
    if "1985-06-01" in str(changes.get("readings.csv")):
        changes = {**changes, "points.csv": POINTS + "".join(f"Q{n},M1,A1\n" for n in range(18))}
    with pytest.raises(UsageError) as raised:
        read_folder(make_folder(tmp_path, changes))
    assert str(raised.value) == line


def test_readings_and_registers_together_are_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, {"registers.csv": "time,point,import_kwh,export_kwh\n"})
    with pytest.raises(UsageError, match=r"holds readings.csv and registers.csv; leave one of them"):
        read_folder(folder)


def test_a_misnamed_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds neither .* \(did you mean 'reading.csv'\?\)"):
        read_folder(make_folder(tmp_path, {"readings.csv": None, "reading.csv": READINGS}))


@pytest.mark.parametrize("name", ["rules.toml", "points.csv"])
def test_a_folder_without_rules_or_points_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}: is not there; a folder holds rules.toml"):
        read_folder(make_folder(tmp_path, {name: None}))


def test_a_limit_of_energies_is_the_last_that_is_taken(tmp_path: Path) -> None:
    dataset = read_folder(make_folder(tmp_path, with_rows("2025-06-01T00:00:00Z,P1,1000000.000,0")))
    assert dataset.import_wh[0, 0] == 10**9
