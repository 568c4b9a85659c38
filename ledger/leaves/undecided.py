"""``undecided/<organisation>``: what it has proposed and registered that waits for others, so that it can be bounded and ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family


class UndecidedLeaf(NamedTuple):
    """Ids of transactions (32 bytes), oldest first; proposals: ``proposal/<id>``; registrations: ``pending/<id>``."""

    proposals: Sequence[bytes] = ()
    registrations: Sequence[bytes] = ()


def _key(organisation: str) -> str:
    return f"undecided/{organisation}"


UNDECIDED: Final = Family("undecided", _key, UndecidedLeaf)
