"""Handlers about energy shared after the fact and the totals of an invoice: they call functions of ``settlement``."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from gridledger.vectors.cases import CaseInput, CaseRefusedError, by_name, check_int64, rational
from settlement.contract_kit_1 import CommunityContract, Groups, Int64Column, Nets, share
from settlement.contracts import bill_sharing_1, mid_market_rate_1, sharing_keys_1, supply_demand_ratio_1
from settlement.invoicing.total import InvoiceTotal, invoice_total

PPM = 1_000_000
PRICE_KEYS = ("retail_price_micro_per_kwh", "feed_in_price_micro_per_kwh")


def invoice(case: CaseInput) -> dict[str, object]:
    """``invoice_total/1``."""
    total = invoice_total(
        case.integers("lines_nano"), case.integer("tax_ppm"), case.integer("quantum_nano"), case.text("rounding")
    )
    return _invoice_output(total)


def invoice_by_rates(case: CaseInput) -> dict[str, object]:
    """``invoice_taxes/1``: a rate below 0 stands for no tax."""
    lines_nano, said = case.integers("lines_nano"), case.integers("rates_ppm")
    if len(lines_nano) != len(said) or min(said, default=0) < -1:
        raise CaseRefusedError(f"{len(lines_nano)} lines and {len(said)} rates, each -1 for no tax or at least 0")
    rates_ppm = [None if rate == -1 else rate for rate in said]
    total = invoice_total(lines_nano, rates_ppm, case.integer("quantum_nano"), case.text("rounding"))
    return {**_invoice_output(total), "taxes": [list(one) for one in total.taxes]}


def _invoice_output(total: InvoiceTotal) -> dict[str, object]:
    amounts = {key: getattr(total, key) for key in ("net", "tax", "gross", "rounding_nano")}
    return {"lines": list(total.lines), **amounts}


def sharing_keys(case: CaseInput) -> dict[str, object]:
    """``sharing_keys/1``: by the contract of that name, consumers brought into the order of their names."""
    table, production_wh, method = (
        case.integer_table("consumption_wh"),
        case.integer("production_wh"),
        case.text("method"),
    )
    consumers = by_name(table)
    consumption_wh = np.array([table[consumer] for consumer in consumers], dtype=np.int64)
    groups = Groups(np.zeros(len(consumers), dtype=np.int64), 1)
    keys = _keys(case, method, consumers)
    allocated_wh = sharing_keys_1.allocate(groups, [production_wh], consumption_wh, method=method, keys=keys)
    residual_wh = consumption_wh - allocated_wh
    return {
        "allocated_wh": dict(zip(consumers, allocated_wh.tolist(), strict=True)),
        "surplus_wh": production_wh - sum(allocated_wh.tolist()),
        "residual_wh": dict(zip(consumers, residual_wh.tolist(), strict=True)),
    }


def _keys(case: CaseInput, method: str, consumers: list[str]) -> Int64Column:
    """The key of each consumer that the method looks at; refused where the keys share more than there is."""
    if method not in sharing_keys_1.METHODS:
        raise CaseRefusedError(f"unknown method {method!r}")
    if method == "dynamic":
        return np.zeros(len(consumers), dtype=np.int64)
    if method == "priority":
        return np.array(case.named_integers("priority", consumers), dtype=np.int64)
    keys = case.named_integers("key_ppm", consumers)
    if sum(keys) > PPM:
        raise CaseRefusedError(f"the keys sum to {sum(keys)} ppm, above {PPM}")
    return np.array(keys, dtype=np.int64)


def mid_market_rate(case: CaseInput) -> dict[str, object]:
    """``mid_market_rate/1``."""
    return _share(case, mid_market_rate_1.CONTRACT)


def supply_demand_ratio(case: CaseInput) -> dict[str, object]:
    """``supply_demand_ratio/1``."""
    return _share(case, supply_demand_ratio_1.CONTRACT)


def _share(case: CaseInput, contract: CommunityContract) -> dict[str, object]:
    """One slot by the rule of a contract, members brought into the order of their names."""
    net_wh = case.integer_table("net_wh")
    members = by_name(net_wh)
    communities = share(
        contract.rule,
        Groups(np.zeros(len(members), dtype=np.int64), 1),
        np.array([net_wh[member] for member in members], dtype=np.int64),
        *([case.integer(key)] for key in PRICE_KEYS),
    )
    (totals,) = communities.totals
    grid_nano = totals.buyers_nano - totals.sellers_nano
    output = _amounts(members, communities.community_nano.tolist(), grid_nano)
    for key, price in (("price_sell", totals.price_sell), ("price_buy", totals.price_buy)):
        if price is not None:
            output[key] = rational(Fraction(*price))
    return output


def bill(case: CaseInput) -> dict[str, object]:
    """``bill_sharing/1``: all slots at once, members brought into the order of their names."""
    slots = case.integer_tables("slots")
    members = by_name({member for slot in slots for member in slot})
    net_wh = np.array([[slot.get(member, 0) for member in members] for slot in slots], dtype=np.int64)
    of_slot = np.repeat(np.arange(len(slots), dtype=np.int64), len(members))
    nets = Nets.of(Groups(of_slot, len(slots)), net_wh.reshape(-1))
    prices = [[case.integer(key)] * len(slots) for key in PRICE_KEYS]
    exchanged = bill_sharing_1.exchange(nets, *prices)
    cost_nano, income_nano = sum(exchanged.cost_nano), sum(exchanged.income_nano)
    shared = bill_sharing_1.share_bill(
        Groups(np.zeros(len(members), dtype=np.int64), 1),
        _member_sums(nets.deficit_wh, len(members)),
        _member_sums(nets.surplus_wh, len(members)),
        [cost_nano],
        [income_nano],
    )
    return {
        **_amounts(members, (shared.paid_nano - shared.earned_nano).tolist(), cost_nano - income_nano),
        "import_wh": sum(exchanged.import_wh),
        "export_wh": sum(exchanged.export_wh),
    }


def _member_sums(side_wh: Int64Column, members: int) -> Int64Column:
    """int64[members]: the sums over all slots; CaseRefusedError where one does not fit."""
    rows = zip(*side_wh.reshape(-1, members).tolist(), strict=True) if members else ()
    return np.array([check_int64(sum(row), "the sum of a member") for row in rows], dtype=np.int64)


def _amounts(members: Iterable[str], pays_nano: Iterable[int], grid_receives_nano: int) -> dict[str, object]:
    return {"pays_nano": dict(zip(members, pays_nano, strict=True)), "grid_receives_nano": grid_receives_nano}
