"""Chains of headers of which the newest one holds a transaction, and its receipt."""

from __future__ import annotations

from collections.abc import Sequence

from gridcore import merkle
from gridcore.header import Receipt, data_leaf
from tests.worlds.certified_chain import CertifiedChain, SignerNames

DIGEST = bytes(range(32))
"""Of the transaction."""


def chain_with_receipt(sets: Sequence[SignerNames], *, certified_by: SignerNames) -> tuple[CertifiedChain, Receipt]:
    """A chain in which header h names the h-th of ``sets`` as that of the next header (from height 1 on; genesis names the first),
    and the receipt of a transaction in its newest block.
    """
    made = CertifiedChain(sets[0])
    root = merkle.leaf_hash(data_leaf(DIGEST, 0))
    for signers in sets:
        made.add(signers, data_root=root)
    newest = len(sets)
    receipt = Receipt(made.headers[newest], made.certificate(newest, certified_by), DIGEST, 0, ())
    return made, receipt
