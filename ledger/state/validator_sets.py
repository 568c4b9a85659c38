"""How the set of validators changes: named as pending by a header, taken over once that header is certified by the set before.

A pending set is never replaced or withdrawn. So whoever trusts a set and sees a header that it certified and that names another set,
as pending or as the one that signs next, knows the set that follows (docs/spec/header.md, "Hand-over").
"""

from __future__ import annotations

from collections.abc import Sequence

from gridcore.codes import Code
from gridcore.validator import Validator
from ledger.leaves.offence import OFFENCE, OffenceLeaf
from ledger.leaves.validators import VALIDATORS
from ledger.state.block import Block, Offence
from ledger.state.draft import Draft


def propose_set(draft: Draft, validators: Sequence[Validator]) -> Code:
    """Make a set (of the form ``gridcore.validator.VALIDATOR_SET``, other than the current one) wait; SET_PENDING while another does."""
    leaf = VALIDATORS.must(draft)
    if leaf.pending:
        return Code.SET_PENDING
    # The header of the block that takes a set over is certified by the set before it; the next one is the first of its own.
    pending_height = max(draft.height, leaf.current_height + 1)
    VALIDATORS.save(draft, leaf._replace(pending=tuple(validators), pending_height=pending_height))
    return Code.ACCEPTED


def begin_block(draft: Draft, block: Block) -> None:
    """What a block does to the set before its transactions: take over what waited, and exclude who was found to offend."""
    has_changed = take_over(draft, block.certified)
    record_offences(draft, block.offenders)
    if has_changed or block.offenders:
        exclude_offenders(draft)


def take_over(draft: Draft, certified_height: int) -> bool:
    """Make the pending set current, if a header that names it is certified; whether one took over."""
    leaf = VALIDATORS.must(draft)
    if not leaf.pending or certified_height < leaf.pending_height:
        return False
    VALIDATORS.save(
        draft, leaf._replace(current=leaf.pending, current_height=draft.height, pending=(), pending_height=0)
    )
    return True


def record_offences(draft: Draft, offenders: Sequence[Offence]) -> None:
    """Keep each offence of a member of the current or the pending set: the first of a consensus key."""
    leaf = VALIDATORS.must(draft)
    members = {
        member.consensus_address: member.name for member in (*leaf.pending, *leaf.current) if member.consensus_key
    }
    for offence in offenders:
        name = members.get(offence.consensus_address)
        if name is not None and not _has_offended(draft, name, offence.consensus_address):
            OFFENCE.save(draft, OffenceLeaf(offence.consensus_address, offence.height), name)


def exclude_offenders(draft: Draft) -> None:
    """Make the current set without those whose consensus key has offended wait, where none waits and somebody remains."""
    current = VALIDATORS.must(draft).current
    remaining = [member for member in current if not _has_offended(draft, member.name, member.consensus_address)]
    if 0 < len(remaining) < len(current):
        propose_set(draft, remaining)


def _has_offended(draft: Draft, name: str, consensus_address: bytes) -> bool:
    known = OFFENCE.load(draft, name)
    return known is not None and known.consensus_address == consensus_address
