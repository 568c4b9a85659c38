"""What a folder says beside energies and orders: rules with all their prices, keys, agreements; together, whether they fit some points and slots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gridledger.settling.dataset import (
    AgreementRow,
    BalanceRules,
    FileRules,
    InputFile,
    KeyRow,
    OrdersBySlot,
    PointRow,
    ReactiveRow,
    SeriesRows,
)
from gridledger.settling.files.agreements import prices_named, read_agreements, references_of
from gridledger.settling.files.fault import fault
from gridledger.settling.files.keys import read_keys
from gridledger.settling.files.prices import check_prices, first_prices, read_prices
from gridledger.settling.files.reactive import NAME as REACTIVE
from gridledger.settling.files.reactive import read_reactive
from gridledger.settling.files.rules import NAME as RULES
from gridledger.settling.files.rules import RulesRead, fault_of_terms, file_rules
from gridledger.settling.files.stamps import to_iso
from gridledger.settling.files.tariffs import Market, check_tariff
from ledger.contract import Contract
from settlement.contract_kit_1 import Int64Column

POINTS, PRICES, KEYS, AGREEMENTS = "points.csv", "prices.csv", "keys.csv", "agreements.csv"


class Measured(NamedTuple):
    """What terms are for. points: every one, borders too; imports: whether a point, by its place, ever takes energy; orders: what is to fit the contract;
    known_by: what names the points, as errors are to say.
    """

    points: Sequence[PointRow]
    slot_start_s: Int64Column
    imports: Callable[[int], bool]
    orders: OrdersBySlot
    known_by: str = POINTS


class Terms(NamedTuple):
    """As of ``Dataset``; inputs: the files, without that of the rules."""

    rules: FileRules
    series: Sequence[SeriesRows]
    keys: Sequence[KeyRow]
    agreements: Sequence[AgreementRow]
    references: Sequence[SeriesRows]
    balance: BalanceRules | None
    tariff_series: Sequence[SeriesRows]
    reactive: Sequence[ReactiveRow]
    inputs: Sequence[InputFile]


class _Priced(NamedTuple):
    """Agreements, the prices that they name, the prices of the contract that vary, the terms of balances with theirs, those that the tariff names, and the files."""

    agreements: Sequence[AgreementRow]
    references: Sequence[SeriesRows]
    series: Sequence[SeriesRows]
    balance: BalanceRules | None
    tariff: Sequence[SeriesRows]
    inputs: Sequence[InputFile]


def read_terms(
    files: Mapping[str, Path], rules: RulesRead, of: Measured, keys_otherwise: Sequence[KeyRow] = ()
) -> Terms:
    """Read ``prices.csv``, ``keys.csv`` and ``agreements.csv`` where the contract uses them, and ``reactive.csv``. FilesError at the first fault.

    files: those that are there, by these names; keys_otherwise: the keys where there is no file of them.
    """
    billed = [point for point in of.points if not point.is_border]
    starts, contract = of.slot_start_s, rules.contract
    priced = _read_priced(files, rules, of._replace(points=billed))
    inputs, keys = list(priced.inputs), keys_otherwise
    if uses_keys(contract) and KEYS in files:
        keys, keys_file = read_keys(files[KEYS], billed, rules.zone, rules.slot_s, of.known_by)
        inputs.append(keys_file)
    reactive: Sequence[ReactiveRow] = ()
    if REACTIVE in files:
        reactive, reactive_file = read_reactive(files[REACTIVE], billed, rules.zone, rules.slot_s, of.known_by)
        inputs.append(reactive_file)
    first = _first_prices(priced.series, rules, starts)
    settled = file_rules(rules, starts, other_prices=first, orders=of.orders)
    check_tariff(rules.tariff, Market(contract, settled.terms, of.orders, starts), of.points, of.known_by)
    check_prices(priced.series, settled, billed, starts, lambda prices: fault_of_terms(rules, prices))
    if uses_keys(contract):
        _check_keys(keys, rules, of)
    return Terms(
        rules=settled,
        series=priced.series,
        keys=keys,
        agreements=priced.agreements,
        references=priced.references,
        balance=priced.balance,
        tariff_series=priced.tariff,
        reactive=reactive,
        inputs=inputs,
    )


def _read_priced(files: Mapping[str, Path], rules: RulesRead, of: Measured) -> _Priced:
    """Agreements, where the contract takes them, and prices: those of the contract and those that agreements name. of: without borders."""
    points, starts = of.points, of.slot_start_s
    agreements: Sequence[AgreementRow] = ()
    series: Sequence[SeriesRows] = ()
    inputs: list[InputFile] = []
    if rules.contract.takes_agreements and AGREEMENTS in files:
        agreements, agreements_file = read_agreements(files[AGREEMENTS], points, rules.zone, rules.slot_s, of.known_by)
        inputs.append(agreements_file)
    own = rules.price_keys()
    if PRICES in files:
        named = {row.agreement.series for row in agreements if row.agreement.series is not None}
        named |= {*_balance_series(rules), *_tariff_series(rules), *rules.kept_series}
        keys = [*own, *sorted(named.difference(own))]
        series, prices_file = read_prices(files[PRICES], keys, points, rules.zone, rules.slot_s, of.known_by)
        inputs.append(prices_file)
    references = references_of(agreements, series, starts)
    balance = None
    if rules.balance is not None:
        of_balance = prices_named(dict.fromkeys(_balance_series(rules), "[balance]"), series, starts, RULES)
        balance = BalanceRules(rules.balance, of_balance)
    tariff = prices_named(_tariff_series(rules), series, starts, RULES)
    return _Priced(agreements, references, [rows for rows in series if rows.key in own], balance, tariff, inputs)


def _balance_series(rules: RulesRead) -> Sequence[str]:
    """The keys of prices.csv that ``[balance]`` names."""
    series = None if rules.balance is None else rules.balance.series
    return list((series or {}).values())


def _tariff_series(rules: RulesRead) -> dict[str, str]:
    """The keys of prices.csv that components of the tariff name, and what names each."""
    return {one.price_series: f"the tariff component {one.name}" for one in rules.tariff if one.price_series}


def uses_keys(contract: Contract) -> bool:
    """Whether a contract shares by keys of points."""
    return not {"share_ppm", "priority"}.isdisjoint(contract.point_terms)


def _first_prices(series: Sequence[SeriesRows], rules: RulesRead, starts: Int64Column) -> dict[str, int]:
    """Prices that only prices.csv has, as of the first slot; FilesError for one that has none there."""
    first_s = int(starts[0])
    prices = first_prices(series, first_s)
    for rows in series:
        if rows.key not in prices and rows.key not in rules.dated[0].prices:
            what = f"{rows.key} has no price for all from {to_iso(first_s)} on, the first slot"
            raise fault(PRICES, what, f"give one that starts there or earlier, or [prices] {rows.key} in {RULES}")
    return prices


def _check_keys(keys: Sequence[KeyRow], rules: RulesRead, of: Measured) -> None:
    """Refuse a method whose keys are not there."""
    method = rules.market.get("method")
    if method == "priority":
        having = {key.point for key in keys if key.priority is not None}
        for place, point in enumerate(of.points):
            if not point.is_border and point.point not in having and of.imports(place):
                raise fault(
                    KEYS, f"{point.point} has no priority", "method priority needs one of each point that imports"
                )
    elif method != "dynamic" and not any(key.share_ppm for key in keys):
        raise fault(KEYS, f"holds no share, and [market] method is {method}", "give each point its share_ppm")
