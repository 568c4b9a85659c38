"""What the fields of a book may hold: whoever reads one shows names, words and dates of it, and names files after them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from typing import Any, Final

from gridcore.forms import NAME, Form, choice, integer
from gridcore.genesis import CURRENCY
from gridcore.registry.tariff import QUANTUM_NANO_MAX
from gridledger.settling.documented_month import MONTH_FORM
from settlement.invoicing.account import DOCUMENTS

ENERGY: Final = "energy"
BALANCE: Final = "balance"
"""What documents are for: what a party's points were settled with, or the balance of an area for which it answers."""
TAX_PPM_MAX: Final = 1_000_000
COUNT_MAX: Final = 2**53
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UNPRINTED: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def _is_date(value: Any) -> bool:
    if _DATE.fullmatch(value):
        with suppress(ValueError):
            date.fromisoformat(value)
            return True
    return False


_COUNT: Final = integer(0, COUNT_MAX)
_DAY: Final = Form("a date, YYYY-MM-DD", _is_date)
_DIGEST_TEXT: Final = Form("64 hex digits", lambda value: _DIGEST.fullmatch(value) is not None)
_PRINTED: Final = Form("a text that can be printed", lambda value: bool(value) and not _UNPRINTED.search(value))
FORMS: Final[Mapping[str, Form]] = {
    "account": _PRINTED,
    "area": Form(f"{NAME.words}, or empty", lambda value: not value or NAME.holds(value)),
    "chain": _PRINTED,
    "currency": CURRENCY,
    "date": _DAY,
    "digest": _DIGEST_TEXT,
    "due_date": _DAY,
    "height": _COUNT,
    "issuer": NAME,
    "line_kind": _PRINTED,
    "month": Form("a month, YYYY-MM", lambda value: MONTH_FORM.fullmatch(value) is not None),
    "party": NAME,
    "quantum_nano": integer(1, QUANTUM_NANO_MAX),
    "slots": _COUNT,
    "slots_settled": _COUNT,
    "sort": choice(*DOCUMENTS),
    "subject": choice(ENERGY, BALANCE),
    "tax_ppm": integer(0, TAX_PPM_MAX),
    "zone": NAME,
}
"""By field of an issue, of its documents, lines and taxes; a number is whole already. What has none here is compared with the rest of the book."""
