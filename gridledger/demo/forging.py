"""What somebody does who has a copy of a gateway's key (the fraud ``stolen_key``): a batch of his own in the gateway's name."""

from __future__ import annotations

import secrets
from typing import Final

from gridcore.sm import Signer
from gridcore.transactions.content import sign_content
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, ClockState, ReadingBatch
from gridcore.transactions.readings import SEED_BYTES, Reading, attach

_FORGER: Final = "forger"
_NO_DIGEST: Final = bytes(32)


def forged_batch(chain: str, gateway: str, key: Signer, boundary_s: int, meter: int) -> bytes:
    """Wire bytes: registers of 0 for the installation ``meter``, under the counter of the gateway's first batch.

    The thief has the key and not the outbox, so he does not know which counter comes next.
    """
    attached = attach(secrets.token_bytes(SEED_BYTES), [Reading(meter, 0, 0, 0, 0)])
    content = ReadingBatch(
        agent=_FORGER,
        boundary_s=boundary_s,
        clock=ClockState(0, "simulated"),
        configuration=_NO_DIGEST,
        counter=1,
        epoch=1,
        previous=FIRST_PREVIOUS,
        profiles=_NO_DIGEST,
        rows=attached.rows,
        rows_root=attached.rows_root,
    )
    return sign_content(content, chain=chain, signer=gateway, sign=key.sign, attachment=attached.attachment).wire
