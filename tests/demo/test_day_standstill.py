"""A node that is there but does not get on ends the day in one line, instead of keeping it waiting for ever."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from gridcore.codes import Code
from gridcore.sm import SigningKey
from gridledger.demo import day
from gridledger.demo.asked_homes import AskedHomes
from gridledger.demo.dropped import Dropped
from gridledger.demo.pace import Pace
from gridledger.demo.resuming import Journal
from gridledger.demo.troubles import Troubles
from gridledger.simulating.own_traders import homes_of
from gridledger.simulating.terms import terms_of
from ledger.client import Answer, Client, NodeUnreachable
from settlement.contracts.p2p_call_auction_1 import CONTRACT
from simulators.grid.households import orders_of_slot
from tests.worlds.simulated import demo_world


class BusyNode:
    """Refuses everything, for now; or does not answer at all."""

    def __init__(self, *, is_away: bool) -> None:
        self.is_away = is_away

    async def submit(self, wires: Sequence[bytes]) -> list[Answer]:
        if self.is_away:
            raise NodeUnreachable("nobody is there")
        busy = Answer(id=b"", code=Code.NODE_BUSY, name="NODE_BUSY", retry=True, height=None, waiting_for=None)
        return [busy for _ in wires]


class Dark:
    """A field in which nothing happens."""

    async def show(self, boundary_index: int) -> None:
        pass

    def reconnect(self, boundary_index: int) -> None:
        pass

    async def exchange(self, boundary_index: int) -> None:
        pass

    async def have_sampled(self, area: str, boundary_s: int) -> None:
        pass


@pytest.mark.parametrize(("is_away", "words"), [(False, "has refused transactions"), (True, "nobody is there")])
async def test_a_node_that_does_not_get_on_ends_the_day(
    is_away: bool, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(day, "PATIENCE_S", 0.3)
    world = demo_world(households=2, slots=1, seed=7)
    keys = {name: SigningKey.generate() for name in ("clock", *world.traders)}
    node = cast("Client", BusyNode(is_away=is_away))

    troubles, journal = Troubles(world, Dropped(7)), Journal(tmp_path)
    with pytest.raises(day.StandstillError, match=words):
        await day.Day(
            world,
            terms_of(world).rules,
            AskedHomes(homes_of(orders_of_slot, world, CONTRACT), world, node).orders_of,
            "chain",
            node,
            keys,
            Dark(),
            troubles,
            Pace(None),
            journal,
        ).run(lambda _: None)
