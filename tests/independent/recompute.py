"""Recompute what a demo decided, from registers.csv, meters.csv, orders.csv and rules.toml alone.

    python3 recompute.py FOLDER

Standard library only, and nothing of GridLedger: the rules are written here a second time, from their text. Recomputed are
the fills of each area's call auction, the energies of the slots, every statement line and the postings, and they are compared
with fills.csv, statements.csv and postings.csv. One line for each difference. Exit 0: the same integers; 1: differences; 2: the
folder cannot be read. All integers: Wh, micro-currency per kWh, nano-currency.
"""

from __future__ import annotations

import csv
import json
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

COLUMNS = {
    "meters.csv": "meter area party role ratio resolution_wh modulus_wh limit_wh start_import_wh start_export_wh",
    "registers.csv": "boundary_s meter import_wh export_wh quality",
    "orders.csv": "slot_start_s order party side quantity_wh price_micro_per_kwh",
    "fills.csv": "slot_start_s order filled_wh price_micro_per_kwh",
    "statements.csv": "run party slot_start_s line_kind energy_wh price_micro_per_kwh amount_nano account",
    "postings.csv": "slot_start_s account debit_nano credit_nano run",
}
TEXT_COLUMNS = {"meter", "area", "party", "role", "quality", "order", "side", "run", "line_kind", "account"}
PRICE_KEYS = {
    "residual_price_micro_per_kwh",
    "feed_in_price_micro_per_kwh",
    "surplus_price_micro_per_kwh",
    "shortfall_price_micro_per_kwh",
    "network_traded_micro_per_kwh",
    "network_residual_micro_per_kwh",
    "levy_micro_per_kwh",
}
RUN = "initial"
SHOWN_MAX = 50

Row = tuple[int | str, ...]


class BadFolderError(Exception):
    """The folder's files are not what their description says; the text is one line."""


class Order(NamedTuple):
    """An order of one slot."""

    slot_start_s: int
    order: str
    party: str
    side: str
    quantity_wh: int
    price_micro_per_kwh: int


class Meter(NamedTuple):
    """What settlement needs to know of a billing meter."""

    area: str
    party: str
    modulus_wh: int
    limit_wh: int


@dataclass(frozen=True)
class Rules:
    """``rules.toml``: the prices by key, and the reference of the auction."""

    prices: Mapping[str, int]
    reference_price_micro_per_kwh: int


# ----------------------------------------------------------------------------------------------------------- reading


def load_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    """Rows of a CSV file by column name; a number column holds an int, or None where the field is empty."""
    columns = COLUMNS[name].split()
    try:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise BadFolderError(f"{folder / name}: {error}") from None
    if not lines or lines[0] != columns:
        raise BadFolderError(f"{name}: columns must be {','.join(columns)}")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(columns):
            raise BadFolderError(f"{name} line {number}: {len(line)} fields, must be {len(columns)}")
        try:
            pairs = zip(columns, line, strict=True)
            rows.append({key: value if key in TEXT_COLUMNS else whole(value) for key, value in pairs})
        except ValueError:
            raise BadFolderError(f"{name} line {number}: a number is not a whole number: {line}") from None
    return rows


def whole(field: str) -> int | None:
    """An integer in its one canonical form, None for an empty field."""
    if field == "":
        return None
    number = int(field)
    if str(number) != field:
        raise ValueError(field)
    return number


def load_rules(folder: Path) -> Rules:
    """The prices and the reference of ``rules.toml``; only pro-rata rationing can be recomputed from orders.csv."""
    try:
        rules = tomllib.loads((folder / "rules.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadFolderError(f"{folder / 'rules.toml'}: {error}") from None
    prices, market = rules.get("prices", {}), rules.get("market", {})
    if set(prices) != PRICE_KEYS or not all(type(price) is int for price in prices.values()):
        raise BadFolderError(
            f"rules.toml: [prices] must hold whole numbers for exactly {', '.join(sorted(PRICE_KEYS))}"
        )
    if market.get("rationing") != "pro_rata" or type(market.get("reference_price_micro_per_kwh")) is not int:
        raise BadFolderError('rules.toml: [market] must hold rationing "pro_rata" and reference_price_micro_per_kwh')
    return Rules(prices, market["reference_price_micro_per_kwh"])


def load_meters(folder: Path) -> dict[str, Meter]:
    """Billing meters by name: feeder meters do not settle. Each has one party, each party one."""
    meters = {}
    parties: set[str] = set()
    for row in load_rows(folder, "meters.csv"):
        if row["meter"] in meters or (row["party"] and row["party"] in parties):
            raise BadFolderError(f"meters.csv: {row['meter']} or its party {row['party']} occurs twice")
        if (row["role"] == "feeder") == bool(row["party"]):
            raise BadFolderError(f"meters.csv: {row['meter']}: a feeder has no party, every other meter has one")
        meters[row["meter"]] = Meter(row["area"], row["party"], row["modulus_wh"], row["limit_wh"])
        parties.add(row["party"])
    return {name: meter for name, meter in meters.items() if meter.party}


# ----------------------------------------------------------------------------------------------------------- auction


def clear(orders: Sequence[Order], reference: int | None) -> tuple[int | None, dict[str, int]]:
    """The price (None when nothing trades) and each order's energy, as the text of the call auction says, literally."""
    buys = [order for order in orders if order.side == "buy"]
    sells = [order for order in orders if order.side == "sell"]
    candidates = []
    for price in sorted({order.price_micro_per_kwh for order in orders}):
        demand = sum(order.quantity_wh for order in buys if order.price_micro_per_kwh >= price)
        supply = sum(order.quantity_wh for order in sells if order.price_micro_per_kwh <= price)
        candidates.append((price, demand, supply))
    volume = max((min(demand, supply) for _, demand, supply in candidates), default=0)
    if volume == 0:
        return None, {}
    candidates = [entry for entry in candidates if min(entry[1], entry[2]) == volume]
    surplus = min(abs(demand - supply) for _, demand, supply in candidates)
    candidates = [entry for entry in candidates if abs(entry[1] - entry[2]) == surplus]
    lowest, highest = candidates[0][0], candidates[-1][0]
    if len(candidates) == 1:
        price = lowest
    elif all(demand > supply for _, demand, supply in candidates):
        price = highest
    elif all(supply > demand for _, demand, supply in candidates):
        price = lowest
    else:
        price = (lowest + highest) // 2 if reference is None else min(max(reference, lowest), highest)
    fills = share_by_level(buys, volume, best_first=-1) | share_by_level(sells, volume, best_first=1)
    return price, fills


def share_by_level(orders: Sequence[Order], volume: int, *, best_first: int) -> dict[str, int]:
    """Whole price levels from the best on while they fit; the level that does not is shared pro rata."""
    levels: dict[int, list[Order]] = defaultdict(list)
    for order in orders:
        levels[order.price_micro_per_kwh].append(order)
    filled: dict[str, int] = {}
    for price in sorted(levels, key=lambda limit: best_first * limit):
        level = levels[price]
        wanted = sum(order.quantity_wh for order in level)
        if wanted <= volume:
            filled |= {order.order: order.quantity_wh for order in level}
            volume -= wanted
        else:
            filled |= largest_remainder(volume, {order.order: order.quantity_wh for order in level})
            break
    return {order: energy for order, energy in filled.items() if energy > 0}


def largest_remainder(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Floors first; the left-over units go one each to the largest remainders, ties by the bytes of the name."""
    whole_weight = sum(weights.values())
    shares = {name: total * weight // whole_weight for name, weight in weights.items()}
    rest = {name: total * weight % whole_weight for name, weight in weights.items()}
    left = total - sum(shares.values())
    for name in sorted(weights, key=lambda name: (-rest[name], name.encode()))[:left]:
        shares[name] += 1
    return shares


# --------------------------------------------------------------------------------------------------------- settlement


def lines_of_party(
    taken: tuple[int, int], traded: tuple[int, int], trade_price: int, prices: Mapping[str, int]
) -> list[tuple[str, int, int, int, str]]:
    """(kind, energy, price, amount, account) of one party and slot. ``taken``: import, export; ``traded``: bought, sold."""
    (imported, exported), (bought, sold) = taken, traded
    own = min(imported, bought)
    table = [
        ("trade_buy", bought, trade_price, 1, "clearing"),
        ("trade_sell", sold, trade_price, -1, "clearing"),
        ("residual_import", imported - bought, prices["residual_price_micro_per_kwh"], 1, "supplier"),
        ("surplus", bought - imported, prices["surplus_price_micro_per_kwh"], -1, "balance"),
        ("residual_export", exported - sold, prices["feed_in_price_micro_per_kwh"], -1, "offtaker"),
        ("shortfall", sold - exported, prices["shortfall_price_micro_per_kwh"], 1, "balance"),
        ("network_traded", own, prices["network_traded_micro_per_kwh"], 1, "network"),
        ("network_residual", imported - own, prices["network_residual_micro_per_kwh"], 1, "network"),
        ("levy", imported, prices["levy_micro_per_kwh"], 1, "levy"),
    ]
    return [(kind, wh, price, sign * wh * price, account) for kind, wh, price, sign, account in table if wh > 0]


def supplier_only(imported: int, exported: int, prices: Mapping[str, int]) -> int:
    """What the supplier alone would have charged for the same metered energy, in nano."""
    per_import = sum(prices[f"{key}_micro_per_kwh"] for key in ("residual_price", "network_residual", "levy"))
    return imported * per_import - exported * prices["feed_in_price_micro_per_kwh"]


def post(lines: Iterable[Row]) -> list[Row]:
    """Double entry over statement lines: sums per slot and account, debits and credits never netted."""
    book: dict[tuple[int | str, int | str, int | str], list[int]] = defaultdict(lambda: [0, 0])
    for run, party, slot_start_s, _, _, _, amount, account in lines:
        debtor, creditor = (party, account) if int(amount) > 0 else (account, party)
        book[slot_start_s, debtor, run][0] += abs(int(amount))
        book[slot_start_s, creditor, run][1] += abs(int(amount))
    return [(slot, account, *sums, run) for (slot, account, run), sums in book.items() if any(sums)]


# ------------------------------------------------------------------------------------------------------- the folder


class Recomputation:
    """Everything again, from a folder's inputs. ``problems``: lines about the inputs themselves."""

    def __init__(self, folder: Path) -> None:
        self.problems: list[str] = []
        self.fills: list[Row] = []
        self.lines: list[Row] = []
        self.waiting: list[tuple[int, str]] = []
        self.supplier_only_nano: dict[str, int] = defaultdict(int)
        self._rules = load_rules(folder)
        self._meters = load_meters(folder)
        self._area_of = {meter.party: meter.area for meter in self._meters.values()}
        self._registers = self._load_registers(folder)
        books = self._load_books(folder)
        boundaries = sorted({boundary for boundary, _ in self._registers})
        if len({end - start for start, end in pairwise(boundaries)}) != 1:
            raise BadFolderError("registers.csv: the boundaries are not equally spaced, or too few")
        for slot_start_s, slot_end_s in pairwise(boundaries):
            for area in sorted({meter.area for meter in self._meters.values()}):
                self._settle(slot_start_s, slot_end_s, area, books.pop((slot_start_s, area), []))
        self.problems += [f"orders.csv: {slot} is no slot of area {area}" for slot, area in books]
        self.postings = post(self.lines)

    def _load_registers(self, folder: Path) -> dict[tuple[int, str], tuple[int, int] | None]:
        registers: dict[tuple[int, str], tuple[int, int] | None] = {}
        for row in load_rows(folder, "registers.csv"):
            key = (row["boundary_s"], row["meter"])
            if key in registers:
                self.problems.append(f"registers.csv: {key} occurs twice")
            values = (row["import_wh"], row["export_wh"])
            registers[key] = None if None in values else values
        return registers

    def _load_books(self, folder: Path) -> dict[tuple[int, str], list[Order]]:
        books: dict[tuple[int, str], list[Order]] = defaultdict(list)
        seen: set[str] = set()
        for row in load_rows(folder, "orders.csv"):
            order = Order(**row)
            name, _, counter = order.order.rpartition("/")
            if order.order in seen or name != f"{order.party}/{order.slot_start_s}" or not counter.isdecimal():
                self.problems.append(f"orders.csv: {order.order}: occurs twice, or is not <party>/<slot>/<counter>")
            if order.party not in self._area_of or order.side not in ("buy", "sell") or order.quantity_wh <= 0:
                self.problems.append(f"orders.csv: {order.order}: unknown party or side, or no quantity")
                continue
            seen.add(order.order)
            books[order.slot_start_s, self._area_of[order.party]].append(order)
        return books

    def _settle(self, slot_start_s: int, slot_end_s: int, area: str, orders: Sequence[Order]) -> None:
        price, filled = clear(orders, self._rules.reference_price_micro_per_kwh)
        traded: dict[str, dict[str, int]] = {"buy": defaultdict(int), "sell": defaultdict(int)}
        for order in orders:
            if order.order in filled:
                self.fills.append((slot_start_s, order.order, filled[order.order], price or 0))
                traded[order.side][order.party] += filled[order.order]
        energies: dict[str, tuple[int, int]] = {}
        for name, meter in self._meters.items():
            if meter.area == area:
                start, end = (self._registers.get((at, name)) for at in (slot_start_s, slot_end_s))
                if start is None or end is None:
                    self.waiting.append((slot_start_s, area))  # without all its registers a slot is not settled
                    return
                energies[meter.party] = self._energy(f"{name} at {slot_end_s}", meter, start, end)
        for party, taken in energies.items():
            both = (traded["buy"][party], traded["sell"][party])
            for kind, wh, paid, amount, account in lines_of_party(taken, both, price or 0, self._rules.prices):
                self.lines.append((RUN, party, slot_start_s, kind, wh, paid, amount, account))
            self.supplier_only_nano[party] += supplier_only(*taken, self._rules.prices)

    def _energy(self, what: str, meter: Meter, start: tuple[int, int], end: tuple[int, int]) -> tuple[int, int]:
        """Import and export between two boundaries; a register that dropped has rolled over."""
        imported, exported = (
            new - old + (meter.modulus_wh if new < old else 0) for old, new in zip(start, end, strict=True)
        )
        if not 0 <= min(imported, exported) <= max(imported, exported) <= meter.limit_wh:
            self.problems.append(f"registers.csv: {what}: {imported} Wh in, {exported} Wh out: out of range")
        return imported, exported


def compare(name: str, expected: Iterable[Row], found: Iterable[Row], key_columns: Sequence[str]) -> list[str]:
    """One line per difference between two collections of rows; rows with the same key are shown side by side."""
    columns = COLUMNS[name].split()
    at = [columns.index(column) for column in key_columns]
    missing, extra = Counter(expected), Counter(found)
    missing, extra = missing - extra, extra - missing
    by_key = defaultdict(list)
    for row in extra.elements():
        by_key[tuple(row[index] for index in at)].append(row)
    lines = []
    for row in sorted(missing.elements(), key=repr):
        others = by_key.get(tuple(row[index] for index in at))
        if others:
            lines.append(f"{name}: {_text(others.pop(0))} should be {_text(row)}")
        else:
            lines.append(f"{name}: missing {_text(row)}")
    return lines + [f"{name}: not expected: {_text(row)}" for rows in by_key.values() for row in rows]


def _text(row: Row) -> str:
    return ",".join(map(str, row))


def differences(folder: Path) -> tuple[list[str], Recomputation]:
    """All differences between a folder's results and their recomputation."""
    again = Recomputation(folder)
    found: dict[str, list[Row]] = {}
    for name in ("fills.csv", "statements.csv", "postings.csv"):
        found[name] = [
            tuple("" if field is None else field for field in row.values()) for row in load_rows(folder, name)
        ]
    problems = [
        *again.problems,
        *compare("fills.csv", again.fills, found["fills.csv"], ["order"]),
        *compare("statements.csv", again.lines, found["statements.csv"], ["run", "party", "slot_start_s", "line_kind"]),
        *compare("postings.csv", again.postings, found["postings.csv"], ["slot_start_s", "account", "run"]),
    ]
    return problems, again


def main(arguments: Sequence[str]) -> int:
    """Compare the folder named by the one argument."""
    if len(arguments) != 1:
        print("usage: recompute.py FOLDER", file=sys.stderr)
        return 2
    try:
        problems, again = differences(Path(arguments[0]))
    except BadFolderError as error:
        print(f"recompute: {error}", file=sys.stderr)
        return 2
    for problem in problems[:SHOWN_MAX]:
        print(problem)
    if problems:
        print(f"recompute: {len(problems)} differences")
        return 1
    totals = {
        "fills": len(again.fills),
        "lines": len(again.lines),
        "pays_nano": sum(int(line[6]) for line in again.lines),
        "postings": len(again.postings),
        "supplier_only_nano": sum(again.supplier_only_nano.values()),
        "unsettled": len(again.waiting),
    }
    print(f"recompute: the same integers {json.dumps(totals)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
