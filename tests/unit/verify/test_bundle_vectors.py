"""The committed cases of ``bundle_verify/1`` are those that their script makes, and a second verifier answers them the same way."""

from __future__ import annotations

from collections import Counter
from functools import cache

from tests.second_verifier.verify import verify as verify_independently
from tests.unit.verify.vector_cases import FOLDER, Case, cases, files_of

NEGATIVE_MIN = 200


@cache
def made() -> list[Case]:
    """All cases, made anew."""
    return cases()


def test_the_committed_cases_are_those_that_the_script_makes() -> None:
    names = [case.folder_name for case in made()]
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(names)
    for case in made():
        found = {path.name: path.read_bytes() for path in (FOLDER / case.folder_name).iterdir()}
        assert found == files_of(case), case.title


def test_enough_of_them_are_not_verified_and_every_claim_fails_somewhere() -> None:
    said = Counter(case.says for case in made())
    assert said.total() - said["verified"] >= NEGATIVE_MIN
    assert len(said) == 14 + len(("verified", "cannot_be_decided", "bad_usage"))


def test_the_second_verifier_answers_each_as_it_expects() -> None:
    assert len(made()) > NEGATIVE_MIN
    for case in made():
        answer = verify_independently(case.bundle, case.trust, case.book)
        assert answer.answer == case.answer, case.title
        if case.answer == "not_verified" and answer.claim is not None:
            assert answer.claim.word in (case.says, "shape"), case.title
