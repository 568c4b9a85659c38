"""A metered area whose parties are charged by the month: a tariff with tax, a day's price and a contracted power; a late reading, a new tenant.

p-1 and p-2 have the tariff ``home``; l-1 is billed and names none. Of the first four slots meter 1 takes 1000 Wh each and gives nothing, meter
2 gives 300 Wh, meter 3 takes 40 Wh, and meter 5, p-2's other one, 200 Wh. What meter 2 showed after the second slot comes late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from gridcore.master_data import Named
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.row import Row
from gridcore.registry.tariff import TARIFF, Tariff
from tests.worlds.consortium import (
    DAYS,
    FIRST_S,
    SLOT_S,
    START_S,
    UTILITY,
    Consortium,
    area,
    feeder,
    gateway,
    household,
    load,
    zone,
)
from tests.worlds.transactions import Sender

SLOTS: Final = 4
MONTH: Final = "2027-01"
CORRECTION_AFTER_S: Final = 3_600
IMPORTS: Final = {1: 1_000, 2: 0, 3: 40, 5: 200}
EXPORTS: Final = {1: 0, 2: 300, 3: 0, 5: 0}
LATE_S: Final = FIRST_S + 2 * SLOT_S
"""The boundary at which the row of meter 2 is missing at first."""


def component(name: str, base: str, price: int, **more: Any) -> dict[str, Any]:
    """A component as a row has it."""
    return {"account": "grid", "base": base, "name": name, "price": price, "taxed": True, **more}


COMPONENTS: Final = [
    component("energy", "residual", 100_001),
    component("night", "import", -10_000, windows=[[0, 30_600]]),
    component("demand", "kw_contracted", 32_000_000),
    component("peak", "kw_peak", 10_000_000),
    component("stay", "day", 70_000, taxed=False),
    component("factor", "percent", -7_500, of=["energy", "demand", "levy"]),
    component("funds", "import", 29_000, account="funds", taxed=False),
]
HOME: Final = Tariff(COMPONENTS, quantum_nano=10_000_000, rounding="half_even", tax_ppm=130_000)


def charged(party: str, contracted_w: int) -> Named[Party]:
    """A party's row that names the tariff, from the day before the first slot on."""
    record = Party("a-1", UTILITY, trades=True, contracted_w={"demand": contracted_w}, tariff="home")
    return Named(PARTY, party, record, from_s=START_S)


TARIFFED: Final = Consortium(
    zones=[zone(correction_after_s=CORRECTION_AFTER_S)],
    areas=[area("a-1")],
    gateways=[gateway("gw-1")],
    meters=[household(1, "p-1"), household(2, "p-2"), load(3, "l-1"), feeder(4), load(5, "p-2", trades=True)],
    roles={"reg": ["regulator"], "admin": ["administrator"]},
    more=[Named(TARIFF, "home", HOME), charged("p-1", 12_000), charged("p-2", 30_000)],
)
"""Its calendar has two local days, the second one until midnight."""


def moved(point: str, party: str, from_s: int) -> Row:
    """A point that counts for another party from a slot on."""
    (row,) = Named(POINT, point, Point("a-1", "load", party=party), from_s).rows()
    return row


def with_more(*more: Named[Any]) -> Consortium:
    """The world with further rows from the start."""
    return replace(TARIFFED, more=[*TARIFFED.more, *more])


def first_slots(sender: Sender, slots: int = SLOTS) -> list[Sequence[bytes]]:
    """Blocks in which the first slots are metered and settled: the second boundary of meter 2 is not there."""
    return [[sender.clock(FIRST_S)], *metered(sender, range(slots + 1))]


def metered(sender: Sender, boundaries: range) -> list[Sequence[bytes]]:
    """Blocks in which the registers are read at some boundaries of slots, counted from the first slot's start, and ledger time goes on."""
    blocks: list[Sequence[bytes]] = []
    for place in boundaries:
        boundary_s = FIRST_S + place * SLOT_S
        rows = [(meter, IMPORTS[meter] * place, EXPORTS[meter] * place) for meter in IMPORTS]
        own = [row for row in rows if boundary_s != LATE_S or row[0] != 2]
        blocks += [[sender.batch("gw-1", boundary_s, own)], [sender.clock(boundary_s + SLOT_S)]]
    return blocks


def late_reading(sender: Sender, export_wh: int) -> list[Sequence[bytes]]:
    """Blocks in which the missing row of meter 2 comes, and its slots are settled again."""
    rows = [(2, 0, export_wh)]
    return [[sender.batch("gw-1", LATE_S, rows)], *settled_again(sender)]


def settled_again(sender: Sender) -> list[Sequence[bytes]]:
    """Blocks until what was changed before has been settled again."""
    return [[sender.clock(sender.now_s + CORRECTION_AFTER_S)] for _ in range(3)]


def rest_of_the_day(sender: Sender) -> list[Sequence[bytes]]:
    """Blocks until all slots that the calendar has are settled."""
    return [[wire] for wire in sender.clocks(DAYS[-1] + SLOT_S)]
