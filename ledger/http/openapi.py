"""The interface as an OpenAPI 3.1 document, out of the records of its routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from gridcore.serving.openapi import FAILS, TEXT, Json, document, reference
from ledger.http.parameters import Parameter
from ledger.http.route import JSON_TYPE, Route, Schema

_QUERY_WORDS: Final = (
    "GridLedger signer=ID, issued=SECONDS, nonce=HEX, signature=HEX: SM2 over the canonical "
    'array ["query/2", chain, instance of the node, method, path, sorted query pairs, issued, nonce].'
)


def openapi(version: str, routes: Iterable[Route]) -> Json:
    """The whole document. ``version``: of the program."""
    schemas: Json = {}
    paths = {
        re.sub(r"<(\w+)>", r"{\1}", route.rule): {route.method.lower(): _operation(route, schemas)} for route in routes
    }
    signed = {"type": "apiKey", "in": "header", "name": "Authorization", "description": _QUERY_WORDS}
    return document(
        title="GridLedger node",
        version=version,
        description="Transactions in, receipts and views of the state out. docs/spec/http.md says it in words.",
        paths=paths,
        schemas=schemas,
        security_schemes={"signedQuery": signed},
    )


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
        "responses": {"200": good, **FAILS},
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
        return reference(shape.name)
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
