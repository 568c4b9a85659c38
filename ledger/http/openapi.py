"""The interface as an OpenAPI 3.1 document, out of the records of its routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from gridcore.serving.problems import PROBLEM_TYPE
from ledger.http.parameters import Parameter
from ledger.http.route import JSON_TYPE, TEXT, WHOLE, Json, Route, Schema, object_of

_PROBLEM: Final = object_of({"type": TEXT, "title": TEXT, "status": WHOLE, "detail": TEXT})
_FAILS: Final = {"default": {"$ref": "#/components/responses/Problem"}}
_QUERY_WORDS: Final = (
    "GridLedger signer=ID, issued=SECONDS, nonce=HEX, signature=HEX: SM2 over the canonical "
    'array ["query/1", chain, method, path, sorted query pairs, issued, nonce].'
)


def openapi(version: str, routes: Iterable[Route]) -> Json:
    """The whole document. ``version``: of the program."""
    schemas: Json = {"Problem": _PROBLEM}
    paths = {
        re.sub(r"<(\w+)>", r"{\1}", route.rule): {route.method.lower(): _operation(route, schemas)} for route in routes
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GridLedger node",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Transactions in, receipts and views of the state out. docs/spec/http.md says it in words.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "signedQuery": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": _QUERY_WORDS,
                }
            },
            "schemas": schemas,
            "responses": {
                "Problem": {
                    "description": "Why not.",
                    "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
        },
    }


def _operation(route: Route, schemas: Json) -> Json:
    """What a route does; schemas with a name are put under it into ``schemas``."""
    content = route.content.partition(";")[0]
    shape = route.schema or ({"type": "object"} if content == JSON_TYPE else TEXT)
    good = {
        "description": route.answered or route.summary,
        "content": {content: {"schema": _placed(shape, schemas)}},
    }
    operation: Json = {
        "summary": route.summary,
        "parameters": [_parameter(one) for one in route.parameters],
        "responses": {"200": good, **_FAILS},
    }
    if route.body:
        operation["requestBody"] = {"required": True, "content": {route.body: {"schema": TEXT}}}
    if route.access.admit is not None:
        operation |= {"security": [{"signedQuery": []}], "description": f"For: {route.access.words}."}
    return operation


def _placed(shape: Any, schemas: Json) -> Any:
    """A shape in which every named schema is a reference into ``schemas``."""
    if isinstance(shape, Schema):
        schemas[shape.name] = _placed(shape.shape, schemas)
        return {"$ref": f"#/components/schemas/{shape.name}"}
    if isinstance(shape, dict):
        return {name: _placed(part, schemas) for name, part in shape.items()}
    return [_placed(part, schemas) for part in shape] if isinstance(shape, list) else shape


def _parameter(one: Parameter) -> Json:
    return {
        "name": one.name,
        "in": "path" if one.is_in_path else "query",
        "required": one.is_required,
        "description": one.description,
        "schema": {"type": one.kind},
    }
