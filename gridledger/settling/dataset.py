"""What a folder of files says, as columns: made by ``settling.files``, settled by the ledger, printed by the results.

All that the files may hold wrong has been refused before one of these exists. Times are UTC seconds, energies whole Wh,
prices micro-currency per kWh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import GridError, broken
from gridcore.registry.agreement import Agreement
from gridcore.registry.balance_terms import BalanceTerms
from gridcore.registry.point import BORDER_ROLES
from gridcore.registry.run_calendar import RunCalendar
from gridledger.settling.partners import Partners
from settlement.contract_kit_1 import Int8Column, Int64Column
from settlement.tariffs.charges import SlotPrices, Sold, Way
from settlement.tariffs.components import Component
from settlement.tariffs.taxes import RateFrom, rate_on
from settlement.validation import Thresholds

if TYPE_CHECKING:
    from ledger.gates import ShownOrder

_COUNTER_DIGITS_MAX: Final = 9
LIMIT_WH_MAX: Final = 10**9
"""The most that a point can import or export in a slot (1 GWh), and its limit where ``points.csv`` has none."""


EnergyGrid = NDArray[np.int64] | NDArray[np.int32]
"""Energies of slots and points; an energy of a slot fits 32 bits (``LIMIT_WH_MAX``)."""
ROLE: Final = "household"
"""Of every point at which somebody is billed."""


class PointRow(NamedTuple):
    """A point, who is billed for it, and its area: names. limit_wh: the most a slot can hold; modulus_wh: 0 for none.

    later: who is billed from when on (UTC seconds, where a slot starts), ascending; before the first of them it is ``party``. grid_place,
    energy_kind, exchange_area, balance_responsible_...: as of ``Point``, voltage_level: of ``GridConnection``, None where the file says nothing. role: ``ROLE``, or that of a
    border of the area, at which nobody is billed: party is "". partners: whom it names in all slots.
    """

    point: str
    party: str
    area: str
    limit_wh: int = LIMIT_WH_MAX
    modulus_wh: int = 0
    later: Sequence[tuple[int, str]] = ()
    grid_place: int | None = None
    energy_kind: str | None = None
    role: str = ROLE
    exchange_area: str | None = None
    balance_responsible_import: str | None = None
    balance_responsible_export: str | None = None
    voltage_level: str | None = None
    partners: Partners = Partners()

    @property
    def is_border(self) -> bool:
        """Whether it measures what crosses the border of its area."""
        return self.role in BORDER_ROLES

    @property
    def parties(self) -> Sequence[str]:
        """Everybody who is ever billed for it, each once; nobody at a border."""
        return [] if self.is_border else list(dict.fromkeys([self.party, *(party for _, party in self.later)]))

    def party_at(self, time_s: int) -> str:
        """Who is billed for it in the slot that starts then."""
        return next((party for from_s, party in reversed(self.later) if from_s <= time_s), self.party)


def parties_of(points: Sequence[PointRow]) -> set[str]:
    """Everybody who is ever billed for some points."""
    return {party for point in points for party in point.parties}


class SeriesRows(NamedTuple):
    """A price that varies: from each ``start_s`` (int64[n], ascending) on it is ``price_micro_per_kwh`` (int64[n], any sign).

    key: a name of the rules' prices; for one ``area`` or one ``point``, for all where both are None. Of several that fit a
    row, that of its point counts before that of its area, and that before the one for all. Before its first start the
    next wider one holds, at last the rules' own price.
    """

    key: str
    area: str | None
    point: str | None
    start_s: Int64Column
    price_micro_per_kwh: Int64Column


class KeyRow(NamedTuple):
    """A point's sharing key: a share in millionths or a priority (the other None), from ``valid_from_s`` on (None: always)."""

    point: str
    share_ppm: int | None
    priority: int | None
    valid_from_s: int | None


class ReactiveRow(NamedTuple):
    """Reactive energy of a point from ``from_s`` to before ``until_s`` (UTC seconds, where slots start): taken, and given back, varh."""

    point: str
    from_s: int
    until_s: int
    reactive_varh: int
    returned_varh: int


class OrderConditions(NamedTuple):
    """What orders ask for as conditions of bids (``gridcore.transactions.order_batch.Wanted``), beside them.

    choice int64[n]: the place among the conditions of its bid; energy_kinds int64[n]: a bit each, 0 of an order that is no condition;
    seller: the name of a party, "" for any; bid_wh int64[n]: the largest quantity of its bid.
    """

    choice: Int64Column
    energy_kinds: Int64Column
    seller: Sequence[str]
    bid_wh: Int64Column

    def take(self, at: slice) -> OrderConditions:
        """Those of some orders."""
        return OrderConditions(self.choice[at], self.energy_kinds[at], self.seller[at], self.bid_wh[at])


NEVER: Final = -1
"""When an order was withdrawn that was not."""


class OrderTimes(NamedTuple):
    """When orders came, and when each was withdrawn, NEVER for one that was not, both int64[n] on one scale of which only the order counts.

    What is withdrawn at a time is withdrawn before what comes at that time. Of what comes at one time limit orders come first, by the number of the
    party on the chain and their counter; then those that are all or none, by their ids.
    """

    arrival: Int64Column
    cancelled_at: Int64Column

    def take(self, at: slice | Int64Column) -> OrderTimes:
        """Those of some orders."""
        return OrderTimes(self.arrival[at], self.cancelled_at[at])


class Orders(NamedTuple):
    """Orders by slot, then by the bytes of their ids. slot: index into ``slot_start_s``; side: BUY or SELL of the contracts.

    ``quantity_wh`` > 0; ``price_micro_per_kwh``: the limit, any sign. All columns int64[n], side int8[n].
    conditions: None where no order is a condition of a bid; all_or_none: bool[n], None where each may be filled in part; times: None where nobody
    says when they came: all at once.
    """

    slot: Int64Column
    order: Sequence[str]
    party: Sequence[str]
    side: Int8Column
    quantity_wh: Int64Column
    price_micro_per_kwh: Int64Column
    conditions: OrderConditions | None = None
    all_or_none: NDArray[np.bool_] | None = None
    times: OrderTimes | None = None

    @property
    def traders(self) -> set[str]:
        """Everybody who has an order."""
        return set(self.party)

    @property
    def how_many(self) -> int:
        """How many orders there are."""
        return len(self.slot)

    def of_slot(self, slot: int, slot_start_s: int) -> SlotOrders:
        """Those of one slot. GridError for an order whose id has no counter."""
        first, end = np.searchsorted(self.slot, [slot, slot + 1]).tolist()
        at, conditions = slice(first, end), self.conditions
        return SlotOrders(
            party=self.party[at],
            counter=np.array([counter_of(name) for name in self.order[at]], dtype=np.int64),
            side=self.side[at],
            quantity_wh=self.quantity_wh[at],
            price_micro_per_kwh=self.price_micro_per_kwh[at],
            conditions=None if conditions is None else conditions.take(at),
            all_or_none=None if self.all_or_none is None else self.all_or_none[at],
            times=None if self.times is None else self.times.take(at),
        )

    @property
    def has_times(self) -> bool:
        """Whether it is told when orders came."""
        return self.times is not None

    @property
    def signers(self) -> set[str]:
        """Who signs orders of its own: an order that is all or none goes into no batch."""
        if self.all_or_none is None:
            return set()
        return {self.party[at] for at in np.flatnonzero(self.all_or_none).tolist()}


class SlotOrders(NamedTuple):
    """Orders of one slot by the bytes of their ids. counter: int64[n], the last part of each id; the rest as of ``Orders``."""

    party: Sequence[str]
    counter: Int64Column
    side: Int8Column
    quantity_wh: Int64Column
    price_micro_per_kwh: Int64Column
    conditions: OrderConditions | None = None
    all_or_none: NDArray[np.bool_] | None = None
    times: OrderTimes | None = None


class OrdersBySlot(Protocol):
    """The orders of a dataset, of which those of one slot are held at once."""

    @property
    def traders(self) -> AbstractSet[str]:
        """Everybody who has an order."""
        ...

    @property
    def has_times(self) -> bool:
        """Whether it is told when orders came."""
        ...

    @property
    def signers(self) -> AbstractSet[str]:
        """Who signs orders of its own."""
        ...

    @property
    def how_many(self) -> int:
        """How many orders there are."""
        ...

    def of_slot(self, slot: int, slot_start_s: int) -> SlotOrders:
        """Those of one slot, by its place and its start. GridError for an order whose id has no counter."""
        ...


class ClearedGate(NamedTuple):
    """What the gate of a slot, by its place in the dataset, came to. By area: the price, None without one price for all; all orders, by their ids."""

    slot: int
    price_micro_per_kwh: Mapping[str, int | None]
    orders: Mapping[str, Sequence[ShownOrder]]


def counter_of(order: str) -> int:
    """The counter at the end of an order's id; GridError where it has none."""
    counter = order.rpartition("/")[2]
    if not counter.isascii() or not counter.isdigit() or len(counter) > _COUNTER_DIGITS_MAX:
        raise GridError(f"orders.csv: order {order!r}: <party>/<slot_start_s>/<counter>, with a counter of 1 to 16")
    return int(counter)


class AgreementRow(NamedTuple):
    """An agreement of two points, from ``valid_from_s`` (None: always) to before ``valid_until_s`` (None: for ever)."""

    name: str
    agreement: Agreement
    valid_from_s: int | None
    valid_until_s: int | None


class BalanceRules(NamedTuple):
    """``[balance]``: the terms of every area's balance, with the names that the file gives to series; series: their prices for all, from the first slot on."""

    terms: BalanceTerms
    series: Sequence[SeriesRows] = ()


class InvoiceTerms(NamedTuple):
    """``[invoice]``: the currency, the tax on net, the smallest amount of an invoice, and how it is rounded.

    later_rates: what the tax is from later days on, of a month's documents; ascending.
    """

    currency: str = "CNY"
    tax_ppm: int = 0
    quantum_nano: int = 10_000_000
    rounding: str = "half_up_away"
    later_rates: Sequence[RateFrom] = ()

    def rate_on(self, day: int) -> int:
        """The rate of tax on a local day (``date.toordinal``)."""
        return rate_on([RateFrom(0, self.tax_ppm), *self.later_rates], day)


class TariffFrom(NamedTuple):
    """By which terms a party's invoices are made from a local day on (``date.toordinal``). tariff: its name in the registry."""

    day: int
    terms: InvoiceTerms
    tariff: str = ""


class PartyTariff(NamedTuple):
    """What a party is charged by the month. terms: ascending by day, at least one; prices: of the slots, by the price series that components name.

    levels: of the party's points by name, the voltage level from each of some times on (UTC seconds, ascending), where a component asks for it; ways: of ``Usage``;
    sellers: for each way and level of it a point that the first who sold there has at that level, "" where no point was billed to him. reactive: of its points by name, where a component asks for a power factor: spans that do not overlap.
    """

    components: Sequence[Component]
    terms: Sequence[TariffFrom]
    prices: Mapping[str, SlotPrices] = {}
    levels: Mapping[str, Sequence[tuple[int, str]]] = {}
    ways: Mapping[Way, Int64Column] = {}
    sellers: Mapping[Sold, str] = {}
    reactive: Mapping[str, Sequence[ReactiveRow]] = {}

    @property
    def rates(self) -> Sequence[RateFrom]:
        """The rates of the tariff's tax."""
        return [RateFrom(one.day, one.terms.tax_ppm) for one in self.terms]

    def terms_of(self, first_day: int) -> InvoiceTerms:
        """Those of the month that begins on this day: in force then, or the first ones where none is yet; the tax by days."""
        terms = next((one.terms for one in reversed(self.terms) if one.day <= first_day), self.terms[0].terms)
        return terms._replace(later_rates=tuple(one for one in self.rates if one.day > first_day))


class EstimateTerms(NamedTuple):
    """``[estimate]``: how missing energy is estimated, over how many earlier days, and what holds where that tells nothing."""

    method: str = "zero_marked"
    reference_days: int = 4
    fallback: str = "zero_marked"


class LaterPrices(NamedTuple):
    """All prices of the rules from ``from_s`` (UTC seconds, a local midnight) on, until the next ones."""

    from_s: int
    prices: Mapping[str, int]


class RunTerms(NamedTuple):
    """``[runs]``: when runs fall due, and from when on nothing changes a slot. as_of_s: up to where ledger time is to go, None: as far as needed."""

    calendar: RunCalendar
    final_after_s: int
    as_of_s: int | None = None


class FileRules(NamedTuple):
    """``rules.toml``. prices: by the contract's names, as of the first slot; terms: ``[market]`` without ``contract``, and without the prices.

    tariff: components that are charged beside the contract's lines, by month. The gate and the metering deadline are seconds before a slot's start and after its end.
    later_prices: ascending; runs: None where every change is settled at once, for ever. validation: from when on an energy is marked.
    """

    prices: Mapping[str, int]
    contract: str
    terms: Mapping[str, Any]
    gate_before_start_s: int
    metering_deadline_s: int
    invoice: InvoiceTerms
    estimate: EstimateTerms
    tariff: Sequence[Component] = ()
    later_prices: Sequence[LaterPrices] = ()
    runs: RunTerms | None = None
    validation: Thresholds = Thresholds()

    def prices_at(self, time_s: int) -> Mapping[str, int]:
        """The prices of the rules that hold at a time."""
        return next((later.prices for later in reversed(self.later_prices) if later.from_s <= time_s), self.prices)

    def price_column(self, key: str, times_s: Int64Column) -> Int64Column:
        """int64[n]: a price of the rules at each of some times."""
        column = np.full(len(times_s), self.prices[key], dtype=np.int64)
        for later in self.later_prices:
            column[times_s >= later.from_s] = later.prices[key]
        return column


class InputFile(NamedTuple):
    """A file as it was read: its name in the folder, SM3 of its bytes, and its rows (0 for what is no table)."""

    name: str
    sm3: bytes
    rows: int


class Counts(NamedTuple):
    """readings: rows that hold an energy. missing: pairs of slot and point of which the files do not tell import and export both.

    estimated: pairs whose energy is an estimate, of the files or of ours.
    """

    readings: int
    missing: int
    estimated: int


class UnusualPower(NamedTuple):
    """A point that names no limit, and its highest slot: mean power in W, where the files say it, and in which unit; how many others are like it."""

    point: str
    power_w: int
    file: str
    row: int
    unit: str
    others: int

    @property
    def words(self) -> str:
        """For a person, who may have mistaken the unit."""
        others = f" ({self.others} more like it)" if self.others else ""
        slot = f"its highest slot is {self.power_w // 1_000:,} kW ({self.file}, row {self.row})"
        return f"points.csv names no limit_kw for {self.point}{others}: {slot}; are the values in {self.unit}?"


class Dataset(NamedTuple):
    """A folder, read. Slots follow each other without a gap; points by the bytes of their names.

    ``import_wh``, ``export_wh`` int64 or int32 [slots, points] >= 0; ``quality`` uint8[slots, points]: a code of ``gridcore.quality``.
    Missing energy has been estimated: quality ESTIMATED, or MISSING with what is known (0 for what is not).
    notes: lines for a person, of files that were not read and of ``unusual``. tell_gate: told what the gate of each slot came to before the orders of
    the next one are asked for; None where they depend on no gate. references: prices for all that agreements name, beside those of the rules; tariff_series: those that components of the tariff name.
    reactive: by point, then time.
    """

    slot_start_s: Int64Column
    slot_s: int
    timezone: str
    points: Sequence[PointRow]
    import_wh: EnergyGrid
    export_wh: EnergyGrid
    quality: NDArray[np.uint8]
    series: Sequence[SeriesRows]
    keys: Sequence[KeyRow]
    orders: OrdersBySlot
    rules: FileRules
    inputs: Sequence[InputFile]
    counts: Counts
    notes: Sequence[str] = ()
    agreements: Sequence[AgreementRow] = ()
    references: Sequence[SeriesRows] = ()
    tariff_series: Sequence[SeriesRows] = ()
    balance: BalanceRules | None = None
    unusual: UnusualPower | None = None
    tell_gate: Callable[[ClearedGate], None] | None = None
    reactive: Sequence[ReactiveRow] = ()

    @property
    def all_orders(self) -> Orders:
        """The orders of a dataset that was read from files or from a ledger: it holds all of them."""
        return self.orders if isinstance(self.orders, Orders) else broken("a dataset of files holds all orders")

    def without_energies(self, points: Sequence[PointRow]) -> Dataset:
        """The same slots with some points, and nothing of their energies."""
        shape = len(self.slot_start_s), len(points)
        import_wh, export_wh = np.zeros((2, *shape), dtype=np.int64)
        quality = np.zeros(shape, dtype=np.uint8)
        return self._replace(points=points, import_wh=import_wh, export_wh=export_wh, quality=quality)
