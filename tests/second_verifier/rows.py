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
    trades: int  # 0 where there is one price for all
    trades_root: bytes  # empty there


def read_cleared(row: bytes) -> Cleared:
    trades = u32(row, 121) if len(row) > 121 else 0
    roots = row[57:89], row[89:121]
    return Cleared(
        u32(row, 0), u32(row, 4), i64(row, 8), row[16], i64(row, 17), row[25:57], *roots, trades, row[125:157]
    )


@dataclass(frozen=True)
class Fill:
    party: int
    counter: int
    side: int
    quantity_wh: int
    price_micro_per_kwh: int
    filled_wh: int
    amount_nano: int | None  # of its trades; None where there is one price for all
    all_or_none: bool
    wanted: tuple[
        int, ...
    ]  # under conditional_bid/1 its bid, choice, kinds and seller, under grid_fee_path its place, under p2p_call_auction/2 its arrival, else nothing
    fee_nano: int | None  # under grid_fee_path/1


def read_fill(row: bytes) -> Fill:
    side, is_whole = _side(row[8])
    amount_nano = i64(row, 33) if len(row) not in (33, 37) else None
    fee_nano = i64(row, 41) if len(row) == 53 else None
    start = 33 if amount_nano is None else 41 if fee_nano is None else 49
    wanted = tuple(u32(row, at) for at in range(start, len(row), 4))
    wide = i64(row, 9), i64(row, 17), i64(row, 25)
    return Fill(u32(row, 0), u32(row, 4), side, *wide, amount_nano, is_whole, wanted, fee_nano)


def _side(value: int) -> tuple[int, bool]:
    """Of a side byte: 0 buys, 1 sells, the same and 2 as a whole or not at all; any other is no side."""
    return (value % 2, value > 1) if value < 4 else (value, False)


@dataclass(frozen=True)
class TradeRow:
    buyer: tuple[int, int]  # party, counter
    seller: tuple[int, int]
    energy_wh: int
    price_micro_per_kwh: int
    fee_micro_per_kwh: int | None


def read_trade(row: bytes) -> TradeRow:
    fee = i64(row, 32) if len(row) > 32 else None
    return TradeRow((u32(row, 0), u32(row, 4)), (u32(row, 8), u32(row, 12)), i64(row, 16), i64(row, 24), fee)


@dataclass(frozen=True)
class BookRow:
    rank: int
    side: int
    quantity_wh: int
    price_micro_per_kwh: int
    filled_wh: int
    until_rank: int  # before which it was withdrawn; 0 where orders do not rank by arrival
    all_or_none: bool
    wanted: tuple[int, ...]


def read_book_row(row: bytes, size: int, *, by_arrival: bool) -> BookRow:
    if len(row) != size:
        raise MalformedError("a book row that has not the length of its layout")
    tail = tuple(u32(row, at) for at in range(29, size, 4))
    until_rank, wanted = (tail[0], ()) if by_arrival else (0, tail)
    side, is_whole = _side(row[4])
    return BookRow(u32(row, 0), side, i64(row, 5), i64(row, 13), i64(row, 21), until_rank, is_whole, wanted)
