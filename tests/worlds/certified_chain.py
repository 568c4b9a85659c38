"""A chain of headers alone, with sets of signers that hand over: what a light client follows, honest or not."""

from __future__ import annotations

from collections.abc import Sequence

from gridcore import merkle
from gridcore.header import Certificate, Header, certificate_message, signers_digest
from gridcore.light.trusted import CertifiedHeader, Step, Trusted, begin
from tests.worlds.keys import key

CHAIN = "test-0123456789abcdef"
SignerNames = Sequence[str]


def set_of(names: SignerNames) -> tuple[tuple[bytes, int], ...]:
    """A set in which everybody has power 1."""
    return tuple(sorted((key(name).public_key, 1) for name in names))


class CertifiedChain:
    """Headers from height 0 on."""

    def __init__(self, signers: SignerNames) -> None:
        self.headers: list[Header] = []
        self._digests: list[bytes] = []
        self.add(signers)

    def add(
        self,
        signers: SignerNames,
        pending: SignerNames = (),
        salt: bytes = bytes(32),
        data_root: bytes = bytes(32),
    ) -> Header:
        """The next header. signers: who signs the header after it; pending: who waits to take over; salt: what makes it another one."""
        height = len(self.headers)
        header = Header(
            chain=CHAIN,
            height=height,
            time_s=height,
            ledger_time_s=height,
            previous=self._digests[-1] if height else bytes(32),
            history_root=merkle.root_of_hashes([merkle.leaf_hash(digest) for digest in self._digests]),
            data_root=data_root,
            state_root=salt,
            signers=signers_digest(set_of(signers)),
            signers_pending=signers_digest(set_of(pending)) if pending else b"",
            protocol_version=2,
        )
        self.headers.append(header)
        self._digests.append(header.digest())
        return header

    def branch(self, height: int) -> CertifiedChain:
        """The same chain up to a height, to go on differently."""
        other = CertifiedChain.__new__(CertifiedChain)
        other.headers, other._digests = self.headers[: height + 1], self._digests[: height + 1]
        return other

    def path(self, height: int, of_height: int) -> tuple[bytes, ...]:
        """From S_height to the history_root of another header."""
        hashes = [merkle.leaf_hash(digest) for digest in self._digests[:of_height]]
        return tuple(merkle.sided_path(hashes, height))

    def certificate(self, height: int, by: SignerNames) -> Certificate:
        """Signatures over a header, ascending by key."""
        message = certificate_message(CHAIN, height, self._digests[height])
        return sorted((key(name).public_key, key(name).sign(message)) for name in by)

    def certified(self, height: int, by: SignerNames) -> CertifiedHeader:
        """A header that these signed."""
        return CertifiedHeader(self.headers[height], self.certificate(height, by))

    def step(self, start: int, height: int, by: SignerNames, signers: SignerNames = ()) -> Step:
        """From one height to another, signed by some; signers: the set that is shown with it."""
        return Step(self.headers[height], self.certificate(height, by), self.path(start, height), set_of(signers))

    def begin(self, signers: SignerNames) -> Trusted:
        """What a trust root with these signers says."""
        return begin(CHAIN, self._digests[0], set_of(signers))
