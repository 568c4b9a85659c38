"""The handler about evidence bundles: what the stand-alone verifier answers."""

from __future__ import annotations

from gridcore import verify
from gridledger.vectors.cases import CaseInput


def bundle_verify(case: CaseInput) -> dict[str, object]:
    """``bundle_verify/1``."""
    data = case.file("bundle")
    book = case.file("book") if case.has("book") else None
    try:
        trust = verify.decode_trust(case.file("trust")) if case.has("trust") else None
    except verify.Halt as why:
        return _answer(why.args[0])
    verdict = verify.verify_bundle(data, trust, book)
    claim = {"claim": verdict.claim._asdict()} if verdict.claim is not None else {}
    return {**_answer(verdict.answer), **claim}


def _answer(answer: str) -> dict[str, object]:
    return {"answer": answer.replace(" ", "_"), "exit": verify.EXIT_STATUS[answer]}
