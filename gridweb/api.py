"""``/api/v1``: every table of the pages in every format of ``gridweb.exports`` (``gridweb.openapi`` describes them).

Access is that of the pages: the roles of ``serves_table``, and of what belongs to one party a household gets its own alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from quart import Blueprint, Response, g, jsonify, request
from quart.typing import ResponseReturnValue

from gridcore.serving.problems import Problem
from gridweb.access import check_party, public, requires
from gridweb.exports.format import Provenance
from gridweb.exports.formats import FORMATS
from gridweb.exports.names import file_stem
from gridweb.i18n import _
from gridweb.openapi import openapi
from gridweb.site import site, source, viewer
from gridweb.tables import API, TableRoute, table_routes

ROWS_IN_THREAD: Final = 2_000
"""A table with more rows is turned into bytes in a thread, so that other requests go on."""
INTEGER_MAX: Final = (1 << 63) - 1
NOWHERE: Final = Provenance("", 0, 0, "")
"""For formats that do not say where their rows come from."""


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
        name, values = read_query(route.query, request.args)
        form = FORMATS[name]
        table = await route.table(source(), viewer(), **path, **values)
        if len(table.rows) > form.rows_max:
            raise Problem("bad-request", f"more than {form.rows_max} rows: ask for a shorter span")
        where = await _provenance() if form.says_where else NOWHERE
        is_large = len(table.rows) > ROWS_IN_THREAD or form.says_where
        data = await asyncio.to_thread(form.encode, table, where) if is_large else form.encode(table, where)
        response = Response(data, content_type=form.content_type)
        if name != "json":
            stem = file_stem(table, path | values)
            response.headers["Content-Disposition"] = f'attachment; filename="{stem}{form.suffix}"'
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
        raise Problem("bad-request", f"format={kind[:40]}: is one of {', '.join(FORMATS)}")
    return kind, values


def _whole(name: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 19) or int(digits) > INTEGER_MAX:
        raise Problem("bad-request", f"{name}={text[:40]}: is a whole number")
    return int(text)


async def _provenance() -> Provenance:
    """Where the rows of the request under way come from. SourceAway while the pages cannot say."""
    as_of = await source().as_of()
    mark = _(as_of.mark) if as_of.mark else ""
    return Provenance(as_of.chain, as_of.height, as_of.ledger_time_s, mark)


@public
async def _show_openapi() -> ResponseReturnValue:
    """The interface as an OpenAPI 3.1 document."""
    return jsonify(openapi(site().version, g.cookies.name("session")))
