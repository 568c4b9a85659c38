"""The embedded engine while a signer is given another key: what waits and was signed with the old one is answered, and waits no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from gridcore.codes import Code
from gridcore.master_data import Named
from gridcore.registry.signer import SIGNER, Signer
from ledger.engines.embedded import EmbeddedEngine
from ledger.engines.pool import Limits
from ledger.store.check import check_ledger
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import FIRST_S, SLOT_S, UTILITY
from tests.worlds.keys import key, sign
from tests.worlds.ledgers import open_ledger
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import TWO_AREAS

ROWS = [(1, 1_000, 0), (2, 500, 700), (3, 12, 0), (4, 90, 5)]


@asynccontextmanager
async def one_by_one(data_dir: Path) -> AsyncIterator[EmbeddedEngine]:
    """An engine whose blocks hold one transaction each."""
    ledger = open_ledger(data_dir, TWO_AREAS)
    try:
        async with EmbeddedEngine(ledger, Limits(block_transactions=1)) as engine:
            yield engine
    finally:
        ledger.close()


def another_key(sender: Sender, name: str, role: str) -> bytes:
    """The administrator gives a signer the key of ``<name>-2`` from now on."""
    signer = Signer(UTILITY, key(f"{name}-2").public_key, [role])
    return sender.register(list(Named(SIGNER, name, signer, sender.now_s).rows()))


async def test_an_order_that_waits_while_its_signer_is_given_another_key_is_answered_and_enters_no_later_block(
    tmp_path: Path,
) -> None:
    sender = TWO_AREAS.sender()
    order = sender.order("p-1", "a-1", "buy", 1, 450_000, FIRST_S)
    async with one_by_one(tmp_path) as engine:
        answers = await asyncio.wait_for(engine.submit([another_key(sender, "p-1", "prosumer"), order]), 20)
        assert [answer.code for answer in answers] == [Code.ACCEPTED, Code.WRONG_SIGNATURE]
        (again,) = await engine.submit([order])
        assert again.code is Code.WRONG_SIGNATURE
        assert engine.gauges["pool_transactions"][1] == 0
    assert check_ledger(tmp_path, CONTRACTS).height >= 1


async def test_batches_that_are_held_while_their_gateway_is_given_another_key_give_way_to_those_of_the_new_key(
    tmp_path: Path,
) -> None:
    old, new = TWO_AREAS.sender(), replace(TWO_AREAS.sender(), sign=lambda name, signed: sign(f"{name}-2", signed))
    boundaries_s = [FIRST_S + SLOT_S * number for number in range(3)]
    held = [old.batch("gw-1", boundary_s, ROWS) for boundary_s in boundaries_s][1:]
    async with one_by_one(tmp_path) as engine:
        steps = await engine.submit(old.clocks(boundaries_s[-1]))
        assert {one.code for one in steps} == {Code.ACCEPTED}
        assert [one.code for one in await engine.submit(held)] == [Code.WAITING, Code.WAITING]
        (given,) = await engine.submit([another_key(old, "gw-1", "gateway")])
        assert given.code is Code.ACCEPTED
        for wire in [new.batch("gw-1", boundary_s, ROWS) for boundary_s in boundaries_s]:
            answers = [answer.code for _ in range(5) for answer in await asyncio.wait_for(engine.submit([wire]), 20)]
            assert answers[-1] is Code.EXISTS
