"""``contract``: code that zones may name from a height on."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.column import I64_MAX
from gridcore.forms import DIGEST, integer, text
from gridcore.governance.sort import Sort
from gridcore.registry.entity import Shape


class ApprovedContract(NamedTuple):
    """contract: id, such as p2p_call_auction/1; pin: of its code, 32 bytes; height: of the first block in which zones may name it."""

    contract: str
    pin: bytes
    height: int


CONTRACT: Final[Sort[ApprovedContract]] = Sort(
    "contract",
    Shape(ApprovedContract, {"contract": text(1, 64), "pin": DIGEST, "height": integer(1, I64_MAX)}),
    lambda thresholds: thresholds.contract,
)
