"""What the state machine knows of a kind of transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.transactions.content import Content
from ledger.state.draft import Draft

C = TypeVar("C", bound=Content)


class Kind(NamedTuple, Generic[C]):
    """A kind of transaction.

    role: of the signers that may send it; content: the record of what it says; apply: change the draft, or answer with the
    code of the first check that fails and change nothing. attached: what its attachment says, or None where that is not
    what was signed; it looks at nothing else, so that it is found out before a block (``Draft.attached``). Without: no
    attachment, as the record's ``decode`` has checked. is_prunable: it speaks of slots alone, so that nobody needs it once
    these are final. is_known: whether the chain knows this form of it yet; where not, it is refused as what has no form.
    """

    role: str
    content: type[C]
    apply: Callable[[Draft, Transaction, C], Code]
    attached: Callable[[Transaction, C], object | None] | None = None
    is_prunable: bool = False
    is_known: Callable[[Draft, C], bool] | None = None
