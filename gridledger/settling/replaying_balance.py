"""The balance of a folder computed again from what its ledger keeps, compared with its files row by row, and each entry with plain sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.errors import UsageError
from gridledger.settling.area_slots import slot_histories
from gridledger.settling.balance import BASIS, BalanceBasis, BalanceTable, balance_tables
from gridledger.settling.balance_books import up_to
from gridledger.settling.balance_derivation import first_differing
from gridledger.settling.documents import StatedRow
from gridledger.settling.files.fault import FilesError, fault
from gridledger.settling.files.fields import integers
from gridledger.settling.files.table import Header, Table
from gridledger.settling.replaying_documents import Differing
from ledger.store.offline import reading
from ledger.store.reader import LedgerReader
from settlement.area_balance import Entry, SlotHistory, area_balance
from settlement.catalogue import CONTRACTS

_TIME_S_MAX: Final = 253_402_300_799
_RIGHT: Final = "make the balance again"


class BalanceAgain(NamedTuple):
    """How much was computed again. differing: the first row that is not the same; underived: the first entry that plain sums do not give."""

    area: str
    slots: int
    entries: int
    differing: Differing | None
    underived: Entry | None

    @property
    def is_same(self) -> bool:
        """Whether all of it is."""
        return self.differing is None and self.underived is None


def balance_again(folder: Path, data_dir: Path, guard: Path | None) -> BalanceAgain:
    """Of a folder that ``settle balance`` has made. UsageError where it is none, or of another ledger; FilesError for files that are damaged."""
    basis = read_basis(folder)
    with reading(data_dir, CONTRACTS, guard) as reader:
        _check_basis(reader, basis, folder, data_dir)
        found = slot_histories(reader, basis.area, basis.from_s, basis.until_s)
        histories = [one for one in (up_to(history, basis.height) for history in found) if one.known]
    balance = area_balance(basis.area, histories)
    differing = (_first_differing(folder, table) for table in balance_tables({basis.area: balance}))
    return BalanceAgain(
        area=basis.area,
        slots=len(histories),
        entries=len(balance.entries),
        differing=next((one for one in differing if one is not None), None),
        underived=_first_underived(basis.area, histories, balance.entries),
    )


def read_basis(folder: Path) -> BalanceBasis:
    """Of which slots and blocks a folder is. UsageError where ``settle balance`` has not made it."""
    if not (folder / BASIS).is_file():
        raise UsageError(f"--balance {folder}: holds no {BASIS}; name a folder that settle balance has made")
    try:
        rows = list(_bases(folder))
        if len(rows) != 1:
            raise fault(BASIS, f"holds {len(rows)} rows, not one", _RIGHT)
    except FilesError as error:
        raise FilesError(f"{folder}/{error}") from None
    return rows[0]


def _bases(folder: Path) -> Iterator[BalanceBasis]:
    for block in Table(folder / BASIS, Header(BalanceBasis._fields)).blocks():
        columns = block.columns
        numbers = (integers(columns[name], 0, _TIME_S_MAX).tolist() for name in ("from_s", "until_s", "height"))
        texts = (columns[name].texts() for name in ("chain", "area", "digest"))
        for chain, area, digest, from_s, until_s, height in zip(*texts, *numbers, strict=True):
            yield BalanceBasis(chain, area, from_s, until_s, height, digest)


def _check_basis(reader: LedgerReader, basis: BalanceBasis, folder: Path, data_dir: Path) -> None:
    """UsageError unless the ledger is the one of a folder."""
    where = f"--data {data_dir}"
    if reader.chain != basis.chain:
        raise UsageError(f"{where}: is chain {reader.chain}; the balance of {folder} is of {basis.chain}")
    if reader.height < basis.height:
        raise UsageError(f"{where}: is at height {reader.height}, the balance of {folder} is of height {basis.height}")
    if reader.digest(basis.height).hex() != basis.digest:
        raise UsageError(f"{where}: its block {basis.height} is another one than that of {folder}/{BASIS}")


def _first_differing(folder: Path, table: BalanceTable) -> Differing | None:
    """The first row of a file that is not what the ledger gives."""
    computed = [tuple(map(str, row)) for row in table.rows]
    for stated, row in zip_longest(_stated_rows(folder, table), computed):
        if stated is None:
            return Differing(table.file, None, None, row)
        if stated.fields != row:
            return Differing(table.file, stated.number, stated.fields, row)
    return None


def _stated_rows(folder: Path, table: BalanceTable) -> Iterator[StatedRow]:
    """The rows of a file as they stand there. FilesError for what ``settle balance`` does not write."""
    if not (folder / table.file).is_file():
        raise UsageError(f"--balance {folder}: holds no {table.file}; {_RIGHT}")
    try:
        for block in Table(folder / table.file, Header(table.columns)).blocks():
            texts = [block.columns[column].texts() for column in table.columns]
            for number, *fields in zip(block.row.tolist(), *texts, strict=True):
                yield StatedRow(number, tuple(fields))
    except FilesError as error:
        raise FilesError(f"{folder}/{error}") from None


def _first_underived(area: str, histories: Sequence[SlotHistory], entries: Sequence[Entry]) -> Entry | None:
    """The first entry that plain sums over what is known do not give."""
    of_slot: dict[int, list[Entry]] = {}
    for entry in entries:
        of_slot.setdefault(entry.slot_start_s, []).append(entry)
    found = (first_differing(area, history, of_slot.get(history.slot_start_s, [])) for history in histories)
    return next((one for one in found if one is not None), None)
