"""A simulated world as a dataset, the form in which ``settle files`` takes energies: what meters would show, fed to a ledger without agents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import UsageError
from gridcore.quality import MEASURED
from gridcore.sm3 import sm3
from gridledger.settling.dataset import (
    NEVER,
    ClearedGate,
    Counts,
    Dataset,
    InputFile,
    OrdersBySlot,
    OrderTimes,
    SlotOrders,
)
from gridledger.settling.files.order_forms import MOMENTS_OF_DAY_MAX
from gridledger.settling.files.rules import ranks_by_arrival
from gridledger.settling.files.stamps import DAY_S
from gridledger.simulating.own_traders import (
    Adaptive,
    OrdersOf,
    Traders,
    check_goes_on,
    check_has_orders,
    gate_of,
    orders_in,
    told_homes,
)
from gridledger.simulating.terms import columns_of
from ledger.contract import BUY, SELL
from ledger.leaves.columns import Int64
from settlement.catalogue import CONTRACTS
from simulators.grid.gates import Gate
from simulators.grid.households import OrderColumns, OrderIntent, order_columns, orders_of_slot, traders_of, turns_of
from simulators.grid.large_arrays import NewArray, in_memory
from simulators.grid.world import World
from simulators.scenarios.schema import FRAUDS_OF_DAY_BEFORE, METER_FRAUDS

_COUNTED: Final = frozenset(METER_FRAUDS) - frozenset(FRAUDS_OF_DAY_BEFORE)
"""Events that change what a meter counts, and no reading's way to the ledger."""


def shown_energies(world: World, columns: NDArray[np.intp], new_array: NewArray = in_memory) -> NDArray[np.int32]:
    """What some meters show at the end of a slot more than at its begin, import and export: int32[2, slots, columns], primary Wh.

    Registers count whole steps, and what their owners let them count; what goes wrong on the way to the ledger is not in it.
    """
    step_wh = np.array([world.meters[column].resolution_wh for column in columns], dtype=np.int64)
    shown = new_array((2, world.slots, len(columns)), np.int32)
    steps = ([register[columns] // step_wh for register in counted] for counted in world.each_counted())
    for slot, (before, after) in enumerate(pairwise(steps)):
        for side in range(2):
            shown[side, slot] = (after[side] - before[side]) * step_wh
    return shown


def dataset_of(
    world: World,
    terms: Dataset,
    source: Path,
    traders: Traders = orders_of_slot,
    new_array: NewArray = in_memory,
) -> Dataset:
    """``terms``, what ``terms_of`` says of the world, with the energies of its meters and with orders of its homes where the contract takes some.

    new_array: makes the energies. UsageError naming ``source``, the scenario's file, for what needs meters or agents.
    """
    _check(world, source)
    contract = CONTRACTS[terms.rules.contract]
    check_has_orders(traders, contract)
    import_wh, export_wh = shown_energies(world, columns_of(world, terms.points), new_array)
    orders: OrdersBySlot = terms.orders
    tell_gate = None
    if contract.takes_orders:
        in_turns = ranks_by_arrival(contract, terms.rules.terms)
        if isinstance(traders, Adaptive):
            orders = told = ToldOrders(world, traders, new_array, in_turns=in_turns)
            tell_gate = told.tell
        else:
            of_world = orders_of_world(world, traders, new_array, in_turns=in_turns)
            if in_turns:
                _check_moments(of_world, terms.slot_start_s, source)
            orders = of_world
    return terms._replace(
        import_wh=import_wh,
        export_wh=export_wh,
        quality=np.broadcast_to(np.uint8(MEASURED), import_wh.shape),
        orders=orders,
        tell_gate=tell_gate,
        inputs=[*terms.inputs, InputFile(source.name, sm3(source.read_bytes()), 0)],
        counts=Counts(import_wh.size, 0, 0),
    )


def _check(world: World, source: Path) -> None:
    if world.scenario.consortium is not None:
        what = "validators need a network of nodes, which --direct has none of"
        raise UsageError(f"{source}: consortium: {what}; leave --direct out, or the table")
    for event in world.scenario.events:
        if event.kind not in _COUNTED:
            what = f"{event.kind!r} needs meters and agents, which --direct has none of"
            raise UsageError(f"{source}: events: {event.label!r}: {what}; leave --direct out, or the event")


def _check_moments(orders: WorldOrders, slot_start_s: Int64, source: Path) -> None:
    """UsageError where more orders come one behind the other on a day than a ledger takes transactions."""
    days, day = np.unique(slot_start_s // DAY_S, return_inverse=True)
    of_day = np.zeros_like(days)
    np.add.at(of_day, day, orders.how_many_by_slot())
    if of_day.max() > MOMENTS_OF_DAY_MAX:
        what = f"orders rank as they came, and {of_day.max()} come on a day: --direct takes {MOMENTS_OF_DAY_MAX}, each a transaction"
        raise UsageError(f"{source}: market: {what}; let fewer homes trade, or choose a contract with one price")


def orders_of_world(world: World, traders: OrdersOf, new_array: NewArray, *, in_turns: bool) -> WorldOrders:
    """The orders of traders that depend on no gate; traders of one's own are asked once a slot."""
    if traders is not orders_of_slot:
        orders = WorldOrders(
            world, [meter.party for meter in world.meters if meter.party], new_array, in_turns=in_turns
        )
        for slot in range(world.slots):
            orders.put(slot, orders_in(traders(world, slot), slot, orders.place))
        return orders
    orders, homes = WorldOrders(world, world.traders, new_array, in_turns=in_turns), traders_of(world)
    for slot in range(world.slots):
        orders.put_columns(slot, order_columns(world, slot, homes))
    return orders


class WorldOrders:
    """What some parties of a world want, slot by slot: an order each at most, of counter 1. See ``OrdersBySlot``.

    Held as ``OrderColumns`` are, int64[slots, parties]. in_turns: they come one behind the other.
    """

    def __init__(self, world: World, parties: Sequence[str], new_array: NewArray, *, in_turns: bool) -> None:
        self._world, self._in_turns = world, in_turns
        self.place = {party: place for place, party in enumerate(parties)}
        """Of each party in the columns."""
        shape = world.slots, len(parties)
        self._wanted_wh, self._price = new_array(shape, np.int64), new_array(shape, np.int64)
        self._has_order = np.zeros(len(parties), dtype=bool)
        """Of each party, in any slot."""
        names = [f"{party}/".encode() for party in parties]
        self._by_id = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.intp)
        self._names = [parties[at] for at in self._by_id.tolist()]

    def put(self, slot: int, orders: Iterable[OrderIntent]) -> None:
        """Note the orders of a slot."""
        for intent in orders:
            at, sign = self.place[intent.party], 1 if intent.side == "buy" else -1
            self._wanted_wh[slot, at], self._price[slot, at] = sign * intent.quantity_wh, intent.price_micro_per_kwh
            self._has_order[at] |= intent.quantity_wh != 0

    def put_columns(self, slot: int, orders: OrderColumns) -> None:
        """The same, one of each party."""
        self._wanted_wh[slot], self._price[slot] = orders
        self._has_order |= orders.wanted_wh != 0

    @property
    def traders(self) -> set[str]:
        """See ``OrdersBySlot``."""
        return {self._names[at] for at in np.flatnonzero(self._has_order[self._by_id]).tolist()}

    @property
    def has_times(self) -> bool:
        """See ``OrdersBySlot``: where none come in turns, a slot's orders come in one batch."""
        return self._in_turns

    @property
    def signers(self) -> frozenset[str]:
        """See ``OrdersBySlot``: a home may be filled in part."""
        return frozenset()

    @property
    def how_many(self) -> int:
        """See ``OrdersBySlot``."""
        return int(np.count_nonzero(self._wanted_wh))

    def how_many_by_slot(self) -> Int64:
        """int64[slots]: how many orders each slot has."""
        return np.asarray(np.count_nonzero(self._wanted_wh, axis=1))

    def of_slot(self, slot: int, slot_start_s: int) -> SlotOrders:
        """See ``OrdersBySlot``."""
        wanted_wh, price = self._wanted_wh[slot, self._by_id], self._price[slot, self._by_id]
        placed = np.flatnonzero(wanted_wh)
        turn = np.zeros(len(self._by_id), dtype=np.int64)
        if self._in_turns:
            placers = np.flatnonzero(self._wanted_wh[slot])
            turn[placers[turns_of(self._world, slot, len(placers))]] = np.arange(len(placers))
        turn = turn[self._by_id][placed]
        wanted_wh = wanted_wh[placed]
        return SlotOrders(
            party=[self._names[at] for at in placed.tolist()],
            counter=np.ones(len(placed), dtype=np.int64),
            side=np.where(wanted_wh > 0, BUY, SELL).astype(np.int8),
            quantity_wh=np.abs(wanted_wh),
            price_micro_per_kwh=price[placed],
            times=OrderTimes(turn, np.full_like(turn, NEVER)) if self._in_turns else None,
        )


class ToldOrders(WorldOrders):
    """What adaptive traders want: each slot is asked for behind ``tell`` of the gate before it."""

    def __init__(self, world: World, traders: Adaptive, new_array: NewArray, *, in_turns: bool) -> None:
        super().__init__(world, world.traders, new_array, in_turns=in_turns)
        self._homes = told_homes(traders, world)
        self._asked: list[OrderIntent] = []
        self._next = 0
        self._gate: Gate | None = None

    @property
    def traders(self) -> set[str]:
        """See ``OrdersBySlot``: nobody knows yet who will order."""
        return set(self.place)

    def of_slot(self, slot: int, slot_start_s: int) -> SlotOrders:
        """See ``OrdersBySlot``: of slots in their order."""
        self._ask_for(slot)
        return super().of_slot(slot, slot_start_s)

    def tell(self, gate: ClearedGate) -> None:
        """What the gate of a slot came to, of slots in their order. UsageError where the traders want something else there than was ordered."""
        self._ask_for(gate.slot)
        self._gate = gate_of(self._world, gate)
        check_goes_on(self._asked, self._gate)

    def _ask_for(self, slot: int) -> None:
        if slot == self._next:
            self._asked = list(self._homes.ask(slot, self._gate))
            self.put(slot, self._asked)
            self._next += 1
