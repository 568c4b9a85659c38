"""Gateways whose keys are not kept as the chain's key policy asks: their rows are refused (docs/spec/registry.md, "Key policy")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gridcore.codes import Code
from gridcore.registry.gateway import Gateway
from gridcore.registry.key_policy import KEY_POLICY, OF_GATEWAYS
from ledger.registry.histories import Fault, Histories, Stated


def key_policy_faults(histories: Histories, stated: Stated[Any]) -> Iterator[Fault]:
    """A gateway's row that begins while a policy is in force that its class does not meet."""
    if isinstance(stated.record, Gateway):
        policy = histories.in_force(KEY_POLICY, OF_GATEWAYS, stated.from_s)
        if policy is not None and stated.record.protection not in policy.protections:
            words = f"protection is {' or '.join(policy.protections)} by {KEY_POLICY.key(OF_GATEWAYS)}"
            yield Fault(stated, Code.KEY_PROTECTION, f"{words}, not {stated.record.protection}")
