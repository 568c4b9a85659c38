"""Bytes, and the forms of what is signed: transactions and their parts (docs/spec/encoding.md, envelope.md, batch.md)."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from gridcore import cbor, merkle
from gridcore.errors import EncodingError
from gridcore.sm3 import sm3

Leaf = dict[str, Any]
ZEROS = bytes(32)
NAME = re.compile("[A-Za-z0-9._-]{1,64}")
I64, FROM_1, U32, TIME = range(-(2**63), 2**63), range(1, 2**63), range(2**32), range(253_402_300_800)


def pack(layout: str, *values: int) -> bytes:
    """A row: little-endian, no gaps. I u32, i i32, B u8, q i64, Q u64."""
    return struct.pack("<" + layout, *values)


class Column(list[int]):
    """i64 x n: in the state a list of numbers, in a leaf their bytes."""


def leaf_bytes(key: str, value: Leaf) -> bytes:
    """What a leaf of the state tree hashes: canonical ``[key, value]``."""

    def packed(item: Any) -> Any:
        if isinstance(item, Column):
            return pack(f"{len(item)}q", *item)
        if isinstance(item, bytearray):
            return bytes(item)
        if isinstance(item, dict):
            return {name: packed(part) for name, part in item.items()}
        return [packed(part) for part in item] if isinstance(item, list) else item

    return cbor.encode([key, packed(value)])


def salted_root(seed: bytes, rows: Sequence[bytes], part: slice = slice(None)) -> bytes:
    """The root over salted rows, or over a part of them with the salts that they have in the whole."""
    salted = [salt + row for salt, row in zip(merkle.salts(seed, len(rows)), rows, strict=True)]
    return merkle.root(salted[part])


def first(*checks: tuple[bool, int]) -> int:
    """The code of the first check that fails, 0 if none does."""
    return next((code for failed, code in checks if failed), 0)


def fits(value: Any, form: Any) -> bool:
    """Whether a decoded value has a form: a number = bytes of that length; a range of integers; a pattern of text or bytes; a type; one
    constant text or truth; an array of forms; a function; a map of exactly these keys (one that ends in ``?`` may be absent)."""
    if isinstance(form, bool):
        return value is form
    if isinstance(form, int):
        return isinstance(value, bytes) and len(value) == form
    if isinstance(form, range):
        return isinstance(value, int) and not isinstance(value, bool) and value in form
    if isinstance(form, str):
        return isinstance(value, str) and value == form
    if isinstance(form, re.Pattern):
        return isinstance(value, type(form.pattern)) and form.fullmatch(value) is not None
    if isinstance(form, list):
        return isinstance(value, list) and len(value) == len(form) and all(map(fits, value, form))
    if isinstance(form, dict):
        forms = {key.rstrip("?"): form[key] for key in form}
        missing = isinstance(value, dict) and [key for key in form if key not in value and not key.endswith("?")]
        return missing == [] and all(key in forms and fits(value[key], forms[key]) for key in value)
    if not isinstance(form, type):
        return bool(form(value))
    return isinstance(value, form)


def counters(value: Any) -> bool:
    """Whether a value names some orders of a party in a slot."""
    is_list = isinstance(value, list) and all(fits(counter, range(1, 17)) for counter in value)
    return is_list and len(value) >= 1 and value == sorted(set(value))


ENERGY_KINDS = re.compile("biomass|coal|gas|geothermal|hydro|nuclear|oil|solar|waste|wind|renewable")


def bid_conditions(value: Any) -> bool:
    """Whether a value is the conditions of a bid."""
    form = {"energy_kind?": ENERGY_KINDS, "energy_wh": I64, "price_micro_per_kwh": I64, "seller?": NAME}
    return isinstance(value, list) and 1 <= len(value) <= 4 and all(fits(one, form) for one in value)


def profile_parts(value: Any) -> bool:
    """Whether a value is the parts of a profile."""
    said = {"price_micro_per_kwh": I64, "quantities_wh": quantities}
    condition = {**said, "energy_kind?": ENERGY_KINDS, "seller?": NAME}

    def is_part(part: Any) -> bool:
        if not isinstance(part, dict) or "conditions" not in part:
            return fits(part, {**said, "side": re.compile("buy|sell")})
        several = part["conditions"]
        is_bid = isinstance(several, list) and 1 <= len(several) <= 4 and all(fits(one, condition) for one in several)
        return is_bid and fits(part, {"conditions": list, "side": "buy"})

    return isinstance(value, list) and 1 <= len(value) <= 16 and all(map(is_part, value))


def quantities(value: Any) -> bool:
    """Whether a value is the quantities of a part of a profile."""
    return isinstance(value, bytes) and 4 <= len(value) <= 4 * 672 and len(value) % 4 == 0 and any(value)


ANY_NAME = re.compile(".{1,64}", re.DOTALL)
ONCE = {"client_id": 16, "valid_until_s": I64}
STEP = {"dispute": 32, "statement": 32}

KINDS: dict[str, tuple[str, Any, Any, Any]] = {  # kind: role, identity, body, attachment
    "clock/advance": ("clock", ONCE, {"to_s": TIME}, 0),
    "clock/accept": ("clock", ONCE, {"to_s": TIME}, 0),
    "registry/approve": ("administrator", ONCE, {"transaction": 32}, 0),
    "registry/register": ("administrator", ONCE, {"rows": range(1, 4_097), "rows_root": 32}, bytes),
    "governance/propose": (
        "administrator",
        ONCE,
        {"action": re.compile(b".{1,49152}", re.DOTALL), "open_until_s": TIME},
        0,
    ),
    "governance/vote": ("administrator", ONCE, {"in_favour": bool, "proposal": 32}, 0),
    "metering/open_epoch": (
        "utility",
        ONCE,
        {"epoch": I64, "gateway": ANY_NAME, "reason": re.compile(".{1,200}", re.DOTALL)},
        0,
    ),
    "metering/approve": (
        "utility",
        ONCE,
        {
            "boundary_s": TIME,
            "installation": range(2**32),
            "reason": re.compile(".{1,200}", re.DOTALL),
            "registers": [range(10**13 + 1), range(10**13 + 1)],
        },
        0,
    ),
    "settlement/dispute": (
        "prosumer",
        ONCE,
        {
            "ground": re.compile("reading|energy|trade|price|tariff|other"),
            "line_kind": re.compile(".{0,64}", re.DOTALL),
            "point": NAME,
            "run": re.compile(".{1,64}", re.DOTALL),
            "slot_start_s": TIME,
            "statement": 32,
        },
        0,
    ),
    "settlement/dispute_document": (
        "prosumer",
        ONCE,
        {
            "amount_nano": range(-(10**18), 10**18 + 1),
            "ground": re.compile("reading|energy|trade|price|tariff|other"),
            "line_kind": re.compile(".{0,64}", re.DOTALL),
            "month": re.compile("(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])", re.ASCII),
            "part": re.compile("line|tax|total"),
            "statement": 32,
        },
        0,
    ),
    "settlement/dispute_answer": ("utility", ONCE, {**STEP, "outcome": re.compile("agreed|rejected")}, 0),
    "settlement/dispute_decision": ("regulator", ONCE, {**STEP, "outcome": re.compile("upheld|dismissed")}, 0),
    "settlement/dispute_withdrawal": ("prosumer", ONCE, {**STEP, "outcome": "withdrawn"}, 0),
    "settlement/payment": (
        "utility",
        ONCE,
        {
            "amount_nano": range(1, 10**15 + 1),
            "ground": re.compile("received|paid_out|written_off|reinstated"),
            "party": NAME,
            "point": NAME,
            "reference": 32,
        },
        0,
    ),
    "market/order": (
        "prosumer",
        {"counter": I64, "nonce": 16, "slot_start_s": I64},
        {
            "area": ANY_NAME,
            "price_micro_per_kwh": I64,
            "quantity_wh": I64,
            "condition?": "all_or_none",
            "conditions?": bid_conditions,
            "last_price_micro_per_kwh?": I64,
            "replaces?": counters,
            "side": re.compile("buy|sell"),
            "steps?": range(2, 17),
        },
        0,
    ),
    "market/profile": (
        "prosumer",
        {"counter": I64, "nonce": 16, "slot_start_s": I64},
        {"area": ANY_NAME, "end_s": TIME, "parts": profile_parts},
        0,
    ),
    "market/profile_end": (
        "prosumer",
        {"counter": I64, "nonce": 16, "slot_start_s": I64},
        {"area": ANY_NAME},
        0,
    ),
    "market/cancel": (
        "prosumer",
        {"nonce": 16, "slot_start_s": I64},
        {"area": ANY_NAME, "counters": counters},
        0,
    ),
    "market/order_batch": (
        "aggregator",
        ONCE,
        {"rows": range(1, 16_385), "rows_root": 32, "slot_start_s": I64, "zone": NAME},
        bytes,
    ),
    "metering/interval_import": (
        "gateway",
        ONCE,
        {
            "agent": re.compile(".{0,64}", re.DOTALL),
            "estimates": re.compile(".{0,64}", re.DOTALL),
            "files": list,
            "first_slot_s": TIME,
            "meters": range(1, 65_537),
            "rows_root": 32,
            "slot_s": range(1, 86_401),
            "slots": range(1, 289),
        },
        bytes,
    ),
    "metering/reading_batch": (
        "gateway",
        {"counter": FROM_1, "epoch": FROM_1},
        {
            "agent": re.compile(".{0,64}", re.DOTALL),
            "boundary_s": I64,
            "clock": {"offset_ms": I64, "state": re.compile("synced|holdover|unsynced|simulated")},
            "configuration": 32,
            "observations?": 32,
            "previous": 32,
            "profiles": 32,
            "receipt?": [I64, 32],
            "registers": ["1-0:1.8.0", "1-0:2.8.0"],
            "rows": range(1, 4_097),
            "rows_root": 32,
        },
        bytes,  # its content is judged last: code 47
    ),
}

ENVELOPE = {"body": dict, "chain": str, "identity": dict, "kind": str, "signer": NAME}
ENVELOPE |= {"type": "transaction", "version": range(1, 2)}


class Transaction(NamedTuple):
    """A transaction of good form; ``content`` is the decoded signed map. The signature is no part of its id."""

    id: bytes
    signed: bytes
    signature: bytes
    attachment: bytes
    content: Leaf

    @property
    def signer(self) -> str:
        """The name of who signed."""
        name: str = self.content["signer"]
        return name


def decode_envelope(wire: bytes) -> Transaction | None:
    """A transaction whose frame is good, or None; identity and body are not looked at."""
    try:
        parts = cbor.decode(wire, items_max=4)
        if not fits(parts, [bytes, 64, bytes]) or len(parts[0]) > 65_536 or len(parts[2]) > 1_048_576:
            return None
        content = cbor.decode(parts[0], items_max=256)
    except EncodingError:
        return None
    signed, signature, attachment = parts
    return Transaction(sm3(signed), signed, signature, attachment, content) if fits(content, ENVELOPE) else None


def has_form(tx: Transaction) -> bool:
    """Whether identity, body and attachment of a known kind are as they should be."""
    _, *forms = KINDS.get(tx.content["kind"], ("", dict, dict, bytes))
    body = tx.content["body"]
    if tx.content["kind"] == "metering/interval_import" and fits(body, forms[1]):
        named = {"name": re.compile(".{1,64}", re.DOTALL), "sm3": 32}
        is_named = all(fits(file, list(named.values())) for file in body["files"])
        if not is_named or not 1 <= len(body["files"]) <= 16 or body["meters"] * body["slots"] > 65_536:
            return False
    if tx.content["kind"] == "market/order" and ("steps" in body) != ("last_price_micro_per_kwh" in body):
        return False
    if tx.content["kind"] == "market/order" and "steps" in body and "condition" in body:
        return False
    if tx.content["kind"] == "market/order" and "conditions" in body and fits(body, forms[1]):
        most = [max(one[key] for one in body["conditions"]) for key in ("energy_wh", "price_micro_per_kwh")]
        if body["side"] != "buy" or {"steps", "condition"} & set(body):
            return False
        if most != [body["quantity_wh"], body["price_micro_per_kwh"]]:
            return False
    is_of_document = tx.content["kind"] == "settlement/dispute_document" and fits(body, forms[1])
    if is_of_document and (body["part"] == "line") != (body["line_kind"] != ""):
        return False
    return all(map(fits, (tx.content["identity"], tx.content["body"], tx.attachment), forms))


# ---------------------------------------------------------------------------------------------------- reading batch


class Row(NamedTuple):
    """One row of a batch, as the meter shows it."""

    meter: int
    offset_ms: int
    quality: int
    registers: tuple[int, int]


ROW_RANGES = [(0, 2**32 - 1), (-(2**31), 2**31 - 1), (0, 255), (0, 2**63 - 1), (0, 2**63 - 1)]


def decode_column(data: bytes, count: int) -> list[int] | None:
    """``count`` integers of ``base (i64) || width (u8) || count x unsigned``; None where any other choice was canonical."""
    if len(data) < 9:
        return None
    base, width = struct.unpack("<qB", data[:9])
    if width not in (1, 2, 4, 8) or len(data) != 9 + count * width:
        return None
    above = [int.from_bytes(data[at : at + width], "little") for at in range(9, len(data), width)]
    narrowest = next(w for w in (1, 2, 4, 8) if max(above) < 1 << (8 * w))
    return [base + a for a in above] if min(above) == 0 and width == narrowest else None


class PlacedRow(NamedTuple):
    """One row of an aggregator's batch; from ``choice`` on, what it asks for as a condition of a bid."""

    party: int
    counter: int
    side: int
    quantity_wh: int
    price: int
    choice: int = 0
    kinds: int = 0
    seller: int = 0
    bid_wh: int = 0


PLACED_RANGES = [(0, 2**32 - 1), (0, 2**32 - 1), (0, 1), (-(2**63), 2**63 - 1), (-(2**63), 2**63 - 1)]
WANTED_RANGES = [(0, 3), (0, 2**11 - 1), (0, 2**32 - 1), (0, 2**63 - 1)]


class Placed(NamedTuple):
    """A batch's attachment. bids: the rows by what stands or falls as one; seeds: each row's own."""

    seed: bytes
    bids: list[list[PlacedRow]]
    seeds: list[bytes]


def decode_placed(attachment: bytes, body: Leaf) -> Placed | None:
    """The orders that the body names; None where the attachment does not hold them (47)."""
    try:
        content = cbor.decode(attachment, items_max=14)
    except EncodingError:
        return None
    is_wide = fits(content, {"columns": [bytes] * 9, "seed": 32})
    if not is_wide and not fits(content, {"columns": [bytes] * 5, "seed": 32}):
        return None
    columns = [decode_column(column, body["rows"]) for column in content["columns"]]
    ranges = [*PLACED_RANGES, *(WANTED_RANGES if is_wide else [])]
    for column, (low, high) in zip(columns, ranges, strict=True):
        if column is None or not all(low <= value <= high for value in column):
            return None
    flat = list(zip(*[column for column in columns if column is not None], strict=True))
    bids = as_bids([PlacedRow(*values) for values in flat])
    if bids is None or (is_wide and not any(row.kinds for bid in bids for row in bid)):
        return None
    rows = [pack("IIBqqBHIq" if is_wide else "IIBqq", *values) for values in flat]
    if salted_root(content["seed"], rows) != body["rows_root"]:
        return None
    own_salts = merkle.salts(sm3(content["seed"] + b"orders"), len(rows))
    seeds = [merkle.leaf_hash(salt + row) for salt, row in zip(own_salts, rows, strict=True)]
    return Placed(content["seed"], bids, seeds)


def as_bids(rows: list[PlacedRow]) -> list[list[PlacedRow]] | None:
    """Rows by offer; None where conditions of a bid do not stand together, or a row says half of what it wants."""
    bids: list[list[PlacedRow]] = []
    for row in rows:
        if row.choice == 0:
            bids.append([row])
        elif bids and bids[-1][0].kinds and len(bids[-1]) == row.choice:
            bids[-1].append(row)
        else:
            return None
    for bid in bids:
        first = bid[0]
        if not first.kinds and (first.seller or first.bid_wh):
            return None
        for place, row in enumerate(bid if first.kinds else []):
            is_own = (row.party, row.counter - place, row.side) == (first.party, first.counter, 0)
            if not is_own or row.kinds == 0 or row.quantity_wh < 1:
                return None
            if row.bid_wh != max(one.quantity_wh for one in bid):
                return None
    return bids


def decode_rows(attachment: bytes, body: Leaf) -> tuple[bytes, list[Row]] | None:
    """The seed and the rows that the body names; None where the attachment does not hold them, or other observations (47)."""
    try:
        content = cbor.decode(attachment, items_max=12)
    except EncodingError:
        return None
    if not fits(content, {"columns": [bytes] * 5, "observations?": bytes, "seed": 32}):
        return None
    observed = content.get("observations")
    if body.get("observations") != (None if observed is None else sm3(observed)):
        return None
    if observed is not None and not 1 <= len(observed) <= 65_536:
        return None
    columns = [decode_column(column, body["rows"]) for column in content["columns"]]
    for column, (low, high) in zip(columns, ROW_RANGES, strict=True):
        if column is None or not all(low <= value <= high for value in column):
            return None
    flat = list(zip(*[column for column in columns if column is not None], strict=True))
    if salted_root(content["seed"], [pack("IiBQQ", *values) for values in flat]) != body["rows_root"]:
        return None
    return content["seed"], [Row(meter, offset, quality, (a, b)) for meter, offset, quality, a, b in flat]
