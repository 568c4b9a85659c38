"""Master data of a chain at its start: entities by name with their records, and the genesis that they make.

Whoever founds a chain lists entities; how a row is encoded is said by ``gridcore.registry``. ``ledger.genesis_check``
checks what comes out as it checks every genesis.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from gridcore.genesis import ONE_DECIDES, PROTOCOL_FIRST, Activation, Genesis, Thresholds
from gridcore.registry.calendar import Calendar, calendar_rows
from gridcore.registry.entity import Entity
from gridcore.registry.installation import INSTALLATION, Installation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.row import Row
from gridcore.validator import Validator

R = TypeVar("R")


class Listed(Protocol):
    """Something that a chain has from the start."""

    def rows(self) -> Iterator[Row]:
        """Its registry rows."""


class Named(NamedTuple, Generic[R]):
    """An entity with its name. from_s: UTC seconds from which it is as ``record`` says."""

    entity: Entity[Any]
    name: str
    record: R
    from_s: int = 0

    def rows(self) -> Iterator[Row]:
        """One row."""
        yield Row(self.entity.key(self.name), self.from_s, self.entity.encode(self.record))


@dataclass(frozen=True, kw_only=True)
class MeteredPoint:
    """A point with the meter at it, and the party that is billed by it.

    number: of the installation; limit_wh, modulus_wh: of the register, before ``ratio`` (modulus 0: it never rolls
    over); first_registers: what the meter shows, import and export, when it is put up, at ``installed_s``; party: None
    for a feeder; organisation: the one that may enrol the party's key; trades: whether the party may place orders;
    aggregator: who may place them for it; credit_nano: how much it may owe; exchange_area: on the other side of a border;
    from_s: from which the rest holds. Times in UTC seconds.
    """

    number: int
    area: str
    gateway: str
    meter: str
    point: str
    profile: str
    role: str
    limit_wh: int
    organisation: str
    first_registers: tuple[int, int]
    modulus_wh: int = 0
    ratio: int = 1
    party: str | None = None
    trades: bool = False
    aggregator: str | None = None
    credit_nano: int | None = None
    exchange_area: str | None = None
    from_s: int = 0
    installed_s: int = 0

    def rows(self) -> Iterator[Row]:
        """The party, if there is one, the point and the installation."""
        if self.party is not None:
            party = Party(self.area, self.organisation, self.trades, self.aggregator, self.credit_nano)
            yield from Named(PARTY, self.party, party, self.from_s).rows()
        point = Point(self.area, self.role, self.party, exchange_area=self.exchange_area)
        yield from Named(POINT, self.point, point, self.from_s).rows()
        installation = Installation(
            gateway=self.gateway,
            limit_wh=self.limit_wh,
            meter=self.meter,
            modulus_wh=self.modulus_wh,
            point=self.point,
            profile=self.profile,
            ratio=self.ratio,
            first_registers=list(self.first_registers),
        )
        yield from Named(INSTALLATION, str(self.number), installation, self.installed_s).rows()


@dataclass(frozen=True, kw_only=True)
class MasterData:
    """All that a chain has from the start.

    ledger_time_s: at genesis, UTC seconds. validators: those who certify headers, in any order. listed: in the order in which areas, parties and points are numbered. salt_seed: 32 bytes that
    nobody can guess.
    """

    name: str
    clock: Literal["block", "simulated", "imported"]
    ledger_time_s: int
    slot_s: int
    validators: Sequence[Validator]
    calendars: Mapping[str, Calendar]
    listed: Iterable[Listed]
    salt_seed: bytes
    currency: str = "CNY"
    thresholds: Thresholds = ONE_DECIDES
    protocol: Sequence[Activation] = (Activation(PROTOCOL_FIRST, 0),)

    def rows(self) -> Iterator[Row]:
        """All registry rows, in order."""
        for name, calendar in self.calendars.items():
            yield from calendar_rows(name, calendar)
        for listed in self.listed:
            yield from listed.rows()

    def genesis(self) -> Genesis:
        """The genesis. A row that several of ``listed`` have, as the party of several points, stands once."""
        return Genesis(
            name=self.name,
            clock=self.clock,
            currency=self.currency,
            ledger_time_s=self.ledger_time_s,
            slot_s=self.slot_s,
            validators=tuple(sorted(self.validators, key=lambda validator: validator.public_key)),
            registry=tuple(dict.fromkeys(row.encode() for row in self.rows())),
            salt_seed=self.salt_seed,
            thresholds=self.thresholds,
            protocol=tuple(self.protocol),
        )
