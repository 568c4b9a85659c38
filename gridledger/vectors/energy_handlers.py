"""Handlers about registers, markets and settlement: they call the code that the edge and the ledger run."""

from __future__ import annotations

from math import floor

import numpy as np

from firmware_profiles.decode import decode_register
from gridledger.vectors.cases import (
    INT64_MAX,
    INT64_MIN,
    CaseInput,
    CaseRefusedError,
    check_unique,
    csv_integers,
    rational,
)
from ledger.leaves.money import Money
from ledger.one_group import one_group
from ledger.state.all_or_none import clear_rounds
from ledger.state.postings import difference_posting
from settlement.contract_kit_1 import BUY, SELL, Int8Column, Int64Column
from settlement.contracts import p2p_call_auction_2
from settlement.contracts.p2p_call_auction_1 import CONTRACT, PRICE_KEYS, PRO_RATA, TIME, Clearing, clear
from settlement.interval_energy import interval_energy

TRADE_PRICE_KEY = "trade_price_micro_per_kwh"
_ORDER_COLUMNS = ("order_id", "participant", "side", "quantity_wh", "price_micro_per_kwh", "sequence")
_ROW_COLUMNS = ("participant", "import_wh", "export_wh", "bought_wh", "sold_wh")
_SIDES = {"buy": BUY, "sell": SELL}
_YES_NO = {"yes": 1, "no": 0}


def register_decode(case: CaseInput) -> dict[str, object]:
    """``register_decode/1``."""
    nan = case.integers("nan") if case.has("nan") else []
    words, type_name, order, scale = case.integers("words"), case.text("type"), case.text("order"), case.text("scale")
    value = decode_register(words, type_name, order, scale, nan)
    if value is None:
        return {"missing": True}
    output: dict[str, object] = {"value": rational(value)}
    register_wh = floor(value)
    if INT64_MIN <= register_wh <= INT64_MAX:
        output["register_wh"] = register_wh
    return output


def interval_energy_of_files(case: CaseInput) -> dict[str, object]:
    """``interval_energy/1``."""
    return _interval_energy(case, sets_aside=False)


def interval_energy_of_ledger(case: CaseInput) -> dict[str, object]:
    """``interval_energy/2``."""
    return _interval_energy(case, sets_aside=True)


def _interval_energy(case: CaseInput, *, sets_aside: bool) -> dict[str, object]:
    series = case.integers("registers_wh"), case.integer("modulus_wh"), case.integer("limit_wh")
    result = interval_energy(*series, sets_aside=sets_aside)
    return {
        "energy_wh": list(result.energy_wh),
        "quality": list(result.quality),
        "advances": [list(advance) for advance in result.advances],
    }


def call_auction(case: CaseInput) -> dict[str, object]:
    """``call_auction/1``: by the contract ``p2p_call_auction/1``, rows brought into the order of their ids."""
    reference_key = "reference_price_micro_per_kwh"
    rows, columns, sequence = _gate(case)
    clearing = clear(
        *columns,
        reference_price_micro_per_kwh=case.integer(reference_key) if case.has(reference_key) else None,
        rationing=case.text("rationing") if case.has("rationing") else TIME,
        sequence=sequence,
    )
    return _cleared(rows, clearing)


def auction_by_terms(case: CaseInput) -> dict[str, object]:
    """``call_auction/2``: by the contract ``p2p_call_auction/2``, which comes to know when orders came by ``sequence``."""
    rows, columns, sequence = _gate(case)
    terms: dict[str, object] = {"rationing": case.text("rationing")}
    terms |= {key: case.integer(key) for key in ("price_k_ppm", "reference_price_micro_per_kwh") if case.has(key)}
    if fault := p2p_call_auction_2.CONTRACT.fault_of({"prices": dict.fromkeys(PRICE_KEYS, 0), **terms}):
        raise CaseRefusedError(fault)
    return _cleared(rows, p2p_call_auction_2.CONTRACT.clear(*columns, terms=terms, order_terms={"arrival": sequence}))


def _gate(case: CaseInput) -> tuple[list[dict[str, str]], tuple[Int8Column, Int64Column, Int64Column], Int64Column]:
    """The rows of a case's orders by the bytes of their ids; side, quantity and limit; and their sequence."""
    rows = case.csv("orders", _ORDER_COLUMNS)
    check_unique((row["order_id"] for row in rows), "order_id")
    rows.sort(key=lambda row: row["order_id"].encode("utf-8"))
    for row in rows:
        if row["side"] not in _SIDES:
            raise CaseRefusedError(f"side {row['side']!r} of order {row['order_id']} is neither buy nor sell")
    columns = (
        np.array([_SIDES[row["side"]] for row in rows], dtype=np.int8),
        np.array(csv_integers(rows, "quantity_wh"), dtype=np.int64),
        np.array(csv_integers(rows, "price_micro_per_kwh"), dtype=np.int64),
    )
    return rows, columns, np.array(csv_integers(rows, "sequence"), dtype=np.int64)


def _cleared(rows: list[dict[str, str]], clearing: Clearing) -> dict[str, object]:
    output: dict[str, object] = {
        "volume_wh": clearing.volume_wh,
        "filled_wh": {
            row["order_id"]: filled for row, filled in zip(rows, clearing.filled_wh.tolist(), strict=True) if filled
        },
    }
    if clearing.price_micro_per_kwh is not None:
        output["price_micro_per_kwh"] = clearing.price_micro_per_kwh
    return output


def block_auction(case: CaseInput) -> dict[str, object]:
    """``block_auction/1``: the ledger's rounds around the contract ``p2p_call_auction/1``, pro rata."""
    rows = case.csv("orders", ("order_id", "side", "quantity_wh", "price_micro_per_kwh", "all_or_none"))
    check_unique((row["order_id"] for row in rows), "order_id")
    rows.sort(key=lambda row: row["order_id"].encode("utf-8"))
    for row in rows:
        if row["side"] not in _SIDES or row["all_or_none"] not in _YES_NO:
            raise CaseRefusedError(f"order {row['order_id']}: side is buy or sell, all_or_none yes or no")
    side = np.array([_SIDES[row["side"]] for row in rows], dtype=np.int8)
    quantity_wh = np.array(csv_integers(rows, "quantity_wh"), dtype=np.int64)
    price = np.array(csv_integers(rows, "price_micro_per_kwh"), dtype=np.int64)
    key = "reference_price_micro_per_kwh"
    reference = case.integer(key) if case.has(key) else None

    def auction(left: Int64Column) -> Clearing:
        own = (side[left], quantity_wh[left], price[left])
        return clear(*own, reference_price_micro_per_kwh=reference, rationing=PRO_RATA)

    all_or_none = np.array([_YES_NO[row["all_or_none"]] for row in rows], dtype=np.int64)
    cleared = clear_rounds(auction, quantity_wh, all_or_none)
    ids = [rows[at]["order_id"] for at in cleared.rows.tolist()]
    pairs = zip(ids, cleared.result.filled_wh.tolist(), strict=True)
    output: dict[str, object] = {
        "volume_wh": cleared.result.volume_wh,
        "filled_wh": {order_id: filled for order_id, filled in pairs if filled},
    }
    if cleared.result.price_micro_per_kwh is not None:
        output["price_micro_per_kwh"] = cleared.result.price_micro_per_kwh
    return output


def slot_settlement(case: CaseInput) -> dict[str, object]:
    """``slot_settlement/1``: by the contract ``p2p_call_auction/1``."""
    rows = case.csv("rows", _ROW_COLUMNS)
    participants = [row["participant"] for row in rows]
    check_unique(participants, "participant")
    energies = [np.array(csv_integers(rows, column), dtype=np.int64) for column in _ROW_COLUMNS[1:]]
    slot = one_group({key: case.integer(key) for key in PRICE_KEYS}, *energies)
    trade_prices = [case.integer(TRADE_PRICE_KEY)]
    settled = CONTRACT.settle(slot, trade_prices_micro_per_kwh=trade_prices, terms=[{}])
    lines = CONTRACT.lines(slot, settled.columns, trade_prices_micro_per_kwh=trade_prices, terms=[{}])
    energy_wh = {line.kind: line.energy_wh for line in lines}
    columns = {
        "residual_import_wh": energy_wh["residual_import"] - energy_wh["surplus"],
        "residual_export_wh": energy_wh["residual_export"] - energy_wh["shortfall"],
        "pays_nano": settled.columns["pays_nano"],
        "supplier_only_nano": settled.columns["supplier_only_nano"],
    }
    output: dict[str, object] = {
        key: dict(zip(participants, column.tolist(), strict=True)) for key, column in columns.items()
    }
    # the clearing account stands between buyers and sellers and always ends at 0: the format does not list it
    output["accounts_nano"] = {
        account: received for account, (received,) in settled.received_nano.items() if account != "clearing"
    }
    return output


def difference_posting_case(case: CaseInput) -> dict[str, object]:
    """``difference_posting/1``."""
    runs = [{account: Money.of([amount]) for account, amount in run.items()} for run in case.integer_tables("runs")]
    postings = [difference_posting(*pair) for pair in zip([{}, *runs], runs, strict=False)]
    return {"postings": [{account: amount.total_nano for account, amount in posted.items()} for posted in postings]}
