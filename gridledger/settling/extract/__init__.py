"""The inverse of reading a folder: what a ledger's last runs settled with, as a dataset, and a dataset as a folder of files."""

from __future__ import annotations

from gridledger.settling.extract.extracting import extract
from gridledger.settling.extract.ledger import Span

__all__ = ["Span", "extract"]
