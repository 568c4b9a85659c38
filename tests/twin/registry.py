"""The registry: entities with dated entries, and what is in force (docs/spec/registry.md)."""

from __future__ import annotations

from collections.abc import Sequence

from gridcore import cbor, merkle
from gridcore.errors import EncodingError
from gridcore.sm3 import sm3
from tests.twin.forms import NAME, TIME, ZEROS, Leaf, Transaction, fits, salted_root

ENTRIES_MAX, ROW_BYTES_MAX = 64, 4_096
ROLES = ["administrator", "aggregator", "clock", "gateway", "prosumer", "regulator", "utility"]
KINDS = ["organisation", "signer", "gateway", "zone", "area", "rules", "party", "standing_profile", "point"]
KINDS += ["installation"]
SIGNER = [{"organisation": NAME, "public_key": 65, "roles": list}, {"organisation": NAME, "revoked": True}]


class Registry:
    """What was registered. ``leaves`` are the state's; the rows stand beside them, by their salted digest."""

    def __init__(self, leaves: dict[str, Leaf]) -> None:
        self.leaves = leaves
        self.rows: dict[bytes, bytes] = {}
        self.zones: list[str] = []
        self.areas: dict[str, list[str]] = {}
        """By zone: its areas by number."""
        self.parties: list[str] = []
        self.points: dict[str, list[str]] = {}
        """By zone: its points by row."""
        self.installations: list[int] = []

    def record(self, rows: Sequence[bytes], seed: bytes, height: int) -> None:
        """Add the entries that these rows are, in order."""
        for row, salt in zip(rows, merkle.salts(seed, len(rows)), strict=True):
            self.record_row(row, salt, height)

    def record_row(self, row: bytes, salt: bytes, height: int) -> None:
        """Add one entry; the oldest of more than 64 is folded."""
        key, from_s, value = cbor.decode(row)
        digest = merkle.leaf_hash(salt + row)
        self.rows[digest] = row
        if key not in self.leaves:
            self.leaves[key] = {"entries": []} | self.number(key, value)
        leaf = dict(self.leaves[key])
        entries = sorted([*leaf["entries"], [from_s, height, digest]], key=lambda entry: entry[:2])
        if len(entries) > ENTRIES_MAX:
            oldest = entries.pop(0)
            leaf["folded"] = sm3(cbor.encode(["folded/1", leaf.get("folded", ZEROS), oldest]))
            leaf["folded_to_s"] = oldest[0]
        self.leaves[key] = leaf | {"entries": entries}

    def number(self, key: str, value: Leaf) -> Leaf:
        """What a new entity's leaf holds beside its entries: its number for ever."""
        family, name = key.split("/", 1)
        if family == "zone":
            self.zones.append(name)
            self.areas[name], self.points[name] = [], []
        if family == "area":
            self.areas[value["zone"]].append(name)
            return {"number": len(self.areas[value["zone"]]) - 1}
        if family == "party":
            self.parties.append(name)
            return {"number": len(self.parties) - 1}
        if family == "point":
            zone = self.zone_of(value["area"])
            self.points[zone].append(name)
            return {"row": len(self.points[zone]) - 1}
        if family == "installation":
            self.installations.append(int(name))
        return {}

    def zone_of(self, area: str) -> str:
        """The zone of an area, which never changes."""
        _, _, value = cbor.decode(self.rows[self.leaves[f"area/{area}"]["entries"][0][2]])
        zone: str = value["zone"]
        return zone

    def entry(self, key: str, time_s: int, height: int) -> tuple[bytes, Leaf] | None:
        """Digest and value of the entry in force at a time as of a height, or None."""
        entries = self.leaves.get(key, {"entries": []})["entries"]
        known = [entry for entry in entries if entry[0] <= time_s and entry[1] <= height]
        if not known:
            return None
        _, _, value = cbor.decode(self.rows[known[-1][2]])
        return known[-1][2], value

    def value(self, key: str, time_s: int, height: int) -> Leaf | None:
        """The value in force, or None."""
        found = self.entry(key, time_s, height)
        return None if found is None else found[1]

    def must(self, key: str, time_s: int, height: int) -> Leaf:
        """The value in force of what cannot be absent."""
        value = self.value(key, time_s, height)
        assert value is not None, key
        return value

    def standing(self, number: int, height: int) -> list[tuple[int, Leaf]]:
        """(from_s, value) of an installation's entries known at a height, oldest first; of one from_s the last recorded."""
        entries = self.leaves[f"installation/{number}"]["entries"]
        known = {from_s: digest for from_s, recorded, digest in entries if recorded <= height}
        return [(from_s, cbor.decode(self.rows[digest])[2]) for from_s, digest in sorted(known.items())]

    def installation_at(self, point: str, time_s: int, height: int) -> tuple[int, Leaf] | None:
        """Number and value of the installation that measures a point at a time, or None."""
        for number in self.installations:
            value = self.value(f"installation/{number}", time_s, height)
            if value is not None and value["point"] == point and "removed" not in value:
                return number, value
        return None

    # ------------------------------------------------------------------------------------------- registry/register

    def register(self, tx: Transaction, organisation: str, ledger_time_s: int, height: int) -> int:
        """The code of a ``registry/register`` whose signer belongs to ``organisation``; recorded where it is 0."""
        try:
            content = cbor.decode(tx.attachment)
        except EncodingError:
            return 47
        body = tx.content["body"]
        if not fits(content, {"rows": list, "seed": 32}) or len(content["rows"]) != body["rows"]:
            return 47
        rows = content["rows"]
        if not all(isinstance(row, bytes) and len(row) <= ROW_BYTES_MAX for row in rows):
            return 47
        if salted_root(content["seed"], rows) != body["rows_root"] or not all(map(is_registry_row, rows)):
            return 47
        before = dict(self.leaves)
        for row, salt in zip(rows, merkle.salts(content["seed"], len(rows)), strict=True):
            code = self.row_code(row, organisation, ledger_time_s, height)
            if code:
                self.leaves.clear()
                self.leaves.update(before)
                return code
            self.record_row(row, salt, height)
        return 0

    def row_code(self, row: bytes, organisation: str, ledger_time_s: int, height: int) -> int:
        """What is wrong with one row after those before it, 0 if nothing is."""
        key, from_s, value = cbor.decode(row)
        family, _, name = key.partition("/")
        if family != "signer" or not fits(name, NAME) or not any(fits(value, form) for form in SIGNER):
            return 50
        roles = value.get("roles", [])
        if "roles" in value and (not roles or roles != sorted(set(roles)) or not set(roles) <= set(ROLES)):
            return 50
        if "public_key" in value and not is_point(value["public_key"]):
            return 50
        leaf = self.leaves.get(key, {"entries": []})
        entries = leaf["entries"]
        related = [
            self.leaves.get(f"{kin}/{name}", {"entries": []})["entries"] for kin in ("signer", "gateway", "party")
        ]
        owners = {cbor.decode(self.rows[own[-1][2]])[2]["organisation"] for own in related if own}
        allowed = self.must(f"organisation/{organisation}", ledger_time_s, height - 1)["roles"]
        if owners | {value["organisation"]} != {organisation} or not set(roles) <= set(allowed):
            return 15
        is_again = any(entry[:2] == [from_s, height] for entry in entries)
        would_fold = len(entries) == ENTRIES_MAX and from_s <= entries[0][0]
        return 51 if from_s < ledger_time_s or is_again or would_fold or from_s <= leaf.get("folded_to_s", -1) else 0


def is_registry_row(row: bytes) -> bool:
    """Whether these bytes are a canonical row of an entity that there is."""
    try:
        item = cbor.decode(row)
    except EncodingError:
        return False
    return fits(item, [str, TIME, dict]) and item[0].split("/")[0] in KINDS


def is_point(key: bytes) -> bool:
    """Whether these 65 bytes are a point of the SM2 curve."""
    p = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
    b = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
    x, y = int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big")
    return key[0] == 4 and x < p and y < p and (y * y - (x**3 - 3 * x + b)) % p == 0
