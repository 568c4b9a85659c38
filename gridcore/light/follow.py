"""Following a node's certificates: what it shows is asked for piece by piece, and believed only for what it proves."""

from __future__ import annotations

from typing import Final, Protocol

from gridcore.errors import GridError
from gridcore.header import VerificationError
from gridcore.light.codec import decode_certified, decode_steps
from gridcore.light.trusted import CertifiedHeader, Step, Trusted, advance, check_certified, pass_over

HEADERS: Final = "headers"
"""The route of steps, and with a height behind it that of one header."""
ANSWERS_MAX: Final = 1_000
"""Answers of a node in one go: enough for fifteen thousand changes of the set of signers."""


class NoLongerThereError(GridError):
    """What was asked for is before the beginning of this node's history: it began with a snapshot, or has pruned."""


class Shower(Protocol):
    """What shows headers: ``ledger.client.Client``. It raises NoLongerThereError for a header that the node has not kept."""

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        """The answer of a route, as bytes."""
        ...


class ForkError(VerificationError):
    """Two certified headers of one height: signers with more than a third of the power have signed twice. Both are here."""

    def __init__(self, ours: CertifiedHeader, theirs: CertifiedHeader) -> None:
        height = ours.header.height
        super().__init__(
            f"FORK: two certified headers of height {height}: {ours.header.digest().hex()} and {theirs.header.digest().hex()}"
        )
        self.ours = ours
        self.theirs = theirs


async def follow(node: Shower, trusted: Trusted) -> Trusted:
    """What is trusted once the node has shown all that it has beyond it.

    VerificationError says what the node shows and does not hold (ForkError: the evidence of a fork), EncodingError what cannot be read.
    What asking raises passes through: a node that is behind has no header of this height.
    """
    await check_same_history(node, trusted)
    at = trusted
    for _ in range(ANSWERS_MAX):
        steps = decode_steps(await node.fetch_bytes(HEADERS, known_height=at.height, after_height=at.height))
        if not steps:
            return trusted
        passed_over = _passed_over(at, steps)
        if passed_over:
            at = pass_over(at, passed_over)
            continue
        for step in steps:
            at = advance(at, step)
        trusted = at
    raise VerificationError(f"the headers that the node shows have no end: still going on at {trusted.height}")


async def compare(node: Shower, trusted: Trusted, shown: CertifiedHeader) -> None:
    """ForkError where this node has another certified header of the height of ``shown``, which a second node has shown."""
    ours = decode_certified(await node.fetch_bytes(f"{HEADERS}/{shown.header.height}"))
    check_certified(trusted, ours)
    if ours.header.height == shown.header.height and ours.header.digest() != shown.header.digest():
        raise ForkError(ours, shown)


async def check_same_history(node: Shower, trusted: Trusted) -> None:
    """ForkError where the node shows another certified header of the trusted height, VerificationError for one that is not certified.

    A node whose history begins later shows none; what it shows next must have the trusted header in its history all the same (``advance``).
    """
    if trusted.newest is None:
        return
    try:
        shown = decode_certified(await node.fetch_bytes(f"{HEADERS}/{trusted.height}"))
    except NoLongerThereError:
        return
    if shown.header.height != trusted.height:
        raise VerificationError(f"asked for header {trusted.height}, the node shows {shown.header.height}")
    check_not_forked(trusted, shown)


def check_not_forked(trusted: Trusted, shown: CertifiedHeader) -> None:
    """ForkError where ``shown`` is certified and another header of the trusted height. VerificationError where it is not certified."""
    check_certified(trusted, shown)
    ours = trusted.newest
    if ours is None:
        return
    for header, certified in ((shown.header, shown), (shown.signed, CertifiedHeader(shown.signed, shown.certificate))):
        if header.height == trusted.height and header.digest() != trusted.digest:
            raise ForkError(ours, certified)


def _passed_over(trusted: Trusted, steps: list[Step]) -> list[Step]:
    """At the beginning: the steps up to the last one that hands over to the very set that the trust root names; none where no one does.

    A trust root may name a set that took over since genesis: what was handed over before is of no interest to it.
    """
    if trusted.newest is not None:
        return []
    last = max((place for place, step in enumerate(steps, 1) if step.signers == trusted.sets[0].signers), default=0)
    return steps[:last]
