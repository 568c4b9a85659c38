"""The verdict on a bundle: every claim in its order, trust last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from gridevidence.layout import (
    APPROVED_UNREAD,
    CLAIMS,
    ESTIMATE_UNCHECKED,
    IMPORT_ESTIMATE_UNCHECKED,
    IMPORTED_UNSIGNED,
    NEVER_CHECKED,
    OF_CONTRACT,
    OF_READINGS,
    TRADES_UNSHOWN,
)
from gridevidence.verifier.answers import NOT_VERIFIED, VERIFIED, Halt
from gridevidence.verifier.bundle import read_bundle
from gridevidence.verifier.claims.bill import (
    check_clearing,
    check_energy,
    check_lines,
    check_orders,
    check_readings,
)
from gridevidence.verifier.claims.book import check_book
from gridevidence.verifier.claims.certificate import check_certificate
from gridevidence.verifier.claims.keys import check_keys, check_signatures
from gridevidence.verifier.claims.recorded import check_recorded
from gridevidence.verifier.claims.state import check_header, check_position, check_registry
from gridevidence.verifier.examination import Examination
from gridevidence.verifier.trust import Trust

SHAPE, BOOK_CLAIM = "shape", "book"
CHECKS: Final[dict[str, Callable[[Examination], str]]] = {
    "header": check_header,
    "registry": check_registry,
    "position": check_position,
    "lines": check_lines,
    "energy": check_energy,
    "readings": check_readings,
    "orders": check_orders,
    "clearing": check_clearing,
    "recorded": check_recorded,
    "keys": check_keys,
    "signatures": check_signatures,
    "certificate": check_certificate,
    "book": check_book,
}
"""Of each claim behind the first, in their order."""


class RefutedClaim(NamedTuple):
    """The first claim that does not hold."""

    number: int
    word: str


class Verdict(NamedTuple):
    """The answer, why, the claim that fails, those that hold (word: text), what was not checked, what the bundle shows."""

    answer: str
    reason: str
    claim: RefutedClaim | None
    claims: dict[str, str]
    not_checked: tuple[str, ...]
    facts: dict[str, Any]


def verify_bundle(data: bytes, trust: Trust | None, book: bytes | None = None) -> Verdict:
    """Check every claim of a bundle, and of its area's anonymous order book where one is given. Never raises for bad bytes."""
    try:
        examination = Examination(read_bundle(data), trust, book)
    except Halt as why:
        answer, reason = why.args
        refuted = SHAPE if answer == NOT_VERIFIED else ""
        return _verdict(answer, f"{SHAPE}: {reason}" if refuted else reason, refuted, {}, {}, ())
    claims = {SHAPE: "The file is one canonical evidence bundle, version 2, and so is everything inside."}
    reasons: list[str] = []
    answer, refuted = VERIFIED, ""
    for word, check in CHECKS.items():
        if (word == BOOK_CLAIM and book is None) or (word in OF_CONTRACT and examination.contract is None):
            continue
        if word in OF_READINGS and examination.is_estimated:
            continue
        try:
            claims[word] = check(examination)
        except Halt as why:
            answer, reason = why.args
            if answer == NOT_VERIFIED:
                refuted, reasons = word, [f"{word}: {reason}"]
                break
            reasons.append(reason)  # a later claim may still be refuted
    reason = "; ".join(dict.fromkeys(reasons)) or "every claim holds"
    contract = examination.contract
    beyond = contract.not_checked if contract is not None else ()
    return _verdict(answer, reason, refuted, claims, examination.facts, beyond)


def _verdict(
    answer: str, reason: str, refuted: str, claims: dict[str, str], facts: dict[str, Any], beyond: tuple[str, ...]
) -> Verdict:
    claim = RefutedClaim(list(CLAIMS).index(refuted) + 1, refuted) if refuted else None
    imported = (IMPORTED_UNSIGNED,) if facts.get("clock") == "imported" else ()
    estimated = (ESTIMATE_UNCHECKED,) if facts.get("estimated") else ()
    open_claims = [text for word, text in CLAIMS.items() if word not in claims and word != refuted]
    by_importer = (IMPORT_ESTIMATE_UNCHECKED,) if facts.get("estimates") else ()
    approved = (APPROVED_UNREAD,) if facts.get("approved") else ()
    unshown = (TRADES_UNSHOWN,) if facts.get("trades_unshown") else ()
    told = (*imported, *estimated, *by_importer, *approved, *unshown)
    return Verdict(answer, reason, claim, claims, (*told, *open_claims, *beyond, *NEVER_CHECKED), facts)
