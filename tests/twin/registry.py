"""The registry: entities with dated entries, and what is in force (docs/spec/registry.md)."""

from __future__ import annotations

from collections.abc import Sequence

from gridcore import cbor, merkle
from gridcore.sm3 import sm3
from tests.twin.forms import ZEROS, Leaf
from tests.twin.registry_forms import prices_in

ENTRIES_MAX = 64


class Registry:
    """What was registered. ``leaves`` are the state's; what rows say stands beside them, by their salted digest."""

    def __init__(self, leaves: dict[str, Leaf]) -> None:
        self.leaves = leaves
        self.values: dict[bytes, Leaf] = {}
        """What each row says, decoded once: a settlement asks for it thousands of times. Nobody changes one."""
        self.zones: list[str] = []
        self.timelines: dict[str, Leaf] = {}
        """By zone: what the last of its rows says, of those that count."""
        self.areas: dict[str, list[str]] = {}
        """By zone: its areas by number."""
        self.parties: list[str] = []
        self.points: dict[str, list[str]] = {}
        """By zone: its points by row."""
        self.installations: list[int] = []
        self.counts: dict[tuple[str, str], int] = {}
        """Numbers given so far, by kind and zone."""
        self.listed: set[str] = set()

    def record(self, rows: Sequence[bytes], seed: bytes, height: int) -> None:
        """Add the entries that these rows are, in order."""
        for row, salt in zip(rows, merkle.salts(seed, len(rows)), strict=True):
            self.record_row(row, salt, height)

    def record_row(self, row: bytes, salt: bytes, height: int) -> None:
        """Add one entry; the oldest of more than 64 is folded."""
        key, from_s, value = cbor.decode(row)
        digest = merkle.leaf_hash(salt + row)
        self.values[digest] = value
        if key not in self.leaves:
            self.leaves[key] = {"entries": []} | self.number(key, value)
        leaf = dict(self.leaves[key])
        entries = sorted([*leaf["entries"], [from_s, height, digest]], key=lambda entry: entry[:2])
        if len(entries) > ENTRIES_MAX:
            oldest = entries.pop(0)
            leaf["folded"] = sm3(cbor.encode(["folded/1", leaf.get("folded", ZEROS), oldest]))
            leaf["folded_to_s"] = oldest[0]
        self.leaves[key] = leaf | {"entries": entries}

    def withdraw(self, key: str, time_s: int, height: int) -> None:
        """Drop the entries of an entity that begin after a time, or at it and of this height."""
        if key in self.leaves:
            left = [entry for entry in self.leaves[key]["entries"] if entry[:2] < [time_s, height]]
            self.leaves[key] = self.leaves[key] | {"entries": left}

    def number(self, key: str, value: Leaf) -> Leaf:
        """What a new entity's leaf holds beside its entries: its number for ever."""
        family, _ = key.split("/", 1)
        if family not in ("area", "party", "point"):
            return {}
        within = "" if family == "party" else value["zone"] if family == "area" else str(self.find_zone(value["area"]))
        number = self.counts.get((family, within), 0)
        self.counts[family, within] = number + 1
        return {"row" if family == "point" else "number": number}

    def list_new(self) -> None:
        """What genesis or a block has recorded counts from the next block on."""
        new = [key for key, leaf in self.leaves.items() if "entries" in leaf and key not in self.listed]
        for key in sorted(new, key=lambda key: (not key.startswith("zone/"), self.number_in(self.leaves[key]))):
            self.listed.add(key)
            family, name = key.split("/", 1)
            if family == "zone":
                self.zones.append(name)
                self.areas[name], self.points[name] = [], []
            elif family == "area":
                self.areas[self.first(key)["zone"]].append(name)
            elif family == "party":
                self.parties.append(name)
            elif family == "point":
                self.points[self.zone_of(self.first(key)["area"])].append(name)
            elif family == "installation":
                self.installations.append(int(name))
        self.timelines = {zone: self.history(f"zone/{zone}")[-1][1] for zone in self.zones}

    def number_in(self, leaf: Leaf) -> int:
        """The number that a leaf of an entity holds, 0 where it has none."""
        return int(leaf.get("number", 0)) + int(leaf.get("row", 0))

    def zone_of(self, area: str) -> str:
        """The zone of an area, which never changes."""
        zone: str = self.read(self.leaves[f"area/{area}"]["entries"][0][2])["zone"]
        return zone

    def entry(self, key: str, time_s: int, height: int) -> tuple[bytes, Leaf] | None:
        """Digest and value of the entry in force at a time as of a height, or None."""
        entries = self.leaves.get(key, {"entries": []})["entries"]
        known = [entry for entry in entries if entry[0] <= time_s and entry[1] <= height]
        if not known:
            return None
        return known[-1][2], self.read(known[-1][2])

    def series_price(self, name: str, time_s: int, height: int) -> int | None:
        """What a price series says at a time, or None."""
        entries = self.leaves[f"price_series/{name}"]["entries"]
        known = [entry for entry in entries if entry[0] <= time_s and entry[1] <= height]
        if not known:
            return None
        series = self.read(known[-1][2])
        prices = prices_in(series)
        place = (time_s - known[-1][0]) // series["slot_s"]
        return prices[place] if place < len(prices) else None

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
        return [(from_s, self.read(digest)) for from_s, digest in sorted(known.items())]

    def installation_at(self, point: str, time_s: int, height: int) -> tuple[int, Leaf] | None:
        """Number and value of the installation that measures a point at a time, or None."""
        for number in self.installations:
            value = self.value(f"installation/{number}", time_s, height)
            if value is not None and value["point"] == point and "removed" not in value:
                return number, value
        return None

    # ----------------------------------------------------------------------------------------------- all that is known

    def keys(self, kind: str) -> list[str]:
        """The keys of the entities of a kind."""
        return [key for key in self.leaves if key.startswith(f"{kind}/")]

    def keys_of(self, kind: str) -> list[str]:
        """The names of the entities of a kind."""
        return [key.split("/", 1)[1] for key in self.keys(kind)]

    def history(self, key: str) -> list[tuple[int, Leaf]]:
        """Every entry of an entity with its value, in order of time; of one time the last that was recorded."""
        return self.known(key, 2**62)

    def ever(self, key: str) -> list[Leaf]:
        """The value of every entry that is not folded, replaced ones too."""
        return [self.read(digest) for _, _, digest in self.leaves[key]["entries"]]

    def known(self, key: str, height: int) -> list[tuple[int, Leaf]]:
        """The same as of a height."""
        entries = [entry for entry in self.leaves.get(key, {"entries": []})["entries"] if entry[1] <= height]
        return sorted({from_s: self.read(digest) for from_s, _, digest in entries}.items(), key=lambda row: row[0])

    def read(self, digest: bytes) -> Leaf:
        """The value of a row."""
        return self.values[digest]

    def first(self, key: str) -> Leaf:
        """The value of the first entry: what never changes stands in it."""
        return self.history(key)[0][1]

    def at(self, key: str, time_s: int) -> Leaf | None:
        """The value in force at a time, by all that is recorded."""
        return next((value for from_s, value in reversed(self.history(key)) if from_s <= time_s), None)

    def must_at(self, key: str, time_s: int) -> Leaf:
        """The value in force at a time of what cannot be absent."""
        value = self.at(key, time_s)
        assert value is not None, key
        return value

    def in_leaf(self, leaf: Leaf | None, time_s: int) -> Leaf | None:
        """What a leaf said at a time."""
        known = [digest for from_s, _, digest in leaf["entries"] if from_s <= time_s] if leaf is not None else []
        return self.read(known[-1]) if known else None

    def find_zone(self, area: str) -> str | None:
        """The zone of an area, or None where there is no such area."""
        rows = self.history(f"area/{area}")
        return rows[0][1]["zone"] if rows else None
