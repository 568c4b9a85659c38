"""A dataset as a folder that ``settle files`` takes: reading it gives the dataset again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from gridcore.errors import UsageError
from gridcore.quality import CORRECTED, ESTIMATED, MEASURED, MISSING, QUALITIES
from gridcore.registry.balance_terms import BalanceTerms
from gridcore.registry.point import ENERGY_KINDS, RENEWABLE, kinds_wanted
from gridledger.settling.dataset import NEVER, Dataset, InvoiceTerms, OrderConditions, Orders
from gridledger.settling.files.dated_rates import FROM, TAX_PPM
from gridledger.settling.files.dated_rates import KEY as LATER_RATES
from gridledger.settling.files.folder import ORDERS, READINGS
from gridledger.settling.files.order_forms import ALL_OR_NONE, ARRIVAL, CANCELLED, YES
from gridledger.settling.files.reactive import NAME as REACTIVE
from gridledger.settling.files.rules import NAME as RULES
from gridledger.settling.files.stamps import to_iso
from gridledger.settling.files.terms import AGREEMENTS, KEYS, POINTS, PRICES
from gridledger.settling.partners import Partners
from gridledger.tables.columns import table_of
from gridledger.tables.files import write_csv, write_rows
from gridledger.toml_text import toml_lines
from ledger.contract import BUY
from settlement.tariffs.accounts import known_accounts
from settlement.tariffs.named_days import table_of_days
from settlement.tariffs.tables import tables_of

_POINTS: Final = (
    "point",
    "party",
    "area",
    "valid_from",
    "grid_place",
    "energy_kind",
    "voltage_level",
    *Partners._fields,
)
_INVOICE: Final = ("currency", TAX_PPM, "quantum_nano", "rounding")
_OF_BORDERS: Final = ("role", "exchange_area")
_OF_BALANCES: Final = ("balance_responsible_import", "balance_responsible_export")
_ORDERS: Final = ("slot_start_s", "order", "party", "side", "quantity_wh", "price_micro_per_kwh")
_CONDITIONS: Final = ("bid", "seller", "energy_kind")
_AGREEMENTS: Final = (
    "agreement", "seller_point", "buyer_point", "basis", "price_micro_per_kwh", "quantity_kwh", "share_ppm", "series",
    "valid_from", "valid_until",
)  # fmt: skip
_SAID: Final = {MEASURED: "", ESTIMATED: QUALITIES[ESTIMATED], CORRECTED: QUALITIES[CORRECTED]}
"""What the column ``quality`` says by the code; every other code of an energy that was settled with stands for an estimate."""
_KINDS: Final = {kinds_wanted(word): word for word in (*ENERGY_KINDS, RENEWABLE)} | {kinds_wanted(None): "", 0: ""}


def write_folder(dataset: Dataset, folder: Path) -> None:
    """Make the files in an empty folder. UsageError for an order that asks for kinds of energy which no word names."""
    lines = [*(f"# {note}" for note in dataset.notes), *_rules(dataset)]
    (folder / RULES).write_text("\n".join(lines).lstrip() + "\n", "utf-8")
    optional = _optional_columns(dataset)
    write_rows(folder / POINTS, (*_POINTS, *optional), _points(dataset, optional))
    names = ("start", "point", "import_kwh", "export_kwh", "quality")
    tables = (table_of(names, _readings(dataset, slot)) for slot in range(len(dataset.slot_start_s)))
    write_csv(folder / READINGS, names, tables)
    prices = [*_prices(dataset)]
    if prices:
        write_rows(folder / PRICES, ("start", "key", "area", "point", "price_micro_per_kwh"), prices)
    if dataset.keys:
        write_rows(folder / KEYS, ("point", "share_ppm", "priority", "valid_from"), _keys(dataset))
    if dataset.reactive:
        write_rows(folder / REACTIVE, ("start", "end", "point", "reactive_kvarh", "returned_kvarh"), _reactive(dataset))
    if dataset.agreements:
        write_rows(folder / AGREEMENTS, _AGREEMENTS, _agreements(dataset))
    if dataset.orders.how_many:
        write_rows(
            folder / ORDERS,
            _order_columns(dataset.all_orders),
            _orders(dataset.slot_start_s.tolist(), dataset.all_orders),
        )


def _rules(dataset: Dataset) -> list[str]:
    rules = dataset.rules
    timeline: dict[str, object] = {"slot_s": dataset.slot_s, "timezone": dataset.timezone}
    if dataset.orders.how_many:
        timeline["gate_before_start_s"] = rules.gate_before_start_s
        timeline["metering_deadline_s"] = rules.metering_deadline_s
    return toml_lines(
        {
            "market": {"contract": rules.contract, **rules.terms},
            "prices": _rules_prices(dataset),
            "timeline": timeline,
            "invoice": _invoice(rules.invoice),
            **({} if dataset.balance is None else {"balance": _balance(dataset.balance.terms)}),
            **({"tariff": tariff} if (tariff := _tariff(dataset)) else {}),
        }
    )


def _invoice(terms: InvoiceTerms) -> dict[str, object]:
    rates = [{FROM: date.fromordinal(one.day), TAX_PPM: one.tax_ppm} for one in terms.later_rates]
    return {**{key: getattr(terms, key) for key in _INVOICE}, **({LATER_RATES: rates} if rates else {})}


def _balance(terms: BalanceTerms) -> dict[str, object]:
    maps = {"series": terms.series, "penalty": terms.penalty}
    stated = {name: dict(said) for name, said in maps.items() if said is not None}
    return {"loss_responsible": terms.loss_responsible, **terms.prices, **stated}


def _tariff(dataset: Dataset) -> dict[str, object]:
    """Keys of prices.csv that other rules may name, accounts that no contract has, and the components."""
    of_balance = () if dataset.balance is None else dataset.balance.series
    series = list(dict.fromkeys(rows.key for rows in (*dataset.tariff_series, *of_balance)))
    accounts = sorted({one.account for one in dataset.rules.tariff}.difference(known_accounts()))
    days = table_of_days({named for one in dataset.rules.tariff for named in one.named_days})
    tables = tables_of(dataset.rules.tariff)
    listed = {"price_series": series, "accounts": accounts, "days": days, "component": tables}
    return {key: said for key, said in listed.items() if said}


def _rules_prices(dataset: Dataset) -> object:
    """One table, or entries that hold from one local day to another."""
    first, later = dataset.rules.prices, dataset.rules.later_prices
    if not later:
        return dict(first)
    days = [_day(dataset.timezone, entry.from_s) for entry in later]
    prices = [dict(entry) for entry in (first, *(entry.prices for entry in later))]
    begins = [{}, *({"valid_from": day} for day in days)]
    ends = [*({"valid_until": day} for day in days), {}]
    return [{**begin, **end, **entry} for begin, end, entry in zip(begins, ends, prices, strict=True)]


def _day(timezone: str, from_s: int) -> date:
    return datetime.fromtimestamp(from_s, ZoneInfo(timezone)).date()


def _optional_columns(dataset: Dataset) -> Sequence[str]:
    """Of points.csv those in which some point says something."""
    borders = _OF_BORDERS if any(point.is_border for point in dataset.points) else ()
    is_said = any(getattr(point, name) is not None for point in dataset.points for name in _OF_BALANCES)
    return (*borders, *(_OF_BALANCES if is_said else ()))


def _points(dataset: Dataset, optional: Sequence[str]) -> Iterator[Sequence[int | str]]:
    for point in dataset.points:
        place = "" if point.grid_place is None else point.grid_place
        said = point._replace(role=point.role if point.is_border else "")
        stated = [point.energy_kind or "", point.voltage_level or "", *point.partners]
        stated += [getattr(said, name) or "" for name in optional]
        yield point.point, point.party, point.area, "", place, *stated
        for from_s, party in point.later:
            yield point.point, party, point.area, to_iso(from_s), "", *("" for _ in stated)


def _readings(dataset: Dataset, slot: int) -> list[Sequence[str]]:
    """The rows of a slot. What is missing stands as an empty field; of a missing energy what is known."""
    start = to_iso(int(dataset.slot_start_s[slot]))
    columns = (dataset.import_wh[slot], dataset.export_wh[slot], dataset.quality[slot])
    return [
        (start, point.point, _known(import_wh, code), _known(export_wh, code), _quality(code))
        for point, import_wh, export_wh, code in zip(dataset.points, *(one.tolist() for one in columns), strict=True)
    ]


def _reactive(dataset: Dataset) -> Iterator[Sequence[str]]:
    for row in dataset.reactive:
        energies = (_kwh(row.reactive_varh), _kwh(row.returned_varh))
        yield to_iso(row.from_s), to_iso(row.until_s), row.point, *energies


def _known(energy_wh: int, code: int) -> str:
    return "" if code == MISSING and energy_wh == 0 else _kwh(energy_wh)


def _kwh(energy_wh: int) -> str:
    return f"{energy_wh // 1000}.{energy_wh % 1000:03d}"


def _quality(code: int) -> str:
    return "" if code == MISSING else _SAID.get(code, QUALITIES[ESTIMATED])


def _prices(dataset: Dataset) -> Iterator[Sequence[int | str]]:
    """Each series once, whatever names it."""
    of_balance = () if dataset.balance is None else dataset.balance.series
    series = (*dataset.series, *dataset.references, *dataset.tariff_series, *of_balance)
    for rows in {rows[:3]: rows for rows in series}.values():
        for start_s, price in zip(rows.start_s.tolist(), rows.price_micro_per_kwh.tolist(), strict=True):
            yield to_iso(start_s), rows.key, rows.area or "", rows.point or "", price


def _keys(dataset: Dataset) -> Iterator[Sequence[int | str]]:
    for key in dataset.keys:
        share, priority = ("" if value is None else value for value in (key.share_ppm, key.priority))
        yield key.point, share, priority, _instant(key.valid_from_s)


def _agreements(dataset: Dataset) -> Iterator[Sequence[int | str]]:
    for name, agreement, from_s, until_s in dataset.agreements:
        quantity = "" if agreement.quantity_wh is None else _kwh(agreement.quantity_wh)
        share = "" if agreement.share_ppm is None else agreement.share_ppm
        sides = agreement.seller_point, agreement.buyer_point
        terms = agreement.basis, agreement.price_micro_per_kwh, quantity, share, agreement.series or ""
        yield name, *sides, *terms, _instant(from_s), _instant(until_s)


def _order_columns(orders: Orders) -> Sequence[str]:
    """Of the optional ones those in which some order says something."""
    return (
        *_ORDERS,
        *(_CONDITIONS if orders.conditions is not None else ()),
        *((ALL_OR_NONE,) if orders.all_or_none is not None else ()),
        *((ARRIVAL, CANCELLED) if orders.times is not None else ()),
    )


def _orders(slots: Sequence[int], orders: Orders) -> Iterator[Sequence[int | str]]:
    limits = zip(orders.quantity_wh.tolist(), orders.price_micro_per_kwh.tolist(), strict=True)
    given = zip(orders.slot.tolist(), orders.order, orders.party, orders.side.tolist(), limits, strict=True)
    for at, (slot, order, party, side, limit) in enumerate(given):
        said: list[int | str] = [slots[slot], order, party, "buy" if side == BUY else "sell", *limit]
        if orders.conditions is not None:
            said += _asked(order, orders.conditions, at)
        if orders.all_or_none is not None:
            said.append(YES if orders.all_or_none[at] else "")
        if orders.times is not None:
            arrival, cancelled_at = (int(column[at]) for column in orders.times)
            said += [arrival, "" if cancelled_at == NEVER else cancelled_at]
        yield said


def _asked(order: str, conditions: OrderConditions, at: int) -> Sequence[str]:
    """The three columns of a condition, empty for an order that is none."""
    kinds, choice = int(conditions.energy_kinds[at]), int(conditions.choice[at])
    if kinds == 0:
        return "", "", ""
    before, _, counter = order.rpartition("/")
    if kinds not in _KINDS:
        raise UsageError(f"order {order} asks for several kinds of energy, which no word of orders.csv names")
    return f"{before}/{int(counter) - choice}", conditions.seller[at], _KINDS[kinds]


def _instant(time_s: int | None) -> str:
    return "" if time_s is None else to_iso(time_s)
