"""The chain of a simulation: organisations with a validator, a gateway and two households each, in one grid area."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final, Literal

from gridcore.genesis import Genesis, Thresholds
from gridcore.master_data import MasterData, MeteredPoint, Named
from gridcore.registry.area import AREA, Area
from gridcore.registry.calendar import Calendar
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.organisation import ORGANISATION, ROLES, Organisation
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.zone import ZONE, Zone
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3
from gridcore.validator import Validator
from settlement.catalogue import contract_pin
from simulators.consensus.conversation import address_of
from simulators.consensus.messages import Member, Members

AREA_NAME: Final = "area"
CLOCK_NAME: Final = "clock"
CONTRACT: Final = "p2p_call_auction/1"
SLOT_S: Final = 300
FIRST_S: Final = 1_800_000_000
"""Where the first slot begins."""
START_S: Final = FIRST_S - 60
LIMIT_WH: Final = 10_000
HOUSEHOLDS: Final = 2
BLOCK_TIME_PACE: Final = 60
"""Clocks of a chain with block time run so much faster than the simulation's, so that slots pass."""
_DAY_S: Final = 86_400
_PRICES: Final = {
    "feed_in_price_micro_per_kwh": 280_000,
    "levy_micro_per_kwh": 40_000,
    "network_residual_micro_per_kwh": 180_000,
    "network_traded_micro_per_kwh": 180_000,
    "residual_price_micro_per_kwh": 460_000,
    "shortfall_price_micro_per_kwh": 460_000,
    "surplus_price_micro_per_kwh": 280_000,
}


@cache
def key_of(name: str) -> SigningKey:
    """The SM2 key of whoever has this name, in every simulation the same."""
    return SigningKey.from_scalar(sm3(b"simulated key of " + name.encode()))


def next_key_of(name: str) -> SigningKey:
    """The key that takes the place of somebody's first one, where those who decide say so."""
    return key_of(f"next of {name}")


def organisation(number: int) -> str:
    """The name of an organisation, which is that of its validator too."""
    return f"org-{number}"


def administrator(number: int) -> str:
    """The name of the one who proposes and votes for an organisation."""
    return f"admin-{number}"


def gateway(number: int) -> str:
    """The name of an organisation's gateway."""
    return f"gateway-{number}"


def party(number: int, household: int) -> str:
    """The name of a household."""
    return f"home-{number}-{household}"


def meter(number: int, household: int) -> int:
    """The number of a household's meter."""
    return 100 * (number + 1) + household


@dataclass(frozen=True)
class Founding:
    """A chain before its first block. powers: of each organisation's validator, by number from 0."""

    powers: tuple[int, ...]
    clock: Literal["block", "simulated"]

    @property
    def chain(self) -> str:
        """The chain's id."""
        return self.genesis.chain

    @property
    def start_ms(self) -> int:
        """When it begins, UTC."""
        return START_S * 1_000

    @property
    def pace(self) -> int:
        """How much faster the clocks of its validators run than the simulation."""
        return BLOCK_TIME_PACE if self.clock == "block" else 1

    @cached_property
    def validators(self) -> tuple[Validator, ...]:
        """By number of their organisation. Nothing is signed with their Ed25519 keys: votes are taken for granted."""
        return tuple(
            Validator(name, name, key_of(name).public_key, power, sm3(b"consensus key of " + name.encode()))
            for name, power in ((organisation(number), power) for number, power in enumerate(self.powers))
        )

    @cached_property
    def members(self) -> Members:
        """The same as the engine knows them."""
        return tuple(sorted(Member(address_of(found.consensus_key), found.power) for found in self.validators))

    @cached_property
    def genesis(self) -> Genesis:
        """The genesis."""
        numbers = range(len(self.powers))
        return MasterData(
            name="simulated-",
            clock=self.clock,
            ledger_time_s=START_S,
            slot_s=SLOT_S,
            validators=self.validators,
            calendars={"c": Calendar(_days(), [0], "UTC", "1")},
            listed=[
                *(
                    Named(ORGANISATION, organisation(number), Organisation(list(ROLES), "An organisation"))
                    for number in numbers
                ),
                Named(RULES, "r", Rules(_PRICES, {"reference_price_micro_per_kwh": 370_000, "rationing": "pro_rata"})),
                *self._signers(),
                *(Named(GATEWAY, gateway(number), Gateway(organisation(number), "software")) for number in numbers),
                Named(ZONE, "zone", _zone()),
                Named(AREA, AREA_NAME, Area(calendar="c", rules="r", zone="zone")),
                *(_point(number, household) for number in numbers for household in range(HOUSEHOLDS)),
            ],
            salt_seed=bytes(32),
            thresholds=self._thresholds(),
        ).genesis()

    def _thresholds(self) -> Thresholds:
        """More than half of the organisations decide; two of them where it is about the registry."""
        most = len(self.powers) // 2 + 1
        return Thresholds(contract=most, protocol=most, registry=min(2, most), signers=most)

    def _signers(self) -> list[Named[Signer]]:
        roles = {CLOCK_NAME: (organisation(0), "clock")}
        for number in range(len(self.powers)):
            roles[administrator(number)] = (organisation(number), "administrator")
            roles[gateway(number)] = (organisation(number), "gateway")
            roles |= {party(number, household): (organisation(number), "prosumer") for household in range(HOUSEHOLDS)}
        return [
            Named(SIGNER, name, Signer(owner, key_of(name).public_key, [role])) for name, (owner, role) in roles.items()
        ]


def _days() -> list[int]:
    midnight_s = FIRST_S - FIRST_S % _DAY_S
    return [midnight_s + day * _DAY_S for day in (-1, 0, 1)]


def _zone() -> Zone:
    return Zone(
        contract=CONTRACT,
        contract_pin=contract_pin(CONTRACT),
        first_slot_start_s=FIRST_S,
        gate_before_start_s=30,
        metering_deadline_s=60,
        open_before_start_s=_DAY_S,
    )


def _point(number: int, household: int) -> MeteredPoint:
    found = meter(number, household)
    return MeteredPoint(
        number=found,
        area=AREA_NAME,
        gateway=gateway(number),
        meter=f"M-{found}",
        point=f"P-{found}",
        profile="simulated",
        role="household",
        limit_wh=LIMIT_WH,
        organisation=organisation(number),
        first_registers=(0, 0),
        party=party(number, household),
        trades=True,
    )
