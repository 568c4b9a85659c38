"""Where the gateway stands with the ledger at its start: never two batches under one counter.

An outbox knows its epoch and counter by itself and needs no node. Without one (first start, or lost) the ledger is asked,
and only a gateway that has not yet used its open epoch gets a fresh outbox; any other needs a new epoch
(``gridledger edge epoch``), so that the hole stays visible.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Protocol

from edge.backoff import backoff_ms
from edge.config import EdgeConfig
from edge.high_water import HighWater
from edge.outbox import Outbox
from edge.outbox_file import create_outbox, is_outbox_there
from edge.progress import NO_BOUNDARY, Progress
from gridcore.clock import Clock, WallClock
from gridcore.errors import UsageError
from gridcore.forms import DIGEST, TIME_S_MAX, integer
from gridcore.logs import get_logger
from gridcore.tpm.wire import TpmError
from ledger.client import COUNT, AnswerMalformed, NodeRefused, NodeStatus, NodeUnreachable, read_field, read_octets

ASK_RETRY_MS = 100
COMPARE_S_MAX = 5.0
"""A silent node does not keep a gateway with an outbox from sampling for longer than this."""
_BOUNDARY = integer(NO_BOUNDARY, TIME_S_MAX)
NEW_EPOCH = "open a new epoch with 'gridledger edge epoch'"

_log = get_logger(__name__)


class StandingNode(Protocol):
    """What is asked here of ``ledger.client.Client``."""

    async def status(self) -> NodeStatus:
        """See ``ledger.client.Client``."""
        ...

    async def query(self, path: str, **params: str | int) -> Any:
        """See ``ledger.client.Client``."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger's state holds of a gateway (``gateway/<id>`` in docs/spec/state.md). ``last``: id of its last batch."""

    epoch: int
    counter: int
    last: bytes
    last_boundary_s: int


async def fetch_standing(node: StandingNode, gateway: str) -> Standing:
    """Ask the node. NodeUnreachable, NodeRefused."""
    value, name = await node.query(f"gateways/{gateway}"), f"the node's answer about gateway {gateway!r}"
    return Standing(
        epoch=read_field(value, "epoch", COUNT, name),
        counter=read_field(value, "counter", COUNT, name),
        last=read_octets(value, "last", DIGEST, name),
        last_boundary_s=read_field(value, "last_boundary_s", _BOUNDARY, name),
    )


def check_status(config: EdgeConfig, status: NodeStatus) -> None:
    """UsageError unless the node's chain is the kind of chain that the configuration expects."""
    if status.slot_s != config.sampling.slot_s:
        raise UsageError(
            f"sampling.slot_s = {config.sampling.slot_s}, but slots of {config.chain} have {status.slot_s} s; set it so"
        )
    wanted = "ledger" if status.simulated else "wall"
    if config.clock != wanted:
        kind = "simulated time" if status.simulated else "real time"
        raise UsageError(f"clock = {config.clock!r}, but {config.chain} runs on {kind}; set clock = {wanted!r}")


def believed_boundary_s(config: EdgeConfig, standing: Standing, clock: Clock) -> int:
    """The last boundary that a node names, or NO_BOUNDARY where it is one that this machine's clock has not reached.

    Boundaries up to there are not sampled any more: a node that names one far ahead would silence the gateway. On simulated
    time the node is the clock.
    """
    last_s = standing.last_boundary_s
    if config.clock == "wall" and last_s > clock.now_s() + config.sampling.slot_s:
        _log.error("node_names_a_boundary_to_come", last_boundary_s=last_s, effect="it is not believed")
        return NO_BOUNDARY
    return last_s


def check_standing(progress: Progress, standing: Standing, oldest: int | None, where: str) -> None:
    """UsageError when the outbox at ``where`` cannot go on from what the ledger holds. ``oldest``: its first queued counter."""
    if standing.epoch != progress.epoch:
        known = (
            f"the ledger has epoch {standing.epoch} of gateway {progress.gateway}, this outbox epoch {progress.epoch}"
        )
        raise UsageError(f"{where}: {known}; {NEW_EPOCH}")
    is_forked = standing.counter == progress.counter and standing.last != progress.previous
    if standing.counter > progress.counter or is_forked:
        known = f"the ledger has batch {standing.counter} of gateway {progress.gateway}, this outbox made {progress.counter}"
        other = "another one under that counter" if is_forked else "it is an older copy"
        raise UsageError(f"{where}: {known}: {other}; {NEW_EPOCH}")
    next_here = progress.counter + 1 if oldest is None else oldest
    if standing.counter + 1 < next_here:
        _log.error("ledger_lost_batches", first=standing.counter + 1, last=next_here - 1, gateway=progress.gateway)


async def open_standing(config: EdgeConfig, node: StandingNode) -> Outbox:
    """Open the outbox, or make the first one, and hold it against the ledger (the caller holds ``lock_outbox``).

    With an outbox an unreachable node is no obstacle; without one this waits for the node. UsageError when they do not fit.
    """
    if is_outbox_there(config.outbox):
        outbox = _open(config)
        try:
            await _compare(config, node, outbox)
        except BaseException:
            outbox.close()
            raise
        return outbox
    standing = await _wait_for_standing(config, node)
    if standing.counter:
        raise UsageError(
            f"{config.outbox}: there is no outbox, but the ledger has batch {standing.counter} of gateway "
            f"{config.gateway} in epoch {standing.epoch}: it was lost; {NEW_EPOCH}"
        )
    last_boundary_s = believed_boundary_s(config, standing, WallClock())
    create_outbox(
        config.outbox, Progress(config.gateway, config.chain, standing.epoch, last_boundary_s=last_boundary_s)
    )
    _log.info("outbox_created", file=str(config.outbox), epoch=standing.epoch)
    return _open(config)


def _open(config: EdgeConfig) -> Outbox:
    outbox = Outbox.open(config.outbox, gateway=config.gateway, chain=config.chain, limits=config.outbox_limits)
    try:
        if config.counter_mark is not None:
            outbox.keep_mark(HighWater(config.counter_mark))
    except TpmError as error:
        outbox.close()
        raise UsageError(f"counter_mark: {error}") from None
    except BaseException:
        outbox.close()
        raise
    return outbox


async def _compare(config: EdgeConfig, node: StandingNode, outbox: Outbox) -> None:
    try:
        async with asyncio.timeout(COMPARE_S_MAX):
            check_status(config, await node.status())
            standing = await fetch_standing(node, config.gateway)
    except (NodeUnreachable, NodeRefused, TimeoutError) as error:
        _log.warning("node_not_asked", reason=str(error), waiting=outbox.depth)
        return
    oldest = outbox.oldest(1)
    check_standing(outbox.progress, standing, oldest[0].counter if oldest else None, str(config.outbox))


async def _wait_for_standing(config: EdgeConfig, node: StandingNode) -> Standing:
    jitter = random.SystemRandom()
    failures = 0
    while True:
        try:
            check_status(config, await node.status())
            return await fetch_standing(node, config.gateway)
        except AnswerMalformed as error:
            reason = str(error)
        except NodeRefused as error:
            if error.status < 500:
                raise UsageError(f"gateway {config.gateway}: {error}; check gateway, chain, key and clock") from None
            reason = str(error)
        except NodeUnreachable as error:
            reason = str(error)
        if not failures:
            _log.warning("first_start_needs_the_node", reason=reason)
        failures += 1
        await asyncio.sleep(backoff_ms(failures, ASK_RETRY_MS, config.submit.retry_ms_max, jitter) / 1000.0)
