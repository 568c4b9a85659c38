"""``rules.toml`` of a folder: prices, market, time-line, invoices and estimates. A key that is not known is named with the nearest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from gridcore.config import ConfigError, decode_toml, parse_config, read_config
from gridcore.errors import excerpt
from gridcore.forms import NAME as SERIES_NAME
from gridcore.genesis import CURRENCY, SLOT_S_CHOICES
from gridcore.registry.balance_terms import BALANCE_PRICES, BALANCE_TERMS, BalanceTerms
from gridcore.registry.run_calendar import calendar_fault
from gridcore.registry.tariff import WORD
from gridcore.registry.zone import FINAL_S_MAX
from gridcore.sm3 import sm3
from gridledger.founding.runs_config import RunsConfig
from gridledger.settling.dataset import (
    EstimateTerms,
    FileRules,
    InputFile,
    InvoiceTerms,
    LaterPrices,
    OrdersBySlot,
    RunTerms,
)
from gridledger.settling.files.dated_prices import PricesFrom, check_covered, local_day, read_dated
from gridledger.settling.files.dated_rates import KEY as LATER_RATES
from gridledger.settling.files.dated_rates import TAX_PPM_MAX, read_later_rates
from gridledger.settling.files.estimates import FALLBACKS, METHODS
from gridledger.settling.files.fault import fault, nearest
from gridledger.settling.files.layout import REPEATED_HOURS
from gridledger.settling.files.stamps import DAY_S, Zone
from ledger.contract import Contract
from settlement.catalogue import CATALOGUE
from settlement.contract_kit_1 import Int64Column
from settlement.contracts.p2p_call_auction_1 import PRO_RATA, TIME
from settlement.errors import SettlementError
from settlement.invoicing.total import HALF_EVEN, HALF_UP_AWAY
from settlement.tariffs import components_of
from settlement.tariffs.accounts import known_accounts
from settlement.tariffs.components import Component
from settlement.tariffs.named_days import days_of_table
from settlement.validation import Thresholds

NAME: Final = "rules.toml"
UTC: Final = "UTC"
REFERENCE_DAYS_MAX: Final = 14
_SECONDS_MAX: Final = 40 * 86_400
_PRICES: Final = "prices"
OWN_ACCOUNTS_MAX: Final = 64
KEPT_SERIES_MAX: Final = 64
_TARIFF_KEYS: Final = {"component", "accounts", "days", "price_series"}
HISTORY_DAYS_MAX: Final = 31
_PERCENT_MAX: Final = 1_000_000


@dataclass(frozen=True)
class _Timeline:
    slot_s: int = field(default=900, metadata={"choices": SLOT_S_CHOICES})
    timezone: str | None = field(default=None, metadata={"min": 1, "max": 64})
    gate_before_start_s: int | None = field(default=None, metadata={"min": 0, "max": _SECONDS_MAX})
    metering_deadline_s: int | None = field(default=None, metadata={"min": 0, "max": _SECONDS_MAX})
    final_after_s: int | None = field(default=None, metadata={"min": 0, "max": FINAL_S_MAX})
    sub_wh: str = field(default="refuse", metadata={"choices": ("refuse", "carry")})
    repeated_hour: str = field(default="refused", metadata={"choices": REPEATED_HOURS})


@dataclass(frozen=True)
class _Invoice:
    currency: str = field(default="CNY", metadata={"min": 1, "max": 16})
    tax_ppm: int = field(default=0, metadata={"min": 0, "max": TAX_PPM_MAX})
    quantum_nano: int = field(default=10_000_000, metadata={"min": 1, "max": 10**12})
    rounding: str = field(default=HALF_UP_AWAY, metadata={"choices": (HALF_UP_AWAY, HALF_EVEN)})


@dataclass(frozen=True)
class _Estimate:
    method: str = field(default=METHODS[0], metadata={"choices": METHODS})
    reference_days: int = field(default=4, metadata={"min": 0, "max": REFERENCE_DAYS_MAX})
    fallback: str = field(default=FALLBACKS[0], metadata={"choices": FALLBACKS})


@dataclass(frozen=True)
class _Validation:
    history_days: int = field(default=Thresholds().history_days, metadata={"min": 1, "max": HISTORY_DAYS_MAX})
    spike_percent: int = field(default=Thresholds().spike_percent, metadata={"min": 1, "max": _PERCENT_MAX})
    spike_w_min: int = field(default=Thresholds().spike_w_min, metadata={"min": 0, "max": 10**9})
    zero_run_s: int = field(default=Thresholds().zero_run_s, metadata={"min": 1, "max": _SECONDS_MAX})
    zero_run_percent: int = field(default=Thresholds().zero_run_percent, metadata={"min": 100, "max": _PERCENT_MAX})
    new_direction_wh: int = field(default=Thresholds().new_direction_wh, metadata={"min": 1, "max": 10**9})


@dataclass(frozen=True)
class _File:
    timeline: _Timeline = _Timeline()
    runs: RunsConfig | None = None
    invoice: _Invoice = _Invoice()
    estimate: _Estimate = _Estimate()
    validation: _Validation = _Validation()


class RulesRead(NamedTuple):
    """rules.toml before the prices of prices.csv are known. zone: of local times, None where none is named; market: its terms.

    dated: prices by when they hold; of one table ``[prices]`` one entry for ever. kept_series: keys of prices.csv that other rules may name.
    """

    dated: Sequence[PricesFrom]
    contract: Contract
    market: Mapping[str, Any]
    slot_s: int
    zone: Zone | None
    repeated_hour: str
    has_carry: bool
    gate_before_start_s: int | None
    metering_deadline_s: int | None
    invoice: InvoiceTerms
    estimate: EstimateTerms
    tariff: Sequence[Component]
    kept_series: Sequence[str]
    runs: RunTerms | None
    balance: BalanceTerms | None
    validation: Thresholds
    input_file: InputFile

    def price_keys(self) -> Sequence[str]:
        """Names of the prices that the contract knows."""
        return list(CATALOGUE[self.contract.contract_id].vocabulary.prices)

    def unused_prices(self) -> Sequence[str]:
        """Names of ``[prices]`` that only other contracts know."""
        return [key for key in self.dated[0].prices if key not in self.price_keys()]


def read_rules(path: Path, zone: Zone | None = None) -> RulesRead:
    """Read the file; UsageError at the first fault. The contract's own terms are judged later, by ``file_rules``. zone: where the file names none."""
    data = read_config(path)
    source = Path(NAME)
    table = decode_toml(data, source)
    market = table.pop("market", None)
    if not isinstance(market, dict) or not isinstance(market.get("contract"), str):
        raise fault(NAME, "[market] contract is missing", f"name a contract, {_shown_contracts()}")
    tariff, prices = table.pop("tariff", {}), table.pop(_PRICES, {})
    balance, invoice = table.pop("balance", None), table.get("invoice")
    later_rates = read_later_rates(invoice.pop(LATER_RATES, [])) if isinstance(invoice, dict) else ()
    runs = table.get("runs")
    as_of = runs.pop("as_of", None) if isinstance(runs, dict) else None
    contract_id = market.pop("contract")
    if contract_id not in CATALOGUE:
        raise fault(NAME, f"[market] contract = {excerpt(contract_id)} is no contract", nearest(contract_id, CATALOGUE))
    try:
        file = parse_config(table, _File, source)
    except ConfigError as error:
        raise fault(NAME, str(error).removeprefix(f"{NAME}: "), "see docs/settle-files.md") from None
    if not CURRENCY.holds(file.invoice.currency):
        raise fault(
            NAME, f"[invoice] currency = {excerpt(file.invoice.currency)} is no currency", f"give {CURRENCY.words}"
        )
    timeline = file.timeline
    if timeline.timezone is not None:
        try:
            zone = Zone(timeline.timezone)
        except ValueError:
            what = f"[timeline] timezone = {excerpt(timeline.timezone)} is no time zone"
            raise fault(NAME, what, "give a name of the IANA table, such as Asia/Shanghai") from None
    days = zone or Zone(UTC)
    return RulesRead(
        dated=read_dated(prices, days),
        contract=CATALOGUE[contract_id].contract,
        market=market,
        slot_s=timeline.slot_s,
        zone=zone,
        repeated_hour=timeline.repeated_hour,
        has_carry=timeline.sub_wh == "carry",
        gate_before_start_s=timeline.gate_before_start_s,
        metering_deadline_s=timeline.metering_deadline_s,
        invoice=InvoiceTerms(**vars(file.invoice), later_rates=later_rates),
        estimate=EstimateTerms(**vars(file.estimate)),
        tariff=_tariff(tariff, CATALOGUE[contract_id].contract),
        kept_series=_kept_series(tariff),
        runs=_runs(file, local_day("[runs] as_of", as_of, days)),
        balance=None if balance is None else _balance(balance),
        validation=Thresholds(**vars(file.validation)),
        input_file=InputFile(NAME, sm3(data), 0),
    )


def ranks_by_arrival(contract: Contract, market: Mapping[str, Any]) -> bool:
    """Whether it matters when orders came, by the contract or by the terms of ``[market]``."""
    return contract.ranks_by_arrival or market.get("rationing") == TIME


def fault_of_terms(read: RulesRead, prices: Mapping[str, int]) -> str:
    """What is wrong with the market's terms together with some prices, in words; "" where nothing is."""
    return read.contract.fault_of({**read.market, _PRICES: prices})


def file_rules(
    read: RulesRead,
    slots: Int64Column,
    *,
    other_prices: Mapping[str, int] | None = None,
    orders: OrdersBySlot | None = None,
) -> FileRules:
    """The rules with all their prices; FilesError where they are none for the contract, or leave some of ``slots`` without prices.

    slots: int64[n], where each starts, ascending; other_prices: of the first slot, by keys that ``[prices]`` may lack.
    """
    contract_id = read.contract.contract_id
    first_s = int(slots[0])
    check_covered(read.dated, first_s, int(slots[-1]) + read.slot_s)
    of_others = {key for entry in CATALOGUE.values() for key in entry.vocabulary.prices}
    for key in read.unused_prices():
        if key not in of_others:
            raise fault(NAME, f"[prices] {key} is no price of {contract_id}", nearest(key, read.price_keys()))
    known = set(read.price_keys())
    dated = [
        (
            entry.from_s,
            {key: price for key, price in ({**(other_prices or {}), **entry.prices}).items() if key in known},
        )
        for entry in read.dated
    ]
    prices = next(prices for from_s, prices in reversed(dated) if from_s is None or from_s <= first_s)
    words = fault_of_terms(read, prices)
    if words:
        raise fault(NAME, f"[market] or [prices]: {words}", f"docs/settle-files.md has the terms of {contract_id}")
    if orders is not None and orders.how_many:
        _check_orders(read, orders)
    return FileRules(
        prices=prices,
        contract=contract_id,
        terms=dict(read.market),
        gate_before_start_s=read.gate_before_start_s or 0,
        metering_deadline_s=read.metering_deadline_s or 0,
        invoice=read.invoice,
        estimate=read.estimate,
        tariff=read.tariff,
        later_prices=[LaterPrices(from_s, later) for from_s, later in dated if from_s is not None and from_s > first_s],
        runs=read.runs,
        validation=read.validation,
    )


def _check_orders(read: RulesRead, orders: OrdersBySlot) -> None:
    """With orders there are a gate and a deadline; and a contract that serves them as they came is told when that was."""
    if not orders.has_times:
        contract_id = read.contract.contract_id
        if read.contract.ranks_by_arrival:
            what = f"[market] contract = {contract_id!r} ranks orders by when they came, which orders.csv does not tell"
            right = "give its column arrival, or settle the folder by a call auction, such as pay_as_bid/1"
            raise fault(NAME, what, right)
        if read.market.get("rationing") == TIME:
            what = f"[market] rationing = {TIME!r} serves orders by when they came, which orders.csv does not tell"
            raise fault(NAME, what, f"give its column arrival, or rationing = {PRO_RATA!r}")
    for key in ("gate_before_start_s", "metering_deadline_s"):
        if getattr(read, key) is None:
            raise fault(NAME, f"[timeline] {key} is missing", "orders need a gate and a metering deadline, in seconds")


def _runs(file: _File, as_of_s: int | None) -> RunTerms | None:
    """The run calendar of ``[runs]``; its order is judged by the form that a zone has."""
    final_after_s = file.timeline.final_after_s
    if file.runs is None:
        if final_after_s is not None:
            what = "[timeline] final_after_s says when slots are final, and there is no [runs]"
            raise fault(NAME, what, "give the run calendar too (docs/settlement-runs.md), or leave it out")
        return None
    if final_after_s is None:
        raise fault(
            NAME, "[timeline] final_after_s is missing", "with [runs]: seconds after its end at which a slot is final"
        )
    calendar = file.runs.calendar
    least_s = max(file.timeline.metering_deadline_s or 0, DAY_S)
    words = calendar_fault(calendar).removeprefix("run_calendar: ")
    if calendar.initial_last_after_s < least_s:
        words = f"initial_last_after_s is at least {least_s}: files are imported a day at a time"
    elif final_after_s <= calendar.final_run_after_s:
        words = f"[timeline] final_after_s is above final_run_after_s {calendar.final_run_after_s}: until then disputes change the slot"
    if words:
        raise fault(NAME, f"[runs]: {words}", "docs/settlement-runs.md has an example")
    return RunTerms(calendar, final_after_s, as_of_s)


def _balance(table: object) -> BalanceTerms:
    """The terms of the areas' balances: who answers for losses, the four prices, which keys of prices.csv vary some of them, and a penalty."""
    right = f"docs/settle-files.md has an example; its keys are loss_responsible, {', '.join(BALANCE_PRICES)}, series, penalty"
    if not isinstance(table, dict):
        raise fault(NAME, "[balance] is no table", right)
    stated = {key: value for key, value in table.items() if key not in BALANCE_PRICES}
    value = {**stated, "prices": {key: table[key] for key in BALANCE_PRICES if key in table}}
    if words := BALANCE_TERMS.fault_of(value):
        raise fault(NAME, f"[balance] {words}", right)
    return BALANCE_TERMS.record_of(value)


def _tariff(table: object, contract: Contract) -> Sequence[Component]:
    """The components of ``[[tariff.component]]``, each to an account that is known or stands in ``[tariff] accounts``."""
    tables = table.get("component", []) if isinstance(table, dict) else None
    if not isinstance(table, dict) or table.keys() - _TARIFF_KEYS or not isinstance(tables, list):
        right = (
            "give each as a table [[tariff.component]], names of your own accounts as accounts = [...], keys of prices.csv "
            "that other rules name as price_series = [...], holidays and other named days as [tariff.days]"
        )
        raise fault(NAME, "[tariff] holds something else than components", right)
    known = _accounts(table.get("accounts", []))
    if not all(isinstance(item, dict) for item in tables):
        raise fault(NAME, "[tariff] component is no list of tables", "give each as a table [[tariff.component]]")
    try:
        days = days_of_table(table["days"]) if "days" in table else ()
        components = components_of(tables, [kind.kind for kind in contract.line_kinds], days)
    except SettlementError as error:
        raise fault(NAME, str(error), "docs/tariffs.md has all keys") from None
    for component in components:
        if component.account not in known:
            what = f"[[tariff.component]] {component.name}: account = {excerpt(component.account)} is no account"
            raise fault(NAME, what, f"one of your own stands in [tariff] accounts; {nearest(component.account, known)}")
    return components


def _kept_series(table: Mapping[str, object]) -> Sequence[str]:
    """Keys of prices.csv that nothing here names: other rules for the same folder may (``settle what-if``)."""
    names = table.get("price_series", [])
    if not isinstance(names, list) or len(names) > KEPT_SERIES_MAX or not all(map(SERIES_NAME.holds, names)):
        right = f"give at most {KEPT_SERIES_MAX} keys of prices.csv, each {SERIES_NAME.words}"
        raise fault(NAME, "[tariff] price_series is no list of keys", right)
    return names


def _accounts(own: object) -> Sequence[str]:
    """Every account that a component may name; ``own``: those of ``[tariff] accounts``."""
    if not isinstance(own, list) or len(own) > OWN_ACCOUNTS_MAX or not all(map(WORD.holds, own)):
        right = f"give at most {OWN_ACCOUNTS_MAX} names, each {WORD.words}"
        raise fault(NAME, "[tariff] accounts is no list of accounts", right)
    return known_accounts(own)


def _shown_contracts() -> str:
    return ", ".join(f'"{name}"' for name in CATALOGUE)
