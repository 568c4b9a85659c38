"""Registry rows from a seed: homes that join and leave, exchanged meters, other prices, new areas and zones, and what is wrong with them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gridcore import cbor
from gridcore.master_data import MeteredPoint, Named
from gridcore.registry.balance_terms import (
    BALANCE_PRICES,
    BALANCE_TERMS,
    SIDES,
    BalancePenalty,
    BalanceTerms,
)
from gridcore.registry.calendar import Calendar
from gridcore.registry.gateway import GATEWAY, RetiredGateway
from gridcore.registry.installation import INSTALLATION, RemovedInstallation
from gridcore.registry.organisation import ORGANISATION, ROLES, Organisation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries
from gridcore.registry.row import Row
from gridcore.registry.standing_profile import STANDING_PROFILE, StandingProfile
from gridcore.registry.zone import TAKEN_UP, ZONE, Zone
from tests.simulation.drawn_agreements import draw_agreement, draw_reference
from tests.simulation.generated_world import AUCTION, World, draw_rules, draw_zone
from tests.worlds.consortium import DAY_S, UTILITY, area, feeder, gateway

if TYPE_CHECKING:
    from tests.twin.twin import Twin


class Registrar:
    """Draws rows for one registration of a world at a time; ``spoil`` makes some of them wrong."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.serial = 0
        self.zones = {found.name: found.record for found in world.consortium.zones}
        """What the last row of each zone of genesis says, of those that were recorded."""
        self.taken_up_s: list[int] = []
        """The slots from which on zones have a newer rule, of those that have begun."""

    def learn(self, twin: Twin) -> None:
        """What zones have taken up by now."""
        self.zones = {name: Zone(**twin.timeline(name)) for name in self.zones}
        begun = [getattr(zone, field) for zone in self.zones.values() for field in TAKEN_UP.values()]
        self.taken_up_s = [since_s for since_s in begun if since_s is not None and since_s <= twin.ledger_time_s]

    def rows(self, now_s: int) -> list[Row]:
        """The rows of one change of the grid, now and then spoilt, and of another one with it."""
        rng = self.rng
        draw = rng.choice(
            [
                self.home,
                self.home,
                self.home,
                self.exchange,
                self.exchange,
                self.prices,
                self.moves_out,
                self.taken_down,
                self.zone,
                *[self.newer_rules] * (8 if self.lacking() else 1),
                self.gateway,
                self.profile,
                self.title,
                self.calendar,
                self.series,
                self.own_prices,
                *[self.others] * (8 if self.taken_up_s else 2),
                self.agreement,
                self.agreement,
                self.border,
                self.balance_terms,
            ]
        )
        rows = draw(now_s)
        if rng.random() < 0.2:
            rows += rng.choice([self.home, self.prices, self.exchange, self.zone, self.newer_rules])(now_s)
        if rng.random() < 0.1:
            rng.shuffle(rows)
        return [self.spoil(row, now_s) if rng.random() < 0.06 else row for row in rows]

    def near(self, now_s: int) -> int:
        """Now, or where a zone takes up a rule: there what is dated back is of slots before and behind."""
        return self.rng.choice([now_s, *self.taken_up_s])

    def inside(self, time_s: int) -> int:
        """An instant inside a slot, mostly one around ``time_s``; now and then far back or no such instant."""
        rng, slot_s = self.rng, self.world.slot_s
        slot = time_s // slot_s * slot_s + rng.choice([0, 0, 1, 1, 2, -1, -2, -5]) * slot_s
        return max(0, slot + (rng.randrange(1, slot_s) if rng.random() < 0.97 else 0))

    def beginning(self, time_s: int) -> int:
        """Where a slot begins, mostly: there who is billed at a point changes."""
        inside_s = self.inside(time_s)
        return inside_s if self.rng.random() < 0.1 else inside_s // self.world.slot_s * self.world.slot_s

    def home(self, now_s: int) -> list[Row]:
        """A home that joins: party, point and meter."""
        rng, world = self.rng, self.world
        self.serial += 1
        number = rng.choice([200, 300, 400]) + self.serial
        party = None if rng.random() < 0.15 else f"N-{self.serial}"
        from_s = rng.choice([self.inside(now_s), self.inside(now_s), self.beginning(now_s), world.start_s, 0])
        within_s = from_s // world.slot_s * world.slot_s + rng.randrange(1, world.slot_s)
        installed_s = rng.choice([from_s, from_s, within_s])
        meter = feeder(
            number,
            area=rng.choice(world.areas),
            gateway=rng.choice(world.gateways),
            limit_wh=rng.choice([250, 5_000]),
            modulus_wh=rng.choice([0, 500_001]),
            ratio=rng.choice([1, 40]),
            party=party,
            role="household" if party else "feeder",
            trades=party is not None and rng.random() < 0.7,
            from_s=from_s,
            installed_s=installed_s,
            first_registers=(rng.randrange(100), 0),
        )
        if installed_s != from_s:
            world.breaks.setdefault(number, [(installed_s - world.slot_s, meter.first_registers)])
        self.take_up(meter)
        return list(meter.rows())

    def take_up(self, meter: MeteredPoint) -> None:
        """From now on the gateways read a meter, and its party trades, whether or not the chain knows them."""
        self.world.meters.setdefault(meter.number, meter)
        if meter.party is not None:
            self.world.parties.setdefault(meter.party, meter.area)

    def exchange(self, now_s: int) -> list[Row]:
        """Another meter at a point at the same instant."""
        old = self.rng.choice([*self.world.meters.values()])
        self.serial += 1
        at_s = self.inside(self.near(now_s))
        new = replace(old, number=600 + self.serial, meter=f"M-{600 + self.serial}", installed_s=at_s)
        self.take_up(new)
        removed = Named(INSTALLATION, str(old.number), RemovedInstallation(old.point, [5, 6]), at_s)
        return [*removed.rows(), *list(new.rows())[-1:]]

    def taken_down(self, now_s: int) -> list[Row]:
        """A meter that is removed, or goes to another gateway."""
        old = self.rng.choice([*self.world.meters.values()])
        moved = replace(
            old, gateway=self.rng.choice(self.world.gateways), profile="other", installed_s=self.inside(now_s)
        )
        removed = Named(INSTALLATION, str(old.number), RemovedInstallation(old.point), self.inside(self.near(now_s)))
        row = list(moved.rows())[-1]
        if self.rng.random() < 0.8:
            row = row._replace(value={name: item for name, item in row.value.items() if name != "first_registers"})
        return [row] if self.rng.random() < 0.5 else list(removed.rows())

    def moves_out(self, now_s: int) -> list[Row]:
        """A party that no longer trades and leaves its point, mostly; or that trades again."""
        rng = self.rng
        meter = rng.choice([meter for meter in self.world.meters.values() if meter.party] or [None])
        if meter is None:
            return self.prices(now_s)
        at_s = rng.choice([self.beginning(now_s), self.beginning(now_s + 86_400)])
        party = Named(PARTY, str(meter.party), Party(meter.area, meter.organisation, trades=rng.random() < 0.1), at_s)
        billed = meter.party if rng.random() < 0.2 else None
        return [*party.rows(), *Named(POINT, meter.point, Point(meter.area, meter.role, billed), at_s).rows()]

    def prices(self, now_s: int) -> list[Row]:
        """Other prices of an area, back-dated now and then."""
        found = self.rng.choice(self.world.consortium.areas)
        drawn = draw_rules(self.rng, found.record.rules, self.world.contract_of(found.name))
        return list(drawn._replace(from_s=self.inside(now_s)).rows())

    def zone(self, now_s: int) -> list[Row]:
        """A new zone with an area; or another area of a zone that is there, or a zone's other contract."""
        rng, world = self.rng, self.world
        self.serial += 1
        name, slot_s = f"zone-{self.serial}", world.slot_s
        first_s = (now_s // slot_s + rng.choice([1, 1, 2, 0, -1])) * slot_s
        new = draw_zone(rng, name, slot_s, first_s)._replace(from_s=now_s)
        rules = draw_rules(rng, f"rules-{name}", new.record.contract)
        begins_s = rng.choice([now_s, 0, first_s])
        if rng.random() < 0.4:
            old = rng.choice(world.consortium.zones)
            rules, begins_s = draw_rules(rng, f"rules-{name}", old.record.contract), 0
            member = area(f"area-{self.serial}", rules=f"rules-{name}", zone=old.name)
            return [*rules.rows(), *member.rows()]
        if rng.random() < 0.2:
            name, said = rng.choice([*self.zones.items()])
            other = said._replace(contract=rng.choice([AUCTION, said.contract, "p2p/9"]))
            return list(Named(ZONE, name, other, now_s + rng.choice([0, 1, 86_400])).rows())
        member = area(f"area-{self.serial}", rules=f"rules-{name}", zone=name)._replace(from_s=begins_s)
        return [*new.rows(), *rules.rows(), *member.rows()]

    def lacking(self) -> list[str]:
        """The zones of genesis that lack a rule which they may take up."""
        return [name for name, said in self.zones.items() if None in (said.gap_slots_max, said.runs_follow_points)]

    def newer_rules(self, now_s: int) -> list[Row]:
        """A zone that takes up rules which it began without, mostly from a slot on that has not begun; or gives them up, or says others."""
        rng, slot_s = self.rng, self.world.slot_s
        name = rng.choice((self.lacking() if rng.random() < 0.9 else None) or [*self.zones])
        new = self.zones[name]
        from_s = now_s + rng.choice([0, 0, 1, 3 * slot_s])  # another administrator may have to approve it before
        at_s = -(-from_s // slot_s) * slot_s + rng.choice([0, 0, 0, 1, 1, 2, 4]) * slot_s
        at_s += rng.choice([-slot_s, 1]) if rng.random() < 0.1 else 0
        if rng.random() < (0.8 if new.gap_slots_max is None else 0.05):
            slots, since_s = rng.choice([2, 5, 12, 4_320]), at_s
            if new.final_after_s is not None:
                lead_s = slots * slot_s + 16 * DAY_S - new.final_after_s
                since_s += max(0, lead_s) // slot_s * slot_s - rng.choice([0, 0, slot_s])
            new = new._replace(gap_slots_max=slots, gap_slots_from_s=since_s)
        if rng.random() < (0.8 if new.runs_follow_points is None else 0.05):
            new = new._replace(runs_follow_points=True, runs_follow_points_from_s=at_s)
        if rng.random() < 0.05:
            new = rng.choice(
                [
                    new._replace(gap_slots_max=None),
                    new._replace(gap_slots_max=None, gap_slots_from_s=None),
                    new._replace(runs_follow_points=None, runs_follow_points_from_s=None),
                ]
            )
        return list(Named(ZONE, name, new, from_s).rows())

    def gateway(self, now_s: int) -> list[Row]:
        """A new gateway, or one that is retired."""
        if self.rng.random() < 0.6:
            self.serial += 1
            owner = self.rng.choice([UTILITY, UTILITY, "dso"])
            return list(gateway(f"gw-new-{self.serial}", organisation=owner)._replace(from_s=now_s).rows())
        name = self.rng.choice(self.world.gateways)
        at_s = now_s + self.rng.choice([0, 1, 7_200, 86_400])
        return list(Named(GATEWAY, name, RetiredGateway(UTILITY), at_s).rows())

    def profile(self, now_s: int) -> list[Row]:
        """A standing profile, and a point that has it."""
        slots = 86_400 // self.world.slot_s if self.rng.random() < 0.9 else 3
        day = Named(STANDING_PROFILE, "home", StandingProfile([0] * slots, [7] * slots), self.rng.choice([0, now_s]))
        meter = self.rng.choice([*self.world.meters.values()])
        partners: dict[str, Any] = self.rng.choice(
            [{}, {"supplier": "north", "grid_operator": "dso"}, {"offtaker": "x y"}]
        )
        point = Point(meter.area, meter.role, meter.party, "home")._replace(**partners)
        return [*day.rows(), *Named(POINT, meter.point, point, self.beginning(now_s)).rows()]

    def others(self, now_s: int) -> list[Row]:
        """A point that is billed to somebody else, or names others, mostly dated back, now and then up to where it has changed before."""
        rng, world, slot_s = self.rng, self.world, self.world.slot_s
        meter = rng.choice([meter for meter in world.meters.values() if meter.party] or [None])
        if meter is None:
            return self.prices(now_s)
        own = [name for name, of in world.parties.items() if of == meter.area]
        at_s = max(0, self.near(now_s) // slot_s * slot_s - rng.choice([0, 1, 2, 3, 5, 8, 20]) * slot_s)
        party = rng.choice([meter.party, meter.party, rng.choice(own), None])
        named: dict[str, Any] = rng.choice(
            [{}, {}, {"supplier": rng.choice(["north", "south"])}, {"offtaker": "north"}, {"grid_operator": "south"}]
        )
        more: dict[str, Any] = rng.choice(
            [{}, {}, {"balance_responsible_import": "north"}, {"balance_responsible_export": "north"}]
        )
        kind = rng.choice([None, None, None, "solar", "wind"])
        point = Point(meter.area, meter.role, party, energy_kind=kind)._replace(**named, **more)
        rows = list(Named(POINT, meter.point, point, at_s).rows())
        if rng.random() < 0.4:
            back = Point(meter.area, meter.role, meter.party)
            rows += Named(POINT, meter.point, back, at_s + rng.choice([1, 2, 4]) * slot_s).rows()
        return rows

    def series(self, now_s: int) -> list[Row]:
        """Prices slot by slot, and rules that name them, mostly such as the contract takes. Nothing names ``free`` for long."""
        rng, slot_s = self.rng, self.world.slot_s
        found = rng.choice(self.world.consortium.areas)
        drawn = draw_rules(rng, found.record.rules, self.world.contract_of(found.name))
        key = rng.choice(sorted(drawn.record.prices))
        values = [drawn.record.prices[key] + rng.choice([0, 0, 1, -1, 10**8]) for _ in range(rng.choice([1, 4, 50]))]
        from_s = self.inside(now_s)
        prices = Named(
            PRICE_SERIES,
            rng.choice(["spot", "spot", "free"]),
            PriceSeries.of(rng.choice([slot_s, 2 * slot_s, 60]), values),
            from_s,
        )
        named = drawn.record._replace(series={key: rng.choice([prices.name, prices.name, "spot", "none"])})
        rows = list(prices.rows())
        return (
            rows
            if rng.random() < (0.9 if prices.name == "free" else 0.3)
            else rows + list(drawn._replace(record=named, from_s=from_s).rows())
        )

    def own_prices(self, now_s: int) -> list[Row]:
        """Rules that a point has of its own, and its keys."""
        rng = self.rng
        meter, at_s = rng.choice([*self.world.meters.values()]), self.beginning(now_s)
        rules = draw_rules(rng, "own", self.world.contract_of(meter.area))._replace(from_s=rng.choice([0, at_s]))
        keys: dict[str, Any] = rng.choice([{}, {"share_ppm": rng.randrange(400_000)}, {"priority": rng.randrange(3)}])
        point = Point(meter.area, meter.role, meter.party, rules="own")._replace(**keys)
        return [*rules.rows(), *Named(POINT, meter.point, point, at_s).rows()]

    def agreement(self, now_s: int) -> list[Row]:
        """An agreement, with what it refers to now and then; or its next entry."""
        rng = self.rng
        self.serial += 1
        name = rng.choice([f"agreed-{self.serial}", "agreed-0", "agreed-1"])
        drawn = draw_agreement(rng, name, [*self.world.meters.values()], self.inside(now_s))
        reference = draw_reference(rng, self.inside(now_s), self.world.slot_s)
        return [*(reference.rows() if rng.random() < 0.3 else ()), *drawn.rows()]

    def border(self, now_s: int) -> list[Row]:
        """A border between two areas, mostly; or one that is none."""
        rng = self.rng
        self.serial += 1
        own, other = rng.choice(self.world.areas), rng.choice([*self.world.areas, "nowhere"])
        party = rng.choice([None, None, None, *self.world.parties])
        point = Point(own, rng.choice(["exchange", "exchange", "feeder"]), party, exchange_area=other)
        name = rng.choice([f"border-{self.serial}", "border-0"])
        return list(Named(POINT, name, point, self.beginning(now_s)).rows())

    def balance_terms(self, now_s: int) -> list[Row]:
        """What losses and imbalances of an area are worth, by a series now and then."""
        rng, slot_s = self.rng, self.world.slot_s
        prices = dict.fromkeys(BALANCE_PRICES, rng.choice([0, 7, -(10**9)]))
        series = rng.choice([None, None, {rng.choice(BALANCE_PRICES): rng.choice(["spot", "none"])}])
        penalty = BalancePenalty(rng.choice([0, 10**6, 10**6 + 1]), 7, rng.choice(SIDES), 30_000)
        terms = BalanceTerms("grid", prices, series, rng.choice([None, penalty._asdict()]))
        spot = Named(PRICE_SERIES, "spot", PriceSeries.of(slot_s, [5]), self.inside(now_s))
        named = Named(BALANCE_TERMS, rng.choice([*self.world.areas, "nowhere"]), terms, self.inside(now_s))
        return [*(spot.rows() if rng.random() < 0.4 else ()), *named.rows()]

    def title(self, now_s: int) -> list[Row]:
        """An organisation's other title, or roles that it may not give itself."""
        roles = list(ROLES) if self.rng.random() < 0.8 else ["utility"]
        name = self.rng.choice([UTILITY, UTILITY, "dso", "new"])
        return list(Named(ORGANISATION, name, Organisation(roles, "Another"), now_s).rows())

    def calendar(self, now_s: int) -> list[Row]:
        """Other local days from an instant on, mostly ahead and in good form."""
        rng, slot_s = self.rng, self.world.slot_s
        from_s = (now_s // slot_s + rng.choice([1, 2, 30, 0])) * slot_s
        days = [from_s + day * 86_400 + rng.choice([0, 0, 3_600]) for day in range(rng.choice([1, 3]))]
        drawn = Calendar(days=days, months=[], tz="UTC", tz_version="2")
        return [Row(f"calendar/{rng.choice(['c', 'c', 'd'])}", from_s, drawn._asdict())]

    def spoil(self, row: Row, now_s: int) -> Row:
        """One thing wrong with a row: its time, a field, or its name."""
        rng, value = self.rng, dict(row.value)
        place = rng.choice(sorted(value))
        wrong: list[Any] = ["nobody", "x y", b"", [], 0, -1, True, 2**40, "z", "A", self.world.areas[0], {}]
        match rng.randrange(4):
            case 0:
                return row._replace(from_s=max(0, now_s + rng.choice([-(10**6), -1, 0, 10**6])))
            case 1:
                return row._replace(value={**value, place: rng.choice(wrong)})
            case 2:
                del value[place]
                return row._replace(value=value)
            case _:
                return row._replace(key=rng.choice([f"{row.key} ", row.key + "0", "point/", "installation/01"]))


def encode(row: Row) -> bytes:
    """Canonical bytes of a row, in whatever form it is."""
    return cbor.encode([row.key, row.from_s, row.value])
