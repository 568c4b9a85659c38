"""What the claims are about, and the two ways in which a claim may not hold."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from tests.second_verifier.bundle import Bundle
from tests.second_verifier.contracts import CONTRACTS, Contract
from tests.second_verifier.registry import (
    Agreement,
    Area,
    Installation,
    Opened,
    Party,
    PointOfSupply,
    Rules,
    Value,
    Zone,
)
from tests.second_verifier.rows import (
    AreaResult,
    Cleared,
    Fill,
    Position,
    read_area_result,
    read_cleared,
    read_fill,
    read_position,
)
from tests.second_verifier.trust import Trust

V = TypeVar("V", bound=Value)


class LieError(Exception):
    """A claim does not hold: not verified."""


class UnsureError(Exception):
    """A claim that cannot be decided."""


def require(holds: bool, reason: str) -> None:
    """`reason` says what is wrong where it does not hold."""
    if not holds:
        raise LieError(reason)


def value_of(opened: Opened, form: type[V]) -> V:
    """The value of an opened entry; LieError where it is another one, as where the entity has ended."""
    value = opened.row.value
    if not isinstance(value, form):
        raise LieError(f"{opened.entity.leaf.key} is not in force as a {form.__name__.lower()}")
    return value


@dataclass(frozen=True)
class Case:
    bundle: Bundle
    trust: Trust | None
    book: bytes | None

    @cached_property
    def position(self) -> Position:
        return read_position(self.bundle.position.row)

    @cached_property
    def agreements(self) -> list[Agreement]:
        return [value_of(opened, Agreement) for opened in self.bundle.agreements]

    @property
    def own_side(self) -> tuple[str, str]:
        """Party and point as agreements name them."""
        return self.bundle.party.entity.name, self.bundle.point.entity.name

    @cached_property
    def siblings(self) -> list[Position]:
        return [read_position(one.position.row) for one in self.bundle.siblings]

    @cached_property
    def area_result(self) -> AreaResult:
        return read_area_result(self.bundle.area_result.row)

    @cached_property
    def cleared(self) -> Cleared | None:
        return read_cleared(self.bundle.clearing.area.row) if self.bundle.clearing else None

    @cached_property
    def fills(self) -> list[Fill]:
        return [read_fill(order.fill.row) for order in self.bundle.orders]

    @property
    def is_estimated(self) -> bool:
        """Whether the position's energy is told by no registers and no import."""
        return self.position.quality in (0x01, 0x21) and self.bundle.imported is None

    @property
    def contract(self) -> Contract | None:
        return CONTRACTS.get(self.bundle.run.contract)

    @property
    def slot_start_s(self) -> int:
        return self.bundle.run.slot_start_s

    @property
    def slot_end_s(self) -> int:
        return self.slot_start_s + self.bundle.chain.slot_s

    @property
    def area(self) -> Area:
        return value_of(self.bundle.area, Area)

    @property
    def party(self) -> Party:
        return value_of(self.bundle.party, Party)

    @property
    def rules(self) -> Rules:
        return value_of(self.bundle.rules, Rules)

    @property
    def point(self) -> PointOfSupply:
        return value_of(self.bundle.point, PointOfSupply)

    @property
    def point_rules(self) -> Rules:
        """Whose prices hold for the point: those that it names, else the area's."""
        return value_of(self.bundle.point_rules, Rules) if self.bundle.point_rules else self.rules

    @property
    def zone(self) -> Zone:
        return value_of(self.bundle.zone, Zone)

    @property
    def installations(self) -> list[Installation]:
        """Of each piece, from its begin on."""
        return [value_of(piece.installation, Installation) for piece in self.bundle.pieces]

    @property
    def is_part_slot(self) -> bool:
        """Whether the slot's one meter came, or went, inside it."""
        return len(self.bundle.pieces) == 1 and self.bundle.pieces[0].is_part

    @property
    def ends(self) -> list[tuple[Opened, int]]:
        """Of each end of the slot that is read: the installation's entry there, and the boundary."""
        pieces, found = self.bundle.pieces, []
        if pieces and pieces[0].start is not None:
            found.append((pieces[0].installation, self.slot_start_s))
        if pieces and pieces[-1].end is not None:
            found.append((self.last_installation, self.slot_end_s))
        return found

    @property
    def last_installation(self) -> Opened:
        """The entry in force at the slot's end."""
        piece = self.bundle.pieces[-1]
        return piece.end_installation or piece.installation
