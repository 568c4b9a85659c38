"""What the ledger calls of settlement: protocols, and the rows of their answers.

``ledger`` never imports ``settlement``; the composition root (``gridledger``) passes in contracts, keyed by their id, and
statements. Mypy checks that what is passed in fits (``tests/unit/settlement``). This module loads no numpy at run time, so
that a gateway may import it.

All columns of one call have the same number of rows n. A contract is pure: same input, same result, on every machine.
It ends in a result, in its kit's ``ContractError`` (the input is refused) or in its kit's invariant error (stops the node).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Int64Column = NDArray[np.int64]
    Int8Column = NDArray[np.int8]

BUY = 0
"""``side`` of an order that buys."""
SELL = 1
"""``side`` of an order that sells."""


class Tariffs(NamedTuple):
    """Which prices hold where. prices: by key int64[tariffs], micro per kWh; of_group, of_row: int64, each a place in these columns.

    of_group: the area's in the slot. of_row: those of each row, which are its group's unless its point has rules of its own.
    """

    of_group: Int64Column
    of_row: Int64Column
    prices: Mapping[str, Int64Column]


class TradeAmounts(NamedTuple):
    """What rows paid and got in trades that have prices of their own: int64[n] nano, of either sign as prices are. fee_nano: what they paid
    beyond it for the way of what they bought, under a contract with such fees.
    """

    bought_nano: Int64Column
    sold_nano: Int64Column
    fee_nano: Int64Column | None = None


class Period(NamedTuple):
    """The period of each group of rows, a month of the calendar, for contracts that have ``period_columns``.

    start_s: UTC seconds; closes: whether it ends with the group's slot. Where one does: what the other slots of the period have come to, columns: by
    name int64[n], the contract's ``period_columns``; area_columns: by name one value a group, its ``period_area_columns``; nothing by
    any name where none does.
    """

    start_s: Sequence[int]
    closes: Sequence[bool]
    columns: Mapping[str, Int64Column]
    area_columns: Mapping[str, Sequence[int]]


class Agreements(NamedTuple):
    """Bilateral agreements that hold between rows of one group, columns int64[m], in the order in which energy goes to them: by name.

    seller, buyer: rows; is_difference: 1 where money alone moves, else 0; quantity_wh of the slot, or share_ppm of the seller's export: the other one is
    -1; price_micro_per_kwh: in the slot, of a difference the strike; reference_micro_per_kwh: of a difference, else 0.
    """

    seller: Int64Column
    buyer: Int64Column
    is_difference: Int64Column
    quantity_wh: Int64Column
    share_ppm: Int64Column
    price_micro_per_kwh: Int64Column
    reference_micro_per_kwh: Int64Column


class SlotRows(NamedTuple):
    """Points that are settled together, columns int64[n]; those of one group share a slot and an area.

    group: of each row, a place in the lists that stand beside the rows, which have one item a group. import_wh, export_wh: metered, never
    netted. bought_wh, sold_wh: what each party's orders got; where lines are asked for, what the run keeps. point_terms: by the
    contract's ``point_terms`` what the registry says of each point, -1 where it says nothing. amounts: for contracts that trade in pairs,
    None for the others, and where lines are asked for. period: None for contracts without. agreements: for contracts that take some, None
    for the others, and where lines are asked for.
    """

    group: Int64Column
    import_wh: Int64Column
    export_wh: Int64Column
    bought_wh: Int64Column
    sold_wh: Int64Column
    tariffs: Tariffs
    point_terms: Mapping[str, Int64Column]
    amounts: TradeAmounts | None = None
    period: Period | None = None
    agreements: Agreements | None = None


class TradesLike(Protocol):
    """Trades between two orders of one gate, in the order in which they were made: columns int64[m]."""

    @property
    def buy(self) -> Int64Column:
        """The row of the order that buys."""

    @property
    def sell(self) -> Int64Column:
        """The row of the order that sells."""

    @property
    def energy_wh(self) -> Int64Column:
        """What changes hands: positive."""

    @property
    def price_micro_per_kwh(self) -> Int64Column:
        """At which price: within the limits of both orders."""


class ClearingLike(Protocol):
    """The result of one gate."""

    @property
    def volume_wh(self) -> int:
        """Energy that changes hands: the sum of the buy fills, and of the sell fills."""

    @property
    def price_micro_per_kwh(self) -> int | None:
        """The one price of every fill; None where nothing is traded, and where trades have prices of their own."""

    @property
    def filled_wh(self) -> Int64Column:
        """int64[n], row by row beside the orders; 0 where an order got nothing."""

    @property
    def trades(self) -> TradesLike | None:
        """What the fills come from, under a contract that trades in pairs; None under the others."""

    @property
    def fees_micro_per_kwh(self) -> Int64Column | None:
        """int64[trades]: what buyers pay for the way of each kWh beyond the price of the trade; None under a contract without such fees."""


class LineKindLike(Protocol):
    """One kind of statement line, as a contract declares it."""

    @property
    def kind(self) -> str:
        """Its name: the word of statements and bundles."""

    @property
    def account(self) -> str:
        """The counter-account: one of the contract's ``accounts``."""

    @property
    def sign(self) -> int:
        """+1 where a positive price makes the party owe, -1 where it is owed."""

    @property
    def price(self) -> str | None:
        """Where the price comes from: a key of the rules' prices, the gate's price, or None for a line without a price."""


class LineLike(Protocol):
    """One kind of statement line, for every party at once."""

    @property
    def kind(self) -> str:
        """One of the contract's line kinds."""

    @property
    def account(self) -> str:
        """The counter-account."""

    @property
    def price_micro_per_kwh(self) -> int | Int64Column | None:
        """The price as rules or gate state it: one for all, or int64[n] where rows have prices of their own.

        None where the line has an amount and no price of its own.
        """

    @property
    def energy_wh(self) -> Int64Column:
        """int64[n] >= 0. A line exists for a party exactly where this is positive."""

    @property
    def amount_nano(self) -> Int64Column:
        """int64[n]; positive: the party owes the counter-account. Where there is a price: plus or minus energy x price."""


class SettlementLike(Protocol):
    """The result of settling some groups of rows, each a slot of an area."""

    @property
    def columns(self) -> Mapping[str, Int64Column]:
        """The contract's position columns by name, in its order, int64[n]. All contracts have those of ``Positions``."""

    @property
    def area_columns(self) -> Mapping[str, Sequence[int]]:
        """The contract's area columns by name, in its order: one value a group."""

    @property
    def received_nano(self) -> Mapping[str, Sequence[int]]:
        """What each of the contract's accounts receives (negative: pays), one Python integer a group."""


class Contract(Protocol):
    """A market and settlement contract, versioned by id (``p2p_call_auction/1``). It owns its words: the ledger knows none."""

    @property
    def contract_id(self) -> str:
        """Name and version, separated by a slash."""

    @property
    def takes_orders(self) -> bool:
        """Whether parties trade by orders before the gate."""

    @property
    def trades_in_pairs(self) -> bool:
        """Whether a gate comes to trades between two orders, each at a price of its own, and not to one price for all."""

    @property
    def ranks_by_arrival(self) -> bool:
        """Whether the orders of a gate rank as they came: block height, transaction id, place in a batch; else by the bytes of their ids."""

    @property
    def line_kinds(self) -> Sequence[LineKindLike]:
        """The kinds of lines; a line row on the chain holds the number of its kind in this order (at most 256)."""

    @property
    def accounts(self) -> Sequence[str]:
        """The counter-accounts, in the order in which their leaves are made; no party of an area may have such a name."""

    @property
    def supplier_keys(self) -> Sequence[str]:
        """The prices that a kWh from the supplier alone is made of."""

    @property
    def position_columns(self) -> Sequence[str]:
        """What is kept of each row of a settled slot beside its registers: names of int64 columns."""

    @property
    def area_columns(self) -> Sequence[str]:
        """Sums over an area that its lines rest on, kept with the run; none for most contracts."""

    @property
    def point_terms(self) -> Sequence[str]:
        """What it asks the registry of each point: names of ``SlotRows.point_terms``; none for most contracts."""

    @property
    def order_terms(self) -> Sequence[str]:
        """What it asks of each order beside side, quantity and limit (``ledger.state.order_terms``); nothing for most contracts."""

    @property
    def takes_agreements(self) -> bool:
        """Whether it settles what parties have agreed between two points (``SlotRows.agreements``)."""

    @property
    def period_columns(self) -> Sequence[str]:
        """Position columns that are summed over a period for its last slot (``Period``); none for contracts that settle each slot for itself.

        Such a contract has the area column ``period_start_s``.
        """

    @property
    def period_area_columns(self) -> Sequence[str]:
        """Area columns that are summed so."""

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with an area's terms, in words; "" where nothing is.

        ``terms``: the rules without their timeline. ``prices`` among them is a map of text to whole numbers of micro per
        kWh, which the ledger has checked.
        """

    def exposure_micro_per_kwh(
        self, side: Int8Column, price_micro_per_kwh: Int64Column, *, prices: Mapping[str, int]
    ) -> Int64Column:
        """int64[n] >= 0, at most 2 x 10^9: the most that a kWh of each order can make its party owe, whatever is metered.

        ``price_micro_per_kwh``: limits, -10^9 to 10^9; ``prices``: of the area's terms, without fault.
        """

    def clear(
        self,
        side: Int8Column,
        quantity_wh: Int64Column,
        price_micro_per_kwh: Int64Column,
        *,
        terms: Mapping[str, Any],
        until_rank: Int64Column | None = None,
        order_terms: Mapping[str, Int64Column] | None = None,
    ) -> ClearingLike:
        """Clear one gate. Rows ascend by the UTF-8 bytes of the order id, or by arrival: the row number breaks ties.

        ``side`` BUY or SELL; ``quantity_wh`` > 0; prices of any sign; ``terms`` without fault. ``until_rank`` under a contract that ranks by
        arrival: the row before whose arrival each order was withdrawn, n for one that was not; None under the others. ``order_terms``: by
        the contract's ``order_terms`` what each order says beside this; None under a contract that asks for nothing.
        """

    def settle(
        self,
        rows: SlotRows,
        *,
        trade_prices_micro_per_kwh: Sequence[int | None],
        terms: Sequence[Mapping[str, Any]],
    ) -> SettlementLike:
        """Settle some groups of rows, each a slot of an area.

        ``trade_prices_micro_per_kwh``: of each gate, micro per kWh; may be None where nothing was traded. ``terms``: of each group,
        without fault and without ``prices``: these are the rows' tariffs.
        """

    def lines(
        self,
        rows: SlotRows,
        columns: Mapping[str, Int64Column],
        *,
        trade_prices_micro_per_kwh: Sequence[int | None],
        terms: Sequence[Mapping[str, Any]],
    ) -> Sequence[LineLike]:
        """The lines of settled rows, in the contract's order: they follow from what is kept of the rows, any of each group.

        ``columns``: position columns of these rows; the rest as in ``settle``.
        """


class LineWords(NamedTuple):
    """What people read about a kind of line, by language: its title, and what its energy is."""

    title: Mapping[str, str]
    energy: Mapping[str, str]


class Vocabulary(NamedTuple):
    """What people read about a contract, by language: its kinds of lines, accounts and prices, each by name.

    ``not_checked``: what a verifier of its bundles says it has not checked, by the English text.
    """

    line_kinds: Mapping[str, LineWords]
    accounts: Mapping[str, Mapping[str, str]]
    prices: Mapping[str, Mapping[str, str]]
    not_checked: Sequence[Mapping[str, str]]


class Billed(NamedTuple):
    """A point, and the party that is billed for it."""

    party: str
    point: str


class StatementLine(NamedTuple):
    """One line of the statement of one point of a party. ``energy_wh`` > 0; ``amount_nano`` > 0: the party owes ``account``.

    ``price_micro_per_kwh`` None: the line has no price of its own.
    """

    party: str
    point: str
    line_kind: str
    energy_wh: int
    price_micro_per_kwh: int | None
    amount_nano: int
    account: str


class Posting(NamedTuple):
    """What is debited and credited to one account; both >= 0, at least one of them positive."""

    account: str
    debit_nano: int
    credit_nano: int


class SlotPostings(NamedTuple):
    """The double entry of some points of one slot: those of their parties in row order, the counter-accounts' by name."""

    parties: Sequence[Posting]
    accounts: Sequence[Posting]


class SlotTotal(NamedTuple):
    """What a party pays for a point and one slot (negative: receives), and what the supplier alone would have asked for."""

    party: str
    point: str
    pays_nano: int
    supplier_only_nano: int


class Positions(NamedTuple):
    """What one slot came to, as columns int64[n]: metered, traded, and the two totals of money."""

    import_wh: Int64Column
    export_wh: Int64Column
    bought_wh: Int64Column
    sold_wh: Int64Column
    pays_nano: Int64Column
    supplier_only_nano: Int64Column


class DayTotal(NamedTuple):
    """The sums of a point's positions; ``saving_nano`` = supplier only - pays, negative where trading cost more.

    ``not_taken_wh``: what was bought beyond the import, ``not_fed_in_wh``: sold beyond the export. Both are summed slot by slot: what one
    slot took too little is not set off against what another took too much.
    """

    party: str
    point: str
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    pays_nano: int
    supplier_only_nano: int
    saving_nano: int
    not_taken_wh: int
    not_fed_in_wh: int

    def plus(self, other: DayTotal) -> DayTotal:
        """The sums of both, of one point and party."""
        return DayTotal(*self[:2], *(one + more for one, more in zip(self[2:], other[2:], strict=True)))


class KindTotal(NamedTuple):
    """All lines of one kind: how many, and their sums."""

    line_kind: str
    lines: int
    energy_wh: int
    amount_nano: int

    def plus(self, other: KindTotal) -> KindTotal:
        """The sums of this kind over both."""
        return KindTotal(self.line_kind, *(one + more for one, more in zip(self[1:], other[1:], strict=True)))


class Statements(Protocol):
    """Settled slots as people read them. ``lines`` of a contract, with one row for each of ``billed``."""

    def vocabulary(self, contract_id: str) -> Vocabulary:
        """What people read about a contract."""

    def lines(self, lines: Sequence[LineLike], billed: Sequence[Billed]) -> Sequence[StatementLine]:
        """Statement lines, by row, then in the contract's order of kinds; one exactly where energy is positive."""

    def postings(self, lines: Sequence[LineLike], billed: Sequence[Billed]) -> SlotPostings:
        """Both sides of the book over these lines, summed by account and never netted."""

    def kind_totals(self, lines: Sequence[LineLike]) -> Sequence[KindTotal]:
        """The lines of each kind, also of those of which there are none, in the contract's order."""

    def kind_totals_by(
        self, lines: Sequence[LineLike], place: Int64Column, places: int
    ) -> Sequence[Sequence[KindTotal]]:
        """The same of the rows of each place, of those kinds of which there is a line; place: int64[n], of each row 0 ... places - 1."""

    def slot_totals(self, positions: Positions, billed: Sequence[Billed]) -> Sequence[SlotTotal]:
        """One total a row."""

    def day_totals(self, slots: Iterable[Positions], billed: Sequence[Billed]) -> Sequence[DayTotal]:
        """One total a row over ``slots``."""
