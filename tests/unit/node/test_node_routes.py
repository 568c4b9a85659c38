"""The records of routes, the OpenAPI document and docs/spec/http.md say the same."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gridcore.node_interface import API
from ledger.http.app import create_app
from ledger.http.dispatcher import Dispatcher, Node
from ledger.http.openapi import openapi
from ledger.http.roles import OWN_AREAS, OWN_ROWS, PARTY_IN_SCOPE
from ledger.http.route import JSON_TYPE, Posted, Query, Service
from ledger.http.routes import ROUTES
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.unit.node.test_node_http import MATRIX, settled
from tests.worlds.clocks import ManualClock
from tests.worlds.nodes import running_node

PAGE = (Path(__file__).parents[3] / "docs" / "spec" / "http.md").read_text(encoding="utf-8")
EVERYWHERE = {"start", "run"}
"""Parameters that the page explains once for all routes."""
LEAVES = {"result", "rules", "areas"}
"""Where an answer shows a leaf whole, whose members are on the page of the state."""


async def test_openapi_describes_every_route_and_no_other(tmp_path: Path) -> None:
    async with running_node(tmp_path / "ledger") as node:
        described = await node.client().query("openapi.json")
        engine: Any = None
        opened = Dispatcher(Node(node.ledger, engine, CONTRACTS, statements, ManualClock(0), "0", node.stop))
        rules = list(create_app(opened).url_map.iter_rules())
        await opened.close()
    served = {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower())
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD"}  # comes with GET
    }
    assert {(path, method) for path, entry in described["paths"].items() for method in entry} == served
    for path, entry in described["paths"].items():
        for operation in entry.values():
            in_path = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}
    assert openapi("1", ROUTES)["info"]["version"] == "1"


def test_every_function_takes_what_its_route_hands_it() -> None:
    for route in ROUTES:
        function = route.query if isinstance(route, Query) else route.serve if isinstance(route, Service) else None
        assert function is not None, route.rule
        _, *taken = inspect.signature(function).parameters
        handed = {one.argument for one in route.parameters}
        if route.access in (OWN_ROWS, OWN_AREAS, PARTY_IN_SCOPE):
            handed = (handed - {"party"}) | {"scope"}
        if isinstance(route, Posted):
            handed = (handed - {"digest"}) | {"body", "caller"}
        assert (route.rule, set(taken)) == (route.rule, handed)


def test_the_page_names_every_route_and_its_parameters() -> None:
    for route in ROUTES:
        address = route.rule.removeprefix(f"{API}/")
        found = re.search(rf"`{route.method} {re.escape(address)}(\?[^`]*)?`", PAGE)
        assert found is not None, route.rule
        named = set(re.findall(r"(\w+)=", found[1] or ""))
        taken = {one.name for one in route.parameters if not one.is_in_path}
        assert (route.rule, named | EVERYWHERE) == (route.rule, taken | EVERYWHERE)


async def test_the_page_names_every_member_of_an_answer(tmp_path: Path) -> None:
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", PAGE))))
    binary = {route.rule.rpartition("/")[2] for route in ROUTES if route.content != JSON_TYPE}
    async with running_node(tmp_path / "ledger") as node:
        await settled(node)
        asked = [row for row in MATRIX if row[0].rpartition("/")[2] not in {*binary, "openapi.json"}]
        assert len(asked) > 10
        for path, params, _ in asked:
            answer = await node.client("util").query(path, **params)
            assert (path, {name for name in _members(answer) if name not in words}) == (path, set())


def _members(value: Any) -> Iterator[str]:
    """Names of members in a JSON value, but of leaves."""
    if isinstance(value, list):
        for item in value[:1]:
            yield from _members(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            if name not in LEAVES:
                yield from _members(item)
