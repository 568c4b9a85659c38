"""registry/register: which rows may be recorded (docs/spec/state.md and registry.md), judged on everything at once.

First each row after those before it: 50, 15, 51, 53. Then all together: 52, 53, 54. Every rule is looked at for every
entity that a new row names or stands for, from nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gridcore import cbor, merkle
from gridcore.errors import EncodingError
from gridcore.x509 import decode_certificate
from tests.twin import governance
from tests.twin import registry as entities
from tests.twin.contracts import MARKETS
from tests.twin.forms import ZEROS, Leaf, Transaction, fits, salted_root
from tests.twin.market import load_book
from tests.twin.registry_forms import END, has_form, has_name, is_registry_row

if TYPE_CHECKING:
    from tests.twin.registry import Registry
    from tests.twin.twin import Twin

ROW_BYTES_MAX, ROWS_MAX = 32_768, 1 << 20
TRADING_POINTS_MAX = 16
DAY_S = 86_400
NAMED = [
    ("organisation", "organisation"),
    ("zone", "zone"),
    ("rules", "rules"),
    ("calendar", "calendar"),
    ("area", "area"),
]
NAMED += [
    ("aggregator", "signer"),
    ("party", "party"),
    ("standing_profile", "standing_profile"),
    ("point", "point"),
    ("gateway", "gateway"),
]
"""(field, kind of entity that it names)."""


def read_rows(tx: Transaction) -> tuple[bytes, list[bytes]] | None:
    """Seed and rows of the attachment, or None where it does not hold what the body names."""
    try:
        content = cbor.decode(tx.attachment)
    except EncodingError:
        return None
    body = tx.content["body"]
    if not fits(content, {"rows": list, "seed": 32}) or len(content["rows"]) != body["rows"]:
        return None
    rows = content["rows"]
    if not all(isinstance(row, bytes) and len(row) <= ROW_BYTES_MAX for row in rows):
        return None
    if salted_root(content["seed"], rows) != body["rows_root"] or not all(map(is_registry_row, rows)):
        return None
    return content["seed"], rows


def register(twin: Twin, tx: Transaction, organisation: str) -> int:
    """The code of a ``registry/register`` whose signer belongs to ``organisation``; recorded where it is 0."""
    held = read_rows(tx)
    if held is None:
        return 47
    seed, rows = held
    salted = [(salt, row) for salt, row in zip(merkle.salts(seed, len(rows)), rows, strict=True)]
    before, counts = dict(twin.leaves), dict(twin.registry.counts)
    code = judge(twin, salted, organisation)
    if code:
        return code
    kinds = {cbor.decode(row)[0].split("/")[0] for row in rows}
    if twin.leaves["chain"]["thresholds"]["registry"] > 1 and not kinds <= {"signer", "gateway", "party"}:
        undo(twin, before, counts)
        if "signer" in kinds:
            return 53
        if len(governance.waiting(twin, organisation)["registrations"]) >= governance.REGISTRATIONS_MAX:
            return 25
        governance.end_expired(twin, organisation)
        twin.leaves[f"undecided/{organisation}"]["registrations"].append(tx.id)
        for salt, row in salted:
            twin.pending[merkle.leaf_hash(salt + row)] = (salt, row)
        twin.leaves[f"pending/{tx.id.hex()}"] = {
            "approved_by": [],
            "organisation": organisation,
            "rows": [merkle.leaf_hash(salt + row) for salt, row in salted],
            "valid_until_s": tx.content["identity"]["valid_until_s"],
        }
    else:
        take_effect(twin, rows, before)
    return 0


def approve(twin: Twin, tx: Transaction, organisation: str) -> int:
    """Another organisation agrees; the last one that is needed has the rows judged again and recorded."""
    key = f"pending/{tx.content['body']['transaction'].hex()}"
    pending = twin.leaves.get(key)
    if pending is None or not pending["rows"] or pending["valid_until_s"] < twin.ledger_time_s:
        return 55
    if organisation in [pending["organisation"], *pending["approved_by"]]:
        return 56
    approved = pending | {"approved_by": [*pending["approved_by"], organisation]}
    if 1 + len(approved["approved_by"]) >= twin.leaves["chain"]["thresholds"]["registry"]:
        before, salted = dict(twin.leaves), [twin.pending[digest] for digest in pending["rows"]]
        code = judge(twin, salted, pending["organisation"])
        if code:
            return code
        take_effect(twin, [row for _, row in salted], before)
        approved |= {"rows": []}
        governance.take_off(twin, pending["organisation"], tx.content["body"]["transaction"])
    twin.leaves[key] = approved
    return 0


def judge(twin: Twin, salted: Sequence[tuple[bytes, bytes]], organisation: str | None) -> int:
    """Record rows that an organisation says, all or none; the code of the first that may not be."""
    registry = twin.registry
    before, counts = dict(twin.leaves), dict(registry.counts)
    code = 0
    if organisation is None:
        for key in {cbor.decode(row)[0] for _, row in salted} - twin.voted:
            registry.withdraw(key, twin.ledger_time_s, twin.height)
    for salt, row in salted:
        code = code or row_code(twin, row, organisation)
        if code == 0:
            registry.record_row(row, salt, twin.height)
    code = code or together_code(twin, [cbor.decode(row) for _, row in salted], before)
    if code:
        undo(twin, before, counts)
    return code


def take_effect(twin: Twin, rows: Sequence[bytes], before: dict[str, Leaf]) -> None:
    """What follows from rows that were recorded; ``before``: the leaves without them."""
    start_leaves(twin, rows)
    for key, from_s, value in map(cbor.decode, rows):
        for zone in reopened_zones(twin, key, value, before):
            twin.reopened[zone] = min(twin.reopened.get(zone, from_s), from_s)


def certificate_code(twin: Twin, key: str, from_s: int, value: Leaf) -> int:
    """What is wrong with a signer's certificate, by its organisation as it is when the row begins to hold."""
    if not key.startswith("signer/") or "revoked" in value:
        return 0
    organisation = twin.registry.at("organisation/" + value["organisation"], from_s) or {}
    if "authority" not in organisation or "certificate" not in value:
        return 53 if "authority" in organisation or "certificate" in value else 0
    root, own = decode_certificate(organisation["authority"]), decode_certificate(value["certificate"])
    is_issued = own.issuer == root.subject and twin.is_signed(root.public_key, own.signed, own.signature)
    if own.common_name != key.split("/")[1] or not is_issued:
        return 53
    return 0 if own.holds_at(from_s) and root.holds_at(from_s) else 17


def undo(twin: Twin, leaves: dict[str, Leaf], counts: dict[tuple[str, str], int]) -> None:
    """Leave the registry as it was."""
    twin.leaves.clear()
    twin.leaves.update(leaves)
    twin.registry.counts = counts


def reopened_zones(twin: Twin, key: str, value: Leaf, before: dict[str, Leaf]) -> list[str]:
    """The zones in whose slots a new row changes what is in force."""
    registry, (kind, name) = twin.registry, key.split("/", 1)
    if kind == "point":
        return [registry.zone_of(value["area"])]
    if kind == "installation":
        return [twin.place(value["point"])[0]]
    if kind == "area" and key in before:
        return [value["zone"]]
    if kind in ("rules", "price_series") and key in before:
        return [str(zone) for zone in zones_of(registry, kind, name, value)]
    return []


def start_leaves(twin: Twin, rows: Sequence[bytes]) -> None:
    """What a new gateway and a new zone have from the start."""
    for row in rows:
        key, _, value = cbor.decode(row)
        kind, name = key.split("/", 1)
        if kind == "gateway":
            twin.leaves.setdefault(f"delivery/{name}", {"counter": 0, "epoch": 1, "last": ZEROS, "last_boundary_s": -1})
        if kind == "zone":
            twin.leaves.setdefault(f"progress/{name}", twin.first_progress(value["first_slot_start_s"]))


# ----------------------------------------------------------------------------------------------------- row by row


def row_code(twin: Twin, row: bytes, organisation: str | None) -> int:
    """What is wrong with one row after those before it, 0 if nothing is."""
    key, from_s, value = cbor.decode(row)
    kind, _, name = key.partition("/")
    if not has_name(kind, name) or not has_form(kind, value):
        return 50
    if not is_entitled(twin, kind, name, from_s, value, organisation):
        return 15
    leaf = twin.leaves.get(key)
    if from_s < least_from_s(twin, kind, name, value, leaf is None):
        return 51
    if leaf is None:
        return 0
    entries = leaf["entries"]
    is_full = len(entries) == entities.ENTRIES_MAX
    is_again = key in twin.voted or any(entry[:2] == [from_s, twin.height] for entry in entries)
    if is_again or (is_full and from_s <= entries[0][0]) or from_s <= leaf.get("folded_to_s", -1):
        return 51
    return 53 if is_full and min(from_s, entries[1][0]) > needed_s(twin, kind, name, value) else 0


def is_entitled(twin: Twin, kind: str, name: str, from_s: int, value: Leaf, organisation: str | None) -> bool:
    """Whether an organisation may say this of an entity; None: organisations have voted on it."""
    registry = twin.registry
    if organisation is None:
        if kind == "organisation":
            return True
        organisation = value["organisation"]
    own = registry.value(f"organisation/{organisation}", twin.ledger_time_s, twin.height - 1) or {"roles": []}
    if kind == "organisation":
        return name == organisation and value.get("roles") == own["roles"]
    if kind not in ("signer", "gateway", "party"):
        return "utility" in own["roles"]
    kin = [registry.history(f"{kind}/{name}") for kind in ("signer", "gateway", "party")]
    owners = {value["organisation"], *(rows[0][1]["organisation"] for rows in kin if rows)}
    allowed = registry.at(f"organisation/{organisation}", from_s) or {"roles": []}
    return owners == {organisation} and set(value.get("roles", [])) <= set(allowed.get("roles", []))


def zones_of(registry: Registry, kind: str, name: str, value: Leaf) -> list[str | None]:
    """The zones whose slots rest on an entity; None for one that is not known."""
    if kind == "zone":
        return [name]
    if kind == "area":
        return [value["zone"]]
    if kind == "rules":
        areas = [key for key in registry.keys("area") if any(v["rules"] == name for _, v in registry.history(key))]
        points = points_of_rules(registry, name)
        return [registry.first(key)["zone"] for key in areas] + [
            registry.find_zone(registry.first(key)["area"]) for key in points
        ]
    if kind == "price_series":
        rules = registry.keys("rules")
        own = [key for key in rules if any(name in v.get("series", {}).values() for _, v in registry.history(key))]
        return [zone for key in own for zone in zones_of(registry, "rules", key.split("/")[1], {})]
    if kind in ("party", "point"):
        return [registry.find_zone(value["area"])]
    if kind == "installation":
        point = registry.history("point/" + value["point"])
        return [registry.find_zone(point[0][1]["area"]) if point else None]
    return []


def points_of_rules(registry: Registry, name: str) -> list[str]:
    """The keys of the points that ever had these rules of their own."""
    return [key for key in registry.keys("point") if any(v.get("rules") == name for _, v in registry.history(key))]


def horizon_s(twin: Twin, zone: str | None) -> int:
    """Where the slots of a zone begin that are not final."""
    rows = twin.registry.history(f"zone/{zone}")
    if not rows or "final_after_s" not in rows[0][1]:
        return 0
    final_after_s: int = rows[0][1]["final_after_s"]
    return max(0, (twin.ledger_time_s - final_after_s) // twin.slot_s * twin.slot_s)


def least_from_s(twin: Twin, kind: str, name: str, value: Leaf, is_first: bool) -> int:
    """The earliest time from which a row may hold."""
    if kind in ("organisation", "signer", "gateway", "zone"):
        return twin.ledger_time_s
    if is_first and kind in ("calendar", "area", "price_series", "rules", "party", "standing_profile"):
        return 0
    if kind == "calendar":
        return twin.ledger_time_s
    return max((horizon_s(twin, zone) for zone in zones_of(twin.registry, kind, name, value)), default=0)


def needed_s(twin: Twin, kind: str, name: str, value: Leaf) -> int:
    """The time from which on it must be told what was in force."""
    if kind in ("organisation", "signer", "gateway"):
        return twin.ledger_time_s
    horizon = min((horizon_s(twin, zone) for zone in zones_of(twin.registry, kind, name, value)), default=0)
    return max(0, horizon - value["open_before_start_s"]) if kind == "zone" else horizon


# ---------------------------------------------------------------------------------------------------- all together


def together_code(twin: Twin, rows: Sequence[Any], before: dict[str, Leaf]) -> int:
    """52, 53, 17 or 54 for rows that stand in the registry now; ``before``: the leaves without them."""
    registry = twin.registry
    if any(not is_known(twin, from_s, value) for _, from_s, value in rows):
        return 52
    if code := next(filter(None, (certificate_code(twin, key, from_s, value) for key, from_s, value in rows)), 0):
        return code
    keys = {key for key, _, _ in rows}
    keys |= {
        "party/" + v["party"]
        for key in keys
        if key.startswith("point/")
        for _, v in registry.history(key)
        if "party" in v
    }
    if any(does_conflict(twin, *key.split("/", 1)) for key in keys):
        return 53
    if any(leaves_orders(twin, key, from_s, value, before) for key, from_s, value in rows):
        return 53
    zones = [key for key in keys if key.startswith("zone/")]
    if any(not is_approved(twin, value) for key in zones for _, value in registry.history(key)):
        return 54
    return 54 if any(is_refused(twin, *key.split("/", 1)) for key in keys) else 0


def is_known(twin: Twin, from_s: int, value: Leaf) -> bool:
    """Whether everything that a row names has begun when the row begins."""
    keys = [f"{kind}/{value[field]}" for field, kind in NAMED if field in value]
    keys += [f"price_series/{name}" for name in value.get("series", {}).values()]
    begun = [twin.registry.history(key) for key in keys]
    return all(rows and rows[0][0] <= from_s for rows in begun)


def does_conflict(twin: Twin, kind: str, name: str) -> bool:
    """Whether an entity and what depends on it do not fit together."""
    registry, rows = twin.registry, twin.registry.history(f"{kind}/{name}")
    first = rows[0][1]
    if kind == "zone":
        kept = [{field: v[field] for field in v if not field.startswith("contract")} for _, v in rows]
        start = first["first_slot_start_s"]
        return start % twin.slot_s != 0 or start < rows[0][0] or any(value != kept[0] for value in kept)
    if kind == "area":
        starts_late = rows[0][0] > registry.first("zone/" + first["zone"])["first_slot_start_s"]
        return starts_late or any(value["zone"] != first["zone"] for _, value in rows)
    if kind == "calendar":
        both = [(from_s, instants) for from_s, v in rows for instants in (v["days"], v["months"])]
        return any(instant % twin.slot_s or instant < from_s for from_s, instants in both for instant in instants)
    if kind == "standing_profile":
        return any(len(value["import_wh"]) * twin.slot_s != DAY_S for _, value in rows)
    if kind == "point":
        is_full = twin.leaves[f"point/{name}"]["row"] >= ROWS_MAX
        return is_full or any(value["area"] != first["area"] for _, value in rows)
    if kind == "party":
        return party_conflicts(registry, name)
    return kind == "installation" and (
        installation_conflicts(registry, rows, twin.slot_s) or two_meters(registry, rows)
    )


def party_conflicts(registry: Registry, name: str) -> bool:
    """At any time all points in the party's area; one that trades has 1 to 16."""
    points = [key for key in registry.keys("point") if any(v.get("party") == name for _, v in registry.history(key))]
    rows = registry.history("party/" + name)
    for time_s in {from_s for key in [*points, "party/" + name] for from_s, _ in registry.history(key)}:
        if time_s >= rows[0][0]:
            party = registry.must_at("party/" + name, time_s)
            at = [registry.at(key, time_s) or {} for key in points]
            areas = [point["area"] for point in at if point.get("party") == name]
            if set(areas) - {party["area"]} or (party["trades"] and not 1 <= len(areas) <= TRADING_POINTS_MAX):
                return True
    return False


def installation_conflicts(registry: Registry, rows: Sequence[tuple[int, Leaf]], slot_s: int) -> bool:
    """Whether the rows of one installation do not follow one another."""
    first = rows[0][1]
    if "removed" in first or "first_registers" not in first or "final_registers" in first:
        return True
    for (before_s, before), (after_s, after) in pairwise(rows):
        if "removed" in before or after_s % slot_s == 0 or before_s // slot_s == after_s // slot_s:
            return True
        if "removed" in after:
            kept = {"point"}
        elif "final_registers" in after:
            kept = {"meter", "modulus_wh", "point"}
        else:
            kept = {"meter", "modulus_wh", "point", "ratio"}
        if any(before[field] != after[field] for field in kept):
            return True
        if "removed" not in after and ("first_registers" in after) != ("final_registers" in after):
            return True
    return False


def two_meters(registry: Registry, rows: Sequence[tuple[int, Leaf]]) -> bool:
    """Whether more than one meter hangs at a point of these rows at any time."""
    for point in {value["point"] for _, value in rows}:
        meters = [key for key in registry.keys("installation") if registry.first(key)["point"] == point]
        for time_s in {from_s for key in meters for from_s, _ in registry.history(key)}:
            at = [registry.at(key, time_s) for key in meters]
            if sum(value is not None and "removed" not in value for value in at) > 1:
                return True
    return False


def leaves_orders(twin: Twin, key: str, from_s: int, value: Leaf, before: dict[str, Leaf]) -> bool:
    """Whether a point's row takes it from a party that has an order in a slot from then on."""
    old = twin.registry.in_leaf(before.get(key), from_s)
    if not key.startswith("point/") or old is None or "party" not in old or old["party"] == value.get("party"):
        return False
    zone = twin.registry.find_zone(value["area"])
    slots = {int(leaf.split("/")[1]) for leaf in twin.leaves if leaf.startswith("book/") and leaf.split("/")[2] == zone}
    return any(
        slot >= from_s and any(order.party == old["party"] for order in load_book(twin, str(zone), slot))
        for slot in slots
    )


# ------------------------------------------------------------------------------------------------------- contracts


def is_approved(twin: Twin, zone: Leaf) -> bool:
    """Whether a zone names code that organisations have approved, from this height on or an earlier one."""
    return any(
        [contract, pin] == [zone["contract"], zone["contract_pin"]] and height <= twin.height
        for contract, pin, height in twin.leaves["contracts"]["approved"]
    )


def is_refused(twin: Twin, kind: str, name: str) -> bool:
    """Whether the contract of a zone refuses an entity, or what depends on it."""
    registry = twin.registry
    areas = {
        "area": lambda: ["area/" + name],
        "zone": lambda: [key for key in registry.keys("area") if registry.first(key)["zone"] == name],
        "rules": lambda: [
            key for key in registry.keys("area") if any(v["rules"] == name for _, v in registry.history(key))
        ],
    }.get(kind, list)()
    points = {
        "point": lambda: [f"point/{name}"],
        "zone": lambda: [
            key for key in registry.keys("point") if registry.find_zone(registry.first(key)["area"]) == name
        ],
        "rules": lambda: points_of_rules(registry, name),
    }.get(kind, list)()
    parties: Iterable[str] = [name] if kind == "party" else registry.keys_of("party") if kind == "zone" else []
    zone_of = {key: registry.first(key)["zone"] for key in areas}
    zone_of |= {key: registry.find_zone(registry.first(key)["area"]) for key in points}
    return any(has_refused_rules(registry, *of) for of in zone_of.items()) or any(
        is_account(registry, party) for party in parties
    )


def has_refused_rules(registry: Registry, key: str, zone_name: str) -> bool:
    """Whether an area or a point has rules at a time in which the contract of its zone does not take them."""
    zone = registry.history("zone/" + zone_name)
    opens_s = zone[0][1]["open_before_start_s"]
    contracts = [(zone[0][1]["first_slot_start_s"], zone[0][1])] + [
        (from_s + opens_s, value) for from_s, value in zone[1:]
    ]
    for own_span, value in spans(registry.history(key)):
        for rules_span, rules in spans(registry.history("rules/" + value.get("rules", ""))) if "rules" in value else []:
            for contract_span, contract in spans(contracts):
                begin = max(own_span[0], rules_span[0], contract_span[0])
                is_met = begin < min(own_span[1], rules_span[1], contract_span[1])
                if is_met and not MARKETS[contract["contract"]].takes(rules):
                    return True
    return False


def spans(rows: Sequence[tuple[int, Leaf]]) -> list[tuple[tuple[int, int], Leaf]]:
    """Each row with its first instant and the one behind its last."""
    ends = [from_s for from_s, _ in rows[1:]] + [END]
    return [((from_s, end), value) for (from_s, value), end in zip(rows, ends, strict=True)]


def is_account(registry: Registry, party: str) -> bool:
    """Whether a party has the name of an account of its zone's contract."""
    for _, value in registry.history("party/" + party):
        for _, zone in registry.history(f"zone/{registry.find_zone(value['area'])}"):
            if party in MARKETS[zone["contract"]].accounts:
                return True
    return False
