"""Master data of a chain at its start: areas, meters, gateways, keys and prices as records, and the genesis that holds them.

Whoever starts a chain lists entries; which leaves an entry has is said here, what a leaf looks like in ``ledger.leaves``. ``ledger.genesis`` checks what comes out as it checks every genesis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gridcore.genesis import complete_genesis
from gridcore.transactions.reading_batch import FIRST_PREVIOUS
from ledger.leaves.area import AREA, AreaLeaf
from ledger.leaves.calendar import CALENDAR, CalendarLeaf
from ledger.leaves.chain import CHAIN, ChainLeaf
from ledger.leaves.family import Value
from ledger.leaves.gateway import GATEWAY, GatewayLeaf
from ledger.leaves.installation import INSTALLATION, InstallationLeaf
from ledger.leaves.ledger_time import TIME, TimeLeaf
from ledger.leaves.party import PARTY, PartyLeaf
from ledger.leaves.progress import PROGRESS, ProgressLeaf
from ledger.leaves.rules import RULES, RulesLeaf
from ledger.leaves.signer import SIGNER, SignerLeaf

Leaf = tuple[str, Value]
"""Key and value of one leaf of the state."""


class Entry(Protocol):
    """One thing that a chain has from the start."""

    def leaves(self) -> Iterator[Leaf]:
        """Its leaves, in the order of their numbers."""
        ...


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Where local days and months begin: UTC seconds, ascending."""

    name: str
    days: Sequence[int]
    months: Sequence[int]
    tz: str
    tz_version: str

    def leaves(self) -> Iterator[Leaf]:
        """One leaf."""
        record = CalendarLeaf(list(self.days), list(self.months), self.tz, self.tz_version)
        yield CALENDAR.key(self.name), CALENDAR.encode(record)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """An area's market: when orders and readings are due, and its prices.

    prices_micro_per_kwh: by the price key of the contract, which ends in ``_micro_per_kwh``; market: its other terms by name.
    """

    name: str
    prices_micro_per_kwh: Mapping[str, int]
    market: Mapping[str, Any]
    gate_before_start_s: int
    metering_deadline_s: int
    open_before_start_s: int

    def leaves(self) -> Iterator[Leaf]:
        """One leaf."""
        record = RulesLeaf(
            gate_before_start_s=self.gate_before_start_s,
            metering_deadline_s=self.metering_deadline_s,
            open_before_start_s=self.open_before_start_s,
            terms={"prices": dict(self.prices_micro_per_kwh), **self.market},
        )
        yield RULES.key(self.name), RULES.encode(record)


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Who may sign transactions. public_key: 65 bytes; roles: some of ``ledger.leaves.signer.ROLES``."""

    name: str
    public_key: bytes
    roles: Sequence[str]

    def leaves(self) -> Iterator[Leaf]:
        """One leaf."""
        yield SIGNER.key(self.name), SIGNER.encode(SignerLeaf(self.public_key, sorted(self.roles)))


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A gateway that has sent nothing yet; its key is a ``Signer`` of the same name. protection: how it keeps that key."""

    name: str
    organisation: str
    protection: str = "software"
    epoch: int = 1

    def leaves(self) -> Iterator[Leaf]:
        """One leaf."""
        record = GatewayLeaf(
            counter=0,
            epoch=self.epoch,
            last=FIRST_PREVIOUS,
            last_boundary_s=-1,
            organisation=self.organisation,
            protection=self.protection,
        )
        yield GATEWAY.key(self.name), GATEWAY.encode(record)


@dataclass(frozen=True, kw_only=True)
class Area:
    """A market area. contract_pin: 32 bytes; calendar, rules: names of other entries."""

    name: str
    contract: str
    contract_pin: bytes
    first_slot_start_s: int
    calendar: str
    rules: str

    def leaves(self) -> Iterator[Leaf]:
        """The area, and how far its slots have come."""
        record = AreaLeaf(
            calendar=self.calendar,
            contract=self.contract,
            contract_pin=self.contract_pin,
            first_slot_start_s=self.first_slot_start_s,
            rules=self.rules,
        )
        yield AREA.key(self.name), AREA.encode(record)
        progress = ProgressLeaf(self.first_slot_start_s, self.first_slot_start_s, untried=[], waiting=[])
        yield PROGRESS.key(self.name), PROGRESS.encode(progress)


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A meter at its point, and the party that settles by it.

    limit_wh, modulus_wh: of the register, before ``ratio`` (modulus 0: it never rolls over). party: None for a feeder.
    trades: whether the party may place orders.
    """

    number: int
    area: str
    gateway: str
    meter: str
    point: str
    profile: str
    role: str
    limit_wh: int
    from_s: int
    modulus_wh: int = 0
    ratio: int = 1
    party: str | None = None
    trades: bool = False

    def leaves(self) -> Iterator[Leaf]:
        """The installation and, if it has one, its party."""
        record = InstallationLeaf(
            area=self.area,
            from_s=self.from_s,
            gateway=self.gateway,
            limit_wh=self.limit_wh,
            meter=self.meter,
            modulus_wh=self.modulus_wh,
            number=self.number,
            point=self.point,
            profile=self.profile,
            ratio=self.ratio,
            role=self.role,
            party=self.party,
        )
        yield INSTALLATION.key(self.number), INSTALLATION.encode(record)
        if self.party is not None:
            yield PARTY.key(self.party), PARTY.encode(PartyLeaf(self.area, self.number, self.trades))


@dataclass(frozen=True, kw_only=True)
class MasterData:
    """All that a chain has from the start.

    ledger_time_s: of a simulated clock at genesis, UTC seconds. certifiers: (public key of 65 bytes, power) of those who sign
    headers, ascending by key. entries: in the order in which their leaves are numbered.
    """

    name: str
    clock: Literal["block", "simulated"]
    ledger_time_s: int
    slot_s: int
    certifiers: Sequence[tuple[bytes, int]]
    entries: Sequence[Entry]
    currency: str = "CNY"

    def leaves(self) -> Iterator[Leaf]:
        """Every leaf of the genesis, in the order of their numbers."""
        chain = ChainLeaf(self.clock, self.currency, self.name, self.slot_s)
        yield CHAIN.key(), CHAIN.encode(chain)
        if chain.is_simulated:
            yield TIME.key(), TIME.encode(TimeLeaf(self.ledger_time_s))
        for entry in self.entries:
            yield from entry.leaves()

    def genesis(self) -> dict[str, Any]:
        """The complete genesis, as ``gridcore.genesis.decode_genesis`` returns it."""
        return complete_genesis(
            {
                "clock": self.clock,
                "currency": self.currency,
                "leaves": [list(leaf) for leaf in self.leaves()],
                "ledger_time_s": self.ledger_time_s,
                "name": self.name,
                "signers": [list(certifier) for certifier in self.certifiers],
                "slot_s": self.slot_s,
                "type": "genesis",
                "version": 1,
            }
        )
