"""Small worlds drawn from a seed: who and what the chain has, and what its meters truly show."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ledger.master_data import Area, Calendar, Gateway, Installation, Rules
from tests.worlds.consortium import PRICES, RULES, Consortium, area, feeder, gateway

SILENT = "gw-silent"
"""A gateway that never sends: its epochs are opened again and again."""


class World:
    """A small consortium drawn from a seed, with all that is needed to act in it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.consortium = draw_consortium(self.rng)
        self.slot_s = self.consortium.slot_s
        self.simulated = self.consortium.clock == "simulated"
        self.time_s = self.consortium.start_s
        self.start_s = self.consortium.areas[0].first_slot_start_s
        self.areas = [found.name for found in self.consortium.areas]
        self.gateways = [found.name for found in self.consortium.gateways if found.name != SILENT]
        rules = {found.name: found for found in self.consortium.rules}
        self.rules = {found.name: rules[found.rules] for found in self.consortium.areas}
        self.meters = {found.number: found for found in self.consortium.meters}
        self.parties = {found.party: found.area for found in self.consortium.meters if found.party}
        self._truth: dict[int, list[tuple[int, int]]] = {}

    def truth(self, number: int, boundary_s: int) -> tuple[int, int]:
        """What a meter shows at a boundary from ``start_s`` on, both registers, rollovers applied."""
        limit, modulus = self.meters[number].limit_wh, self.meters[number].modulus_wh
        rng = random.Random(f"{self.seed}/{number}")
        top = modulus or 10**13
        path = self._truth.setdefault(number, [])
        if not path:
            starts = [0, 1, rng.randrange(min(top, 10**6))]
            starts += [top - 1, max(0, top - 3 * limit)] if modulus or rng.random() < 0.1 else []
            path.append((rng.choice(starts), rng.choice(starts)))
        index = max(0, (boundary_s - self.start_s) // self.slot_s)
        while len(path) <= index:
            steps = [rng.choice([0, 1, limit, limit // 2, rng.randint(0, limit)]) for _ in range(2)]
            shown = [register + min(step, 9_999) for register, step in zip(path[-1], steps, strict=True)]
            if modulus:
                shown = [register % modulus for register in shown]
            path.append((shown[0], shown[1]))
        return path[index]


def draw_consortium(rng: random.Random) -> Consortium:
    """Areas with rules of their own, gateways of two organisations, and meters of every kind."""
    slot_s = rng.choice([300, 900, 1800, 3600])
    first_s = 1_700_000_000 // slot_s * slot_s + rng.randrange(3) * slot_s
    areas = [
        area(name, first_slot_start_s=first_s, rules=f"rules-{name}", contract_pin=bytes(32))
        for name in rng.sample(["A", "B", "B2", "b", "_.-"], rng.choice([1, 1, 1, 2, 3]))
    ]
    gateways = _gateways(rng)
    meters = _meters(rng, areas, gateways, first_s)
    return Consortium(
        name="twin",
        clock="simulated" if rng.random() < 0.75 else "block",
        start_s=first_s - rng.choice([0, 1, slot_s, 2 * slot_s, 7_200]),
        slot_s=slot_s,
        calendar=Calendar(name="c", days=[first_s], months=[first_s], tz="Asia/Shanghai", tz_version="2025b"),
        rules=[_rules(rng, found.rules, slot_s) for found in areas],
        areas=areas,
        gateways=gateways,
        meters=meters,
        roles=_roles(rng, gateways, meters),
    )


def _gateways(rng: random.Random) -> list[Gateway]:
    names = [*(f"gw-{number}" for number in range(1, rng.choice([1, 1, 2, 3]) + 1)), SILENT]
    return [
        gateway(name, epoch=rng.choice([1, 1, 5]), organisation=rng.choice(["utility"] * 9 + ["dso"])) for name in names
    ]


def _rules(rng: random.Random, name: str, slot_s: int) -> Rules:
    spread = rng.choice([0, 10, 1_000, 1_000_000])
    return replace(
        RULES,
        name=name,
        gate_before_start_s=rng.choice([0, 60, 300, slot_s]),
        metering_deadline_s=rng.choice([0, 0, 300, 900, 3 * slot_s]),
        open_before_start_s=slot_s + rng.choice([1, slot_s, 7_200, 86_400]),
        prices_micro_per_kwh={price: rng.randint(-spread // 3, spread) for price in PRICES},
        market={"reference_price_micro_per_kwh": rng.randint(-spread // 3, spread), "rationing": "pro_rata"},
    )


def _meters(rng: random.Random, areas: Sequence[Area], gateways: Sequence[Gateway], first_s: int) -> list[Installation]:
    count = rng.choice([2, 3, 5, 8, 13, 40])
    numbers = rng.sample([*range(1, 60), 1_023, 1_024, 70_000, 2**31, 2**32 - 1], count)
    meters = []
    for position, number in enumerate(numbers):
        meter = feeder(
            number,
            area=rng.choice(areas).name,
            gateway=rng.choice(gateways[:-1]).name,
            from_s=first_s,
            limit_wh=rng.choice([1, 250, 5_000, 5_000, 200_000]),
            modulus_wh=rng.choice([0, 0, 500_001, 10_000_000]),
            ratio=rng.choice([1, 1, 1, 40, 2_000]),
        )
        if position == 0 or rng.random() >= 0.15:
            role = rng.choice(["household", "load"])
            party = f"{rng.choice(['H', 'h.', 'Z_', 'party-'])}{position}"
            trades = role == "household" or rng.random() < 0.7
            meter = replace(meter, role=role, party=party, trades=trades)
        meters.append(meter)
    return sorted(meters, key=lambda meter: meter.number)


def _roles(rng: random.Random, gateways: Sequence[Gateway], meters: Sequence[Installation]) -> dict[str, Sequence[str]]:
    """Who may do more than follows from the rest: some gateways trade, some parties without a trading meter sign."""
    return {
        "utility": ["utility", "regulator"],
        "observer": ["regulator"],
        "dso": ["utility"],
        "guest": ["prosumer"],
        **{found.name: ["gateway", "prosumer"] for found in gateways if rng.random() < 0.1},
        **{found.party: ["prosumer"] for found in meters if found.party and not found.trades and rng.random() < 0.5},
    }


def outline(world: World) -> Mapping[str, Any]:
    """A few words about a world, for the message of a failure."""
    return {
        "areas": len(world.areas),
        "gateways": len(world.gateways),
        "meters": len(world.meters),
        "slot_s": world.slot_s,
        "clock": "simulated" if world.simulated else "block",
    }
