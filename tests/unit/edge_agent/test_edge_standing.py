"""Start-up against the ledger, and new epochs: never two batches under one counter, never a silent hole."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from edge.config import DAY_S, EdgeConfig, OutboxLimits
from edge.epoch import open_epoch
from edge.nodes import Nodes
from edge.observing import Observer
from edge.outbox import Outbox
from edge.outbox_file import OutboxDamagedError, read_outbox
from edge.parts import AgentParts, FieldParts
from edge.standing import open_standing
from edge.submit import Outcome, Submitter
from gridcore.codes import Code
from gridcore.config import load_config
from gridcore.envelope import decode_transaction
from gridcore.errors import GridError, UsageError
from gridcore.sm import SigningKey
from ledger.client import NodeRefused
from tests.unit.edge_agent.edge_world import (
    CHAIN,
    FIRST_S,
    GATEWAY,
    SLOT_S,
    FakeNode,
    append,
    check_chain,
    fake_lines,
    maker,
    new_outbox,
    next_batch,
    trusted,
    write_config,
)
from tests.waiting import until
from tests.worlds.keys import key

NOW_S = FIRST_S + 9 * SLOT_S


def config_of(folder: Path) -> EdgeConfig:
    config = load_config(write_config(folder), EdgeConfig)
    return replace(config, submit=replace(config.submit, retry_ms_min=1, retry_ms_max=5))


def parts_of(folder: Path) -> AgentParts:
    config = config_of(folder)
    observer = Observer((), (), (), config.sampling)
    field = FieldParts(config, bytes(32), bytes(32), fake_lines()[1], observer, {}, ())
    return AgentParts(config, key(GATEWAY), trusted(), maker(), field)


async def send(node: FakeNode, outbox: Outbox) -> Outcome:
    return await Submitter(node, outbox, trust=trusted()).submit_once()


async def test_first_start_takes_over_the_open_epoch(tmp_path: Path) -> None:
    outbox = await open_standing(config_of(tmp_path), FakeNode(epoch=3))
    assert (outbox.progress.epoch, outbox.progress.counter, outbox.depth) == (3, 0, 0)
    outbox.close()


async def test_first_start_waits_for_a_dead_node(tmp_path: Path) -> None:
    import asyncio

    node = FakeNode(dead=True)
    opening = asyncio.create_task(open_standing(config_of(tmp_path), node))
    await until(lambda: node.asked >= 2)
    assert not opening.done()
    node.dead = False
    await until(opening.done)
    opening.result().close()


async def test_first_start_asks_again_after_an_odd_answer(tmp_path: Path) -> None:
    class Odd(FakeNode):
        async def query(self, path: str, **params: str | int) -> Any:
            answer = await super().query(path, **params)
            return answer if self.asked > 2 else answer | {"epoch": 1 << 64}  # a question for the status goes before

    node = Odd()
    outbox = await open_standing(config_of(tmp_path), node)
    assert (outbox.progress.epoch, node.asked) == (node.epoch, 4)
    outbox.close()


async def test_lost_outbox_is_refused_and_names_the_way_out(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with pytest.raises(UsageError) as caught:
        await open_standing(config, FakeNode(counter=7))
    assert "the ledger has batch 7 of gateway gw-1 in epoch 1: it was lost" in str(caught.value)
    assert "gridledger edge epoch" in str(caught.value)
    assert not config.outbox.exists()


async def test_gateway_that_the_node_does_not_let_in_is_refused_at_its_first_start(tmp_path: Path) -> None:
    class Strict(FakeNode):
        async def query(self, path: str, **params: str | int) -> object:
            raise NodeRefused("401", 401, "no signature of gw-1")

    with pytest.raises(UsageError, match="check gateway, chain, key and clock"):
        await open_standing(config_of(tmp_path), Strict())


async def test_known_outbox_starts_without_a_node(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    new_outbox(config.outbox, 2).close()
    outbox = await open_standing(config, FakeNode(dead=True))
    assert outbox.depth == 2
    outbox.close()


@pytest.mark.parametrize(
    ("ledger", "reason"),
    [
        ({"epoch": 2}, "the ledger has epoch 2 of gateway gw-1, this outbox epoch 1"),
        ({"counter": 9}, "the ledger has batch 9 of gateway gw-1, this outbox made 2: it is an older copy"),
        ({"counter": 2, "last": b"x" * 32}, "this outbox made 2: another one under that counter"),
    ],
)
async def test_outbox_that_cannot_go_on_is_refused(tmp_path: Path, ledger: dict[str, object], reason: str) -> None:
    config = config_of(tmp_path)
    new_outbox(config.outbox, 2).close()
    node = FakeNode()
    node.__dict__.update(ledger)
    with pytest.raises(UsageError) as caught:
        await open_standing(config, node)
    assert reason in str(caught.value)
    assert "gridledger edge epoch" in str(caught.value)
    assert read_outbox(config.outbox).depth == 2


async def test_ledger_that_lost_batches_is_said_loudly_and_sampling_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of(tmp_path)
    outbox = new_outbox(config.outbox, 2)
    outbox.acknowledge([1, 2], 2, bytes(32))
    outbox.close()
    (await open_standing(config, FakeNode(counter=1))).close()
    assert "ledger_lost_batches" in capsys.readouterr().err


@pytest.mark.parametrize(("change", "reason"), [("slot", "sampling.slot_s = 900"), ("clock", "clock = 'ledger'")])
async def test_node_of_another_kind_is_refused(tmp_path: Path, change: str, reason: str) -> None:
    config = config_of(tmp_path)
    node = FakeNode(simulated=change != "clock")
    if change == "slot":
        status = await node.status()

        class Other(FakeNode):
            async def status(self) -> object:  # type: ignore[override]  # the same but for the slot
                return replace(status, slot_s=300)

        node = Other()
    with pytest.raises(UsageError, match=reason):
        await open_standing(config, node)


async def test_damaged_outbox_is_never_made_anew_by_itself(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    config.outbox.write_bytes(b"no database")
    with pytest.raises(OutboxDamagedError):
        await open_standing(config, FakeNode())
    assert config.outbox.read_bytes() == b"no database"


async def test_new_epoch_after_a_lost_outbox_starts_at_counter_1(tmp_path: Path) -> None:
    node = FakeNode(counter=7, last_boundary_s=FIRST_S)
    opened = await open_epoch(parts_of(tmp_path), "util", key("util"), "gateway replaced", cast("Nodes", node))
    assert (opened.epoch, opened.was_open, opened.carried, opened.aside) == (2, False, 0, None)
    outbox = await open_standing(config_of(tmp_path), node)
    assert outbox.progress.last_boundary_s == FIRST_S  # what the ledger has is not sampled again
    append(outbox)
    assert await send(node, outbox) is Outcome.ALL_DONE
    assert node.accepted[-1].identity == {"counter": 1, "epoch": 2}
    outbox.close()


async def test_new_epoch_carries_batches_without_receipt_over(tmp_path: Path) -> None:
    """A refused batch and those behind it are signed anew; what they say stays the same."""
    parts = parts_of(tmp_path)
    node, outbox = FakeNode(refuse={2: Code.WRONG_PREVIOUS}, ledger_time_s=NOW_S), new_outbox(parts.config.outbox, 4)
    assert await send(node, outbox) is Outcome.HALTED
    old = [decode_transaction(item.wire) for item in outbox.oldest(9)]
    outbox.close()
    node.refuse.clear()
    opened = await open_epoch(parts, "util", key("util"), "batch 2 refused", cast("Nodes", node))
    assert (opened.epoch, opened.carried) == (2, 3)
    assert opened.aside is not None
    assert read_outbox(opened.aside).depth == 3
    outbox = Outbox.open(parts.config.outbox, gateway=GATEWAY, chain=CHAIN)
    check_chain(outbox.oldest(9), outbox.progress)
    assert await send(node, outbox) is Outcome.ALL_DONE
    outbox.close()
    new = node.accepted[-3:]
    assert [transaction.attachment for transaction in new] == [transaction.attachment for transaction in old]
    for before, after in zip(old, new, strict=True):
        said = {"previous", "receipt"}
        assert {name: value for name, value in before.body.items() if name not in said} == {
            name: value for name, value in after.body.items() if name not in said
        }
    assert new[0].body["receipt"][0] == node.height - 3, "of the block that opened the epoch"


async def test_new_epoch_keeps_a_damaged_outbox_aside(tmp_path: Path) -> None:
    parts = parts_of(tmp_path)
    parts.config.outbox.write_bytes(b"no database")
    opened = await open_epoch(parts, "util", key("util"), "disk fault", cast("Nodes", FakeNode(counter=1)))
    assert opened.aside is not None
    assert opened.aside.read_bytes() == b"no database"
    assert read_outbox(parts.config.outbox).progress.epoch == 2


async def test_interrupted_opening_of_an_epoch_is_finished_without_a_further_one(tmp_path: Path) -> None:
    parts = parts_of(tmp_path)
    new_outbox(parts.config.outbox, 2).close()
    opened = await open_epoch(
        parts, "util", key("util"), "again", cast("Nodes", FakeNode(epoch=2, ledger_time_s=NOW_S))
    )
    assert (opened.epoch, opened.was_open, opened.carried) == (2, True, 2)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("refused", "15 NOT_PERMITTED"),
        ("forged", "does not count"),
        ("refused by its receipt", "the receipt says that the new epoch was refused: 15"),
    ],
)
async def test_epoch_that_the_ledger_does_not_certify_changes_nothing_here(
    tmp_path: Path, fault: str, said: str
) -> None:
    parts = parts_of(tmp_path)
    new_outbox(parts.config.outbox, 2).close()
    node = FakeNode(operator=SigningKey.generate()) if fault == "forged" else FakeNode()
    if fault == "refused by its receipt":
        node.receipt_code = Code.NOT_PERMITTED
    if fault == "refused":
        node._decide = lambda transaction: node._answer_of(transaction, Code.NOT_PERMITTED)  # type: ignore[method-assign]  # a refusal
    with pytest.raises(GridError, match=said):
        await open_epoch(parts, "util", key("util"), "x", cast("Nodes", node))
    assert read_outbox(parts.config.outbox).progress.epoch == 1


async def test_new_epoch_carries_nothing_from_a_false_time(tmp_path: Path) -> None:
    """2036 for a while, 1970 at boot: neither the batches nor the last boundary of such a time reach the new outbox."""
    parts, right_s = parts_of(tmp_path), FIRST_S
    outbox = new_outbox(parts.config.outbox, limits=OutboxLimits(age_s_max=3_660 * DAY_S * 10))
    for boundary_s in (900, right_s, 2_082_758_400, right_s + SLOT_S):
        append(outbox, partial(next_batch, boundary_s=boundary_s))
    assert outbox.progress.last_boundary_s == 2_082_758_400
    outbox.close()
    node = FakeNode(ledger_time_s=NOW_S, counter=0)
    opened = await open_epoch(parts, "util", key("util"), "clock was wrong", cast("Nodes", node))
    assert (opened.epoch, opened.carried, opened.left_out) == (2, 2, 2)
    state = read_outbox(parts.config.outbox)
    assert (state.depth, state.progress.last_boundary_s) == (2, right_s + SLOT_S)
    assert opened.aside is not None
    assert read_outbox(opened.aside).depth == 4
    outbox = Outbox.open(parts.config.outbox, gateway=GATEWAY, chain=CHAIN)
    assert await send(node, outbox) is Outcome.ALL_DONE
    assert [transaction.body["boundary_s"] for transaction in node.accepted] == [right_s, right_s + SLOT_S]
    outbox.close()
