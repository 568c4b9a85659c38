"""``profiles/<zone>/<chunk>``: the parts of profiles as columns, in chunks of party numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ledger.leaves.columns import Digests, Int64, join_columns, pack_each, unpack_digests, unpack_each
from ledger.leaves.family import Family, Leaves, Value
from ledger.leaves.profile_span import PROFILE_SPAN


class ProfilesLeaf(NamedTuple):
    """Parts of the parties of one chunk, in order of acceptance: columns int64[n]; ids, seeds: uint8[n, 32].

    area, party: numbers, in the zone and on the chain; counter: of its order in every slot from first_slot_s to before end_s; side, wants: as in
    a book; entries: how many of ``quantities_wh``, which stand one part behind the other, are its own; ids: of the transactions;
    seeds: secret, bound to the transaction.
    """

    area: Int64
    counter: Int64
    end_s: Int64
    entries: Int64
    first_slot_s: Int64
    party: Int64
    price_micro_per_kwh: Int64
    side: Int64
    wants: Int64
    quantities_wh: NDArray[np.integer]
    ids: Digests
    seeds: Digests

    def take(self, rows: NDArray[np.bool_]) -> ProfilesLeaf:
        """Some of the parts, by truth of each."""
        columns: dict[str, Any] = {
            name: column[rows] for name, column in self._asdict().items() if name != "quantities_wh"
        }
        return ProfilesLeaf(**columns, quantities_wh=self.quantities_wh[np.repeat(rows, self.entries)])

    def given_in(self, slot_start_s: int, slot_s: int) -> GivenParts:
        """The parts that order in a slot: no quantity of any other slot is looked at."""
        first = np.cumsum(self.entries) - self.entries
        rows = np.flatnonzero((self.first_slot_s <= slot_start_s) & (slot_start_s < self.end_s))
        place = first[rows] + (slot_start_s - self.first_slot_s[rows]) // slot_s % self.entries[rows]
        quantity_wh = self.quantities_wh[place].astype(np.int64)
        rows, quantity_wh = rows[quantity_wh > 0], quantity_wh[quantity_wh > 0]
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in GivenParts._fields[:-1]}
        return GivenParts(**columns, quantity_wh=quantity_wh)


class GivenParts(NamedTuple):
    """Parts as they order in one slot, columns as those of ``ProfilesLeaf``; quantity_wh: int64[n], above 0, of that slot."""

    area: Int64
    counter: Int64
    party: Int64
    price_micro_per_kwh: Int64
    side: Int64
    wants: Int64
    ids: Digests
    seeds: Digests
    quantity_wh: Int64

    def take(self, rows: Int64 | NDArray[np.bool_]) -> GivenParts:
        """Some of them."""
        columns: dict[str, Any] = {name: column[rows] for name, column in self._asdict().items()}
        return GivenParts(**columns)


_COLUMNS: Final = ProfilesLeaf._fields[:-3]
_DIGESTS: Final = ProfilesLeaf._fields[-2:]


def _key(zone: str, chunk: int) -> str:
    return f"profiles/{zone}/{chunk}"


def _decode(quantities_wh: bytes, ids: bytes, seeds: bytes, **columns: bytes) -> ProfilesLeaf:
    """The column ``wants`` is there where a part asks for something: leaves from before there were such are as they were."""
    unpacked: dict[str, Any] = unpack_each(columns)
    unpacked.setdefault("wants", np.zeros_like(unpacked["party"]))
    quantities = np.frombuffer(quantities_wh, dtype="<u4")
    return ProfilesLeaf(**unpacked, quantities_wh=quantities, ids=unpack_digests(ids), seeds=unpack_digests(seeds))


def _encode(record: ProfilesLeaf) -> Value:
    asked = _COLUMNS if record.wants.any() else [name for name in _COLUMNS if name != "wants"]
    columns = pack_each({name: getattr(record, name) for name in asked})
    quantities = record.quantities_wh.astype("<u4").tobytes()
    return {**columns, "quantities_wh": quantities, "ids": record.ids.tobytes(), "seeds": record.seeds.tobytes()}


PROFILES: Final = Family("profiles", _key, _decode, _encode)


def join_profiles(leaves: Sequence[ProfilesLeaf]) -> ProfilesLeaf:
    """The parts of several chunks, one after the other."""
    columns: dict[str, Any] = {
        name: join_columns(getattr(leaf, name) for leaf in leaves) for name in (*_COLUMNS, "quantities_wh")
    }
    for name in _DIGESTS:
        columns[name] = unpack_digests(b"".join(getattr(leaf, name).tobytes() for leaf in leaves))
    return ProfilesLeaf(**columns)


def load_given(leaves: Leaves, zone: str, slot_start_s: int, slot_s: int) -> tuple[GivenParts, int]:
    """The parts of a zone that order in a slot, in order of chunks; and how many parts the zone has kept."""
    span = PROFILE_SPAN.load(leaves, zone)
    kept, given = 0, [join_profiles([]).given_in(slot_start_s, slot_s)]
    for chunk in span.chunks if span else ():
        leaf = PROFILES.must(leaves, zone, chunk)
        kept += len(leaf.party)
        given.append(leaf.given_in(slot_start_s, slot_s))
    return GivenParts(*map(np.concatenate, zip(*given, strict=True))), kept
