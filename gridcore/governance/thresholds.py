"""``thresholds``: how many organisations decide from now on; the highest of the old numbers changes them."""

from __future__ import annotations

from typing import Final

from gridcore.forms import integer
from gridcore.genesis import Thresholds
from gridcore.governance.sort import Sort
from gridcore.registry.entity import Shape

THRESHOLDS: Final[Sort[Thresholds]] = Sort(
    "thresholds", Shape(Thresholds, dict.fromkeys(Thresholds._fields, integer(1, 2**31))), max
)
