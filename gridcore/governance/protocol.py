"""``protocol``: another version of the rules by which blocks are applied, from a height on."""

from __future__ import annotations

from typing import Final

from gridcore.column import I64_MAX
from gridcore.forms import integer
from gridcore.genesis import PROTOCOL_FIRST, Activation
from gridcore.governance.sort import Sort
from gridcore.registry.entity import Shape

VERSION_MAX: Final = 2**31
PROTOCOL: Final[Sort[Activation]] = Sort(
    "protocol",
    Shape(Activation, {"version": integer(PROTOCOL_FIRST + 1, VERSION_MAX), "height": integer(1, I64_MAX)}),
    lambda thresholds: thresholds.protocol,
)
