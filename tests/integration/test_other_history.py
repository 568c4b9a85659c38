"""A node that was set back, and a gateway that knows better: both say so, over the wire, and nothing is deleted."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from edge.batches import BatchMaker
from edge.outbox import Entry, Outbox
from edge.outbox_file import create_outbox
from edge.progress import Progress
from edge.receipts import ReceiptTrust
from edge.submit import Outcome, Submitter
from gridcore.light.state import LightState
from gridcore.light.trusted import begin
from gridcore.transactions.reading_batch import ClockState
from gridcore.transactions.readings import Reading
from tests.worlds.consortium import FIRST_S
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node
from tests.worlds.two_areas import TWO_AREAS


async def deliver(node: RunningNode, outbox: Outbox, import_wh: int) -> Outcome:
    """One more batch of gateway gw-1, sent once."""
    maker = BatchMaker("gw-1", node.chain, key("gw-1"), "test/1", bytes(32), bytes(32))
    readings = [Reading(1, 0, 0, import_wh, 0)]
    outbox.store([Entry(FIRST_S, lambda progress: maker.make(FIRST_S, readings, progress, ClockState(0, "simulated")))])
    genesis = node.consortium.genesis
    trust = ReceiptTrust(
        LightState(begin(node.chain, node.ledger.digest(0), genesis.signers), ()), Path("never-written")
    )
    return await Submitter(node.client("gw-1"), outbox, trust=trust).submit_once()


async def test_a_node_with_an_older_data_directory_is_told_by_the_gateway_whose_batches_it_lost(tmp_path: Path) -> None:
    path, chain = tmp_path / "outbox", TWO_AREAS.chain
    create_outbox(path, Progress("gw-1", chain, 1))
    with closing(Outbox.open(path, gateway="gw-1", chain=chain)) as outbox:
        async with running_node(tmp_path / "ledger") as node:
            await node.client("clock").submit([node.sender().clock(FIRST_S)])
            assert await deliver(node, outbox, 100) is Outcome.ALL_DONE
            assert (await node.client().status()).disputed_by == 0
        async with running_node(tmp_path / "older") as node:
            await node.client("clock").submit([node.sender().clock(FIRST_S)])
            assert await deliver(node, outbox, 200) is Outcome.HALTED
            assert (await node.client().status()).disputed_by == 1
        assert "names a header of a verified receipt, and the node's history does not have it" in outbox.progress.alarm
        assert outbox.depth == 1
