"""Certificates as they come into blocks: votes on a header gathered by the proposer, and what a block says checked by everybody.

Signers and their power are always those of our own state. Nothing of what the engine says of a vote counts: neither its address nor its own
signature, which does not cover the block (research of CometBFT 0.38: the extension's signature covers height, round, chain).
"""

from __future__ import annotations

from collections.abc import Iterable

from gridcore.errors import EncodingError
from gridcore.header import VerificationError, check_certificate, decode_header
from gridcore.logs import get_logger
from ledger.certifier import combine
from ledger.engines.cometbft.payloads import NOTHING_INJECTED, Injected, decode_vote
from ledger.store.consortium import ConsortiumLedger
from ledger.store.errors import ForkError
from ledger.store.rows import CERTIFICATE_LAG, Certified

log = get_logger(__name__)


class Certificates:
    """What one node gathers and checks. Used by one thread at a time."""

    def __init__(self, ledger: ConsortiumLedger) -> None:
        self._ledger = ledger
        self._checked: tuple[int, Injected] = (0, NOTHING_INJECTED)
        """The newest that has been found to hold, and of which block."""

    def gather(self, block_height: int, extensions: Iterable[bytes]) -> Injected:
        """What a block begins with: the certificate out of the votes of the block before, where they are enough."""
        height = block_height - CERTIFICATE_LAG
        if height < 1:
            return NOTHING_INJECTED
        digest, signers = self._ledger.digest(height), self._ledger.signers_of(height)
        votes = [vote for vote in map(decode_vote, extensions) if vote is not None and vote.height == height]
        for vote in votes:
            if vote.digest != digest:
                log.error("vote_for_another_header", height=height, key=vote.public_key.hex(), digest=vote.digest.hex())
        signatures = [(vote.public_key, vote.signature) for vote in votes if vote.digest == digest]
        certificate = combine(self._ledger.chain, height, digest, signatures, signers)
        if certificate is None:
            log.warning("certificate_incomplete", height=height, votes=len(signatures), of=len(signers))
            return NOTHING_INJECTED
        injected = Injected(self._ledger.header_bytes(height), certificate)
        self._checked = block_height, injected
        return injected

    def check(self, block_height: int, injected: Injected) -> Certified | None:
        """The certificate that a block brings, None where it brings none. The same answer on every node.

        VerificationError unless it is complete and over the header of two blocks before. ForkError: more than two thirds of the power
        have certified another header than this node's of the same height.
        """
        if injected == NOTHING_INJECTED:
            return None
        height = block_height - CERTIFICATE_LAG
        brought = Certified(height, injected.certificate)
        if self._checked == (block_height, injected):
            return brought
        try:
            header = decode_header(injected.header)
        except EncodingError as error:
            raise VerificationError(f"block {block_height} begins with no header: {error}") from None
        if height < 1 or header.height != height or header.chain != self._ledger.chain:
            raise VerificationError(f"block {block_height} begins with header {header.height} of chain {header.chain}")
        check_certificate(header, injected.certificate, self._ledger.signers_of(height))
        own = self._ledger.header_bytes(height)
        if injected.header != own:
            raise ForkError(
                f"height {height} has two headers: this node's {own.hex()}, and {injected.header.hex()}, which "
                f"{len(injected.certificate)} validators have certified. Stopped: find out which nodes ran other code, or signed twice"
            )
        self._checked = block_height, injected
        return brought
