"""The conditions of bids in ``orders.csv``: columns ``bid``, ``seller`` and ``energy_kind`` beside an order (docs/settle-files.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import excerpt
from gridcore.registry.point import ENERGY_KINDS, RENEWABLE, kinds_wanted
from gridcore.transactions.market_order import CONDITIONS_MAX
from gridledger.settling.dataset import OrderConditions
from gridledger.settling.files.fault import fault
from gridledger.settling.files.fields import ABSENT, Bools, Names
from gridledger.settling.files.table import Block
from ledger.contract import BUY
from settlement.contract_kit_1 import Int64Column

COLUMNS: Final = ("bid", "seller", "energy_kind")
_WORDS: Final = (*ENERGY_KINDS, RENEWABLE)


class Asked(NamedTuple):
    """What each row says: the id of its bid's first order, a seller, a word for kinds of energy; "" where it says nothing."""

    bid: Sequence[str]
    seller: Sequence[str]
    energy_kind: Sequence[str]


class Placed(NamedTuple):
    """The orders that rows give, beside ``Asked``: id, place of the party, side, and the row of the file; arrival: None where no row says it;
    is_plain: bool[n], whether it is neither of a ramp nor all or none.
    """

    order: Sequence[str]
    party: Int64Column
    side: Int64Column
    quantity_wh: Int64Column
    row: Int64Column
    arrival: Int64Column | None
    is_plain: Bools


def asked_of(block: Block, parties: Sequence[str]) -> Asked:
    """The three columns of a block; FilesError for a seller whom points.csv does not name, and for a kind that there is not."""
    silent = [""] * len(block.row)
    bid, kinds, sellers = (block.columns.get(name) for name in ("bid", "energy_kind", "seller"))
    names = silent
    if sellers is not None:
        codes = Names(parties).codes(sellers, "party of points.csv", may_be_empty=True)
        names = ["" if code == ABSENT else parties[code] for code in codes.tolist()]
    words = silent if kinds is None else kinds.texts()
    for at, word in enumerate(words):
        if kinds is not None and word and word not in _WORDS:
            raise kinds.fault(at, f"{excerpt(word)} is no kind of energy", f"give one of {', '.join(_WORDS)}")
    return Asked(silent if bid is None else bid.texts(), names, words)


def conditions_of(placed: Placed, asked: Asked, file: str) -> OrderConditions | None:
    """What orders ask for as conditions of bids, None where none is one. FilesError where the orders of a bid are not that."""
    bids = _bids(placed, asked, file)
    if not bids:
        return None
    choice = np.zeros(len(placed.row), dtype=np.int64)
    kinds = np.zeros(len(placed.row), dtype=np.int64)
    bid_wh = np.zeros(len(placed.row), dtype=np.int64)
    for first, others in bids.items():
        for at in (first, *others):
            if placed.side[at] != BUY:
                raise _fault(
                    placed, at, file, _column_of(asked, at), "a sell has no conditions", "leave it empty, or buy"
                )
            _check_form(placed, at, first, file)
            choice[at] = _counter(placed.order[at]) - _counter(placed.order[first])
            kinds[at] = kinds_wanted(asked.energy_kind[at] or None)
        own = [first, *others]
        _check_choices(placed, sorted(choice[own].tolist()), first, file)
        bid_wh[own] = placed.quantity_wh[own].max()
    return OrderConditions(choice, kinds, asked.seller, bid_wh)


def _bids(placed: Placed, asked: Asked, file: str) -> Mapping[int, Sequence[int]]:
    """By the place of each bid's first order those of its others."""
    place = {name: at for at, name in enumerate(placed.order)}
    bids: dict[int, list[int]] = {}
    for at in _that_ask(asked):
        name = asked.bid[at] or placed.order[at]
        first = place.get(name)
        if first is None or _party_and_slot(name) != _party_and_slot(placed.order[at]):
            what = f"{excerpt(name)} is no order of the same party and slot"
            raise _fault(placed, at, file, "bid", what, "give the id of the bid's first order")
        if asked.bid[first] not in ("", name):
            what = f"{excerpt(name)} is a condition of another bid itself"
            raise _fault(placed, at, file, "bid", what, f"give {asked.bid[first]}, the id of the bid's first order")
        others = bids.setdefault(first, [])
        if at != first:
            others.append(at)
    return bids


def _that_ask(asked: Asked) -> Iterator[int]:
    yield from (at for at, said in enumerate(zip(*asked, strict=True)) if any(said))


def _check_form(placed: Placed, at: int, first: int, file: str) -> None:
    """A condition is a limit order, and comes with its bid."""
    if not placed.is_plain[at]:
        right = "leave steps and all_or_none empty, or the columns of conditions"
        raise _fault(placed, at, file, "order", "a condition of a bid is neither a ramp nor all or none", right)
    if placed.arrival is not None and placed.arrival[at] != placed.arrival[first]:
        what = f"the bid of {placed.order[first]} came at {placed.arrival[first]}, not at {placed.arrival[at]}"
        raise _fault(placed, at, file, "arrival", what, "all conditions of a bid come at once")


def _check_choices(placed: Placed, choices: Sequence[int], first: int, file: str) -> None:
    if choices != list(range(len(choices))):
        counters = ", ".join(str(_counter(placed.order[first]) + choice) for choice in choices)
        what = f"the conditions of {placed.order[first]} have the counters {counters}"
        right = "count them from that of the first one on, in the order of liking, without a gap"
        raise _fault(placed, first, file, "order", what, right)
    if len(choices) > CONDITIONS_MAX:
        what = f"{placed.order[first]} has {len(choices)} conditions"
        raise _fault(placed, first, file, "bid", what, f"a bid has at most {CONDITIONS_MAX}")


def _fault(placed: Placed, at: int, file: str, column: str, what: str, right: str) -> Exception:
    return fault(file, what, right, row=int(placed.row[at]), column=column)


def _column_of(asked: Asked, at: int) -> str:
    """The first column in which a row asks for something."""
    return next((name for name, said in zip(COLUMNS, asked, strict=True) if said[at]), COLUMNS[0])


def _counter(order: str) -> int:
    return int(order.rpartition("/")[2])


def _party_and_slot(order: str) -> str:
    return order.rpartition("/")[0]
