"""The result files by name: the columns of each, and the one digest over them (INTERFACE.md, docs/spec/results_root.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from gridcore import merkle


class RegisterRow(NamedTuple):
    """A meter's registers at a boundary, primary Wh; "" where there is none. quality: a word."""

    boundary_s: int
    meter: str
    import_wh: int | Literal[""]
    export_wh: int | Literal[""]
    quality: str


class OrderRow(NamedTuple):
    """An order as its party gave it. side: "buy" or "sell"; price_micro_per_kwh: its limit."""

    slot_start_s: int
    order: str
    party: str
    side: str
    quantity_wh: int
    price_micro_per_kwh: int


class FillRow(NamedTuple):
    """What an order got. price: the gate's; "" under a contract whose trades have prices of their own."""

    slot_start_s: int
    order: str
    filled_wh: int
    price_micro_per_kwh: int | Literal[""]


class PostingRow(NamedTuple):
    """What a slot's run debited and credited to one account."""

    slot_start_s: int
    account: str
    debit_nano: int
    credit_nano: int
    run: str


class StatementRow(NamedTuple):
    """A line of a party's bill. price: "" where it has none; amount_nano: positive where the party owes ``account``.

    Of a correction run energy and amount are new less old; where a price changed, the old line is taken back in a row of its own.
    """

    run: str
    party: str
    slot_start_s: int
    line_kind: str
    energy_wh: int
    price_micro_per_kwh: int | Literal[""]
    amount_nano: int
    account: str


COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "registers.csv": RegisterRow._fields,
    "orders.csv": OrderRow._fields,
    "fills.csv": FillRow._fields,
    "postings.csv": PostingRow._fields,
    "statements.csv": StatementRow._fields,
}
ROOTED: Final = ("registers.csv", "fills.csv", "postings.csv", "statements.csv")
"""The files that ``results_root`` covers, in its order."""


def results_root(roots: Mapping[str, bytes]) -> bytes:
    """The one digest over the roots of registers, fills, postings and statements; a file that is not there is the empty table."""
    return merkle.root(roots.get(name, merkle.EMPTY_ROOT) for name in ROOTED)
