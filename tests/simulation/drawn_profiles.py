"""Random profiles: standing rules that are placed, sent again and ended, some of them broken on purpose."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, Any

from tests.simulation.generated_world import CONDITIONAL

if TYPE_CHECKING:
    from tests.simulation.generator import BlockMaker, Wire


class Profiles:
    """Which profiles were sent: (party, area, first slot, counter), the newest last."""

    def __init__(self) -> None:
        self._sent: list[tuple[str, str, int, int]] = []
        self._wires: list[Wire] = []

    def wires(self, maker: BlockMaker) -> list[Wire]:
        """Now and then a profile, one that was sent before, or the end of one."""
        rng = maker.rng
        wires: list[Wire] = []
        if rng.random() < 0.4:
            self._wires.append(self._placed(maker))
            wires.append(self._wires[-1])
        if self._wires and rng.random() < 0.1:
            wires.append(rng.choice(self._wires[-5:]))
        if self._sent and rng.random() < 0.2:
            name, area, slot, counter = rng.choice(self._sent[-6:])
            if rng.random() < 0.1:
                slot, area = slot + maker.world.slot_s, rng.choice([*maker.world.areas, "nowhere"])
            identity = {"counter": counter, "nonce": rng.randbytes(16), "slot_start_s": slot}
            wires.append(maker.wire("market/profile_end", name, identity, {"area": area}))
        return wires

    def _placed(self, maker: BlockMaker) -> Wire:
        rng, world = maker.rng, maker.world
        name = rng.choice([*world.parties, "guest"])
        area = world.parties.get(name, world.areas[0]) if rng.random() < 0.97 else rng.choice([*world.areas, "nowhere"])
        gate_s = world.zone[area].gate_before_start_s if area in world.zone else 0
        slot = max(world.start_s, ((maker.now_s + gate_s) // world.slot_s + rng.choice([0, 1, 1, 2, 9])) * world.slot_s)
        end_s = slot + rng.choice([1, 2, 5, 40]) * world.slot_s
        if rng.random() < 0.06:
            slot += rng.choice([1, -world.slot_s])
        if rng.random() < 0.06:
            end_s += rng.choice([1, 31 * 86_400, slot - end_s])
        counter = rng.choice([1, 1, 2, 5, 15, 16, 17, 0] if rng.random() < 0.2 else [1, 2, 3])
        body: dict[str, Any] = {
            "area": area,
            "end_s": max(end_s, 0),
            "parts": [_part(maker, area) for _ in range(rng.choice([1, 1, 2]))],
        }
        wants = random.Random(repr(body))  # so that the worlds drawn before are drawn still
        is_asked = area in world.zone and world.zone[area].contract == CONDITIONAL
        if wants.random() < (0.6 if is_asked else 0.03):
            body["parts"] = [_with_conditions(wants, part, [*world.parties, "guest"]) for part in body["parts"]]
        if rng.random() < 0.03:
            body["parts"] = rng.choice([[], [{}], body["parts"] * 17])
        self._sent.append((name, area, slot, counter))
        identity = {"counter": counter, "nonce": rng.randbytes(16), "slot_start_s": slot}
        return maker.wire("market/profile", name, identity, body)


def _with_conditions(rng: random.Random, part: dict[str, Any], sellers: list[str]) -> dict[str, Any]:
    """A part with conditions where it buys, now and then one that is none."""
    if part["side"] == "sell" and rng.random() < 0.98:
        return part
    conditions: list[dict[str, Any]] = []
    for _ in range(rng.choice([1, 2, 3, 4]) if rng.random() < 0.97 else rng.choice([0, 5])):
        data = (
            part["quantities_wh"]
            if rng.random() < 0.6
            else struct.pack("<II", rng.choice([0, 1]), rng.randrange(1, 999))
        )
        conditions.append(
            {"price_micro_per_kwh": part["price_micro_per_kwh"] - rng.choice([0, 1, 5]), "quantities_wh": data}
        )
        if rng.random() < 0.4:
            conditions[-1]["seller"] = rng.choice(sellers)
        if rng.random() < 0.5:
            conditions[-1]["energy_kind"] = rng.choice(["solar", "solar", "wind", "gas", "renewable"])
    kept = part if rng.random() < 0.03 else {"side": part["side"]}
    return kept | {"conditions": conditions}


def _part(maker: BlockMaker, area: str) -> dict[str, Any]:
    rng = maker.rng
    reference = maker.world.reference.get(area, 0)
    quantities = [rng.choice([0, 1, 10, 999, rng.randint(1, 5_000)]) for _ in range(rng.choice([1, 2, 3]))]
    if rng.random() < 0.04:
        quantities[0] = rng.choice([10**8, 10**8 + 1, 2**32 - 1])
    data = b"".join(struct.pack("<I", quantity) for quantity in quantities)
    if rng.random() < 0.03:
        data = rng.choice([b"", data[:-1], bytes(4), data * 700])
    side = rng.choice(["buy", "sell"])
    price = reference + rng.choice([-5, -1, 0, 1, 7]) + (-3 if side == "buy" else 3)
    if rng.random() < 0.04:
        price = rng.choice([10**9, 10**9 + 1, -(10**9) - 1])
    return {"price_micro_per_kwh": price, "quantities_wh": data, "side": side}
