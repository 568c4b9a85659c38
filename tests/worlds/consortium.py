"""Who and what a test's chain has. Every field has a value that passes as a genesis; a test states what matters to it.

    consortium = Consortium(meters=[household(1, "p-1"), feeder(2)])
    consortium.genesis, consortium.chain
    sender = consortium.sender()

No test names a row to build a chain: ``gridcore.master_data`` knows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from gridcore.genesis import ONE_DECIDES, Genesis, Thresholds
from gridcore.master_data import Listed, MasterData, MeteredPoint, Named
from gridcore.registry.area import AREA, Area
from gridcore.registry.calendar import Calendar
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.organisation import ORGANISATION, ROLES, Organisation
from gridcore.registry.row import Row
from gridcore.registry.rules import RULES as RULES_ENTITY
from gridcore.registry.rules import Rules
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.zone import ZONE, Zone
from gridcore.validator import Validator
from settlement.catalogue import contract_pin
from settlement.contracts.p2p_call_auction_1 import CONTRACT
from tests.worlds.keys import key
from tests.worlds.transactions import Sender

SLOT_S = 900
DAY_S = 86_400
FIRST_S = 1_800_000_000
"""Where the first slot begins: the 33rd of its local day."""
START_S = FIRST_S - DAY_S
"""Ledger time at genesis."""
DAYS = [FIRST_S - FIRST_S % DAY_S + day * DAY_S for day in (-1, 0, 1)]
"""Two local days and where the second ends."""
UTILITY = "util"
"""An organisation, and its signer of the role utility."""
PRICES = {
    "feed_in_price_micro_per_kwh": 280_000,
    "levy_micro_per_kwh": 40_000,
    "network_residual_micro_per_kwh": 180_000,
    "network_traded_micro_per_kwh": 180_000,
    "residual_price_micro_per_kwh": 460_000,
    "shortfall_price_micro_per_kwh": 460_000,
    "surplus_price_micro_per_kwh": 280_000,
}
CALENDAR = Calendar(days=DAYS, months=[0], tz="UTC", tz_version="1")
TERMS = {"reference_price_micro_per_kwh": 370_000, "rationing": "pro_rata"}


def rules(name: str = "r", *, prices: Mapping[str, int] = PRICES, terms: Mapping[str, Any] = TERMS) -> Named[Rules]:
    """Rules of the call auction."""
    return Named(RULES_ENTITY, name, Rules(prices, terms))


def zone(name: str = "z-1", *, from_s: int = 0, contract: str = CONTRACT.contract_id, **changes: Any) -> Named[Zone]:
    """A zone of a contract of this program, by itself the call auction; ``changes``: its other fields."""
    found = Zone(
        contract=contract,
        contract_pin=contract_pin(contract),
        first_slot_start_s=FIRST_S,
        gate_before_start_s=300,
        metering_deadline_s=900,
        open_before_start_s=86_400,
    )
    return Named(ZONE, name, found._replace(**changes), from_s)


def area(name: str, **changes: Any) -> Named[Area]:
    """An area of zone z-1; ``changes``: its other fields."""
    return Named(AREA, name, Area(calendar="c", rules="r", zone="z-1")._replace(**changes))


def gateway(name: str, **changes: Any) -> Named[Gateway]:
    """A gateway of the utility."""
    return Named(GATEWAY, name, Gateway(UTILITY, "software")._replace(**changes))


def feeder(number: int, **changes: Any) -> MeteredPoint:
    """A meter without a party, in area a-1 under gw-1."""
    found = MeteredPoint(
        number=number,
        area="a-1",
        gateway="gw-1",
        meter=f"M-{number}",
        point=f"P-{number}",
        profile="test",
        role="feeder",
        limit_wh=10_000,
        organisation=UTILITY,
        first_registers=(0, 0),
    )
    return replace(found, **changes)


def household(number: int, party: str, **changes: Any) -> MeteredPoint:
    """A meter by which a party trades and settles."""
    return feeder(number, **{"role": "household", "party": party, "trades": True, **changes})


def load(number: int, party: str, **changes: Any) -> MeteredPoint:
    """A meter by which a party settles without trading."""
    return feeder(number, **{"role": "load", "party": party, **changes})


@dataclass(frozen=True, kw_only=True)
class Consortium:
    """A chain before its first block.

    roles: of signers beside those that follow from the rest (the clock, each organisation, each gateway, each party that trades),
    or instead of them. organisations: of signers, where it is not that of their gateway or party, or the utility. certifier: who signs
    headers; validators: several instead of it. more: registry rows beside all that.
    """

    name: str = "test-"
    clock: Literal["block", "simulated", "imported"] = "simulated"
    start_s: int = START_S
    slot_s: int = SLOT_S
    calendar: Calendar = CALENDAR
    rules: Sequence[Named[Rules]] = (rules(),)
    zones: Sequence[Named[Zone]] = (zone(),)
    areas: Sequence[Named[Area]] = (area("a-1"),)
    gateways: Sequence[Named[Gateway]] = (gateway("gw-1"),)
    meters: Sequence[MeteredPoint] = ()
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    organisations: Mapping[str, str] = field(default_factory=dict)
    certifier: str = "operator"
    validators: Sequence[Validator] = ()
    more: Sequence[Listed] = ()
    thresholds: Thresholds = ONE_DECIDES

    @cached_property
    def signers(self) -> Mapping[str, Sequence[str]]:
        """The roles of everybody who may sign transactions."""
        return {
            "clock": ["clock"],
            **{found.record.organisation: ["utility"] for found in self.gateways},
            **{found.name: ["gateway"] for found in self.gateways},
            **{found.party: ["prosumer"] for found in self.meters if found.party and found.trades},
            **self.roles,
        }

    @cached_property
    def organisation_of(self) -> Mapping[str, str]:
        """The organisation of each signer: its own name, that of its gateway or party, else the utility's."""
        owners = {
            **{found.record.organisation: found.record.organisation for found in self.gateways},
            **{found.name: found.record.organisation for found in self.gateways},
            **{found.party: found.organisation for found in self.meters if found.party},
            **self.organisations,
        }
        return {name: owners.get(name, UTILITY) for name in self.signers}

    @property
    def master_data(self) -> MasterData:
        """The same as the product lists it."""
        organisations = sorted(
            {UTILITY, *self.organisation_of.values(), *(meter.organisation for meter in self.meters)}
        )
        signers = [
            Named(SIGNER, name, Signer(self.organisation_of[name], key(name).public_key, sorted(roles)))
            for name, roles in self.signers.items()
        ]
        return MasterData(
            name=self.name,
            clock=self.clock,
            ledger_time_s=self.start_s,
            slot_s=self.slot_s,
            validators=self.validators or [Validator(self.certifier, UTILITY, key(self.certifier).public_key)],
            calendars={"c": self.calendar},
            listed=[
                *(Named(ORGANISATION, name, Organisation(list(ROLES), f"The {name}")) for name in organisations),
                *self.rules,
                *signers,
                *self.gateways,
                *self.zones,
                *self.areas,
                *self.meters,
                *self.more,
            ],
            salt_seed=bytes(32),
            thresholds=self.thresholds,
        )

    @cached_property
    def genesis(self) -> Genesis:
        """The genesis."""
        return self.master_data.genesis()

    @cached_property
    def genesis_file(self) -> bytes:
        """The genesis in canonical bytes."""
        return self.genesis.encode()

    @property
    def chain(self) -> str:
        """The chain's id."""
        return self.genesis.chain

    def rows(self) -> list[Row]:
        """The registry rows of the genesis; the caller's own, to spoil."""
        return list(self.master_data.rows())

    def sender(self) -> Sender:
        """Everybody's hand, before anything was sent."""
        return Sender(self.chain, self.start_s)
