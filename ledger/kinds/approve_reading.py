"""metering/approve: an organisation answers for a register, where the rules cannot tell the right one from a wrong one."""

from __future__ import annotations

import numpy as np

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.quality import CORRECTED
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.installation import INSTALLATION, Installation
from gridcore.registry.signer import SIGNER
from gridcore.sm3 import sm3
from gridcore.transactions.approve_reading import ApproveReading
from ledger.state.chunks import SortedRows, keep_unjudged
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft
from ledger.state.finality import final_zones


def approve_reading(draft: Draft, transaction: Transaction, content: ApproveReading) -> Code:
    """The registers count whatever stands at the boundary and whatever the meter's limit is."""
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    if content.boundary_s < draft.registry.first_boundary_s or content.boundary_s % draft.slot_s:
        return Code.NOT_A_BOUNDARY
    if content.boundary_s > draft.ledger_time_s:
        return Code.FUTURE_BOUNDARY
    installation = draft.in_force(INSTALLATION, str(content.installation), content.boundary_s)
    if not isinstance(installation, Installation):
        return Code.NOTHING_TO_APPROVE
    place = np.searchsorted(draft.registry.numbers, [content.installation])
    is_final = final_zones(draft, content.boundary_s)[draft.registry.installation_zone[place]].any()
    if 0 < installation.modulus_wh <= max(content.registers) or is_final:
        return Code.NOTHING_TO_APPROVE
    gateway, signer = draft.in_force(GATEWAY, installation.gateway), draft.in_force(SIGNER, transaction.signer)
    if not isinstance(gateway, Gateway) or signer is None or gateway.organisation != signer.organisation:
        return Code.NOT_PERMITTED
    import_wh, export_wh = (np.array([register], dtype=np.int64) for register in content.registers)
    row = SortedRows(
        boundary_s=content.boundary_s,
        place=place,
        quality=np.array([CORRECTED], dtype=np.uint8),
        import_wh=import_wh,
        export_wh=export_wh,
        batch=np.zeros(1, dtype=np.int64),
        seeds=[sm3(transaction.signature)],
    )
    keep_unjudged(draft, row)
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED
