"""What orders cost a node where a block is full of them: a look at their own parties', counted, not timed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from gridcore.codes import Code
from gridcore.master_data import Named
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.transactions.market_profile import ProfilePart
from gridcore.transactions.order_batch import PlacedOrder
from ledger.leaves import book, profiles
from ledger.leaves.book import BookLeaf, has_orders_of, join_orders
from ledger.leaves.profiles import PROFILES
from ledger.state import registered_now
from ledger.state.last_orders import LastOrders
from ledger.state.ranks import until_ranks
from tests.unit.state.test_orders import VILLAGE, Village
from tests.worlds.consortium import FIRST_S, SLOT_S, household

MANY = 24
GATE_S = FIRST_S - 300


class Calls:
    """How often a function was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
        self.count = 0
        function = getattr(module, name)

        def counted(*arguments: object, **named: object) -> object:
            self.count += 1
            return function(*arguments, **named)

        monkeypatch.setattr(module, name, counted)


def test_a_block_full_of_late_orders_decodes_no_book(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether one of them stands already is asked of each."""
    village = Village()
    taken = village.signed("p-1", "buy", 400, 450_000)
    assert village.decide(taken) == [Code.ACCEPTED]
    village.decide(*village.sender.clocks(GATE_S))
    late = [village.signed("p-1", "buy", 1 + number, 450_000) for number in range(MANY)]
    decoded = Calls(monkeypatch, book, "unpack_digests")
    assert village.decide(*late, taken) == [Code.GATE_CLOSED] * MANY + [Code.EXISTS]
    assert decoded.count == 0


def test_an_id_that_lies_across_two_others_is_none_of_the_book() -> None:
    """Ids stand back to back: only whole ones count."""

    class Leaves:
        def get(self, key: str) -> dict[str, bytes] | None:
            first, second, third = b"\x01" * 31 + b"\x02", b"\x03" * 32, bytes([1]) * 32
            return {"ids": first + second + third} if key == "book/0/z/0" else None

        def load_together(self, keys: Iterable[str]) -> None:
            """They are in memory."""

    assert has_orders_of(Leaves(), 0, "z", 0, b"\x03" * 32)
    assert has_orders_of(Leaves(), 0, "z", 0, b"\x01" * 32)
    assert not has_orders_of(Leaves(), 0, "z", 0, b"\x02" + b"\x03" * 31)
    assert not has_orders_of(Leaves(), 0, "z", 1, b"\x03" * 32)


def test_a_block_full_of_accepted_profiles_writes_its_chunk_once(monkeypatch: pytest.MonkeyPatch) -> None:
    homes = [household(number, f"p-{number}") for number in range(1, MANY + 1)]
    village = Village(replace(VILLAGE, meters=homes))
    part = ProfilePart("buy", 400_000, [500])
    wires = [
        village.sender.profile(f"p-{number}", "a-1", FIRST_S, FIRST_S + 4 * SLOT_S, [part])
        for number in range(1, MANY + 1)
    ]
    encoded = Calls(monkeypatch, profiles, "pack_each")
    assert village.decide(*wires) == [Code.ACCEPTED] * MANY
    assert encoded.count == 1
    assert PROFILES.must(village.ledger.state, "z-1", 0).party.tolist() == list(range(MANY))


def test_a_gate_reads_of_each_profile_the_quantity_of_its_slot_alone() -> None:
    village = Village()
    long = ProfilePart("buy", 400_000, [number + 1 for number in range(96)])
    assert village.decide(village.sender.profile("p-1", "a-1", FIRST_S, FIRST_S + 96 * SLOT_S, [long])) == [0]
    leaf = PROFILES.must(village.ledger.state, "z-1", 0)
    for slot in (0, 7, 95):
        assert leaf.given_in(FIRST_S + slot * SLOT_S, SLOT_S).quantity_wh.tolist() == [slot + 1]
    assert len(leaf.given_in(FIRST_S + 96 * SLOT_S, SLOT_S).party) == 0


def test_batches_beside_many_registrations_look_at_their_own_parties(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block may hold thousands of both."""
    meters = [replace(meter, aggregator="pool") for meter in VILLAGE.meters]
    roles = {"admin": ["administrator"], "pool": ["aggregator"]}
    village = Village(replace(VILLAGE, meters=meters, roles=roles))
    rows = [Named(PARTY, f"new-{number}", Party("a-1", "util", trades=False), FIRST_S) for number in range(MANY)]
    rows.append(Named(PARTY, "p-2", Party("a-1", "util", trades=False), FIRST_S))
    register = village.sender.register([row for named in rows for row in named.rows()], signer="admin")
    batches = [
        village.sender.order_batch("pool", "z-1", FIRST_S, [PlacedOrder(party, 1, 0, 1, 400_000)]) for party in range(3)
    ]
    looked = Calls(monkeypatch, registered_now, "in_force")
    results = village.ledger.apply([register, *batches]).results
    assert [result.code for result in results] == [0] * 4
    assert [[row.code for row in result.rows] for result in results[1:]] == [[], [Code.DOES_NOT_TRADE], []]
    assert looked.count == 1


def test_until_when_withdrawn_orders_stood_is_what_a_search_for_each_would_find() -> None:
    random = np.random.default_rng(7)
    counts = np.array([5, 0, 40, 1])
    area = np.repeat(np.arange(4), counts)
    recorded = np.concatenate([np.sort(random.integers(1, 9, count)) for count in counts])
    withdrawn = np.where(random.integers(0, 2, len(area)) > 0, recorded + random.integers(0, 5, len(area)), 0)
    nothing = join_orders([])._asdict()
    ranked = BookLeaf(**{**nothing, "area": area, "recorded_height": recorded, "withdrawn_height": withdrawn})
    starts = np.concatenate([[0], np.cumsum(counts)])
    expected = []
    for row in range(len(area)):
        own = recorded[starts[area[row]] : starts[area[row] + 1]].tolist()
        came_before = [height for height in own if height < withdrawn[row]]
        expected.append(len(came_before) if withdrawn[row] else len(own))
    assert until_ranks(ranked, starts).tolist() == expected


def test_points_that_leave_their_parties_look_at_the_book_of_each_slot_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block may hold thousands of such registrations, and a day ahead a million orders a slot."""
    village = Village(replace(VILLAGE, roles={"admin": ["administrator"]}))
    slots = [FIRST_S + number * SLOT_S for number in range(3)]
    assert {village.order("p-1", "buy", 5, 400_000, slot_s) for slot_s in slots} == {Code.ACCEPTED}

    def leaves(number: int, from_s: int) -> bytes:
        party: Named[object] = Named(PARTY, f"p-{number}", Party("a-1", "util", trades=False), from_s)
        point: Named[object] = Named(POINT, f"P-{number}", Point("a-1", "household"), from_s)
        return village.sender.register([*party.rows(), *point.rows()], signer="admin")

    looked = Calls(monkeypatch, LastOrders, "_parties_in")
    early, late = leaves(1, slots[2]), leaves(1, slots[2] + SLOT_S)
    assert village.decide(early, late, leaves(2, slots[0]), leaves(3, slots[0])) == [Code.REGISTRY_CONFLICT, 0, 0, 0]
    seen = looked.count
    last_s = (village.ledger.ledger_time_s + 172_800) // SLOT_S * SLOT_S
    assert seen == (last_s - slots[0]) // SLOT_S + 1
