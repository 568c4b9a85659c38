"""``validators``: the whole set that certifies from its take-over on: who joins, leaves, has another power or other keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gridcore.governance.sort import Sort
from gridcore.registry.entity import Shape
from gridcore.validator import VALIDATOR_SET, Validator, decode_validators


class ChangeValidators(NamedTuple):
    """validators: maps of ``gridcore.validator.Validator``, ascending by public key."""

    validators: Sequence[Mapping[str, Any]]

    @property
    def members(self) -> tuple[Validator, ...]:
        """The set as records."""
        return decode_validators(self.validators)


VALIDATORS: Final[Sort[ChangeValidators]] = Sort(
    "validators", Shape(ChangeValidators, {"validators": VALIDATOR_SET}), lambda thresholds: thresholds.signers
)
