"""A simulated world as a dataset, the form in which ``settle files`` takes energies: what meters would show, fed to a ledger without agents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import UsageError
from gridcore.quality import MEASURED
from gridcore.sm3 import sm3
from gridledger.settling.dataset import (
    Counts,
    Dataset,
    EstimateTerms,
    FileRules,
    InputFile,
    InvoiceTerms,
    KeyRow,
    PointRow,
    SlotOrders,
)
from gridledger.settling.files.folder import uses_keys
from gridledger.settling.files.keys import SHARE_PPM_MAX
from gridledger.settling.files.orders import no_orders
from gridledger.settling.files.rules import NAME as RULES
from gridledger.settling.files.rules import RulesRead, file_rules
from ledger.contract import BUY, SELL
from settlement.contracts.p2p_call_auction_1 import CONTRACT
from simulators.grid.households import OrderIntent, order_columns, orders_of_slot, trader_columns
from simulators.grid.large_arrays import NewArray, in_memory
from simulators.grid.world import World
from simulators.scenarios.schema import FRAUDS_OF_DAY_BEFORE, METER_FRAUDS, SLOT_S

Traders = Callable[[World, int], Sequence[OrderIntent]]
"""What homes want in a slot of a world: at most one order of each."""
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
    rules: RulesRead | None,
    source: Path,
    traders: Traders = orders_of_slot,
    new_array: NewArray = in_memory,
) -> Dataset:
    """Every meter that somebody is billed for, under the scenario's own tariff or under a file's rules.

    Orders are those of the world's homes where the contract takes some; where it shares by keys, the points of an area have
    equal shares. new_array: makes the energies. UsageError naming ``source``, the scenario's file, for what needs meters or agents, and for rules that need more.
    """
    _check(world, rules, source)
    billed = [column for column, meter in enumerate(world.meters) if meter.party]
    points = [
        PointRow(meter.meter, meter.party, meter.area, meter.limit_wh)
        for meter in (world.meters[column] for column in billed)
    ]
    order = sorted(range(len(points)), key=lambda place: points[place].point.encode())
    points, columns = [points[place] for place in order], np.array(billed, dtype=np.intp)[order]
    contract = CONTRACT if rules is None else rules.contract
    orders = WorldOrders(world, traders, new_array) if contract.takes_orders else no_orders()
    import_wh, export_wh = shown_energies(world, columns, new_array)
    read = InputFile(source.name, sm3(source.read_bytes()), 0)
    return Dataset(
        slot_start_s=world.slot_start_s,
        slot_s=SLOT_S,
        timezone=world.scenario.calendar.time_zone,
        points=points,
        import_wh=import_wh,
        export_wh=export_wh,
        quality=np.full((world.slots, len(points)), MEASURED, dtype=np.uint8),
        series=(),
        keys=_equal_keys(points) if uses_keys(contract) else (),
        orders=orders,
        rules=_own_rules(world) if rules is None else file_rules(rules, world.slot_start_s, orders=orders),
        inputs=[read] if rules is None else [rules.input_file, read],
        counts=Counts(world.slots * len(points), 0, 0),
    )


def _check(world: World, rules: RulesRead | None, source: Path) -> None:
    if world.scenario.consortium is not None:
        what = "validators need a network of nodes, which --direct has none of"
        raise UsageError(f"{source}: consortium: {what}; leave --direct out, or the table")
    for number, event in enumerate(world.scenario.events):
        if event.kind not in _COUNTED:
            what = f"{event.kind!r} needs meters and agents, which --direct has none of"
            raise UsageError(f"{source}: events[{number}]: {what}; leave --direct out, or the event")
    if rules is None:
        return
    name = rules.contract.contract_id
    if rules.slot_s != SLOT_S:
        raise UsageError(f"{RULES}: [timeline] slot_s is {rules.slot_s}; a simulated world has slots of {SLOT_S} s")
    if rules.contract.takes_agreements:
        raise UsageError(
            f"{RULES}: {name} needs agreements, which homes of a scenario have none of; choose another contract"
        )
    if named := [one.name for one in rules.tariff if one.price_series]:
        what = f"component {named[0]} has a price_series, and a simulated world has no prices.csv"
        raise UsageError(f"{RULES}: [[tariff.component]]: {what}; give it a price")
    if rules.zone is not None and rules.zone.name != world.scenario.calendar.time_zone:
        raise UsageError(
            f"{RULES}: [timeline] timezone is {rules.zone.name}, and {world.scenario.calendar.time_zone} in {source}; name the same, or none"
        )


def _own_rules(world: World) -> FileRules:
    tariff, timeline = world.scenario.tariff, world.scenario.timeline
    return FileRules(
        prices=tariff.prices,
        contract=CONTRACT.contract_id,
        terms=asdict(tariff.terms),
        gate_before_start_s=timeline.gate_before_start_s,
        metering_deadline_s=timeline.metering_deadline_s,
        invoice=InvoiceTerms(),
        estimate=EstimateTerms(),
    )


class WorldOrders:
    """What the homes of a world want, slot by slot: an order each at most, of counter 1. See ``OrdersBySlot``.

    Held as ``OrderColumns`` are, int64[slots, parties]; traders of one's own are asked once a slot.
    """

    def __init__(self, world: World, traders: Traders, new_array: NewArray) -> None:
        is_own = traders is not orders_of_slot
        parties = [meter.party for meter in world.meters if meter.party] if is_own else world.traders
        shape = world.slots, len(parties)
        self._wanted_wh, self._price = new_array(shape, np.int64), new_array(shape, np.int64)
        if is_own:
            self._ask(world, traders, {party: place for place, party in enumerate(parties)})
        else:
            columns = trader_columns(world)
            for slot in range(world.slots):
                self._wanted_wh[slot], self._price[slot] = order_columns(world, slot, columns)
        names = [f"{party}/".encode() for party in parties]
        self._by_id = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.intp)
        self._names = [parties[at] for at in self._by_id.tolist()]

    def _ask(self, world: World, traders: Traders, place: Mapping[str, int]) -> None:
        """UsageError for a second order of a home in a slot."""
        for slot in range(world.slots):
            for intent in traders(world, slot):
                at, sign = place[intent.party], 1 if intent.side == "buy" else -1
                if self._wanted_wh[slot, at]:
                    raise UsageError(f"traders: slot {slot}: {intent.party} has two orders; give one at most")
                self._wanted_wh[slot, at], self._price[slot, at] = sign * intent.quantity_wh, intent.price_micro_per_kwh

    @property
    def traders(self) -> set[str]:
        """See ``OrdersBySlot``."""
        has_order = (self._wanted_wh != 0).any(axis=0)[self._by_id]
        return {self._names[at] for at in np.flatnonzero(has_order).tolist()}

    @property
    def has_times(self) -> bool:
        """See ``OrdersBySlot``: a slot's orders come in one batch."""
        return False

    @property
    def signers(self) -> frozenset[str]:
        """See ``OrdersBySlot``: a home may be filled in part."""
        return frozenset()

    @property
    def how_many(self) -> int:
        """See ``OrdersBySlot``."""
        return int(np.count_nonzero(self._wanted_wh))

    def of_slot(self, slot: int, slot_start_s: int) -> SlotOrders:
        """See ``OrdersBySlot``."""
        wanted_wh, price = self._wanted_wh[slot, self._by_id], self._price[slot, self._by_id]
        placed = np.flatnonzero(wanted_wh)
        wanted_wh = wanted_wh[placed]
        return SlotOrders(
            party=[self._names[at] for at in placed.tolist()],
            counter=np.ones(len(placed), dtype=np.int64),
            side=np.where(wanted_wh > 0, BUY, SELL).astype(np.int8),
            quantity_wh=np.abs(wanted_wh),
            price_micro_per_kwh=price[placed],
        )


def _equal_keys(points: list[PointRow]) -> list[KeyRow]:
    of_area = Counter(point.area for point in points)
    return [KeyRow(point.point, SHARE_PPM_MAX // of_area[point.area], None, None) for point in points]
