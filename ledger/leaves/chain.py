"""``chain``: what holds for the whole chain, as genesis says it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gridcore.forms import INSTANT, Form, choice, text
from ledger.leaves.family import Family

CHAIN_NAME_PATTERN: Final = re.compile(r"[^/\x00-\x1f\x7f]{1,40}")
CHAIN_NAME: Final = Form(
    "a printable text of 1 to 40 characters without a slash",
    lambda value: isinstance(value, str) and value.isprintable() and CHAIN_NAME_PATTERN.fullmatch(value) is not None,
)
"""The chain's name, which begins the chain id."""


class ChainLeaf(NamedTuple):
    """clock: "block" or "simulated"; currency: ISO 4217; name: begins the chain id; slot_s: length of a slot, seconds."""

    clock: str
    currency: str
    name: str
    slot_s: int

    @property
    def is_simulated(self) -> bool:
        """Whether ledger time moves by clock/advance alone."""
        return self.clock == "simulated"


def _key() -> str:
    return "chain"


CHAIN: Final = Family(
    "chain",
    _key,
    ChainLeaf,
    forms={"clock": choice("block", "simulated"), "currency": text(3, 3), "name": CHAIN_NAME, "slot_s": INSTANT},
    is_provable=True,
)
