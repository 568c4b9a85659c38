"""``/api/v1``: every table of the pages as JSON (exact values, units named) and as CSV."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from quart import Blueprint, Response, jsonify, request

from gridcore.problems import Problem
from gridweb.access import requires
from gridweb.site import source, viewer
from gridweb.tables import API, TableRoute, table_routes, to_csv, to_json

FORMATS = ("json", "csv")


def pages() -> Blueprint:
    """The routes of all tables."""
    blueprint = Blueprint("api", __name__, url_prefix=API)
    for route in table_routes():
        blueprint.add_url_rule(route.rule, endpoint=route.endpoint, view_func=_view_of(route))
    return blueprint


def _view_of(route: TableRoute) -> Callable[..., Awaitable[Response]]:
    @requires(*route.roles)
    async def answer(**path: Any) -> Response:
        wanted = request.args.get("format", "json")
        if wanted not in FORMATS:
            raise Problem("bad-request", f"format={wanted}: is json or csv")
        query = {name: _parse(name, kind) for name, kind in route.query.items() if name in request.args}
        table = await route.table(source(), viewer(), **path, **query)
        if wanted == "json":
            return jsonify(to_json(table))
        response = Response(to_csv(table), content_type="text/csv; charset=utf-8; header=present")
        response.headers["Content-Disposition"] = f'attachment; filename="{table.name}.csv"'
        return response

    return answer


def _parse(name: str, kind: type) -> str | int:
    text = request.args[name]
    if kind is str:
        return text
    if not text.isascii() or not text.removeprefix("-").isdecimal() or len(text) > 19:
        raise Problem("bad-request", f"{name}={text[:40]}: is a whole number")
    return int(text)
