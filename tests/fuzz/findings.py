"""What fuzzing looks for."""

from __future__ import annotations


class FindingError(AssertionError):
    """A decoder that took what it should have refused."""
