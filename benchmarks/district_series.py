"""The time series of a ledger, made by the projection itself, but over the node's queries as functions: no connection, no signatures.

Ten thousand slots of areas are eighty thousand questions; over HTTP most of the time would go to asking them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from benchmarks.million import KEY
from gridcore.clock import WallClock
from gridcore.node_interface import API
from gridcore.serving.problems import Problem
from gridseries.embedded import EmbeddedSeries
from gridseries.projection import Projector
from ledger.client import NodeRefused, NodeStatus
from ledger.http.access import Caller
from ledger.http.queries.blocks import changes
from ledger.http.route import Query
from ledger.http.routes import ROUTES
from ledger.http.view import LedgerView
from ledger.store.ledger import Ledger
from settlement import statements
from settlement.catalogue import CONTRACTS, pins

READER: Final = Caller("web", frozenset({"regulator"}))
SIZE_MIB_MAX: Final = 8 * 1024


class Questions:
    """A node's answers, straight from its ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._view = LedgerView(ledger, CONTRACTS, statements)
        self._routes = list(_patterns())

    async def status(self) -> NodeStatus:
        """What the projection needs to know of the chain."""
        ledger = self._ledger
        return NodeStatus(
            chain=ledger.chain,
            instance=b"",
            height=ledger.height,
            header_digest=b"",
            state_root=b"",
            ledger_time_s=ledger.ledger_time_s,
            clock="simulated",
            simulated=True,
            slot_s=self._view.slot_s,
            currency="CNY",
            version="",
        )

    async def query(self, path: str, **params: str | int) -> Any:
        """The answer of ``/api/v1/<path>``. NodeRefused as over a connection."""
        if path == "changes":
            return changes(self._view, int(params["after_height"]))
        query = {name: str(value) for name, value in params.items()}
        for pattern, route in self._routes:
            found = pattern.fullmatch(f"{API}/{path}")
            if found is not None:
                arguments = route.read_arguments(found.groupdict(), query)
                if route.access.admit is not None:
                    arguments = route.access.admit(self._view, READER, arguments)
                try:
                    return route.query(self._view, **arguments)
                except Problem as problem:
                    raise NodeRefused(path, problem.status, str(problem)) from None
        raise LookupError(path)


def _patterns() -> Iterator[tuple[re.Pattern[str], Query]]:
    for route in ROUTES:
        if isinstance(route, Query) and route.method == "GET":
            yield re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", route.rule)), route


def project(folder: Path) -> None:
    """Fill ``series.db`` of a folder from its ledger."""
    with closing(Ledger.open(folder / "ledger", CONTRACTS, KEY, WallClock(), pins=pins())) as ledger:
        asyncio.run(_project(ledger, EmbeddedSeries(folder / "series.db", SIZE_MIB_MAX)))


async def _project(ledger: Ledger, series: EmbeddedSeries) -> None:
    projector = Projector(Questions(ledger), series)
    try:
        while projector.height < ledger.height:
            await projector.step()
    finally:
        await series.close()
