"""``/api/v1``: every table of the pages as JSON (exact values, units named) and as CSV, and the OpenAPI document of them.

Access is that of the pages: the roles of ``serves_table``, and of what belongs to one party a household gets its own alone.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from quart import Blueprint, Response, g, jsonify, request
from quart.typing import ResponseReturnValue

from gridcore.serving.problems import PROBLEM_TYPE, Problem
from gridweb.access import check_party, public, requires
from gridweb.site import site, source, viewer
from gridweb.tables import API, KINDS, Table, TableRoute, table_routes, to_csv, to_json

TABLE_ROWS_MAX: Final = 110_000
"""Rows of one answer: a year of one point fits, in quarter hours (35,040) and in five minutes (105,120)."""
ROWS_IN_THREAD: Final = 2_000
"""A table with more rows is turned into bytes in a thread, so that other requests go on."""
FORMATS: Final = ("json", "csv")
INTEGER_MAX: Final = (1 << 63) - 1


def pages() -> Blueprint:
    """The routes of the API: one for each table that is served, and ``openapi.json``."""
    blueprint = Blueprint("api", __name__, url_prefix=API)
    for route in table_routes():
        blueprint.add_url_rule(route.rule, endpoint=route.endpoint, view_func=_view_of(route))
    blueprint.add_url_rule("/openapi.json", endpoint="openapi", view_func=_show_openapi)
    return blueprint


def _view_of(route: TableRoute) -> Callable[..., Awaitable[Response]]:
    @requires(*route.roles)
    async def answer(**path: Any) -> Response:
        if "party" in path:
            check_party(viewer(), path["party"])
        kind, values = read_query(route.query, request.args)
        table = await route.table(source(), viewer(), **path, **values)
        if len(table.rows) > TABLE_ROWS_MAX:
            raise Problem("bad-request", f"more than {TABLE_ROWS_MAX} rows: ask for a shorter span")
        is_large = len(table.rows) > ROWS_IN_THREAD
        data = await asyncio.to_thread(encode, table, kind) if is_large else encode(table, kind)
        if kind == "json":
            return Response(data, content_type="application/json")
        response = Response(data, content_type="text/csv; charset=utf-8; header=present")
        response.headers["Content-Disposition"] = f'attachment; filename="{table.name}.csv"'
        return response

    return answer


def read_query(known: Mapping[str, type], given: Mapping[str, str]) -> tuple[str, dict[str, str | int]]:
    """The format and the arguments of a table's address. Problem 400 for an unknown name, and for what is no whole number."""
    values: dict[str, str | int] = {}
    for name, text in given.items():
        if name == "format":
            continue
        if name not in known:
            raise Problem("bad-request", f"unknown parameter {name[:40]!r}; known are {', '.join(['format', *known])}")
        values[name] = _whole(name, text) if known[name] is int else text
    kind = given.get("format", "json")
    if kind not in FORMATS:
        raise Problem("bad-request", f"format={kind[:40]}: is {' or '.join(FORMATS)}")
    return kind, values


def _whole(name: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 19) or int(digits) > INTEGER_MAX:
        raise Problem("bad-request", f"{name}={text[:40]}: is a whole number")
    return int(text)


def encode(table: Table, kind: str) -> bytes:
    """A table in one of FORMATS; titles of columns in the language of the request."""
    if kind == "csv":
        return to_csv(table)
    return json.dumps(to_json(table), ensure_ascii=False, separators=(",", ":")).encode()


# ---------------------------------------------------------------------------------------------------------------- OpenAPI

PARAMETERS: Final[Mapping[str, str]] = {
    "area": "An area's id.",
    "at_s": "An instant, UTC seconds.",
    "boundary": "A slot boundary, UTC seconds.",
    "boundary_s": "A slot boundary, UTC seconds.",
    "day": "A local day of the area: YYYY-MM-DD, or UTC seconds of any instant in it; without it, the newest.",
    "end_s": "Before this instant, UTC seconds.",
    "gateway": "A gateway's id.",
    "height": "A block's height.",
    "kind": "A line kind: trade_buy, trade_sell, residual_import, surplus, residual_export, shortfall, network_traded, "
    "network_residual or levy.",
    "party": "A party's pseudonym; a household sees its own alone.",
    "run": "A settlement run; without it, the initial one.",
    "slot": "A slot's start, UTC seconds.",
    "slot_start_s": "A slot's start, UTC seconds.",
    "start_s": "From this instant on, UTC seconds.",
}
"""What the arguments of tables mean, by name."""
FORMAT_PARAMETER: Final = {
    "name": "format",
    "in": "query",
    "description": "json: exact whole numbers under described columns; csv: the same rows for a spreadsheet.",
    "schema": {"type": "string", "enum": list(FORMATS), "default": "json"},
}
_PART: Final = re.compile(r"<(?:[^:<>]*:)?(\w+)>")
_INTEGER: Final = {"type": "integer", "format": "int64"}
_TEXT: Final = {"type": "string"}
_CELLS: Final = {"type": "array", "items": {"type": ["string", "integer", "null"]}}
_COLUMN: Final = {
    "type": "object",
    "required": ["key", "title", "kind", "unit"],
    "properties": {
        "key": {"type": "string", "description": "Its name in CSV."},
        "title": {"type": "string", "description": "In the language of the request."},
        "kind": {"type": "string", "enum": list(KINDS)},
        "unit": {"type": "string", "description": "Of the exact values."},
        "words": {
            "type": "object",
            "additionalProperties": _TEXT,
            "description": "Of a column of codes: what each means, in the language of the request.",
        },
    },
}
_TABLE: Final = {
    "type": "object",
    "required": ["table", "columns", "rows"],
    "properties": {
        "table": _TEXT,
        "title": _TEXT,
        "note": _TEXT,
        "tz": {"type": "string", "description": "The zone in which pages show its instants."},
        "currency": _TEXT,
        "columns": {"type": "array", "items": _COLUMN},
        "rows": {"type": "array", "items": _CELLS, "maxItems": TABLE_ROWS_MAX},
        "totals": {"oneOf": [_CELLS, {"type": "null"}]},
    },
}
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT},
}
_SELF: Final = {
    "summary": "This document.",
    "operationId": "openapi",
    "security": [],
    "responses": {
        "200": {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}}
    },
}
_FAILS: Final = {"default": {"$ref": "#/components/responses/Problem"}}


@public
async def _show_openapi() -> ResponseReturnValue:
    """The interface as an OpenAPI 3.1 document."""
    return jsonify(openapi(site().version, g.cookies.name("session")))


def openapi(version: str, cookie: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all tables. ``version``: of the program; ``cookie``: name of the session's."""
    paths: dict[str, Any] = {f"{API}/openapi.json": {"get": _SELF}}
    for route in table_routes():
        paths[f"{API}{_PART.sub(_in_braces, route.rule)}"] = {"get": _operation(route)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GridLedger pages",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Every table of the pages. Energies in Wh, prices in 1e-6 of the currency per kWh, amounts in "
            "1e-9 of it, instants in UTC seconds: exact whole numbers, null where there is no value. Sign in first.",
        },
        "security": [{"session": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": cookie}},
            "schemas": {"Table": _TABLE, "Problem": _PROBLEM},
            "responses": {
                "Problem": {
                    "description": "Why not.",
                    "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
        },
    }


def _in_braces(part: re.Match[str]) -> str:
    return f"{{{part[1]}}}"


def _operation(route: TableRoute) -> dict[str, Any]:
    summary = " ".join((route.function.__doc__ or route.endpoint).split("\n\n")[0].split())
    where = [(name, kind, "path") for name, kind in route.path.items()]
    where += [(name, kind, "query") for name, kind in route.query.items()]
    return {
        "summary": summary,
        "operationId": route.endpoint,
        "description": f"For {', '.join(sorted(route.roles))}.",
        "parameters": [*(_parameter(*one, route.required) for one in where), FORMAT_PARAMETER],
        "responses": {
            "200": {
                "description": summary,
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Table"}},
                    "text/csv": {"schema": _TEXT},
                },
            },
            **_FAILS,
        },
    }


def _parameter(name: str, kind: type, place: str, required: frozenset[str]) -> dict[str, Any]:
    described = {"description": PARAMETERS[name]} if name in PARAMETERS else {}
    schema = _INTEGER if kind is int else _TEXT
    return {"name": name, "in": place, "required": place == "path" or name in required, "schema": schema, **described}
