"""The sample bundles of a demonstration: one bill line, proven by every node."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from gridcore.errors import GridError
from gridcore.run_names import INITIAL
from gridledger.demo.day import PATIENCE_S, RETRY_PAUSE_S, patiently
from gridledger.demo.results import Tables
from gridledger.demo.scene import Scene
from gridledger.founding.folder import write_new
from gridledger.tables.results import StatementRow
from ledger.client import Client
from settlement.catalogue import CONTRACTS

TRADES: Final = ("trade_sell", "trade_buy")
PREFERRED_LINES: Final = (*TRADES, "agreement_buy", "schedule_buy", "community_buy", "residual_import", "levy")
"""Of which kind the line should be: a trade where there is one."""


@dataclass(frozen=True)
class Sample:
    """What the samples prove, in words, and the arguments of the verifier that decide it."""

    claim: str
    arguments: str


async def save_samples(scene: Scene, client: Client, tables: Tables) -> Sample:
    """Export one bill line as ``sample.evd``, with the slot's anonymous book beside it where there are orders; where there are further nodes each gives its
    own bundle, ``sample-2.evd`` and so on. ``client``: of the first node.
    """
    line = _choose(tables)
    area = next(point.area for point in scene.terms.points if line.party in point.parties)
    write_new(scene.out / "sample.evd", await _bundle(client, line))
    is_cleared = CONTRACTS[scene.terms.rules.contract].takes_orders
    if is_cleared:
        book = await patiently(lambda: client.fetch_bytes("book", area=area, slot=line.slot_start_s))
        write_new(scene.out / "sample.book", book)
    height = (await patiently(client.status)).certified_height
    for number, place in enumerate(scene.nodes[1:], 2):
        async with Client(place.url, chain=scene.chain, signer_id="utility", signer=scene.keys["utility"]) as other:
            await _wait_certified(other, height)
            write_new(scene.out / f"sample-{number}.evd", await _bundle(other, line))
    # a bundle of a line that rests on no order has no clearing, and with a book nobody could decide it
    with_book = " --with-book sample.book" if is_cleared and line.line_kind in TRADES else ""
    claim = f"{line.line_kind} of {line.party}, slot {line.slot_start_s}"
    return Sample(claim, f"sample.evd --trust trust.json{with_book}")


def _choose(tables: Tables) -> StatementRow:
    """The largest line of the first kind that there is, in a slot whose readings are complete where there is one."""
    rows = [row for row in tables.statements if row.run == INITIAL and row.slot_start_s in tables.measured_slots]
    rows = rows or tables.statements
    kind = next(kind for kind in PREFERRED_LINES if any(row.line_kind == kind for row in rows))
    return max((row for row in rows if row.line_kind == kind), key=lambda row: abs(row.amount_nano))


async def _bundle(client: Client, line: StatementRow) -> bytes:
    terms: dict[str, str | int] = {
        "party": line.party,
        "slot_start_s": line.slot_start_s,
        "line_kind": line.line_kind,
        "run": line.run,
    }
    return await patiently(lambda: client.fetch_bytes("evidence", **terms))


async def _wait_certified(client: Client, height: int) -> None:
    """Wait until a node has certified ``height``; GridError when it does not come so far."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (await patiently(client.status)).certified_height < height:  # noqa: ASYNC110 - another process
                await asyncio.sleep(RETRY_PAUSE_S)
    except TimeoutError:
        raise GridError(f"demo: {client.url} has not come to height {height} within {PATIENCE_S:.0f} s") from None
