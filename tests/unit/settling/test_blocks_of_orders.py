"""Many orders of a slot: as many in a block as it holds, the rest in the next ones, and the same settlement whatever stands where."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.errors import GridError
from gridcore.transactions.content import sign_content
from gridcore.transactions.market_order import LIMIT_MICRO_PER_KWH_MAX, NONCE_BYTES, QUANTITY_WH_MAX, MarketOrder
from gridledger.settling.chain import founding, orders, rounds, settled_ledger, validity
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.dataset import LIMIT_WH_MAX, NEVER, Dataset, OrderTimes
from ledger.leaves.book import BookLeaf, load_all_orders
from ledger.state import client_ids
from ledger.state.interval_columns import IntervalColumns
from ledger.state.order_columns import OrderColumns, WantedColumns
from ledger.store.block_record import RECORD_BYTES_MAX
from ledger.store.reader import LedgerReader
from tests.unit.settling.test_chain import check_says, last_positions
from tests.unit.settling.test_runs_of_a_folder import dated
from tests.worlds.datasets import FIRST_S, SLOT_S, auction

SLOTS = 3


class StopError(Exception):
    """In the middle of an import."""


def books(ledger: LedgerReader) -> Sequence[BookLeaf]:
    return [load_all_orders(ledger, FIRST_S + slot * SLOT_S, ZONE_NAME) for slot in range(SLOTS)]


def blocks(ledger: LedgerReader) -> Sequence[int]:
    """Of each slot's orders, by party, the block: 0 is the first that has any."""
    heights = [
        height
        for book in books(ledger)
        for height in book.recorded_height[np.argsort(book.party, kind="stable")].tolist()
    ]
    return [sorted(set(heights)).index(height) for height in heights]


def whole(dataset: Dataset) -> Dataset:
    """The same orders, each all or none."""
    every = np.ones(len(dataset.all_orders.slot), dtype=np.bool_)
    return dataset._replace(orders=dataset.all_orders._replace(all_or_none=every))


@pytest.mark.parametrize(
    ("most", "standing"),
    [
        (6, [0, 0, 0, 0, 0, 0]),
        (5, [0, 0, 0, 0, 1, 1]),
        (2, [0, 0, 1, 1, 2, 2]),
        (1, [0, 3, 1, 4, 2, 5]),
    ],
)
def test_a_block_has_orders_up_to_its_limit_and_the_next_block_what_is_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, standing: Sequence[int]
) -> None:
    monkeypatch.setattr(orders, "ORDERS_OF_BLOCK_MAX", most)
    dataset = auction(SLOTS, 3)
    with settled_ledger(dataset, tmp_path) as ledger:
        assert blocks(ledger) == standing
        check_says(ledger, dataset)
        assert [last_positions(ledger, slot).columns["bought_wh"][1] for slot in range(SLOTS)] == [300] * SLOTS


@pytest.mark.parametrize(
    ("most", "standing"), [(12, [0, 0, 0, 0, 0, 0]), (11, [0, 0, 0, 0, 1, 1]), (3, [0, 3, 1, 4, 2, 5])]
)
def test_an_order_that_is_signed_by_itself_takes_more_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, standing: Sequence[int]
) -> None:
    monkeypatch.setattr(orders, "ORDERS_OF_BLOCK_MAX", most)
    monkeypatch.setattr(rounds, "ROWS_OF_SIGNED", 2)
    with settled_ledger(whole(auction(SLOTS, 3)), tmp_path) as ledger:
        assert blocks(ledger) == standing
        assert [last_positions(ledger, slot).columns["bought_wh"][1] for slot in range(SLOTS)] == [300] * SLOTS


@pytest.mark.parametrize("stopped_at", [1, 2, 5])
@pytest.mark.parametrize("is_large", [False, True])
def test_an_import_that_stops_between_the_blocks_of_a_slot_goes_on_behind_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: int, is_large: bool
) -> None:
    monkeypatch.setattr(orders, "ORDERS_OF_BLOCK_MAX", 1)
    if is_large:
        monkeypatch.setattr(founding, "BLOCK_VALUES_MAX", 1)
    dataset, told = auction(SLOTS, 3), []

    def stop(_settled: int, _slots: int) -> None:
        told.append(1)
        if len(told) == stopped_at:
            raise StopError

    with pytest.raises(StopError), settled_ledger(dataset, tmp_path, stop):
        pass
    with settled_ledger(dataset, tmp_path) as ledger:
        assert sorted(blocks(ledger)) == list(range(2 * SLOTS))
        check_says(ledger, dataset)


def test_more_orders_of_one_moment_than_a_batch_holds_come_by_party_in_blocks_of_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "ROWS_MAX", 2)
    dataset = auction(SLOTS, 5)
    of_first = dataset.all_orders
    count = 5
    five = of_first._replace(
        slot=np.zeros(count, dtype=np.int64),
        order=[f"H{party:03d}/{FIRST_S}/1" for party in range(count)],
        party=[f"H{party:03d}" for party in range(count)],
        side=np.array([1, 1, 1, 1, 0], dtype=np.int8),
        quantity_wh=np.full(count, 100),
        price_micro_per_kwh=np.array([300_000] * 4 + [440_000]),
        times=OrderTimes(np.array([7, 7, 7, 7, 9]), np.full(count, NEVER)),
    )
    rules = dataset.rules._replace(contract="continuous_double_auction/1", terms={})
    with settled_ledger(dataset._replace(orders=five, rules=rules), tmp_path) as ledger:
        assert blocks(ledger)[:count] == [0, 0, 1, 1, 2]
        assert last_positions(ledger, 0).columns["sold_wh"].tolist() == [100, 0, 0, 0, 0]


def in_turns(dataset: Dataset) -> Dataset:
    """The same orders, one behind the other."""
    own, rules = dataset.all_orders, dataset.rules._replace(contract="continuous_double_auction/1", terms={})
    times = OrderTimes(np.arange(len(own.slot)), np.full(len(own.slot), NEVER))
    return dataset._replace(orders=own._replace(times=times), rules=rules)


def test_an_importer_signs_as_much_as_a_ledger_takes_in_all_hours_of_a_day_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = in_turns(auction(32, 3))
    for module in (client_ids, validity):
        monkeypatch.setattr(module, "IDS_PER_HOUR_MAX", 3)
    told: list[int] = []

    def stop(_settled: int, _slots: int) -> None:
        told.append(1)
        if len(told) == 2:
            raise StopError

    at, beyond = tmp_path / "at", tmp_path / "beyond"
    at.mkdir()
    beyond.mkdir()
    with pytest.raises(StopError), settled_ledger(dataset, at, stop):
        pass
    with settled_ledger(dataset, at) as ledger:
        assert [last_positions(ledger, slot).columns["bought_wh"][1] for slot in range(32)] == [300] * 32
    for module in (client_ids, validity):
        monkeypatch.setattr(module, "IDS_PER_HOUR_MAX", 2)
    says = r"orders.csv: the ledger takes 2 transactions an hour of its importer, .*; give fewer moments \(arrival, cancelled_at\)"
    with pytest.raises(GridError, match=says), settled_ledger(dataset, beyond):
        pass


@dataclass(frozen=True)
class Drawn:
    """Orders of one slot, the round in which each comes and before which it is withdrawn (NEVER), whether it is signed by itself, and its choice."""

    party: Sequence[int]
    counter: Sequence[int]
    come: Sequence[int]
    go: Sequence[int]
    is_whole: Sequence[int]
    choice: Sequence[int]


@st.composite
def drawn_orders(draw: st.DrawFn) -> Drawn:
    """Of up to 6 parties: a bid of 1 to 4 conditions, or an order that is signed by itself; rounds are all used."""
    rows: list[tuple[int, int, int, int, int, int]] = []
    for party in draw(st.permutations(range(draw(st.integers(1, 6))))):
        come, is_whole = draw(st.integers(0, 2)), draw(st.integers(0, 1))
        goes = draw(st.sampled_from([NEVER, come + 1]))
        for choice in range(1 if is_whole else draw(st.integers(1, 4))):
            rows.append((party, choice + 1, come, goes, is_whole, choice))
    used = sorted({number for row in rows for number in row[2:4] if number != NEVER})
    place = {NEVER: NEVER, **{number: at for at, number in enumerate(used)}}
    return Drawn(*zip(*((*row[:2], place[row[2]], place[row[3]], *row[4:]) for row in rows), strict=True))


@given(drawn=drawn_orders(), most=st.integers(5, 9))
def test_rounds_that_are_divided_keep_their_order_and_each_is_as_large_as_may_be(drawn: Drawn, most: int) -> None:
    party, counter, come, go, is_whole, choice = (np.array(column, dtype=np.int64) for column in astuple(drawn))
    none = np.zeros_like(party)
    placed = OrderColumns(b"", party, counter, none, none + 1, none, WantedColumns(choice, none + 1, none, none + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "ROWS_OF_SIGNED", 5)
        found = rounds.divided(placed, is_whole, rounds.Moments(come, go), most)
    events = sorted(
        [(int(come[at]), is_whole[at], party[at], counter[at], int(found.come[at]), 5 if is_whole[at] else 1) for at in range(len(come))]
        + [(int(go[at]), -1, party[at], counter[at], int(found.go[at]), 1) for at in np.flatnonzero(go != NEVER)]
    )  # fmt: skip
    room, parts = Counter[int](), defaultdict[int, set[int]](set)
    for before, _, _, _, number, takes in events:
        room[number] += takes
        parts[before].add(number)
    numbers = [number for one in sorted(parts) for number in sorted(parts[one])]
    assert numbers == list(range(len(room))), "what was in different rounds stays in different ones, in their order"
    assert [event[4] for event in events] == sorted(event[4] for event in events)
    assert max(room.values()) <= most
    assert all(len(own) - 1 <= sum(room[number] for number in own) // (most - 4) for own in parts.values())
    assert all(found.come[at] == found.come[at - 1] for at in np.flatnonzero(choice))
    assert ((found.go == NEVER) == (go == NEVER)).all()


def widest_orders(rows: int) -> bytes:
    """A batch whose columns are as wide as orders can make them."""
    ends = np.arange(rows) % 2
    wanted = WantedColumns(ends * 3, ends * 0xFFFF, ends * (2**32 - 1), ends * QUANTITY_WH_MAX)
    limits = (2 * ends - 1) * LIMIT_MICRO_PER_KWH_MAX
    numbers = ends * (2**32 - 1)
    return OrderColumns(bytes(32), numbers, ends * 16, ends, ends * QUANTITY_WH_MAX, limits, wanted).encode()


def widest_energies(slots: int) -> bytes:
    """The same of imports of two points."""
    ends = np.tile(np.array([0, LIMIT_WH_MAX]), (slots, 1))
    points = np.array([0, 2**32 - 1])
    return IntervalColumns(bytes(32), points, (ends % 255).astype(np.uint8), ends, ends).encode()


def widest_signed_order() -> bytes:
    """An order that is signed by itself, with the longest names and numbers."""
    order = MarketOrder(
        all_or_none=True, area="a" * 64, counter=16, nonce=bytes(NONCE_BYTES), price_micro_per_kwh=-LIMIT_MICRO_PER_KWH_MAX,
        quantity_wh=QUANTITY_WH_MAX, side="sell", slot_start_s=2**33,
    )  # fmt: skip
    return sign_content(order, chain="c" * 64, signer="p" * 64, sign=lambda _: bytes(64)).wire


def test_a_day_of_1_000_homes_signed_order_by_order_is_more_than_a_block_and_one_of_43_more_than_an_hour_of_ids() -> (
    None
):
    """What ADR 0162 says by computation."""
    order = MarketOrder(
        all_or_none=True, area="a", counter=1, nonce=bytes(NONCE_BYTES), price_micro_per_kwh=1, quantity_wh=1, side="buy",
        slot_start_s=FIRST_S,
    )  # fmt: skip
    least_bytes = len(sign_content(order, chain=f"x-{16 * '0'}", signer="h", sign=lambda _: bytes(64)).wire)
    slots = 96
    assert 3 * 1_000 * slots * least_bytes > RECORD_BYTES_MAX
    assert 42 * slots < client_ids.IDS_PER_HOUR_MAX < 43 * slots


def test_a_block_of_the_ledger_holds_the_widest_orders_beside_the_widest_energies_of_a_day() -> None:
    row_bytes = (len(widest_orders(3_000)) - len(widest_orders(1_000))) / 2_000
    value_bytes = (len(widest_energies(2_000)) - len(widest_energies(1_000))) / 2_000
    assert (row_bytes, value_bytes) == (25, 9)
    assert len(widest_signed_order()) < row_bytes * rounds.ROWS_OF_SIGNED
    of_orders = row_bytes * orders.ORDERS_OF_BLOCK_MAX
    assert 0.95 < (of_orders + value_bytes * founding.BLOCK_VALUES_MAX) / RECORD_BYTES_MAX < 0.98
    assert founding.DAY_BYTES_MAX / RECORD_BYTES_MAX < 0.98


def test_a_day_that_has_to_be_one_block_is_taken_up_to_its_bytes_and_refused_beyond_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, right = dated(), r"with \[runs\] a day is one block, of at most 1343; leave \[runs\] out"
    dataset.import_wh[0, 0], dataset.export_wh[0, 0] = 70_000, 255
    says = f"points.csv: 2 points in 96 slots a day, with up to 70000 Wh, are 1344 bytes in one block; {right}"
    monkeypatch.setattr(founding, "BLOCK_VALUES_MAX", 1)
    monkeypatch.setattr(founding, "DAY_BYTES_MAX", 1_343)
    at, beyond = tmp_path / "at", tmp_path / "beyond"
    at.mkdir()
    beyond.mkdir()
    with pytest.raises(GridError, match=says), settled_ledger(dataset, beyond):
        pass
    assert list(beyond.iterdir()) == []
    monkeypatch.setattr(founding, "DAY_BYTES_MAX", 1_344)
    with settled_ledger(dataset, at) as ledger:
        check_says(ledger, dataset)
