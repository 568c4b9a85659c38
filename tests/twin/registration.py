"""registry/register: which rows may be recorded (docs/spec/state.md and registry.md), judged on everything at once.

First each row after those before it: 50, 15, 51, 53. Then all together: 52, 53, 54. Every rule is looked at for every
entity that a new row names or stands for, from nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gridcore import cbor, merkle
from gridcore.errors import EncodingError
from gridcore.x509 import decode_certificate
from tests.twin import governance
from tests.twin import registry as entities
from tests.twin.bilateral import answering, organisations_of
from tests.twin.conflicts import does_conflict
from tests.twin.forms import ZEROS, Leaf, Transaction, fits, salted_root
from tests.twin.market import may_have_traded
from tests.twin.metering import row_at, span_of
from tests.twin.refusals import is_approved, is_refused, points_of_rules
from tests.twin.registry_forms import TAKEN_UP, has_form, has_name, is_registry_row

if TYPE_CHECKING:
    from tests.twin.registry import Registry
    from tests.twin.twin import Twin

ROW_BYTES_MAX = 32_768
NAMED = [
    ("organisation", "organisation"),
    ("zone", "zone"),
    ("rules", "rules"),
    ("calendar", "calendar"),
    ("area", "area"),
]
NAMED += [
    ("aggregator", "signer"),
    ("tariff", "tariff"),
    ("party", "party"),
    ("standing_profile", "standing_profile"),
    ("point", "point"),
    ("gateway", "gateway"),
    ("seller", "party"),
    ("buyer", "party"),
    ("seller_point", "point"),
    ("buyer_point", "point"),
    ("exchange_area", "area"),
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
    needs_more = twin.leaves["chain"]["thresholds"]["registry"] > 1 and not kinds <= {"signer", "gateway", "party"}
    if needs_more or answering(twin.registry, rows) - {organisation}:
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
        rows, counts = [row for _, row in salted], dict(twin.registry.counts)
        code = judge(twin, salted, pending["organisation"])
        if code:
            return code
        if answering(twin.registry, rows) <= {pending["organisation"], *approved["approved_by"]}:
            take_effect(twin, rows, before)
            approved |= {"rows": []}
            governance.take_off(twin, pending["organisation"], tx.content["body"]["transaction"])
        else:
            undo(twin, before, counts)
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
    said = [from_s for key, from_s, _ in (cbor.decode(row) for _, row in salted) if key == "key_policy/gateway"]
    if said:
        registry.withdraw("key_policy/gateway", min(said), twin.height)
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
            since_s = gap_begin(twin, zone, key, value, from_s) if key.startswith("installation/") else from_s
            twin.reopened.setdefault(zone, set()).add((since_s, end_of_row(twin, zone, key, from_s)))


def end_of_row(twin: Twin, zone: str, key: str, from_s: int) -> int:
    """Before which time a row says something: of a point, where the zone's runs follow points, where its next entry begins, and not in slots
    before those.
    """
    is_followed = zone in twin.zones and "runs_follow_points" in twin.timeline(zone)
    if not key.startswith("point/") or not is_followed:
        return 2**62
    next_s = min([entry[0] for entry in twin.leaves[key]["entries"] if entry[0] > from_s], default=2**62)
    older_until_s: int = twin.timeline(zone).get("runs_follow_points_from_s", 0)
    return max(next_s, older_until_s) if from_s < older_until_s else next_s


def gap_begin(twin: Twin, zone: str, key: str, value: Leaf, from_s: int) -> int:
    """Where the gap began that a row of an installation bounds, if its zone closes gaps by parts and knew the meter."""
    timeline, number = twin.timeline(zone), int(key.split("/")[1])
    if "gap_slots_max" not in timeline or number not in twin.registry.installations:
        return from_s
    reach, (_, row) = timeline["gap_slots_max"] * twin.slot_s, twin.place(value["point"])
    values = range(from_s // twin.slot_s * twin.slot_s, from_s - reach - 1, -twin.slot_s)
    begun = [at_s for at_s in values if row_at(twin, zone, row, at_s) is not None]
    since_s = span_of(twin, number, from_s).since_s
    begin_s: int = begun[0] if begun else since_s if since_s >= max(from_s - reach, 0) else from_s
    return min(max(begin_s, twin.gap_slots_from_s(zone)), from_s)


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


def is_badly_kept(registry: Registry, key: str, from_s: int, value: Leaf) -> bool:
    """Whether a gateway's key is of a class that the policy does not name when the row begins to hold."""
    policy = registry.at("key_policy/gateway", from_s)
    return policy is not None and value.get("protection", "") not in ["", *policy["protections"]]


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
    if kind in ("agreement", "installation"):
        return [twin.place(value["seller_point" if kind == "agreement" else "point"])[0]]
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
    if kind == "zone" and is_taken_up_early(twin, name, value):
        return 51
    if kind == "zone" and is_rule_replaced(twin, name, from_s, value):
        return 53
    entries = leaf["entries"]
    is_full = len(entries) == entities.ENTRIES_MAX
    is_again = key in twin.voted or any(entry[:2] == [from_s, twin.height] for entry in entries)
    if is_again or (is_full and from_s <= entries[0][0]) or from_s <= leaf.get("folded_to_s", -1):
        return 51
    if is_full and min(from_s, entries[1][0]) > needed_s(twin, kind, name, value):
        return 53
    return 53 if kind == "point" and from_s % twin.slot_s else 0


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
    if kind == "agreement" and organisation in organisations_of(registry, value):
        return True
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
        own, agreed = of_series(registry, name)
        return [zone for key in own for zone in zones_of(registry, "rules", key.split("/")[1], {})] + [
            zone for value in agreed for zone in zones_of(registry, "agreement", "", value)
        ]
    if kind in ("party", "point"):
        return [registry.find_zone(value["area"])]
    if kind in ("agreement", "installation"):
        point = registry.history("point/" + value["seller_point" if kind == "agreement" else "point"])
        return [registry.find_zone(point[0][1]["area"]) if point else None]
    return []


def of_series(registry: Registry, name: str) -> tuple[list[str], list[Leaf]]:
    """The keys of the rules that name a price series in an entry that is not folded, and such entries of agreements: replaced ones too."""
    own = [
        key for key in registry.keys("rules") if any(name in v.get("series", {}).values() for v in registry.ever(key))
    ]
    return own, [v for key in registry.keys("agreement") for v in registry.ever(key) if v.get("series") == name]


def horizon_s(twin: Twin, zone: str | None) -> int:
    """Where the slots of a zone begin that are not final."""
    rows = twin.registry.history(f"zone/{zone}")
    if not rows or "final_after_s" not in rows[0][1]:
        return 0
    final_after_s: int = rows[0][1]["final_after_s"]
    return max(0, (twin.ledger_time_s - final_after_s) // twin.slot_s * twin.slot_s)


def least_from_s(twin: Twin, kind: str, name: str, value: Leaf, is_first: bool) -> int:
    """The earliest time from which a row may hold."""
    if kind in ("organisation", "signer", "gateway", "zone", "key_policy"):
        return twin.ledger_time_s
    if is_first and kind in ("calendar", "area", "price_series", "rules", "party", "standing_profile"):
        return 0
    if kind == "calendar":
        return twin.ledger_time_s
    return max((horizon_s(twin, zone) for zone in zones_of(twin.registry, kind, name, value)), default=0)


def is_taken_up_early(twin: Twin, name: str, value: Leaf) -> bool:
    """Whether gaps would be bound anew that reach, with 16 days before them, into slots that are final now."""
    from_s, horizon = value.get("gap_slots_from_s"), horizon_s(twin, name)
    said = [rule_of(other, "gap_slots") for _, other in twin.registry.history(f"zone/{name}")]
    if from_s is None or rule_of(value, "gap_slots") in said or not horizon:
        return False
    return bool(from_s < horizon + value["gap_slots_max"] * twin.slot_s + 16 * 86_400)


def is_rule_replaced(twin: Twin, name: str, from_s: int, value: Leaf) -> bool:
    """Whether the entry of the same time says a rule, and this one says it otherwise or not at all."""
    same = [other for other_s, other in twin.registry.history(f"zone/{name}") if other_s == from_s]
    return any(
        f"{word}_from_s" in same[0] and rule_of(same[0], word) != rule_of(value, word) for word in TAKEN_UP if same
    )


def rule_of(value: Leaf, word: str) -> tuple[Any, Any]:
    """A rule that zones take up, and from which slot on."""
    return value.get(TAKEN_UP[word]), value.get(f"{word}_from_s")


def needed_s(twin: Twin, kind: str, name: str, value: Leaf) -> int:
    """The time from which on it must be told what was in force."""
    if kind in ("organisation", "signer", "gateway", "key_policy"):
        return twin.ledger_time_s
    if kind == "reactive_energy" or (kind == "price_series" and not any(of_series(twin.registry, name))):
        return twin.ledger_time_s
    horizon = min((horizon_s(twin, zone) for zone in zones_of(twin.registry, kind, name, value)), default=0)
    return max(0, horizon - value["open_before_start_s"]) if kind == "zone" else horizon


# ---------------------------------------------------------------------------------------------------- all together


def together_code(twin: Twin, rows: Sequence[Any], before: dict[str, Leaf]) -> int:
    """52, 53, 17 or 54 for rows that stand in the registry now; ``before``: the leaves without them."""
    registry = twin.registry
    if any(not is_known(twin, key, from_s, value) for key, from_s, value in rows):
        return 52
    if code := next(filter(None, (certificate_code(twin, key, from_s, value) for key, from_s, value in rows)), 0):
        return code
    if any(is_badly_kept(registry, key, from_s, value) for key, from_s, value in rows):
        return 96
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


def is_known(twin: Twin, key: str, from_s: int, value: Leaf) -> bool:
    """Whether everything that a row names has begun when the row begins."""
    keys = [f"{kind}/{value[field]}" for field, kind in NAMED if field in value]
    series = value.get("series", {})
    keys += [f"price_series/{name}" for name in (series.values() if isinstance(series, dict) else [series])]
    components = value["components"] if key.startswith("tariff/") else []
    keys += [f"price_series/{one['price_series']}" for one in components if "price_series" in one]
    if key.startswith(("grid_connection/", "reactive_energy/")):
        keys.append("point/" + key.split("/")[1])
    if key.startswith("balance_terms/"):
        keys.append("area/" + key.split("/")[1])
    begun = [twin.registry.history(named) for named in keys if not (is_of_documents(key) and has_folded(twin, named))]
    return all(rows and rows[0][0] <= from_s for rows in begun)


def is_of_documents(key: str) -> bool:
    """Whether documents alone rest on a row."""
    return key.startswith(("balance_terms/", "tariff/"))


def has_folded(twin: Twin, key: str) -> bool:
    """Whether entries of an entity have been folded."""
    return "folded" in twin.leaves.get(key, {})


def leaves_orders(twin: Twin, key: str, from_s: int, value: Leaf, before: dict[str, Leaf]) -> bool:
    """Whether a point's row takes it from a party that has an order in a slot from then on."""
    old = twin.registry.in_leaf(before.get(key), from_s)
    if not key.startswith("point/") or old is None or "party" not in old or old["party"] == value.get("party"):
        return False
    zone = twin.registry.find_zone(value["area"])
    slots = {int(leaf.split("/")[1]) for leaf in twin.leaves if leaf.startswith("book/") and leaf.split("/")[2] == zone}
    return any(
        slot >= from_s and any(order.party == old["party"] for order in may_have_traded(twin, str(zone), slot))
        for slot in slots
    )
