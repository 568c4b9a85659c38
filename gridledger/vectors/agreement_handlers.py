"""``bilateral_agreements/1``, ``schedules_and_deviations/1`` (docs/spec/mechanisms.md): one slot by the contracts of these names."""

from __future__ import annotations

import numpy as np

from gridcore.registry.agreement import BASES, DIFFERENCE
from gridledger.vectors.cases import CaseInput, CaseRefusedError, by_name, check_unique, csv_integers
from ledger.contract import Agreements
from ledger.one_group import one_group
from settlement.contract_kit_1 import TRADER_PRICE_KEYS
from settlement.contracts import bilateral_agreements_1, schedules_and_deviations_1

_COLUMNS = (
    "agreement", "basis", "seller", "buyer", "quantity_wh", "share_ppm", "price_micro_per_kwh",
    "reference_micro_per_kwh",
)  # fmt: skip
_ABSENT = {"quantity_wh": "-1", "share_ppm": "-1", "reference_micro_per_kwh": "0"}
"""In place of an empty field."""


def agreements_of_slot(case: CaseInput) -> dict[str, object]:
    """Points and agreements are brought into the order of their names."""
    imported = case.integer_table("import_wh")
    points = by_name(imported)
    exported = case.named_integers("export_wh", points)
    rows = sorted(case.csv("agreements", _COLUMNS), key=lambda row: row["agreement"].encode("utf-8"))
    names = [row["agreement"] for row in rows]
    check_unique(names, "agreement")
    agreed, energy_wh = bilateral_agreements_1.agree(
        np.zeros(len(points), dtype=np.int64),
        np.array([imported[point] for point in points], dtype=np.int64),
        np.array(exported, dtype=np.int64),
        _columns(rows, {point: place for place, point in enumerate(points)}),
    )
    columns = {name: dict(zip(points, column.tolist(), strict=True)) for name, column in agreed._asdict().items()}
    return {"energy_wh": dict(zip(names, energy_wh.tolist(), strict=True)), **columns}


def schedules_of_slot(case: CaseInput) -> dict[str, object]:
    """Energy and amount of each kind of line, by point; and what each account receives."""
    imported, prices = case.integer_table("import_wh"), case.integer_table("prices")
    points, keys = by_name(imported), {key.removesuffix("_micro_per_kwh") for key in TRADER_PRICE_KEYS}
    if prices.keys() != keys:
        raise CaseRefusedError(f"prices are {', '.join(sorted(keys))}, each once")
    rows = sorted(case.csv("agreements", _COLUMNS), key=lambda row: row["agreement"].encode("utf-8"))
    check_unique([row["agreement"] for row in rows], "agreement")
    energies = [imported[point] for point in points], case.named_integers("export_wh", points)
    import_wh, export_wh = (np.array(column, dtype=np.int64) for column in energies)
    of_rules = {f"{key}_micro_per_kwh": price for key, price in prices.items()}
    slot = one_group(of_rules, import_wh, export_wh, import_wh * 0, import_wh * 0)
    agreements = _columns(rows, {point: place for place, point in enumerate(points)})
    contract = schedules_and_deviations_1.CONTRACT
    settled = contract.settle(slot._replace(agreements=agreements), trade_prices_micro_per_kwh=[None], terms=[{}])
    kept = settled.columns
    shown = slot._replace(bought_wh=kept["bought_wh"], sold_wh=kept["sold_wh"])
    lines = contract.lines(shown, kept, trade_prices_micro_per_kwh=[None], terms=[{}])
    energy, amount = (
        {line.kind: dict(zip(points, getattr(line, name).tolist(), strict=True)) for line in lines}
        for name in ("energy_wh", "amount_nano")
    )
    received = {account: of_groups[0] for account, of_groups in settled.received_nano.items()}
    return {"energy_wh": energy, "amount_nano": amount, "received_nano": received}


def _columns(rows: list[dict[str, str]], places: dict[str, int]) -> Agreements:
    """Refused where a point or a basis is not known; empty fields say nothing."""
    filled = [{**row, **{name: word for name, word in _ABSENT.items() if not row[name]}} for row in rows]
    for number, row in enumerate(filled, start=1):
        if row["basis"] not in BASES:
            raise CaseRefusedError(f"row {number}: unknown basis {row['basis']!r}")
        if not {row["seller"], row["buyer"]} <= places.keys():
            raise CaseRefusedError(f"row {number}: seller or buyer is no point of import_wh")
    sides = ([places[row[side]] for row in filled] for side in ("seller", "buyer"))
    numbers = (csv_integers(filled, name) for name in _COLUMNS[4:])
    columns = (*sides, [int(row["basis"] == DIFFERENCE) for row in filled], *numbers)
    return Agreements(*(np.array(column, dtype=np.int64) for column in columns))
