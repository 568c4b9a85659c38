"""What the state machine does with each sort of action, by the sort's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridcore.governance import contract, membership, permission, protocol, thresholds, validators
from ledger.governance.contract import CONTRACT
from ledger.governance.membership import MEMBERSHIP
from ledger.governance.permission import PERMISSION
from ledger.governance.protocol import PROTOCOL
from ledger.governance.rule import Rule
from ledger.governance.thresholds import THRESHOLDS
from ledger.governance.validators import VALIDATORS

RULES: Final[Mapping[str, Rule[Any]]] = {
    membership.MEMBERSHIP.name: MEMBERSHIP,
    validators.VALIDATORS.name: VALIDATORS,
    contract.CONTRACT.name: CONTRACT,
    protocol.PROTOCOL.name: PROTOCOL,
    permission.PERMISSION.name: PERMISSION,
    thresholds.THRESHOLDS.name: THRESHOLDS,
}
