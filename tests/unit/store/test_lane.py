"""The lane of examination: who is next, for how many transactions, and what is remembered of a sender."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gridcore.codes import Code
from ledger.application import Examined
from ledger.engines import lane
from ledger.engines.base import INSIDE, Sender
from ledger.engines.lane import PIECE, PIECE_ALONE, Lane
from ledger.signatures import decode_candidates
from tests.waiting import until
from tests.worlds.consortium import FIRST_S
from tests.worlds.two_areas import TWO_AREAS

GOOD = TWO_AREAS.sender().order("p-1", "a-1", "buy", 1, 1, FIRST_S)
QUIET = TWO_AREAS.sender().order("p-2", "a-1", "buy", 1, 1, FIRST_S)
FORGED = TWO_AREAS.sender().order("p-1", "a-1", "buy", 2, 1, FIRST_S)


class Examiner:
    """Examines in the tests' own time: all wait while ``open`` is clear; keeps the pieces that it got."""

    def __init__(self) -> None:
        self.pieces: list[list[bytes]] = []
        self.organisation = ""
        self.open = threading.Event()
        self.open.set()

    def __call__(self, wires: list[bytes]) -> list[Examined]:
        self.pieces.append(wires)
        self.open.wait()
        codes = [Code.WRONG_SIGNATURE if wire == FORGED else Code.ACCEPTED for wire in wires]
        return [
            Examined(one, {}, code, None, None, organisation=self.organisation)
            for one, code in zip(decode_candidates(wires), codes, strict=True)
        ]


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Examiner, Lane]]:
    examiner = Examiner()
    running_lane = Lane(examiner)
    try:
        yield examiner, running_lane
    finally:
        examiner.open.set()
        await running_lane.close()


def sizes(examiner: Examiner) -> list[int]:
    """Of the pieces so far."""
    return [len(piece) for piece in examiner.pieces]


async def test_a_connection_begins_with_one_transaction_and_earns_larger_pieces() -> None:
    async with running() as (examiner, queue):
        await queue.examine([GOOD] * 40, Sender("n", "n 1"))
        assert sizes(examiner) == [1, PIECE_ALONE, 40 - 1 - PIECE_ALONE]
        examiner.pieces.clear()
        await queue.examine([FORGED] * 6, Sender("n", "n 2"))
        assert sizes(examiner) == [1, PIECE, 1]
        examiner.pieces.clear()
        await queue.examine([FORGED] * PIECE_ALONE, INSIDE)
        assert sizes(examiner) == [PIECE_ALONE]


async def test_pieces_are_small_while_somebody_else_is_there() -> None:
    async with running() as (examiner, queue):
        await queue.examine([GOOD], Sender("n", "n 1"))
        examiner.pieces.clear()
        examiner.open.clear()
        first = asyncio.ensure_future(queue.examine([GOOD], Sender("n", "n 2")))
        await until(lambda: len(examiner.pieces) == 1)
        second = asyncio.ensure_future(queue.examine([GOOD] * 10, Sender("n", "n 1")))
        await until(lambda: len(examiner.pieces) == 2)
        examiner.open.set()
        await asyncio.gather(first, second)
        assert sizes(examiner)[:2] == [1, PIECE]


async def test_known_signers_go_first_and_strangers_get_every_fourth_turn() -> None:
    async with running() as (examiner, queue):
        for number in range(5):
            await queue.examine([GOOD], Sender("known", str(number)))
        examiner.pieces.clear()
        examiner.open.clear()
        begun = [asyncio.ensure_future(queue.examine([GOOD], INSIDE)) for _ in range(lane.AT_ONCE)]
        await until(lambda: len(examiner.pieces) == lane.AT_ONCE)
        strangers = [asyncio.ensure_future(queue.examine([FORGED], Sender(f"s{n}", f"s{n}"))) for n in range(3)]
        known = [asyncio.ensure_future(queue.examine([GOOD], Sender("known", str(n)))) for n in range(5)]
        await asyncio.sleep(0)
        examiner.open.set()
        await asyncio.gather(*begun, *strangers, *known)
        order = [piece[0] == FORGED for piece in examiner.pieces[lane.AT_ONCE :]]
        assert order.index(True) <= lane.STRANGERS_TURN
        assert order[:2].count(True) <= 1
        assert order[-1]


async def test_of_strangers_the_network_that_has_used_least_is_next() -> None:
    async with running() as (examiner, queue):
        await queue.examine([FORGED] * 9, Sender("busy", "busy 1"))
        examiner.pieces.clear()
        examiner.open.clear()
        first = asyncio.ensure_future(queue.examine([FORGED], Sender("busy", "busy 1")))
        await until(lambda: len(examiner.pieces) == 1)
        crowd = [asyncio.ensure_future(queue.examine([FORGED], Sender("busy", f"busy {n}"))) for n in range(2, 9)]
        await asyncio.sleep(0)
        newcomer = asyncio.ensure_future(queue.examine([GOOD], Sender("quiet", "quiet 1")))
        await asyncio.sleep(0)
        examiner.open.set()
        await asyncio.gather(first, newcomer, *crowd)
        assert examiner.pieces[1] == [GOOD]


async def test_of_known_signers_of_one_address_the_organisation_that_has_used_least_is_next() -> None:
    async with running() as (examiner, queue):
        examiner.organisation = "busy"
        for number in range(3):
            await queue.examine([GOOD] * 9, Sender("proxy", f"busy {number}"))
        examiner.organisation = "quiet"
        await queue.examine([QUIET], Sender("proxy", "quiet 1"))
        examiner.pieces.clear()
        examiner.open.clear()
        begun = [asyncio.ensure_future(queue.examine([GOOD], INSIDE)) for _ in range(lane.AT_ONCE)]
        await until(lambda: len(examiner.pieces) == lane.AT_ONCE)
        crowd = [asyncio.ensure_future(queue.examine([GOOD], Sender("proxy", f"new {n}"))) for n in range(8)]
        await asyncio.sleep(0)
        quiet = asyncio.ensure_future(queue.examine([QUIET], Sender("proxy", "quiet 2")))
        await asyncio.sleep(0)
        examiner.open.set()
        await asyncio.gather(*begun, *crowd, quiet)
        assert [QUIET] in examiner.pieces[lane.AT_ONCE : lane.AT_ONCE + 2]


async def test_who_leaves_gives_its_turn_back() -> None:
    async with running() as (examiner, queue):
        examiner.open.clear()
        first = asyncio.ensure_future(queue.examine([FORGED] * 9, Sender("a", "a 1")))
        await until(lambda: len(examiner.pieces) == 1)
        waiting = asyncio.ensure_future(queue.examine([FORGED] * 9, Sender("b", "b 1")))
        await asyncio.sleep(0)
        for left in (first, waiting):
            left.cancel()
        await asyncio.wait((first, waiting))
        examiner.open.set()
        await queue.examine([GOOD], Sender("c", "c 1"))
        assert sizes(examiner) == [1, 1]
