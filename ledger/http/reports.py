"""The newest report of each gateway, in memory: what it says of itself beside its batches, and when it came."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from gridcore.gateway_report import GatewayReport

GATEWAYS_MAX: Final = 65_536
"""Gateways whose reports are kept; of one more, the one that has been silent longest is forgotten."""


class Received(NamedTuple):
    """A report, and when it came by the node's clock (UTC seconds)."""

    report: GatewayReport
    received_s: int


class GatewayReports:
    """Used by one event loop; only a gateway's own signed query gets here (``ledger.http.queries.fleet``)."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, Received] = OrderedDict()

    def keep(self, gateway: str, report: GatewayReport, received_s: int) -> None:
        """Take a report in place of the gateway's last one."""
        self._newest[gateway] = Received(report, received_s)
        self._newest.move_to_end(gateway)
        if len(self._newest) > GATEWAYS_MAX:
            self._newest.popitem(last=False)

    def of(self, gateway: str) -> Received | None:
        """The gateway's newest report since the node was started."""
        return self._newest.get(gateway)
