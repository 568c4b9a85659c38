"""The records inside a bundle: headers, leaves, registry entries, transactions, rows, each with the roots that its paths lead to."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gridevidence.layout import (
    AREA_HEAD,
    BESIDE_ENTRIES,
    BODIES,
    ENDED,
    ENTITIES,
    ENTRIES,
    HEADER,
    I64,
    IDENTITIES,
    NAME,
    POSITION_HEAD,
    POWERS,
    PRICES,
    REGISTRY_ROW_BYTES_MAX,
    SERIES_VALUES_MAX,
    SIGNED,
    TEXT_64,
    TIME,
    U32,
)
from gridevidence.verifier.answers import hold, plain
from gridevidence.verifier.cbor import decode, encode
from gridevidence.verifier.shapes import conform
from gridevidence.verifier.sm3 import sm3
from gridevidence.verifier.trees import leaf_hash, root_of_path

_NUMBER: Final = re.compile("0|[1-9][0-9]{0,9}")


class Header(NamedTuple):
    """A block's header; ``digest`` is what its signers sign, and its leaf in the history of later ones."""

    chain: str
    height: int
    time_s: int
    ledger_time_s: int
    history_root: bytes
    data_root: bytes
    state_root: bytes
    signers: bytes
    signers_pending: bytes
    protocol_version: int
    digest: bytes


class Placed(NamedTuple):
    """A header, and the history root that its path (or the path beside it) leads to."""

    header: Header
    path: Sequence[bytes]
    history_root: bytes


class Leaf(NamedTuple):
    """A state leaf, and the state root that its path leads to."""

    key: str
    value: dict[str, Any]
    root: bytes


class Entry(NamedTuple):
    """One item of an entity's ``entries``: when it begins, in which block it was recorded, the digest of its row."""

    from_s: int
    recorded_height: int
    digest: bytes


class Entity(NamedTuple):
    """The leaf of a registered entity: its key is kind/name."""

    kind: str
    name: str
    number: int
    """What the leaf shows beside its entries: number of an area or party, row of a point; else 0."""
    entries: tuple[Entry, ...]
    is_in_order: bool
    """Entries ascend strictly, and what is folded is whole."""
    root: bytes

    @property
    def key(self) -> str:
        """Key of the leaf."""
        return f"{self.kind}/{self.name}"

    def recorded(self, as_of_height: int) -> list[Entry]:
        """Its entries that a block up to this height had recorded."""
        return [entry for entry in self.entries if entry.recorded_height <= as_of_height]

    def in_force(self, at_s: int, as_of_height: int) -> Entry | None:
        """The entry in force at a time, as of a height (docs/spec/registry.md)."""
        begun = [entry for entry in self.recorded(as_of_height) if entry.from_s <= at_s]
        return begun[-1] if begun else None

    def entry_of(self, row: RegistryRow) -> Entry:
        """The entry of a row; halts where it is none of the entity's."""
        found = [entry for entry in self.entries if row.is_of(entry)]
        hold(row.key == self.key and bool(found), f"the row of {self.key} is none of its entries'")
        return found[0]


class RegistryRow(NamedTuple):
    """An opened registry row: which entity it is of, from when on, and what it says."""

    key: str
    from_s: int
    value: dict[str, Any]
    digest: bytes

    @property
    def has_ended(self) -> bool:
        """Whether it says that the entity is retired, removed or revoked."""
        return ENDED.get(self.key.partition("/")[0], ("", {}))[0] in self.value

    def is_of(self, entry: Entry | None) -> bool:
        """Whether it is the row of this entry."""
        return entry is not None and (entry.from_s, entry.digest) == (self.from_s, self.digest)


class Opened(NamedTuple):
    """An entity, and the row of one of its entries."""

    entity: Entity
    row: RegistryRow

    @property
    def entry(self) -> Entry:
        """The entry whose row is shown; halts where it is none of the entity's."""
        return self.entity.entry_of(self.row)


class Row(NamedTuple):
    """A salted row, and the root that its path leads to."""

    row: bytes
    root: bytes


class Transaction(NamedTuple):
    """A recorded transaction: what was signed, by whom, and the roots that its paths lead to."""

    what: str
    chain: str
    kind: str
    signer: str
    identity: dict[str, Any]
    body: dict[str, Any]
    signed: bytes
    signature: bytes
    block: Header
    data_root: bytes
    history_root: bytes


class PositionRow(NamedTuple):
    """A point's position: its row in the zone, quality at the slot's end, registers, energies, the contract's columns."""

    row: int
    quality: int
    start_import: int
    end_import: int
    start_export: int
    end_export: int
    import_wh: int
    export_wh: int
    columns: tuple[int, ...]


class AreaRow(NamedTuple):
    """An area's result: its number, the digest of its rules' entry, the contract's columns."""

    area: int
    rules: bytes
    columns: tuple[int, ...]


def read_header(data: bytes, what: str) -> Header:
    """A header from its canonical bytes."""
    items = decode(data, what)
    conform(items, HEADER, what)
    _, chain, height, time_s, ledger_time_s, _, history, data_root, state, signers, pending, protocol = items
    return Header(
        chain, height, time_s, ledger_time_s, history, data_root, state, signers, pending, protocol, sm3(data)
    )


def read_leaf(part: Mapping[str, Any], what: str, shape: Any) -> Leaf:
    """A state proof whose value has this shape."""
    leaf = decode(part["leaf"], f"the leaf of {what}", has_booleans=True)
    conform(leaf, (str, shape), f"the leaf of {what}")
    return Leaf(leaf[0], leaf[1], root_of_path(part["leaf"], part["path"]))


def read_entity(part: Mapping[str, Any], what: str) -> Entity:
    """A state proof of a registered entity."""
    leaf = decode(part["leaf"], f"the leaf of {what}", has_booleans=True)
    conform(leaf, (str, dict), f"the leaf of {what}")
    key, value = leaf
    kind, name = _kind_and_name(key, f"the leaf of {what}")
    conform(value, {**ENTRIES, **BESIDE_ENTRIES.get(kind, {})}, f"the leaf of {what}")
    entries = tuple(Entry(*entry) for entry in value["entries"])
    return Entity(
        kind=kind,
        name=name,
        number=value.get("number", value.get("row", 0)),
        entries=entries,
        is_in_order=("folded" in value) == ("folded_to_s" in value)
        and all(one[:2] < two[:2] for one, two in itertools.pairwise(entries)),
        root=root_of_path(part["leaf"], part["path"]),
    )


def _kind_and_name(key: str, what: str) -> tuple[str, str]:
    kind, _, name = key.partition("/")
    is_number = bool(_NUMBER.fullmatch(name)) and int(name) in U32
    is_known = kind in ENTITIES and bool(NAME.fullmatch(name)) and (kind != "installation" or is_number)
    hold(is_known, f"{what} is of no entity that belongs in a bundle: {plain(key)}")
    return kind, name


def read_registry_row(row: bytes, salt: bytes, what: str) -> RegistryRow:
    """A registry row: canonical [key, from_s, value]."""
    hold(len(row) <= REGISTRY_ROW_BYTES_MAX, f"the row of {what} has more than {REGISTRY_ROW_BYTES_MAX} bytes")
    items = decode(row, f"the row of {what}", has_booleans=True)
    conform(items, (str, TIME, dict), f"the row of {what}")
    key, from_s, value = items
    kind, _ = _kind_and_name(key, f"the row of {what}")
    ends, ended_shape = ENDED.get(kind, ("", {}))
    conform(value, ended_shape if ends in value else ENTITIES[kind], f"the row of {what}")
    hold(ends not in value or value[ends], f"the row of {what} says that it is not {ends}")
    if ends not in value:
        _hold_together(kind, value, f"the row of {what}")
    return RegistryRow(key, from_s, value, leaf_hash(salt + row))


def _hold_dates_together(zone: Mapping[str, Any], what: str) -> None:
    """The times of a zone's run calendar follow one another."""
    calendar = zone["run_calendar"]
    hold("correction_after_s" not in zone and "final_after_s" in zone, f"{what}: its run calendar does not go with it")
    dues_s = [due_s for due_s, _ in calendar["corrections"]]
    first_s, last_s = calendar["initial_last_after_s"], calendar["final_run_after_s"]
    times_s = [first_s, *dues_s, last_s, zone["final_after_s"]]
    is_ascending = times_s == sorted(set(times_s)) and zone["metering_deadline_s"] <= first_s
    hold(is_ascending, f"{what}: the dates of its run calendar do not ascend")


def _hold_contracted(contracted_w: Mapping[str, Any] | None, what: str) -> None:
    """What a party has contracted is 1 to 16 powers, each of a component that has a name."""
    if contracted_w is not None:
        hold(1 <= len(contracted_w) <= 16, f"{what}: it has not 1 to 16 contracted powers")
        for name, power_w in contracted_w.items():
            conform(name, TEXT_64, f"{what}.contracted_w")
            conform(power_w, POWERS, f"{what}.contracted_w.{plain(name)}")


def _hold_together(kind: str, value: Mapping[str, Any], what: str) -> None:
    """What a row's values are to one another."""
    if kind == "signer":
        hold(value["roles"] == sorted(set(value["roles"])), f"{what}: roles do not ascend")
    elif kind == "zone":
        hold(value["gate_before_start_s"] < value["open_before_start_s"], f"{what}: the gate closes before it opens")
        deadline_s = value["metering_deadline_s"]
        hold(value.get("final_after_s", deadline_s) >= deadline_s, f"{what}: it is final before it is settled")
        if "run_calendar" in value:
            _hold_dates_together(value, what)
    elif kind == "installation":
        hold(value["limit_wh"] * value["ratio"] <= 10**9, f"{what}: the limit times the ratio is above 10^9")
        is_above = value["modulus_wh"] == 0 or value["modulus_wh"] > 2 * value["limit_wh"]
        hold(is_above, f"{what}: the modulus is not above twice the limit")
        has_first = "first_registers" in value
        hold(has_first or "final_registers" not in value, f"{what}: final registers without first ones")
        stated_wh = (*value.get("final_registers", ()), *value.get("first_registers", ()))
        is_below = value["modulus_wh"] == 0 or all(wh < value["modulus_wh"] for wh in stated_wh)
        hold(is_below, f"{what}: a register is not below the modulus")
    elif kind == "agreement":
        is_share, word = "share_ppm" in value, value["basis"]
        hold(is_share != ("quantity_wh" in value), f"{what}: it has not either a quantity or a share")
        hold(word == "difference" or is_share == (word == "pay_as_produced"), f"{what}: the basis has no such quantity")
        hold(word != "difference" or "series" in value, f"{what}: a difference without a reference price")
        hold(value["buyer_point"] != value["seller_point"], f"{what}: both sides are of one point")
    elif kind == "party":
        _hold_contracted(value.get("contracted_w"), what)
    elif kind == "rules":
        for key, price in value["prices"].items():
            conform(price, I64, f"{what}.prices.{plain(key)}")
        for key, name in value.get("series", {}).items():
            conform(name, NAME, f"{what}.series.{plain(key)}")
            hold(key in value["prices"], f"{what}: a series of a price that there is not")
    elif kind == "price_series":
        is_column = 0 < len(value["prices"]) <= 8 * SERIES_VALUES_MAX and len(value["prices"]) % 8 == 0
        hold(is_column, f"{what}: prices are 1 to {SERIES_VALUES_MAX} whole numbers of 64 bits")
        prices = struct.unpack(f"<{len(value['prices']) // 8}q", value["prices"])
        hold(min(prices) in PRICES and max(prices) in PRICES, f"{what}: a price that no series may have")


def read_opened(part: Mapping[str, Any], what: str) -> Opened:
    """An opened entry."""
    return Opened(read_entity(part, what), read_registry_row(part["row"], part["salt"], what))


def read_row(part: Mapping[str, Any], what: str, *layouts: struct.Struct) -> Row:
    """A row proof whose row has the length of its layout, or of one of several."""
    sizes = [layout.size for layout in layouts]
    hold(len(part["row"]) in sizes, f"the row of {what} has not {' or '.join(map(str, sizes))} bytes")
    return _row(part)


def _row(part: Mapping[str, Any]) -> Row:
    return Row(part["row"], root_of_path(part["salt"] + part["row"], part["path"]))


def read_headed_row(part: Mapping[str, Any], what: str, head: struct.Struct) -> Row:
    """A row proof whose row is a head and then the contract's columns of eight bytes."""
    columns_bytes = len(part["row"]) - head.size
    hold(columns_bytes >= 0 and columns_bytes % 8 == 0, f"the row of {what} has a length that no such row has")
    return _row(part)


def unpack_position(row: bytes) -> PositionRow:
    """The integers of a position row."""
    return PositionRow._make((*POSITION_HEAD.unpack_from(row), _columns(row, POSITION_HEAD.size)))


def unpack_area(row: bytes) -> AreaRow:
    """The items of an area row."""
    return AreaRow._make((*AREA_HEAD.unpack_from(row), _columns(row, AREA_HEAD.size)))


def _columns(row: bytes, head_bytes: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{(len(row) - head_bytes) // 8}q", row, head_bytes)


def read_transaction(part: Mapping[str, Any], what: str, *kinds: str) -> Transaction:
    """A transaction proof of one of these kinds."""
    signed = decode(part["signed"], what)
    named = signed.get("kind") if isinstance(signed, dict) else None
    kind = next((kind for kind in kinds if kind == named), kinds[0])
    conform(signed, {**SIGNED, "body": BODIES[kind], "identity": IDENTITIES[kind]}, what)
    hold(signed["kind"] == kind, f"{what} is of the kind {plain(signed['kind'])}")
    digest = sm3(encode([part["signed"], part["signature"], part["attachment_digest"]]))
    block = read_header(part["header"], f"the header of {what}")
    return Transaction(
        what=what,
        chain=signed["chain"],
        kind=kind,
        signer=signed["signer"],
        identity=signed["identity"],
        body=signed["body"],
        signed=part["signed"],
        signature=part["signature"],
        block=block,
        data_root=root_of_path(encode([digest, 0]), part["data_path"]),
        history_root=root_of_path(block.digest, part["history_path"]),
    )
