"""Disputes from a seed: of slots that are settled and of others, by who may and who may not, answered, decided and withdrawn."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gridcore.transactions.dispute_open import GROUNDS
from tests.worlds.consortium import UTILITY
from tests.worlds.tariffed import COMPONENTS

if TYPE_CHECKING:
    from tests.simulation.generator import BlockMaker, Content, Wire
    from tests.twin.twin import Twin

OUTCOMES = {"answer": ("agreed", "rejected"), "decision": ("upheld", "dismissed"), "withdrawal": ("withdrawn",)}


class Quarrels:
    """Draws for one chain what its parties contest, from a source of its own: worlds without disputes stay what they were."""

    def __init__(self, maker: BlockMaker) -> None:
        self.maker = maker
        self.rng = random.Random(maker.world.seed * 13 + 3)

    def wires(self, twin: Twin) -> list[Wire]:
        """Some disputes and steps of one block."""
        rng = self.rng
        found = [self.contest(twin) for _ in range(rng.choice([0, 0, 0, 1, 1, 2]))]
        if self.maker.world.charged:
            found += [self.contest_document(twin) for _ in range(rng.choice([0, 0, 1, 2]))]
        known = [key.removeprefix("dispute/") for key in twin.leaves if key.startswith("dispute/")]
        if known or rng.random() < 0.05:
            found += [self.step(known) for _ in range(rng.choice([0, 0, 1, 1, 2]))]
        return found

    def contest(self, twin: Twin) -> Wire:
        """Mostly of the last run of a slot that is settled, by the party of the point."""
        rng, world = self.rng, self.maker.world
        points = [meter for meter in world.meters.values() if meter.party]
        meter = rng.choice(points)
        slots = [key.split("/")[1] for key in twin.leaves if key.startswith("runs/")]
        slot = int(rng.choice(slots[-12:])) if slots and rng.random() < 0.9 else world.start_s
        zone, _ = twin.place(meter.point) if f"point/{meter.point}" in twin.leaves else ("", 0)
        runs = twin.leaves.get(f"runs/{slot}/{zone}", {"runs": [["initial", 1]]})["runs"]
        body: Content = {
            "ground": rng.choice(GROUNDS),
            "line_kind": rng.choice(["", "levy", "x" * 64, "x" * 65 if rng.random() < 0.1 else ""]),
            "point": meter.point if rng.random() < 0.95 else rng.choice(["nowhere", "", "a b"]),
            "run": runs[-1][0] if rng.random() < 0.9 else rng.choice(["initial", "correction-1", ""]),
            "slot_start_s": slot + rng.choice([0] * 29 + [1]),
            "statement": rng.randbytes(32),
        }
        party = str(meter.party) if rng.random() < 0.95 else str(rng.choice(points).party)
        return self.send("settlement/dispute", party, body)

    def contest_document(self, twin: Twin) -> Wire:
        """Mostly of a line of this month, by the party that names a tariff."""
        rng, world = self.rng, self.maker.world
        now = datetime.fromtimestamp(twin.ledger_time_s, UTC)
        months = [f"{now:%Y-%m}"] * 8 + [
            f"{now - timedelta(days=31):%Y-%m}",
            f"{now + timedelta(days=31):%Y-%m}",
            "2027-13",
        ]
        part = rng.choice(["line", "line", "line", "tax", "total", "half"])
        line_kind = rng.choice([*(one["name"] for one in COMPONENTS), "levy"]) if part == "line" else ""
        body: Content = {
            "amount_nano": rng.choice([0, -(10**18), 10**18, 10**18 + 1, rng.randrange(-(10**12), 10**12)]),
            "ground": rng.choice(GROUNDS),
            "line_kind": line_kind if rng.random() < 0.95 else rng.choice(["", "demand"]),
            "month": rng.choice(months),
            "part": part,
            "statement": rng.randbytes(32),
        }
        party = world.charged if rng.random() < 0.9 else rng.choice(sorted(world.parties))
        return self.send("settlement/dispute_document", party, body)

    def step(self, known: list[str]) -> Wire:
        """Mostly of a dispute there is, by who may."""
        rng, world = self.rng, self.maker.world
        dispute = bytes.fromhex(rng.choice(known[-6:])) if known and rng.random() < 0.95 else rng.randbytes(32)
        step = rng.choice([*OUTCOMES, "answer", "decision"])
        parties = sorted(world.parties)
        who = {"answer": [UTILITY, UTILITY, "dso"], "decision": ["reg", "reg", UTILITY], "withdrawal": parties}[step]
        body: Content = {
            "dispute": dispute,
            "outcome": rng.choice(OUTCOMES[step]) if rng.random() < 0.95 else rng.choice(["", "upheld", "agreed"]),
            "statement": rng.randbytes(32),
        }
        return self.send(f"settlement/dispute_{step}", rng.choice(who), body)

    def send(self, kind: str, signer: str, body: dict[str, Any]) -> Wire:
        """Signed, under a fresh id that is valid for an hour."""
        identity = {"client_id": self.rng.randbytes(16), "valid_until_s": self.maker.now_s + 3_600}
        return self.maker.wire(kind, signer, identity, body)
