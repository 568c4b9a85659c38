"""Who decides: organisations that may have administrators, one vote each."""

from __future__ import annotations

from collections.abc import Iterable

from gridcore.governance.permission import ADMINISTRATOR
from gridcore.registry.organisation import ORGANISATION, Organisation, RemovedOrganisation
from ledger.registry.bodies import Registered, in_force, open_entity
from ledger.registry.histories import Histories
from ledger.state.draft import Draft


def organisations(draft: Draft) -> Iterable[str]:
    """The names of all that were ever registered, this block's among them."""
    return (key.partition("/")[2] for key in draft.leaf_keys(f"{ORGANISATION.kind}/"))


def voters(draft: Draft) -> set[str]:
    """The organisations that may vote, as the block so far has left them."""
    return {name for name in organisations(draft) if (known := member(draft, name)) and ADMINISTRATOR in known.roles}


def member(draft: Draft, organisation: str) -> Organisation | None:
    """An organisation that takes part, as the block so far has left it; None for any other."""
    found = in_force(draft, ORGANISATION, organisation, draft.ledger_time_s, draft.height)
    takes_part = found is not None and not was_removed(draft, organisation, draft.height)
    return found.record if found is not None and takes_part and isinstance(found.record, Organisation) else None


def is_removed(draft: Draft, organisation: str) -> bool:
    """Whether nobody signs for an organisation any more, whatever rows it had registered to begin after its removal."""
    return was_removed(draft, organisation, draft.height - 1)


def was_removed(registered: Registered, organisation: str, height: int) -> bool:
    """The same as of a height."""
    found = open_entity(registered, ORGANISATION, organisation)
    entries = () if found is None else found.leaf.entries
    return found is not None and any(
        isinstance(found.open(registered, entry).record, RemovedOrganisation)
        for entry in entries
        if entry.recorded_height <= height
    )


def voters_left(draft: Draft, histories: Histories, names: Iterable[str]) -> int:
    """How many of ``names`` may vote once everything that is recorded in ``histories`` counts."""
    left = [name for name in names if not _has_removal(histories, name)]
    found = (histories.in_force(ORGANISATION, name, draft.ledger_time_s) for name in left)
    return sum(known is not None and ADMINISTRATOR in known.roles for known in found)


def _has_removal(histories: Histories, organisation: str) -> bool:
    """The same, by all that ``histories`` has."""
    return any(isinstance(stated.record, RemovedOrganisation) for stated in histories.of(ORGANISATION, organisation))
