"""Proposals and votes (docs/spec/governance.md): who may vote, what an action needs, and what becomes of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gridcore import cbor, merkle
from gridcore.errors import EncodingError
from tests.twin import registration, validators
from tests.twin.forms import KINDS, NAME, Leaf, Transaction, fits
from tests.twin.registry_forms import ROLES, has_form, has_name, is_point

if TYPE_CHECKING:
    from tests.twin.twin import Twin

PROPOSALS_MAX, REGISTRATIONS_MAX, CONTRACTS_MAX, VERSIONS_MAX = 8, 1_024, 256, 256
OPEN_S = range(3_600, 31 * 86_400 + 1)
POSITIVE, COUNT = range(1, 2**63), range(1, 2**31 + 1)
TEXT = re.compile(".{1,64}", re.DOTALL)
ACTIONS: dict[str, Any] = {
    "membership": {"rows": list, "seed": 32, "sort": str},
    "validators": {"sort": str, "validators": list},
    "contract": {"contract": TEXT, "height": POSITIVE, "pin": 32, "sort": str},
    "protocol": {"height": POSITIVE, "sort": str, "version": range(3, 2**31 + 1)},
    "permission": {"kind": TEXT, "roles": list, "sort": str},
    "thresholds": {"contract": COUNT, "protocol": COUNT, "registry": COUNT, "signers": COUNT, "sort": str},
}
PROVEN = [
    "market/order", "market/order_batch", "market/profile", "metering/approve", "metering/interval_import", "metering/reading_batch", "registry/register"
]  # fmt: skip
THRESHOLDS = {
    "membership": ["signers"],
    "validators": ["signers"],
    "contract": ["contract"],
    "protocol": ["protocol"],
    "permission": ["registry", "signers"],
    "thresholds": ["contract", "protocol", "registry", "signers"],
}


# -------------------------------------------------------------------------------------------------------- who, what


def voters(twin: Twin) -> set[str]:
    """The organisations that may vote, by everything that is recorded, this block included."""
    keys = [key for key in twin.registry.keys("organisation") if takes_part(twin, key)]
    found = {key: twin.registry.at(key, twin.ledger_time_s) or {} for key in keys}
    return {key.split("/")[1] for key, value in found.items() if "administrator" in value.get("roles", [])}


def takes_part(twin: Twin, organisation: str) -> bool:
    """Whether an organisation is there and not removed, by everything that is recorded, this block included."""
    found = twin.registry.at(organisation, twin.ledger_time_s)
    return found is not None and not twin.is_removed(organisation, twin.height)


def read_action(data: bytes) -> Leaf | None:
    """The map of an action of good form, or None."""
    try:
        action = cbor.decode(data, items_max=4_096)
    except EncodingError:
        return None
    sort = action.get("sort") if isinstance(action, dict) else None
    if not isinstance(sort, str) or sort not in ACTIONS or not fits(action, ACTIONS[sort]):
        return None
    if sort == "membership" and not are_member_rows(action["rows"]):
        return None
    if sort == "validators" and not are_validators(action["validators"]):
        return None
    if sort == "permission":
        roles = action["roles"]
        if not roles or not all(role in ROLES for role in roles) or roles != sorted(set(roles)):
            return None
        if action["kind"] in PROVEN:
            return None
        if action["kind"].split("/")[0] in ("governance", "registry") and "administrator" not in roles:
            return None
    return dict(action)


def are_member_rows(rows: list[Any]) -> bool:
    """Whether these are rows of organisations and signers."""
    if not 1 <= len(rows) <= 16 or not all(fits(row, [str, dict]) for row in rows):
        return False
    for key, value in rows:
        kind, _, name = key.partition("/")
        if kind not in ("organisation", "signer") or not has_name(kind, name) or not has_form(kind, value):
            return False
        if len(cbor.encode([key, 253_402_300_799, value])) > registration.ROW_BYTES_MAX:
            return False
    return True


def are_validators(members: list[Any]) -> bool:
    """Whether these are a set: names and keys unique, keys ascending, consensus keys in all of them or in none."""
    form = {"consensus_key": bytes, "name": NAME, "organisation": NAME, "power": COUNT, "public_key": 65}
    if not 1 <= len(members) <= 256 or not all(fits(one, form) and is_point(one["public_key"]) for one in members):
        return False
    names, keys = {one["name"] for one in members}, [one["public_key"] for one in members]
    engine_keys = [one["consensus_key"] for one in members]
    has_engine = all(len(key) == 32 for key in engine_keys) and len(set(engine_keys)) == len(engine_keys)
    if len(cbor.encode(members)) > 49_000:
        return False
    return len(names) == len(keys) and keys == sorted(set(keys)) and (has_engine or not any(engine_keys))


# ---------------------------------------------------------------------------------------------------- proposals, votes


def propose(twin: Twin, tx: Transaction, organisation: str) -> int:
    """Open a proposal whose action may take effect now; it may be decided at once."""
    body = tx.content["body"]
    action = read_action(body["action"])
    if body["open_until_s"] - twin.ledger_time_s not in OPEN_S or action is None:
        return 24
    if organisation not in voters(twin):
        return 15
    if len(waiting(twin, organisation)["proposals"]) >= PROPOSALS_MAX:
        return 25
    if code := carry_out(twin, action, is_kept=False):
        return code
    end_expired(twin, organisation)
    twin.leaves[f"undecided/{organisation}"]["proposals"].append(tx.id)
    opened = {"action": body["action"], "against": [], "in_favour": [organisation], "status": "open"}
    opened |= {"open_until_s": body["open_until_s"], "organisation": organisation, "proposed_height": twin.height}
    return decide(twin, tx.id, opened)


def vote(twin: Twin, tx: Transaction, organisation: str) -> int:
    """One vote an organisation, while the proposal is open."""
    body = tx.content["body"]
    if organisation not in voters(twin):
        return 15
    proposal = twin.leaves.get(f"proposal/{body['proposal'].hex()}")
    if proposal is None or proposal["status"] != "open" or proposal["open_until_s"] < twin.ledger_time_s:
        return 22
    side = "in_favour" if body["in_favour"] else "against"
    if organisation in proposal["in_favour"] + proposal["against"]:
        is_again = organisation in proposal[side] and outcome(twin, proposal)
        return decide(twin, body["proposal"], proposal) if is_again else 23
    return decide(twin, body["proposal"], proposal | {side: sorted([*proposal[side], organisation], key=str.encode)})


def outcome(twin: Twin, proposal: Leaf) -> str:
    """What an open proposal's votes come to by now: passed, failed, or nothing yet."""
    action, may_vote = read_action(proposal["action"]), voters(twin)
    assert action is not None
    needed = max(twin.leaves["chain"]["thresholds"][name] for name in THRESHOLDS[action["sort"]])
    if len(may_vote & set(proposal["in_favour"])) >= needed:
        return "passed"
    return "failed" if len(may_vote - set(proposal["against"])) < needed else ""


def decide(twin: Twin, transaction: bytes, proposal: Leaf) -> int:
    """What a proposal's votes come to; nothing where it passes and may not take effect."""
    found, action = outcome(twin, proposal), read_action(proposal["action"])
    if found == "passed":
        assert action is not None
        if code := carry_out(twin, action, is_kept=True):
            return code
        proposal = proposal | {"status": "passed", "decided_height": twin.height}
    elif found == "failed":
        proposal = proposal | {"status": "failed", "decided_height": twin.height, "action": b""}
    if proposal["status"] != "open":
        take_off(twin, proposal["organisation"], transaction)
    twin.leaves[f"proposal/{transaction.hex()}"] = proposal
    return 0


# ------------------------------------------------------------------------------------------------ what waits, and ends


def waiting(twin: Twin, organisation: str) -> Leaf:
    """What an organisation has listed and others can still decide."""
    listed = twin.leaves.get(f"undecided/{organisation}", {"proposals": [], "registrations": []})

    def until_s(found: bytes) -> int:
        leaf = twin.leaves.get(f"proposal/{found.hex()}") or twin.leaves[f"pending/{found.hex()}"]
        return int(leaf["open_until_s"] if "open_until_s" in leaf else leaf["valid_until_s"])

    return {name: [found for found in listed[name] if until_s(found) >= twin.ledger_time_s] for name in listed}


def end_expired(twin: Twin, organisation: str) -> None:
    """What nobody can decide any more ends when the organisation makes its next."""
    left = waiting(twin, organisation)
    listed = twin.leaves.get(f"undecided/{organisation}", left)
    for found in set(listed["proposals"]) - set(left["proposals"]):
        key = f"proposal/{found.hex()}"
        twin.leaves[key] = twin.leaves[key] | {"status": "expired", "action": b""}
    for found in set(listed["registrations"]) - set(left["registrations"]):
        key = f"pending/{found.hex()}"
        twin.leaves[key] = twin.leaves[key] | {"rows": []}
    twin.leaves[f"undecided/{organisation}"] = left


def take_off(twin: Twin, organisation: str, transaction: bytes) -> None:
    """What was decided waits no more."""
    key = f"undecided/{organisation}"
    listed = twin.leaves[key]
    twin.leaves[key] = {name: [other for other in listed[name] if other != transaction] for name in listed}


# ------------------------------------------------------------------------------------------------------------- actions


def carry_out(twin: Twin, action: Leaf, *, is_kept: bool) -> int:
    """Do what an action says, or answer why not; undone unless ``is_kept``."""
    before, counts, voted = dict(twin.leaves), dict(twin.registry.counts), set(twin.voted)
    code = EFFECTS[action["sort"]](twin, action)
    if code or not is_kept:
        twin.voted = voted
        registration.undo(twin, before, counts)
    return code


def change_members(twin: Twin, action: Leaf) -> int:
    """Rows of organisations and signers from ledger time on."""
    named = [key for key, _ in action["rows"] if key.startswith("organisation/")]
    if any(twin.is_removed(key, twin.height) for key in named):
        return 53
    leaf = twin.leaves["validators"]
    certifying = {one["organisation"] for one in leaf["current"] + leaf["pending"]}
    if any("removed" in value and key.split("/")[1] in certifying for key, value in action["rows"]):
        return 53
    signers = [value for key, value in action["rows"] if key.startswith("signer/")]
    voting = voters(twin) | {value["organisation"] for value in signers if "administrator" in value.get("roles", [])}
    for key, value in action["rows"]:
        if key in named and "administrator" in value.get("roles", []) and key.split("/")[1] not in voting:
            return 53
    rows = [cbor.encode([key, twin.ledger_time_s, value]) for key, value in action["rows"]]
    salted = list(zip(merkle.salts(action["seed"], len(rows)), rows, strict=True))
    if code := registration.judge(twin, salted, None):
        return code
    twin.voted |= {key for key, _ in action["rows"]}
    return 26 if len(voters(twin)) < max(twin.leaves["chain"]["thresholds"].values()) else 0


def change_validators(twin: Twin, action: Leaf) -> int:
    """Another set, which waits."""
    new, current = action["validators"], twin.leaves["validators"]["current"]
    if new == current or bool(new[0]["consensus_key"]) != bool(current[0]["consensus_key"]):
        return 24
    owners = [f"organisation/{one['organisation']}" for one in new]
    if not all(takes_part(twin, owner) for owner in owners):
        return 24
    return validators.propose_set(twin, new)


def approve_contract(twin: Twin, action: Leaf) -> int:
    """Another contract, from a later height on."""
    approved = twin.leaves["contracts"]["approved"]
    is_known = action["contract"] in [entry[0] for entry in approved]
    if is_known or action["height"] <= twin.height or len(approved) >= CONTRACTS_MAX:
        return 24
    new = [*approved, [action["contract"], action["pin"], action["height"]]]
    twin.leaves["contracts"] = {"approved": sorted(new, key=lambda entry: entry[0].encode())}
    return 0


def activate(twin: Twin, action: Leaf) -> int:
    """Another version of the protocol, from a later height on."""
    versions = twin.leaves["protocol"]["versions"]
    version, height = versions[-1]
    is_late = action["version"] <= version or action["height"] <= max(height, twin.height)
    if is_late or len(versions) >= VERSIONS_MAX:
        return 24
    twin.leaves["protocol"] = {"versions": [*versions, [action["version"], action["height"]]]}
    return 0


def permit(twin: Twin, action: Leaf) -> int:
    """Other roles for a kind of transaction."""
    if action["kind"] not in KINDS:
        return 24
    roles = twin.leaves.get("permissions", {"roles": {}})["roles"]
    twin.leaves["permissions"] = {"roles": roles | {action["kind"]: action["roles"]}}
    return 0


def change_thresholds(twin: Twin, action: Leaf) -> int:
    """Other numbers, none above that of the organisations that may vote."""
    numbers = {name: action[name] for name in ("contract", "protocol", "registry", "signers")}
    if max(numbers.values()) > len(voters(twin)):
        return 26
    twin.leaves["chain"] = twin.leaves["chain"] | {"thresholds": numbers}
    return 0


EFFECTS = {
    "membership": change_members,
    "validators": change_validators,
    "contract": approve_contract,
    "protocol": activate,
    "permission": permit,
    "thresholds": change_thresholds,
}
