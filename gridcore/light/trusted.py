"""What a light client trusts, and how it comes from one header to a later one (docs/spec/header.md, "Following certificates").

    trusted = begin(chain, genesis, signers)           # a trust root: S_0 and the set that it names
    trusted = advance(trusted, step)                   # VerificationError unless the step follows and is certified

Nothing here asks anybody: steps come from any node, and each is believed only for its signatures and paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from gridcore import merkle
from gridcore.errors import EncodingError, excerpt
from gridcore.header import (
    Certificate,
    Header,
    LaterHeader,
    VerificationError,
    check_certificate,
    is_later,
    signers_digest,
)

SETS_MAX: Final = 64
"""Sets that are remembered: that they were there, and that they have been replaced."""


class SignerSet(NamedTuple):
    """A set of signers, and which headers it may certify.

    signers: (public key, power), ascending by key. after_height: of the header that named it first (0: genesis); it certifies
    later ones. until_height: of the header that showed that it has been replaced; None while that is open.
    """

    signers: tuple[tuple[bytes, int], ...]
    after_height: int
    until_height: int | None = None

    def may_certify(self, height: int) -> bool:
        """Whether a header of this height may have been certified by this set."""
        return self.after_height < height and (self.until_height is None or height <= self.until_height)


@dataclass(frozen=True)
class CertifiedHeader:
    """A header and the certificate that covers it. certified: the later header that the certificate is of; None: ``header`` itself."""

    header: Header
    certificate: Certificate
    certified: LaterHeader | None = None

    @property
    def signed(self) -> Header:
        """The header that the certificate is of."""
        return self.header if self.certified is None else self.certified.header


@dataclass(frozen=True)
class Step:
    """A later header, certified, and the path from the S_h that its reader stands at to its history_root.

    signers: the set that its item 9 or 10 names, where that is not the set which certified it; else empty.
    """

    header: Header
    certificate: Certificate
    path: tuple[bytes, ...]
    signers: tuple[tuple[bytes, int], ...] = ()


@dataclass(frozen=True)
class Trusted:
    """The newest header that was verified, and the sets of signers that have been learned on the way.

    genesis: S_0. digest: S_height, of ``newest``, which is None at height 0. sets: in the order in which headers named them; the last
    one or two are open: the set in force, and one that waits to take over.
    """

    chain: str
    genesis: bytes
    height: int
    digest: bytes
    newest: CertifiedHeader | None
    sets: tuple[SignerSet, ...]

    @property
    def certifies_next(self) -> SignerSet:
        """The set in force: the newest header names it as the one that certifies the next."""
        if self.newest is None:
            return self.sets[-1]
        named = self.newest.header.signers
        return next(one for one in reversed(self.sets) if signers_digest(one.signers) == named)

    def sets_at(self, height: int) -> list[SignerSet]:
        """The sets whose word counts for a header of this height.

        None of those that have been replaced, at any height: whoever has their keys by now can sign an old header today.
        """
        return [one for one in self.sets if one.until_height is None and one.may_certify(height)]

    def replaced_at(self, height: int) -> list[SignerSet]:
        """The sets that have been replaced since and may have certified a header of this height."""
        return [one for one in self.sets if one.until_height is not None and one.may_certify(height)]


class OtherHistoryError(VerificationError):
    """A certified header (``shown``) does not have the trusted one in its history, or the path that would show it is wrong."""

    def __init__(self, line: str, shown: CertifiedHeader) -> None:
        super().__init__(line)
        self.shown = shown


def begin(chain: str, genesis: bytes, signers: Sequence[tuple[bytes, int]]) -> Trusted:
    """What a trust root says: the chain, S_0, and the set that certifies its headers from now on."""
    return Trusted(chain, genesis, 0, genesis, None, (SignerSet(tuple(sorted(signers)), 0),))


def pass_over(trusted: Trusted, steps: Sequence[Step]) -> Trusted:
    """Where a trust root begins whose set took over in the last of these steps: it certifies no header before. VerificationError
    unless the steps follow one another from S_0; they count once a header certified by that set has them in its history.
    """
    for step in steps:
        if step.header.height <= trusted.height or not _has_in_history(trusted, step):
            raise VerificationError(f"header {step.header.height} does not have header {trusted.height} in its history")
        trusted = replace(trusted, height=step.header.height, digest=step.header.digest())
    (root,) = trusted.sets
    if signers_digest(root.signers) not in (steps[-1].header.signers, steps[-1].header.signers_pending):
        raise VerificationError(f"header {trusted.height} does not name the signers that are shown with it")
    return replace(trusted, sets=(root._replace(after_height=trusted.height),))


def advance(trusted: Trusted, step: Step) -> Trusted:
    """What is trusted after a step. VerificationError (OtherHistoryError) says what does not hold; ``trusted`` stays as it is then."""
    header = step.header
    if header.chain != trusted.chain:
        raise VerificationError(f"header of chain {excerpt(header.chain)}, expected {excerpt(trusted.chain)}")
    if header.height <= trusted.height:
        raise VerificationError(f"header {header.height} is none after {trusted.height}")
    shown = CertifiedHeader(header, step.certificate)
    check_certified(trusted, shown)
    if not _has_in_history(trusted, step):
        line = f"header {header.height} does not have the trusted header {trusted.height} in its history"
        raise OtherHistoryError(line, shown)
    sets = _sets_after(trusted, step)
    return replace(
        trusted,
        height=header.height,
        digest=header.digest(),
        newest=shown,
        sets=sets[-SETS_MAX:],
    )


def check_certified(trusted: Trusted, certified: CertifiedHeader) -> None:
    """VerificationError unless more than 2/3 of the power of a set whose word counts for it has covered a header.

    For the trusted header the word of a replaced set counts too: it may be the last one of the set that it replaces.
    """
    signed = certified.signed
    for header in (certified.header, signed):
        if header.chain != trusted.chain:
            raise VerificationError(f"header of chain {excerpt(header.chain)}, expected {excerpt(trusted.chain)}")
    try:
        is_covered = certified.certified is None or is_later(certified.header, certified.certified)
    except EncodingError as error:
        raise VerificationError(f"header {certified.header.height}: {error}") from None
    if not is_covered:
        raise VerificationError(f"header {signed.height} does not have header {certified.header.height} in its history")
    _check_signed(trusted, signed, certified.certificate)


def _check_signed(trusted: Trusted, header: Header, certificate: Certificate) -> None:
    fault = VerificationError(f"header {header.height}: no known set of signers may certify this height")
    sets = trusted.sets_at(header.height)
    if header.digest() == trusted.digest:
        sets += trusted.replaced_at(header.height)
    for one in sets:
        try:
            check_certificate(header, certificate, one.signers)
        except VerificationError as error:
            fault = error
        else:
            return
    raise fault


def _has_in_history(trusted: Trusted, step: Step) -> bool:
    try:
        return merkle.fold(merkle.leaf_hash(trusted.digest), step.path) == step.header.history_root
    except EncodingError:
        return False


def _sets_after(trusted: Trusted, step: Step) -> tuple[SignerSet, ...]:
    """The sets once a header is verified: its item 9 names the one in force from now on, item 10 the one that waits.

    A set that waits is never replaced or withdrawn, so these two are all that may certify what comes next.
    """
    header = step.header
    known = {signers_digest(one.signers): one for one in trusted.sets if one.until_height is None}
    if step.signers:
        digest = signers_digest(step.signers)
        if digest not in (header.signers, header.signers_pending):
            raise VerificationError(f"header {header.height} does not name the signers that are shown with it")
        known.setdefault(digest, SignerSet(step.signers, header.height))
    named = [digest for digest in (header.signers, header.signers_pending) if digest]
    if not known.keys() >= set(named):
        raise VerificationError(f"header {header.height} names signers that are not shown with it")
    past = [
        one._replace(until_height=header.height) if one.until_height is None else one
        for one in trusted.sets
        if one.until_height is not None or signers_digest(one.signers) not in named
    ]
    return (*past, *(known[digest] for digest in dict.fromkeys(named)))
