"""A world of two meters, and short ways to write transactions to it: for cases worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from gridcore import cbor
from gridcore.master_data import MeteredPoint
from tests.twin.twin import Twin
from tests.worlds.consortium import SLOT_S, Consortium, area, gateway, household, rules, zone
from tests.worlds.keys import is_cheaply_signed, sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender

START = 1_700_000_100
SLOT = SLOT_S
ANNA, BERT = 7, 9  # meters: Anna buys, Bert sells
PRICES = {
    "feed_in_price_micro_per_kwh": 350_000,
    "levy_micro_per_kwh": 20_000,
    "network_residual_micro_per_kwh": 100_000,
    "network_traded_micro_per_kwh": 60_000,
    "residual_price_micro_per_kwh": 650_000,
    "shortfall_price_micro_per_kwh": 800_000,
    "surplus_price_micro_per_kwh": 300_000,
}


def two_meters(modulus_wh: int) -> Consortium:
    """Area A of zone Z with Anna and Bert under one gateway, an hour before the first slot."""

    def meter(number: int, party: str) -> MeteredPoint:
        first = (9_500 if number == ANNA and modulus_wh else 0, 0)
        return household(
            number, party, area="A", gateway="gw", limit_wh=5_000, modulus_wh=modulus_wh, first_registers=first
        )

    return Consortium(
        start_s=START - 3_600,
        rules=[rules(prices=PRICES, terms={"reference_price_micro_per_kwh": 500_000, "rationing": "pro_rata"})],
        zones=[zone("Z", first_slot_start_s=START)],
        areas=[area("A", zone="Z")],
        gateways=[gateway("gw")],
        meters=[meter(ANNA, "anna"), meter(BERT, "bert")],
        roles={"admin": ["administrator"]},
    )


class Desk:
    """The twin and the ledger side by side; whatever is applied is applied to both and must agree."""

    def __init__(self, modulus_wh: int = 10_000, clock: Literal["simulated", "imported"] = "simulated") -> None:
        consortium = replace(two_meters(modulus_wh), clock=clock)
        self.sender = Sender(consortium.chain, consortium.start_s, sign_cheaply)
        self.twin = Twin(cbor.decode(consortium.genesis_file))
        self.ledger = MemoryLedger(consortium.genesis)

    def apply(self, *wires: bytes) -> list[int]:
        """The codes of a block, after both have applied it and come to the same root."""
        applied = self.ledger.apply(wires)
        codes = self.twin.apply_block(self.ledger.height, 0, list(wires), is_cheaply_signed)
        assert [result.code for result in applied.results] == codes
        assert self.ledger.state.root() == self.twin.state_root()
        return codes

    def order(self, party: str, side: str, quantity: int, price: int, counter: int = 1, slot: int = START) -> bytes:
        """An order in area A."""
        return self.sender.order(party, "A", side, quantity, price, slot, counter=counter)

    def clock(self, to_s: int, client_id: int | None = None, valid_until_s: int | None = None) -> bytes:
        """A step of ledger time; ``client_id``: its last byte."""
        chosen = None if client_id is None else client_id.to_bytes(16, "big")
        return self.sender.clock(to_s, client_id=chosen, valid_until_s=valid_until_s)

    def wait_until(self, to_s: int) -> None:
        """Blocks until ledger time is ``to_s`` and nothing is left to do."""
        for wire in self.sender.clocks(to_s):
            assert self.apply(wire) == [0]
            while self.twin.work_left:
                self.apply()

    def batch(self, boundary_s: int, rows: list[tuple[int, int, int]], counter: int, previous: bytes) -> bytes:
        """Rows are (meter, import Wh, export Wh)."""
        return self.sender.batch("gw", boundary_s, rows, counter=counter, previous=previous)
