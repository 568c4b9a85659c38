"""What the ledger calls of settlement: protocols, and the rows of their answers.

``ledger`` never imports ``settlement``; the composition root (``gridledger``) passes in contracts, keyed by their id, and
statements. Mypy checks that what is passed in fits (``tests/unit/settlement``). This module loads no numpy at run time, so
that a gateway may import it.

All columns of one call have the same number of rows n. A contract is pure: same input, same result, on every machine.
It ends in a result, in its kit's ``ContractError`` (the input is refused) or in its kit's invariant error (stops the node).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Int64Column = NDArray[np.int64]
    Int8Column = NDArray[np.int8]

BUY = 0
"""``side`` of an order that buys."""
SELL = 1
"""``side`` of an order that sells."""


class ClearingLike(Protocol):
    """The result of one gate."""

    @property
    def volume_wh(self) -> int:
        """Energy that changes hands: the sum of the buy fills, and of the sell fills."""

    @property
    def price_micro_per_kwh(self) -> int | None:
        """The one price of every fill; None exactly when the volume is 0."""

    @property
    def filled_wh(self) -> Int64Column:
        """int64[n], row by row beside the orders; 0 where an order got nothing."""


class LineLike(Protocol):
    """One kind of statement line, for every party at once."""

    @property
    def kind(self) -> str:
        """trade_buy, trade_sell, residual_import, surplus, residual_export, shortfall, network_traded, network_residual, levy."""

    @property
    def account(self) -> str:
        """The counter-account: clearing, supplier, balance, offtaker, network or levy."""

    @property
    def price_micro_per_kwh(self) -> int:
        """The price as the rules state it (a line that credits the party has the same sign of price)."""

    @property
    def energy_wh(self) -> Int64Column:
        """int64[n] >= 0. A line exists for a party exactly where this is positive."""

    @property
    def amount_nano(self) -> Int64Column:
        """int64[n] = plus or minus energy x price; positive: the party owes the counter-account."""


class SlotSettlementLike(Protocol):
    """The result of settling one slot."""

    @property
    def lines(self) -> Sequence[LineLike]:
        """The nine kinds in their fixed order. Raises the kit's ContractError where an amount leaves int64."""

    @property
    def pays_nano(self) -> Int64Column:
        """int64[n]: the sum of each party's lines; positive: the party owes."""

    @property
    def supplier_only_nano(self) -> Int64Column:
        """int64[n]: what the same metered energy would have cost with the supplier alone."""

    @property
    def residual_import_wh(self) -> Int64Column:
        """int64[n], signed: import - bought."""

    @property
    def residual_export_wh(self) -> Int64Column:
        """int64[n], signed: export - sold."""

    @property
    def accounts_nano(self) -> Mapping[str, int]:
        """What each counter-account receives (negative: pays), Python integers; "clearing" is always 0."""


class Contract(Protocol):
    """A market and settlement contract, versioned by id (``p2p_call_auction/1``)."""

    @property
    def contract_id(self) -> str:
        """Name and version, separated by a slash."""

    def clear(
        self,
        side: Int8Column,
        quantity_wh: Int64Column,
        price_micro_per_kwh: Int64Column,
        *,
        reference_price_micro_per_kwh: int | None,
        rationing: str,
        sequence: Int64Column | None = None,
    ) -> ClearingLike:
        """Clear one gate. Rows ascend by the UTF-8 bytes of the order id: the row number breaks ties.

        ``side`` BUY or SELL; ``quantity_wh`` > 0; prices of any sign; ``rationing`` "pro_rata" or "time"; ``sequence``
        (arrival) is read with "time" alone.
        """

    def settle(
        self,
        import_wh: Int64Column,
        export_wh: Int64Column,
        bought_wh: Int64Column,
        sold_wh: Int64Column,
        *,
        trade_price_micro_per_kwh: int | None,
        prices: Mapping[str, int],
    ) -> SlotSettlementLike:
        """Settle one slot: metered import and export (never netted), then what each party bought and sold.

        ``trade_price_micro_per_kwh`` may be None where nothing was traded; ``prices`` holds the keys of the ``[prices]``
        table of ``rules.toml`` (``residual_price_micro_per_kwh`` ...).
        """


class StatementLine(NamedTuple):
    """One line of one party's statement. ``energy_wh`` > 0; ``amount_nano`` > 0: the party owes ``account``."""

    party: str
    line_kind: str
    energy_wh: int
    price_micro_per_kwh: int
    amount_nano: int
    account: str


class Posting(NamedTuple):
    """What is debited and credited to one account; both >= 0, at least one of them positive."""

    account: str
    debit_nano: int
    credit_nano: int


class SlotPostings(NamedTuple):
    """The double entry of some parties of one slot: their own postings in row order, the counter-accounts' by name."""

    parties: Sequence[Posting]
    accounts: Sequence[Posting]


class SlotTotal(NamedTuple):
    """What a party pays for one slot (negative: receives), and what the supplier alone would have asked for."""

    party: str
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
    """The sums of a party's positions; ``saving_nano`` = supplier only - pays, negative where trading cost more."""

    party: str
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    pays_nano: int
    supplier_only_nano: int
    saving_nano: int


class Statements(Protocol):
    """Settled slots as people read them. ``parties`` name neighbouring rows of a settlement; ``first``: row of the first."""

    def lines(self, settlement: SlotSettlementLike, parties: Sequence[str], first: int) -> Sequence[StatementLine]:
        """Statement lines, by party, then in the contract's order of kinds; one exactly where energy is positive."""

    def postings(self, settlement: SlotSettlementLike, parties: Sequence[str], first: int) -> SlotPostings:
        """Both sides of the book over these lines, summed by account and never netted."""

    def slot_totals(self, settlement: SlotSettlementLike, parties: Sequence[str], first: int) -> Sequence[SlotTotal]:
        """One total a party."""

    def day_totals(self, slots: Iterable[Positions], parties: Sequence[str]) -> Sequence[DayTotal]:
        """One total a party over ``slots``, whose columns have one row a party."""
