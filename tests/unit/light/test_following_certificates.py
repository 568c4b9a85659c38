"""From one trusted header to a later one: sets that hand over, and everything that a node may show and that does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gridcore.header import LaterHeader, VerificationError
from gridcore.light.codec import (
    decode_certified,
    decode_fork,
    decode_steps,
    encode_certified,
    encode_fork,
    encode_steps,
)
from gridcore.light.state import LightState, decode_state, encode_state
from gridcore.light.trusted import CertifiedHeader, OtherHistoryError, Step, Trusted, advance, check_certified
from tests.worlds.certified_chain import CertifiedChain, set_of

OLD, NEW = ("a", "b", "c", "d"), ("b", "c", "d", "e")
THREE = ("a", "b", "c")


def chain(*, pending_at: int = 3, taken_over_at: int = 5, height: int = 8) -> CertifiedChain:
    """Four signers; header 3 names another set, which takes over in header 5."""
    made = CertifiedChain(OLD)
    for number in range(1, height + 1):
        is_pending = pending_at <= number < taken_over_at
        made.add(NEW if number >= taken_over_at else OLD, NEW if is_pending else ())
    return made


def begun(made: CertifiedChain) -> Trusted:
    return made.begin(OLD)


def test_a_later_header_is_trusted_by_its_certificate_and_its_history() -> None:
    made = chain()
    trusted = advance(begun(made), made.step(0, 2, THREE))
    assert (trusted.height, trusted.digest) == (2, made.headers[2].digest())
    assert [one.signers for one in trusted.sets] == [set_of(OLD)]


def test_a_set_takes_over_after_a_header_that_names_it_as_the_next() -> None:
    made = chain()
    trusted = advance(begun(made), made.step(0, 5, THREE, NEW))
    trusted = advance(trusted, made.step(5, 8, ("c", "d", "e")))
    assert [(one.signers, one.after_height, one.until_height) for one in trusted.sets] == [
        (set_of(OLD), 0, 5),
        (set_of(NEW), 5, None),
    ]


def test_a_set_takes_over_under_a_minimal_commit_whose_last_header_of_the_old_set_is_never_certified() -> None:
    """Research ledger.md 1.5, pitfall 5 at a set change: header 5 has no certificate; header 3 named the set as waiting."""
    made = chain()
    trusted = advance(begun(made), made.step(0, 3, THREE, NEW))
    assert [one.may_certify(5) for one in trusted.sets] == [True, True], "who certifies header 5 is not known yet"
    trusted = advance(trusted, made.step(3, 7, ("c", "d", "e")))
    assert [one.until_height for one in trusted.sets] == [7, None]


def test_a_set_that_waits_may_not_certify_before_it_was_named() -> None:
    made = chain()
    trusted = advance(begun(made), made.step(0, 3, THREE, NEW))
    with pytest.raises(VerificationError, match="key outside the signer set"):
        check_certified(trusted, made.certified(2, ("c", "d", "e")))


def test_an_old_set_certifies_nothing_after_it_was_replaced() -> None:
    made = chain()
    trusted = advance(advance(begun(made), made.step(0, 5, THREE, NEW)), made.step(5, 6, ("c", "d", "e")))
    with pytest.raises(VerificationError, match="outside the signer set"):
        advance(trusted, made.step(6, 8, THREE))
    with pytest.raises(VerificationError):
        check_certified(trusted, made.certified(6, THREE))


def test_the_keys_of_a_set_that_was_replaced_certify_no_header_of_its_own_time_any_more() -> None:
    """Whoever has them by now can sign today what was never decided then."""
    made = chain()
    trusted = advance(begun(made), made.step(0, 5, THREE, NEW))
    check_certified(trusted, made.certified(5, THREE))
    trusted = advance(trusted, made.step(5, 6, ("c", "d", "e")))
    forged = made.branch(3)
    forged.add(OLD, salt=b"\1" * 32)
    for certified in (made.certified(4, THREE), made.certified(5, THREE), forged.certified(4, THREE)):
        with pytest.raises(VerificationError, match=r"no known set of signers|outside the signer set"):
            check_certified(trusted, certified)
    later = LaterHeader(made.headers[8], made.path(4, 8))
    check_certified(trusted, CertifiedHeader(made.headers[4], made.certificate(8, ("c", "d", "e")), later))


LIES: dict[str, tuple[Callable[[CertifiedChain], Step], str]] = {
    "two of four are not more than two thirds": (lambda made: made.step(0, 2, ("a", "b")), "not more than 2/3"),
    "signed by somebody outside": (lambda made: made.step(0, 2, (*THREE, "mallory")), "outside the signer set"),
    "the signatures of another header": (
        lambda made: replace(made.step(0, 2, THREE), certificate=made.certificate(1, THREE)),
        "a signature does not hold",
    ),
    "a path of another header": (
        lambda made: replace(made.step(0, 4, THREE), path=made.path(0, 2)),
        "does not have the trusted header 0 in its history",
    ),
    "a path that is none": (lambda made: replace(made.step(0, 2, THREE), path=(b"x",)), "in its history"),
    "a new set that is not shown": (lambda made: made.step(0, 3, THREE), "names signers that are not shown"),
    "a new set that the header does not name": (
        lambda made: made.step(0, 2, THREE, NEW),
        "does not name the signers that are shown",
    ),
    "a header of another chain": (
        lambda made: replace(made.step(0, 2, THREE), header=replace(made.headers[2], chain="other")),
        "header of chain 'other'",
    ),
    "no later header": (lambda made: replace(made.step(0, 2, THREE), header=made.headers[0]), "is none after 0"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_does_not_hold_is_refused_in_one_line(lie: str) -> None:
    made = chain()
    tell, said = LIES[lie]
    with pytest.raises(VerificationError, match=said):
        advance(begun(made), tell(made))


def test_a_certified_header_of_another_history_is_told_from_other_faults() -> None:
    made = chain()
    trusted = advance(begun(made), made.step(0, 2, THREE))
    forked = made.branch(1)
    for _ in range(3):
        forked.add(OLD, salt=b"\1" * 32)
    with pytest.raises(OtherHistoryError, match="header 4 does not have the trusted header 2 in its history"):
        advance(trusted, forked.step(2, 4, THREE))


def test_a_header_without_a_certificate_is_covered_by_a_later_one() -> None:
    made = chain()
    trusted = advance(begun(made), made.step(0, 3, THREE, NEW))
    later = LaterHeader(made.headers[3], made.path(2, 3))
    check_certified(trusted, CertifiedHeader(made.headers[2], made.certificate(3, THREE), later))
    for wrong in (replace(later, path=made.path(1, 3)), replace(later, header=made.headers[2])):
        with pytest.raises(VerificationError):
            check_certified(trusted, CertifiedHeader(made.headers[2], made.certificate(3, THREE), wrong))


def test_what_is_shown_and_kept_comes_back_from_its_bytes() -> None:
    made = chain()
    steps = [made.step(0, 3, THREE, NEW), made.step(3, 7, ("c", "d", "e"))]
    assert decode_steps(encode_steps(steps)) == steps
    certified = CertifiedHeader(
        made.headers[2], made.certificate(3, THREE), LaterHeader(made.headers[3], made.path(2, 3))
    )
    assert decode_certified(encode_certified(certified)) == certified
    other = made.certified(2, OLD)
    assert decode_fork(encode_fork(certified, other)) == (certified, other)
    trusted = begun(made)
    for step in [*steps, Step(made.headers[8], made.certificate(8, NEW), made.path(7, 8))]:
        state = LightState(trusted, (("gw-1", "ab" * 32),))
        assert decode_state(encode_state(state)) == state
        trusted = advance(trusted, step)
