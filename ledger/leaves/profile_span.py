"""``profile_span/<zone>``: in which slots profiles may stand; there where a zone has had any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family


class ProfileSpanLeaf(NamedTuple):
    """chunks: of the parties that have profiles, ascending; first_slot_s: the first slot whose gate is still to be looked at; end_s: after
    the last slot of any profile, UTC seconds. Where it is at most first_slot_s there is none.
    """

    chunks: Sequence[int]
    end_s: int
    first_slot_s: int


def _key(zone: str) -> str:
    return f"profile_span/{zone}"


PROFILE_SPAN: Final = Family("profile_span", _key, ProfileSpanLeaf)
