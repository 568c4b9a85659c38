#!/usr/bin/env python3
"""Check one line of an electricity bill, offline, with nothing but Python 3.11 and this file.

    python -I -S verify.py BUNDLE --trust FILE [--with-book FILE] [--json]

BUNDLE (`.evd`) is the evidence for one bill line. FILE (`trust.json`) says whose signatures count; get it from somewhere you
trust, never from the sender of the bundle. A bundle that is *verified* proves, by SM2 signatures and SM3 digests alone, that
  * the amount is the energy times the price that the recorded rules, or the market's clearing, give;
  * the energy follows from two register readings and from the orders that were filled;
  * the meter's gateway signed both readings, the party itself each order, for this slot and this chain;
  * all of it lies in a ledger whose signers (more than two thirds of their power) certified exactly this state.

Records are leaves of hash trees (RFC 9162 with SM3): a *path* leads from a leaf to its tree's root, a *header* holds the roots,
its digest is what the signers sign. Claims are checked in a fixed order, trust last: a function `check_...` for each.
docs/spec/bundle.md defines every byte. Exit status: 0 verified, 1 not verified, 3 cannot be decided; 2 no answer (bad file, full output).

Generated from gridevidence/layout.py and gridevidence/verifier/; do not edit: change the parts, then
`python -m gridevidence.build_verifier`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import struct
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

# ================================================================================================== gridevidence/layout
# The layout of a bundle: limits, shapes, rows and claims (docs/spec/bundle.md). What reads or writes bundles takes it from here.
#
# A shape says what a decoded value must look like: an integer n = n bytes, a range = an integer in it, a type = that type, a
# pattern = a text, [shape] = any number of it, (shapes) = exactly these, a map = exactly these keys. In a map, "key?" may be absent
# and "*" lets others stand beside those named, in leaves and signed bodies: the state root or the signature covers them.


# ------------------------------------------------------------------------------------------------------------- limits
BUNDLE_BYTES_MAX, BOOK_BYTES_MAX, TRUST_BYTES_MAX = 1 << 20, 64 << 20, 1 << 20
DEPTH_MAX: Final = 8  # arrays and maps inside one another; a bundle needs five
LIST_ITEMS_MAX: Final = 256
SLOT_LENGTHS_S: Final = (300, 900, 1800, 3600)

# ------------------------------------------------------------------------------------------------------------- shapes
BUNDLE_TYPE, BOOK_TYPE, TRUST_TYPE = "gridledger-evidence", "gridledger-book", "gridledger-trust"
VERSION: Final = 1  # of each of the three
ID, NAME = re.compile(r"[A-Za-z0-9._-]{1,64}"), re.compile(r"[^/\x00-\x1f\x7f]{1,64}")
NATURAL, I64 = range(1 << 63), range(-(1 << 63), 1 << 63)
TIME: Final = range(250_000_000_000)  # UTC seconds, 1970 to 9892
PATH: Final = [33]
STATE_PROOF: Final = {"leaf": bytes, "path": PATH}
ROW_PROOF: Final = {"path": PATH, "row": bytes, "salt": 16}
TRANSACTION: Final[dict[str, Any]] = {
    "attachment_digest": 32,
    "data_path": PATH,
    "header": bytes,
    "history_path": PATH,
    "signature": 64,
    "signed": bytes,
}
BATCH: Final = {**TRANSACTION, "reading": ROW_PROOF}
KEY_OF_GATEWAY: Final = {"gateway": STATE_PROOF, "signer": STATE_PROOF}
BUNDLE: Final[dict[str, Any]] = {
    "batches": {"end": BATCH, "start": BATCH},
    "certificate?": [(65, 64)],
    "chain": STATE_PROOF,
    "clearing?": STATE_PROOF,
    "gateways": {"end": KEY_OF_GATEWAY, "start": KEY_OF_GATEWAY},
    "genesis": {"digest": 32, "path": PATH},
    "header": bytes,
    "input": ROW_PROOF,
    "installation": STATE_PROOF,
    "line": ROW_PROOF,
    "orders": [{**TRANSACTION, "fill": ROW_PROOF}],
    "party?": STATE_PROOF,
    "position": ROW_PROOF,
    "rules": STATE_PROOF,
    "run": STATE_PROOF,
    "type": str,
    "version": int,
}
BOOK: Final = {"book": list, "salts": list, "type": str, "version": int}
TRUST: Final[dict[str, Any]] = {
    "chain": str,
    "genesis": re.compile("[0-9a-fA-F]{64}"),
    "signers": [{"name": str, "power": range(1, 1 << 63), "public_key": re.compile("[0-9a-fA-F]{130}")}],
    "type": str,
    "version": int,
}

# Type, chain, height, time, previous, history root, data root, state root, signer set, reserved.
HEADER: Final = (re.compile("header/1"), re.compile(r".{1,40}[0-9a-f]{16}"), NATURAL, TIME, 32, 32, 32, 32, 32, bytes)
HISTORY_ROOT, DATA_ROOT, STATE_ROOT, SIGNER_SET = 5, 6, 7, 8

CHAIN: Final[dict[str, Any]] = {
    "*": 0,
    "clock": re.compile("block|simulated"),
    "currency": re.compile("[A-Z]{3}"),
    "slot_s": range(300, 3601),
}
GATEWAY: Final = {"*": 0, "protection": NAME}
SIGNER: Final[dict[str, Any]] = {"*": 0, "public_key": 65, "roles": [str]}
INSTALLATION: Final[dict[str, Any]] = {
    "*": 0,
    "area": NAME,
    "from_s": TIME,
    "gateway": ID,
    "meter": NAME,
    "modulus_wh": NATURAL,
    "number": NATURAL,
    "party": ID,
    "ratio": range(1, 1 << 31),
}
RULES: Final = {"*": 0, "prices": dict}  # what those of every contract have; a contract's own shape says more
OF_SLOT: Final[dict[str, Any]] = {
    "area": NAME,
    "contract": str,
    "price_micro_per_kwh?": I64,
    "rules": 32,
    "slot_start_s": TIME,
    "volume_wh": NATURAL,
}
RUN: Final[dict[str, Any]] = {
    **OF_SLOT,
    "*": 0,
    "as_of_height": NATURAL,
    "input_root": 32,
    "line_root": 32,
    "position_root": 32,
    "run": NAME,
}
CLEARING: Final[dict[str, Any]] = {**OF_SLOT, "*": 0, "book_root": 32, "fills_root": 32, "orders": NATURAL}

BATCH_KIND, ORDER_KIND = "metering/reading_batch", "market/order"
SIDES: Final = ("buy", "sell")  # a side's number in a row is its place
SIGNED: Final[dict[str, Any]] = {
    "chain": str,
    "kind": str,
    "signer": ID,
    "type": re.compile("transaction"),
    "version": range(1, 2),
}
SIGNED_BATCH: Final[dict[str, Any]] = {
    **SIGNED,
    "identity": dict,
    "body": {
        "*": 0,
        "boundary_s": TIME,
        "clock": {"offset_ms": int, "state": NAME},
        "registers": (re.compile(r"1-0:1\.8\.0"), re.compile(r"1-0:2\.8\.0")),
        "rows_root": 32,
    },
}
SIGNED_ORDER: Final[dict[str, Any]] = {
    **SIGNED,
    "identity": {"counter": range(1, 17), "slot_start_s": TIME},
    "body": {"area": NAME, "price_micro_per_kwh": I64, "quantity_wh": NATURAL, "side": re.compile("buy|sell")},
}

# --------------------------------------------------------------------------------------------------------------- rows
READING_ROW: Final = struct.Struct("<IiBQQ")  # meter, offset_ms, quality, import register, export register
INPUT_ROW: Final = struct.Struct(
    "<IqqqqB"
)  # meter, import at start and end, export at start and end, quality at the end
POSITION_ROW: Final = struct.Struct("<Iqqqq")  # meter, bought, sold, pays, supplier only
LINE_ROW: Final = struct.Struct("<IBqqq")  # meter, line kind, energy, price, amount
PRICE_ABSENT: Final = -(1 << 63)  # in a line row: the line has no price of its own
FILL_ROW: Final = struct.Struct("<IIBqqq")  # meter, counter, side, quantity, limit, filled
BOOK_ROW: Final = struct.Struct("<IBqqq")  # rank, side, quantity, limit, filled

# ------------------------------------------------------------------------------------------------------------- claims
CLAIMS: Final = {  # in the order of checking, each with what an answer without it leaves open
    "shape": "that the file is one whole bundle",
    "header": "that all records are of one state of the ledger, and belong here",
    "line": "that energy times price gives the amount",
    "energy": "that registers and trades give the energy",
    "readings": "that the registers were read at this meter, for this slot",
    "recorded": "that the ledger accepted what it shows",
    "orders": "that the filled orders are the party's, within their limits, and all that it traded",
    "book": "that the clearing price follows from all orders of the slot (--with-book FILE adds the anonymous order book)",
    "signatures": "that gateway and party signed",
    "certificate": "that signers whom you trust certified it (--trust FILE)",
}
ARITHMETIC: Final = ("line", "energy", "readings", "orders", "book")  # unchecked where the contract is unknown
NEVER_CHECKED: Final = (
    "that the meter measured right, and that the gateway read it right",
    "that rules, ratio, meter and keys in the ledger are those that the parties agreed on",
)


# ======================================================================================== gridevidence/verifier/answers
# The answers of the verifier, and how a claim that does not hold gives one.


VERIFIED, NOT_VERIFIED, CANNOT_BE_DECIDED, BAD_INPUT = "verified", "not verified", "cannot be decided", "bad input"
EXIT_STATUS: Final = {VERIFIED: 0, NOT_VERIFIED: 1, BAD_INPUT: 2, CANNOT_BE_DECIDED: 3}
UNWRITABLE: Final = "the answer cannot be written to the standard output"


class Halt(Exception):  # noqa: N818  (an answer, not an error of this program)
    """Why a claim does not hold, cannot be decided, or an input is bad: ``args`` = (the answer, the reason)."""


def hold(condition: bool, otherwise: str, answer: str = NOT_VERIFIED) -> None:
    """Halt with ``answer`` and the reason ``otherwise`` unless ``condition`` holds."""
    if not condition:
        raise Halt(answer, otherwise)


def same(what: str, found: object, due: object) -> None:
    """Hold that ``what`` was ``found`` as it is ``due``."""
    hold(found == due, f"{what} is {plain(found)}, not {plain(due)}")


def plain(text: object) -> str:
    """Text that is safe on a terminal: anything but printable ASCII is escaped, anything long is cut."""
    shown = str(text)[:160]
    return shown if shown.isascii() and shown.isprintable() else ascii(shown)[1:-1]


# ========================================================================================= gridevidence/verifier/shapes
# What a decoded value must look like; ``gridevidence.layout`` says how shapes are written.


def conform(value: Any, shape: Any, where: str) -> None:
    """Halt, naming the place, unless ``value`` has this shape."""
    if isinstance(shape, dict):
        hold(isinstance(value, dict), f"{where} is not a map")
        unknown = [key for key in value if shape.keys().isdisjoint((key, f"{key}?", "*"))]
        hold(not unknown, f"{where} holds what does not belong there: {plain(', '.join(unknown))}")
        for key in shape:
            name = key.rstrip("?")
            hold(name in value or key != name or key == "*", f"{where} lacks {name}")
            if name in value:
                conform(value[name], shape[key], f"{where}.{name}")
    elif isinstance(shape, list | tuple):
        hold(isinstance(value, list) and len(value) <= LIST_ITEMS_MAX, f"{where} is not a list, or too long a one")
        shapes = shape if isinstance(shape, tuple) else shape * len(value)
        hold(len(value) == len(shapes), f"{where} has not {len(shapes)} items")
        for item, item_shape in zip(value, shapes, strict=True):
            conform(item, item_shape, where)
    elif isinstance(shape, int):
        hold(isinstance(value, bytes) and len(value) == shape, f"{where} is not {shape} bytes")
    elif isinstance(shape, range):
        hold(type(value) is int and value in shape, f"{where} is not an integer in its range")
    elif isinstance(shape, re.Pattern):
        hold(isinstance(value, str) and bool(shape.fullmatch(value)), f"{where} is not the text it should be")
    else:
        hold(type(value) is shape, f"{where} is of another type than it should be")


def known_version(value: Any, kind: str, what: str) -> dict[str, Any]:
    """A map of this ``type``; halts with "cannot be decided" where its ``version`` is not VERSION."""
    hold(isinstance(value, dict) and value.get("type") == kind, f"{what} is no {kind}")
    conform(value.get("version"), int, f"the version of {what}")
    known = f"{what} is of version {plain(value['version'])}; known is {VERSION}"
    hold(value["version"] == VERSION, known, CANNOT_BE_DECIDED)
    return dict(value)


# ============================================================================================ gridevidence/verifier/sm3
# SM3 (GB/T 32905-2016).


def _rotated(word: int, count: int) -> int:
    return ((word << count % 32) | (word >> (32 - count % 32))) & 0xFFFFFFFF


def _sm3_python(data: bytes) -> bytes:
    """SM3 without any library; slow, and only used where this Python's hashlib has none."""
    padded = data + b"\x80" + bytes((55 - len(data)) % 64) + (8 * len(data)).to_bytes(8, "big")
    state = [0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E]
    for start in range(0, len(padded), 64):
        words = [int.from_bytes(padded[i : i + 4], "big") for i in range(start, start + 64, 4)]
        for j in range(16, 68):
            mixed = words[j - 16] ^ words[j - 9] ^ _rotated(words[j - 3], 15)
            mixed ^= _rotated(mixed, 15) ^ _rotated(mixed, 23)
            words.append(mixed ^ _rotated(words[j - 13], 7) ^ words[j - 6])
        a, b, c, d, e, f, g, h = state
        for j in range(64):
            ss1 = _rotated((_rotated(a, 12) + e + _rotated(0x79CC4519 if j < 16 else 0x7A879D8A, j)) & 0xFFFFFFFF, 7)
            ff, gg = (a ^ b ^ c, e ^ f ^ g) if j < 16 else ((a & b) | (a & c) | (b & c), (e & f) | (~e & g))
            tt1 = ff + d + (ss1 ^ _rotated(a, 12)) + (words[j] ^ words[j + 4])
            tt2 = (gg + h + ss1 + words[j]) & 0xFFFFFFFF
            a, b, c, d = tt1 & 0xFFFFFFFF, a, _rotated(b, 9), c
            e, f, g, h = tt2 ^ _rotated(tt2, 9) ^ _rotated(tt2, 17), e, _rotated(f, 19), g
        state = [old ^ new for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)]
    return b"".join(word.to_bytes(4, "big") for word in state)


try:  # not every interpreter's OpenSSL has SM3; where it gives the standard's digest of "abc" it is the faster one
    _IN_HASHLIB = hashlib.new("sm3", b"abc").hexdigest()[:32] == "66c7f0f462eeedd9d1f2d46bdc10e4e2"  # noqa: TID251
except ValueError:
    _IN_HASHLIB = False


def sm3(data: bytes) -> bytes:
    """The 32-byte SM3 digest."""
    return hashlib.new("sm3", data).digest() if _IN_HASHLIB else _sm3_python(data)  # noqa: TID251


# ============================================================================================ gridevidence/verifier/sm2
# SM2 signatures (GB/T 32918.2 and .5): only their check, slow and without secrets.


_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
_GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0
_Point = tuple[int, int] | None  # affine coordinates; None is the point at infinity


def _added(one: _Point, two: _Point) -> _Point:
    if one is None or two is None:
        return one or two
    (x1, y1), (x2, y2) = one, two
    if x1 == x2 and (y1 + y2) % _P == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, _P) if x1 == x2 else (y2 - y1) * pow(x2 - x1, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P


def is_public_key(key: bytes) -> bool:
    """Whether ``key`` is 04 || x || y of a point on the SM2 curve (its order is prime, so every point will do)."""
    x, y = int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big")
    return len(key) == 65 and key[0] == 4 and x < _P and y < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0


def is_valid_signature(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (r || s, 64 bytes) is the SM2 signature of ``message`` by ``key``; malformed input is False."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    t = (r + s) % _N
    if len(signature) != 64 or not is_public_key(key) or not (0 < r < _N and 0 < s < _N) or t == 0:
        return False
    curve = b"".join(number.to_bytes(32, "big") for number in (_P - 3, _B, _GX, _GY))
    za = sm3(b"\x00\x80" + b"1234567812345678" + curve + key[1:])
    e = int.from_bytes(sm3(za + message), "big")
    base, own = (_GX, _GY), (int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big"))
    table: tuple[_Point, ...] = (None, base, own, _added(base, own))
    point: _Point = None
    for bit in range(255, -1, -1):  # s*G + t*key, both at once
        point = _added(_added(point, point), table[(s >> bit & 1) | (t >> bit & 1) << 1])
    return point is not None and (e + point[0]) % _N == r


# ========================================================================================== gridevidence/verifier/trust
# The trust root: whose word counts, read from a file that comes from outside and never out of a bundle.


class Trust(NamedTuple):
    """Whose word counts: the chain, the digest of its genesis, and its signers as (public key, power, name)."""

    chain: str
    genesis: bytes
    signers: tuple[tuple[bytes, int, str], ...]


def decode_trust(data: bytes) -> Trust:
    """Read a trust root (JSON); halts with "bad input" where it is malformed, "cannot be decided" at an unknown version."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        hold(len(dict(pairs)) == len(pairs), f"a key stands twice: {plain(', '.join(key for key, _ in pairs))}")
        return dict(pairs)

    try:
        root = json.loads(data[:TRUST_BYTES_MAX].decode(), object_pairs_hook=distinct)
        root = known_version(root, TRUST_TYPE, "the trust root")
        conform(root, TRUST, "trust")
        signers = tuple((bytes.fromhex(one["public_key"]), one["power"], one["name"]) for one in root["signers"])
        hold(len({key for key, _, _ in signers}) == len(signers) > 0, "it names no signer, or one key twice")
        hold(all(is_public_key(key) for key, _, _ in signers), "a public key is no point of the SM2 curve")
    except (ValueError, RecursionError, Halt) as why:
        if why.args[0] == CANNOT_BE_DECIDED:
            raise
        place = f", at line {why.lineno}, column {why.colno}" if isinstance(why, json.JSONDecodeError) else ""
        reason = why.args[1] if isinstance(why, Halt) else f"it cannot be read as JSON in UTF-8{place}"
        raise Halt(BAD_INPUT, f"the trust file is malformed: {reason}") from None
    return Trust(root["chain"], bytes.fromhex(root["genesis"]), signers)


# =========================================================================================== gridevidence/verifier/cbor
# Canonical CBOR (RFC 8949 section 4.2.1), as far as bundles hold it.


def encode(value: int | bytes | str | Sequence[Any]) -> bytes:
    """Canonical bytes of what this file hashes: integers 0 to 2^64 - 1, bytes, texts and arrays of them."""
    raw = value.encode() if isinstance(value, str) else value
    major = 0 if isinstance(value, int) else 2 if isinstance(value, bytes) else 3 if isinstance(value, str) else 4
    argument = raw if isinstance(raw, int) else len(raw)
    content = b"" if isinstance(raw, int) else raw if isinstance(raw, bytes) else b"".join(encode(item) for item in raw)
    if argument < 24:
        return bytes((major << 5 | argument,)) + content
    width = next(width for width in (1, 2, 4, 8) if argument < 1 << (8 * width))
    return bytes((major << 5 | (23 + width.bit_length()),)) + argument.to_bytes(width, "big") + content


def decode(data: bytes, what: str, shape: Any = None) -> Any:
    """The one canonical item in ``data``, of any or this shape; halts, naming ``what`` and the offset, where it is not."""
    hold(bool(data), f"{what} is empty")
    try:
        value, end = _item(data, 0, 0)
        same("the length of its one item", end, len(data))
    except (Halt, UnicodeDecodeError) as why:
        reason = why.args[1] if isinstance(why, Halt) else "a text that is not UTF-8"
        raise Halt(NOT_VERIFIED, f"{what} cannot be parsed: {reason}") from None
    conform(value, shape or type(value), what)
    return value


def _item(data: bytes, start: int, depth: int) -> tuple[Any, int]:
    hold(depth <= DEPTH_MAX and start < len(data), f"cut short, or nested too deep, at offset {start}")
    hold(data[start] < 0xC0 and data[start] & 31 <= 27, f"of a type that no bundle holds, at offset {start}")
    major, argument, offset = data[start] >> 5, data[start] & 31, start + 1
    if argument >= 24:
        width = 1 << (argument - 24)
        argument, offset = int.from_bytes(data[offset : offset + width], "big"), offset + width
        hold(argument >= (24 if width == 1 else 1 << (4 * width)), "cut short, or not the shortest form")
    if major < 2:
        return (argument if major == 0 else -1 - argument), offset
    hold(argument <= len(data) - offset, f"a length past the end, at offset {start}")
    if major < 4:
        end = offset + argument
        return (data[offset:end] if major == 2 else data[offset:end].decode()), end
    items: list[Any] = []
    entries: dict[str, Any] = {}
    last = b""
    for _ in range(argument):
        item, end = _item(data, offset, depth + 1)
        if major == 4:
            items.append(item)
        else:
            hold(isinstance(item, str), "a map key that is no text")
            hold(data[offset:end] > last, "a map key twice or out of order")
            last = data[offset:end]
            entries[item], end = _item(data, end, depth + 1)
        offset = end
    return (items if major == 4 else entries), offset


# ======================================================================================= gridevidence/verifier/contract
# What a settlement contract computes of one point and of one book: as much of it as a bundle shows.


TRADE_PRICE: Final = (
    "trade_price_micro_per_kwh"  # where the price of a line comes from that has the price of the clearing
)


class LineKind(NamedTuple):
    """A kind of line. ``sign``: +1 where the party owes energy x price, -1 where it is owed; ``price``: a key of the rules'
    prices, TRADE_PRICE, or None: the amount is a share of a sum, and the line has no price of its own.
    """

    name: str
    sign: int
    price: str | None


class Point(NamedTuple):
    """One point in one slot: Wh, and what it pays in nano; None where that is asked."""

    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    pays_nano: int | None


class Slot(NamedTuple):
    """What all points of a slot rest on: the leaf of the run, and the prices of the rules."""

    run: Mapping[str, Any]
    prices: Mapping[str, int]

    def price_of(self, kind: LineKind) -> int | None:
        """The price of a kind of line, as the rules or the clearing give it; 0 where nothing was traded."""
        if kind.price is None:
            return None
        return int(self.run.get("price_micro_per_kwh", 0) if kind.price == TRADE_PRICE else self.prices[kind.price])

    def priced_line(self, kind: LineKind, energy_wh: int) -> PointLine:
        """The line of a kind that has a price."""
        price = self.price_of(kind) or 0
        return PointLine(energy_wh, price, kind.sign * energy_wh * price)


class PointLine(NamedTuple):
    """One kind of line of a point. ``amount_nano`` > 0: the party owes."""

    energy_wh: int
    price_micro_per_kwh: int | None
    amount_nano: int


class Cleared(NamedTuple):
    """What a gate comes to: volume, price (None where nothing is traded), and the fill of each order in rank order."""

    volume_wh: int
    price_micro_per_kwh: int | None
    filled_wh: list[int]


class Contract(NamedTuple):
    """The arithmetic of one contract version, each in a file of the folder ``contracts``.

    rules, run: shapes of its rules' leaf and its run's. line_kinds: a kind's number in a line row is its place. check_run: halts
    where a run cannot be one. lines_of_point: one line a kind, in the order of the kinds. check_point: halts where what a point
    bought, sold and pays cannot be so. alone_of_point: what its energy would have cost with the supplier alone. rationings:
    those that ``clear`` knows, none where the contract takes no orders. clear(orders, rules): orders = (side 0 buy or 1 sell,
    quantity in Wh, limit) in rank order. not_checked: what the lines rest on beyond the bundle.
    """

    contract_id: str
    rules: Mapping[str, Any]
    run: Mapping[str, Any]
    line_kinds: tuple[LineKind, ...]
    check_run: Callable[[Mapping[str, Any]], None]
    lines_of_point: Callable[[Point, Slot], list[PointLine]]
    check_point: Callable[[Point, Slot], None]
    alone_of_point: Callable[[Point, Slot], int]
    rationings: tuple[str, ...]
    clear: Callable[[Sequence[tuple[int, ...]], Mapping[str, Any]], Cleared]
    not_checked: tuple[str, ...]


# ==================================================================== gridevidence/verifier/contracts/mid_market_rate_1
# The arithmetic of ``mid_market_rate/1``: shares of what a community's members pay each other and the grid, and charges.
#
# A share is the point's part, by energy, of a sum over the community; units left over go to the largest remainders, which only
# somebody with all members' rows can tell. So a share may be one unit above the floor.


RETAIL_PRICE, GRID_PRICE = "residual_price_micro_per_kwh", "feed_in_price_micro_per_kwh"
COMMUNITY_KINDS: Final = (
    LineKind("community_buy", 1, None),
    LineKind("community_sell", -1, None),
    LineKind("network_traded", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", 1, "levy_micro_per_kwh"),
)
CHARGES: Final = COMMUNITY_KINDS[2:]


def _check_community_run(run: Mapping[str, Any]) -> None:
    inside_wh = min(run["totals_wh"]["deficit_wh"], run["totals_wh"]["surplus_wh"])
    same("the run's volume", run["volume_wh"], inside_wh)
    hold("price_micro_per_kwh" not in run, "a run of this contract has no one price")


def _charges(point: Point, slot: Slot) -> list[PointLine]:
    energies_wh = (point.bought_wh, point.import_wh - point.bought_wh, point.import_wh)
    return [slot.priced_line(kind, energy_wh) for kind, energy_wh in zip(CHARGES, energies_wh, strict=True)]


def _sums(point: Point, slot: Slot) -> tuple[int, int, int]:
    """Of the point's side: its energy, the energy of all, and the money of all in nano."""
    totals, volume_wh = slot.run["totals_wh"], slot.run["volume_wh"]
    retail, feed_in = slot.prices[RETAIL_PRICE], slot.prices[GRID_PRICE]
    transfer_nano = volume_wh * (retail + feed_in) // 2
    net_wh = point.export_wh - point.import_wh
    if net_wh < 0:
        return -net_wh, totals["deficit_wh"], transfer_nano + (totals["deficit_wh"] - volume_wh) * retail
    return net_wh, totals["surplus_wh"], transfer_nano + (totals["surplus_wh"] - volume_wh) * feed_in


def share_in_community(point: Point, slot: Slot) -> list[PointLine]:
    """A line of each of COMMUNITY_KINDS, in their order: the share is what the point pays less its charges."""
    charges, net_wh = _charges(point, slot), point.export_wh - point.import_wh
    if point.pays_nano is None:
        energy_wh, all_wh, all_nano = _sums(point, slot)
        shared_nano = all_nano * energy_wh // max(all_wh, 1) * (1 if net_wh < 0 else -1)
    else:
        shared_nano = point.pays_nano - sum(charge.amount_nano for charge in charges)
    buys = PointLine(max(-net_wh, 0), None, shared_nano if net_wh < 0 else 0)
    sells = PointLine(max(net_wh, 0), None, shared_nano if net_wh > 0 else 0)
    return [buys, sells, *charges]


def _hold_share(what: str, part: int, total: int, energy_wh: int, all_wh: int) -> None:
    """Hold that ``part`` is the share of ``energy_wh`` of ``all_wh`` in ``total``, one unit more where it does not divide."""
    floor, rest = divmod(total * energy_wh, max(all_wh, 1))
    hold(energy_wh <= all_wh and floor <= part <= floor + (rest > 0), f"{what} is no share of the community's")


def _check_share(point: Point, slot: Slot) -> None:
    energy_wh, all_wh, all_nano = _sums(point, slot)
    is_buyer, volume_wh = point.export_wh < point.import_wh, slot.run["volume_wh"]
    traded_wh, other_wh = (point.bought_wh, point.sold_wh) if is_buyer else (point.sold_wh, point.bought_wh)
    same("the energy traded on the other side", other_wh, 0)
    _hold_share("the traded energy", traded_wh, volume_wh, energy_wh, all_wh)
    buys, sells, *charges = share_in_community(point, slot)
    _hold_share("the amount", buys.amount_nano - sells.amount_nano, all_nano, energy_wh, all_wh)
    due_nano = buys.amount_nano + sells.amount_nano + sum(charge.amount_nano for charge in charges)
    same("what the point pays", point.pays_nano, due_nano)


def _alone_in_community(point: Point, slot: Slot) -> int:
    import_price = sum(
        slot.prices[key] for key in (RETAIL_PRICE, "network_residual_micro_per_kwh", "levy_micro_per_kwh")
    )
    return point.import_wh * import_price - point.export_wh * slot.prices[GRID_PRICE]


def _clear_nothing(orders: Sequence[tuple[int, ...]], _rules: Mapping[str, Any]) -> Cleared:
    return Cleared(0, None, [0] * len(orders))


MID_MARKET_RATE_1: Final = Contract(
    contract_id="mid_market_rate/1",
    rules={
        **RULES,
        "prices": {RETAIL_PRICE: I64, GRID_PRICE: I64, **{str(charge.price): I64 for charge in CHARGES}},
    },
    run={**RUN, "totals_wh": {"deficit_wh": NATURAL, "surplus_wh": NATURAL}},
    line_kinds=COMMUNITY_KINDS,
    check_run=_check_community_run,
    lines_of_point=share_in_community,
    check_point=_check_share,
    alone_of_point=_alone_in_community,
    rationings=(),
    clear=_clear_nothing,
    not_checked=(
        "that the community's surplus and deficit are the sums of its members' energies, and who got a unit that was left over",
    ),
)


# =================================================================== gridevidence/verifier/contracts/p2p_call_auction_1
# The arithmetic of ``p2p_call_auction/1``: nine kinds of lines, and a call auction at one price.


P2P_KINDS: Final = (
    LineKind("trade_buy", 1, TRADE_PRICE),
    LineKind("trade_sell", -1, TRADE_PRICE),
    LineKind("residual_import", 1, "residual_price_micro_per_kwh"),
    LineKind("surplus", -1, "surplus_price_micro_per_kwh"),
    LineKind("residual_export", -1, "feed_in_price_micro_per_kwh"),
    LineKind("shortfall", 1, "shortfall_price_micro_per_kwh"),
    LineKind("network_traded", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", 1, "levy_micro_per_kwh"),
)


def _check_auction_run(run: Mapping[str, Any]) -> None:
    hold(("price_micro_per_kwh" in run) == (run["volume_wh"] > 0), "a run has a price where it has a volume")


def settle_traded(point: Point, slot: Slot) -> list[PointLine]:
    """A line of each of P2P_KINDS, in their order. Import and export are never netted."""
    import_wh, export_wh, bought_wh, sold_wh, _ = point
    traded_wh = min(import_wh, bought_wh)
    energies_wh = (
        bought_wh,
        sold_wh,
        max(import_wh - bought_wh, 0),
        max(bought_wh - import_wh, 0),
        max(export_wh - sold_wh, 0),
        max(sold_wh - export_wh, 0),
        traded_wh,
        import_wh - traded_wh,
        import_wh,
    )
    return [slot.priced_line(kind, energy_wh) for kind, energy_wh in zip(P2P_KINDS, energies_wh, strict=True)]


def _check_traded(point: Point, slot: Slot) -> None:
    pays_nano = sum(line.amount_nano for line in settle_traded(point, slot))
    same("what the point pays", point.pays_nano, pays_nano)


def _alone(point: Point, slot: Slot) -> int:
    return sum(line.amount_nano for line in settle_traded(point._replace(bought_wh=0, sold_wh=0), slot))


def call_auction(orders: Sequence[tuple[int, ...]], reference_price: int | None) -> Cleared:
    """Volume, price and each order's fill of ``orders`` = (side 0 buy or 1 sell, quantity, limit) in rank order.

    The price is the limit with the largest volume, then the smallest imbalance, then by the market's pressure, then nearest to
    the reference. Whole price levels are filled in price order; the one that does not fit is split pro rata, ties by rank.
    """
    levels: dict[int, tuple[list[int], list[int]]] = {}  # limit: ranks of buys, ranks of sells
    for rank, (side, _, limit) in enumerate(orders):
        levels.setdefault(limit, ([], []))[side].append(rank)
    kept: list[tuple[int, int]] = []  # (price, demand - supply) of the best candidates so far, prices ascending
    best = (0, 0)
    demand, supply = sum(quantity for side, quantity, _ in orders if side == 0), 0
    for limit, (buys, sells) in sorted(levels.items()):
        supply += sum(orders[rank][1] for rank in sells)
        quality = (min(demand, supply), -abs(demand - supply))
        if quality >= best or not kept:
            best, kept = quality, [*(kept if quality == best else []), (limit, demand - supply)]
        demand -= sum(orders[rank][1] for rank in buys)
    volume, fills = best[0], [0] * len(orders)
    if volume == 0:
        return Cleared(0, None, fills)
    lowest, highest = kept[0][0], kept[-1][0]
    price = min(max((lowest + highest) // 2 if reference_price is None else reference_price, lowest), highest)
    if all(excess > 0 for _, excess in kept) or all(excess < 0 for _, excess in kept):
        price = highest if kept[0][1] > 0 else lowest
    for side in (0, 1):
        left = volume
        for limit in sorted(levels, reverse=side == 0):
            ranks = levels[limit][side]
            total = sum(orders[rank][1] for rank in ranks)
            share = min(total, left)
            for rank in ranks:
                fills[rank] = share * orders[rank][1] // total
            units = share - sum(fills[rank] for rank in ranks)  # each to one of the largest remainders
            for rank in sorted(ranks, key=lambda rank: -(share * orders[rank][1] % total))[:units]:
                fills[rank] += 1
            left -= share
    return Cleared(volume, price, fills)


def _clear(orders: Sequence[tuple[int, ...]], rules: Mapping[str, Any]) -> Cleared:
    return call_auction(orders, rules.get("reference_price_micro_per_kwh"))


P2P_CALL_AUCTION_1: Final = Contract(
    contract_id="p2p_call_auction/1",
    rules={
        **RULES,
        "prices": {kind.price: I64 for kind in P2P_KINDS if kind.price != TRADE_PRICE},
        "rationing": str,
        "reference_price_micro_per_kwh?": I64,
    },
    run=RUN,
    line_kinds=P2P_KINDS,
    check_run=_check_auction_run,
    lines_of_point=settle_traded,
    check_point=_check_traded,
    alone_of_point=_alone,
    rationings=("pro_rata",),
    clear=_clear,
    not_checked=(),
)


# ====================================================================================== gridevidence/verifier/contracts
# The contracts whose arithmetic the verifier knows, by id. A bundle of another one is never more than "cannot be decided".


CONTRACTS: Final[dict[str, Contract]] = {known.contract_id: known for known in (P2P_CALL_AUCTION_1, MID_MARKET_RATE_1)}


# ========================================================================================== gridevidence/verifier/trees
# Hash trees (RFC 9162 section 2.1 over SM3).


def root_of_path(leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that ``leaf`` and its path lead to: each item is the sibling's side (00 left, 01 right) and its digest."""
    current = sm3(b"\x00" + leaf)
    for item in path:
        hold(item[0] <= 1, "a path item that is neither left nor right")
        current = sm3(b"\x01" + (current + item[1:] if item[0] else item[1:] + current))
    return current


def root_of_leaves(leaves: Sequence[bytes]) -> bytes:
    """Root of a whole tree; an odd last node is handed up unchanged."""
    level = [sm3(b"\x00" + leaf) for leaf in leaves]
    while len(level) > 1:
        level = [sm3(b"\x01" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)] + level[len(level) & ~1 :]
    return level[0] if level else sm3(b"")


# ==================================================================================== gridevidence/verifier/examination
# One bundle under examination: its bytes, what was found in them so far, and how its parts are looked at.


class SignedPart(NamedTuple):
    """A transaction of the bundle: what it is, which leaf has its signer's key, and its proof."""

    what: str
    signer: str
    part: dict[str, Any]


class Examination:
    """What the claims are checked on, in their order: each finds here what those before it have found."""

    def __init__(self, data: bytes, trust: Trust | None, book: bytes | None) -> None:
        self.data, self.trust, self.book_data = data, trust, book
        self.facts: dict[str, Any] = {}
        self.bundle: dict[str, Any] = {}
        self.head: list[Any] = []  # the certified header's items
        self.value: dict[str, dict[str, Any]] = {"clearing": {}}  # values of the leaves run, rules, meter, clearing ...
        self.fills: list[tuple[int, ...]] = []  # rows of the party's filled orders

    def leaf(self, part: dict[str, Any], shape: Any, name: str, key: str = "") -> str:
        """Key of a state proof that lies under the header's state root (and is ``key``); its value is kept under ``name``."""
        leaf = decode(part["leaf"], f"the {name} leaf", (str, shape))
        is_in_state = root_of_path(part["leaf"], part["path"]) == self.head[STATE_ROOT]
        hold(is_in_state, f"the {name} leaf is not in the header's state")
        same(f"the key of the {name} leaf", leaf[0], key or leaf[0])
        self.value[name] = leaf[1]
        return str(leaf[0])

    def row(self, part: dict[str, Any], layout: struct.Struct, root: bytes, what: str) -> tuple[int, ...]:
        """The integers of a salted row that lies under ``root``."""
        same(f"the length of the {what} row", len(part["row"]), layout.size)
        hold(root_of_path(part["salt"] + part["row"], part["path"]) == root, f"the {what} row is not under its root")
        return layout.unpack(part["row"])

    def signed(self, part: dict[str, Any], shape: Any, kind: str, what: str) -> dict[str, Any]:
        """The signed map of a transaction of this chain and this kind."""
        signed: dict[str, Any] = decode(part["signed"], what, shape)
        same(f"kind and chain of {what}", (signed["kind"], signed["chain"]), (kind, self.head[1]))
        return signed

    def batches(self) -> list[SignedPart]:
        """The batches of the slot's end and start."""
        return [
            SignedPart(f"the {when} batch", f"{when} signer", part) for when, part in self.bundle["batches"].items()
        ]

    def orders(self) -> list[SignedPart]:
        """The party's filled orders."""
        return [
            SignedPart(f"order {number}", "party signer", part) for number, part in enumerate(self.bundle["orders"], 1)
        ]

    def contract(self) -> Contract:
        """The arithmetic of the run's contract; halts where it is unknown here."""
        contract_id = self.value["run"]["contract"]
        if contract_id not in CONTRACTS:
            raise Halt(CANNOT_BE_DECIDED, f"the contract {plain(contract_id)} is unknown here")
        return CONTRACTS[contract_id]

    def slot(self) -> Slot:
        """What all lines of the slot rest on."""
        return Slot(self.value["run"], self.value["rules"]["prices"])


# ================================================================================= gridevidence/verifier/claims/metered
# Claim 5: the registers are what the meter's gateway read at the slot's start and end.


def check_readings(of: Examination) -> str:
    """5: both readings, rows of signed batches of this chain, gateway, boundary and meter, show the input's registers."""
    number, *registers, end_quality = INPUT_ROW.unpack(of.bundle["input"]["row"])
    for when, part in of.bundle["batches"].items():
        batch = of.signed(part, SIGNED_BATCH, BATCH_KIND, f"the {when} batch")
        body, used = batch["body"], registers[when == "end" :: 2]
        same(f"the gateway of the {when} batch", batch["signer"], of.facts["gateway"])
        same(f"the boundary of the {when} batch", body["boundary_s"], of.facts[f"slot_{when}_s"])
        row = of.row(part["reading"], READING_ROW, body["rows_root"], f"{when} reading")
        same(f"the {when} reading of meter and registers", (row[0], *row[3:]), (number, *used))
        measured = row[2] & 0x2F == 0 and abs(row[1]) <= 500 * of.value["chain"]["slot_s"]  # within half a slot
        hold(measured, f"the {when} reading is not one measured at its boundary")
        hold(when == "start" or row[2] == end_quality, "the end reading's quality is not as the settlement noted")
        of.facts.update({f"{when}_registers_wh": used, f"{when}_clock": body["clock"]["state"]})
    return f"The registers are measured readings of meter {number} at the slot's start and end."


# =================================================================================== gridevidence/verifier/claims/money
# Claims 3 and 4: the amount of the line, and its energy.


def check_line(of: Examination) -> str:
    """3: the bill line, under the run's line root; the price is the one due for its kind, amount = energy x price."""
    row = of.row(of.bundle["line"], LINE_ROW, of.value["run"]["line_root"], "line")
    _, kind, energy_wh, price, amount_nano = row
    kinds, slot = of.contract().line_kinds, of.slot()
    hold(kind < len(kinds) and energy_wh > 0, "the line is of an unknown kind, or has no energy")
    declared, due_price = kinds[kind], slot.price_of(kinds[kind])
    if due_price is None:  # then claim 4 says whether the amount is due
        same("the price of the line", price, PRICE_ABSENT)
        text = f"{declared.name}: {energy_wh} Wh, {amount_nano} nano is a line of the run, without a price of its own."
    else:
        due = slot.priced_line(declared, energy_wh)
        same("price and amount of the line", (price, amount_nano), (due.price_micro_per_kwh, due.amount_nano))
        text = f"{declared.name}: {energy_wh} Wh x {price} micro/kWh = {amount_nano} nano is a line of the run."
    of.facts.update(
        line_kind=declared.name, energy_wh=energy_wh, price_micro_per_kwh=due_price, amount_nano=amount_nano
    )
    return text


def check_energy(of: Examination) -> str:
    """4: energy from registers and trades, and the sum of all lines of the point."""
    run, meter = of.value["run"], of.value["meter"]
    number, *registers, _ = of.row(of.bundle["input"], INPUT_ROW, run["input_root"], "input")
    position = of.row(of.bundle["position"], POSITION_ROW, run["position_root"], "position")
    same("the meter of input and position", (number, position[0]), (meter["number"], meter["number"]))
    _, bought_wh, sold_wh, pays_nano, alone_nano = position
    hold(min(bought_wh, sold_wh, *registers) >= 0, "an energy or a register is negative")
    spans = registers[:2], registers[2:]  # a register with a modulus may have rolled over once
    taken = [(end - start + (meter["modulus_wh"] if end < start else 0)) * meter["ratio"] for start, end in spans]
    hold(min(taken) >= 0, "a register went back")
    contract, slot, point = of.contract(), of.slot(), Point(taken[0], taken[1], bought_wh, sold_wh, pays_nano)
    kind = [declared.name for declared in contract.line_kinds].index(of.facts["line_kind"])
    line = contract.lines_of_point(point, slot)[kind]
    same("the energy of the line", of.facts["energy_wh"], line.energy_wh)
    same("the amount of the line", of.facts["amount_nano"], line.amount_nano)
    contract.check_point(point, slot)
    same("the supplier-only amount of the point", alone_nano, contract.alone_of_point(point, slot))
    of.facts.update(import_wh=taken[0], export_wh=taken[1], bought_wh=bought_wh, sold_wh=sold_wh)
    of.facts.update(slot_pays_nano=pays_nano, slot_supplier_only_nano=alone_nano)
    return (
        f"{taken[0]} Wh in, {taken[1]} Wh out by the registers, {bought_wh} Wh bought, {sold_wh} Wh sold give the line."
    )


# ================================================================================= gridevidence/verifier/claims/records
# Claims 1, 2 and 6: one whole bundle, whose records are of one state of the ledger and in its history.


def decode_parts(data: bytes) -> dict[str, Any]:
    """The parts of a bundle; halts unless ``data`` is a canonical map of a known version with just the parts of a bundle."""
    hold(len(data) <= BUNDLE_BYTES_MAX, f"a bundle has at most {BUNDLE_BYTES_MAX} bytes")
    parts = known_version(decode(data, "the bundle"), BUNDLE_TYPE, "the bundle")
    conform(parts, BUNDLE, "bundle")
    return parts


def check_shape(of: Examination) -> str:
    """1: canonical bytes, a known version, exactly the parts of a bundle, each of its type."""
    of.bundle = decode_parts(of.data)
    return f"The file is one canonical evidence bundle, version {VERSION}."


def check_header(of: Examination) -> str:
    """2: the header, and under its state root the records that belong to this line, each under the key it must have."""
    first = of.bundle["genesis"]
    of.head = decode(of.bundle["header"], "the header", HEADER)
    hold(all(item[0] == 1 for item in first["path"]), "the genesis is not the first leaf of the history")
    same("the history with this genesis", root_of_path(first["digest"], first["path"]), of.head[HISTORY_ROOT])
    _check_run(of)
    _check_meter(of)
    _check_keys(of)
    _check_clearing(of)
    chain, run, meter = of.value["chain"], of.value["run"], of.value["meter"]
    of.facts.update(chain=of.head[1], height=of.head[2], area=run["area"], run=run["run"], currency=chain["currency"])
    of.facts.update(meter=meter["meter"], party=meter["party"], gateway=meter["gateway"])
    of.facts.update(protection=of.value["end gateway"]["protection"], simulated=chain["clock"] == "simulated")
    of.facts.update(slot_start_s=run["slot_start_s"], slot_end_s=run["slot_start_s"] + chain["slot_s"])
    of.contract()
    return f"Run, rules, meter, gateway and keys are those that belong here, in the state of header {of.head[2]}."


def _check_run(of: Examination) -> None:
    """The chain, the run of one of its slots, and the rules that it was settled by."""
    of.leaf(of.bundle["chain"], CHAIN, "chain", "chain")
    slot_s = of.value["chain"]["slot_s"]
    hold(slot_s in SLOT_LENGTHS_S, "the chain's slots have no length that a slot may have")
    key = of.leaf(of.bundle["run"], RUN, "run")
    run = of.value["run"]
    same("the key of the run leaf", key, f"run/{run['area']}/{run['slot_start_s']}/{run['run']}")
    is_before = run["as_of_height"] < of.head[2] and run["slot_start_s"] % slot_s == 0
    hold(is_before, "the run is after the header, or of no slot")
    known = CONTRACTS.get(run["contract"])
    if known is not None:
        conform(run, known.run, "run")
        known.check_run(run)
    rules = known.rules if known is not None else RULES
    hold(of.leaf(of.bundle["rules"], rules, "rules").startswith("rules/"), "the rules leaf holds no rules")
    hold(sm3(of.bundle["rules"]["leaf"]) == run["rules"], "the run was settled by other rules than these")


def _check_meter(of: Examination) -> None:
    """The installation that the line is about, of the run's area, and in use at the slot's start."""
    number = int.from_bytes(of.bundle["line"]["row"][:4], "little")
    of.leaf(of.bundle["installation"], INSTALLATION, "meter", f"installation/{number}")
    meter, run = of.value["meter"], of.value["run"]
    same("number and area of the installation", (meter["number"], meter["area"]), (number, run["area"]))
    hold(meter["from_s"] <= run["slot_start_s"], "the installation came into use after the slot's start")


def _check_keys(of: Examination) -> None:
    """The keys of the installation's gateway and of its party, each with the role that it needs."""
    meter = of.value["meter"]
    for when, proofs in of.bundle["gateways"].items():
        of.leaf(proofs["gateway"], GATEWAY, f"{when} gateway", f"gateway/{meter['gateway']}")
        of.leaf(proofs["signer"], SIGNER, f"{when} signer", f"signer/{meter['gateway']}")
        hold("gateway" in of.value[f"{when} signer"]["roles"], "the gateway's key may not sign readings")
    has_orders = bool(of.bundle["orders"])
    hold(("party" in of.bundle) == has_orders, "the party's key belongs to orders, and only to them")
    if has_orders:
        of.leaf(of.bundle["party"], SIGNER, "party signer", f"signer/{meter['party']}")
        hold("prosumer" in of.value["party signer"]["roles"], "the party's key may not sign orders")


def _check_clearing(of: Examination) -> None:
    """The clearing that the orders were filled by: of the run's slot, at its price."""
    run = of.value["run"]
    hold("clearing" in of.bundle or not of.bundle["orders"], "there are orders but no clearing")
    if "clearing" in of.bundle:
        of.leaf(of.bundle["clearing"], CLEARING, "clearing", f"clearing/{run['area']}/{run['slot_start_s']}")
        ours, theirs = ([one.get(name.rstrip("?")) for name in OF_SLOT] for one in (run, of.value["clearing"]))
        same("the clearing", theirs, ours)


def check_recorded(of: Examination) -> str:
    """6: batches and orders were accepted (code 0) in blocks before the run, in the history of the header."""
    for what, _, part in (*of.batches(), *of.orders()):
        block = decode(part["header"], f"the header of {what}", HEADER)
        hold(block[2] <= of.value["run"]["as_of_height"] + 1, f"{what} was recorded after the run")
        leaf = encode([sm3(encode([part["signed"], part["signature"], part["attachment_digest"]])), 0])
        hold(root_of_path(leaf, part["data_path"]) == block[DATA_ROOT], f"{what} was not accepted in its block")
        past = root_of_path(sm3(part["header"]), part["history_path"])
        hold(past == of.head[HISTORY_ROOT], f"the block of {what} is not in the header's history")
    return "Both batches and each order were accepted in blocks before the run, in the header's history."


# ================================================================================== gridevidence/verifier/claims/signed
# Claims 8 and 9: who signed the readings and orders, and who certified the state.


def check_signatures(of: Examination) -> str:
    """8: the batches are signed with the gateway's registered key, the orders with the party's."""
    for what, signer, part in (*of.batches(), *of.orders()):
        valid = is_valid_signature(of.value[signer]["public_key"], part["signed"], part["signature"])
        hold(valid, f"{what} is not signed with its signer's registered key")
    return "Both readings are signed with their gateway's registered key, each order with its party's."


def check_certificate(of: Examination) -> str:
    """9: signers of the trust root, with more than two thirds of its power, signed this header; nobody else did."""
    certificate, trust, chain = of.bundle.get("certificate", []), of.trust, of.head[1]
    keys = [key for key, _ in certificate]
    hold(keys == sorted(set(keys)), "the certificate's keys do not ascend")
    if trust is None:
        raise Halt(CANNOT_BE_DECIDED, "no trust root was given (--trust FILE)")
    signers = {key: (power, plain(name)) for key, power, name in trust.signers}
    message = encode(["certificate/1", chain, of.head[2], sm3(of.bundle["header"])])
    for key, signature in certificate:
        valid = key not in signers or is_valid_signature(key, message, signature)
        hold(valid, f"the signature by {key.hex()[:20]}... is not one over this header")
    is_of_chain = (trust.chain, trust.genesis) == (chain, of.bundle["genesis"]["digest"])
    hold(is_of_chain, f"the trust root is of another chain than the bundle's, {plain(chain)}", CANNOT_BE_DECIDED)
    hold(bool(certificate), "the certificate of the header is absent", CANNOT_BE_DECIDED)
    hold(signers.keys() >= set(keys), "a signature is by a key that the trust root does not name")
    own_set = sm3(encode(["signers/1", sorted([key, power] for key, (power, _) in signers.items())]))
    is_own_set = own_set == of.head[SIGNER_SET]
    hold(is_own_set, "the header's signer set is not the trust root's: outdated?", CANNOT_BE_DECIDED)
    signed, total = sum(signers[key][0] for key in keys), sum(power for power, _ in signers.values())
    hold(3 * signed > 2 * total, f"{signed} of {total} of the power signed; more than two thirds are needed")
    of.facts.update(signers=len(keys), signers_total=len(signers), power=signed, power_total=total)
    kind = "signer: the operator's own word" if len(signers) == 1 else "signers"
    return f"Certified by {', '.join(signers[key][1] for key in keys)} ({len(keys)} of {len(signers)} {kind})."


# ================================================================================== gridevidence/verifier/claims/traded
# Claim 7, and with the book one more: the party's filled orders, and the price that follows from all orders of the slot.


def check_orders(of: Examination) -> str:
    """7: each order is the party's, for this area and slot, filled within its limit; the fills are all it bought and sold."""
    if not of.contract().rationings:
        hold(not of.bundle["orders"], "there are orders under a contract that takes none")
        return "The contract takes no orders: what the point bought and sold are its shares."
    clearing, due = of.value["clearing"], (of.facts["party"], of.facts["area"], of.facts["slot_start_s"])
    last_counter, price = 0, clearing.get("price_micro_per_kwh", 0)
    for what, _, part in of.orders():
        order = of.signed(part, SIGNED_ORDER, ORDER_KIND, what)
        body, identity, counter = order["body"], order["identity"], order["identity"]["counter"]
        same(f"party, area and slot of {what}", (order["signer"], body["area"], identity["slot_start_s"]), due)
        hold(counter > last_counter, "the orders do not ascend by their counters")
        last_counter, side = counter, SIDES.index(body["side"])
        fill = of.row(part["fill"], FILL_ROW, clearing["fills_root"], f"fill of {what}")
        own = (of.value["meter"]["number"], counter, side, body["quantity_wh"], body["price_micro_per_kwh"])
        same(f"the fill of {what}", fill[:5], own)
        hold(0 < fill[5] <= fill[3], f"{what} was filled with nothing, or with more than its quantity")
        hold(price <= fill[4] if side == 0 else price >= fill[4], f"{what} was filled beyond its limit")
        of.fills.append(fill)
    filled_wh = [sum(fill[5] for fill in of.fills if fill[2] == side) for side in (0, 1)]
    same("the sum of fills bought and sold", filled_wh, [of.facts["bought_wh"], of.facts["sold_wh"]])
    what = "1 filled order" if len(of.fills) == 1 else f"{len(of.fills)} filled orders"
    return f"{what} of the party, none beyond its limit: all that it bought and sold."


def check_book(of: Examination) -> str:
    """With the book: it is the clearing's; price, volume and every fill follow from it by the contract's rule."""
    clearing, rules, contract = of.value["clearing"], of.value["rules"], of.contract()
    is_known = bool(clearing) and rules.get("rationing") in contract.rationings
    hold(is_known, "no clearing of a known rationing", CANNOT_BE_DECIDED)
    orders = [BOOK_ROW.unpack(row) for row in _book_rows(of)]
    hold(all(order[0] == rank for rank, order in enumerate(orders)), "the book is not in rank order")
    hold(all(order[1] <= 1 and order[2] > 0 for order in orders), "an order has no known side or no quantity")
    volume_wh, price, fills = contract.clear([order[1:4] for order in orders], rules)
    cleared = [clearing["volume_wh"], clearing.get("price_micro_per_kwh")]
    same("the clearing's volume and price", cleared, [volume_wh, price])
    hold(fills == [order[4] for order in orders], "the rule gives other fills than the book states")
    own, listed = Counter(fill[2:] for fill in of.fills), Counter(order[1:] for order in orders)
    hold(own <= listed, "an order of the party does not stand in the book with its fill")
    return f"Price, volume and every fill follow from all orders of the slot ({len(orders)}) by the auction's rule."


def _book_rows(of: Examination) -> list[bytes]:
    """The rows of the book file, all of them under the clearing's book root."""
    clearing, data = of.value["clearing"], of.book_data or b""
    other = "the book file is another slot's, or altered"
    hold(len(data) <= min(BOOK_BYTES_MAX, 100 + 48 * clearing["orders"]), f"{other}: it is too large")
    book = known_version(decode(data, "the book file"), BOOK_TYPE, "the book file")
    conform(book, BOOK, "book")
    rows, salts = book["book"], book["salts"]
    hold(len(rows) == len(salts) == clearing["orders"], f"{other}: it has not {clearing['orders']} rows")
    for row, salt in zip(rows, salts, strict=True):
        conform([row, salt], (BOOK_ROW.size, 16), "row of the book")
    leaves = [salt + row for salt, row in zip(salts, rows, strict=True)]
    hold(root_of_leaves(leaves) == clearing["book_root"], f"{other}: it is not the one that was cleared")
    return list(rows)


# ======================================================================================== gridevidence/verifier/verdict
# The verdict on a bundle: every claim in its order, trust last.


CHECKS: Final[dict[str, Callable[[Examination], str]]] = {
    "shape": check_shape,
    "header": check_header,
    "line": check_line,
    "energy": check_energy,
    "readings": check_readings,
    "recorded": check_recorded,
    "orders": check_orders,
    "book": check_book,
    "signatures": check_signatures,
    "certificate": check_certificate,
}


class Verdict(NamedTuple):
    """The answer, why, the claims that hold (name: text), what was not checked, and the facts that the bundle shows."""

    answer: str
    reason: str
    claims: dict[str, str]
    not_checked: tuple[str, ...]
    facts: dict[str, Any]


def verify_bundle(data: bytes, trust: Trust | None, book: bytes | None = None) -> Verdict:
    """Check every claim of a bundle, and of its slot's anonymous order book where one is given. Never raises for bad bytes."""
    examination = Examination(data, trust, book)
    claims: dict[str, str] = {}
    reasons: list[str] = []
    answer, refuted = VERIFIED, ""
    for name in CLAIMS:
        if (name == "book" and book is None) or (name in ARITHMETIC and reasons):
            continue
        try:
            claims[name] = CHECKS[name](examination)
        except Halt as why:
            answer, reason = why.args
            refuted = name if answer == NOT_VERIFIED else ""
            reasons = [f"{name}: {reason}"] if refuted else [*reasons, reason]
            if refuted or name == "shape":  # where nothing is refuted a later claim still may be
                break
    open_claims = [text for name, text in CLAIMS.items() if name not in claims and name != refuted]
    reason = "; ".join(dict.fromkeys(reasons)) or "every claim holds"
    return Verdict(answer, reason, claims, (*open_claims, *_beyond(examination), *NEVER_CHECKED), examination.facts)


def _beyond(of: Examination) -> tuple[str, ...]:
    """What the lines of the run's contract rest on beyond the bundle."""
    known = CONTRACTS.get(of.value.get("run", {}).get("contract", ""))
    return () if known is None else known.not_checked


# ======================================================================================== gridevidence/verifier/command
# The stand-alone command: reads the files, and shows the verdict to a person or a program.


def verify_files(bundle: Path, trust: Path | None, book: Path | None) -> Verdict:
    """Read the files and answer; "bad input" when one cannot be read or the trust file is malformed."""
    contents: dict[Path, bytes] = {}
    try:
        for path in filter(None, (bundle, trust, book)):
            with path.open("rb") as file:
                contents[path] = file.read(BOOK_BYTES_MAX + 1)
        root = None if trust is None else decode_trust(contents[trust])
    except OSError as why:
        return Verdict(BAD_INPUT, f"cannot read {plain(path)}: {plain(why.strerror)}", {}, (), {})
    except Halt as why:
        return Verdict(why.args[0], f"{plain(trust)}: {why.args[1]}", {}, (*CLAIMS.values(), *NEVER_CHECKED), {})
    return verify_bundle(contents[bundle], root, None if book is None else contents[book])


def render(verdict: Verdict, *, as_json: bool) -> str:
    """The verdict as one JSON object, or as text for a person."""
    facts, mark = verdict.facts, "SIMULATED" if verdict.facts.get("simulated") else ""
    if as_json:
        return json.dumps({**verdict._asdict(), "exit": EXIT_STATUS[verdict.answer], "mark": mark})
    lines = [f"{verdict.answer.upper()}: {verdict.reason}"]
    lines += [f"{mark}: this chain's clock is simulated; no real meter stands behind its readings."] if mark else []
    if "amount_nano" in facts and verdict.answer != NOT_VERIFIED:
        start, end = (datetime.fromtimestamp(facts[f"slot_{when}_s"], UTC) for when in ("start", "end"))
        amount = Decimal(facts["amount_nano"]).scaleb(-9)
        lines.append(f"{facts['party']}, meter {plain(facts['meter'])}, {start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC:")
        owes = f"{'is paid' if amount < 0 else 'owes'} {abs(amount):f} {facts['currency']}"
        lines.append(f"{facts['line_kind']}, {facts['energy_wh']} Wh{_at_price(facts)}: {owes}")
    lines += ["", "Checked:", *(f"  {name}: {text}" for name, text in verdict.claims.items())] if verdict.claims else []
    return "\n".join([*lines, "", "Not checked:", *(f"  {text}" for text in verdict.not_checked)])


def _at_price(facts: Mapping[str, Any]) -> str:
    """The price of the line in words; "" where it has none."""
    price = facts["price_micro_per_kwh"]
    return "" if price is None else f" at {Decimal(price).scaleb(-6):f} {facts['currency']} per kWh"


def is_written(line: str, stream: TextIO | None) -> bool:
    """Write ``line``; False where that cannot be done, after which the stream leads nowhere: no second complaint at exit."""
    try:
        print(line, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())
        return False
    return stream is not None  # None: closed before this program began


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stand-alone command; returns the exit status."""
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description="Check the evidence of a bill line, offline.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the evidence bundle (.evd)")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="trust root (JSON), from a source you trust")
    parser.add_argument("--with-book", type=Path, metavar="FILE", help="the slot's anonymous book: recompute the price")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    verdict = verify_files(options.bundle, options.trust, options.with_book)
    is_bad = verdict.answer == BAD_INPUT
    if not is_bad and is_written(render(verdict, as_json=options.json), sys.stdout):
        return EXIT_STATUS[verdict.answer]
    is_written(f"verify: {verdict.reason if is_bad else UNWRITABLE}", sys.stderr)
    return EXIT_STATUS[BAD_INPUT]


if __name__ == "__main__":
    sys.exit(main())
