"""That a signer's certificate is the one that its organisation's authority issued (docs/spec/registry.md, "Certificates")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gridcore.codes import Code
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.signer import Signer
from gridcore.x509 import decode_certificate
from ledger.registry.histories import Fault, Histories, Stated

IsSigned = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether it holds: asked as a row is judged, and not before its block as for transactions.

Which authority's key a certificate needs is known only then; beforehand it could be any of them, a million pairs in one transaction.
"""


def certificate_faults(histories: Histories, stated: Stated[Any], is_signed: IsSigned) -> Iterator[Fault]:
    """What is wrong with the certificate of a signer's row, as its organisation is from the time on from which the row holds."""
    record = stated.record
    if not isinstance(record, Signer):
        return
    owner = histories.in_force(ORGANISATION, record.organisation, stated.from_s)
    authority = owner.authority if isinstance(owner, Organisation) else None
    if authority is None or record.certificate is None:
        if authority is not None:
            words = f"certificate is missing: organisation {record.organisation} has an authority that issues it"
            yield Fault(stated, Code.REGISTRY_CONFLICT, words)
        elif record.certificate is not None:
            words = f"certificate: organisation {record.organisation} has no authority that could have issued it"
            yield Fault(stated, Code.REGISTRY_CONFLICT, words)
        return
    own, issuer = decode_certificate(record.certificate), decode_certificate(authority)
    name = stated.key.partition("/")[2]
    if own.common_name != name:
        yield Fault(stated, Code.REGISTRY_CONFLICT, f"certificate is of {own.common_name}, not of {name}")
    elif own.issuer != issuer.subject or not is_signed(issuer.public_key, own.signed, own.signature):
        words = (
            f"certificate is not issued by {issuer.common_name}, the authority of organisation {record.organisation}"
        )
        yield Fault(stated, Code.REGISTRY_CONFLICT, words)
    elif not (own.holds_at(stated.from_s) and issuer.holds_at(stated.from_s)):
        words = f"certificate, or that of its authority, does not hold at from_s {stated.from_s}"
        yield Fault(stated, Code.CERTIFICATE_EXPIRED, words)
