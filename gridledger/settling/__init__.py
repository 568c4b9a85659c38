"""Settlement of data that exist already: from a folder of files to statements and a ledger (docs/settle-files.md)."""

from __future__ import annotations

from gridledger.settling.dataset import Dataset

__all__ = ["Dataset"]
