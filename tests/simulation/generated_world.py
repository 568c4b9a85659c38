"""Small worlds drawn from a seed: who and what the chain has, and what its meters truly show."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gridcore.genesis import Thresholds
from gridcore.master_data import Listed, MeteredPoint, Named
from gridcore.registry.area import Area
from gridcore.registry.calendar import Calendar
from gridcore.registry.gateway import Gateway
from gridcore.registry.installation import INSTALLATION, Installation, RemovedInstallation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.rules import Rules
from gridcore.registry.run_calendar import CorrectionDate, RunCalendar
from gridcore.registry.standing_profile import STANDING_PROFILE, StandingProfile
from gridcore.registry.tariff import TARIFF
from gridcore.registry.zone import TAKEN_UP, Zone
from gridcore.validator import Validator
from tests.simulation.drawn_agreements import draw_agreements
from tests.worlds.consortium import DAY_S, FIRST_S, PRICES, UTILITY, Consortium, area, feeder, gateway, rules, zone
from tests.worlds.keys import key
from tests.worlds.tariffed import HOME

SILENT = "gw-silent"
"""A gateway that never sends: its epochs are opened again and again."""
AUCTION, COMMUNITIES = "p2p_call_auction/1", ("mid_market_rate/1", "supply_demand_ratio/1", "bill_sharing/1")
SHARING, AGREED, SCHEDULED = "sharing_keys/1", "bilateral_agreements/1", "schedules_and_deviations/1"
PAIRED = ("pay_as_bid/1", "continuous_double_auction/1", "trade_reduction/1")
CONDITIONAL, PLACED = "conditional_bid/1", "grid_fee_path/1"
SPLIT_AUCTION, SPLIT_PAIRED = "p2p_call_auction/2", ("pay_as_bid/2", "continuous_double_auction/2")
PERCENT_PLACED = "grid_fee_path/2"
REFERENCE = "reference_price_micro_per_kwh"
STEP_WH_MAX, FAR_SLOTS = 9_999, 10_000
"""What a register counts in a slot at most; from where on it counts that in every slot: a clock that is wrong by years asks for a million."""
COMMUNITY_PRICES = [price for price in PRICES if not price.startswith(("surplus", "shortfall"))]


class World:
    """A small consortium drawn from a seed, with all that is needed to act in it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.consortium = draw_consortium(self.rng)
        self.slot_s = self.consortium.slot_s
        self.simulated = self.consortium.clock != "block"
        self.time_s = self.consortium.start_s
        zones = {found.name: found.record for found in self.consortium.zones}
        self.start_s = min(found.first_slot_start_s for found in zones.values())
        self.areas = [found.name for found in self.consortium.areas]
        self.gateways = [found.name for found in self.consortium.gateways if found.name != SILENT]
        self.zone = {found.name: zones[found.record.zone] for found in self.consortium.areas}
        """By area."""
        terms = {found.name: found.record.terms for found in self.consortium.rules}
        self.reference = {
            found.name: terms[found.record.rules].get("reference_price_micro_per_kwh", 0)
            for found in self.consortium.areas
        }
        """By area: the price around which its orders lie."""
        self.meters = {found.number: found for found in self.consortium.meters}
        self.parties = {found.party: found.area for found in self.consortium.meters if found.party}
        changed = {row.key for listed in self.consortium.more for row in listed.rows()}
        staying = (party for party in self.parties if PARTY.key(party) not in changed)
        self.charged = next(staying, "") if seed % 3 == 2 else ""
        """The party that names a tariff, one with a single row: a leaf may hold but two; "" for none."""
        self.breaks: dict[int, list[tuple[int, tuple[int, int]]]] = {}
        """By meter: from when on its registers go on from others, and from which."""
        self._truth: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self.consortium = replace(
            self.consortium,
            more=[*self.consortium.more, *self.draw_breaks(), *self.charge()],
            thresholds=Thresholds(1 + seed % 2, 1 + seed % 3, 2 if seed % 4 == 1 else 1, 1 + seed % 5 % 3),
            validators=draw_validators(random.Random(seed)) if seed % 3 == 0 else (),
        )

    def charge(self) -> Iterator[Named[Any]]:
        """A tariff, and the row of the party that names it from the beginning of the chain on."""
        found = next((one for one in self.consortium.meters if self.charged and one.party == self.charged), None)
        if found is not None:
            party = Party(
                found.area, found.organisation, found.trades, found.aggregator, found.credit_nano, tariff="home"
            )
            yield from (Named(TARIFF, "home", HOME), Named(PARTY, self.charged, party, self.time_s))

    def contract_of(self, area_name: str) -> str:
        """The contract that an area's zone has at first."""
        return self.zone[area_name].contract

    def truth(self, number: int, boundary_s: int) -> tuple[int, int]:
        """What a meter shows at a boundary from ``start_s`` on, both registers, rollovers applied."""
        begun = [(self.start_s, self.meters[number].first_registers), *self.breaks.get(number, [])]
        place, (from_s, first) = [both for both in enumerate(begun) if both[1][0] <= boundary_s or both[0] == 0][-1]
        limit, modulus = self.meters[number].limit_wh, self.meters[number].modulus_wh
        index = max(0, (boundary_s - from_s) // self.slot_s)
        if index >= FAR_SLOTS:
            shown = [register + index * min(limit, STEP_WH_MAX) for register in first]
            return (shown[0] % modulus, shown[1] % modulus) if modulus else (shown[0], shown[1])
        path = self._truth.setdefault((number, place), [first])
        rng = random.Random(f"{self.seed}/{number}/{place}/{len(path)}")
        while len(path) <= index:
            steps = [rng.choice([0, 1, limit, limit // 2, rng.randint(0, limit)]) for _ in range(2)]
            shown = [register + min(step, STEP_WH_MAX) for register, step in zip(path[-1], steps, strict=True)]
            if modulus:
                shown = [register % modulus for register in shown]
            path.append((shown[0], shown[1]))
        return path[index]

    def draw_breaks(self) -> Iterator[Named[Any]]:
        """Meters that are reset, hang behind other transformers, are exchanged for another, or taken down; what their registers were."""
        rng = self.rng
        changed = {row.key for listed in self.consortium.more for row in listed.rows()}
        for number, meter in list(self.meters.items()):
            if rng.random() < 0.8 or INSTALLATION.key(str(number)) in changed:
                continue
            at_s = self.start_s + rng.randrange(8) * self.slot_s + rng.randrange(1, self.slot_s)
            final = [min(wh, 10**13) for wh in (self.truth(number, at_s) if rng.random() < 0.8 else (5, 6))]
            first = (rng.choice([0, 0, final[0]]), rng.choice([0, 1, final[1]]))
            if rng.random() < 0.3:
                last = [min(wh, 10**13) for wh in self.truth(number, at_s + self.slot_s)]
                yield Named(INSTALLATION, str(number), RemovedInstallation(meter.point, last), at_s)
            elif rng.random() < 0.4:
                other = replace(meter, number=rng.randrange(10**6, 10**7), first_registers=first, installed_s=at_s)
                self.meters[other.number] = other
                self.breaks[other.number] = [(at_s, first)]
                removed = RemovedInstallation(meter.point, final if rng.random() < 0.8 else None)
                yield Named(INSTALLATION, str(number), removed, at_s)
                yield Named(INSTALLATION, str(other.number), _installation(other, first_registers=list(first)), at_s)
            else:
                self.breaks[number] = [(at_s, first)]
                ratio, reason = rng.choice([meter.ratio, 1, 7]), rng.choice([None, "reset"])
                stated = {"ratio": ratio, "reason": reason, "first_registers": list(first), "final_registers": final}
                yield Named(INSTALLATION, str(number), _installation(meter, **stated), at_s)


def draw_validators(rng: random.Random) -> list[Validator]:
    """Validators of a chain that has a consensus engine."""
    return [
        Validator(f"v-{number}", UTILITY, key(f"v-{number}").public_key, rng.randint(1, 3), bytes([number]) * 32)
        for number in range(1, rng.randint(2, 5))
    ]


def _installation(meter: MeteredPoint, **changes: Any) -> Installation:
    """What a row of a meter states."""
    return Installation(
        gateway=meter.gateway,
        limit_wh=meter.limit_wh,
        meter=meter.meter,
        modulus_wh=meter.modulus_wh,
        point=meter.point,
        profile="other",
        ratio=meter.ratio,
    )._replace(**changes)


def draw_consortium(rng: random.Random) -> Consortium:
    """Zones of both contracts, areas with rules of their own, gateways of two organisations, meters of every kind, and changes."""
    slot_s = rng.choice([300, 900, 1800, 3600])
    first_s = 1_700_000_000 // slot_s * slot_s + rng.randrange(3) * slot_s
    zones = [draw_zone(rng, name, slot_s, first_s) for name in rng.sample(["z", "Z", "z-2"], rng.choice([1, 1, 2, 3]))]
    areas = [
        area(name, rules=f"rules-{name}", zone=rng.choice(zones).name)
        for name in rng.sample(["A", "B", "B2", "b", "_.-"], rng.choice([1, 1, 1, 2, 3]))
    ]
    contracts = {found.name: found.record.contract for found in zones}
    gateways = _gateways(rng)
    meters = _meters(rng, areas, gateways)
    return Consortium(
        name="twin",
        clock=rng.choice(["simulated", "simulated", "imported", "block"]),
        start_s=first_s - rng.choice([0, 1, slot_s, 2 * slot_s, 7_200]),
        slot_s=slot_s,
        calendar=Calendar(
            days=_days(rng, slot_s, first_s),
            months=_months(rng, slot_s, first_s),
            tz="Asia/Shanghai",
            tz_version="2025b",
        ),
        rules=[draw_rules(rng, found.record.rules, contracts[found.record.zone]) for found in areas],
        zones=zones,
        areas=areas,
        gateways=gateways,
        meters=meters,
        roles=_roles(rng, gateways, meters),
        organisations={"dso-admin": "dso", "dso": "dso", "reg-admin": "reg"},
        more=[
            *_profiles(rng, slot_s, first_s),
            *_changes(rng, meters, gateways, areas, contracts, first_s, slot_s),
            *_agreements(rng, meters, areas, contracts, first_s, slot_s),
        ],
    )


def draw_zone(rng: random.Random, name: str, slot_s: int, first_s: int) -> Named[Zone]:
    """A zone of one of the contracts, one in four with a calendar of runs."""
    spans: dict[str, Any] = {
        "correction_after_s": rng.choice([None, None, 0, 1, 3 * slot_s]),
        "final_after_s": rng.choice([None, None, None, None, 30 * DAY_S, 3 * slot_s, 30 * slot_s]),
    }
    if rng.random() < 0.25:
        spans = {"final_after_s": 30 * slot_s, "run_calendar": _draw_run_calendar(rng, slot_s)}
    spans["gap_slots_max"] = rng.choice([None, None, 2, 5, 12, 4_320])
    spans["runs_follow_points"] = rng.choice([None, True])
    spans["part_slots_are_measured"] = rng.choice([None, True])
    knows = random.Random(f"{name} {spans}")  # so that the worlds drawn before are drawn still
    spans["profiles_have_conditions"] = knows.choice([None, True, True])
    for rule, from_field in TAKEN_UP.items():
        if spans[rule] is not None and rng.random() < 0.5:
            spans[from_field] = first_s + rng.choice([0, 2, 4, 8, 16]) * slot_s
    return zone(
        name,
        contract=rng.choice(
            [AUCTION] * 6
            + [*PAIRED, CONDITIONAL, PLACED, SPLIT_AUCTION, *SPLIT_PAIRED, PERCENT_PLACED] * 2
            + [*COMMUNITIES, SHARING, AGREED, SCHEDULED]
        ),
        contract_pin=bytes(32),
        first_slot_start_s=first_s + rng.choice([0, 0, slot_s]),
        gate_before_start_s=rng.choice([0, 60, 300, slot_s]),
        metering_deadline_s=rng.choice([0, 0, 300, 900, 3 * slot_s]),
        open_before_start_s=slot_s + rng.choice([1, slot_s, 7_200, 86_400]),
        **spans,
    )


def _draw_run_calendar(rng: random.Random, slot_s: int) -> dict[str, Any]:
    """Dates of runs within 12 slots after the slot."""
    dates_s = sorted(rng.sample(range(5 * slot_s, 11 * slot_s, slot_s // 2), rng.choice([0, 1, 2, 3])))
    return RunCalendar(
        corrections=[CorrectionDate(date_s, rng.choice([0, 0, 500_000, 1_000_000])) for date_s in dates_s],
        dispute_material_nano=rng.choice([0, 1, 10**8, 10**12]),
        final_run_after_s=rng.choice([11, 12, 20]) * slot_s,
        initial_last_after_s=rng.choice([3, 4]) * slot_s,
        initial_measured_ppm=rng.choice([0, 400_000, 1_000_000]),
    ).encode()


def _days(rng: random.Random, slot_s: int, first_s: int) -> list[int]:
    """Where local days begin: from before the first slot on they are a few slots long, so that there are earlier ones."""
    days = [first_s - rng.choice([-slot_s, 0, 2 * slot_s])]
    for _ in range(rng.choice([0, 3, 20])):
        days.append(days[-1] + rng.choice([2, 2, 3, 4]) * slot_s)
    return days


def _months(rng: random.Random, slot_s: int, first_s: int) -> list[int]:
    """Where months begin: they are a few slots long, so that some end."""
    months = [first_s + rng.choice([-slot_s, 0, slot_s])]
    for _ in range(rng.choice([0, 3, 12])):
        months.append(months[-1] + rng.choice([1, 2, 3, 4]) * slot_s)
    return months


def _profiles(rng: random.Random, slot_s: int, first_s: int) -> list[Named[StandingProfile]]:
    """What is estimated where nothing else is known; one that changes, and one that begins late."""
    slots = 86_400 // slot_s

    def day() -> StandingProfile:
        return StandingProfile(*([rng.randrange(9_000) for _ in range(slots)] for _ in range(2)))

    later_s = first_s + rng.randrange(12 * slot_s)
    return [
        Named(STANDING_PROFILE, "homes", day()),
        Named(STANDING_PROFILE, "homes", day(), later_s),
        Named(STANDING_PROFILE, "shops", day()),
    ]


def _gateways(rng: random.Random) -> list[Named[Gateway]]:
    names = [*(f"gw-{number}" for number in range(1, rng.choice([1, 1, 2, 3]) + 1)), SILENT]
    return [gateway(name, organisation=rng.choice([UTILITY] * 9 + ["dso"])) for name in names]


def draw_rules(rng: random.Random, name: str, contract: str) -> Named[Rules]:
    """Rules of a contract."""
    spread = rng.choice([0, 10, 1_000, 1_000_000])
    if contract in COMMUNITIES:
        prices = {price: rng.randint(-spread // 3, spread) for price in COMMUNITY_PRICES}
        lowest = int(contract == COMMUNITIES[1])  # it has no price without a feed-in price
        low, high = sorted(rng.randint(lowest, max(spread, lowest)) for _ in range(2))
        prices |= {"feed_in_price_micro_per_kwh": low, "residual_price_micro_per_kwh": high}
        return rules(name, prices=prices, terms={})
    if contract == AGREED:
        return rules(name, prices={price: rng.randint(-spread // 3, spread) for price in COMMUNITY_PRICES}, terms={})
    if contract == SHARING:
        prices = {price: rng.randint(-spread // 3, spread) for price in COMMUNITY_PRICES}
        method = rng.choice(["static", "static_reallocated", "dynamic", "priority"])
        own = {"method": method, "trade_price_micro_per_kwh": rng.randint(-spread // 3, spread)}
        return rules(name, prices=prices, terms=own | rng.choice([{}, {"settle_residual": rng.random() < 0.5}]))
    terms: dict[str, Any] = {REFERENCE: rng.randint(-spread // 3, spread), "rationing": "pro_rata"}
    prices = {price: rng.randint(-spread // 3, spread) for price in PRICES}
    most = min(prices[key] for key in ("shortfall_price_micro_per_kwh", "feed_in_price_micro_per_kwh"))
    over_selling = prices["shortfall_price_micro_per_kwh"] + prices["network_traded_micro_per_kwh"]
    prices |= {
        "surplus_price_micro_per_kwh": min(prices["surplus_price_micro_per_kwh"], most),
        "residual_price_micro_per_kwh": min(
            prices["residual_price_micro_per_kwh"], over_selling - prices["network_residual_micro_per_kwh"]
        ),
    }
    if contract == CONDITIONAL:
        terms = {"price_rule": rng.choice(["pay_as_bid", "pay_as_offer"])}
    if contract == PLACED:
        terms = {"price_rule": rng.choice(["pay_as_bid", "pay_as_offer"]), "grid_places": _draw_places(rng)}
    if contract == PERCENT_PLACED:
        places = _draw_places(rng)
        terms = {"grid_places": [{**place, "fee_ppm": rng.choice([0, 50_000, 333_333])} for place in places]}
    if contract in SPLIT_PAIRED:
        terms = {"price_k_ppm": rng.choice([0, 500_000, 333_333, 1_000_000])}
    if contract == SPLIT_AUCTION:
        rule = rng.choice([{"price_k_ppm": rng.choice([0, 250_001, 1_000_000])}, {REFERENCE: terms[REFERENCE]}])
        terms = {"rationing": rng.choice(["pro_rata", "time"])} | rule
    found = rules(name, prices=prices, terms={} if contract in (*PAIRED, SCHEDULED) else terms)
    return found._replace(record=found.record._replace(until_s=rng.choice([None, FIRST_S])))


def _draw_places(rng: random.Random) -> list[dict[str, int]]:
    """A grid of places 1, 2 ... with small fees, each under one before it."""
    fees = [rng.choice([0, 0, 1, 3]) for _ in range(rng.choice([1, 2, 3, 5]))]
    return [
        {"place": place, "fee_micro_per_kwh": fee, **({"parent": rng.randrange(1, place)} if place > 1 else {})}
        for place, fee in enumerate(fees, 1)
    ]


def _meters(rng: random.Random, areas: Sequence[Named[Area]], gateways: Sequence[Named[Gateway]]) -> list[MeteredPoint]:
    count = rng.choice([2, 3, 5, 8, 13, 40])
    numbers = rng.sample([*range(1, 60), 1_023, 1_024, 70_000, 2**31, 2**32 - 1], count)
    meters: list[MeteredPoint] = []
    for position, number in enumerate(numbers):
        limit_wh, modulus_wh = rng.choice([1, 250, 5_000, 5_000, 200_000]), rng.choice([0, 0, 500_001, 10_000_000])
        meter = feeder(
            number,
            area=rng.choice(areas).name,
            gateway=rng.choice(gateways[:-1]).name,
            limit_wh=limit_wh,
            modulus_wh=modulus_wh,
            ratio=rng.choice([1, 1, 1, 40, 2_000]),
            first_registers=_first_registers(rng, limit_wh, modulus_wh),
        )
        if position == 0 or rng.random() >= 0.15:
            role = rng.choice(["household", "load"])
            party = f"{rng.choice(['H', 'h.', 'Z_', 'party-'])}{position}"
            trades = role == "household" or rng.random() < 0.7
            credit_nano = rng.choice([None, None, 0, 10**6, 10**8, 10**10])
            meter = replace(
                meter,
                role=role,
                party=party,
                trades=trades,
                credit_nano=credit_nano,
                organisation=rng.choice([UTILITY] * 4 + ["dso"]),
                aggregator=rng.choice([None, "pool", "pool", "pool-2"]),
            )
        billed = [found for found in meters if found.party]
        if billed and rng.random() < 0.2:
            meter = _another_point(meter, rng.choice(billed))
        meters.append(meter)
    return meters


def _another_point(meter: MeteredPoint, of: MeteredPoint) -> MeteredPoint:
    """A meter at one more point of a party."""
    return replace(
        meter,
        area=of.area,
        role=of.role,
        party=of.party,
        trades=of.trades,
        credit_nano=of.credit_nano,
        organisation=of.organisation,
        aggregator=of.aggregator,
    )


def _first_registers(rng: random.Random, limit_wh: int, modulus_wh: int) -> tuple[int, int]:
    top = modulus_wh or 10**13
    starts = [0, 1, rng.randrange(min(top, 10**6))]
    starts += [top - 1, max(0, top - 3 * limit_wh)] if modulus_wh or rng.random() < 0.1 else []
    return rng.choice(starts), rng.choice(starts)


def _changes(
    rng: random.Random,
    meters: Sequence[MeteredPoint],
    gateways: Sequence[Named[Gateway]],
    areas: Sequence[Named[Area]],
    contracts: Mapping[str, str],
    first_s: int,
    slot_s: int,
) -> list[Listed]:
    """What genesis knows of the hours to come: other prices, people who move out, meters under another gateway or removed."""
    changes: list[Listed] = []
    leaving: set[tuple[str, int]] = set()  # no party has two rows of one time
    for found in areas:
        if rng.random() < 0.3:
            begins_s = first_s + rng.randrange(12 * slot_s)
            changes.append(draw_rules(rng, found.record.rules, contracts[found.record.zone])._replace(from_s=begins_s))
    for meter in meters:
        inside_s = first_s + rng.randrange(12) * slot_s + rng.randrange(1, slot_s)
        if meter.party is not None and rng.random() < 0.4:
            profiled = Point(meter.area, meter.role, meter.party, rng.choice(["homes", "shops"]))
            profiled = profiled._replace(energy_kind=rng.choice([None, "solar", "solar", "gas"]))
            profiled = profiled._replace(grid_place=rng.choice([None, 1, 1, 2, 3, 5]))
            changes.append(Named(POINT, meter.point, profiled, 1))
        match rng.randrange(14):
            case 0:
                moved = _installation(meter, gateway=rng.choice(gateways).name, limit_wh=max(1, meter.limit_wh // 2))
                changes.append(Named(INSTALLATION, str(meter.number), moved, inside_s))
            case 1:
                final = rng.choice([None, [5, 6]])
                removed = RemovedInstallation(meter.point, final)
                changes.append(Named(INSTALLATION, str(meter.number), removed, inside_s))
            case 2 if meter.party is not None and (meter.party, inside_s) not in leaving:
                leaving.add((meter.party, inside_s))
                gone = Party(meter.area, meter.organisation, trades=False)
                changes.append(Named(PARTY, meter.party, gone, inside_s))
                changes.append(Named(POINT, meter.point, Point(meter.area, meter.role), inside_s))
    return changes


def _agreements(
    rng: random.Random,
    meters: Sequence[MeteredPoint],
    areas: Sequence[Named[Area]],
    contracts: Mapping[str, str],
    first_s: int,
    slot_s: int,
) -> Iterator[Listed]:
    """Agreements in areas whose contract takes them."""
    own = {found.name for found in areas if contracts[found.record.zone] in (AGREED, SCHEDULED)}
    return draw_agreements(rng, [meter for meter in meters if meter.area in own], first_s, slot_s)


def _roles(
    rng: random.Random, gateways: Sequence[Named[Gateway]], meters: Sequence[MeteredPoint]
) -> dict[str, Sequence[str]]:
    """Who may do more than follows from the rest: some gateways trade, some parties without a trading meter sign."""
    return {
        UTILITY: ["utility", "regulator"],
        "admin": ["administrator"],
        "dso-admin": ["administrator"],
        "reg-admin": ["administrator"],
        "observer": ["regulator"],
        "dso": ["utility"],
        "guest": ["prosumer"],
        "pool": ["aggregator"],
        "pool-2": ["aggregator"],
        **{found.name: ["gateway", "prosumer"] for found in gateways if rng.random() < 0.1},
        **{found.party: ["prosumer"] for found in meters if found.party and not found.trades and rng.random() < 0.5},
    }


def outline(world: World) -> Mapping[str, Any]:
    """A few words about a world, for the message of a failure."""
    return {
        "zones": len(world.consortium.zones),
        "areas": len(world.areas),
        "gateways": len(world.gateways),
        "meters": len(world.meters),
        "slot_s": world.slot_s,
        "clock": world.consortium.clock,
    }
