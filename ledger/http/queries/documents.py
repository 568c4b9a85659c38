"""The documents of an area's month: invoices and credit notes of parties that name a tariff, made of the runs that the ledger keeps."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gridcore.errors import UsageError
from gridcore.node_interface import API
from gridcore.serving.openapi import TEXT, WHOLE, WHOLE_OR_NULL, Json, object_of
from gridcore.serving.problems import Problem
from ledger.http.documents import Documents, UnchargedPart
from ledger.http.parameters import AREA, PARTY, START, in_path, optional, read_whole_or_earlier
from ledger.http.roles import OWN_ROWS, Scope
from ledger.http.route import Query, Schema
from ledger.http.view import LedgerView

_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)


def documents(view: LedgerView, scope: Scope, area_id: str, month: str, start: int, height: int) -> Json:
    """The documents of a local month as a block knows it, by itself the newest; they follow from the ledger, and no bundle proves them."""
    return _answer(view, view.documents, scope, _Asked(area_id, month, start, height))


def balance_documents(view: LedgerView, scope: Scope, area_id: str, month: str, start: int, height: int) -> Json:
    """The same for losses, imbalances and penalties of the area: of whoever answers for them."""
    return _answer(view, view.balance_documents, scope, _Asked(area_id, month, start, height))


class _Asked(NamedTuple):
    """A month of an area, from the ``start``-th party on. height: below 0 for the newest."""

    area_id: str
    month: str
    start: int
    height: int


def _answer(view: LedgerView, makes: Documents | None, scope: Scope, asked: _Asked) -> Json:
    area_id, month, start, height = asked
    view.area(area_id)
    if height > view.reader.height:
        raise Problem("not-found", f"there is no block {height} yet; the newest is {view.reader.height}")
    as_of = None if height < 0 else height
    if makes is None:
        raise Problem("not-found", "this node makes no documents of months")
    try:
        found = makes(view.reader, area_id, month, party=scope.party, start=start, height=as_of)
    except UsageError as error:
        raise Problem("not-found", str(error)) from None
    return {
        "area": area_id,
        "month": month,
        "height": found.height,
        "slots_expected": found.slots_expected,
        "slots_settled": found.slots_settled,
        "documents": [
            {
                **one._asdict(),
                "lines": [line._asdict() for line in one.lines],
                "taxes": [tax._asdict() for tax in one.taxes],
            }
            for one in found.documents
        ],
        "disputed": [one._asdict() for one in found.disputed],
        "without_tariff": list(found.without_tariff),
        "uncharged": [one._asdict() for one in found.uncharged],
        "next": found.following,
    }


def _read_month(name: str, text: str | None) -> str:
    if text is None or _MONTH.fullmatch(text) is None:
        raise Problem("bad-request", f"a {name} is written YYYY-MM, as 2026-07")
    return text


_DOCUMENT: Final = object_of(
    {
        "party": TEXT,
        "run": TEXT,
        **dict.fromkeys(("net", "taxed", "tax", "gross", "rounding_nano", "quantum_nano", "tax_ppm"), WHOLE),
        "taxes": {"type": "array", "items": object_of(dict.fromkeys(("tax_ppm", "taxed", "tax"), WHOLE))},
        "lines": {
            "type": "array",
            "items": object_of(
                {
                    "line_kind": TEXT,
                    "account": TEXT,
                    **dict.fromkeys(("energy_wh", "amount_nano", "amount"), WHOLE),
                    "tax_ppm": WHOLE_OR_NULL,
                }
            ),
        },
    }
)
_DISPUTED: Final = object_of(
    {"party": TEXT, **dict.fromkeys(("disputes", "gross_nano", "disputed_nano", "due_nano"), WHOLE)}
)
_PARAMETERS: Final = (
    AREA,
    in_path("month", "month", "A month by the clock of the area, as 2026-07.", _read_month),
    PARTY,
    START,
    optional("height", "As of this block; default the newest.", read_whole_or_earlier, "integer"),
)
_ANSWER: Final = object_of(
    {
        "area": TEXT,
        "month": TEXT,
        "height": WHOLE,
        "slots_expected": WHOLE,
        "slots_settled": WHOLE,
        "documents": {"type": "array", "items": _DOCUMENT},
        "disputed": {"type": "array", "items": _DISPUTED},
        "without_tariff": {"type": "array", "items": TEXT},
        "uncharged": {"type": "array", "items": object_of(dict.fromkeys(UnchargedPart._fields, TEXT))},
        "next": WHOLE_OR_NULL,
    }
)
ROUTES: Final = (
    Query(
        rule=f"{API}/areas/<area>/months/<month>/documents",
        summary="Invoices and credit notes of a local month.",
        access=OWN_ROWS,
        query=documents,
        is_long=True,
        parameters=_PARAMETERS,
        schema=Schema("AreaMonth", _ANSWER),
    ),
    Query(
        rule=f"{API}/areas/<area>/months/<month>/balance-documents",
        summary="Invoices and credit notes of a local month for losses, imbalances and penalties of the area.",
        access=OWN_ROWS,
        query=balance_documents,
        is_long=True,
        parameters=_PARAMETERS,
        schema=Schema("AreaBalanceMonth", _ANSWER),
    ),
)
