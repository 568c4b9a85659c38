"""``run/<area>/<slot_start_s>/<run>``: what one settlement run of one slot came to; written once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ledger.leaves.family import Family, Value, as_map
from ledger.leaves.money import join_amount, split_amount


class RunLeaf(NamedTuple):
    """A settlement run.

    accounts_nano: what each counter-account receives (negative: pays); as_of_height: of the block before the run's; contract:
    id of the one that settled; input_root, line_root, position_root: over salted rows; lines, points: how many; rules: SM3 of
    the rules leaf; run: its name; volume_wh: what changed hands; price_micro_per_kwh: of it, None when the volume is 0 or there is
    no one price; totals_wh: sums over the area that every line rests on, where the contract names any.
    """

    accounts_nano: Mapping[str, int]
    area: str
    as_of_height: int
    contract: str
    input_root: bytes
    line_root: bytes
    lines: int
    points: int
    position_root: bytes
    rules: bytes
    run: str
    slot_start_s: int
    volume_wh: int
    price_micro_per_kwh: int | None = None
    totals_wh: Mapping[str, int] | None = None


def _key(area: str, slot_start_s: int, run: str) -> str:
    return f"run/{area}/{slot_start_s}/{run}"


def _decode(accounts: Mapping[str, tuple[int, int]], **fields: Any) -> RunLeaf:
    return RunLeaf({name: join_amount(units, nano) for name, (units, nano) in accounts.items()}, **fields)


def _encode(record: RunLeaf) -> Value:
    fields = dict(as_map(record))
    accounts_nano = fields.pop("accounts_nano")
    return {"accounts": {name: split_amount(amount) for name, amount in accounts_nano.items()}, **fields}


RUN: Final = Family(
    "run",
    _key,
    _decode,
    _encode,
    optional=frozenset({"price_micro_per_kwh", "totals_wh"}),
    is_provable=True,
    is_followed=True,
)
