"""The state leaves of a run, a clearing and a chain, as docs/spec/state.md lays them out."""

from dataclasses import dataclass

from tests.second_verifier.encoding import (
    Item,
    MalformedError,
    as_array,
    as_digest,
    as_int,
    as_map,
    as_name,
    as_natural,
    as_text,
    as_time,
    as_word,
)
from tests.second_verifier.proofs import Leaf, RowProof, as_leaf, as_row_proof


@dataclass(frozen=True)
class Run:
    leaf: Leaf
    areas_root: bytes
    as_of_height: int
    contract: str
    contract_pin: bytes
    rows_root: bytes
    name: str
    slot_start_s: int
    zone: str


def as_run(item: Item) -> Run:
    proof = as_map(item, "leaf path")
    leaf = as_leaf(proof["leaf"], proof["path"])
    fields = as_map(
        leaf.value,
        "areas areas_root as_of_height contract contract_pin points rows rows_root run slot_start_s totals_root zone",
    )
    for key in ("areas", "points", "rows"):
        as_natural(fields[key])
    as_digest(fields["totals_root"])
    return Run(
        leaf=leaf,
        areas_root=as_digest(fields["areas_root"]),
        as_of_height=as_natural(fields["as_of_height"]),
        contract=as_text(fields["contract"]),
        contract_pin=as_digest(fields["contract_pin"]),
        rows_root=as_digest(fields["rows_root"]),
        name=as_name(fields["run"]),
        slot_start_s=as_time(fields["slot_start_s"]),
        zone=as_name(fields["zone"]),
    )


@dataclass(frozen=True)
class Runs:
    leaf: Leaf
    runs: tuple[tuple[str, int], ...]


def as_runs(item: Item) -> Runs:
    proof = as_map(item, "leaf path")
    leaf = as_leaf(proof["leaf"], proof["path"])
    pairs = [as_array(pair, 2, 2) for pair in as_array(as_map(leaf.value, "runs")["runs"])]
    return Runs(leaf, tuple((as_name(run), as_natural(height)) for run, height in pairs))


@dataclass(frozen=True)
class Chain:
    leaf: Leaf
    slot_s: int
    clock: str


def as_chain(item: Item) -> Chain:
    proof = as_map(item, "leaf path")
    leaf = as_leaf(proof["leaf"], proof["path"])
    fields = as_map(leaf.value, "clock currency name slot_s thresholds")
    clock = as_word(fields["clock"], "block simulated imported")
    currency, name = as_text(fields["currency"], 3, 3), as_text(fields["name"], 1, 40)
    if not set(currency) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ") or any(ord(c) < 32 or c in "/\x7f" for c in name):
        raise MalformedError("not a currency, or not a chain's name")
    for threshold in as_map(fields["thresholds"], "contract protocol registry signers").values():
        as_int(threshold, 1)
    return Chain(leaf, as_int(fields["slot_s"]), clock)


@dataclass(frozen=True)
class Clearing:
    leaf: Leaf
    areas_root: bytes
    contract: str
    contract_pin: bytes
    slot_start_s: int
    zone: str
    area: RowProof


def as_clearing(item: Item) -> Clearing:
    proof = as_map(item, "area leaf path")
    leaf = as_leaf(proof["leaf"], proof["path"])
    fields = as_map(leaf.value, "areas areas_root contract contract_pin slot_start_s zone")
    as_natural(fields["areas"])
    return Clearing(
        leaf=leaf,
        areas_root=as_digest(fields["areas_root"]),
        contract=as_text(fields["contract"]),
        contract_pin=as_digest(fields["contract_pin"]),
        slot_start_s=as_time(fields["slot_start_s"]),
        zone=as_name(fields["zone"]),
        area=as_row_proof(proof["area"], 121, 157),
    )
