"""The interface as an OpenAPI 3.1 document, written by hand; a test holds it against the routes."""

from __future__ import annotations

from typing import Any, Final

from gridcore.serving.problems import PROBLEM_TYPE
from ledger.client import API, CBOR_TYPE, TRANSACTIONS_MAX, WAIT_S_MAX

_ALL: Final = "utility, regulator, administrator"
_OWN: Final = f"{_ALL}; a prosumer its own"
_SLOT: Final = "A slot's start, UTC seconds."
_DAY: Final = "A local day's start in the area's calendar, UTC seconds."


def openapi(version: str) -> dict[str, Any]:
    """The whole document. ``version``: of the program."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GridLedger node",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Transactions in, receipts and views of the state out. docs/spec/http.md says it in words.",
        },
        "paths": {path: {method: operation} for path, method, operation in _operations()},
        "components": {
            "securitySchemes": {
                "signedQuery": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "GridLedger signer=ID, issued=SECONDS, nonce=HEX, signature=HEX: SM2 over the canonical "
                    'array ["query/1", chain, method, path, sorted query pairs, issued, nonce].',
                }
            },
            "schemas": {"Problem": _PROBLEM, "Answer": _ANSWER, "Status": _STATUS, "Day": _DAY_TOTALS},
            "responses": {
                "Problem": {"description": "Why not.", "content": {PROBLEM_TYPE: {"schema": _ref("Problem")}}}
            },
        },
    }


def _operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [*_of_everybody(), *_of_the_ledger(), *_of_gateways(), *_of_areas(), *_of_slots()]


def _of_everybody() -> list[tuple[str, str, dict[str, Any]]]:
    transaction_id = _path("transaction_id", "64 hex digits.")
    return [
        ("/healthz", "get", _get("Whether the process answers.")),
        ("/readyz", "get", _get("Whether blocks can be made.")),
        ("/metrics", "get", _get("Counters for Prometheus.", content="text/plain")),
        (f"{API}/openapi.json", "get", _get("This document.")),
        (f"{API}/status", "get", _get("Chain, height, newest header, ledger time.", schema=_ref("Status"))),
        (f"{API}/clock", "get", _get("Ledger time, once it is later than after_s.", _CLOCK, schema=_TIME)),
        (f"{API}/transactions", "post", _SUBMIT),
        (
            f"{API}/receipts/{{transaction_id}}",
            "get",
            _get("Receipt of a decided transaction.", [transaction_id], content=CBOR_TYPE),
        ),
    ]


def _of_the_ledger() -> list[tuple[str, str, dict[str, Any]]]:
    height, calendar = _path("height", "From 1 on."), _path("calendar", "Its id.")
    return [
        (f"{API}/changes", "get", _get("What was written after a height.", _CHANGES, schema=_CHANGED, roles=_ALL)),
        (f"{API}/blocks/{{height}}", "get", _get("A block and its transactions.", [height, _START], roles=_ALL)),
        (f"{API}/calendars/{{calendar}}", "get", _get("Local days and months.", [calendar], roles="every signer")),
        (f"{API}/accounts", "get", _get("Net of accounts and parties.", [_text("area"), _START], roles=_OWN)),
        (
            f"{API}/evidence",
            "get",
            _get("The bundle (.evd) of one bill line.", _EVIDENCE, content=CBOR_TYPE, roles=_OWN),
        ),
    ]


def _of_gateways() -> list[tuple[str, str, dict[str, Any]]]:
    gateway, all_or_one = _path("gateway", "Its id."), _text("gateway", is_required=False)
    one = f"{API}/gateways/{{gateway}}"
    return [
        (f"{API}/gateways", "get", _get("All gateways.", [_START], roles=_ALL)),
        (one, "get", _get("Epoch and counters.", [gateway], roles=f"the gateway itself; {_ALL}")),
        (f"{one}/observations", "get", _get("Values that bill nothing.", [gateway, _BOUNDARY], roles=_ALL)),
        (f"{API}/exceptions", "get", _get("Rows of batches that were not used.", [all_or_one, _START], roles=_ALL)),
    ]


def _of_areas() -> list[tuple[str, str, dict[str, Any]]]:
    area, day = _path("area", "An area's id."), _path("day", _DAY)
    one = f"{API}/areas/{{area}}"
    return [
        (f"{API}/areas", "get", _get("Areas with their rules.", roles=_OWN)),
        (f"{one}/installations", "get", _get("Metering points.", [area, _START], roles=_OWN)),
        (f"{one}/progress", "get", _get("Next gate and next run.", [area], roles=_ALL)),
        (f"{one}/coverage", "get", _get("Values there and due.", [area, _BOUNDARY], roles=_ALL)),
        (f"{one}/registers", "get", _get("Registers in primary Wh.", [area, _BOUNDARY, _START], roles=_OWN)),
        (
            f"{one}/days/{{day}}/statements",
            "get",
            _get("Totals of a local day.", [area, day, _RUN, _PARTY, _START], schema=_ref("Day"), roles=_OWN),
        ),
    ]


def _of_slots() -> list[tuple[str, str, dict[str, Any]]]:
    area, slot = _path("area", "An area's id."), _path("slot", _SLOT)
    which = [_text("area"), _whole("slot", _SLOT)]
    one = f"{API}/areas/{{area}}/slots/{{slot}}"
    rows_of_run = [area, slot, _RUN, _PARTY, _START]
    return [
        (f"{one}/orders", "get", _get("Orders and what was filled.", [area, slot, _PARTY, _START], roles=_OWN)),
        (f"{one}/clearing", "get", _get("Price and volume of the gate.", [area, slot], roles=_OWN)),
        (f"{one}/run", "get", _get("Statement lines and postings.", rows_of_run, roles=_OWN)),
        (f"{one}/positions", "get", _get("Energy and money, point by point.", rows_of_run, roles=_OWN)),
        (f"{API}/book", "get", _get("The anonymous book of a gate.", which, content=CBOR_TYPE, roles=_ALL)),
    ]


def _get(
    summary: str,
    parameters: list[dict[str, Any]] | None = None,
    *,
    content: str = "application/json",
    schema: dict[str, Any] | None = None,
    roles: str = "",
) -> dict[str, Any]:
    shape = schema or ({"type": "object"} if content == "application/json" else {"type": "string"})
    operation: dict[str, Any] = {
        "summary": summary,
        "parameters": parameters or [],
        "responses": {"200": {"description": summary, "content": {content: {"schema": shape}}}, **_FAILS},
    }
    if roles:
        operation |= {"security": [{"signedQuery": []}], "description": f"For: {roles}."}
    return operation


def _parameter(name: str, description: str, *, is_required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": is_required,
        "description": description,
        "schema": {"type": "integer"},
    }


def _whole(name: str, description: str) -> dict[str, Any]:
    return _parameter(name, description, is_required=True)


def _text(name: str, *, is_required: bool = True) -> dict[str, Any]:
    return {**_parameter(name, f"An id ({name}).", is_required=is_required), "schema": {"type": "string"}}


def _path(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": {"type": "string"}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_BOUNDARY: Final = _parameter("boundary_s", "A slot boundary, UTC seconds.", is_required=True)
_START: Final = _parameter("start", "First row wanted: the 'next' of the page before.")
_RUN: Final = {**_parameter("run", "Name of the run; default initial."), "schema": {"type": "string"}}
_PARTY: Final = {**_parameter("party", "Only the rows of this party."), "schema": {"type": "string"}}
_HEX: Final = {"type": "string", "pattern": "^([0-9a-f]{2})*$"}
_WHOLE: Final = {"type": "integer"}
_FAILS: Final = {"default": {"$ref": "#/components/responses/Problem"}}
_TIME: Final = {"type": "object", "required": ["ledger_time_s"], "properties": {"ledger_time_s": _WHOLE}}
_CLOCK: Final = [
    _parameter("after_s", "Answer as soon as ledger time is later than this."),
    {**_parameter("wait_s", f"Wait at most so long; at most {WAIT_S_MAX} s."), "schema": {"type": "number"}},
]
_CHANGES: Final = [
    _parameter("after_height", "Tell what was written after this height.", is_required=True),
    {**_parameter("wait_s", f"Wait so long for a block; at most {WAIT_S_MAX} s."), "schema": {"type": "number"}},
]
_CHANGED: Final = {
    "type": "object",
    "required": ["height", "digest", "after_digest", "newest", "changes"],
    "properties": {
        "height": {**_WHOLE, "description": "Up to which the answer tells: the next after_height."},
        "digest": {"type": "string", "description": "Of the header at height, hex digits."},
        "after_digest": {"type": "string", "description": "Of the header at after_height, hex digits."},
        "newest": _WHOLE,
        "changes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["kind", "at_s", "height"],
                "properties": {
                    "kind": {"enum": ["batch", "clearing", "exception", "registers", "run"]},
                    "at_s": _WHOLE,
                    "height": _WHOLE,
                    "area": {"type": "string"},
                    "run": {"type": "string"},
                    "gateway": {"type": "string"},
                    "observations": {"type": "boolean", "description": "Of a batch: whether there are any."},
                    "epoch": _WHOLE,
                    "counter": _WHOLE,
                },
            },
        },
    },
}
_EVIDENCE: Final = [
    _text("party"),
    _whole("slot_start_s", _SLOT),
    _text("line_kind"),
    _text("run", is_required=False),
]
_STATUS: Final = {
    "type": "object",
    "required": ["chain", "height", "header_digest", "ledger_time_s", "clock", "simulated"],
    "properties": {
        "chain": {"type": "string"},
        "clock": {"enum": ["block", "simulated"]},
        "currency": {"type": "string"},
        "header_digest": _HEX,
        "height": _WHOLE,
        "ledger_time_s": _WHOLE,
        "simulated": {"type": "boolean"},
        "slot_s": _WHOLE,
        "state_root": _HEX,
        "version": {"type": "string"},
    },
}
_DAY_KEYS: Final = ("day_start_s", "day_end_s", "slots_expected", "slots_settled")
_SUMS: Final = (
    "import_wh",
    "export_wh",
    "bought_wh",
    "sold_wh",
    "pays_nano",
    "supplier_only_nano",
    "saving_nano",
)
_DAY_TOTALS: Final = {
    "type": "object",
    "required": ["area", "run", *_DAY_KEYS, "statements", "next"],
    "properties": {
        "area": {"type": "string"},
        "run": {"type": "string"},
        **dict.fromkeys(_DAY_KEYS, _WHOLE),
        "statements": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["party", *_SUMS],
                "properties": {"party": {"type": "string"}, **dict.fromkeys(_SUMS, _WHOLE)},
            },
        },
        "next": {"type": ["integer", "null"]},
    },
}
_ANSWER: Final = {
    "type": "object",
    "required": ["id", "code", "name", "retry", "height", "waiting_for", "rows"],
    "properties": {
        "id": _HEX,
        "code": _WHOLE,
        "name": {"type": "string"},
        "retry": {"type": "boolean", "description": "Whether sending the same bytes again can help."},
        "height": {"type": ["integer", "null"]},
        "waiting_for": {"type": ["integer", "null"]},
        "rows": {"type": "array", "description": "Verdicts of rows that were not used: row, meter, code.", "items": {}},
    },
}
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": _WHOLE,
        "detail": {"type": "string"},
    },
}
_SUBMIT: Final = {
    "summary": f"Decide up to {TRANSACTIONS_MAX} transactions.",
    "parameters": [],
    "requestBody": {"required": True, "content": {CBOR_TYPE: {"schema": {"type": "string"}}}},
    "responses": {
        "200": {
            "description": "One answer for each, in order, once decided.",
            "content": {
                "application/json": {
                    "schema": {"type": "object", "properties": {"answers": {"type": "array", "items": _ref("Answer")}}}
                }
            },
        },
        **_FAILS,
    },
}
