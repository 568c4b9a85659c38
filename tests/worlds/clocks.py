"""A clock that tests set."""

from __future__ import annotations


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, now_s: int) -> None:
        self._now_s = now_s

    def now_s(self) -> int:
        """The time last set, UTC seconds."""
        return self._now_s

    def advance_to(self, now_s: int) -> None:
        """Move to ``now_s`` (UTC seconds), which is not in the past."""
        assert now_s >= self._now_s
        self._now_s = now_s

    def set_wrong(self, now_s: int) -> None:
        """Set it to any time, as a faulty clock may be."""
        self._now_s = now_s
