"""``installation/<number>``: which meter hangs at which point, who reads it, what its registers can show."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import INSTANT, NAME, U32, choice, integer
from ledger.leaves.family import Family

RATIO_MAX: Final = 10_000
PRIMARY_LIMIT_WH_MAX: Final = 10**9
"""Most primary energy in one slot of one meter: limit_wh x ratio."""
MODULUS_WH_MAX: Final = 2**53


class InstallationLeaf(NamedTuple):
    """A meter at a point; registers as the meter shows them, before ``ratio``.

    from_s: UTC seconds; limit_wh: most that a register may advance in one slot; meter: its code; modulus_wh: at which
    registers start again from 0, 0 where they never do; number: its name in batches and rows; role: household, load or
    feeder; party: who is billed by it, None for a feeder.
    """

    area: str
    from_s: int
    gateway: str
    limit_wh: int
    meter: str
    modulus_wh: int
    number: int
    point: str
    profile: str
    ratio: int
    role: str
    party: str | None = None


def _key(number: int) -> str:
    return f"installation/{number}"


INSTALLATION: Final = Family(
    "installation",
    _key,
    InstallationLeaf,
    forms={
        "area": NAME,
        "from_s": INSTANT,
        "gateway": NAME,
        "limit_wh": integer(1, PRIMARY_LIMIT_WH_MAX),
        "meter": NAME,
        "modulus_wh": integer(0, MODULUS_WH_MAX),
        "number": U32,
        "party": NAME,
        "point": NAME,
        "profile": NAME,
        "ratio": integer(1, RATIO_MAX),
        "role": choice("household", "load", "feeder"),
    },
    optional=frozenset({"party"}),
    is_provable=True,
)
