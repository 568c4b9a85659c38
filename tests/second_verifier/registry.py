"""Registered entities, their dated entries and what is in force: docs/spec/registry.md."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from tests.second_verifier.encoding import (
    U32_MAX,
    Item,
    MalformedError,
    as_array,
    as_bool,
    as_bytes,
    as_digest,
    as_int,
    as_map,
    as_name,
    as_natural,
    as_text,
    as_time,
    as_u32,
    as_word,
    decode,
)
from tests.second_verifier.proofs import Leaf, as_leaf
from tests.second_verifier.sm import is_public_key
from tests.second_verifier.trees import salted_hash

REGISTER_MAX = 10**13
PRICE_MAX = 10**9
KEY_MAX = 1_000_000
_SERIES_MAX = 3_000
_ROW_BYTES_MAX = 32_768
_LONGEST_ZONE_TIME_S = 31_622_400
Registers: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Agreement:
    """Of a difference `price` is the strike, `series` the reference price."""

    buyer: tuple[str, str]  # party and point
    seller: tuple[str, str]
    basis: str
    price: int
    quantity_wh: int | None
    share_ppm: int | None
    series: str | None


@dataclass(frozen=True)
class Area:
    rules: str
    zone: str


@dataclass(frozen=True)
class Gateway:
    organisation: str
    protection: str


@dataclass(frozen=True)
class Installation:
    gateway: str
    limit_wh: int
    modulus_wh: int
    point: str
    ratio: int
    first_registers: Registers | None
    final_registers: Registers | None


@dataclass(frozen=True)
class Party:
    area: str
    organisation: str
    aggregator: str | None


@dataclass(frozen=True)
class PointOfSupply:
    area: str
    party: str | None
    rules: str | None
    share_ppm: int
    energy_kind: str | None
    grid_place: int  # 0: at none


@dataclass(frozen=True)
class PriceSeries:
    slot_s: int
    prices: tuple[int, ...]


@dataclass(frozen=True)
class Rules:
    prices: dict[str, int]
    terms: dict[str, Item]
    series: dict[str, str]  # price key -> name of the series


@dataclass(frozen=True)
class Signer:
    organisation: str
    public_key: bytes
    roles: frozenset[str]


@dataclass(frozen=True)
class Zone:
    contract: str
    contract_pin: bytes
    gate_before_start_s: int
    open_before_start_s: int
    measures_part_slots: bool
    has_preferring_profiles: bool


@dataclass(frozen=True)
class Ended:
    """A revoked signer, a retired gateway, a removed installation or an agreement that is over."""

    final_registers: Registers | None = None
    point: str | None = None


Value: TypeAlias = (
    Agreement | Area | Gateway | Installation | Party | PointOfSupply | PriceSeries | Rules | Signer | Zone | Ended
)


def _ended(item: Item, word: str) -> Ended | None:
    if not isinstance(item, dict) or word not in item:
        return None
    fields = as_map(item, f"organisation {word}")
    as_name(fields["organisation"])
    if as_bool(fields[word]) is not True:
        raise MalformedError(f"{word} is not true")
    return Ended()


def _agreement(item: Item) -> Agreement | Ended:
    sides = "buyer buyer_point seller seller_point"
    if isinstance(item, dict) and "ended" in item:
        fields = as_map(item, f"ended {sides}")
        if as_bool(fields["ended"]) is not True:
            raise MalformedError("ended is not true")
        for side in sides.split():
            as_name(fields[side])
        return Ended()
    fields = as_map(item, f"basis price_micro_per_kwh {sides}", "quantity_wh series share_ppm")
    basis = as_word(fields["basis"], "difference fixed_quantity pay_as_produced")
    quantity = as_int(fields["quantity_wh"], 1, 10**9) if "quantity_wh" in fields else None
    share = as_int(fields["share_ppm"], 1, KEY_MAX) if "share_ppm" in fields else None
    if (quantity is None) == (share is None):
        raise MalformedError("not one of quantity and share")
    if (basis == "fixed_quantity" and quantity is None) or (basis == "pay_as_produced" and share is None):
        raise MalformedError("an agreement with what is another's")
    series = as_name(fields["series"]) if "series" in fields else None
    if basis == "difference" and series is None:
        raise MalformedError("a difference without a reference price")
    buyer, seller = ((as_name(fields[side]), as_name(fields[f"{side}_point"])) for side in ("buyer", "seller"))
    if buyer[1] == seller[1]:
        raise MalformedError("an agreement of a point with itself")
    return Agreement(buyer, seller, basis, as_price(fields["price_micro_per_kwh"]), quantity, share, series)


def _area(item: Item) -> Area:
    fields = as_map(item, "calendar rules zone")
    as_name(fields["calendar"])
    return Area(as_name(fields["rules"]), as_name(fields["zone"]))


def _gateway(item: Item) -> Gateway | Ended:
    ended = _ended(item, "retired")
    if ended:
        return ended
    fields = as_map(item, "organisation protection")
    return Gateway(as_name(fields["organisation"]), as_name(fields["protection"]))


def _registers(item: Item) -> Registers:
    read_import, read_export = as_array(item, 2, 2)
    return as_int(read_import, 0, REGISTER_MAX), as_int(read_export, 0, REGISTER_MAX)


def _removed(item: dict[str, Item]) -> Ended:
    fields = as_map(item, "point removed", "final_registers reason")
    _check_reason(fields)
    if as_bool(fields["removed"]) is not True:
        raise MalformedError("removed is not true")
    return Ended(_registers_if_any(fields, "final_registers"), as_name(fields["point"]))


def _check_reason(fields: Mapping[str, Item]) -> None:
    if "reason" in fields:
        as_text(fields["reason"], 1, 200)


def _registers_if_any(fields: Mapping[str, Item], key: str) -> Registers | None:
    return _registers(fields[key]) if key in fields else None


def _installation(item: Item) -> Installation | Ended:
    if isinstance(item, dict) and "removed" in item:
        return _removed(item)
    fields = as_map(
        item, "gateway limit_wh meter modulus_wh point profile ratio", "first_registers final_registers reason"
    )
    _check_reason(fields)
    as_name(fields["meter"])
    as_name(fields["profile"])
    limit_wh, ratio = as_int(fields["limit_wh"], 1, 10**9), as_int(fields["ratio"], 1, 10_000)
    modulus_wh = as_int(fields["modulus_wh"], 0, 2**53)
    if limit_wh * ratio > 10**9 or 0 < modulus_wh <= 2 * limit_wh:
        raise MalformedError("an installation's limit is out of range")
    first, final = (_registers_if_any(fields, key) for key in ("first_registers", "final_registers"))
    if final is not None and first is None:
        raise MalformedError("final registers without first ones")
    if modulus_wh and any(register >= modulus_wh for register in (*(first or ()), *(final or ()))):
        raise MalformedError("a register that is not below the modulus")
    return Installation(
        gateway=as_name(fields["gateway"]),
        limit_wh=limit_wh,
        modulus_wh=modulus_wh,
        point=as_name(fields["point"]),
        ratio=ratio,
        first_registers=first,
        final_registers=final,
    )


def _party(item: Item) -> Party:
    fields = as_map(item, "area organisation trades", "aggregator contracted_w credit_nano tariff")
    as_bool(fields["trades"])
    as_int(fields.get("credit_nano", 0), 0, 10**18)
    if "tariff" in fields:
        as_name(fields["tariff"])
    if "contracted_w" in fields:
        contracted = fields["contracted_w"]
        if not isinstance(contracted, dict) or not 1 <= len(contracted) <= 16:
            raise MalformedError("not 1 to 16 contracted powers")
        for name, power_w in contracted.items():
            as_text(name, 1, 64)
            as_int(power_w, 0, 10**12)
    aggregator = as_name(fields["aggregator"]) if "aggregator" in fields else None
    return Party(as_name(fields["area"]), as_name(fields["organisation"]), aggregator)


def _point(item: Item) -> PointOfSupply:
    named = "party standing_profile supplier offtaker balance_responsible_import balance_responsible_export grid_operator rules"
    fields = as_map(item, "area role", named + " share_ppm priority energy_kind grid_place")
    as_int(fields.get("grid_place", 1), 1, 65_535)
    if "energy_kind" in fields:
        as_word(fields["energy_kind"], "biomass coal gas geothermal hydro nuclear oil solar waste wind")
    names = {key: as_name(fields[key]) for key in named.split() if key in fields}
    as_word(fields["role"], "household load feeder")
    as_int(fields.get("priority", 0), 0, KEY_MAX)
    share_ppm = as_int(fields.get("share_ppm", 0), 0, KEY_MAX)
    kind, place = fields.get("energy_kind"), as_int(fields.get("grid_place", 0))
    return PointOfSupply(
        as_name(fields["area"]),
        names.get("party"),
        names.get("rules"),
        share_ppm,
        None if kind is None else as_text(kind),
        place,
    )


def _price_series(item: Item) -> PriceSeries:
    fields = as_map(item, "prices slot_s")
    packed = as_bytes(fields["prices"])
    if len(packed) % 8 or not 8 <= len(packed) <= 8 * _SERIES_MAX:
        raise MalformedError("a price series of no price, of too many, or of a part of one")
    prices = (int.from_bytes(packed[at : at + 8], "little", signed=True) for at in range(0, len(packed), 8))
    return PriceSeries(as_int(fields["slot_s"], 1, 86_400), tuple(as_price(price) for price in prices))


def as_price(item: Item) -> int:
    return as_int(item, -PRICE_MAX, PRICE_MAX)


def _rules(item: Item) -> Rules:
    fields = as_map(item, "prices terms", "series until_s")
    if "until_s" in fields:
        as_time(fields["until_s"])
    prices, terms = fields["prices"], fields["terms"]
    if not isinstance(prices, dict) or not isinstance(terms, dict):
        raise MalformedError("prices or terms are no map")
    series = _series_of(fields)
    if not set(series) <= set(prices):
        raise MalformedError("a series of a price that the rules have not")
    return Rules({key: as_int(price) for key, price in prices.items()}, terms, series)


def _series_of(fields: Mapping[str, Item]) -> dict[str, str]:
    if "series" not in fields:
        return {}
    series = fields["series"]
    if not isinstance(series, dict) or not 1 <= len(series) <= 8:
        raise MalformedError("not the series of 1 to 8 prices")
    return {key: as_name(name) for key, name in series.items()}


def _signer(item: Item) -> Signer | Ended:
    ended = _ended(item, "revoked")
    if ended:
        return ended
    fields = as_map(item, "organisation public_key roles", "certificate")
    as_bytes(fields.get("certificate", b""))
    key = as_bytes(fields["public_key"], 65)
    if not is_public_key(key):
        raise MalformedError("not a public key")
    words = "administrator aggregator clock gateway prosumer regulator utility"
    roles = [as_word(role, words) for role in as_array(fields["roles"])]
    if not roles or roles != sorted(set(roles)):
        raise MalformedError("roles do not ascend")
    return Signer(as_name(fields["organisation"]), key, frozenset(roles))


def _run_calendar(item: Item, deadline: int, zone: dict[str, Item]) -> None:
    """Dates behind the deadline, each later than the one before, the last of them before the slot is final."""
    names = "corrections dispute_material_nano final_run_after_s initial_last_after_s initial_measured_ppm"
    fields = as_map(item, names)
    as_int(fields["dispute_material_nano"], 0, 10**18)
    as_int(fields["initial_measured_ppm"], 0, 10**6)
    longest = 10 * _LONGEST_ZONE_TIME_S
    time = as_int(fields["initial_last_after_s"], deadline, longest)
    for date in as_array(fields["corrections"], 0, 16):
        due, share = as_array(date, 2, 2)
        as_int(share, 0, 10**6)
        time = as_int(due, time + 1, longest)
    time = as_int(fields["final_run_after_s"], time + 1, longest)
    if "correction_after_s" in zone or "final_after_s" not in zone:
        raise MalformedError("a run calendar has no correction_after_s beside it, and a final_after_s")
    as_int(zone["final_after_s"], time + 1, longest)


def _zone(item: Item) -> Zone:
    times = "first_slot_start_s gate_before_start_s metering_deadline_s open_before_start_s"
    fields = as_map(
        item,
        "contract contract_pin " + times,
        "correction_after_s final_after_s gap_slots_from_s gap_slots_max part_slots_are_measured profiles_have_conditions run_calendar runs_follow_points runs_follow_points_from_s",
    )
    as_natural(fields["first_slot_start_s"])
    deadline = as_int(fields["metering_deadline_s"], 0, _LONGEST_ZONE_TIME_S)
    as_int(fields.get("correction_after_s", 0), 0, _LONGEST_ZONE_TIME_S)
    as_int(fields.get("final_after_s", deadline), deadline, 10 * _LONGEST_ZONE_TIME_S)
    as_int(fields.get("gap_slots_max", 1), 1, 4_320)
    for field in ("gap_slots_from_s", "runs_follow_points_from_s"):
        as_natural(fields.get(field, 0))
    for rule in ("part_slots_are_measured", "profiles_have_conditions", "runs_follow_points"):
        if as_bool(fields.get(rule, True)) is not True:
            raise MalformedError(f"{rule} is true or absent")
    if "run_calendar" in fields:
        _run_calendar(fields["run_calendar"], deadline, fields)
    gate = as_int(fields["gate_before_start_s"], 0, _LONGEST_ZONE_TIME_S)
    opening = as_int(fields["open_before_start_s"], gate + 1, _LONGEST_ZONE_TIME_S)
    measures_part_slots = "part_slots_are_measured" in fields
    has_preferring_profiles = "profiles_have_conditions" in fields
    contract, pin = as_text(fields["contract"]), as_digest(fields["contract_pin"])
    return Zone(contract, pin, gate, opening, measures_part_slots, has_preferring_profiles)


_FORMS: dict[str, Callable[[Item], Value]] = {
    "agreement": _agreement,
    "area": _area,
    "gateway": _gateway,
    "installation": _installation,
    "party": _party,
    "point": _point,
    "price_series": _price_series,
    "rules": _rules,
    "signer": _signer,
    "zone": _zone,
}
_NUMBERS = {"area": "number", "party": "number", "point": "row"}


def _split(key: str) -> tuple[str, str]:
    kind, _, name = key.partition("/")
    if kind not in _FORMS:
        raise MalformedError(f"no such entity: {kind}")
    if kind == "installation" and not (name.isascii() and name.isdigit() and str(int(name)) == name):
        raise MalformedError("an installation's key does not end with a number")
    if kind == "installation" and int(name) > U32_MAX:
        raise MalformedError("an installation's number is no u32")
    return kind, as_name(name)


class Entry(NamedTuple):
    from_s: int
    recorded_height: int
    digest: bytes


@dataclass(frozen=True)
class Entity:
    leaf: Leaf
    kind: str
    name: str
    entries: tuple[Entry, ...]
    number: int  # of an area or party, or a point's row; -1 for other entities

    def in_force(self, at_s: int, as_of_height: int) -> Entry | None:
        known = [entry for entry in self.entries if entry.from_s <= at_s and entry.recorded_height <= as_of_height]
        return known[-1] if known else None

    def after(self, entry: Entry, as_of_height: int) -> Entry | None:
        """The next entry that was recorded by then."""
        later = self.entries[self.entries.index(entry) + 1 :]
        return next((entry for entry in later if entry.recorded_height <= as_of_height), None)

    def entries_ascend(self) -> bool:
        places = [(entry.from_s, entry.recorded_height) for entry in self.entries]
        return bool(places) and places == sorted(set(places))


def as_entity(leaf: Item, path: Item) -> Entity:
    proof = as_leaf(leaf, path)
    kind, name = _split(proof.key)
    number = _NUMBERS.get(kind)
    fields = as_map(proof.value, f"entries {number or ''}", "folded folded_to_s")
    if "folded" in fields:
        as_digest(fields["folded"])
    if "folded_to_s" in fields:
        as_time(fields["folded_to_s"])
    if ("folded" in fields) != ("folded_to_s" in fields):
        raise MalformedError("of folded and folded_to_s one is missing")
    entries = []
    for item in as_array(fields["entries"], 0, 64):
        from_s, recorded_height, digest = as_array(item, 3, 3)
        entries.append(Entry(as_time(from_s), as_natural(recorded_height), as_digest(digest)))
    return Entity(proof, kind, name, tuple(entries), as_u32(fields[number]) if number else -1)


@dataclass(frozen=True)
class RegistryRow:
    key: str
    from_s: int
    value: Value
    digest: bytes  # the salted hash of the row


def as_registry_row(row: Item, salt: Item) -> RegistryRow:
    data = as_bytes(row)
    if len(data) > _ROW_BYTES_MAX:
        raise MalformedError("a registry row of too many bytes")
    key, from_s, value = as_array(decode(data, booleans=True), 3, 3)
    kind, _ = _split(as_text(key, 1, 128))
    return RegistryRow(
        as_text(key, 1, 128), as_time(from_s), _FORMS[kind](value), salted_hash(as_bytes(salt, 16), data)
    )


@dataclass(frozen=True)
class Opened:
    entity: Entity
    row: RegistryRow


def as_opened(item: Item) -> Opened:
    fields = as_map(item, "leaf path row salt")
    return Opened(as_entity(fields["leaf"], fields["path"]), as_registry_row(fields["row"], fields["salt"]))
