"""The files of the balances of areas: what crossed their borders, what their grids lost, and what losses and imbalances come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from settlement.area_balance import AreaBalance

FILES: Final = ("balance.csv", "borders.csv", "balance_entries.csv", "balance_accounts.csv")
"""What ``write_balances`` makes."""
BASIS: Final = "balance_ledger.csv"


class BalanceBasis(NamedTuple):
    """The one row of ``BASIS``: of which slots a folder's balance is, and up to which block; digest: of that."""

    chain: str
    area: str
    from_s: int
    until_s: int
    height: int
    digest: str


class BalanceTable(NamedTuple):
    """A file of a balance: its name, columns and rows."""

    file: str
    columns: Sequence[str]
    rows: Sequence[Sequence[int | str]]


def balance_tables(balances: Mapping[str, AreaBalance]) -> Iterator[BalanceTable]:
    """``FILES`` as tables: each row begins with its area."""
    from settlement.area_balance import AccountTotal, BalanceLine, CrossingLine, Entry

    records: tuple[Any, ...] = (BalanceLine, CrossingLine, Entry, AccountTotal)
    for place, (name, record) in enumerate(zip(FILES, records, strict=True)):
        rows = [
            [area, *("" if value is None else value for value in row)]
            for area, balance in balances.items()
            for row in balance[place]
        ]
        yield BalanceTable(name, ("area", *record._fields), rows)


def write_balances(folder: Path, balances: Mapping[str, AreaBalance]) -> None:
    """Make ``FILES`` in a folder."""
    from gridledger.tables.files import write_rows

    for table in balance_tables(balances):
        write_rows(folder / table.file, table.columns, table.rows)
