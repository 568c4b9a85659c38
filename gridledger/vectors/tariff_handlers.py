"""Handlers about charges of the grid, schedules and certificates: they call ``settlement.tariffs``."""

from __future__ import annotations

from calendar import monthrange
from collections import defaultdict
from dataclasses import asdict
from datetime import date, timedelta

import numpy as np

from gridledger.vectors.cases import CaseError, CaseInput, CaseRefusedError, rational
from settlement.contracts.grid_fee_path_1 import PRICE_RULES, PathPrices, path_prices
from settlement.contracts.grid_fee_path_1.places import PAY_AS_BID, PAY_AS_OFFER
from settlement.tariffs import components_of
from settlement.tariffs.charges import Tariff, Usage, used_before
from settlement.tariffs.holding import Calendar, Holding
from settlement.tariffs.named_days import days_of_table
from settlement.tariffs.network import (
    VoltageLevel,
    fees_of_offer,
    grid_loss,
    network_charge_by_voltage,
    network_charge_capacity,
)
from settlement.tariffs.power_factor import power_factor_adjustment
from settlement.tariffs.schedules import (
    PricedEnergy,
    Tolerance,
    deviation,
    deviation_penalty,
    green_certificates,
    green_claim,
    two_settlement,
)
from settlement.tariffs.shared_energy import IncentiveTerms, shared_energy_incentive, transmission_loss_multipliers


def charge_by_voltage(case: CaseInput) -> dict[str, object]:
    """``network_charge_by_voltage/1``."""
    levels = [VoltageLevel(name, price) for name, price in case.named_values("levels")]
    charge = network_charge_by_voltage(levels, case.text("user_level"), case.text("highest_level"))
    energy_wh = case.integer("energy_wh")
    if energy_wh < 0:
        raise CaseRefusedError(f"energy_wh is negative: {energy_wh}")
    return {"charge_micro_per_kwh": charge, "amount_nano": energy_wh * charge}


def charge_by_capacity(case: CaseInput) -> dict[str, object]:
    """``network_charge_capacity/1``."""
    inputs = map(case.integer, ("capacity_charge_nano", "capacity_w", "energy_price", "load_factor_ppm"))
    return {"amount_nano": network_charge_capacity(*inputs)}


def fee_path(case: CaseInput) -> dict[str, object]:
    """``grid_fee_path/1``."""
    return _fee_path(case)._asdict()


def shared_energy(case: CaseInput) -> dict[str, object]:
    """``shared_energy_incentive/1``."""
    terms = IncentiveTerms(*map(case.integer, IncentiveTerms._fields))
    injected_wh, withdrawn_wh, market_price = map(case.integer, ("injected_wh", "withdrawn_wh", "market_price"))
    return asdict(shared_energy_incentive(injected_wh, withdrawn_wh, market_price, terms))


def loss_multipliers(case: CaseInput) -> dict[str, object]:
    """``transmission_loss_multipliers/1``."""
    sides = case.integer_table("delivering_wh"), case.integer_table("offtaking_wh")
    found = transmission_loss_multipliers(*sides, case.integer("delivering_share_ppm"))
    output: dict[str, object] = {"delivered_wh": found.delivered_wh, "offtaken_wh": found.offtaken_wh}
    for key, multiplier in (("delivering", found.delivering), ("offtaking", found.offtaking)):
        if multiplier is not None:
            output[key] = rational(multiplier)
    return output


def loss(case: CaseInput) -> dict[str, object]:
    """``grid_loss/1``."""
    exchange_wh = case.integer("exchange_in_wh"), case.integer("exchange_out_wh")
    return asdict(grid_loss(*exchange_wh, case.integer("production_wh"), case.integer("consumption_wh")))


def certificates(case: CaseInput) -> dict[str, object]:
    """``green_certificates/1``."""
    result = green_certificates(case.integers("entries"))
    return {"issued": list(result.issued), "cancelled": list(result.cancelled), "carry_wh": list(result.carry_wh)}


def claim(case: CaseInput) -> dict[str, object]:
    """``green_claim/1``."""
    return green_claim(case.integers("generation_wh"), case.integers("load_wh"))._asdict()


def day_ahead_and_real_time(case: CaseInput) -> dict[str, object]:
    """``two_settlement/1``."""
    if case.has("contract_wh") != case.has("contract_price"):
        raise CaseRefusedError("contract_wh and contract_price come together")
    contract = _priced(case, "contract_wh", "contract_price") if case.has("contract_wh") else None
    day_ahead = _priced(case, "day_ahead_wh", "day_ahead_price")
    return {"amount_nano": two_settlement(day_ahead, _priced(case, "actual_wh", "real_time_price"), contract)}


def penalty(case: CaseInput) -> dict[str, object]:
    """``deviation_penalty/1``."""
    tolerance = Tolerance(case.integer("tolerance_ppm"), case.integer("penalty_ppm"), case.text("sides"))
    return deviation_penalty(_priced(case, "contract_wh", "price"), case.integer("actual_wh"), tolerance)._asdict()


def deviation_of(case: CaseInput) -> dict[str, object]:
    """``deviation/1``."""
    metered_wh, sold_wh, bought_wh = map(case.integer, ("metered_wh", "sold_wh", "bought_wh"))
    prices = case.integer("long_price"), case.integer("short_price")
    return deviation(metered_wh, sold_wh, bought_wh, *prices)._asdict()


def power_factor(case: CaseInput) -> dict[str, object]:
    """``power_factor_adjustment/1``."""
    active_wh, reactive_varh, returned_varh = map(case.integer, ("active_wh", "reactive_varh", "returned_varh"))
    return power_factor_adjustment(active_wh, reactive_varh, returned_varh, case.integer("standard"))._asdict()


def tariff_month(case: CaseInput) -> dict[str, object]:
    """``tariff_month/1``: slots from midnight of the first day on, in a calendar whose days all have 24 hours."""
    energies = [case.integers(key) for key in ("import_wh", "export_wh", "traded_wh")]
    if len({len(column) for column in energies}) != 1 or not energies[0]:
        raise CaseError("input", "energies of as many slots, one at least", [len(column) for column in energies])
    if min(min(column) for column in energies) < 0:
        raise CaseRefusedError("an energy is negative")
    days, calendar = _calendar(case, len(energies[0]))
    line_kinds = case.texts("line_kinds") if case.has("line_kinds") else []
    named = days_of_table(case.table("days")) if case.has("days") else ()
    tariff = Tariff(components_of(case.tables("components"), line_kinds, named), Holding(calendar))
    months = sorted({f"{day:%Y-%m}" for day in days})
    billed = dict(case.integer_table("billed_nano")) if case.has("billed_nano") else {}
    import_wh, export_wh, traded_wh = (np.array(column, dtype=np.int64) for column in energies)
    usage = Usage(import_wh, export_wh, traded_wh)
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    party, everywhere = case.text("party"), np.ones(len(import_wh), dtype=np.bool_)
    said_wh = dict(case.integer_table("used_wh")) if case.has("used_wh") else {}
    of_year = tariff.energies_of_year(party, usage, everywhere)
    if said_wh.keys() - of_year.keys() or min(said_wh.values(), default=0) < 0:
        raise CaseRefusedError("used_wh: energies of components with steps of a year, none below 0")
    used_wh = {name: used_before(of, days[0].month, said_wh.get(name, 0)) for name, of in of_year.items()}
    for charge in tariff.charges(party, usage, [billed for _ in months], everywhere, used_wh):
        found[months[charge.month]][charge.name] += charge.amount_nano
    return {"amount_nano": {month: dict(found[month]) for month in months}}


def _calendar(case: CaseInput, slots: int) -> tuple[list[date], Calendar]:
    slot_s = case.integer("slot_s")
    if not 1 <= slot_s <= 86_400 or 86_400 % slot_s:
        raise CaseRefusedError(f"slot_s {slot_s} does not divide a day")
    try:
        first = date.fromisoformat(case.text("first_day"))
    except ValueError as error:
        raise CaseError("input.first_day", "a day as 2026-06-28", case.text("first_day")) from error
    days = [first + timedelta(days=slot * slot_s // 86_400) for slot in range(slots)]
    months = sorted({(day.year, day.month) for day in days})
    return days, Calendar(
        slot_s=slot_s,
        month=np.array([months.index((day.year, day.month)) for day in days], dtype=np.int64),
        month_of_year=np.array([day.month for day in days], dtype=np.int64),
        day=np.array([day.toordinal() for day in days], dtype=np.int64),
        second=np.arange(slots, dtype=np.int64) * slot_s % 86_400,
        days_of_month=[monthrange(year, month)[1] for year, month in months],
    )


def _priced(case: CaseInput, energy: str, price: str) -> PricedEnergy:
    return PricedEnergy(case.integer(energy), case.integer(price))


def _fee_path(case: CaseInput) -> PathPrices:
    offer, mode, rule = case.integer("offer_price"), case.text("mode"), case.text("rule")
    fees = [case.integers("supply_fees"), case.integers("demand_fees")]
    if mode == "percent_ppm" and rule == PAY_AS_OFFER:
        fees = [fees_of_offer(offer, shares_ppm) for shares_ppm in fees]
    elif mode != "constant" or rule not in PRICE_RULES:
        raise CaseRefusedError(f"no fee path by mode {mode!r} and rule {rule!r}")
    bid = offer  # nobody asks for one where the offer says what is paid
    if rule == PAY_AS_BID:
        if not case.has("bid_price"):
            raise CaseRefusedError("pay_as_bid needs a bid_price")
        bid = case.integer("bid_price")
    prices = path_prices(rule, offer, bid, *map(sum, fees))
    if prices.seller_gets < offer:
        raise CaseRefusedError(f"the seller would get {prices.seller_gets} and asks {offer}")
    return prices
