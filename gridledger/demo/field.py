"""What is out in the field of a demonstration: meters, devices, gateways, and the ways between them; at a boundary all of it is as the events say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from edge.outbox_file import read_outbox
from gridcore.errors import GridError
from gridledger.demo.agreeing import wait_for_height
from gridledger.demo.day import patiently
from gridledger.demo.devices import Broker
from gridledger.demo.exchange import exchanges_of, rows_of_exchange
from gridledger.demo.instruments import Instruments
from gridledger.demo.peer_lines import PeerLines
from gridledger.demo.relay import Relay
from gridledger.demo.scene import Scene
from gridledger.demo.troubles import Troubles
from gridledger.founding.organisations import UTILITY
from gridledger.registering.submission import register
from gridledger.supervised import Supervised
from ledger.client import Client

POLL_S: Final = 0.05
UNDERWAY_S: Final = 1.0
"""So long after a cut a block whose votes were there before it may still be made."""
STANDS_S: Final = 5.0
"""So long no block is seen: more than twice the time after which an empty one would come."""
LISTENS: Final = "broker_up"
"""What an agent logs when it has found its broker."""
FOUND_AGAIN_S_MAX: Final = 30.0


@asynccontextmanager
async def relays_of(scene: Scene, troubles: Troubles) -> AsyncIterator[Mapping[str, Relay]]:
    """A relay, by area, for each gateway whose way to the node is not always as it should be."""
    async with AsyncExitStack() as stack:
        own = {area: scene.node_of_gateway(number) for number, area in enumerate(troubles.world.areas, 1)}
        stop = {area for area, place in own.items() if place.name in troubles.nodes_that_stop()}
        relays = {area: Relay(own[area].url) for area in sorted(stop | troubles.areas_with_relay())}
        for relay in relays.values():
            await relay.start()
            stack.push_async_callback(relay.close)
        yield relays


class Field:
    """Lets come and go what happens to the instruments, to the processes beside them, and between them and the node."""

    def __init__(
        self,
        scene: Scene,
        troubles: Troubles,
        instruments: Instruments,
        agents: Mapping[str, Supervised],
        nodes: Mapping[str, Supervised],
        relays: Mapping[str, Relay],
        lines: PeerLines,
        broker: Broker | None,
        client: Client,
    ) -> None:
        self._scene = scene
        self._troubles = troubles
        self._instruments = instruments
        self._agents = agents
        self._nodes = nodes
        self._down: set[str] = set()
        self._cut_off: frozenset[str] = frozenset()
        self._relays = relays
        self._lines = lines
        self._broker = broker
        self._client = client
        self._is_broker_dead = False

    async def show(self, boundary_index: int) -> None:
        """Let meters and devices show a boundary, and what happens around them be so."""
        await self._arrange_broker(self._troubles.is_broker_dead(boundary_index))
        await self._instruments.show(boundary_index)
        await self.arrange(boundary_index)
        cut_off = self._troubles.nodes_cut_off(boundary_index)
        if cut_off and self._troubles.stands(cut_off):
            await self._stand(cut_off)

    async def arrange(self, boundary_index: int | None) -> None:
        """Let those gateways run that are alive at a boundary, and be what is between them and the node until ledger time is there; None: before
        the first one.
        """
        if boundary_index is None:
            return
        await self._arrange_broker(self._troubles.is_broker_dead(boundary_index))
        await self._arrange_nodes(boundary_index)
        for area, relay in self._relays.items():
            relay.is_cut = any(
                self._troubles.is_cut_from_node(index, area) for index in (boundary_index - 1, boundary_index)
            )
            relay.behind_s = self._troubles.clock_behind_s(boundary_index, area)
        for area, agent in self._agents.items():
            if self._troubles.is_gateway_dead(boundary_index, area):
                await agent.pause()
            else:
                agent.resume()

    def reconnect(self, boundary_index: int) -> None:
        """Ledger time has come to a boundary: let through the gateways whose way to the node is whole from then on.

        Before, what they kept could be decided before or behind a metering deadline of that very moment, as this machine goes.
        """
        for area, relay in self._relays.items():
            relay.is_cut = self._troubles.is_cut_from_node(boundary_index, area)

    async def _arrange_nodes(self, boundary_index: int) -> None:
        """Stop and start validators, cut them off and join them; one that comes back has caught up before its gateways talk to it again."""
        down, cut_off = self._troubles.nodes_down(boundary_index), self._troubles.nodes_cut_off(boundary_index)
        if self._troubles.stands(cut_off):
            cut_off = frozenset()  # gateways stay where they are: no node makes blocks
        for name in down - self._down:
            await self._nodes[name].pause()
        for name in self._down - down:
            self._nodes[name].resume()
        if self._cut_off != cut_off:
            await self._check_left_behind(self._cut_off)
            self._lines.cut_off(cut_off)
        for name in sorted((self._down | self._cut_off) - (down | cut_off)):
            await self._caught_up(name)
        self._down, self._cut_off = down, cut_off
        for number, area in enumerate(self._troubles.world.areas, 1):
            if area in self._relays:
                self._relays[area].lead_to(self._scene.node_instead(number, down | cut_off).url)

    async def _check_left_behind(self, names: Collection[str]) -> None:
        """GridError where a node that was cut off has the newest blocks all the same."""
        height = await self._height(self._scene.nodes[0].name)
        for name in names:
            if (own := await self._height(name)) >= height:
                raise GridError(f"{name} is cut off and has come to height {own}; the others are at {height}")

    async def _stand(self, cut_off: frozenset[str]) -> None:
        """Cut some validators off where neither side has more than two thirds, see that no node makes a block, and join them again.

        The simulated clock moves by blocks, so it stands too: the cut takes STANDS_S of the wall's clock. GridError where a block is made.
        """
        self._lines.cut_off(cut_off)
        await asyncio.sleep(UNDERWAY_S)
        names = [place.name for place in self._scene.nodes]
        before = [await self._height(name) for name in names]
        await asyncio.sleep(STANDS_S)
        after = [await self._height(name) for name in names]
        self._lines.cut_off(())
        if before != after:
            raise GridError(f"{', '.join(sorted(cut_off))} are cut off, and blocks are made: from {before} to {after}")

    async def _height(self, name: str) -> int:
        async with self._client_of(name) as node:
            return (await patiently(node.status)).height

    def _client_of(self, name: str) -> Client:
        scene = self._scene
        url = next(place.url for place in scene.nodes if place.name == name)
        return Client(url, chain=scene.chain, signer_id=UTILITY, signer=scene.keys[UTILITY])

    async def _caught_up(self, name: str) -> None:
        height = (await patiently(self._client.status)).height
        async with self._client_of(name) as node:
            await wait_for_height(node, name, height)

    async def _arrange_broker(self, is_dead: bool) -> None:
        if self._broker is None or is_dead == self._is_broker_dead:
            return
        self._is_broker_dead = is_dead
        if is_dead:
            await self._broker.stop()
            return
        listening = {
            self._agents[area]: self._agents[area].times_said(LISTENS) for area in self._instruments.areas_with_devices
        }
        await self._broker.start()
        await self._found_again(listening)

    async def _found_again(self, listening: Mapping[Supervised, int]) -> None:
        """Wait until agents and devices have found the broker again: how soon they do is a matter of this machine's time, not of the world's.

        listening: how often each agent had found it before. A broker that does not come back is done without.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FOUND_AGAIN_S_MAX):
                while not self._instruments.devices_listen or any(  # noqa: ASYNC110 - other processes connect
                    agent.times_said(LISTENS) == before for agent, before in listening.items()
                ):
                    await asyncio.sleep(POLL_S)

    async def exchange(self, boundary_index: int) -> None:
        """Exchange the meters that are exchanged in the slot behind a boundary, and tell ledger and gateways of it."""
        world = self._troubles.world
        for exchange in exchanges_of(world):
            if exchange.slot != boundary_index:
                continue
            rows = rows_of_exchange(world, exchange)
            key = self._scene.keys[UTILITY]
            done = await patiently(partial(register, self._client, UTILITY, key, rows, is_dry=False))
            if done.refused:
                raise GridError(done.refused)
            self._instruments.exchange(exchange)
            agent = self._agents[world.meters[exchange.row].area]
            await agent.pause()
            agent.resume()

    async def have_sampled(self, area: str, boundary_s: int) -> None:
        """Wait until the gateway of an area that nobody hears has a boundary's readings in its outbox."""
        number = 1 + list(self._agents).index(area)
        outbox = self._scene.run_dir / f"edge-{number}.outbox"
        while read_outbox(outbox).progress.last_boundary_s < boundary_s:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(POLL_S)
