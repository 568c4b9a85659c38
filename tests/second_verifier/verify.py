"""The verifier: a bundle, a trust root and an order book in, an answer out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tests.second_verifier.bill_claims import (
    check_clearing,
    check_energy,
    check_lines,
    check_orders,
    check_readings,
)
from tests.second_verifier.book_claim import check_book
from tests.second_verifier.bundle import OtherVersionError, read_bundle
from tests.second_verifier.case import Case, LieError, UnsureError
from tests.second_verifier.certificate_claim import check_certificate
from tests.second_verifier.encoding import MalformedError
from tests.second_verifier.signed_claims import check_keys, check_recorded, check_signatures
from tests.second_verifier.structure_claims import check_header, check_position, check_registry
from tests.second_verifier.trust import BadTrustError, OtherTrustVersionError, read_trust


class Claim(NamedTuple):
    number: int
    word: str


@dataclass(frozen=True)
class Answer:
    """`claim` is the first that does not hold or cannot be decided; None where every one holds, or for bad usage."""

    answer: str  # verified | not_verified | cannot_be_decided | bad_usage
    claim: Claim | None
    reason: str


SHAPE = Claim(1, "shape")
_CHECKS: tuple[tuple[Claim, Callable[[Case], None]], ...] = (
    (Claim(2, "header"), check_header),
    (Claim(3, "registry"), check_registry),
    (Claim(4, "position"), check_position),
    (Claim(5, "lines"), check_lines),
    (Claim(6, "energy"), check_energy),
    (Claim(7, "readings"), check_readings),
    (Claim(8, "orders"), check_orders),
    (Claim(9, "clearing"), check_clearing),
    (Claim(10, "recorded"), check_recorded),
    (Claim(11, "keys"), check_keys),
    (Claim(12, "signatures"), check_signatures),
    (Claim(13, "certificate"), check_certificate),
    (Claim(14, "book"), check_book),
)


def verify(bundle: bytes, trust: bytes | None, book: bytes | None) -> Answer:
    """The answer to a bundle, examined with the bytes of a trust file and of a book file where there are any."""
    try:
        root = read_trust(trust) if trust is not None else None
        case = Case(read_bundle(bundle), root, book)
    except BadTrustError as wrong:
        return Answer("bad_usage", None, f"trust: {wrong}")
    except OtherTrustVersionError:
        return Answer("cannot_be_decided", None, "a trust root of another version")
    except OtherVersionError:
        return Answer("cannot_be_decided", SHAPE, "a bundle of another version")
    except MalformedError as wrong:
        return Answer("not_verified", SHAPE, str(wrong))
    unsure = None
    for claim, check in _CHECKS:
        try:
            check(case)
        except LieError as lie:
            return Answer("not_verified", claim, str(lie))
        except UnsureError as doubt:
            unsure = unsure or Answer("cannot_be_decided", claim, str(doubt))
    return unsure or Answer("verified", None, "every claim holds")
