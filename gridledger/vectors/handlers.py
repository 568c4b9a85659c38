"""The handlers this build knows, by name and version: each turns the input of a case into the output that is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gridledger.vectors import (
    agreement_handlers,
    byte_handlers,
    energy_handlers,
    estimate_handlers,
    evidence_handlers,
    frame_handlers,
    matching_handlers,
    mechanism_handlers,
    sharing_handlers,
    tariff_handlers,
)
from gridledger.vectors.cases import CaseInput
from settlement.contracts.p2p_call_auction_1 import PRICE_KEYS

Output = Mapping[str, object]
"""What a handler yields: the keys that ``[expect]`` may hold."""


@dataclass(frozen=True, slots=True)
class Handler:
    """One handler and the keys that its ``[input]`` must and may hold."""

    run: Callable[[CaseInput], Output]
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


HANDLERS: dict[str, Handler] = {
    "sm3/1": Handler(byte_handlers.sm3_digest, ("message",)),
    "sm2_verify/1": Handler(byte_handlers.sm2_verify, ("public_key", "distinguishing_id", "message", "signature")),
    "merkle_root/1": Handler(byte_handlers.merkle_root, ("leaves",)),
    "merkle_inclusion/1": Handler(byte_handlers.merkle_inclusion, ("leaf", "index", "size", "path", "root")),
    "merkle_consistency/1": Handler(
        byte_handlers.merkle_consistency, ("size_old", "root_old", "size_new", "root_new", "path")
    ),
    "salted_root/1": Handler(byte_handlers.salted_root, ("seed", "rows")),
    "cbor_canonical/1": Handler(byte_handlers.cbor_canonical, ("bytes",)),
    "register_decode/1": Handler(energy_handlers.register_decode, ("words", "type", "order", "scale"), ("nan",)),
    "interval_energy/1": Handler(energy_handlers.interval_energy_of_files, ("registers_wh", "modulus_wh", "limit_wh")),
    "interval_energy/2": Handler(energy_handlers.interval_energy_of_ledger, ("registers_wh", "modulus_wh", "limit_wh")),
    "call_auction/1": Handler(
        energy_handlers.call_auction, ("orders",), ("reference_price_micro_per_kwh", "rationing")
    ),
    "call_auction/2": Handler(
        energy_handlers.auction_by_terms, ("orders", "rationing"), ("price_k_ppm", "reference_price_micro_per_kwh")
    ),
    "block_auction/1": Handler(energy_handlers.block_auction, ("orders",), ("reference_price_micro_per_kwh",)),
    "slot_settlement/1": Handler(
        energy_handlers.slot_settlement, ("rows", energy_handlers.TRADE_PRICE_KEY, *PRICE_KEYS)
    ),
    "mid_market_rate/1": Handler(sharing_handlers.mid_market_rate, (*sharing_handlers.PRICE_KEYS, "net_wh")),
    "bundle_verify/1": Handler(evidence_handlers.bundle_verify, ("bundle",), ("trust", "book")),
    "difference_posting/1": Handler(energy_handlers.difference_posting_case, ("runs",)),
    "estimate_open/1": Handler(estimate_handlers.open_gap, ("missing", "reference_wh", "limit_wh")),
    "estimate_profile/1": Handler(
        estimate_handlers.closed_gap, ("advance_wh", "measured_wh", "missing", "reference_wh")
    ),
    "spread/1": Handler(estimate_handlers.spread_evenly, ("energy_wh", "parts")),
    "invoice_total/1": Handler(sharing_handlers.invoice, ("lines_nano", "tax_ppm", "quantum_nano", "rounding")),
    "invoice_taxes/1": Handler(
        sharing_handlers.invoice_by_rates, ("lines_nano", "rates_ppm", "quantum_nano", "rounding")
    ),
    "sharing_keys/1": Handler(
        sharing_handlers.sharing_keys, ("production_wh", "consumption_wh", "method"), ("key_ppm", "priority")
    ),
    "supply_demand_ratio/1": Handler(sharing_handlers.supply_demand_ratio, (*sharing_handlers.PRICE_KEYS, "net_wh")),
    "bill_sharing/1": Handler(sharing_handlers.bill, (*sharing_handlers.PRICE_KEYS, "slots")),
    "network_charge_by_voltage/1": Handler(
        tariff_handlers.charge_by_voltage, ("levels", "user_level", "highest_level", "energy_wh")
    ),
    "network_charge_capacity/1": Handler(
        tariff_handlers.charge_by_capacity, ("capacity_charge_nano", "capacity_w", "energy_price", "load_factor_ppm")
    ),
    "grid_fee_path/1": Handler(
        tariff_handlers.fee_path, ("mode", "rule", "offer_price", "supply_fees", "demand_fees"), ("bid_price",)
    ),
    "grid_loss/1": Handler(
        tariff_handlers.loss, ("exchange_in_wh", "exchange_out_wh", "production_wh", "consumption_wh")
    ),
    "shared_energy_incentive/1": Handler(
        tariff_handlers.shared_energy,
        ("injected_wh", "withdrawn_wh", "market_price", "base", "cap", "reference_price", "zone_addition"),
    ),
    "transmission_loss_multipliers/1": Handler(
        tariff_handlers.loss_multipliers, ("delivering_wh", "offtaking_wh", "delivering_share_ppm")
    ),
    "green_certificates/1": Handler(tariff_handlers.certificates, ("entries",)),
    "green_claim/1": Handler(tariff_handlers.claim, ("generation_wh", "load_wh")),
    "two_settlement/1": Handler(
        tariff_handlers.day_ahead_and_real_time,
        ("day_ahead_wh", "day_ahead_price", "actual_wh", "real_time_price"),
        ("contract_wh", "contract_price"),
    ),
    "deviation_penalty/1": Handler(
        tariff_handlers.penalty, ("contract_wh", "actual_wh", "price", "tolerance_ppm", "penalty_ppm", "sides")
    ),
    "deviation/1": Handler(
        tariff_handlers.deviation_of, ("metered_wh", "sold_wh", "bought_wh", "long_price", "short_price")
    ),
    "tariff_month/1": Handler(
        tariff_handlers.tariff_month,
        ("components", "party", "first_day", "slot_s", "import_wh", "export_wh", "traded_wh"),
        ("line_kinds", "billed_nano", "used_wh", "days"),
    ),
    "power_factor_adjustment/1": Handler(
        tariff_handlers.power_factor, ("active_wh", "reactive_varh", "returned_varh", "standard")
    ),
    "trade_reduction/1": Handler(mechanism_handlers.reduction, ("orders",)),
    "conditional_bid/1": Handler(
        mechanism_handlers.conditional_bid, ("conditions", "energy_wh", "limit", "seller", "energy_kind")
    ),
    "pay_as_bid/1": Handler(matching_handlers.pay_as_bid, ("orders",)),
    "pay_as_bid/2": Handler(matching_handlers.pay_as_bid, ("orders", "price_k_ppm")),
    "continuous_double_auction/2": Handler(matching_handlers.continuous_double_auction, ("orders", "price_k_ppm")),
    "continuous_double_auction/1": Handler(matching_handlers.continuous_double_auction, ("orders",)),
    "bilateral_agreements/1": Handler(agreement_handlers.agreements_of_slot, ("import_wh", "export_wh", "agreements")),
    "schedules_and_deviations/1": Handler(
        agreement_handlers.schedules_of_slot, ("import_wh", "export_wh", "agreements", "prices")
    ),
    "dlt645_frame/1": Handler(frame_handlers.dlt645_frame, ("frame",)),
}
