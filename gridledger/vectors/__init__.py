"""Conformance vectors: runs every folder that holds a ``case.toml`` and says where we differ.

Any folder of that shape will do, ours in ``tests/vectors`` or another organisation's. The format and the meaning of each
handler: ``docs/spec`` and the copy of the cases; how a case is read and judged: ``cases`` and ``runner``.
"""

from __future__ import annotations

from gridledger.vectors.runner import Failure, VectorReport, run_vectors

__all__ = ["Failure", "VectorReport", "run_vectors"]
