"""The OpenAPI document of the pages' tables, out of the records of their routes (``gridweb.tables``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gridcore.serving.openapi import FAILS, TEXT, document, object_of, reference
from gridweb.exports.formats import FORMATS
from gridweb.i18n import N_
from gridweb.tables import API, KINDS, TABLE_ROWS_MAX, TableRoute, table_routes

PARAMETERS: Final[Mapping[str, str]] = {
    "area": N_("An area's id."),
    "at_s": N_("An instant, UTC seconds."),
    "boundary": N_("A slot boundary, UTC seconds."),
    "boundary_s": N_("A slot boundary, UTC seconds."),
    "contains": N_("A text within a name; without it, all names."),
    "day": N_("A local day of the area: YYYY-MM-DD, or UTC seconds of any instant in it; without it, the newest."),
    "dispute": N_("A dispute's id, 64 hex digits."),
    "end_s": N_("Before this instant, UTC seconds."),
    "gateway": N_("A gateway's id."),
    "height": N_("A block's height."),
    "kind": N_("The kind of a bill line, as tables of lines name it; in the registry, the kind of an entity."),
    "meter": N_("A meter's code."),
    "month": N_("A local month of the area: YYYY-MM; without it, the newest."),
    "year": N_("A local year of the area, four digits; without it, the newest."),
    "name": N_("An entity's name."),
    "number": N_("The number of an issued document."),
    "proposal": N_("A proposal's id, 64 hex digits."),
    "party": N_("A party's pseudonym; a household sees its own alone."),
    "run": N_("A settlement run; without it, the initial one."),
    "slot": N_("A slot's start, UTC seconds."),
    "slot_start_s": N_("A slot's start, UTC seconds."),
    "start_s": N_("From this instant on, UTC seconds."),
    "to_height": N_("The height of the first row; without it, the newest."),
}
"""What the arguments of tables mean, by name: message ids."""
FORMAT_PARAMETER: Final = {
    "name": "format",
    "in": "query",
    "description": "json: exact whole numbers under described columns; csv: the same rows, and beside them kWh, money and local time; "
    "xlsx, pdf (PDF/A-3b), parquet: the same for a workbook, for paper and for data science.",
    "schema": {"type": "string", "enum": list(FORMATS), "default": "json"},
}
_PART: Final = re.compile(r"<(?:[^:<>]*:)?(\w+)>")
_INTEGER: Final = {"type": "integer", "format": "int64"}
_CELLS: Final = {"type": "array", "items": {"type": ["string", "integer", "null"]}}
_COLUMN: Final = object_of(
    {
        "key": {**TEXT, "description": "Its name in CSV."},
        "title": {**TEXT, "description": "In the language of the request."},
        "kind": {**TEXT, "enum": list(KINDS)},
        "unit": {**TEXT, "description": "Of the exact values."},
        "words": {
            "type": "object",
            "additionalProperties": TEXT,
            "description": "Of a column of codes: what each means, in the language of the request.",
        },
    },
    optional=("words",),
)
_TABLE: Final = object_of(
    {
        "table": TEXT,
        "title": TEXT,
        "note": TEXT,
        "tz": {**TEXT, "description": "The zone in which pages show its instants."},
        "currency": TEXT,
        "columns": {"type": "array", "items": _COLUMN},
        "rows": {"type": "array", "items": _CELLS, "maxItems": TABLE_ROWS_MAX},
        "totals": {"oneOf": [_CELLS, {"type": "null"}]},
    },
    optional=("title", "note", "tz", "currency", "totals"),
)
_SELF: Final = {
    "summary": "This document.",
    "operationId": "openapi",
    "security": [],
    "responses": {
        "200": {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}}
    },
}


def openapi(version: str, cookie: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all tables. ``version``: of the program; ``cookie``: name of the session's."""
    paths: dict[str, Any] = {f"{API}/openapi.json": {"get": _SELF}}
    for route in table_routes():
        paths[f"{API}{_PART.sub(_in_braces, route.rule)}"] = {"get": _operation(route)}
    return {
        **document(
            title="GridLedger pages",
            version=version,
            description="Every table of the pages. Energies in Wh, prices in 1e-6 of the currency per kWh, amounts in "
            "1e-9 of it, instants in UTC seconds: exact whole numbers, null where there is no value. Sign in first.",
            paths=dict(sorted(paths.items())),
            schemas={"Table": _TABLE},
            security_schemes={"session": {"type": "apiKey", "in": "cookie", "name": cookie}},
        ),
        "security": [{"session": []}],
    }


def summary_of(route: TableRoute) -> str:
    """What a table is, in a sentence: a message id."""
    return " ".join((route.function.__doc__ or route.endpoint).split("\n\n")[0].split())


def _in_braces(part: re.Match[str]) -> str:
    return f"{{{part[1]}}}"


def _operation(route: TableRoute) -> dict[str, Any]:
    summary = summary_of(route)
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
                    "application/json": {"schema": reference("Table")},
                    **{
                        one.content_type.partition(";")[0]: {"schema": TEXT}
                        for one in FORMATS.values()
                        if one.name != "json"
                    },
                },
            },
            **FAILS,
        },
    }


def _parameter(name: str, kind: type, place: str, required: frozenset[str]) -> dict[str, Any]:
    described = {"description": PARAMETERS[name]} if name in PARAMETERS else {}
    schema = _INTEGER if kind is int else TEXT
    return {"name": name, "in": place, "required": place == "path" or name in required, "schema": schema, **described}
