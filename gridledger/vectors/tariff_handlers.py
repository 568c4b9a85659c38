"""Handlers about charges of the grid, schedules and certificates: they call ``settlement.network`` and ``.schedules``."""

from __future__ import annotations

from dataclasses import asdict

from gridledger.vectors.cases import CaseInput, CaseRefusedError
from settlement.network import (
    FeePath,
    VoltageLevel,
    fees_of_offer,
    grid_loss,
    network_charge_by_voltage,
    pay_as_bid,
    pay_as_offer,
)
from settlement.schedules import PricedEnergy, Tolerance, deviation_penalty, green_certificates, two_settlement


def charge_by_voltage(case: CaseInput) -> dict[str, object]:
    """``network_charge_by_voltage/1``."""
    levels = [VoltageLevel(name, price) for name, price in case.named_values("levels")]
    charge = network_charge_by_voltage(levels, case.text("user_level"), case.text("highest_level"))
    energy_wh = case.integer("energy_wh")
    if energy_wh < 0:
        raise CaseRefusedError(f"energy_wh is negative: {energy_wh}")
    return {"charge_micro_per_kwh": charge, "amount_nano": energy_wh * charge}


def fee_path(case: CaseInput) -> dict[str, object]:
    """``grid_fee_path/1``."""
    return asdict(_fee_path(case))


def loss(case: CaseInput) -> dict[str, object]:
    """``grid_loss/1``."""
    exchange_wh = case.integer("exchange_in_wh"), case.integer("exchange_out_wh")
    return asdict(grid_loss(*exchange_wh, case.integer("production_wh"), case.integer("consumption_wh")))


def certificates(case: CaseInput) -> dict[str, object]:
    """``green_certificates/1``."""
    result = green_certificates(case.integers("entries"))
    return {"issued": list(result.issued), "cancelled": list(result.cancelled), "carry_wh": list(result.carry_wh)}


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


def _priced(case: CaseInput, energy: str, price: str) -> PricedEnergy:
    return PricedEnergy(case.integer(energy), case.integer(price))


def _fee_path(case: CaseInput) -> FeePath:
    offer_price, supply_fees, demand_fees = (
        case.integer("offer_price"),
        case.integers("supply_fees"),
        case.integers("demand_fees"),
    )
    match case.text("mode"), case.text("rule"):
        case "constant", "pay_as_offer":
            return pay_as_offer(offer_price, [*supply_fees, *demand_fees])
        case "constant", "pay_as_bid":
            if not case.has("bid_price"):
                raise CaseRefusedError("pay_as_bid needs a bid_price")
            return pay_as_bid(offer_price, case.integer("bid_price"), supply_fees, demand_fees)
        case "percent_ppm", "pay_as_offer":
            return pay_as_offer(offer_price, fees_of_offer(offer_price, [*supply_fees, *demand_fees]))
        case mode, rule:
            raise CaseRefusedError(f"no fee path by mode {mode!r} and rule {rule!r}")
