"""A simulated day in lock-step: gate, boundary, readings and beside them the orders of the next slot; the clock moves on only when everyone has been decided."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from gridcore.codes import Code
from gridcore.errors import GridError
from gridcore.logs import get_logger
from gridcore.node_interface import WAIT_S_MAX
from gridcore.sm import Signer
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import CLIENT_ID_BYTES, Content, sign_content
from gridcore.transactions.market_order import NONCE_BYTES, MarketOrder
from gridledger.demo.forging import forged_batch
from gridledger.demo.genesis import gateway_of
from gridledger.demo.pace import Pace
from gridledger.demo.prepare import BEGINS_BEFORE_S
from gridledger.demo.resuming import Journal
from gridledger.demo.troubles import Troubles
from gridledger.settling.dataset import FileRules
from gridledger.settling.files.rules import ranks_by_arrival
from ledger.client import Answer, Client, NodeUnreachable
from settlement.catalogue import CONTRACTS
from simulators.grid.households import OrderIntent, in_turn
from simulators.grid.world import World
from simulators.scenarios.schema import SLOT_S

_log = get_logger(__name__)
VALID_S: Final = 86_400
RETRY_PAUSE_S: Final = 0.1
CLOCKS_KNOW_S: Final = 0.6
"""So long after a step of the clock every agent has heard of it."""
PATIENCE_S: Final = 60.0
"""Silence after which the day is given up: a process that cannot come back is a fault, not a delay."""
SETTLED: Final = frozenset({Code.ACCEPTED, Code.EXISTS})
CLOCK_IS_THERE: Final = SETTLED | {Code.CLOCK_NOT_AHEAD}
"""Of a step of the clock: one that a killed run had on its way may be decided after the ledger was asked for its time."""

T = TypeVar("T")


class Field(Protocol):
    """What is out there: it shows a boundary, and its gateways read it."""

    async def show(self, boundary_index: int) -> None:
        """Let everything be as it is at a boundary."""
        ...

    def reconnect(self, boundary_index: int) -> None:
        """Ledger time has come to a boundary: let through the gateways that are cut off no more."""
        ...

    async def exchange(self, boundary_index: int) -> None:
        """Exchange the meters of the slot behind a boundary, which is decided."""
        ...

    async def have_sampled(self, area: str, boundary_s: int) -> None:
        """Wait until a gateway that is cut off from the node has read its meters."""
        ...


class StandstillError(GridError):
    """A process is there and does not get on: the day cannot go on either."""


class Day:
    """Runs the slots of a world against a node. ``rules``: what its areas are settled by; ``orders``: what homes want, by the number of a slot, asked for in their order; ``keys``: by party, and ``clock``; ``field``: what shows and reads boundaries;
    ``troubles``: readings that nobody waits for; ``pace``: how fast boundaries follow each other; ``journal``: how far it has come, where it
    goes on after it was killed.
    """

    def __init__(
        self,
        world: World,
        rules: FileRules,
        orders: Callable[[int], Awaitable[Sequence[OrderIntent]]],
        chain: str,
        client: Client,
        keys: Mapping[str, Signer],
        field: Field,
        troubles: Troubles,
        pace: Pace,
        journal: Journal,
    ) -> None:
        self._world = world
        self._rules = rules
        self._wanted = orders
        contract = CONTRACTS[rules.contract]
        self._takes_orders = contract.takes_orders
        self._is_one_by_one = ranks_by_arrival(contract, rules.terms)
        self._chain = chain
        self._client = client
        self._keys = keys
        self._field = field
        self._troubles = troubles
        self._pace = pace
        self._journal = journal
        self._ledger_time_s = int(world.slot_start_s[0]) - BEGINS_BEFORE_S
        self._gates_ahead = rules.gate_before_start_s // SLOT_S
        """How many gates have closed when the slot before theirs begins."""

    async def run(self, progress: Callable[[int], None]) -> None:
        """Every slot: clearing at the gate, readings at the boundary and beside them the orders of the next slot; then the last initial run, and runs that have dates."""
        world = self._world
        first = self._journal.boundary_index() or 0
        if self._journal.has_begun:
            self._ledger_time_s = max(self._ledger_time_s, (await patiently(self._client.status)).ledger_time_s)
        await self._advance(int(world.slot_start_s[0]) - world.scenario.timeline.open_before_start_s)
        for slot in range(self._gates_ahead):  # gates that close before the first boundary
            await self._trade(slot)
            await self._advance(self._gate_s(slot))
        trading = asyncio.create_task(self._trade(first + self._gates_ahead))
        try:
            for index, boundary_s in list(enumerate(world.boundary_s.tolist()))[first:]:
                await trading
                await self._advance(self._gate_s(index + self._gates_ahead))
                if index and self._troubles.lack_readings(index - 1):
                    # agents go on asking broken meters until they know that time has moved: only then may these show more
                    await asyncio.sleep(CLOCKS_KNOW_S)
                await self._pace.wait_for(boundary_s)
                self._journal.note_boundary(index)
                await self._field.show(index)
                height = await self._advance(boundary_s)
                self._field.reconnect(index)
                trading = asyncio.create_task(self._trade(index + self._gates_ahead + 1))
                try:
                    await self._readings_decided(index, boundary_s, height)
                except StandstillError:
                    if trading.done():
                        await trading  # it may have failed first: then that is the cause
                    raise
                await self._forge(index, boundary_s)
                await self._field.exchange(index)
                progress(index)
            await self._advance(int(world.boundary_s[-1]) + self._rules.metering_deadline_s)
            await self._come_to_dates()
        finally:
            trading.cancel()
            await asyncio.gather(trading, return_exceptions=True)

    async def _come_to_dates(self) -> None:
        """Where runs have dates, let ledger time go on a day at a time: until the last slot's last correction, and as far as the rules say."""
        runs = self._rules.runs
        if runs is None:
            return
        dates_s = [runs.calendar.initial_last_after_s, *(date.due_after_s for date in runs.calendar.corrections)]
        end_s = max(int(self._world.boundary_s[-1]) + max(dates_s), runs.as_of_s or 0)
        while self._ledger_time_s < end_s:
            await self._advance(min(self._ledger_time_s + VALID_S, end_s))

    async def go_on(self) -> None:
        """When all slots are settled, let ledger time step to where something that has changed is settled again, for as long as somebody looks.

        It stays before the metering deadline of the slot behind the last one, of which nobody has simulated anything: it would be
        settled with estimates. Where runs have dates, all dates are behind: it returns.
        """
        if self._rules.runs is not None:
            return
        limit_s, height = int(self._world.boundary_s[-1]) + SLOT_S + self._rules.metering_deadline_s, 0
        try:
            while True:
                due_s = await self._next_correction_s()
                if due_s is not None and due_s >= limit_s:
                    _log.warning(
                        "ledger_time_stands", time_s=self._ledger_time_s, reason="the next slot has no readings"
                    )
                    return
                if due_s is not None:
                    await self._advance(due_s)
                height = await self._next_block(height)
        except GridError as error:
            _log.warning("ledger_time_stands", time_s=self._ledger_time_s, reason=str(error))

    async def _next_correction_s(self) -> int | None:
        """When the first slot that waits is settled again; None while none waits."""
        found = [await patiently(partial(self._client.query, f"areas/{area}/progress")) for area in self._world.areas]
        return min((due_s for one in found for _first_s, _end_s, due_s in one["corrections"]), default=None)

    def _gate_s(self, slot_index: int) -> int:
        return int(self._world.slot_start_s[0]) + SLOT_S * slot_index - self._rules.gate_before_start_s

    async def _trade(self, slot_index: int) -> None:
        """Hand over a slot's orders, unless its gate is behind: a run that goes on has been there."""
        if slot_index < self._world.slots and self._ledger_time_s < self._gate_s(slot_index):
            orders = await self._orders_of(slot_index)
            self._journal.note_orders(slot_index, orders)
            await self._place(orders)

    async def _orders_of(self, slot_index: int) -> list[bytes]:
        """The slot's orders, the ones that were handed over already where a run goes on."""
        if not self._takes_orders:
            return []
        if kept := self._journal.orders(slot_index):
            return kept
        return await asyncio.to_thread(self._sign_orders, slot_index, await self._wanted(slot_index))

    def _sign_orders(self, slot_index: int, intents: Sequence[OrderIntent]) -> list[bytes]:
        """The slot's orders as wire bytes, signed by each household. Signed once: sending again sends the same bytes."""
        slot_start_s = int(self._world.slot_start_s[slot_index])
        wires = []
        for intent in in_turn(self._world, slot_index, intents) if self._is_one_by_one else intents:
            area = self._world.meters[self._world.meter_of_party[intent.party]].area
            order = MarketOrder(
                area=area,
                counter=1,
                nonce=secrets.token_bytes(NONCE_BYTES),
                price_micro_per_kwh=intent.price_micro_per_kwh,
                quantity_wh=intent.quantity_wh,
                side=intent.side,
                slot_start_s=slot_start_s,
            )
            wires.append(self._signed(intent.party, order))
        return wires

    async def _place(self, orders: Sequence[bytes]) -> None:
        """Hand over a slot's orders: together, or where it matters when they come one behind the other, in a block each."""
        for together in [[order] for order in orders] if self._is_one_by_one else [orders]:
            await self._submit(together)

    async def _advance(self, to_s: int) -> int:
        """Let the clock step; the height of the block that did, 0 where a run that goes on has been there."""
        if to_s <= self._ledger_time_s:
            return 0
        step = ClockAdvance(
            client_id=secrets.token_bytes(CLIENT_ID_BYTES), valid_until_s=self._ledger_time_s + VALID_S, to_s=to_s
        )
        height = await self._submit([self._signed("clock", step)], CLOCK_IS_THERE)
        self._ledger_time_s = to_s
        return height

    def _signed(self, signer: str, content: Content) -> bytes:
        """Wire bytes in the name of ``signer``."""
        return sign_content(content, chain=self._chain, signer=signer, sign=self._keys[signer].sign).wire

    async def _submit(self, wires: Sequence[bytes], done: frozenset[Code] = SETTLED) -> int:
        """Hand over until each transaction is decided by a code of ``done``; a node that is away is waited for. The height of the last block that decided one."""
        left, height, clock = list(wires), 0, asyncio.get_running_loop().time
        give_up = clock() + PATIENCE_S
        while left:
            answers = await patiently(partial(self._client.submit, left))
            check_answers(answers, done)
            height = max(height, *(answer.height or 0 for answer in answers))
            left = [wire for wire, answer in zip(left, answers, strict=True) if answer.code not in done]
            if left and clock() > give_up:
                raise StandstillError(f"the node has refused transactions for {PATIENCE_S:.0f} s")
            if left:
                await asyncio.sleep(RETRY_PAUSE_S)
        return height

    async def _readings_decided(self, index: int, boundary_s: int, since_height: int) -> None:
        """Wait until the ledger has every meter's registers of a boundary that are not lost. ``since_height``: of a block before them."""
        for area in self._world.areas:
            if self._troubles.is_cut_from_node(index, area):
                await self._sampled(area, boundary_s)
                continue
            own = [meter.meter for meter in self._world.meters if meter.area == area]
            shown = sum(not self._troubles.has_no_reading(index, meter, area) for meter in own)
            committed, height = 0, since_height
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while committed < shown:
                        height = await self._next_block(height)
                        coverage = partial(self._client.query, f"areas/{area}/coverage", boundary_s=boundary_s)
                        committed = (await patiently(coverage))["committed"]
            except TimeoutError:
                raise StandstillError(f"no readings of boundary {boundary_s} in area {area}") from None

    async def _sampled(self, area: str, boundary_s: int) -> None:
        """Wait until a gateway that nobody hears has read its meters: what it sends later is of this boundary."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._field.have_sampled(area, boundary_s)
        except TimeoutError:
            raise StandstillError(f"the gateway of area {area} has not read boundary {boundary_s}") from None

    async def _forge(self, index: int, boundary_s: int) -> None:
        """Send what thieves of gateways' keys send; the ledger refuses it."""
        for number, area in enumerate(self._world.areas, 1):
            if self._troubles.is_key_stolen(index, area):
                gateway = gateway_of(number)
                row = next(row for row, meter in enumerate(self._world.meters) if meter.area == area)
                wire = forged_batch(self._chain, gateway, self._keys[gateway], boundary_s, row)
                await patiently(partial(self._client.submit, [wire]))

    async def _next_block(self, height: int) -> int:
        """The newest block's height as soon as it is above ``height``, or as it is after a while."""
        changes = partial(self._client.query, "changes", after_height=height, wait_s=WAIT_S_MAX)
        return int((await patiently(changes))["height"])


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: the node may be down for a moment. NodeUnreachable after PATIENCE_S."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + PATIENCE_S
    while True:
        try:
            return await ask()
        except NodeUnreachable as error:
            if loop.time() > give_up:
                raise StandstillError(str(error)) from None
            await asyncio.sleep(RETRY_PAUSE_S)


def check_answers(answers: Iterable[Answer], done: frozenset[Code]) -> None:
    """Raise GridError for a transaction that the ledger refuses for good, by a code that is none of ``done``."""
    for answer in answers:
        if answer.code not in done and not answer.retry:
            raise GridError(f"the ledger refuses transaction {answer.id.hex()}: {answer.code} {answer.name}")
