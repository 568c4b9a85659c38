"""The slow twin: docs/spec as one short program of dicts and whole numbers. The readable specification, and the oracle of every
simulation: same genesis, same blocks, same codes and the same state root at every height as ``ledger.state``, or one is wrong.

Read it from top to bottom: bytes, transactions, reading batches, headers, and last the state and what moves it; what the market
and the settlement compute stands in twin_contracts.py. It is written against docs/spec alone and shares with the ledger only CBOR, SM3 and the shape of a tree. It takes every value
apart for every use and hashes every leaf for every root: nothing here is fast, everything here is meant to be plain.

    twin = Twin(genesis)
    codes = twin.apply_block(height=1, time_s=now, transactions=[wire, ...], is_signed=is_valid_signature)
    root = twin.state_root()
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gridcore import cbor, merkle
from gridcore.errors import EncodingError
from gridcore.sm3 import sm3
from tests.twin_contracts import Order, clear, settle_point

Leaf = dict[str, Any]
IsSigned = Callable[[bytes, bytes, bytes], bool]
"""(public key, signed bytes, signature) -> whether the signature is good."""

CHUNK, BUDGET, WAITING_MAX, IDS_MAX = 1_024, 131_072, 4_096, 4_096
VALID_AHEAD_MAX_S, NEIGHBOURS = 86_400, 96
ORDER_COUNTER_MAX, QUANTITY_WH_MAX, PRICE_MAX, REGISTER_WH_MAX = 16, 10**8, 10**9, 10**13
ABSENT, ZEROS, INTERPOLATED = 0xFF, bytes(32), 2
ACCOUNTS = ["balance", "clearing", "levy", "network", "offtaker", "supplier"]

# ------------------------------------------------------------------------------------------------------------ bytes


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


def salted_root(seed: bytes, rows: Sequence[bytes]) -> bytes:
    """The root over salted rows."""
    return merkle.root_of_hashes(merkle.salted_leaf_hashes(seed, rows))


def first(*checks: tuple[bool, int]) -> int:
    """The code of the first check that fails, 0 if none does."""
    return next((code for failed, code in checks if failed), 0)


# ----------------------------------------------------------------------------------------- transactions: their form


def fits(value: Any, form: Any) -> bool:
    """Whether a decoded value has a form: a number = bytes of that length; a range of integers; a pattern of text; a type; one
    constant text; an array of forms; a map of exactly these keys (one that ends in ``?`` may be absent)."""
    if isinstance(form, int):
        return isinstance(value, bytes) and len(value) == form
    if isinstance(form, range):
        return isinstance(value, int) and not isinstance(value, bool) and value in form
    if isinstance(form, str):
        return isinstance(value, str) and value == form
    if isinstance(form, re.Pattern):
        return isinstance(value, str) and form.fullmatch(value) is not None
    if isinstance(form, list):
        return isinstance(value, list) and len(value) == len(form) and all(map(fits, value, form))
    if isinstance(form, dict):
        forms = {key.rstrip("?"): form[key] for key in form}
        missing = isinstance(value, dict) and [key for key in form if key not in value and not key.endswith("?")]
        return missing == [] and all(key in forms and fits(value[key], forms[key]) for key in value)
    return isinstance(value, form)


I64, FROM_1 = range(-(2**63), 2**63), range(1, 2**63)
NAME = re.compile(".{1,64}", re.DOTALL)
ONCE = {"client_id": 16, "valid_until_s": I64}

KINDS: dict[str, tuple[str, Any, Any, Any]] = {  # kind: role, identity, body, attachment
    "clock/advance": ("clock", ONCE, {"to_s": range(253_402_300_800)}, 0),
    "metering/open_epoch": (
        "utility",
        ONCE,
        {"epoch": I64, "gateway": NAME, "reason": re.compile(".{1,200}", re.DOTALL)},
        0,
    ),
    "market/order": (
        "prosumer",
        {"counter": I64, "slot_start_s": I64},
        {"area": NAME, "price_micro_per_kwh": I64, "quantity_wh": I64, "side": re.compile("buy|sell")},
        0,
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

ENVELOPE = {"body": dict, "chain": str, "identity": dict, "kind": str, "signer": re.compile("[A-Za-z0-9._-]{1,64}")}
ENVELOPE |= {"type": "transaction", "version": range(1, 2)}


class Transaction(NamedTuple):
    """A transaction of good form; ``content`` is the decoded signed map. The signature is no part of its id."""

    id: bytes
    signed: bytes
    signature: bytes
    attachment: bytes
    content: Leaf


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


def advance(old: int, new: int, modulus_wh: int) -> int:
    """How far a register went, over its rollover where it has one."""
    return new - old + (modulus_wh if new < old else 0)


def advance_verdict(old: int, new: int, slots: int, limit_wh: int, modulus_wh: int) -> int:
    """0, 83 or 84: may a register have gone from ``old`` to ``new`` in so many slots?"""
    wh = advance(old, new, modulus_wh)
    most = min(slots * limit_wh, modulus_wh // 2) if modulus_wh else slots * limit_wh
    return first((wh < 0, 83), (wh > most, 83 if new < old else 84))


# ---------------------------------------------------------------------------------------------------------- headers


def transaction_digest(wire: bytes) -> bytes:
    """What a header's data_root says of a transaction: its bulk only by its digest."""
    tx = decode_envelope(wire)
    if tx is None:
        return sm3(cbor.encode(["malformed", sm3(wire)]))
    return sm3(cbor.encode([tx.signed, tx.signature, sm3(tx.attachment)]))


def data_root(transactions: Iterable[bytes], codes: Iterable[int]) -> bytes:
    """The tree over ``[transaction digest, code]``."""
    both = zip(transactions, codes, strict=True)
    return merkle.root(cbor.encode([transaction_digest(wire), code]) for wire, code in both)


def signers_digest(signers: Iterable[tuple[bytes, int]]) -> bytes:
    """The digest of a set of ``[public key, power]``."""
    return sm3(cbor.encode(["signers/1", [list(signer) for signer in sorted(signers)]]))


def header(
    chain: str, time_s: int, digests: Sequence[bytes], data: bytes, state: bytes, signers: bytes, pending: bytes = b""
) -> bytes:
    """The header after ``digests`` = S_0 ... S_{h-1}; S_h is its SM3."""
    history = merkle.root(digests)
    return cbor.encode(["header/1", chain, len(digests), time_s, digests[-1], history, data, state, signers, pending])


# ------------------------------------------------------------------------------------------------------------ state


class Twin:
    """The whole state, and what a block does to it."""

    def __init__(self, genesis: Mapping[str, Any]) -> None:
        self.chain: str = genesis["chain"]
        self.leaves: dict[str, Leaf] = dict(genesis["leaves"])
        self.numbered: list[str] = list(self.leaves)  # a leaf's place in it is its number, for ever
        self.height = 0
        self.ledger_time_s = 0
        self.budget = 0
        self.work_left = False  # whether gates or initial runs fell due that the last block did not get to
        self.touched: set[tuple[str, int]] = set()  # (area, boundary) that got an accepted row in this block
        self.slot_s: int = self.leaves["chain"]["slot_s"]
        self.simulated: bool = self.leaves["chain"]["clock"] == "simulated"
        named = [key.split("/", 1) for key in self.leaves if "/" in key]
        self.areas = sorted((name for kind, name in named if kind == "area"), key=str.encode)
        self.first_boundary_s = min(
            (self.leaves["area/" + area]["first_slot_start_s"] for area in self.areas), default=0
        )
        numbers = sorted(int(name) for kind, name in named if kind == "installation")
        installations = [self.leaves[f"installation/{number}"] for number in numbers]
        self.rows = {a: [i["number"] for i in installations if i["area"] == a] for a in self.areas}
        self.settling = {a: [i["number"] for i in installations if i["area"] == a and "party" in i] for a in self.areas}

    def state_root(self) -> bytes:
        """The tree over all leaves in number order, from nothing."""
        return merkle.root(leaf_bytes(key, self.leaves[key]) for key in self.numbered)

    def apply_block(self, height: int, time_s: int, transactions: Sequence[bytes], is_signed: IsSigned) -> list[int]:
        """One code for each transaction; then what has fallen due."""
        self.height, self.budget, self.touched = height, BUDGET, set()
        self.work_left = False
        self.ledger_time_s = self.leaves["time"]["ledger_time_s"] if self.simulated else time_s
        codes = [self.apply_transaction(wire, is_signed) for wire in transactions]
        for area in self.areas:
            self.do_due_work(area)
        new = self.leaves.keys() - set(self.numbered)
        self.numbered += sorted(new, key=str.encode)
        return codes

    # ------------------------------------------------------------------------------------------------ transactions

    def apply_transaction(self, wire: bytes, is_signed: IsSigned) -> int:
        """The first check that fails is the code."""
        tx = decode_envelope(wire)
        if tx is None or not has_form(tx):
            return 10
        if tx.content["chain"] != self.chain:
            return 11
        if tx.content["kind"] not in KINDS:
            return 12
        signer = self.leaves.get("signer/" + tx.content["signer"])
        if signer is None:
            return 13
        if not is_signed(signer["public_key"], tx.signed, tx.signature):
            return 14
        if KINDS[tx.content["kind"]][0] not in signer["roles"]:
            return 15
        if tx.content["kind"] == "market/order":
            return self.take_order(tx)
        return self.take_batch(tx) if tx.content["kind"] == "metering/reading_batch" else self.apply_once(tx)

    def apply_once(self, tx: Transaction) -> int:
        """A transaction known by its client id: applied at most once, and only while it is valid."""
        is_clock = tx.content["kind"] == "clock/advance"
        client_id, valid_until_s = tx.content["identity"]["client_id"], tx.content["identity"]["valid_until_s"]
        hour = valid_until_s // 3_600
        key = f"seen/{hour % 48}"
        bucket = self.leaves.get(key, {"hour": hour, "ids": []})
        ids = bucket["ids"] if bucket["hour"] == hour else []
        own = [entry for entry in ids if entry[0] == tx.content["signer"]]
        seen = {client: transaction for _, client, transaction in own}
        code = first(
            (is_clock and not self.simulated, 31),
            (valid_until_s < self.ledger_time_s, 18),
            (valid_until_s > self.ledger_time_s + VALID_AHEAD_MAX_S, 19),
            (client_id in seen, 1 if seen.get(client_id) == tx.id else 20),
            (len(own) >= IDS_MAX, 21),
        )
        if code:
            return code
        code = self.advance_clock(tx.content["body"]) if is_clock else self.open_epoch(tx.content)
        if code == 0:
            self.leaves[key] = {"hour": hour, "ids": [*ids, [tx.content["signer"], client_id, tx.id]]}
        return code

    def advance_clock(self, body: Leaf) -> int:
        """Simulated time moves by signed steps alone."""
        if body["to_s"] <= self.ledger_time_s:
            return 30
        self.ledger_time_s = body["to_s"]
        self.leaves["time"] = {"ledger_time_s": body["to_s"]}
        return 0

    def open_epoch(self, content: Leaf) -> int:
        """A gateway that lost its outbox starts again at counter 1, if its organisation says so; the hole stays visible."""
        body = content["body"]
        key = "gateway/" + body["gateway"]
        if key in self.leaves and self.leaves[key]["organisation"] != content["signer"]:
            return 15
        if key not in self.leaves or body["epoch"] != self.leaves[key]["epoch"] + 1:
            return 49
        self.leaves[key] = self.leaves[key] | {"epoch": body["epoch"], "counter": 0, "last": ZEROS}
        return 0

    # ------------------------------------------------------------------------------------------------------ orders

    def take_order(self, tx: Transaction) -> int:
        """An order joins the book of its slot while the slot is open and its gate is not closed."""
        identity, body, name = tx.content["identity"], tx.content["body"], tx.content["signer"]
        counter, slot = identity["counter"], identity["slot_start_s"]
        party = self.leaves.get("party/" + name)
        if party is None or not party["trades"]:
            return 67
        if body["area"] != party["area"]:
            return 63
        area = self.leaves["area/" + party["area"]]
        rules = self.leaves["rules/" + area["rules"]]
        book = self.book(party["area"], slot)
        same = [order.transaction_id for order in book if (order.party, order.counter) == (name, counter)]
        if same == [tx.id]:
            return 1
        code = first(
            (slot < area["first_slot_start_s"] or slot % self.slot_s != 0, 62),
            (self.ledger_time_s < slot - rules["open_before_start_s"], 61),
            (self.ledger_time_s >= slot - rules["gate_before_start_s"], 60),
            (not 1 <= counter <= ORDER_COUNTER_MAX, 68),
            (not 1 <= body["quantity_wh"] <= QUANTITY_WH_MAX, 64),
            (not -PRICE_MAX <= body["price_micro_per_kwh"] <= PRICE_MAX, 65),
        )
        if code or same:
            return code or 66
        seed = sm3(tx.signature)
        order = [name, counter, body["side"], body["quantity_wh"], body["price_micro_per_kwh"], tx.id, seed]
        key = f"book/{party['area']}/{slot}/{len(book) // CHUNK}"
        chunk = self.leaves[key]["orders"] if key in self.leaves else []
        self.leaves[key] = {"orders": [*chunk, order]}
        return 0

    def chunks(self, prefix: str) -> Iterable[Leaf]:
        """The leaves ``prefix/0``, ``prefix/1`` ... as far as there are any."""
        number = 0
        while f"{prefix}/{number}" in self.leaves:
            yield self.leaves[f"{prefix}/{number}"]
            number += 1

    def book(self, area: str, slot: int) -> list[Order]:
        """All standing orders of a slot, in order of acceptance."""
        return [Order(*order) for chunk in self.chunks(f"book/{area}/{slot}") for order in chunk["orders"]]

    # ---------------------------------------------------------------------------------------------------- readings

    def take_batch(self, tx: Transaction) -> int:
        """A batch stands or falls as a whole by its chain of counters; each of its rows gets a verdict of its own."""
        identity, body, name = tx.content["identity"], tx.content["body"], tx.content["signer"]
        gateway = self.leaves.get("gateway/" + name)
        if gateway is None:
            return 15
        counter, boundary = identity["counter"], body["boundary_s"]
        code = first(
            (identity["epoch"] != gateway["epoch"], 40),
            (counter == gateway["counter"], 1 if tx.id == gateway["last"] else 42),
            (counter < gateway["counter"], 43),
            (counter > gateway["counter"] + 1, 41),
            (body["previous"] != gateway["last"], 44),
            (boundary < self.first_boundary_s or boundary % self.slot_s != 0, 46),
            (boundary > self.ledger_time_s, 45),
        )
        if code:
            return code
        held = decode_rows(tx.attachment, body)
        if held is None:
            return 47
        self.take_rows(name, boundary, *held, f"exception/{name}/{identity['epoch']}/{counter}")
        self.leaves["gateway/" + name] = gateway | {
            "counter": counter,
            "last": tx.id,
            "last_boundary_s": max(gateway["last_boundary_s"], boundary),
        }
        return 0

    def take_rows(self, gateway: str, boundary: int, seed: bytes, rows: Sequence[Row], exception_key: str) -> None:
        """Verdict by verdict; accepted values are written at the end, so that no row of a batch judges by another."""
        exceptions: list[list[int]] = []
        accepted: list[Row] = []
        met: set[int] = set()
        for index, row in enumerate(rows):
            verdict = self.row_verdict(row, gateway, boundary, met)
            met.add(row.meter)
            if verdict is None:
                accepted.append(row)
            elif verdict != 0:
                exceptions.append([index, row.meter, verdict])
        if exceptions:
            self.leaves[exception_key] = {"boundary_s": boundary, "rows": exceptions}
        reseeded: set[str] = set()
        for row in accepted:
            self.write_row(row, boundary, seed, reseeded)

    def row_verdict(self, row: Row, gateway: str, boundary: int, met: set[int]) -> int | None:
        """81 to 88; 0 for a value that already stands; None for a row to accept."""
        installation = self.leaves.get(f"installation/{row.meter}")
        if installation is None:
            return 82
        standing = self.row_at(row.meter, boundary)
        code = first(
            (installation["gateway"] != gateway, 86),
            (row.meter in met, 85),
            (row.quality % 16 != 0 or row.quality >> 4 & INTERPOLATED != 0, 87),
            (abs(row.offset_ms) > 500 * self.slot_s, 88),
            (standing is not None and standing[0] != row.registers, 81),
        )
        if code or standing is not None:
            return code
        for register in (0, 1):
            verdict = self.range_verdict(installation, boundary, register, row.registers[register])
            if verdict:
                return verdict
        return None

    def range_verdict(self, installation: Leaf, boundary: int, register: int, new: int) -> int:
        """0, 83 or 84 for one register of a row: against the newest value, or for a late row against its neighbours."""
        number, limit, modulus = installation["number"], installation["limit_wh"], installation["modulus_wh"]
        if new > REGISTER_WH_MAX or (modulus > 0 and new >= modulus):
            return 84
        latest = self.latest(number)
        if latest is not None and latest[0] < boundary:
            slots = (boundary - latest[0]) // self.slot_s
            return advance_verdict(latest[1][register], new, slots, limit, modulus)
        verdicts = []
        for direction in (-1, +1):
            around = [self.row_at(number, boundary + direction * k * self.slot_s) for k in range(NEIGHBOURS + 1)]
            for slots, neighbour in enumerate(around):
                if neighbour is not None:
                    value = neighbour[0][register]
                    old, later = (value, new) if direction < 0 else (new, value)
                    verdicts.append(advance_verdict(old, later, slots, limit, modulus))
                    break
            else:
                if direction > 0 and latest is not None:
                    slots = (latest[0] - boundary) // self.slot_s
                    verdicts.append(advance_verdict(new, latest[1][register], slots, limit, modulus))
        return next((verdict for verdict in verdicts if verdict), 0)

    def place(self, number: int) -> tuple[str, int, int]:
        """Where an installation's row stands: area, chunk, index in the chunk."""
        area = self.leaves[f"installation/{number}"]["area"]
        return area, *divmod(self.rows[area].index(number), CHUNK)

    def row_at(self, number: int, boundary: int) -> tuple[tuple[int, int], int] | None:
        """(registers, quality) that stand for a meter at a boundary; missing is never zero."""
        area, chunk, index = self.place(number)
        leaf = self.leaves.get(f"registers/{area}/{boundary}/{chunk}")
        if leaf is None or leaf["quality"][index] == ABSENT:
            return None
        return (leaf["registers"][0][index], leaf["registers"][1][index]), leaf["quality"][index]

    def latest(self, number: int) -> tuple[int, tuple[int, int]] | None:
        """A meter's newest boundary, with the registers there."""
        area, chunk, index = self.place(number)
        leaf = self.leaves.get(f"latest/{area}/{chunk}")
        if leaf is None or leaf["boundary_s"][index] == -1:
            return None
        return leaf["boundary_s"][index], (leaf["registers"][0][index], leaf["registers"][1][index])

    def write_row(self, row: Row, boundary: int, seed: bytes, reseeded: set[str]) -> None:
        """Put an accepted value into its chunks; the batch's seed goes into a chunk's seed once."""
        area, chunk, index = self.place(row.meter)
        size = min(CHUNK, len(self.rows[area]) - chunk * CHUNK)
        key = f"registers/{area}/{boundary}/{chunk}"
        registers = [Column([0] * size), Column([0] * size)]
        new: Leaf = {"quality": bytearray([ABSENT] * size), "registers": registers, "seed": ZEROS}
        leaf = self.leaves.setdefault(key, new)
        if key not in reseeded:
            leaf["seed"] = sm3(leaf["seed"] + seed)
            reseeded.add(key)
        leaf["quality"][index] = row.quality
        leaf["registers"][0][index], leaf["registers"][1][index] = row.registers
        self.touched.add((area, boundary))
        registers = [Column([0] * size), Column([0] * size)]
        new = {"boundary_s": Column([-1] * size), "registers": registers, "seed": ZEROS}
        leaf = self.leaves.setdefault(f"latest/{area}/{chunk}", new)
        if boundary > leaf["boundary_s"][index]:
            leaf["boundary_s"][index], leaf["seed"] = boundary, self.leaves[key]["seed"]
            leaf["registers"][0][index], leaf["registers"][1][index] = row.registers

    # ---------------------------------------------------------------------------------------------------- due work

    def do_due_work(self, area: str) -> None:
        """Gates, then initial runs, then waiting slots, while the block's budget lasts."""
        rules = self.leaves["rules/" + self.leaves["area/" + area]["rules"]]
        progress = dict(self.leaves["progress/" + area])
        waiting: list[int] = list(progress["waiting"])
        cost, now, ahead = (
            max(1, len(self.settling[area])),
            self.ledger_time_s,
            self.slot_s + rules["metering_deadline_s"],
        )

        while self.budget > 0 and now >= progress["gate_slot_start_s"] - rules["gate_before_start_s"]:
            self.budget -= max(1, self.clear_slot(area, progress["gate_slot_start_s"], rules))
            progress["gate_slot_start_s"] += self.slot_s

        while self.budget > 0 and len(waiting) < WAITING_MAX and now >= progress["run_slot_start_s"] + ahead:
            slot = progress["run_slot_start_s"]
            if self.is_complete(area, slot):
                self.settle_slot(area, slot, rules)
            else:
                waiting.append(slot)
            self.budget -= cost
            progress["run_slot_start_s"] += self.slot_s

        untried: list[int] = []
        for slot in sorted(waiting):
            if slot in progress["untried"] or {(area, slot), (area, slot + self.slot_s)} & self.touched:
                if self.budget <= 0:
                    untried.append(slot)
                    continue
                if self.is_complete(area, slot):
                    self.settle_slot(area, slot, rules)
                    waiting.remove(slot)
                self.budget -= cost
        self.leaves["progress/" + area] = progress | {"untried": untried, "waiting": waiting}
        is_gate_due = now >= progress["gate_slot_start_s"] - rules["gate_before_start_s"]
        is_run_due = len(waiting) < WAITING_MAX and now >= progress["run_slot_start_s"] + ahead
        self.work_left = self.work_left or is_gate_due or is_run_due or bool(untried)

    def clear_slot(self, area: str, slot: int, rules: Leaf) -> int:
        """Close a slot's gate: one price, each order's fill. Returns the number of orders."""
        orders = sorted(self.book(area, slot), key=lambda order: order.id(slot))
        price, volume, fills = clear(orders, rules.get("reference_price_micro_per_kwh"))
        seed = sm3(cbor.encode(["clearing-seed/1", area, slot, [order.seed for order in orders]]))
        fill_rows, book_rows, table = [], [], []
        for rank, (order, filled) in enumerate(zip(orders, fills, strict=True)):
            meter = self.leaves["party/" + order.party]["meter"]
            terms = (int(order.side == "sell"), order.quantity_wh, order.price, filled)
            fill_rows.append(pack("IIBqqq", meter, order.counter, *terms))
            book_rows.append(pack("IBqqq", rank, *terms))
            table.append([order.party, order.counter, order.side, order.quantity_wh, order.price, filled])
        clearing = {
            "area": area,
            "book_root": salted_root(sm3(seed + b"book"), book_rows),
            "contract": self.leaves["area/" + area]["contract"],
            "fills_root": salted_root(sm3(seed + b"fills"), fill_rows),
            "orders": len(orders),
            "rules": self.rules_digest(area),
            "slot_start_s": slot,
            "volume_wh": volume,
        }
        self.leaves[f"clearing/{area}/{slot}"] = clearing | ({"price_micro_per_kwh": price} if volume else {})
        for chunk, start in enumerate(range(0, len(table), CHUNK)):
            self.leaves[f"fills/{area}/{slot}/{chunk}"] = {"fills": table[start : start + CHUNK], "seed": seed}
        return len(orders)

    def rules_digest(self, area: str) -> bytes:
        """SM3 of the bytes of the area's rules leaf."""
        key = "rules/" + self.leaves["area/" + area]["rules"]
        return sm3(leaf_bytes(key, self.leaves[key]))

    def is_complete(self, area: str, slot: int) -> bool:
        """Whether every settling row has a value at the slot's start and at its end."""
        ends = (slot, slot + self.slot_s)
        return all(self.row_at(number, end) is not None for number in self.settling[area] for end in ends)

    def chunk_seeds(self, area: str, boundary: int) -> list[bytes]:
        """The seeds of all chunks of an area at a boundary; 32 zero bytes for one that was never written."""
        count = (len(self.rows[area]) + CHUNK - 1) // CHUNK
        keys = [f"registers/{area}/{boundary}/{chunk}" for chunk in range(count)]
        return [self.leaves[key]["seed"] if key in self.leaves else ZEROS for key in keys]

    def settle_slot(self, area: str, slot: int, rules: Leaf, run: str = "initial") -> None:
        """The initial run of a complete slot: lines, positions, what each party owes and each account receives."""
        if not self.settling[area]:
            return
        end = slot + self.slot_s
        clearing = self.leaves[f"clearing/{area}/{slot}"]
        trade_price = clearing.get("price_micro_per_kwh", 0)
        filled: dict[tuple[str, str], int] = {}
        for chunk in self.chunks(f"fills/{area}/{slot}"):
            for party, _, side, _, _, wh in chunk["fills"]:
                filled[party, side] = filled.get((party, side), 0) + wh
        inputs, positions, lines, received = [], [], [], dict.fromkeys(ACCOUNTS, 0)
        qualities, table, owed = [], [], []
        for number in self.settling[area]:
            point = self.leaves[f"installation/{number}"]
            start, last = self.row_at(number, slot), self.row_at(number, end)
            assert start is not None
            assert last is not None
            (start_import, start_export), (end_import, end_export), quality = start[0], last[0], last[1]
            imported = advance(start_import, end_import, point["modulus_wh"]) * point["ratio"]
            exported = advance(start_export, end_export, point["modulus_wh"]) * point["ratio"]
            trades = self.leaves["party/" + point["party"]]["meter"] == number
            bought, sold = (filled.get((point["party"], side), 0) if trades else 0 for side in ("buy", "sell"))
            bill, pays, alone = settle_point(imported, exported, bought, sold, trade_price, rules["prices"])
            registers = (start_import, end_import, start_export, end_export)
            inputs.append(pack("IqqqqB", number, *registers, quality))
            positions.append(pack("Iqqqq", number, bought, sold, pays, alone))
            for kind, energy, price, amount, account in bill:
                lines.append(pack("IBqqq", number, kind, energy, price, amount))
                received[account] += amount
            qualities.append(quality)
            table.append((*registers, bought, sold, pays, alone))
            owed.append(pays)
        seeds = [self.chunk_seeds(area, slot), self.chunk_seeds(area, end)]
        seed = sm3(cbor.encode(["result-seed/1", area, slot, run, *seeds]))
        self.leaves[f"run/{area}/{slot}/{run}"] = {
            "accounts": {name: list(divmod(nano, 10**9)) for name, nano in received.items()},
            "area": area,
            "as_of_height": self.height - 1,
            "contract": clearing["contract"],
            "input_root": salted_root(sm3(seed + b"input"), inputs),
            "line_root": salted_root(sm3(seed + b"line"), lines),
            "lines": len(lines),
            "points": len(table),
            "position_root": salted_root(sm3(seed + b"position"), positions),
            "rules": self.rules_digest(area),
            "run": run,
            "slot_start_s": slot,
            "volume_wh": clearing["volume_wh"],
        } | ({"price_micro_per_kwh": trade_price} if clearing["volume_wh"] else {})
        for number, at in enumerate(range(0, len(table), CHUNK)):
            part = slice(at, at + CHUNK)
            columns = [Column(column) for column in zip(*table[part], strict=True)]
            columns_and_quality = {"columns": columns, "quality": bytes(qualities[part]), "seed": seed}
            self.leaves[f"positions/{area}/{slot}/{run}/{number}"] = columns_and_quality
        self.post(area, owed, received, seed)

    def post(self, area: str, owed: Sequence[int], received: Mapping[str, int], seed: bytes) -> None:
        """What each party owes more, and what each account has received more: the two sides of one sum."""
        for number, at in enumerate(range(0, len(owed), CHUNK)):
            key, more = f"balance/{area}/{number}", owed[at : at + CHUNK]
            none = [0] * len(more)
            old = self.leaves.get(key, {"nano": none, "units": none, "seed": ZEROS})
            totals = [u * 10**9 + n + owes for u, n, owes in zip(old["units"], old["nano"], more, strict=True)]
            limbs = {"nano": Column(t % 10**9 for t in totals), "units": Column(t // 10**9 for t in totals)}
            self.leaves[key] = limbs | {"seed": sm3(old["seed"] + seed)}
        for name in ACCOUNTS:
            before = self.leaves.get(f"account/{area}/{name}", {"units": 0, "nano": 0})
            units, nano = divmod(before["units"] * 10**9 + before["nano"] + received[name], 10**9)
            self.leaves[f"account/{area}/{name}"] = {"units": units, "nano": nano}
