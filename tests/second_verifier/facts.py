"""What is special about the parts of a story: a fact by itself is that of the plain trade (story.py)."""

from typing import NamedTuple

SLOT_S, START_S, END_S = 900, 9_000, 9_900


class ReadingFacts(NamedTuple):
    boundary_s: int
    import_wh: int
    export_wh: int = 0
    offset_ms: int = 120
    quality: int = 0
    meter: int = 1
    clock_offset_ms: int = 3
    clock_state: str = "synced"


class PositionFacts(NamedTuple):
    row: int
    quality: int
    start_import: int
    end_import: int
    start_export: int
    end_export: int
    import_wh: int
    export_wh: int
    columns: tuple[int, ...]  # of the contract, in its order


class FillFacts(NamedTuple):
    party: int = 0
    counter: int = 1
    side: int = 0
    quantity_wh: int = 600
    price: int = 300_000
    filled_wh: int = 600
    asked: tuple[int, ...] = ()  # at the end of the row: bid, choice, kinds and seller, or a place of the grid


class TradeFacts(NamedTuple):
    """Between two orders, named by party and counter; by itself h1 buys of h2."""

    energy_wh: int = 600
    price: int = 300_000
    buyer: tuple[int, int] = (0, 1)
    seller: tuple[int, int] = (1, 1)
    fee: int | None = None


class OrderFacts(NamedTuple):
    slot_start_s: int = START_S
    area: str = "a1"
    price: int = 300_000
    quantity_wh: int = 600
    side: str = "buy"


class PlacedFacts(NamedTuple):
    """Of the row of h1 in the aggregator's batch, beside what its order says."""

    party: int = 0
    counter: int = 1
    zone: str = "z1"
    slot_start_s: int = START_S
    side: int = 0
    signer: str = "pool"
    pair: str = "pool"
    roles: tuple[str, ...] = ("aggregator",)
    wanted: tuple[tuple[int, ...], ...] = ()  # of each of its rows choice, kinds, seller and quantity of the bid


class RampFacts(NamedTuple):
    """The order of h1 as the first step of a ramp."""

    steps: int = 2
    last_price: int = 200_000
    quantity_wh: int = 1_201
    counter: int = 1


class ConditionFacts(NamedTuple):
    """A condition of a bid of h1."""

    energy_wh: int = 600
    price: int = 300_000
    energy_kind: str | None = None
    seller: str | None = None


class ProfileFacts(NamedTuple):
    """The order of h1 as what the second part of a profile gives in its third slot; of a condition of that part its energy there is its own."""

    counter: int = 0
    first_s: int = START_S - 2 * 900
    end_s: int = END_S + 900
    quantities: tuple[int, ...] = (5, 0, 600, 7)


class ApprovalFacts(NamedTuple):
    """The register at the slot's end as an organisation answers for it, instead of a reading."""

    import_wh: int
    boundary_s: int = END_S
    installation: int = 1
    signer: str = "util"
    reason: str = "read at the meter"


class ImportFacts(NamedTuple):
    """What was imported of h1 for the slot, instead of readings."""

    import_wh: int = 1_000
    quality: int = 0
    meter: int = 1
    slot_start_s: int = START_S
    slot_s: int = SLOT_S
    signer: str = "gw1"
    clock: str = "imported"


class SeriesFacts(NamedTuple):
    """An entry of a price series."""

    name: str = "retail"
    from_s: int = 8_100
    prices: tuple[int, ...] = (280_000, 310_000, 290_000)
    slot_s: int = SLOT_S


class AgreementFacts(NamedTuple):
    """Between two points, by itself h1 buys of h2."""

    name: str
    basis: str
    price: int
    quantity_wh: int | None = None
    share_ppm: int | None = None
    series: str | None = None
    buyer: str = "h1"
    buyer_point: str = "p1"
    seller: str = "h2"
    seller_point: str = "p2"
    is_over: bool = False
    from_s: int = 9_000


class TariffFacts(NamedTuple):
    """What is special about rules: prices that are other than `PRICES`, and the series of prices."""

    prices: tuple[tuple[str, int], ...] = ()
    series: tuple[tuple[str, str], ...] = ()


class TermsFacts(NamedTuple):
    """The terms of a community that shares by keys."""

    method: str = "static"
    trade_price: int = 100_000
    settle_residual: bool | None = None
