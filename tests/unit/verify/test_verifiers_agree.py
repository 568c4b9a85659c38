"""Verifiers give the same answer and name the same claim, whatever was done to a bundle; a failing mutant is named by seed and number."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from gridcore import verify
from tests.second_verifier import verify as second
from tests.unit.verify.mutants import WORLDS, mutants, save

SEED = 9
"""Of the mutants of every test run, which break every claim; `make fuzz` draws its own."""


class Answer(NamedTuple):
    """What is compared: the answer, and the claim that failed ("" where none did)."""

    answer: str
    failed: str


Verifier = Callable[[bytes, bytes | None, bytes | None], Answer]
"""(bundle, trust root, book) -> answer."""


def generated(bundle: bytes, trust: bytes | None, book: bytes | None) -> Answer:
    """gridcore/verify.py."""
    try:
        root = None if trust is None else verify.decode_trust(trust)
    except verify.Halt as why:
        return Answer(why.args[0], "")
    verdict = verify.verify_bundle(bundle, root, book)
    return Answer(verdict.answer, verdict.claim.word if verdict.claim is not None else "")


def independent(bundle: bytes, trust: bytes | None, book: bytes | None) -> Answer:
    """The one in ``tests/second_verifier``, written from docs/spec alone."""
    answer = second.verify(bundle, trust, book)
    is_refuted = answer.answer == "not_verified" and answer.claim is not None
    return Answer(answer.answer.replace("_", " "), answer.claim.word if is_refuted and answer.claim else "")


VERIFIERS: dict[str, Verifier] = {"generated": generated, "independent": independent}
"""By name; another one is one more line."""

GOOD = [(world.bundle_bytes, world.trust_bytes) for world in WORLDS]
"""Bundles with their trust roots."""


def check_mutants(seed: int, count: int, folder: Path) -> Counter[Answer]:
    """Every verifier on every mutant; how often which answer was given. The files of one that fails stay in ``folder``."""
    answers: Counter[Answer] = Counter()
    for one in mutants(seed, count):
        given = {name: verifier(one.bundle, one.trust, one.book) for name, verifier in VERIFIERS.items()}
        is_good = not one.is_unkeyed or any(one.bundle == bundle for bundle, _ in GOOD)
        is_believed = any(answer.answer == verify.VERIFIED for answer in given.values())
        if not agree(given.values()) or (is_believed and not is_good):
            save(one, folder)
            pytest.fail(f"{one.what}, {'' if is_good else 'no key took part, '}kept in {folder}: {given}")
        answers[next(iter(given.values()))] += 1
    return answers


def agree(given: Iterable[Answer]) -> bool:
    """Whether all say the same; one may call a malformed value inside (claim 1) what to another breaks a later claim."""
    answers = list(given)
    failed = {answer.failed for answer in answers} - {"shape"}
    return len({answer.answer for answer in answers}) == 1 and len(failed) <= 1


def test_good_bundles_are_verified_by_every_verifier() -> None:
    for bundle, trust in GOOD:
        for verifier in VERIFIERS.values():
            assert verifier(bundle, trust, None) == Answer(verify.VERIFIED, "")


def test_verifiers_agree_on_300_mutants(tmp_path: Path) -> None:
    answers = check_mutants(SEED, 300, tmp_path)
    assert {answer.failed for answer in answers} >= {*verify.CLAIMS, ""}


@pytest.mark.fuzz
def test_verifiers_agree_on_5000_mutants(tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"mutants: seed {seed}")
    check_mutants(seed, 5_000, tmp_path)
