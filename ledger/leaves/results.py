"""``results/<slot_start_s>/<zone>/<run>/<chunk>``: what a run says of each area, as columns, in chunks of area numbers; written once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.leaves.columns import Digests, Int64, chunks, pack_each, unpack_digests, unpack_each
from ledger.leaves.family import Family, Value, WritableLeaves
from ledger.leaves.money import Money


class ResultsLeaf(NamedTuple):
    """Areas of a zone, int64[n] by name. columns: the contract's area columns; rules: uint8[n, 32], entry digest of each area's rules;
    totals, totals_nano: account -> what it received in this run, whole units and nano; seed: 32 bytes, of the whole run.
    """

    columns: Mapping[str, Int64]
    rules: Digests
    seed: bytes
    totals: Mapping[str, Int64]
    totals_nano: Mapping[str, Int64]

    @property
    def received(self) -> Mapping[str, Money]:
        """What each account received in this run, area by area."""
        return {account: Money(units, self.totals_nano[account]) for account, units in self.totals.items()}

    def take(self, areas: slice) -> ResultsLeaf:
        """Those of some areas."""

        def part(columns: Mapping[str, Int64]) -> dict[str, Int64]:
            return {name: column[areas] for name, column in columns.items()}

        return ResultsLeaf(part(self.columns), self.rules[areas], self.seed, part(self.totals), part(self.totals_nano))


def _key(slot_start_s: int, zone: str, run: str, chunk: int) -> str:
    return f"results/{slot_start_s}/{zone}/{run}/{chunk}"


def _decode(
    columns: Mapping[str, bytes],
    rules: bytes,
    seed: bytes,
    totals: Mapping[str, bytes],
    totals_nano: Mapping[str, bytes],
) -> ResultsLeaf:
    return ResultsLeaf(unpack_each(columns), unpack_digests(rules), seed, unpack_each(totals), unpack_each(totals_nano))


def _encode(record: ResultsLeaf) -> Value:
    return {
        "columns": pack_each(record.columns),
        "rules": record.rules.tobytes(),
        "seed": record.seed,
        "totals": pack_each(record.totals),
        "totals_nano": pack_each(record.totals_nano),
    }


RESULTS: Final = Family("results", _key, _decode, _encode, is_prunable=True)


def save_results(leaves: WritableLeaves, slot_start_s: int, zone: str, run: str, whole: ResultsLeaf) -> None:
    """Write what a run says of all areas, chunk by chunk."""
    for chunk, start, end in chunks(len(whole.rules)):
        RESULTS.save(leaves, whole.take(slice(start, end)), slot_start_s, zone, run, chunk)
