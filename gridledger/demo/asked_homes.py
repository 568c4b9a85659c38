"""What homes want, slot after slot; those that learn from the market are told what the node says of the gate before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from gridledger.demo.day import PATIENCE_S, RETRY_PAUSE_S, StandstillError, patiently
from gridledger.settling.dataset import ClearedGate
from gridledger.simulating.own_traders import Homes, check_goes_on, gate_of, raised_by_traders
from ledger.client import Client, NodeRefused
from ledger.gates import ShownOrder
from simulators.grid.gates import Gate
from simulators.grid.households import OrderIntent
from simulators.grid.world import World

_NOT_FOUND: Final = 404


class AskedHomes:
    """Asks the homes of a world. They know of each gate what everybody knows when the next one is open, however long anything takes."""

    def __init__(self, homes: Homes, world: World, client: Client) -> None:
        self._homes = homes
        self._world = world
        self._client = client
        self._next = 0
        self._last: Gate | None = None

    async def orders_of(self, slot: int) -> Sequence[OrderIntent]:
        """What they want in a slot; of slots in their order. Where a run goes on they are asked for all before it again, and told the same.

        UsageError where they want something else there than the ledger has.
        """
        if not self._homes.is_told:
            return await self._asked(slot, None)
        for earlier in range(self._next, slot):
            check_goes_on(await self._ask(earlier), await self._gate(earlier))
        self._next = slot + 1
        return await self._ask(slot)

    async def _ask(self, slot: int) -> Sequence[OrderIntent]:
        return await self._asked(slot, await self._gate(slot - 1) if slot else None)

    async def _asked(self, slot: int, gate: Gate | None) -> Sequence[OrderIntent]:
        with raised_by_traders():
            return await asyncio.to_thread(self._homes.ask, slot, gate)

    async def _gate(self, slot: int) -> Gate:
        """What a gate came to; it has closed, and is waited for while it is not cleared."""
        if self._last is None or self._last.slot != slot:
            slot_start_s = int(self._world.slot_start_s[slot])
            prices: dict[str, int | None] = {}
            orders: dict[str, Sequence[ShownOrder]] = {}
            for area in self._world.areas:
                path = f"areas/{area}/slots/{slot_start_s}"
                prices[area] = (await self._cleared(path))["price_micro_per_kwh"]
                shown = await patiently(partial(self._client.query, f"{path}/orders"))
                orders[area] = [ShownOrder(**order) for order in shown["orders"]]
            self._last = gate_of(self._world, ClearedGate(slot, prices, orders))
        return self._last

    async def _cleared(self, path: str) -> Any:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    try:
                        return await patiently(partial(self._client.query, f"{path}/clearing"))
                    except NodeRefused as error:
                        if error.status != _NOT_FOUND:
                            raise
                    await asyncio.sleep(RETRY_PAUSE_S)
        except TimeoutError:
            raise StandstillError(f"{path}: its gate is not cleared") from None
