"""A small community, told block by block, and the evidence for its first household.

One zone, one area, two households behind one gateway. h1 buys 600 Wh of h2, imports 1,000 Wh and owes 226,000,000 nano:
600 x 100,000 traded, 400 x 300,000 residual, 600 x 20,000 and 400 x 60,000 network, 1,000 x 10,000 levy.

| block | ledger time | what happens |
| --- | --- | --- |
| 1 | 6,000 | an administrator enrols the key of h1 |
| 2 | 6,300 | the orders for the slot 9,000 to 9,900, open from 5,400 to 8,100 |
| 3 | 8,100 | the gate closes: 600 Wh at 100,000 |
| 4 | 9,010 | the batch of the boundary 9,000 |
| 5 | 9,910 | the batch of the boundary 9,900 |
| 6 | 11,700 | the slot is settled, as of the height 5 |
| 7 | 11,800 | nothing: the header of the bundle |
| 8 | 11,900 | three signers hand over to three others |
| 9 | 12,000 | nothing, certified by the new signers |
"""

from dataclasses import dataclass, replace

from tests.second_verifier.chain_builder import RecordedRow
from tests.second_verifier.encoding import Item
from tests.second_verifier.facts import (
    END_S,
    SLOT_S,
    START_S,
    AgreementFacts,
    ApprovalFacts,
    ConditionFacts,
    FillFacts,
    ImportFacts,
    OrderFacts,
    PlacedFacts,
    PositionFacts,
    ProfileFacts,
    RampFacts,
    ReadingFacts,
    SeriesFacts,
    TariffFacts,
    TermsFacts,
    TradeFacts,
)
from tests.second_verifier.signing import key_pair
from tests.second_verifier.sm import sm3

OLD_SIGNERS = tuple(key_pair(f"signer {n}") for n in (1, 2, 3))
NEW_SIGNERS = tuple(key_pair(f"signer {n}") for n in (4, 5, 6))
KEYS = {
    name: key_pair(name) for name in ("admin", "other-admin", "gw1", "h1", "h2", "pool", "thief", "util", "other-util")
}
PAY_AS_BID, CONTINUOUS, REDUCTION = "pay_as_bid/1", "continuous_double_auction/1", "trade_reduction/1"
CONDITIONAL, ALONG_GRID = "conditional_bid/1", "grid_fee_path/1"
PAIRED = (PAY_AS_BID, CONTINUOUS, REDUCTION, CONDITIONAL, ALONG_GRID)
AUCTION, MID_MARKET, RATIO = "p2p_call_auction/1", "mid_market_rate/1", "supply_demand_ratio/1"
BILL, KEYED, AGREED = "bill_sharing/1", "sharing_keys/1", "bilateral_agreements/1"
PRICES = {
    "feed_in_price": 50_000,
    "levy": 10_000,
    "network_residual": 60_000,
    "network_traded": 20_000,
    "residual_price": 300_000,
    "shortfall_price": 350_000,
    "surplus_price": 40_000,
}
GRID: tuple[dict[str, Item], ...] = (
    {"fee_micro_per_kwh": 20_000, "place": 1},
    {"fee_micro_per_kwh": 10_000, "parent": 1, "place": 10},
    {"fee_micro_per_kwh": 5_000, "parent": 1, "place": 20},
)


PLACED = PlacedFacts()
BUY = OrderFacts()
BOUGHT = FillFacts()
SOLD = FillFacts(1, 1, 1, 700, 100_000, 600)
BOOK = ((0, 0, 600, 300_000, 600), (1, 1, 700, 100_000, 600))  # rank, side, quantity_wh, limit, filled_wh
START = ReadingFacts(START_S, 50_000)
END = ReadingFacts(END_S, 51_000, offset_ms=-80, quality=0x10)
POSITION = PositionFacts(0, 0x10, 50_000, 51_000, 0, 0, 1_000, 0, (600, 0, 226_000_000, 370_000_000))
NEIGHBOUR = PositionFacts(1, 0, 20_000, 20_000, 7_000, 7_800, 0, 800, (0, 600, -70_000_000, -40_000_000))


def agreement_value(facts: AgreementFacts) -> Item:
    """What its row says."""
    sides: dict[str, Item] = {
        "buyer": facts.buyer,
        "buyer_point": facts.buyer_point,
        "seller": facts.seller,
        "seller_point": facts.seller_point,
    }
    if facts.is_over:
        return sides | {"ended": True}
    stated = {"quantity_wh": facts.quantity_wh, "share_ppm": facts.share_ppm, "series": facts.series}
    said = {key: value for key, value in stated.items() if value is not None}
    return sides | {"basis": facts.basis, "price_micro_per_kwh": facts.price} | said


AS_STATED, TERMS = TariffFacts(), TermsFacts()


@dataclass(frozen=True)
class Story:
    """The facts as they are; a lie is a story in which one of them is another than the rest says."""

    order: OrderFacts = BUY
    order_time_s: int = 6_300
    fill: FillFacts = BOUGHT
    others: tuple[FillFacts, ...] = (SOLD,)
    more_fills: tuple[FillFacts, ...] = ()  # of the further conditions of h1's bid
    trades: tuple[TradeFacts, ...] = ()
    amount_nano: int | None = None  # of h1's fill, where it is not that of its trades
    fee_nano: int | None = None  # the same
    book: tuple[tuple[int, ...], ...] = BOOK  # behind it until_rank, or what a contract asks of orders
    volume_wh: int = 600
    clearing_price: int = 100_000
    gate_has_price: bool = True
    cleared_area: int = 0
    cleared_zone: str = "z1"
    start: ReadingFacts = START
    end: ReadingFacts = END
    approved: ApprovalFacts | None = None
    imported: ImportFacts | None = None
    batch_registers: tuple[str, ...] = ("1-0:1.8.0", "1-0:2.8.0")
    batch_chain: str | None = None
    batch_signer: str = "gw1"
    position: PositionFacts = POSITION
    neighbour: PositionFacts = NEIGHBOUR
    sibling: PositionFacts | None = None  # of another point of h1
    sibling_party: str = "h1"
    sibling_kind: str | None = None
    area_columns: tuple[int, ...] = ()
    contract: str = AUCTION
    series: tuple[SeriesFacts, ...] = ()
    agreements: tuple[AgreementFacts, ...] = ()
    corrected: SeriesFacts | None = None  # an entry of a series that is recorded after the run
    rules: TariffFacts = AS_STATED
    own_rules: TariffFacts | None = None  # of p1
    terms: TermsFacts = TERMS
    share_ppm: int | None = None  # of p1
    priority: int | None = None
    energy_kind: str | None = None
    grid_place: int | None = None
    late_point: tuple[str, str | int] | None = None  # what its entry says that is recorded behind the gate
    settled_area: int = 0
    settled_rules: str = "rules/r1"
    as_of_height: int = 5
    runs_height: int = 6
    later_run: bool = False
    modulus_wh: int = 0
    limit_wh: int = 5_000
    ratio: int = 1
    removed_s: int | None = None  # without a next meter: the same one's registers begin again
    next_meter_s: int | None = None
    leaves_s: int | None = None  # h1's meter is taken down, and none follows
    comes_s: int | None = None  # it is put up, and there was none before
    measures_part_slots: bool = False
    taken_up: tuple[tuple[str, Item], ...] = ()  # rules that the zone's row names, with their first slots
    installation_gateway: str = "gw1"
    gateway_organisation: str = "operator"
    gateway_retired: bool = False
    party_organisation: str = "operator"
    zone_pin: bytes = sm3(b"the contract's code")
    enroller: str = "admin"
    enrolled_roles: tuple[str, ...] = ("prosumer",)
    enrolled_organisation: str = "operator"
    enrolled_from_s: int = 6_000
    enrolled_height: int = 1
    next_key_from_s: int | None = None
    gateway_revoked_s: int | None = None
    order_signer: str = "h1"
    order_pair: str = "h1"
    order_chain: str | None = None
    is_placed: bool = False  # by an aggregator, in a batch
    is_whole: bool = False  # all or none
    ramp: RampFacts | None = None
    conditions: tuple[ConditionFacts, ...] = ()
    profile: ProfileFacts | None = None
    placed: PlacedFacts = PLACED
    aggregator: str | None = "pool"  # whom the row of h1 names
    slot_s: int = SLOT_S
    rewritten: tuple[str, str, str | int | None] | None = None  # of a genesis row: key, field, value or absent
    batch_pair: str = "gw1"
    enrolment_pair: str = "admin"
    protocol_version: int = 2

    @property
    def is_estimated(self) -> bool:
        """No registers tell the energy, so that no reading is shown."""
        return self.position.quality in (0x01, 0x21)


def _signer(name: str, organisation: str, *roles: str) -> Item:
    return {"organisation": organisation, "public_key": KEYS[name].public, "roles": list[Item](sorted(roles))}


def _installation(story: Story, meter: str, point: str) -> dict[str, Item]:
    return {
        "first_registers": [0, 0],
        "gateway": story.installation_gateway,
        "limit_wh": story.limit_wh,
        "meter": meter,
        "modulus_wh": story.modulus_wh,
        "point": point,
        "profile": "din-rail",
        "ratio": story.ratio,
    }


def _terms(story: Story) -> dict[str, Item]:
    if story.contract == AUCTION:
        return {"rationing": "pro_rata", "reference_price_micro_per_kwh": 150_000}
    if story.contract == CONDITIONAL:
        return {"price_rule": "pay_as_bid"}
    if story.contract == ALONG_GRID:
        return {"grid_places": list[Item](GRID), "price_rule": "pay_as_bid"}
    if story.contract != KEYED:
        return {}
    method, trade_price, settles_rest = story.terms
    terms: dict[str, Item] = {"method": method, "trade_price_micro_per_kwh": trade_price}
    return terms if settles_rest is None else {**terms, "settle_residual": settles_rest}


def _rules(story: Story, facts: TariffFacts) -> dict[str, Item]:
    names = [
        name
        for name in PRICES
        if story.contract in (AUCTION, *PAIRED) or name not in ("shortfall_price", "surplus_price")
    ]
    prices = {name: PRICES[name] for name in names} | dict(facts.prices)
    rules: dict[str, Item] = {
        "prices": {f"{name}_micro_per_kwh": price for name, price in prices.items()},
        "terms": _terms(story),
    }
    series: Item = {f"{key}_micro_per_kwh": name for key, name in facts.series}
    return rules | ({"series": series} if series else {})


def series_value(facts: SeriesFacts) -> Item:
    packed = b"".join(price.to_bytes(8, "little", signed=True) for price in facts.prices)
    return {"prices": packed, "slot_s": facts.slot_s}


def point_value(story: Story) -> dict[str, Item]:
    """What genesis says of p1."""
    point: dict[str, Item] = {"area": "a1", "party": "h1", "role": "household"}
    stated = {
        "energy_kind": story.energy_kind,
        "grid_place": story.grid_place,
        "priority": story.priority,
        "rules": story.own_rules and "own",
        "share_ppm": story.share_ppm,
    }
    return point | {key: value for key, value in stated.items() if value is not None}


def genesis_rows(story: Story) -> list[tuple[str, int, Item]]:
    rows = _true_rows(story)
    if story.rewritten is None:
        return rows
    wanted, field, other = story.rewritten
    for key, _, value in rows:
        assert isinstance(value, dict)
        if key == wanted and field in value:
            value.pop(field)
            value |= {} if other is None else {field: other}
    return rows


def _first_meter(story: Story) -> tuple[str, int, Item]:
    if story.comes_s is None:
        return "installation/1", 0, _installation(story, "M-1", "p1")
    return "installation/1", story.comes_s, _installation(story, "M-1", "p1") | {"first_registers": [50_000, 0]}


def _true_rows(story: Story) -> list[tuple[str, int, Item]]:
    gateway: dict[str, Item] = {"organisation": story.gateway_organisation}
    gateway |= {"retired": True} if story.gateway_retired else {"protection": "tpm2"}
    rules = _rules(story, story.rules)
    zone: Item = {
        "contract": story.contract,
        "contract_pin": story.zone_pin,
        "first_slot_start_s": START_S,
        "gate_before_start_s": 900,
        "metering_deadline_s": 1_800,
        "open_before_start_s": 3_600,
        **({"part_slots_are_measured": True} if story.measures_part_slots else {}),
        **dict(story.taken_up),
    }
    party: dict[str, Item] = {"area": "a1", "organisation": story.party_organisation, "trades": True}
    rows: list[tuple[str, int, Item]] = [
        ("organisation/operator", 0, {"roles": ["administrator", "gateway", "prosumer"], "title": "The operator"}),
        ("calendar/local", 0, {"days": [0], "months": [0], "tz": "UTC", "tz_version": "2026a"}),
        ("signer/admin", 0, _signer("admin", "operator", "administrator")),
        ("signer/util", 0, _signer("util", "operator", "utility")),
        ("signer/other-util", 0, _signer("other-util", "rival", "utility")),
        ("signer/other-admin", 0, _signer("other-admin", "rival", "administrator")),
        ("gateway/gw1", 0, gateway),
        ("signer/gw1", 0, _signer("gw1", "operator", "gateway")),
        ("zone/z1", 5_000, zone),
        ("rules/r1", 0, rules),
        ("rules/r2", 0, dict(rules)),
        *([("rules/own", 0, _rules(story, story.own_rules))] if story.own_rules else []),
        *((f"price_series/{one.name}", one.from_s, series_value(one)) for one in story.series),
        *((f"agreement/{one.name}", one.from_s, agreement_value(one)) for one in story.agreements),
        ("area/a1", 0, {"calendar": "local", "rules": "r1", "zone": "z1"}),
        ("party/h1", 0, party | ({"aggregator": story.aggregator} if story.is_placed and story.aggregator else {})),
        ("party/h2", 0, dict(party)),
        ("point/p1", 0, point_value(story)),
        ("point/p2", 0, {"area": "a1", "party": "h2", "role": "household"}),
        _first_meter(story),
        ("installation/2", 0, _installation(story, "M-2", "p2")),
        ("signer/h2", 0, _signer("h2", "operator", "prosumer")),
    ]
    if story.sibling is not None:
        kind: dict[str, Item] = {"energy_kind": story.sibling_kind} if story.sibling_kind else {}
        rows.append(("point/p3", 0, kind | {"area": "a1", "party": story.sibling_party, "role": "household"}))
    if story.is_placed:
        rows.append(("signer/pool", 0, _signer("pool", "operator", *story.placed.roles)))
    if story.leaves_s is not None:
        last: Item = {"final_registers": [51_000, 0], "point": "p1", "removed": True}
        rows.append(("installation/1", story.leaves_s, last))
    if story.removed_s is not None and story.next_meter_s is not None:
        removed: Item = {"final_registers": [50_400, 0], "point": "p1", "removed": True}
        rows.append(("installation/1", story.removed_s, removed))
        rows.append(
            ("installation/3", story.next_meter_s, _installation(story, "M-3", "p1") | {"first_registers": [100, 0]})
        )
    if story.removed_s is not None and story.next_meter_s is None:
        stated: dict[str, Item] = {"final_registers": [50_400, 0], "first_registers": [100, 0], "reason": "reset"}
        rows.append(("installation/1", story.removed_s, _installation(story, "M-1", "p1") | stated))
    if story.gateway_revoked_s is not None:
        revoked: Item = {"organisation": "operator", "revoked": True}
        rows.append(("signer/gw1", story.gateway_revoked_s, revoked))
    return rows


_BESIDE: dict[str, dict[str, Item]] = {
    "area/a1": {"number": 0},
    "party/h1": {"number": 0},
    "party/h2": {"number": 1},
    "point/p1": {"row": 0},
    "point/p2": {"row": 1},
    "point/p3": {"row": 2},
}


def entity_leaves(rows: list[RecordedRow]) -> dict[str, Item]:
    leaves: dict[str, Item] = {}
    for key in dict.fromkeys(row.key for row in rows):
        leaves[key] = {"entries": [row.entry for row in rows if row.key == key], **_BESIDE.get(key, {})}
    return leaves


EXCHANGE = Story(
    removed_s=9_400,
    next_meter_s=9_401,
    end=END._replace(import_wh=700, meter=3),
    position=POSITION._replace(end_import=700),
)
LEFT = Story(
    leaves_s=9_400, measures_part_slots=True, position=POSITION._replace(quality=0, end_import=-1, end_export=-1)
)
"""The meter is taken down inside the slot, and h1 pays what it counted until then."""
CAME = Story(comes_s=9_400, measures_part_slots=True, position=POSITION._replace(start_import=-1, start_export=-1))
"""The meter is put up inside the slot, and h1 pays what it has counted since."""
RESET = Story(
    removed_s=9_400,
    end=END._replace(import_wh=700),
    position=POSITION._replace(end_import=700),
)
"""The meter stays, and its registers begin again from 100."""
ESTIMATED = Story(position=POSITION._replace(quality=0x21, end_import=-1, end_export=-1))
"""The register at the slot's end never came: the energy is a part of a gap."""
# The 600 Wh that h1 bought are dealt to two points by 1,000 and 500 Wh of import: 400 and 200. The first owes 400 x 100,000 and
# 600 x 300,000 for energy, 400 x 20,000 and 600 x 60,000 for network, 1,000 x 10,000 levy.
SEVERAL = Story(
    position=POSITION._replace(columns=(400, 0, 274_000_000, 370_000_000)),
    sibling=PositionFacts(2, 0, 0, 500, 0, 0, 500, 0, (200, 0, 137_000_000, 185_000_000)),
)
APPROVED = Story(
    limit_wh=900,
    approved=ApprovalFacts(51_000),
    position=POSITION._replace(quality=2),
)
"""The register at the slot's end is approved: the meter's limit does not count."""
SUBSTITUTED = replace(APPROVED, approved=ApprovalFacts(51_000, reason="substitute: the meter stood still"))
# The community's surplus is 800 Wh of h2, its deficit 1,000 Wh of h1. h1 owes 800 x 175,000 + 200 x 300,000 for energy,
# 800 x 20,000 + 200 x 60,000 + 1,000 x 10,000 for network and levy.
SHARED = Story(
    contract=MID_MARKET,
    position=POSITION._replace(columns=(800, 0, 200_000_000, 238_000_000, 370_000_000)),
    neighbour=NEIGHBOUR._replace(columns=(0, 800, -140_000_000, -140_000_000, -40_000_000)),
    area_columns=(800, 1_000),
)
# The same energy by the ratio 800 / 1,000: h2 gets 800 x 60,000, and h1 owes that and 200 x 300,000.
SHARED_BY_RATIO = replace(
    SHARED,
    contract=RATIO,
    position=POSITION._replace(columns=(800, 0, 108_000_000, 146_000_000, 370_000_000)),
    neighbour=NEIGHBOUR._replace(columns=(0, 800, -48_000_000, -48_000_000, -40_000_000)),
)
# The last slot of a month in which others lacked and had over 3,000 and 1,200 Wh more: h1 owes 1,000 / 4,000 of what 900 kWh of import cost.
SHARED_BILL = replace(
    SHARED,
    contract=BILL,
    position=POSITION._replace(columns=(800, 0, 1_000, 0, 1_000, 0, 67_500_000_000, 0, 67_538_000_000, 370_000_000)),
    neighbour=NEIGHBOUR._replace(columns=(0, 800, 0, 800, 0, 800, 0, 2_000_000_000, -2_000_000_000, -40_000_000)),
    area_columns=(0, 1_000, 800, 0, 60_000_000, 0, 0, 4_000, 2_000, 269, 1_000_000_000, 5, 0),
)
PLACED_ORDER = Story(is_placed=True)
RAMPED = Story(ramp=RampFacts())
WHOLE = Story(is_whole=True, fill=BOUGHT._replace(side=2), book=((0, 2, 600, 300_000, 600), BOOK[1]))
STANDING = Story(profile=ProfileFacts())
IMPORTED = Story(
    imported=ImportFacts(),
    position=POSITION._replace(quality=0, start_import=-1, end_import=-1, start_export=-1, end_export=-1),
)
"""The energy comes from a file."""
