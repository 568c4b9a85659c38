"""A folder's data and the runs that a ledger would keep of it: the contract itself settles slot by slot, as the ledger has it do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridledger.settling.dataset import (
    Counts,
    Dataset,
    EstimateTerms,
    FileRules,
    InvoiceTerms,
    Orders,
    PartyTariff,
    PointRow,
    TariffFrom,
    parties_of,
)
from gridledger.settling.run_columns import RunColumns
from ledger.contract import Agreements, Period, SlotRows, Tariffs, TradeAmounts
from settlement.catalogue import CONTRACTS
from settlement.tariffs.components import Component

SLOT_S = 900
FIRST_S = 1_782_489_600  # 27 June 2026, 00:00 in Shanghai
PRICES = {
    "residual_price_micro_per_kwh": 460_000,
    "feed_in_price_micro_per_kwh": 280_000,
    "network_traded_micro_per_kwh": 120_000,
    "network_residual_micro_per_kwh": 180_000,
    "levy_micro_per_kwh": 40_000,
}
Grid = NDArray[np.int64]
Places = NDArray[np.int64]


class Handed(NamedTuple):
    """What a ledger hands a contract beside what was metered in a slot of an area: fields of ``SlotRows``, and the price of the gate."""

    bought_wh: Grid | None = None
    sold_wh: Grid | None = None
    trade_price_micro_per_kwh: int | None = None
    amounts: TradeAmounts | None = None
    period: Period | None = None
    agreements: Agreements | None = None


NOTHING = Handed()


def dataset_of(
    import_wh: Grid,
    export_wh: Grid,
    points: Sequence[PointRow],
    *,
    tariff: Sequence[Component] = (),
    invoice: InvoiceTerms | None = None,
    contract: str = "mid_market_rate/1",
    terms: Mapping[str, Any] | None = None,
) -> Dataset:
    """A folder under a contract without orders, its terms beside the prices; energies int64[slots, points]."""
    slots = len(import_wh)
    empty = np.zeros(0, dtype=np.int64)
    rules = FileRules(
        prices=PRICES,
        contract=contract,
        terms=terms or {},
        gate_before_start_s=0,
        metering_deadline_s=0,
        invoice=invoice or InvoiceTerms(),
        estimate=EstimateTerms(),
        tariff=tariff,
    )
    return Dataset(
        slot_start_s=FIRST_S + SLOT_S * np.arange(slots),
        slot_s=SLOT_S,
        timezone="Asia/Shanghai",
        points=points,
        import_wh=import_wh,
        export_wh=export_wh,
        quality=np.zeros(import_wh.shape, dtype=np.uint8),
        series=(),
        keys=(),
        orders=Orders(empty, (), (), empty.astype(np.int8), empty, empty),
        rules=rules,
        inputs=(),
        counts=Counts(import_wh.size, 0, 0),
    )


def tariffs_of(dataset: Dataset) -> dict[str, PartyTariff]:
    """What a folder's rules charge each party, as a ledger has it that nothing was registered in afterwards."""
    rules = dataset.rules
    return {
        party: PartyTariff(
            [one for one in rules.tariff if not one.parties or party in one.parties], [TariffFrom(0, rules.invoice)]
        )
        for party in sorted(parties_of(dataset.points))
    }


def runs_of(
    dataset: Dataset,
    run: str = "initial",
    slots: Sequence[int] | None = None,
    *,
    handed: Callable[[int, Places], Handed] | None = None,
    **changed: Grid,
) -> Iterator[RunColumns]:
    """Every area's run of every slot, or of some; ``changed``: other energies than the folder's, for a correction.

    handed: what there is beside meters, by slot and the places of an area's points; None for nothing.
    """
    contract = CONTRACTS[dataset.rules.contract]
    imports, exports = changed.get("import_wh", dataset.import_wh), changed.get("export_wh", dataset.export_wh)
    for slot in range(len(imports)) if slots is None else slots:
        for area in sorted({point.area for point in dataset.points}):
            rows = np.array([at for at, point in enumerate(dataset.points) if point.area == area], dtype=np.int64)
            none = np.zeros(rows.size, dtype=np.int64)
            prices = {key: np.array([price]) for key, price in dataset.rules.prices.items()}
            tariffs = Tariffs(np.zeros(1, dtype=np.int64), none, prices)
            imported, exported = imports[slot, rows], exports[slot, rows]
            terms: dict[str, Any] = {"prices": dataset.rules.prices, **dataset.rules.terms}
            of_points = dict.fromkeys(contract.point_terms, none - 1)
            more = NOTHING if handed is None else handed(slot, rows)
            bought, sold = (none if column is None else column for column in (more.bought_wh, more.sold_wh))
            of_slot = SlotRows(
                none, imported, exported, bought, sold, tariffs, of_points, more.amounts, more.period, more.agreements
            )
            settled = contract.settle(
                of_slot,
                trade_prices_micro_per_kwh=[more.trade_price_micro_per_kwh],
                terms=[terms],
            )
            yield RunColumns(
                area=area,
                slot_start_s=int(dataset.slot_start_s[slot]),
                run=run,
                height=slot + 1,
                contract_id=contract.contract_id,
                rows=rows,
                columns={"import_wh": imported, "export_wh": exported, **settled.columns},
                quality=dataset.quality[slot, rows],
                trade_price_micro_per_kwh=more.trade_price_micro_per_kwh,
                terms=terms,
                tariffs=tariffs,
            )
