"""``dispute/<id of a settlement/dispute or dispute_document>``: what a party contests, and what became of it."""

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


class ContestedRow(NamedTuple):
    """The row of a point in a run of a slot. line_kind: the line that the party names, "" for all of them."""

    line_kind: str
    point: str
    run: str
    slot_start_s: int
    zone: str

    @property
    def what(self) -> tuple[str, ...]:
        """What is contested once at a time: whatever line, in whatever run."""
        return (self.point, str(self.slot_start_s))


class ContestedDocument(NamedTuple):
    """A line of the documents of a month (part "line", line_kind: a component), or their "tax" or "total"."""

    line_kind: str
    month: str
    part: str

    @property
    def what(self) -> tuple[str, ...]:
        """What is contested once at a time."""
        return (self.month, self.part, self.line_kind)


class DisputeLeaf(NamedTuple):
    """amount_nano: frozen: what the point pays in the contested run, or what the party says that the line comes to in its documents.

    ground, statement: as the party said; opened_s, opened_height: when; answer_by_s: until then its organisation has time, UTC seconds;
    steps: what was said since, in order.
    """

    amount_nano: int
    answer_by_s: int
    contested: ContestedRow | ContestedDocument
    ground: str
    opened_height: int
    opened_s: int
    party: str
    statement: bytes
    steps: Sequence[Step]

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
    sort = ContestedDocument if "month" in rest else ContestedRow
    contested = sort(**{name: rest.pop(name) for name in sort._fields})  # type: ignore[arg-type]  # as stored
    return DisputeLeaf(contested=contested, steps=[Step(*step) for step in steps], **rest)  # type: ignore[arg-type]  # as stored


def _encode(record: DisputeLeaf) -> Value:
    fields = record._asdict()
    return {**fields.pop("contested")._asdict(), **fields, "steps": [list(step) for step in record.steps]}


DISPUTE: Final = Family("dispute", _key, _decode, _encode, is_provable=True)
