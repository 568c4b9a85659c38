"""Whose receipts count: the signers of the trust file, and those that they have handed over to since.

A set of signers may change while a gateway is in the field. Where a receipt is signed by others than those known, the node is asked for the
headers in which the known ones name them (``gridcore.light``); nothing is believed that they have not signed. A set that has been replaced
counts no more, at any height: a node covers an old block by a certificate of the set in force. What was learned is kept
beside the outbox, so that the trust file stays as it was delivered.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge.config import EdgeConfig
from gridcore.errors import EncodingError, UsageError
from gridcore.header import Receipt, VerificationError, check_decision
from gridcore.light.follow import Shower, follow
from gridcore.light.state import LightState, begin_with_trust, load_state, save_state
from gridcore.light.trusted import CertifiedHeader, check_certified
from gridcore.logs import get_logger
from ledger.client import NodeRefused

SUFFIX = ".signers"
"""Of the file beside the outbox."""

_log = get_logger(__name__)


class ReceiptTrust:
    """See the module. ``path``: where what is learned is kept."""

    def __init__(self, state: LightState, path: Path) -> None:
        self._state = state
        self._path = path

    @property
    def signers_count(self) -> int:
        """How many signers the newest known set has."""
        return len(self._state.trusted.sets[-1].signers)

    async def check(self, node: Shower, receipt: Receipt, digest: bytes) -> None:
        """Raise VerificationError or EncodingError unless the receipt proves that the transaction ``digest`` was decided.

        What asking the node raises passes through, but for a node that does not show its headers.
        """
        try:
            self._check(receipt, digest)
        except VerificationError as error:
            if not await self._learn(node, error):
                raise
            self._check(receipt, digest)

    def _check(self, receipt: Receipt, digest: bytes) -> None:
        trusted, height = self._state.trusted, receipt.certified_header.height
        check_decision(receipt, chain=trusted.chain, digest=digest)
        try:
            check_certified(trusted, CertifiedHeader(receipt.header, receipt.certificate, receipt.certified))
        except VerificationError as error:
            if not trusted.replaced_at(height):
                raise
            raise VerificationError(
                f"receipt: by a set of signers that has been replaced since header {height}; one of today's is asked for again"
            ) from error

    async def _learn(self, node: Shower, fault: VerificationError) -> bool:
        """Follow the node's headers; whether they led to another set. ``fault`` where the node shows none."""
        known = self._state.trusted
        try:
            trusted = await follow(node, known)
        except (NodeRefused, EncodingError):
            raise fault from None
        self._state = replace(self._state, trusted=trusted)
        if trusted.sets == known.sets:
            return False
        try:
            save_state(self._path, self._state)
        except UsageError as error:  # it is learned again after the next start
            _log.warning("signers_not_kept", reason=str(error))
        _log.warning("signers_changed", height=trusted.height, signers=self.signers_count)
        return True


def load_receipt_trust(config: EdgeConfig) -> ReceiptTrust:
    """What the trust file says, or what was learned from there on. UsageError when it cannot be read or is of another chain."""
    try:
        given = begin_with_trust(config.trust, "check the key 'trust'")
    except UsageError as error:
        raise UsageError(f"trust: {error}") from None
    chain = given.trusted.chain
    if chain != config.chain:
        raise UsageError(f"trust: {config.trust}: is of chain {chain!r}, the configuration of {config.chain!r}")
    path = config.outbox.with_name(config.outbox.name + SUFFIX)
    try:
        kept = load_state(path)
    except UsageError as error:  # it can be learned again
        _log.warning("signers_not_read", reason=str(error))
        kept = None
    return ReceiptTrust(kept if kept is not None and _goes_on(kept, given) else given, path)


def _goes_on(kept: LightState, given: LightState) -> bool:
    """Whether what was learned goes on from this trust file: a newer file may name a set that was never seen."""
    ours, theirs = kept.trusted, given.trusted
    is_known = theirs.sets[0].signers in [one.signers for one in ours.sets]
    return (ours.chain, ours.genesis) == (theirs.chain, theirs.genesis) and is_known
