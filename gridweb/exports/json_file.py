"""JSON, for programs: columns with keys, kinds and units; rows of exact values."""

from __future__ import annotations

import json
from typing import Any, Final

from gridweb.exports.format import Format, Provenance
from gridweb.i18n import translate
from gridweb.tables import KINDS, TABLE_ROWS_MAX, Table


def to_json(table: Table) -> dict[str, Any]:
    """A table with its titles in the language of the request."""
    return {
        "table": table.name,
        "title": table.title,
        "note": table.note,
        "tz": table.tz,
        "currency": table.currency,
        "columns": [
            {
                "key": column.key,
                "title": translate(column.title),
                "kind": column.kind,
                "unit": KINDS[column.kind].format(currency=table.currency),
                **({"words": {code: translate(word) for code, word in column.words.items()}} if column.words else {}),
            }
            for column in table.columns
        ],
        "rows": table.rows,
        "totals": table.totals,
    }


def _encode(table: Table, _: Provenance) -> bytes:
    return json.dumps(to_json(table), ensure_ascii=False, separators=(",", ":")).encode()


JSON: Final = Format("json", "JSON", ".json", "application/json", TABLE_ROWS_MAX, False, _encode)
