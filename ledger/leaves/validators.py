"""``validators``: who certifies the next header, and the set that waits to take over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gridcore.validator import Validator, decode_validators, encode_validators
from ledger.leaves.family import Family, Value


class ValidatorsLeaf(NamedTuple):
    """current: the set that certifies the next header, ascending by public key; current_height: of the block in which it took over, 0:
    genesis. pending: the set that waits, () where none does; pending_height: of the first header that names it and that ``current``
    certifies, 0 without.
    """

    current: tuple[Validator, ...]
    current_height: int = 0
    pending: tuple[Validator, ...] = ()
    pending_height: int = 0


def _key() -> str:
    return "validators"


def _decode(
    *, current: Sequence[Mapping[str, Any]], pending: Sequence[Mapping[str, Any]], **heights: int
) -> ValidatorsLeaf:
    return ValidatorsLeaf(current=decode_validators(current), pending=decode_validators(pending), **heights)


def _encode(record: ValidatorsLeaf) -> Value:
    sets = {"current": encode_validators(record.current), "pending": encode_validators(record.pending)}
    return {**record._asdict(), **sets}


VALIDATORS: Final = Family("validators", _key, _decode, _encode, is_provable=True)
