"""What the OpenAPI 3.1 documents of our servers have in common: their frame, shapes, and errors as problems."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from gridcore.serving.problems import PROBLEM_TYPE

Json = dict[str, Any]
"""A JSON object: a document, or a part of one."""

TEXT: Final[Json] = {"type": "string"}
WHOLE: Final[Json] = {"type": "integer"}
TEXT_OR_NULL: Final[Json] = {"type": ["string", "null"]}
WHOLE_OR_NULL: Final[Json] = {"type": ["integer", "null"]}
HEX: Final[Json] = {"type": "string", "pattern": "^([0-9a-f]{2})*$"}
FAILS: Final[Json] = {"default": {"$ref": "#/components/responses/Problem"}}
"""Beside an operation's good answer."""


def object_of(properties: Json, *, optional: Collection[str] = ()) -> Json:
    """The shape of an object with these members, all but the ``optional`` ones always there."""
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def reference(name: str) -> Json:
    """A shape that stands among the document's ``schemas`` under this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def document(*, title: str, version: str, description: str, paths: Json, schemas: Json, security_schemes: Json) -> Json:
    """The whole document. ``version``: of the program; ``schemas`` and ``security_schemes``: by name."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": description,
        },
        "paths": paths,
        "components": {
            "securitySchemes": security_schemes,
            "schemas": {"Problem": _PROBLEM, **schemas},
            "responses": {
                "Problem": {"description": "Why not.", "content": {PROBLEM_TYPE: {"schema": reference("Problem")}}}
            },
        },
    }


_PROBLEM: Final = object_of({"type": TEXT, "title": TEXT, "status": WHOLE, "detail": TEXT})
