"""What one version of the protocol decides by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ledger.kinds.kind import Kind
from ledger.state.draft import Draft


class ProtocolRules(NamedTuple):
    """kinds: of transactions, by name; run_due_work: do what has fallen due within a block's budget, and say whether work is
    left over; is_due: whether it would do anything in a block without transactions.
    """

    kinds: Mapping[str, Kind[Any]]
    run_due_work: Callable[[Draft], bool]
    is_due: Callable[[Draft], bool]
