"""The parts of a slot in which one meter's registers go on, and what tells these at its ends, out of the parts of a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from gridevidence.layout import APPROVAL_KIND, BATCH_KIND, READING_ROW
from gridevidence.verifier.answers import hold
from gridevidence.verifier.records import Opened, Row, Transaction, read_opened, read_row, read_transaction

_Read = TypeVar("_Read")


class Reading(NamedTuple):
    """A batch, and its row of the meter."""

    batch: Transaction
    row: Row


class Piece(NamedTuple):
    """A part of the slot in which one meter's registers go on; ``ended_by``: the entry at which they break off."""

    installation: Opened
    end_installation: Opened | None
    ended_by: Opened | None
    start: Reading | None
    end: Reading | None
    approved_start: Transaction | None
    approved_end: Transaction | None

    @property
    def is_part(self) -> bool:
        """Its meter was put up, or taken down, inside the slot, of which it measured a part: it is read, or approved, at one end alone."""
        ends = (self.start, self.approved_start), (self.end, self.approved_end)
        given = tuple(sum(one is not None for one in of_end) for of_end in ends)
        return given == ((1, 0) if self.ended_by else (0, 1))

    @property
    def first(self) -> Reading | Transaction | None:
        """The reading or approval at the slot's start."""
        return self.start or self.approved_start

    @property
    def last(self) -> Reading | Transaction | None:
        """The reading or approval at the slot's end."""
        return self.end or self.approved_end

    @property
    def last_installation(self) -> Opened:
        """The entry in force at the piece's end."""
        return self.end_installation or self.installation


def optional(parts: Mapping[str, Any], name: str, read: Callable[[Mapping[str, Any]], _Read]) -> _Read | None:
    """What ``read`` makes of a part that may be absent; None where it is."""
    return read(parts[name]) if name in parts else None


def _read_reading(part: Mapping[str, Any], when: str) -> Reading:
    batch = read_transaction(part, f"the {when} batch", BATCH_KIND)
    return Reading(batch, read_row(part["reading"], f"the {when} reading", READING_ROW))


def _read_approval(part: Mapping[str, Any], when: str) -> Transaction:
    return read_transaction(part, f"the {when} approval", APPROVAL_KIND)


def read_piece(part: Mapping[str, Any]) -> Piece:
    """A piece out of its part of a bundle."""
    return Piece(
        installation=read_opened(part["installation"], "the installation"),
        end_installation=optional(part, "end_installation", lambda one: read_opened(one, "the installation's end")),
        ended_by=optional(part, "ended_by", lambda one: read_opened(one, "the end of an installation's part")),
        start=optional(part, "start", lambda one: _read_reading(one, "start")),
        end=optional(part, "end", lambda one: _read_reading(one, "end")),
        approved_start=optional(part, "approved_start", lambda one: _read_approval(one, "start")),
        approved_end=optional(part, "approved_end", lambda one: _read_approval(one, "end")),
    )


def hold_pieces(pieces: tuple[Piece, ...]) -> None:
    """Halts where the pieces of a slot do not follow one another from its start to its end, or one alone is not a part of it."""
    if len(pieces) == 1 and pieces[0].is_part:
        is_last = pieces[0].ended_by is None
        hold(pieces[0].end_installation is None or is_last, "only the last piece has an installation of its end")
        return
    for place, piece in enumerate(pieces, 1):
        is_first, is_last = place == 1, place == len(pieces)
        starts, ends = ((piece.start, piece.approved_start), (piece.end, piece.approved_end))
        given = (sum(one is not None for one in starts), sum(one is not None for one in ends))
        hold(given == (is_first, is_last), "the first piece has one start, reading or approval, the last one one end")
        hold((piece.ended_by is None) == is_last, "every piece but the last one is ended by an entry")
        hold(piece.end_installation is None or is_last, "only the last piece has an installation of its end")
