"""What the state machine does with actions of one sort."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from gridcore.codes import Code
from ledger.state.draft import Draft

R = TypeVar("R")


class Refusal(NamedTuple):
    """Why an action may not take effect. words: what is wrong and what would be right, beginning with the field."""

    code: Code
    words: str


class Rule(NamedTuple, Generic[R]):
    """refusal: why an action may not take effect in this block, None where it may; carry_out: do it, where it may."""

    refusal: Callable[[Draft, R], Refusal | None]
    carry_out: Callable[[Draft, R], None]


def unfit(words: str) -> Refusal:
    """Refusal of an action that does not fit what the state has."""
    return Refusal(Code.PROPOSAL_FORM, words)
