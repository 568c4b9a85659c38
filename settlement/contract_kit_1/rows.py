"""The rows that a contract settles together, and the prices of each; what the ledger hands in has this form (``ledger.contract``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from settlement.contract_kit_1.columns import Int64Column, Price, check_column
from settlement.contract_kit_1.errors import ContractError
from settlement.contract_kit_1.groups import Groups
from settlement.contract_kit_1.period import PeriodLike


class TariffsLike(Protocol):
    """Which prices hold where."""

    @property
    def of_group(self) -> Int64Column:
        """int64[groups]: places in the columns of ``prices``."""

    @property
    def of_row(self) -> Int64Column:
        """int64[n]: places in the columns of ``prices``."""

    @property
    def prices(self) -> Mapping[str, Int64Column]:
        """By key int64[tariffs], micro per kWh."""


class AmountsLike(Protocol):
    """What rows traded for, int64[n] nano."""

    @property
    def bought_nano(self) -> Int64Column:
        """What the energy cost that they bought."""

    @property
    def sold_nano(self) -> Int64Column:
        """What the energy brought that they sold."""

    @property
    def fee_nano(self) -> Int64Column | None:
        """What buyers pay beyond it for the way of the energy; None under a contract without such fees."""


class AgreementsLike(Protocol):
    """Bilateral agreements between rows of one group, columns int64[m], in the order in which energy goes to them."""

    @property
    def seller(self) -> Int64Column:
        """Rows."""

    @property
    def buyer(self) -> Int64Column:
        """Rows."""

    @property
    def is_difference(self) -> Int64Column:
        """1 where money alone moves, else 0."""

    @property
    def quantity_wh(self) -> Int64Column:
        """Of the slot, -1 where there is a share."""

    @property
    def share_ppm(self) -> Int64Column:
        """Of the seller's export, -1 where there is a quantity."""

    @property
    def price_micro_per_kwh(self) -> Int64Column:
        """Of the energy; of a difference the strike."""

    @property
    def reference_micro_per_kwh(self) -> Int64Column:
        """Of a difference; else 0."""


class RowsLike(Protocol):
    """Points that are settled together, columns int64[n]; those of one group share a slot and an area."""

    @property
    def group(self) -> Int64Column:
        """The group of each row."""

    @property
    def import_wh(self) -> Int64Column:
        """Metered import."""

    @property
    def export_wh(self) -> Int64Column:
        """Metered export."""

    @property
    def bought_wh(self) -> Int64Column:
        """What the party's orders bought; where lines are asked for, what is kept."""

    @property
    def sold_wh(self) -> Int64Column:
        """What the party's orders sold; where lines are asked for, what is kept."""

    @property
    def tariffs(self) -> TariffsLike:
        """The prices of each row."""

    @property
    def point_terms(self) -> Mapping[str, Int64Column]:
        """What the registry says of each point, -1 where it says nothing."""

    @property
    def amounts(self) -> AmountsLike | None:
        """What the trades of the rows came to, for contracts whose gates come to trades; None for the others."""

    @property
    def period(self) -> PeriodLike | None:
        """For contracts that sum over periods; None for the others."""

    @property
    def agreements(self) -> AgreementsLike | None:
        """For contracts that settle agreements; None for the others, and where lines are asked for."""


def check_rows(rows: RowsLike, count: int) -> Groups:
    """The groups of the rows, ``count`` in all; ContractError for a column of another length and for a negative energy."""
    groups = Groups(rows.group, count)
    for name in ("import_wh", "export_wh", "bought_wh", "sold_wh"):
        check_column(getattr(rows, name), name, length=rows.group.size, minimum=0)
    return groups


def prices_of_rows(rows: RowsLike, keys: Sequence[str]) -> dict[str, Price]:
    """The price of each row by key; ContractError unless the tariffs hold exactly ``keys``."""
    return _prices_at(rows.tariffs, rows.tariffs.of_row, keys)


def prices_of_groups(rows: RowsLike, keys: Sequence[str]) -> dict[str, list[int]]:
    """The price of each group by key; ContractError unless the tariffs hold exactly ``keys``."""
    count = rows.tariffs.of_group.size
    at = _prices_at(rows.tariffs, rows.tariffs.of_group, keys)
    return {key: [price] * count if isinstance(price, int) else price.tolist() for key, price in at.items()}


def _prices_at(tariffs: TariffsLike, places: Int64Column, keys: Sequence[str]) -> dict[str, Price]:
    for key in keys:
        if key not in tariffs.prices:
            raise ContractError(f"prices lack {key}")
    for key in sorted(tariffs.prices):
        if key not in keys:
            raise ContractError(f"unknown price {key}: the prices are {', '.join(keys)}")
    count = next((column.size for column in tariffs.prices.values()), 0)
    for key, column in tariffs.prices.items():
        check_column(column, key, length=count)
    check_column(places, "tariff", length=places.size, minimum=0)
    if places.size and int(places.max()) >= count:
        raise ContractError(f"a row is of tariff {int(places.max())}, there are {count}")
    return {key: _price_at(column, places) for key, column in tariffs.prices.items()}


def _price_at(column: Int64Column, places: Int64Column) -> Price:
    """The price at each place; the one price itself where all tariffs have it."""
    return int(column[0]) if column.size and int(column.min()) == int(column.max()) else column[places]
