"""What a gateway tells its nodes of itself besides its batches, now and then (``gridcore.gateway_report``).

Counts alone, to every node of its configuration: who looks at gateways from the centre asks any of them. A node that does not
take it costs nothing; the next report is as good.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final, Protocol

from gridcore.gateway_report import GatewayReport
from gridcore.logs import get_logger

FIRST_PART: Final = 30
"""The first report comes within this part of the time between two."""

_log = get_logger(__name__)


class Reported(Protocol):
    """What takes reports (``edge.nodes.Nodes``)."""

    async def report(self, gateway: str, body: bytes) -> int:
        """See ``edge.nodes.Nodes``."""
        ...


def report_of(told: dict[str, Any]) -> GatewayReport:
    """The report of an agent whose facts (``edge.status``) are these."""
    outbox = told["outbox"]
    meters = [meter for line in told["lines"] for meter in line["meters"]]
    return GatewayReport(
        time_s=max(0, told["time_s"]),
        version=f"gridledger/{told['version']}"[:64],
        signer=told["signer"],
        batches=outbox["batches"],
        size_bytes=outbox["bytes"],
        age_s=outbox["age_s"],
        fill_percent=outbox["fill_percent"],
        in_memory=outbox["in_memory"],
        meters=len(meters),
        failing=sum(meter["failures"] > 0 for meter in meters),
        alarms=len(told["alarms"]),
    )


async def follow_facts(nodes: Reported, gateway: str, facts: Callable[[], dict[str, Any]], every_s: int) -> None:
    """Report each ``every_s`` (0: never); ends only by cancellation. What a node answers is said when it changes."""
    if not every_s:
        return
    jitter = random.SystemRandom()  # gateways that start together must not report together
    await asyncio.sleep(jitter.uniform(0, every_s / FIRST_PART))
    reached_before = -1
    while True:
        reached = await nodes.report(gateway, report_of(facts()).encode())
        if reached != reached_before:
            _log.info("reports_reach", nodes=reached)
        reached_before = reached
        await asyncio.sleep(every_s * jitter.uniform(0.9, 1.1))
