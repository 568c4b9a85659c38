"""Every route of the node: the records that the application serves and the OpenAPI document describes."""

from __future__ import annotations

from typing import Final

from gridcore.node_interface import API
from gridcore.serving.openapi import Json
from ledger.http import services
from ledger.http.dispatcher import Dispatcher
from ledger.http.openapi import openapi
from ledger.http.queries import (
    area_balances,
    areas,
    audit,
    balance_groups,
    block_list,
    blocks,
    certificates,
    credit,
    day_kinds,
    disputes,
    documents,
    fleet,
    governance,
    headers,
    market,
    metering,
    registry,
    settlement,
)
from ledger.http.route import Route, Service


async def describe(dispatcher: Dispatcher) -> Json:
    """This interface as OpenAPI."""
    return openapi(dispatcher.node.version, ROUTES)


ROUTES: Final[tuple[Route, ...]] = (
    *services.ROUTES,
    Service(rule=f"{API}/openapi.json", summary="This document.", serve=describe),
    *blocks.ROUTES,
    *block_list.ROUTES,
    *headers.ROUTES,
    *audit.ROUTES,
    *metering.ROUTES,
    *fleet.ROUTES,
    *areas.ROUTES,
    *registry.ROUTES,
    *governance.ROUTES,
    *market.ROUTES,
    *settlement.ROUTES,
    *day_kinds.ROUTES,
    *documents.ROUTES,
    *certificates.ROUTES,
    *credit.ROUTES,
    *disputes.ROUTES,
    *balance_groups.ROUTES,
    *area_balances.ROUTES,
)
