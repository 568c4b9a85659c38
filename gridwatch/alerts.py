"""What a rule says when it finds something: about whom, since when, and which rows and blocks show it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Alert(NamedTuple):
    """One finding. UTC seconds; ``value`` is beyond ``limit``, both in the unit that the rule's key names.

    subject: an area, meter or gateway; at_s: the boundary with whose readings it was found; from_s, until_s: the first and last
    boundary of the rows that show it; blocks: heights of blocks that hold such rows.
    """

    at_s: int
    rule: str
    subject: str
    from_s: int
    until_s: int
    value: int
    limit: int
    blocks: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """An object with a member for each field."""
        return {**self._asdict(), "blocks": list(self.blocks)}
