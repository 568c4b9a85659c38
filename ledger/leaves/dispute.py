"""``dispute/<id of a settlement/dispute>``: what a party contests, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family, Value

CLOSING: Final = ("agreed", "upheld", "dismissed", "withdrawn")
"""Outcomes after which a dispute is over."""


class Step(NamedTuple):
    """outcome: see ``gridcore.transactions.dispute_step``; signer: who said so; time_s: ledger time, UTC seconds; statement: SM3 of the reasons."""

    outcome: str
    signer: str
    time_s: int
    height: int
    statement: bytes


class DisputeLeaf(NamedTuple):
    """What is contested: the row of a point in a run of a slot.

    amount_nano: what the point pays in that run, frozen; ground, line_kind, statement: as the party said; opened_s, opened_height: when;
    answer_by_s: until then its organisation has time, UTC seconds; steps: what was said since, in order.
    """

    amount_nano: int
    answer_by_s: int
    ground: str
    line_kind: str
    opened_height: int
    opened_s: int
    party: str
    point: str
    run: str
    slot_start_s: int
    statement: bytes
    steps: Sequence[Step]
    zone: str

    @property
    def outcome(self) -> str:
        """The last word; "" while nobody has answered."""
        return self.steps[-1].outcome if self.steps else ""

    @property
    def is_closed(self) -> bool:
        """Whether it is over."""
        return self.outcome in CLOSING


def _key(dispute: str) -> str:
    return f"dispute/{dispute}"


def _decode(steps: Sequence[Sequence[object]], **rest: object) -> DisputeLeaf:
    return DisputeLeaf(steps=[Step(*step) for step in steps], **rest)  # type: ignore[arg-type]  # as stored


def _encode(record: DisputeLeaf) -> Value:
    return {**record._asdict(), "steps": [list(step) for step in record.steps]}


DISPUTE: Final = Family("dispute", _key, _decode, _encode, is_provable=True)
