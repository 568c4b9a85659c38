"""What a ledger shows to those who follow certificates without trusting it: steps to later headers, one header, one leaf."""

from __future__ import annotations

from gridcore.header import signers_digest
from gridcore.light.codec import STEPS_MAX, ProvenLeaf
from gridcore.light.trusted import CertifiedHeader, Step
from gridcore.validator import powers_of
from ledger.leaves.validators import VALIDATORS
from ledger.store.errors import NotCertifiedError
from ledger.store.reader import LedgerReader


def steps(reader: LedgerReader, known_height: int, after_height: int) -> list[Step]:
    """Certified headers above ``after_height``: every one that hands over to another set of signers, then the newest; STEPS_MAX at most.

    The path of the first begins at S of ``known_height`` (at most ``after_height``), that of each other one where the step before leads to.
    UsageError for heights that this ledger does not have.
    """
    with reader.frozen():
        newest = reader.certified_height
        changes = reader.set_changes(newest + 1, after_height, STEPS_MAX)
        handovers = {change.named_height: powers_of(change.validators) for change in changes}
        heights = sorted(height for height in {*handovers, newest} if height > after_height)[:STEPS_MAX]
        starts = [known_height, *heights]
        return [
            Step(
                header=reader.header(height),
                certificate=reader.certificate(height),
                path=tuple(reader.history_path(start, height)),
                signers=handovers.get(height) or _named_by(reader, height),
            )
            for start, height in zip(starts, heights, strict=False)
        ]


def _named_by(reader: LedgerReader, height: int) -> tuple[tuple[bytes, int], ...]:
    """The set that the certified header of ``height`` names besides its certifiers (as the next set, or as the one that waits); empty without one."""
    header = reader.header(height)
    named = header.signers_pending or header.signers
    if named == signers_digest(powers_of(reader.validators_at(height))):
        return ()
    # It may have taken over since; nothing takes its place without a later certificate.
    leaf = VALIDATORS.must(reader)
    sets = [powers_of(validators) for validators in (leaf.pending, leaf.current)]
    return next((tuple(one) for one in sets if signers_digest(one) == named), ())


def certified_header(reader: LedgerReader, height: int) -> CertifiedHeader:
    """A header (1 ... newest) and the certificate that covers it. UsageError for another height, NotCertifiedError while none does."""
    header = reader.header(height)
    certified = reader.covering_height(height)
    if certified is None:
        raise NotCertifiedError(f"header {height} is decided, and not certified yet")
    later = None if certified == height else reader.later_header(height, certified)
    return CertifiedHeader(header, reader.certificate(certified), later)


def proven_leaf(reader: LedgerReader, key: str) -> ProvenLeaf | None:
    """A leaf under the newest certified header, or None where there is none of that key. See ``LedgerReader.leaf_proof``."""
    found = reader.leaf_proof(key)
    return None if found is None else ProvenLeaf(found.leaf, found.path, found.header, found.certificate)
