"""Traders of one's own, in any form that a function gives: a list, a generator, or what is no orders at all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest

from gridcore.errors import UsageError
from gridledger.simulating.own_traders import orders_in
from simulators.grid.households import OrderIntent
from simulators.grid.world import World
from tests.worlds.simulated import demo_world

HOME = OrderIntent("H001", "buy", 100, 300_000)


@pytest.fixture(scope="module")
def world() -> World:
    """Three homes of a feeder."""
    return demo_world(households=3, slots=1, seed=7)


def test_orders_that_are_yielded_one_after_the_other_are_all_placed(world: World) -> None:
    def yielding(_: World, slot: int) -> Iterator[OrderIntent]:
        yield OrderIntent("H002", "sell", 200, 200_000 + slot)
        yield HOME

    placed = orders_in(yielding(world, 0), 0, world.traders)
    assert placed == [OrderIntent("H002", "sell", 200, 200_000), HOME]


@pytest.mark.parametrize(
    ("said", "known", "words"),
    [
        (None, ["H001"], "slot 0: gave None; give a list of OrderIntent, an empty one for no orders"),
        (7, ["H001"], "slot 0: gave 7; give a list of OrderIntent"),
        ([("H001", "buy", 1, 1)], ["H001"], "gave ('H001', 'buy', 1, 1) among its orders; each is an OrderIntent"),
        (repeat(HOME), ["H001"], "slot 0: H001 has two orders; give one at most"),
        ([HOME], [], "slot 0: H001 places no orders here; nobody does"),
        ([HOME], ["H002", "H009"], "slot 0: H001 places no orders here; who does is H002 to H009"),
    ],
)
def test_what_is_no_list_of_orders_of_these_homes_is_one_line(
    world: World, said: Any, known: list[str], words: str
) -> None:
    with pytest.raises(UsageError) as refused:
        orders_in(said, 0, known)
    assert words in str(refused.value)
    assert str(refused.value).startswith("traders: slot 0: ")
