"""Small worlds drawn from a seed: a genesis, what its meters truly show, and signatures that cost two hashes each."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any

from gridcore.genesis import complete_genesis
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3

Wire = bytes
Content = dict[str, Any]
PRICES = "feed_in_price levy network_residual network_traded residual_price shortfall_price surplus_price".split()
CONTRACT = "p2p_call_auction/1"


def sign(public_key: bytes, signed: bytes) -> bytes:
    """The fake signature of ``signed`` by the holder of ``public_key``."""
    return sm3(b"fake signature" + public_key + signed) * 2


def is_signed(public_key: bytes, signed: bytes, signature: bytes) -> bool:
    """The verdict on a fake signature."""
    return signature == sign(public_key, signed)


def encode_column(values: list[int], width: int = 0, base: int | None = None) -> bytes:
    """A column; another ``width`` or ``base`` than the canonical one on request."""
    base = min(values) if base is None else base
    top = max(values) - base
    width = width or next(w for w in (1, 2, 4, 8) if top < 1 << (8 * w))
    mask = (1 << (8 * width)) - 1
    return struct.pack("<qB", base, width) + b"".join(((v - base) & mask).to_bytes(width, "little") for v in values)


@cache
def public_key(scalar: int) -> bytes:
    """A point of the curve, as a genesis wants it; nobody signs with its scalar."""
    return SigningKey.from_scalar(scalar.to_bytes(32, "big")).public_key


class World:
    """A small genesis drawn from a seed, with all that is needed to act in it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = rng = random.Random(seed)
        self.slot_s = rng.choice([300, 900, 1800, 3600])
        self.simulated = rng.random() < 0.75
        self.keys: dict[str, bytes] = {}
        self.leaves: list[tuple[str, Content]] = []
        self.start_s = 1_700_000_000 // self.slot_s * self.slot_s + rng.randrange(3) * self.slot_s
        self.time_s = self.start_s - rng.choice([0, 1, self.slot_s, 2 * self.slot_s, 7_200])
        self.areas = rng.sample(["A", "B", "B2", "b", "_.-"], rng.choice([1, 1, 1, 2, 3]))
        self.gateways = [f"gw-{n}" for n in range(1, rng.choice([1, 1, 2, 3]) + 1)]
        self.parties: dict[str, str] = {}
        self.rules: dict[str, Content] = {}
        self.meters: dict[int, Content] = {}
        self._truth: dict[int, list[tuple[int, int]]] = {}
        self.genesis = complete_genesis(self._genesis())
        self.chain: str = self.genesis["chain"]

    def _signer(self, name: str, *roles: str) -> None:
        self.keys[name] = public_key(len(self.keys) + 1)
        self.leaves.append((f"signer/{name}", {"public_key": self.keys[name], "roles": sorted(roles)}))

    def _genesis(self) -> Content:
        rng, clock = self.rng, "simulated" if self.simulated else "block"
        chain = {"clock": clock, "currency": "CNY", "name": "twin", "slot_s": self.slot_s}
        self.leaves.append(("chain", chain))
        if self.simulated:
            self.leaves.append(("time", {"ledger_time_s": self.time_s}))
        self._signer("clock", "clock")
        self._signer("utility", "utility", "regulator")
        self._signer("observer", "regulator")
        self._signer("dso", "utility")
        self._signer("guest", "prosumer")
        self._signer("gw-silent", "gateway")
        for gateway in self.gateways:
            self._signer(gateway, "gateway", *(["prosumer"] if rng.random() < 0.1 else []))
        for gateway in [*self.gateways, "gw-silent"]:
            epoch, organisation = (
                rng.choice([1, 1, 5]),
                {"organisation": rng.choice(["utility"] * 9 + ["dso"]), "protection": "software"},
            )
            state = {"counter": 0, "epoch": epoch, "last": bytes(32), "last_boundary_s": -1}
            self.leaves.append((f"gateway/{gateway}", state | organisation))
        self._installations()
        for area in self.areas:
            self._area(area)
        self.leaves += [(f"installation/{number}", meter) for number, meter in sorted(self.meters.items())]
        for area in self.areas:
            progress = {
                "gate_slot_start_s": self.start_s,
                "run_slot_start_s": self.start_s,
                "untried": [],
                "waiting": [],
            }
            self.leaves.append((f"progress/{area}", progress))
        return {
            "clock": clock,
            "currency": "CNY",
            "leaves": [list(leaf) for leaf in self.leaves],
            "ledger_time_s": self.time_s,
            "name": "twin",
            "signers": [[self.keys["observer"], 1]],
            "slot_s": self.slot_s,
            "type": "genesis",
            "version": 1,
        }

    def _area(self, area: str) -> None:
        rng = self.rng
        first = {"calendar": "cal", "contract": CONTRACT, "contract_pin": bytes(32), "first_slot_start_s": self.start_s}
        self.leaves.append((f"area/{area}", first | {"rules": f"rules-{area}"}))
        if area == self.areas[0]:
            days = {"days": [self.start_s], "months": [self.start_s], "tz": "Asia/Shanghai", "tz_version": "2025b"}
            self.leaves.append(("calendar/cal", days))
        spread = rng.choice([0, 10, 1_000, 1_000_000])
        self.rules[area] = {
            "gate_before_start_s": rng.choice([0, 60, 300, self.slot_s]),
            "metering_deadline_s": rng.choice([0, 0, 300, 900, 3 * self.slot_s]),
            "open_before_start_s": self.slot_s + rng.choice([1, self.slot_s, 7_200, 86_400]),
            "prices": {f"{name}_micro_per_kwh": rng.randint(-spread // 3, spread) for name in PRICES},
            "rationing": "pro_rata",
            "reference_price_micro_per_kwh": rng.randint(-spread // 3, spread),
        }
        self.leaves.append((f"rules/rules-{area}", self.rules[area]))

    def _installations(self) -> None:
        rng = self.rng
        count = rng.choice([2, 3, 5, 8, 13, 40])
        numbers = rng.sample([*range(1, 60), 1_023, 1_024, 70_000, 2**31, 2**32 - 1], count)
        for position, number in enumerate(numbers):
            feeder = position > 0 and rng.random() < 0.15
            meter: Content = {
                "area": rng.choice(self.areas),
                "from_s": self.start_s,
                "gateway": rng.choice(self.gateways),
                "limit_wh": rng.choice([1, 250, 5_000, 5_000, 200_000]),
                "meter": f"M{number}",
                "modulus_wh": rng.choice([0, 0, 500_001, 10_000_000]),
                "number": number,
                "point": f"P{number}",
                "profile": "any",
                "ratio": rng.choice([1, 1, 1, 40, 2_000]),
                "role": "feeder" if feeder else rng.choice(["household", "load"]),
            }
            self.meters[number] = meter
            if not feeder:
                name = f"{rng.choice(['H', 'h.', 'Z_', 'party-'])}{position}"
                meter["party"] = name
                self.parties[name] = meter["area"]
                trades = meter["role"] == "household" or rng.random() < 0.7
                self.leaves.append((f"party/{name}", {"area": meter["area"], "meter": number, "trades": trades}))
                if trades or rng.random() < 0.5:
                    self._signer(name, "prosumer")

    def truth(self, number: int, boundary_s: int) -> tuple[int, int]:
        """What a meter shows at a boundary from ``start_s`` on, both registers, rollovers applied."""
        meter = self.meters[number]
        limit, modulus = meter["limit_wh"], meter["modulus_wh"]
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


def outline(world: World) -> Mapping[str, Any]:
    """A few words about a world, for the message of a failure."""
    return {
        "areas": len(world.areas),
        "gateways": len(world.gateways),
        "meters": len(world.meters),
        "slot_s": world.slot_s,
        "clock": "simulated" if world.simulated else "block",
    }
