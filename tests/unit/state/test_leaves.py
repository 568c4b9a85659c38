"""Leaves: a record comes back from the map that is stored, and each family's key is its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ledger.leaves
from gridcore import cbor
from gridcore.errors import InvariantError
from gridcore.genesis import Activation, Thresholds
from gridcore.governance.contract import ApprovedContract
from gridcore.validator import Validator
from ledger.leaves.accounts import NO_ACCOUNTS, AccountsLeaf
from ledger.leaves.balance import BalanceLeaf, no_balance
from ledger.leaves.book import BOOK, BookLeaf, append_orders, load_orders
from ledger.leaves.chain import ChainLeaf
from ledger.leaves.cleared import ClearedLeaf, load_cleared, save_cleared
from ledger.leaves.clearing import ClearingLeaf
from ledger.leaves.clock import ClockLeaf
from ledger.leaves.columns import CHUNK_ROWS, digests
from ledger.leaves.contracts import ContractsLeaf
from ledger.leaves.delivery import DeliveryLeaf
from ledger.leaves.dispute import ContestedRow, DisputeLeaf, Step
from ledger.leaves.disputes import DisputesLeaf
from ledger.leaves.exception import ExceptionLeaf
from ledger.leaves.families import FAMILIES
from ledger.leaves.family import Value
from ledger.leaves.fills import FillsLeaf, load_fills, save_fills
from ledger.leaves.held import HeldLeaf
from ledger.leaves.intervals import IntervalsLeaf
from ledger.leaves.late import LateLeaf
from ledger.leaves.latest import LatestLeaf
from ledger.leaves.money import Money
from ledger.leaves.offence import OffenceLeaf
from ledger.leaves.orders import ORDERS, OrdersLeaf
from ledger.leaves.payments import Paid, PaymentsLeaf
from ledger.leaves.pending import PendingLeaf
from ledger.leaves.period import PeriodLeaf
from ledger.leaves.permissions import PermissionsLeaf
from ledger.leaves.positions import PositionsLeaf
from ledger.leaves.profile_span import ProfileSpanLeaf
from ledger.leaves.profiles import ProfilesLeaf
from ledger.leaves.progress import Correction, Immaterial, ProgressLeaf
from ledger.leaves.proposal import ProposalLeaf
from ledger.leaves.protocol import ProtocolLeaf
from ledger.leaves.registers import RegistersLeaf
from ledger.leaves.results import ResultsLeaf, save_results
from ledger.leaves.run import RunLeaf
from ledger.leaves.runs import RunsLeaf
from ledger.leaves.seen import SEEN, SeenId, SeenLeaf
from ledger.leaves.trades import TradesLeaf, load_trades, save_trades
from ledger.leaves.turn import TurnLeaf
from ledger.leaves.undecided import UndecidedLeaf
from ledger.leaves.validators import ValidatorsLeaf
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf, Entry

COLUMN = np.array([-(2**63), 0, 2**63 - 1], dtype=np.int64)
QUALITY = np.array([0, 0x15, 0xFF], dtype=np.uint8)
SEED, DIGEST = b"s" * 32, b"d" * 32
DIGESTS = digests([DIGEST, SEED, bytes(32)])


def of_columns(record: Callable[..., Any], *parts: Any) -> Any:
    """A record out of its columns, in their order."""
    return record(*parts)


RECORDS: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "chain": ((), ChainLeaf("simulated", "CNY", "demo-", 900, Thresholds(1, 1, 2, 1))),
    "protocol": ((), ProtocolLeaf([Activation(2, 0), Activation(3, 7)])),
    **{
        kind: (("7",), EntityLeaf([Entry(0, 0, DIGEST)], DIGEST, 5, 7 if kind in ("area", "party", "point") else None))
        for kind in ENTITY_FAMILIES
    },
    "delivery": (("gw-1",), DeliveryLeaf(3, 1, DIGEST, 900)),
    "contracts": (
        (),
        ContractsLeaf([ApprovedContract("auction/1", DIGEST, 0), ApprovedContract("auction/2", SEED, 9)]),
    ),
    "permissions": ((), PermissionsLeaf({"market/order": ["aggregator", "prosumer"]})),
    "proposal": ((DIGEST.hex(),), ProposalLeaf(b"x", ["a"], ["b", "c"], 900, "b", 3, "passed", 4)),
    "undecided": (("util",), UndecidedLeaf([DIGEST], [SEED])),
    "pending": ((DIGEST.hex(),), PendingLeaf(["dso"], "util", [DIGEST, SEED], 900)),
    "progress": (("Z",), ProgressLeaf(900, [1800], [Correction(0, 900, 2700)], [Immaterial(0, 5, 900)])),
    "registers": ((900, "Z", 0), RegistersLeaf(QUALITY, COLUMN, COLUMN[::-1], SEED)),
    "latest": (("Z", 0), LatestLeaf(COLUMN, COLUMN, COLUMN[::-1], SEED)),
    "intervals": (
        (0, "Z", 0),
        IntervalsLeaf(QUALITY.reshape(3, 1), COLUMN.reshape(3, 1), COLUMN[::-1].reshape(3, 1), [DIGEST], SEED),
    ),
    "book": ((900, "Z", 0), of_columns(BookLeaf, *[COLUMN] * 10, COLUMN[::-1], DIGESTS, DIGESTS[::-1])),
    "profiles": (
        ("Z", 0),
        of_columns(
            ProfilesLeaf,
            COLUMN,
            COLUMN,
            COLUMN,
            np.array([1, 2, 1]),
            *[COLUMN] * 5,
            np.arange(4),
            DIGESTS,
            DIGESTS[::-1],
        ),
    ),
    "profile_span": (("Z",), ProfileSpanLeaf([0, 2], 1800, 900)),
    "clearing": ((900, "Z"), ClearingLeaf(3, DIGEST, "auction/1", DIGEST, 900, "Z")),
    "orders": ((900, "Z"), OrdersLeaf([0, 3])),
    "held": ((2,), HeldLeaf(COLUMN, SEED)),
    "fills": ((900, "Z", 0), of_columns(FillsLeaf, *[COLUMN] * 8, COLUMN[::-1], SEED)),
    "trades": ((900, "Z", 0), of_columns(TradesLeaf, *[COLUMN] * 4, COLUMN[::-1], SEED)),
    "cleared": (
        (900, "Z", 0),
        of_columns(ClearedLeaf, *[COLUMN] * 3, COLUMN[::-1], *[DIGESTS] * 2, DIGESTS[::-1], SEED),
    ),
    "run": (
        (900, "Z", "initial"),
        RunLeaf(3, DIGEST, 4, "auction/1", DIGEST, 2, 5, DIGEST, "initial", 900, DIGEST, "Z"),
    ),
    "runs": ((900, "Z"), RunsLeaf([("initial", 5)])),
    "positions": ((900, "Z", "initial", 0), PositionsLeaf({"b": COLUMN, "a": COLUMN[::-1]}, QUALITY, DIGEST, SEED)),
    "results": (
        (900, "Z", "initial", 0),
        ResultsLeaf({"sum_wh": COLUMN}, DIGESTS, SEED, {"levy": COLUMN}, {"levy": COLUMN[::-1]}),
    ),
    "accounts": (("Z", 0), AccountsLeaf({"levy": COLUMN}, {"levy": np.array([0, 1, 999_999_999])}, SEED)),
    "balance": (("Z", 0), BalanceLeaf(COLUMN, np.array([0, 1, 999_999_999]), SEED)),
    "exception": (("gw-1", 1, 2), ExceptionLeaf(900, [(83, 2), (90, 1)], DIGEST)),
    "late": ((900, "gw-1"), LateLeaf(8)),
    "period": ((900, "Z", 0), PeriodLeaf({"b_wh": COLUMN, "a_wh": COLUMN[::-1]}, SEED)),
    "period_areas": ((900, "Z", 0), PeriodLeaf({"b_wh": COLUMN}, SEED)),
    "dispute": (
        (DIGEST.hex(),),
        DisputeLeaf(
            amount_nano=-5,
            answer_by_s=1_800,
            contested=ContestedRow("", "P", "initial", 0, "Z"),
            ground="reading",
            opened_height=3,
            opened_s=900,
            party="p",
            statement=DIGEST,
            steps=[Step("rejected", "util", 1_000, 4, SEED)],
        ),
    ),
    "disputes": (("p",), DisputesLeaf([DIGEST, SEED], 20_000, 2)),
    "payments": (("P",), PaymentsLeaf(20_000, [Paid(5, "received", 7, "p", DIGEST, "util", 1_000)], 1, 3)),
    "turn": ((), TurnLeaf("Z")),
    "validators": (
        (),
        ValidatorsLeaf((Validator("v", "o", bytes(65)),), 3, (Validator("w", "o", bytes(65), 2, bytes(32)),), 4),
    ),
    "offence": (("v",), OffenceLeaf(bytes(20), 7)),
    "clock": ((), ClockLeaf(900)),
    "seen": ((48,), SeenLeaf(48, [SeenId("s", bytes(16), DIGEST)])),
}
"""One record of each family, with what names its leaf."""
OPTIONAL = {
    **{kind: {"folded", "folded_to_s"} for kind in ENTITY_FAMILIES},
    "delivery": {"counter", "epoch", "last", "last_boundary_s"},
    "progress": {"immaterial"},
    "undecided": {"proposals", "registrations"},
}
"""Fields that a stored map may lack: those of entities, and what a gateway or zone starts with."""


class Leaves:
    """Leaves held in memory as they are stored: encoded."""

    def __init__(self) -> None:
        self._leaves: dict[str, bytes] = {}

    def get(self, key: str) -> Value | None:
        leaf = self._leaves.get(key)
        return None if leaf is None else dict(cbor.decode(leaf, items_max=len(leaf)))

    def load_together(self, keys: Iterable[str]) -> None:
        """They are in memory."""

    def put(self, key: str, value: Value) -> None:
        self._leaves[key] = cbor.encode(value)


def as_plain(value: Any) -> Any:
    """A record with its arrays as lists, so that records can be compared."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {name: as_plain(item) for name, item in value.items()}
    return [as_plain(item) for item in value] if isinstance(value, list | tuple) else value


def test_there_is_a_record_here_of_every_family_and_every_file_has_one() -> None:
    folder = Path(ledger.leaves.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "columns", "families", "family", "money"}
    assert FAMILIES.keys() == RECORDS.keys()
    assert FAMILIES.keys() - ENTITY_FAMILIES.keys() == files


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_comes_back_from_the_stored_map(name: str) -> None:
    leaves, family, (names, record) = Leaves(), FAMILIES[name], RECORDS[name]
    assert family.load(leaves, *names) is None
    with pytest.raises(InvariantError, match="exists"):
        family.must(leaves, *names)
    family.save(leaves, record, *names)
    assert as_plain(family.must(leaves, *names)) == as_plain(record)


@pytest.mark.parametrize("name", RECORDS)
def test_a_stored_map_of_another_shape_is_not_read(name: str) -> None:
    family, (_, record) = FAMILIES[name], RECORDS[name]
    value = dict(family.encode(record))
    with pytest.raises(TypeError):
        family.decode(**value, more=1)
    for first in sorted(value.keys() - OPTIONAL.get(name, set()))[:1]:
        with pytest.raises((TypeError, KeyError)):
            family.decode(**{field: item for field, item in value.items() if field != first})


def test_keys_tell_families_and_leaves_apart() -> None:
    keys = {name: FAMILIES[name].key(*names) for name, (names, _) in RECORDS.items()}
    assert len(set(keys.values())) == len(keys)
    several = {
        name: key for name, key in keys.items() if name not in ("chain", "contracts", "protocol", "seen", "validators")
    }
    assert all(FAMILIES[name].names(key) == [str(part) for part in RECORDS[name][0]] for name, key in several.items())
    assert SEEN.key(48) == SEEN.key(0) == "seen/0"
    assert BOOK.prefix == "book/"


def test_orders_and_fills_go_on_in_the_next_chunk() -> None:
    leaves, count = Leaves(), CHUNK_ROWS + 1
    one = np.ones(1, dtype=np.int64)
    for party, chunk in ((5, 0), (CHUNK_ROWS, 1), (6, 0)):
        order = BookLeaf(
            0 * one,
            0 * one,
            one,
            7 * one,
            party * one,
            -3 * one,
            5 * one,
            4 * one,
            0 * one,
            0 * one,
            0 * one,
            digests([DIGEST]),
            digests([SEED]),
        )
        append_orders(leaves, 900, "Z", chunk, order)
        withdrawn = order._replace(counter=2 * one, withdrawn_height=9 * one)
        append_orders(leaves, 900, "Z", chunk, withdrawn)
    ORDERS.save(leaves, OrdersLeaf([0, 1]), 900, "Z")
    book = load_orders(leaves, 900, "Z")
    assert book.party.tolist() == [5, 6, CHUNK_ROWS]
    assert {bytes(one) for one in book.ids} == {DIGEST}
    assert BOOK.must(leaves, 900, "Z", 1).counter.tolist() == [1, 2]
    assert load_orders(leaves, 901, "Z").counter.tolist() == []
    fills = of_columns(FillsLeaf, *[np.arange(count, dtype=np.int64)] * 9, SEED)
    save_fills(leaves, 900, "Z", fills)
    assert as_plain(load_fills(leaves, 900, "Z", count)) == as_plain(fills)
    assert as_plain(load_fills(leaves, 900, "Z", 0)) == [*[[]] * 9, b"", *[None] * 9]
    paired = fills._replace(amount_nano=np.arange(count, dtype=np.int64), until_rank=fills.filled_wh[::-1])
    save_fills(leaves, 901, "Z", paired)
    assert as_plain(load_fills(leaves, 901, "Z", count)) == as_plain(paired)
    trades = of_columns(TradesLeaf, *[np.arange(count, dtype=np.int64)] * 5, SEED)
    save_trades(leaves, 900, "Z", trades)
    assert as_plain(load_trades(leaves, 900, "Z", count)) == as_plain(trades)
    assert as_plain(load_trades(leaves, 900, "Z", 0)) == [*[[]] * 5, b"", None]


def test_results_of_areas_go_on_in_the_next_chunk() -> None:
    leaves, count = Leaves(), CHUNK_ROWS + 1
    numbers, roots = np.arange(count, dtype=np.int64), digests([DIGEST] * count)
    cleared = of_columns(ClearedLeaf, *[numbers] * 4, *[roots] * 3, SEED)
    save_cleared(leaves, 900, "Z", cleared)
    assert as_plain(load_cleared(leaves, 900, "Z", count)) == as_plain(cleared)
    paired = cleared._replace(trades=numbers, trades_roots=roots)
    save_cleared(leaves, 901, "Z", paired)
    assert as_plain(load_cleared(leaves, 901, "Z", count)) == as_plain(paired)
    save_results(leaves, 900, "Z", "initial", ResultsLeaf({}, roots, SEED, {"levy": numbers}, {"levy": numbers}))
    assert FAMILIES["results"].must(leaves, 900, "Z", "initial", 1).totals["levy"].tolist() == [CHUNK_ROWS]


def test_balances_and_accounts_carry_from_nano_into_units() -> None:
    owed = no_balance(2).add(Money.of([-1, 1_999_999_999]))
    assert (owed.units.tolist(), owed.nano.tolist()) == ([-1, 1], [999_999_999, 999_999_999])
    assert owed.add(Money.of([-(2**62), 1])).owes_nano() == [-1 - 2**62, 2_000_000_000]
    twice = NO_ACCOUNTS.add({"levy": Money.of([1_999_999_999, 0])}, 2).add({"levy": Money.of([1_000_000_001, 5])}, 2)
    assert (twice.units["levy"].tolist(), twice.nano["levy"].tolist()) == ([3, 0], [0, 5])
    both = twice.add({"grid": Money.of([7, 7])}, 2)
    assert sorted(both.units) == ["grid", "levy"], "an account that another contract had stays"
