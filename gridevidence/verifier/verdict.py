"""The verdict on a bundle: every claim in its order, trust last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from gridevidence.layout import ARITHMETIC, CLAIMS, NEVER_CHECKED
from gridevidence.verifier.answers import NOT_VERIFIED, VERIFIED, Halt
from gridevidence.verifier.claims.metered import check_readings
from gridevidence.verifier.claims.money import check_energy, check_line
from gridevidence.verifier.claims.records import check_header, check_recorded, check_shape
from gridevidence.verifier.claims.signed import check_certificate, check_signatures
from gridevidence.verifier.claims.traded import check_book, check_orders
from gridevidence.verifier.contracts import CONTRACTS
from gridevidence.verifier.examination import Examination
from gridevidence.verifier.trust import Trust

CHECKS: Final[dict[str, Callable[[Examination], str]]] = {
    "shape": check_shape,
    "header": check_header,
    "line": check_line,
    "energy": check_energy,
    "readings": check_readings,
    "recorded": check_recorded,
    "orders": check_orders,
    "book": check_book,
    "signatures": check_signatures,
    "certificate": check_certificate,
}


class Verdict(NamedTuple):
    """The answer, why, the claims that hold (name: text), what was not checked, and the facts that the bundle shows."""

    answer: str
    reason: str
    claims: dict[str, str]
    not_checked: tuple[str, ...]
    facts: dict[str, Any]


def verify_bundle(data: bytes, trust: Trust | None, book: bytes | None = None) -> Verdict:
    """Check every claim of a bundle, and of its slot's anonymous order book where one is given. Never raises for bad bytes."""
    examination = Examination(data, trust, book)
    claims: dict[str, str] = {}
    reasons: list[str] = []
    answer, refuted = VERIFIED, ""
    for name in CLAIMS:
        if (name == "book" and book is None) or (name in ARITHMETIC and reasons):
            continue
        try:
            claims[name] = CHECKS[name](examination)
        except Halt as why:
            answer, reason = why.args
            refuted = name if answer == NOT_VERIFIED else ""
            reasons = [f"{name}: {reason}"] if refuted else [*reasons, reason]
            if refuted or name == "shape":  # where nothing is refuted a later claim still may be
                break
    open_claims = [text for name, text in CLAIMS.items() if name not in claims and name != refuted]
    reason = "; ".join(dict.fromkeys(reasons)) or "every claim holds"
    return Verdict(answer, reason, claims, (*open_claims, *_beyond(examination), *NEVER_CHECKED), examination.facts)


def _beyond(of: Examination) -> tuple[str, ...]:
    """What the lines of the run's contract rest on beyond the bundle."""
    known = CONTRACTS.get(of.value.get("run", {}).get("contract", ""))
    return () if known is None else known.not_checked
