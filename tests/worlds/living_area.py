"""An area that lives: homes join and leave, meters are exchanged, keys and tariffs change, readings fail, come late, or by a wrong clock.

``LivingArea(seed)`` gives the transactions of one boundary after the other, for a ledger that applies them as they come.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gridcore.master_data import Named
from gridcore.registry.installation import INSTALLATION, Installation, RemovedInstallation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.row import Row
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.signer import SIGNER, Signer
from gridcore.transactions.reading_batch import ClockState
from tests.worlds.consortium import DAY_S, FIRST_S, PRICES, SLOT_S, TERMS, UTILITY, Consortium, feeder, household, zone
from tests.worlds.keys import key, sign
from tests.worlds.transactions import SIMULATED, Sender

HOMES: Final = 8
MISSING_PPM: Final = 30_000
LIMIT_WH: Final = 10_000
INSIDE_S: Final = 420
"""Electricians come inside a slot."""
ORDERED_AHEAD_S: Final = 2 * SLOT_S
"""A home that leaves has no orders for what follows."""
FINAL_AFTER_S: Final = 30 * DAY_S
"""Rules change more than 64 times a year: a zone whose slots were never final would still need the first of 64 entries."""
WRONG_CLOCK: Final = ClockState(900_000, "unsynced")
WRONG_CLOCK_BOUNDARIES: Final = 4


@dataclass
class Home:
    """A home and its meter. joined_s, leaves_s: the slots from the one to before the other are its own, leaves_s None while it stays; kept: rows that come late, by boundary;
    prices: of its own supplier, by the slot from which on they hold.
    """

    party: str
    point: str
    number: int
    registers: list[int] = field(default_factory=lambda: [0, 0])
    joined_s: int = 0
    leaves_s: int | None = None
    kept: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    prices: dict[int, dict[str, int]] = field(default_factory=dict)

    @property
    def meter(self) -> str:
        """The code of the meter that hangs there."""
        return f"M-{self.number}"


class LivingArea:
    """See the module. Whatever ``boundary`` returns is valid in the order given; ``readings`` counts rows that
    were sent, ``events`` what changed; ``prices`` are those of the area, by the time from which on they hold.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.homes = [Home(f"p-{number}", f"P-{number}", number) for number in range(1, HOMES + 1)]
        self.gone: list[Home] = []
        self.next_number = 1_000
        self.readings = 0
        self.events = Counter[str]()
        self.prices = {0: PRICES}
        self._hands: dict[str, str] = {}
        self._wrong_clock_left = 0
        self.consortium = Consortium(
            start_s=FIRST_S - SLOT_S,
            zones=[zone(correction_after_s=3_600, final_after_s=FINAL_AFTER_S)],
            meters=[*(household(home.number, home.party) for home in self.homes), feeder(999)],
            roles={"admin": ["administrator"], "reg": ["regulator"]},
        )
        self.sender = Sender(self.consortium.chain, self.consortium.start_s, sign=self._sign)

    def boundary(self, boundary_s: int) -> list[bytes]:
        """The transactions around a boundary: the clock, what was read, orders for the slot after the next, and what changes."""
        wires = [self.sender.clock(boundary_s), *self._batches(boundary_s), *self._orders(boundary_s + SLOT_S)]
        for every_days, change in self._changes():
            if self.rng.random() < SLOT_S / (every_days * DAY_S):
                if rows := change(boundary_s):
                    wires.append(self.sender.register(rows))
                self.events[change.__name__] += 1
        return wires

    def _sign(self, name: str, signed: bytes) -> bytes:
        return sign(self._hands.get(name, name), signed)

    # ------------------------------------------------------------------------------------------------------ metering

    def _batches(self, boundary_s: int) -> list[bytes]:
        is_wrong = self._wrong_clock_left > 0
        self._wrong_clock_left -= is_wrong
        rows = []
        for home in self._living(boundary_s):
            self._consume(home)
            row = (home.number, home.registers[0], home.registers[1])
            if self.rng.randrange(1_000_000) >= MISSING_PPM:
                rows.append(row)
            elif self.rng.random() < 0.5:
                home.kept[boundary_s] = row
        self.readings += len(rows)
        batches = []
        if rows:
            batches.append(self.sender.batch("gw-1", boundary_s, rows, clock=WRONG_CLOCK if is_wrong else SIMULATED))
        return [*batches, *self._late(boundary_s)]

    def _late(self, boundary_s: int) -> list[bytes]:
        """What did not come in time, a boundary a batch, some hours later."""
        batches = []
        for home in self.homes:
            for kept_s in [kept_s for kept_s in home.kept if boundary_s - kept_s >= 5 * SLOT_S]:
                if self.rng.random() < 0.1:
                    row = home.kept.pop(kept_s)
                    if row[0] == home.number:  # of a meter that still hangs there
                        batches.append(self.sender.batch("gw-1", kept_s, [row]))
                        self.readings += 1
        return batches

    def _consume(self, home: Home) -> None:
        home.registers[0] += self.rng.randrange(400)
        home.registers[1] += self.rng.choice([0, 0, 150])

    def _living(self, boundary_s: int) -> list[Home]:
        return [home for home in self.homes if home.joined_s <= boundary_s]

    # -------------------------------------------------------------------------------------------------------- orders

    def _orders(self, slot_start_s: int) -> list[bytes]:
        traders = [home for home in self._living(slot_start_s - SLOT_S) if home.leaves_s is None]
        buyer, seller = self.rng.sample(traders, 2)
        return [
            self.sender.order(buyer.party, "a-1", "buy", self.rng.randint(50, 300), 400_000, slot_start_s),
            self.sender.order(seller.party, "a-1", "sell", self.rng.randint(50, 300), 300_000, slot_start_s),
        ]

    # ------------------------------------------------------------------------------------------------------- changes

    def _changes(self) -> Sequence[tuple[float, Callable[[int], list[Row]]]]:
        """How often something changes, in days, and what."""
        return (
            (5, self.exchange), (6, self.join), (6, self.leave), (8, self.gateway_key), (8, self.home_key),
            (9, self.tariff), (10, self.wrong_tariff), (9, self.reset), (9, self.wrong_clock), (7, self.supplier),
        )  # fmt: skip

    def _settled_home(self, boundary_s: int) -> Home | None:
        homes = [home for home in self.homes if home.leaves_s is None and boundary_s - home.joined_s > DAY_S]
        return self.rng.choice(homes) if homes else None

    def exchange(self, boundary_s: int) -> list[Row]:
        """Another meter hangs at a point, from the middle of the slot that begins."""
        home = self._settled_home(boundary_s)
        if home is None:
            return []
        inside_s, before = boundary_s + INSIDE_S, home.number
        removed = RemovedInstallation(home.point, list(home.registers))
        home.number, self.next_number = self.next_number, self.next_number + 1
        home.registers, home.kept = [0, 0], {}
        put_up = Named(INSTALLATION, str(home.number), self._installation(home), inside_s)
        return _rows(Named(INSTALLATION, str(before), removed, inside_s), put_up)

    def reset(self, boundary_s: int) -> list[Row]:
        """The registers of a meter fell to 0."""
        home = self._settled_home(boundary_s)
        if home is None:
            return []
        fell = self._installation(home)._replace(
            final_registers=list(home.registers), first_registers=[0, 0], reason="power cut"
        )
        home.registers, home.kept = [0, 0], {}
        return _rows(Named(INSTALLATION, str(home.number), fell, boundary_s + INSIDE_S))

    def join(self, boundary_s: int) -> list[Row]:
        """One more home, unless there are many."""
        if len(self.homes) >= 2 * HOMES:
            return []
        number, self.next_number = self.next_number, self.next_number + 1
        home = Home(f"p-{number}", f"P-{number}", number, joined_s=boundary_s + SLOT_S)
        self.homes.append(home)
        inside_s = boundary_s + INSIDE_S
        return _rows(
            Named(PARTY, home.party, Party("a-1", UTILITY, trades=True), inside_s),
            Named(POINT, home.point, Point("a-1", "household", home.party), inside_s),
            Named(INSTALLATION, str(number), self._installation(home), inside_s),
            Named(SIGNER, home.party, Signer(UTILITY, key(home.party).public_key, ["prosumer"]), inside_s),
        )

    def leave(self, boundary_s: int) -> list[Row]:
        """A home moves out: its meter comes down, and nobody is billed at its point."""
        home = self._settled_home(boundary_s)
        if home is None or len(self.homes) <= HOMES // 2:
            return []
        self.homes.remove(home)
        self.gone.append(home)
        inside_s = boundary_s + ORDERED_AHEAD_S + INSIDE_S
        home.leaves_s = inside_s - INSIDE_S + SLOT_S
        return _rows(
            Named(PARTY, home.party, Party("a-1", UTILITY, trades=False), inside_s),
            Named(POINT, home.point, Point("a-1", "household"), home.leaves_s),
            Named(INSTALLATION, str(home.number), RemovedInstallation(home.point, list(home.registers)), inside_s),
        )

    def gateway_key(self, boundary_s: int) -> list[Row]:
        """The gateway signs by another key from the next boundary on."""
        return self._other_key("gw-1", boundary_s, ["gateway"])

    def home_key(self, boundary_s: int) -> list[Row]:
        """A home orders by another key from the next boundary on."""
        home = self._settled_home(boundary_s)
        return [] if home is None else self._other_key(home.party, boundary_s, ["prosumer"])

    def tariff(self, boundary_s: int) -> list[Row]:
        """Other prices from tomorrow on."""
        return self._prices(boundary_s + DAY_S)

    def wrong_tariff(self, boundary_s: int) -> list[Row]:
        """The prices of the last hours were wrong: slots that were settled are settled again."""
        return self._prices(boundary_s - 6 * SLOT_S) if boundary_s > FIRST_S + DAY_S else []

    def supplier(self, boundary_s: int) -> list[Row]:
        """A home buys from another supplier from the next slot on, at prices of its own."""
        home = self._settled_home(boundary_s)
        if home is None:
            return []
        name, prices = f"of-{home.party}", self._varied_prices()
        home.prices[boundary_s + SLOT_S] = prices
        return _rows(
            Named(RULES, name, Rules(prices, TERMS), boundary_s + INSIDE_S),
            Named(POINT, home.point, Point("a-1", "household", home.party, rules=name), boundary_s + SLOT_S),
        )

    def wrong_clock(self, _boundary_s: int) -> list[Row]:
        """The gateway's clock is off for some boundaries, and it says so."""
        self._wrong_clock_left = WRONG_CLOCK_BOUNDARIES
        return []

    def _prices(self, from_s: int) -> list[Row]:
        self.prices[from_s] = self._varied_prices()
        return _rows(Named(RULES, "r", Rules(self.prices[from_s], TERMS), from_s))

    def _varied_prices(self) -> dict[str, int]:
        residual = 460_000 + 1_000 * self.rng.randrange(60)
        return {
            **PRICES,
            "residual_price_micro_per_kwh": residual,
            "shortfall_price_micro_per_kwh": residual,
        }

    def _other_key(self, name: str, boundary_s: int, roles: Sequence[str]) -> list[Row]:
        other = f"{name} from {boundary_s}"
        self._hands[name] = other
        return _rows(Named(SIGNER, name, Signer(UTILITY, key(other).public_key, list(roles)), boundary_s + 1))

    def _installation(self, home: Home) -> Installation:
        return Installation(
            gateway="gw-1",
            limit_wh=LIMIT_WH,
            meter=home.meter,
            modulus_wh=0,
            point=home.point,
            profile="test",
            ratio=1,
            first_registers=list(home.registers),
        )


def _rows(*named: Named[Any]) -> list[Row]:
    return [row for one in named for row in one.rows()]
