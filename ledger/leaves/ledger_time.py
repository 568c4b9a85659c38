"""``time``: the ledger time of a simulated chain; other chains have no such leaf."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import INSTANT
from ledger.leaves.family import Family


class TimeLeaf(NamedTuple):
    """ledger_time_s: UTC seconds."""

    ledger_time_s: int


def _key() -> str:
    return "time"


TIME: Final = Family("time", _key, TimeLeaf, forms={"ledger_time_s": INSTANT})
