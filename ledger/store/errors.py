"""The store's operating errors: damaged or missing files, and a disk that takes no more."""

from __future__ import annotations

from gridcore.errors import GridError


class StoreError(GridError):
    """A file of the data directory is damaged, missing or does not fit the others; names file, place and remedy."""


class StoreWriteError(StoreError):
    """The disk did not take a write (full, I/O error). Nothing was acknowledged; the same step may be tried again."""


class PrunedError(GridError):
    """What was asked for was pruned: this node keeps its digest alone. Nothing is wrong; says what is still there."""


class NotCertifiedError(GridError):
    """A block has decided it, and no certificate covers that block yet. Nothing is wrong: with one of the next blocks it comes."""


class OlderDatabaseError(StoreError):
    """``state.db`` is of an earlier version of its tables: nothing is wrong, it is made again from the blocks."""


class GuardError(StoreError):
    """A signature was refused: another header of this or a later height has been signed before. Never try again."""


class ForkError(StoreError):
    """Two headers of one height were certified or signed: two histories. Names both. Never go on, never try again."""


class SnapshotError(GridError):
    """A snapshot is not what its manifest, the certificates or the roots say. Nothing of it is installed."""
