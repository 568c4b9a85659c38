"""A chain of its own for data that exist already: founded from a dataset, fed day by day, read run by run."""

from __future__ import annotations

from gridledger.settling.chain.importing import settled_ledger

__all__ = ["settled_ledger"]
