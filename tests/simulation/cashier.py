"""Payments from a seed: for points that are billed and others, by who may and who may not, some of them twice."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from gridcore.transactions.payment import AMOUNT_NANO_MAX, GROUNDS
from tests.worlds.consortium import UTILITY

if TYPE_CHECKING:
    from tests.simulation.generator import BlockMaker, Content, Wire


class Cashier:
    """Draws for one chain what was paid, from a source of its own: worlds without payments stay what they were."""

    def __init__(self, maker: BlockMaker) -> None:
        self.maker = maker
        self.rng = random.Random(maker.world.seed * 17 + 5)
        self._references = [self.rng.randbytes(32) for _ in range(6)]

    def wires(self) -> list[Wire]:
        """The payments of one block."""
        return [self.payment() for _ in range(self.rng.choice([0, 0, 0, 1, 2, 3]))]

    def payment(self) -> Wire:
        """Mostly for a point of the party, in the name of its utility."""
        rng, world = self.rng, self.maker.world
        points = [meter for meter in world.meters.values() if meter.party]
        meter, other = rng.choice(points), rng.choice(points)
        body: Content = {
            "amount_nano": rng.choice([1, 999_999_999, 10**9, rng.randrange(1, 10**11), AMOUNT_NANO_MAX, 0]),
            "ground": rng.choice([*GROUNDS, "received", "received", "given"]),
            "party": str(meter.party if rng.random() < 0.9 else other.party),
            "point": meter.point if rng.random() < 0.95 else rng.choice(["nowhere", "", "a b"]),
            "reference": rng.choice(self._references),
        }
        identity = {"client_id": rng.randbytes(16), "valid_until_s": self.maker.now_s + 3_600}
        signer = rng.choice([UTILITY] * 8 + ["dso", str(meter.party)])
        return self.maker.wire("settlement/payment", signer, identity, body)
