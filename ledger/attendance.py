"""Which validators stay away: not one of many certificates in a row has their signature, while the others go on without them."""

from __future__ import annotations

from typing import Final

from ledger.store.reader import LedgerReader

MISSED_MAX: Final = 64
"""Certificates in a row after whose absence a validator counts as away."""


def absent_validators(reader: LedgerReader) -> list[str]:
    """The names of those in force now who signed none of the newest MISSED_MAX certificates, and could have; none before there are so many."""
    with reader.frozen():
        last = reader.certified_height
        first = last - MISSED_MAX + 1
        if first <= reader.joined_height:
            return []
        certificates = [reader.certificate(height) for height in range(first, last + 1)]
        signed = {public_key for certificate in certificates for public_key, _ in certificate}
        could = {one.public_key for one in reader.validators_at(first)} - signed
        return sorted(one.name for one in reader.validators_at(reader.height) if one.public_key in could)
