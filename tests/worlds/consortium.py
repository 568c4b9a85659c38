"""Who and what a test's chain has. Every field has a value that passes as a genesis; a test states what matters to it.

    consortium = Consortium(meters=[household(1, "p-1"), feeder(2)])
    consortium.genesis, consortium.chain
    sender = consortium.sender()

No test names a leaf to build a chain: ``ledger.master_data`` knows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from gridcore import cbor
from ledger.master_data import Area, Calendar, Entry, Gateway, Installation, MasterData, Rules, Signer
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
PRICES = {
    "feed_in_price_micro_per_kwh": 280_000,
    "levy_micro_per_kwh": 40_000,
    "network_residual_micro_per_kwh": 180_000,
    "network_traded_micro_per_kwh": 180_000,
    "residual_price_micro_per_kwh": 460_000,
    "shortfall_price_micro_per_kwh": 460_000,
    "surplus_price_micro_per_kwh": 280_000,
}
CALENDAR = Calendar(name="c", days=DAYS, months=[0], tz="UTC", tz_version="1")
RULES = Rules(
    name="r",
    prices_micro_per_kwh=PRICES,
    market={"reference_price_micro_per_kwh": 370_000, "rationing": "pro_rata"},
    gate_before_start_s=300,
    metering_deadline_s=900,
    open_before_start_s=86_400,
)


def area(name: str, **changes: Any) -> Area:
    """An area of the call auction; ``changes``: its other fields."""
    found = Area(
        name=name,
        contract=CONTRACT.contract_id,
        contract_pin=contract_pin(CONTRACT.contract_id),
        first_slot_start_s=FIRST_S,
        calendar=CALENDAR.name,
        rules=RULES.name,
    )
    return replace(found, **changes)


def gateway(name: str, **changes: Any) -> Gateway:
    """A gateway of the utility."""
    return replace(Gateway(name=name, organisation=UTILITY), **changes)


def feeder(number: int, **changes: Any) -> Installation:
    """A meter without a party, in area a-1 under gw-1."""
    found = Installation(
        number=number,
        area="a-1",
        gateway="gw-1",
        meter=f"M-{number}",
        point=f"P-{number}",
        profile="test",
        role="feeder",
        limit_wh=10_000,
        from_s=START_S,
    )
    return replace(found, **changes)


def household(number: int, party: str, **changes: Any) -> Installation:
    """A meter by which a party trades and settles."""
    return feeder(number, **{"role": "household", "party": party, "trades": True, **changes})


def load(number: int, party: str, **changes: Any) -> Installation:
    """A meter by which a party settles without trading."""
    return feeder(number, **{"role": "load", "party": party, **changes})


@dataclass(frozen=True, kw_only=True)
class Consortium:
    """A chain before its first block.

    roles: of signers beside those that follow from the rest (the clock, each organisation, each gateway, each party that trades),
    or instead of them. certifier: who signs headers.
    """

    name: str = "test-"
    clock: Literal["block", "simulated"] = "simulated"
    start_s: int = START_S
    slot_s: int = SLOT_S
    calendar: Calendar = CALENDAR
    rules: Sequence[Rules] = (RULES,)
    areas: Sequence[Area] = (area("a-1"),)
    gateways: Sequence[Gateway] = (gateway("gw-1"),)
    meters: Sequence[Installation] = ()
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    certifier: str = "operator"

    @cached_property
    def signers(self) -> Mapping[str, Sequence[str]]:
        """The roles of everybody who may sign transactions."""
        return {
            "clock": ["clock"],
            **{found.organisation: ["utility"] for found in self.gateways},
            **{found.name: ["gateway"] for found in self.gateways},
            **{found.party: ["prosumer"] for found in self.meters if found.party and found.trades},
            **self.roles,
        }

    @property
    def master_data(self) -> MasterData:
        """The same as the product lists it."""
        signers = [
            Signer(name=name, public_key=key(name).public_key, roles=roles) for name, roles in self.signers.items()
        ]
        entries: list[Entry] = [self.calendar, *self.rules, *signers, *self.gateways, *self.areas, *self.meters]
        return MasterData(
            name=self.name,
            clock=self.clock,
            ledger_time_s=self.start_s,
            slot_s=self.slot_s,
            certifiers=[(key(self.certifier).public_key, 1)],
            entries=entries,
        )

    @cached_property
    def genesis(self) -> dict[str, Any]:
        """The genesis; not to be changed."""
        return self.master_data.genesis()

    @cached_property
    def genesis_file(self) -> bytes:
        """The genesis in canonical bytes."""
        return cbor.encode(self.genesis)

    @property
    def chain(self) -> str:
        """The chain's id."""
        return str(self.genesis["chain"])

    def leaves(self) -> dict[str, Any]:
        """The leaves of the genesis by key; the caller's own, to spoil."""
        return dict(self.master_data.leaves())

    def sender(self) -> Sender:
        """Everybody's hand, before anything was sent."""
        return Sender(self.chain, self.start_s)
