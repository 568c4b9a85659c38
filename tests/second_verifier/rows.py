"""The rows under the roots of a run and of a clearing, and of a book: docs/spec/state.md."""

from dataclasses import dataclass

from tests.second_verifier.encoding import MalformedError

_POSITION_HEAD = 53
_AREA_HEAD = 36


def u32(row: bytes, at: int) -> int:
    return int.from_bytes(row[at : at + 4], "little")


def i64(row: bytes, at: int) -> int:
    return int.from_bytes(row[at : at + 8], "little", signed=True)


def _columns(row: bytes, head: int) -> tuple[int, ...]:
    if len(row) < head or (len(row) - head) % 8:
        raise MalformedError("a row that has not the length of its layout")
    return tuple(i64(row, at) for at in range(head, len(row), 8))


@dataclass(frozen=True)
class Position:
    row: int
    quality: int
    start: tuple[int, int]  # registers: import, export
    end: tuple[int, int]
    import_wh: int
    export_wh: int
    columns: tuple[int, ...]  # the contract's

    @property
    def energies(self) -> tuple[int, int]:
        return self.import_wh, self.export_wh


def read_position(row: bytes) -> Position:
    columns = _columns(row, _POSITION_HEAD)
    start_import, end_import, start_export, end_export, import_wh, export_wh = (i64(row, at) for at in range(5, 53, 8))
    start, end = (start_import, start_export), (end_import, end_export)
    return Position(u32(row, 0), row[4], start, end, import_wh, export_wh, columns)


@dataclass(frozen=True)
class AreaResult:
    number: int
    rules: bytes
    columns: tuple[int, ...]


def read_area_result(row: bytes) -> AreaResult:
    return AreaResult(u32(row, 0), row[4:36], _columns(row, _AREA_HEAD))


@dataclass(frozen=True)
class Cleared:
    """What the clearing of one area decided."""

    number: int
    orders: int
    volume_wh: int
    has_price: int
    price_micro_per_kwh: int
    rules: bytes
    book_root: bytes
    fills_root: bytes


def read_cleared(row: bytes) -> Cleared:
    return Cleared(u32(row, 0), u32(row, 4), i64(row, 8), row[16], i64(row, 17), row[25:57], row[57:89], row[89:121])


@dataclass(frozen=True)
class Fill:
    party: int
    counter: int
    side: int
    quantity_wh: int
    price_micro_per_kwh: int
    filled_wh: int


def read_fill(row: bytes) -> Fill:
    return Fill(u32(row, 0), u32(row, 4), row[8], i64(row, 9), i64(row, 17), i64(row, 25))


@dataclass(frozen=True)
class BookRow:
    rank: int
    side: int
    quantity_wh: int
    price_micro_per_kwh: int
    filled_wh: int


def read_book_row(row: bytes) -> BookRow:
    if len(row) != 29:
        raise MalformedError("a book row that has not the length of its layout")
    return BookRow(u32(row, 0), row[4], i64(row, 5), i64(row, 13), i64(row, 21))
