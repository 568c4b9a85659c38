"""A site over a real node in this process and a real embedded series, filled by the projection: nothing set by hand.

The chain is that of ``tests.worlds.two_areas``. Once settled: in area a-1 p-2 sold 300 Wh to p-1, and one row of gw-1 named a
meter that does not exist; in area a-2 gw-2 never sent anything, so its slot waits for the registers of q-1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gridseries.embedded import EmbeddedSeries
from gridseries.projection import Projector
from gridweb.source import Source
from tests.unit.timeseries.projection_world import catch_up
from tests.unit.web.web_world import World, app_of, make_world
from tests.worlds.consortium import Consortium
from tests.worlds.nodes import RunningNode, running_node, submit_all
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot


@dataclass
class LedgerWorld:
    """A site (``web``; its fake node and series stand unused) over a running node."""

    web: World
    node: RunningNode
    sender: Sender
    projector: Projector

    @property
    def source(self) -> Source:
        """Where the pages of this site get their data."""
        return self.web.site.source

    async def submit(self, *submissions: Sequence[bytes]) -> None:
        """Have the node accept everything, and the series follow it."""
        await submit_all(self.node.client("util"), submissions)
        await self.follow()

    async def follow(self) -> None:
        """Let the series catch up with the node."""
        await catch_up(self.projector)


@asynccontextmanager
async def ledger_world(
    folder: Path, *, consortium: Consortium = TWO_AREAS, is_settled: bool = True
) -> AsyncIterator[LedgerWorld]:
    """A site over a fresh chain; ``is_settled``: with the first slot traded, metered and settled, as that of two areas."""
    web = make_world(folder)
    async with running_node(folder / "ledger", consortium) as node:
        series = EmbeddedSeries(folder / "series.db", 64)
        try:
            health = web.site.health
            projector = Projector(node.client("reg"), series, on_health=health.report)
            source = Source(node.client("reg"), series, projector, health)
            site = replace(web.site, source=source)
            world = LedgerWorld(replace(web, app=app_of(site), site=site), node, node.sender(), projector)
            await world.submit(*(one_settled_slot(world.sender) if is_settled else []))
            yield world
        finally:
            await series.close()
