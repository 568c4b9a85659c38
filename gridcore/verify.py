#!/usr/bin/env python3
"""Check an electricity bill, offline, with nothing but Python 3.11 and this file.

    python -I -S verify.py BUNDLE --trust FILE [--with-book FILE] [--json]

BUNDLE (`.evd`) is the evidence for what one metering point was billed in one slot. FILE (`trust.json`) says whose signatures
count; get it from somewhere you trust, never from the sender of the bundle. A bundle that is *verified* proves, by SM2
signatures and SM3 digests alone, that
  * every amount follows from energies and from the prices of the recorded rules, or of the market's clearing;
  * the energies follow from register readings within the meter's limits, and from the orders that were filled;
  * the meter's gateway signed both readings, the party itself each order, for this slot and this chain, with keys that were in
    force and are tied to the chain's genesis as the answer says;
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
import itertools
import json
import os
import re
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, TextIO, TypeVar

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


# ================================================================================================== gridevidence/layout
# The layout of a bundle: limits, shapes, rows and claims (docs/spec/bundle.md). What reads or writes bundles takes it from here.
#
# A shape says what a decoded value must look like: an integer n = n bytes, a range = an integer in it, a type = that type, a
# pattern = such a text or bytes, a function = what it holds for, [shape, least, most] = so many of it, (shapes) = exactly these,
# a map = exactly these keys; "key?" may be absent.


# ------------------------------------------------------------------------------------------------------------- limits
BUNDLE_BYTES_MAX, BOOK_BYTES_MAX, TRUST_BYTES_MAX = 1 << 20, 64 << 20, 1 << 20
DEPTH_MAX: Final = 8  # arrays and maps inside one another, the outermost included
LIST_ITEMS_MAX: Final = 256
REGISTER_WH_MAX: Final = 10**13
SLOT_LENGTHS_S: Final = (300, 900, 1800, 3600)
HANDOVERS_MAX: Final = 64  # changes of the set of signers that one bundle shows
ENROLMENTS_MAX: Final = 8  # between a key and genesis
PROTOCOL_VERSION: Final = 2
TRADES_MAX: Final = 256  # of all orders together, whose trades a bundle shows
REGISTRY_ROW_BYTES_MAX: Final = 32_768
SERIES_VALUES_MAX: Final = 3_000
PRICES: Final = range(-(10**9), 10**9 + 1)  # of rules and price series, micro per kWh

# -------------------------------------------------------------------------------------------------------------- values
NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
TEXT_64: Final = re.compile(r".{1,64}", re.DOTALL)
TEXT_200: Final = re.compile(r".{1,200}", re.DOTALL)
NATURAL, I64, U32 = range(1 << 63), range(-(1 << 63), 1 << 63), range(1 << 32)
TIME: Final = range(253_402_300_800)  # UTC seconds to the end of the year 9999
POWER: Final = range(1, (1 << 31) + 1)

# ------------------------------------------------------------------------------------------------- a bundle's own parts
BUNDLE_TYPE, BOOK_TYPE, TRUST_TYPE = "gridledger-evidence", "gridledger-book", "gridledger-trust"
VERSION: Final = 2  # of each of the three
PATH: Final = [re.compile(rb"[\x00\x01].{32}", re.DOTALL), 0, 64]
STATE_PROOF: Final = {"leaf": bytes, "path": PATH}
OPENED: Final = {**STATE_PROOF, "row": bytes, "salt": 16}
ROW_PROOF: Final = {"path": PATH, "row": bytes, "salt": 16}
PLACED: Final = {"header": bytes, "path": PATH}
TRANSACTION: Final[dict[str, Any]] = {
    "attachment_digest": 32,
    "data_path": PATH,
    "header": bytes,
    "history_path": PATH,
    "signature": 64,
    "signed": bytes,
}
READING: Final = {**TRANSACTION, "reading": ROW_PROOF}
PIECE: Final = {
    "approved_end?": TRANSACTION,
    "approved_start?": TRANSACTION,
    "end?": READING,
    "end_installation?": OPENED,
    "ended_by?": OPENED,
    "installation": OPENED,
    "start?": READING,
}
ORDER: Final = {
    **TRANSACTION,
    "fill": ROW_PROOF,
    "mandate?": OPENED,
    "order?": ROW_PROOF,
    "trades?": [ROW_PROOF, 1, TRADES_MAX],
}
KEY_ENTRY: Final = {
    "enrolment?": {**TRANSACTION, "row_path": PATH},
    "genesis?": STATE_PROOF,
    "row": bytes,
    "salt": 16,
    "voted?": STATE_PROOF,
}
CERTIFICATE: Final = [(is_public_key, 64), 0, LIST_ITEMS_MAX]
SIGNER_SET: Final = [(is_public_key, POWER), 1, LIST_ITEMS_MAX]
BUNDLE: Final[dict[str, Any]] = {
    "agreements?": [OPENED, 1, 8],
    "area": OPENED,
    "area_result": ROW_PROOF,
    "certificate": CERTIFICATE,
    "certified?": PLACED,
    "chain": STATE_PROOF,
    "clearing?": {**STATE_PROOF, "area": ROW_PROOF},
    "gateways": [OPENED, 0, 8],
    "genesis": PLACED,
    "handovers": [{**PLACED, "certificate": CERTIFICATE, "signers": SIGNER_SET}, 0, HANDOVERS_MAX],
    "header": bytes,
    "imported?": {**TRANSACTION, "installation": OPENED, "interval": ROW_PROOF},
    "keys": [{**STATE_PROOF, "entries": [KEY_ENTRY, 1, 4]}, 0, 16],
    "orders": [ORDER, 0, 16],
    "party": OPENED,
    "pieces": [PIECE, 0, 4],
    "point": OPENED,
    "point_rules?": OPENED,
    "position": ROW_PROOF,
    "rules": OPENED,
    "run": STATE_PROOF,
    "runs": STATE_PROOF,
    "series?": [OPENED, 1, 24],
    "siblings?": [{"point": OPENED, "position": ROW_PROOF}, 1, 15],
    "type": str,
    "version": int,
    "zone": OPENED,
    "zone_contract": OPENED,
}
BOOK: Final = {"book": [bytes, 0, BOOK_BYTES_MAX], "salts": [16, 0, BOOK_BYTES_MAX], "type": str, "version": int}
HEX_DIGEST: Final = re.compile("[0-9a-fA-F]{64}")
TRUST: Final[dict[str, Any]] = {
    "chain": str,
    "genesis": HEX_DIGEST,
    "pins": [{"fingerprint": HEX_DIGEST, "signer": str}, 0, TRUST_BYTES_MAX],
    "signers": [
        {"name": str, "power": range(1, 1 << 63), "public_key": re.compile("[0-9a-fA-F]{130}")},
        0,
        TRUST_BYTES_MAX,
    ],
    "type": str,
    "version": int,
}

# ------------------------------------------------------------------------------------------- headers, leaves, registry
# Type, chain, height, time, ledger time, previous, history, data and state root, signers, signers pending, protocol.
HEADER: Final = (
    re.compile("header/2"),
    re.compile(r".{17,56}", re.DOTALL),
    *(NATURAL, TIME, TIME, 32, 32, 32, 32, 32),
    re.compile(rb"(?:.{32})?", re.DOTALL),
    NATURAL,
)
CHAIN: Final[dict[str, Any]] = {
    "clock": re.compile("block|simulated|imported"),
    "currency": re.compile("[A-Z]{3}"),
    "name": re.compile(r"[^/\x00-\x1f\x7f]{1,40}"),
    "slot_s": NATURAL,
    "thresholds": dict.fromkeys(("contract", "protocol", "registry", "signers"), range(1, 1 << 63)),
}
PROPOSAL: Final[dict[str, Any]] = {
    "action": bytes,
    "against": [NAME, 0, LIST_ITEMS_MAX],
    "decided_height": NATURAL,
    "in_favour": [NAME, 1, LIST_ITEMS_MAX],
    "open_until_s": TIME,
    "organisation": NAME,
    "proposed_height": NATURAL,
    "status": re.compile("passed"),
}
"""Of one that has passed."""
MEMBERSHIP: Final[dict[str, Any]] = {"rows": [(str, dict), 1, 16], "seed": 32, "sort": re.compile("membership")}
OF_SLOT: Final[dict[str, Any]] = {
    "areas": NATURAL,
    "areas_root": 32,
    "contract": TEXT_64,
    "contract_pin": 32,
    "slot_start_s": TIME,
    "zone": NAME,
}
CLEARING: Final = OF_SLOT
RUN: Final[dict[str, Any]] = {
    **OF_SLOT,
    "as_of_height": NATURAL,
    "points": NATURAL,
    "rows": NATURAL,
    "rows_root": 32,
    "run": NAME,
    "totals_root": 32,
}
RUNS: Final = {"runs": [(NAME, NATURAL), 0, LIST_ITEMS_MAX]}

ENTRIES: Final[dict[str, Any]] = {
    "entries": [(TIME, NATURAL, 32), 0, 64],
    "folded?": 32,
    "folded_to_s?": TIME,
}
BESIDE_ENTRIES: Final = {"area": {"number": U32}, "party": {"number": U32}, "point": {"row": U32}}
WITHIN: Final = range(31_622_401)  # seconds before or behind an instant of a slot
UNTIL_FINAL: Final = range(10 * 31_622_400 + 1)  # seconds behind a slot's end
POWERS: Final = range(10**12 + 1)  # contracted, W
SHARE: Final = range(1_000_001)  # parts of a million
ROLES: Final = re.compile("administrator|aggregator|clock|gateway|prosumer|regulator|utility")
REGISTERS: Final = (range(REGISTER_WH_MAX + 1), range(REGISTER_WH_MAX + 1))  # import, export
AGREED: Final = {"buyer": NAME, "buyer_point": NAME, "seller": NAME, "seller_point": NAME}
ENERGY_KINDS: Final = ("biomass", "coal", "gas", "geothermal", "hydro", "nuclear", "oil", "solar", "waste", "wind")
RENEWABLE_KINDS: Final = ("biomass", "geothermal", "hydro", "solar", "wind")
ENTITIES: Final[dict[str, dict[str, Any]]] = {
    "agreement": {
        **AGREED,
        "basis": re.compile("difference|fixed_quantity|pay_as_produced"),
        "price_micro_per_kwh": PRICES,
        "quantity_wh?": range(1, 10**9 + 1),
        "series?": NAME,
        "share_ppm?": range(1, 1_000_001),
    },
    "area": {"calendar": NAME, "rules": NAME, "zone": NAME},
    "gateway": {"organisation": NAME, "protection": NAME},
    "installation": {
        "final_registers?": REGISTERS,
        "first_registers?": REGISTERS,
        "gateway": NAME,
        "limit_wh": range(1, 10**9 + 1),
        "meter": NAME,
        "modulus_wh": range((1 << 53) + 1),
        "point": NAME,
        "profile": NAME,
        "ratio": range(1, 10_001),
        "reason?": TEXT_200,
    },
    "party": {
        "aggregator?": NAME,
        "area": NAME,
        "contracted_w?": dict,
        "credit_nano?": range(10**18 + 1),
        "organisation": NAME,
        "tariff?": NAME,
        "trades": bool,
    },
    "point": {
        "area": NAME,
        "balance_responsible_export?": NAME,
        "balance_responsible_import?": NAME,
        "energy_kind?": re.compile("|".join(ENERGY_KINDS)),
        "grid_place?": range(1, 65_536),
        "grid_operator?": NAME,
        "offtaker?": NAME,
        "party?": NAME,
        "priority?": range(1_000_001),
        "role": re.compile("household|load|feeder"),
        "rules?": NAME,
        "share_ppm?": range(1_000_001),
        "standing_profile?": NAME,
        "supplier?": NAME,
    },
    "price_series": {"prices": bytes, "slot_s": range(1, 86_401)},
    "rules": {"prices": dict, "series?": dict, "terms": dict, "until_s?": TIME},
    "signer": {"certificate?": bytes, "organisation": NAME, "public_key": is_public_key, "roles": [ROLES, 1, 7]},
    "zone": {
        "contract": TEXT_64,
        "contract_pin": 32,
        "correction_after_s?": WITHIN,
        "final_after_s?": UNTIL_FINAL,
        "first_slot_start_s": TIME,
        "gap_slots_from_s?": TIME,
        "gap_slots_max?": range(1, 4_321),
        "gate_before_start_s": WITHIN,
        "metering_deadline_s": WITHIN,
        "open_before_start_s": WITHIN,
        "part_slots_are_measured?": bool,
        "profiles_have_conditions?": bool,
        "run_calendar?": {
            "corrections": [(UNTIL_FINAL, SHARE), 0, 16],
            "dispute_material_nano": range(10**18 + 1),
            "final_run_after_s": UNTIL_FINAL,
            "initial_last_after_s": UNTIL_FINAL,
            "initial_measured_ppm": SHARE,
        },
        "runs_follow_points?": bool,
        "runs_follow_points_from_s?": TIME,
    },
}
"""Values of registry rows, by the word that their keys begin with."""
ENDED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "agreement": ("ended", {**AGREED, "ended": bool}),
    "gateway": ("retired", {"organisation": NAME, "retired": bool}),
    "installation": (
        "removed",
        {"final_registers?": REGISTERS, "point": NAME, "reason?": TEXT_200, "removed": bool},
    ),
    "signer": ("revoked", {"organisation": NAME, "revoked": bool}),
}
"""The values of entities that have come to an end, by the same word: the key that says so, always true."""

# -------------------------------------------------------------------------------------------------------- transactions
BATCH_KIND, ENROLMENT_KIND = "metering/reading_batch", "registry/register"
ORDER_KIND, ORDER_BATCH_KIND, PROFILE_KIND = "market/order", "market/order_batch", "market/profile"
APPROVAL_KIND, IMPORT_KIND = "metering/approve", "metering/interval_import"
ROLE_OF_KIND: Final = {
    APPROVAL_KIND: "utility",
    BATCH_KIND: "gateway",
    IMPORT_KIND: "gateway",
    ORDER_KIND: "prosumer",
    ORDER_BATCH_KIND: "aggregator",
    PROFILE_KIND: "prosumer",
    ENROLMENT_KIND: "administrator",
}
REGISTER_CODES: Final = ["1-0:1.8.0", "1-0:2.8.0"]
SIDES: Final = ("buy", "sell")  # a side's number in a row is its place
CONDITIONS_MAX: Final = 4  # of a bid
ASKED: Final[dict[str, Any]] = {"energy_kind?": re.compile("|".join((*ENERGY_KINDS, "renewable"))), "seller?": NAME}
CONDITION: Final[dict[str, Any]] = {**ASKED, "energy_wh": I64, "price_micro_per_kwh": I64}
PART_CONDITION: Final[dict[str, Any]] = {**ASKED, "price_micro_per_kwh": I64, "quantities_wh": bytes}
PART: Final[dict[str, Any]] = {  # of a profile: it has conditions, or what it says itself
    "conditions?": [PART_CONDITION, 1, CONDITIONS_MAX],
    "price_micro_per_kwh?": I64,
    "quantities_wh?": bytes,
    "side": re.compile("buy|sell"),
}
BODIES: Final[dict[str, dict[str, Any]]] = {
    APPROVAL_KIND: {"boundary_s": TIME, "installation": U32, "reason": TEXT_200, "registers": REGISTERS},
    BATCH_KIND: {
        "agent": re.compile(r".{0,64}", re.DOTALL),
        "boundary_s": I64,
        "clock": {"offset_ms": I64, "state": re.compile("synced|holdover|unsynced|simulated")},
        "configuration": 32,
        "observations?": 32,
        "previous": 32,
        "profiles": 32,
        "receipt?": (I64, 32),
        "registers": [str, 1, 3],
        "rows": range(1, 4097),
        "rows_root": 32,
    },
    IMPORT_KIND: {
        "agent": re.compile(r".{0,64}", re.DOTALL),
        "estimates": re.compile(r".{0,64}", re.DOTALL),
        "files": [(TEXT_64, 32), 1, 16],
        "first_slot_s": TIME,
        "meters": range(1, 65_537),
        "rows_root": 32,
        "slot_s": range(1, 86_401),
        "slots": range(1, 289),
    },
    ORDER_KIND: {
        "area": TEXT_64,
        "condition?": re.compile("all_or_none"),
        "conditions?": [CONDITION, 1, CONDITIONS_MAX],
        "last_price_micro_per_kwh?": I64,
        "price_micro_per_kwh": I64,
        "quantity_wh": I64,
        "replaces?": [range(1, 17), 1, 16],
        "side": re.compile("buy|sell"),
        "steps?": range(2, 17),
    },
    PROFILE_KIND: {
        "area": TEXT_64,
        "end_s": TIME,
        "parts": [PART, 1, 16],
    },
    ORDER_BATCH_KIND: {"rows": range(1, 16_385), "rows_root": 32, "slot_start_s": I64, "zone": NAME},
    ENROLMENT_KIND: {"rows": range(1, 4097), "rows_root": 32},
}
IDENTITIES: Final[dict[str, dict[str, Any]]] = {
    APPROVAL_KIND: {"client_id": 16, "valid_until_s": I64},
    BATCH_KIND: {"counter": range(1, 1 << 63), "epoch": range(1, 1 << 63)},
    IMPORT_KIND: {"client_id": 16, "valid_until_s": I64},
    ORDER_KIND: {"counter": I64, "nonce": 16, "slot_start_s": I64},
    PROFILE_KIND: {"counter": I64, "nonce": 16, "slot_start_s": I64},
    ORDER_BATCH_KIND: {"client_id": 16, "valid_until_s": I64},
    ENROLMENT_KIND: {"client_id": 16, "valid_until_s": I64},
}
QUANTITY_BYTES, QUANTITIES_MAX = 4, 672  # of a part of a profile, little-endian
PROFILE_S_MAX: Final = 31 * 86_400  # from the block that has a profile to its end
SIGNED: Final[dict[str, Any]] = {
    "chain": str,
    "kind": str,
    "signer": NAME,
    "type": re.compile("transaction"),
    "version": range(1, 2),
}

# --------------------------------------------------------------------------------------------------------------- rows
READING_ROW: Final = struct.Struct("<IiBQQ")  # meter, offset_ms, quality, import register, export register
INTERVAL_ROW: Final = struct.Struct("<IqBqq")  # meter, start of the slot, quality, import, export
POSITION_HEAD: Final = struct.Struct("<IB6q")  # row, quality, import start, end, export start, end, import, export
AREA_HEAD: Final = struct.Struct("<I32s")  # area, digest of the rules' entry
CLEARED_ROW: Final = struct.Struct("<IIqBq32s32s32s")  # area, orders, volume, has price, price, rules, book, fills root
PAIRED_CLEARED_ROW: Final = struct.Struct("<IIqBq32s32s32sI32s")  # the same, and trades, trades root
FILL_ROW: Final = struct.Struct("<IIBqqq")  # party, counter, side, quantity, limit, filled
BLOCK_ROUNDS_MAX: Final = 32  # times that a gate is cleared with such orders
ALL_OR_NONE: Final = 2  # added to the side of a fill or book row whose order is filled as a whole or not at all
PAIRED_FILL_ROW: Final = struct.Struct("<IIBqqqq")  # the same, and what its trades come to
WANTED_TERMS: Final = ("bid", "choice", "energy_kinds", "seller")  # at the end of rows under conditional_bid/1
WANTED_FILL_ROW: Final = struct.Struct("<IIBqqqq4I")  # the same, and these
PLACED_TERMS: Final = ("grid_place",)  # at the end of rows under grid_fee_path/1 and /2
FEE_FILL_ROW: Final = struct.Struct("<IIBqqqqqI")  # the paired one, what is paid beyond it for the way, and these
TIMED_TERMS: Final = ("arrival",)  # at the end of rows under p2p_call_auction/2
TIMED_FILL_ROW: Final = struct.Struct("<IIBqqqI")  # the first of them, and these
FEE_TRADE_ROW: Final = struct.Struct("<IIIIqqq")  # a trade's, and what the buyer pays of each kWh beyond its price
FILL_ROWS: Final = (FILL_ROW, PAIRED_FILL_ROW, WANTED_FILL_ROW, FEE_FILL_ROW, TIMED_FILL_ROW)
TRADE_ROW: Final = struct.Struct("<IIIIqq")  # buyer and counter, seller and counter, energy, price
PLACED_ROW: Final = struct.Struct("<IIBqq")  # party, counter, side, quantity, limit
PLACED_BID_ROW: Final = struct.Struct(
    "<IIBqqBHIq"
)  # the same, and choice, kinds, seller (0: any) and quantity of the bid
BOOK_ROW: Final = struct.Struct("<IBqqq")  # rank, side, quantity, limit, filled
ARRIVED_BOOK_ROW: Final = struct.Struct("<IBqqqI")  # the same, and the rank before which it was withdrawn

PLACED_BOOK_ROW: Final = struct.Struct("<IBqqqI")  # the first of them, and PLACED_TERMS
TIMED_BOOK_ROW: Final = struct.Struct("<IBqqqI")  # the first of them, and TIMED_TERMS
WANTED_BOOK_ROW: Final = struct.Struct("<IBqqq4I")  # the first of them, and WANTED_TERMS

# ------------------------------------------------------------------------------------------------------------- claims
CLAIMS: Final = {  # in the order of checking, from 1; each with what an answer without it leaves open
    "shape": "that the file is one whole bundle",
    "header": "that run, chain and genesis are of one state of the ledger",
    "registry": "that zone, area, rules, party, point, meter and gateway were in force, and belong together",
    "position": "that point and area stand in the run",
    "lines": "that energies and prices give the amounts",
    "energy": "that the registers give the energies, within the meter's limits",
    "readings": "that the registers were read at this meter, for this slot",
    "orders": "that the filled orders are the party's, for this slot and within their limits, and all that it traded",
    "clearing": "that the price is the one that was cleared",
    "recorded": "that the ledger accepted readings and orders before the run",
    "keys": "that the keys of gateway and party were in force, and how they are tied",
    "signatures": "that gateway and party, or its aggregator, signed",
    "certificate": "that signers whom you trust certified it (--trust FILE)",
    "book": "that the price follows from all orders of the slot (--with-book FILE adds the anonymous order book)",
}
OF_CONTRACT: Final = ("lines", "orders", "clearing")  # unchecked where the contract is unknown
OF_READINGS: Final = ("energy", "readings")  # unchecked where the energy is estimated
ESTIMATED: Final = (0x01, 0x21)  # quality bytes of positions whose energy no registers tell: an open gap, a closed one
ESTIMATE_UNCHECKED: Final = (
    "that the estimate of the energy follows from earlier days, or from the registers around the gap"
)
NEVER_CHECKED: Final = (
    "that rules, ratio, meter and keys in the ledger are those that the parties agreed on",
    "that the meter measured right, and that the gateway read it right",
    "that the clock that the gateway stated was right",
    "that no two thirds of an earlier set of signers made another history",
)
IMPORTED_QUALITIES: Final = (0x00, 0x01, 0x02, 0x04, 0x21)  # measured, estimated, corrected, missing, interpolated
IMPORT_ESTIMATE_UNCHECKED: Final = "that the importer estimated by the method that it names"
TRADES_UNSHOWN: Final = "the trades that the fills come from: there are more than a bundle shows"
APPROVED_UNREAD: Final = "that the meter showed the registers that its organisation answers for"
SUBSTITUTE: Final = "substitute: "  # begins the reason of an approved register that nobody read
PRIMARY_WH_MAX: Final = 10**9  # of a slot: what an approved register may give, and what all pieces may
IMPORTED_UNSIGNED: Final = "no meter signed these values"


# ======================================================================================== gridevidence/verifier/answers
# The answers of the verifier, and how a claim that does not hold gives one.


VERIFIED, NOT_VERIFIED, CANNOT_BE_DECIDED, BAD_USAGE = "verified", "not verified", "cannot be decided", "bad usage"
EXIT_STATUS: Final = {VERIFIED: 0, NOT_VERIFIED: 1, BAD_USAGE: 2, CANNOT_BE_DECIDED: 3}
UNWRITABLE: Final = "the answer cannot be written to the standard output"


class Halt(Exception):  # noqa: N818  (an answer, not an error of this program)
    """Why a claim does not hold, cannot be decided, or a file cannot be used: ``args`` = (the answer, the reason)."""


def hold(condition: bool, otherwise: str, answer: str = NOT_VERIFIED) -> None:
    """Halt with ``answer`` and the reason ``otherwise`` unless ``condition`` holds."""
    if not condition:
        raise Halt(answer, otherwise)


def refuse(reason: str) -> NoReturn:
    """Halt: not verified."""
    raise Halt(NOT_VERIFIED, reason)


def same(what: str, found: object, due: object) -> None:
    """Hold that ``what`` was ``found`` as it is ``due``."""
    hold(found == due, f"{what} is {plain(found)}, not {plain(due)}")


def plain(text: object) -> str:
    """Text that is safe on a terminal: bytes in hex, anything but printable ASCII escaped, anything long cut."""
    shown = (text.hex() if isinstance(text, bytes) else str(text))[:160]
    return shown if shown.isascii() and shown.isprintable() else ascii(shown)[1:-1]


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


def decode(data: bytes, what: str, *, has_booleans: bool = False, items_max: int = LIST_ITEMS_MAX) -> Any:
    """The one canonical item in ``data``; halts, naming ``what`` and the offset, where it is not.

    has_booleans: leaves and registry rows may hold them, nothing else. items_max: of an array.
    """
    hold(bool(data), f"{what} is empty")
    try:
        value, end = _Reader(data, has_booleans, items_max).item(0, 1)
        same("the length of its one item", end, len(data))
    except (Halt, UnicodeDecodeError) as why:
        reason = why.args[1] if isinstance(why, Halt) else "a text that is not UTF-8"
        raise Halt(NOT_VERIFIED, f"{what} cannot be parsed: {reason}") from None
    return value


class _Reader:
    def __init__(self, data: bytes, has_booleans: bool, items_max: int) -> None:
        self.data, self.has_booleans, self.items_max = data, has_booleans, items_max

    def item(self, start: int, depth: int) -> tuple[Any, int]:
        """The item at an offset, and where it ends. ``depth``: that of an array or map that begins here."""
        hold(start < len(self.data), f"cut short, at offset {start}")
        first = self.data[start]
        if self.has_booleans and first in (0xF4, 0xF5):
            return first == 0xF5, start + 1
        hold(first < 0xC0 and first & 31 <= 27, f"of a type that does not belong here, at offset {start}")
        major, argument, offset = first >> 5, first & 31, start + 1
        if argument >= 24:
            width = 1 << (argument - 24)
            argument, offset = int.from_bytes(self.data[offset : offset + width], "big"), offset + width
            is_shortest = argument >= (24 if width == 1 else 1 << (4 * width)) and offset <= len(self.data)
            hold(is_shortest, f"cut short, or not the shortest form, at offset {start}")
        if major < 2:
            return (argument if major == 0 else -1 - argument), offset
        hold(argument <= len(self.data) - offset, f"a length past the end, at offset {start}")
        if major < 4:
            end = offset + argument
            return (self.data[offset:end] if major == 2 else self.data[offset:end].decode()), end
        hold(depth <= DEPTH_MAX, f"nested too deep, at offset {start}")
        return self._array(argument, offset, depth) if major == 4 else self._map(argument, offset, depth)

    def _array(self, count: int, offset: int, depth: int) -> tuple[list[Any], int]:
        hold(count <= self.items_max, f"an array of more than {self.items_max} items")
        items: list[Any] = []
        for _ in range(count):
            item, offset = self.item(offset, depth + 1)
            items.append(item)
        return items, offset

    def _map(self, count: int, offset: int, depth: int) -> tuple[dict[str, Any], int]:
        entries: dict[str, Any] = {}
        last = b""
        for _ in range(count):
            key, end = self.item(offset, depth + 1)
            hold(isinstance(key, str), "a map key that is no text")
            hold(self.data[offset:end] > last, "a map key twice or out of order")
            last = self.data[offset:end]
            entries[key], offset = self.item(end, depth + 1)
        return entries, offset


# ===================================================================================== gridevidence/verifier/conditions
# What a condition of a bid asks for, in a row of an aggregator's batch and a part of a profile too, and its form (docs/spec/envelope.md).


ANY_KIND = (1 << len(ENERGY_KINDS) + 1) - 1  # bit 0 is energy of no kind that is known


def kinds_of(word: str | None) -> int:
    """The kinds that a condition takes which says this word, a bit each."""
    if word is None:
        return ANY_KIND
    kinds = RENEWABLE_KINDS if word == "renewable" else (word,)
    return sum(2 << ENERGY_KINDS.index(kind) for kind in kinds)


class Condition(NamedTuple):
    """What one condition of a bid asks for. choice: its place among them; energy_kinds: a bit each; seller: a party's name, or in a batch its
    number and 1 more, None for any.
    """

    choice: int
    energy_kinds: int
    seller: str | int | None


def condition_of(placed: bytes) -> Condition | None:
    """What a row of a batch asks for as a condition of a bid."""
    if len(placed) == PLACED_ROW.size:
        return None
    choice, kinds, seller, _ = PLACED_BID_ROW.unpack(placed)[5:]
    return Condition(choice, kinds, seller or None) if kinds else None


class PartOrder(NamedTuple):
    """What a profile orders under one counter. quantities: as its bytes have them; condition: None of a part without; of_bid: the quantities of
    all conditions of the part.
    """

    side: int
    limit: int
    quantities: bytes
    condition: Condition | None
    of_bid: tuple[bytes, ...]


def part_orders(body: Mapping[str, Any]) -> list[PartOrder]:
    """What a profile orders in each slot, under counters from its own on."""
    orders = []
    for part in body["parts"]:
        conditions = part.get("conditions", [part])
        of_bid = tuple(one["quantities_wh"] for one in conditions)
        for choice, one in enumerate(conditions):
            wanted = Condition(choice, kinds_of(one.get("energy_kind")), one.get("seller"))
            asked = wanted if "conditions" in part else None
            side, limit = SIDES.index(part["side"]), one["price_micro_per_kwh"]
            orders.append(PartOrder(side, limit, one["quantities_wh"], asked, of_bid))
    return orders


def quantity_in(quantities: bytes, slot: int) -> int:
    """Wh that a part of a profile orders in the slot of a number, from 0."""
    at = slot * QUANTITY_BYTES % len(quantities)
    return int.from_bytes(quantities[at : at + QUANTITY_BYTES], "little")


def hold_part(part: Mapping[str, Any], what: str) -> None:
    """Hold that a part of a profile says its limit and quantities, or buys by conditions that do."""
    has_conditions = "conditions" in part
    for name in ("price_micro_per_kwh", "quantities_wh"):
        hold((name in part) != has_conditions, f"a part of {what} has conditions and {name}, or neither")
    hold(not has_conditions or part["side"] == "buy", f"a part of {what} has conditions, and does not buy")
    for one in part.get("conditions", [part]):
        count, rest = divmod(len(one["quantities_wh"]), QUANTITY_BYTES)
        is_whole = rest == 0 and 1 <= count <= QUANTITIES_MAX and any(one["quantities_wh"])
        hold(
            is_whole,
            f"the quantities of {what} are not 1 to {QUANTITIES_MAX} of {QUANTITY_BYTES} bytes each, one above 0",
        )


def hold_placed(row: bytes, what: str) -> None:
    """Hold that a row of a batch is a condition of a bid, or says nothing of what it wants."""
    if len(row) == PLACED_ROW.size:
        return
    _, _, side, quantity_wh, _, choice, kinds, seller, bid_wh = PLACED_BID_ROW.unpack(row)
    if kinds == 0:
        hold((choice, seller, bid_wh) == (0, 0, 0), f"{what} is no condition, and says what it wants")
        return
    hold(side == SIDES.index("buy"), f"{what} has conditions, and does not buy")
    hold(choice < CONDITIONS_MAX and kinds <= ANY_KIND, f"{what} is a condition that no bid has")
    hold(1 <= quantity_wh <= bid_wh, f"{what} is of more than its bid")


# ========================================================================================= gridevidence/verifier/shapes
# What a decoded value must look like; ``gridevidence.layout`` says how shapes are written.


def conform(value: Any, shape: Any, where: str) -> None:
    """Halt, naming the place, unless ``value`` has this shape."""
    if isinstance(shape, dict):
        hold(isinstance(value, dict), f"{where} is not a map")
        unknown = [key for key in value if key.endswith("?") or shape.keys().isdisjoint((key, f"{key}?"))]
        hold(not unknown, f"{where} holds what does not belong there: {plain(', '.join(unknown))}")
        for key, inner in shape.items():
            name = key.rstrip("?")
            hold(name in value or key != name, f"{where} lacks {name}")
            if name in value:
                conform(value[name], inner, f"{where}.{name}")
    elif isinstance(shape, list | tuple):
        hold(isinstance(value, list), f"{where} is not an array")
        least, most = (len(shape), len(shape)) if isinstance(shape, tuple) else shape[1:]
        hold(least <= len(value) <= most, f"{where} has {len(value)} items")
        shapes = shape if isinstance(shape, tuple) else shape[:1] * len(value)
        for item, item_shape in zip(value, shapes, strict=True):
            conform(item, item_shape, where)
    else:
        conform_scalar(value, shape, where)


def conform_scalar(value: Any, shape: Any, where: str) -> None:
    """The same for what is no map and no array."""
    if isinstance(shape, int):
        hold(isinstance(value, bytes) and len(value) == shape, f"{where} is not {shape} bytes")
    elif isinstance(shape, range):
        hold(type(value) is int and value in shape, f"{where} is not an integer in its range")
    elif isinstance(shape, re.Pattern):
        is_such = type(value) is type(shape.pattern) and shape.fullmatch(value)
        hold(bool(is_such), f"{where} is not what it should be")
    elif isinstance(shape, type):
        hold(type(value) is shape, f"{where} is of another type than it should be")
    else:
        hold(isinstance(value, bytes) and shape(value), f"{where} is not a public key")


def known_version(value: Any, kind: str, what: str) -> dict[str, Any]:
    """A map of this ``type``; halts with "cannot be decided" where its ``version`` is not VERSION."""
    hold(isinstance(value, dict) and value.get("type") == kind, f"{what} is no {kind}")
    version = value.get("version")
    hold(type(version) is int, f"the version of {what} is not an integer")
    if version != VERSION:
        who = "; release 0.1 of GridLedger knows it" if version == 1 else ""
        raise Halt(CANNOT_BE_DECIDED, f"{what} is of version {plain(version)}, known here is {VERSION}{who}")
    return dict(value)


# ========================================================================================== gridevidence/verifier/trees
# Hash trees (RFC 9162 section 2.1 over SM3).


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf; that of a salted row: of salt || row."""
    return sm3(b"\x00" + leaf)


def root_of_path(leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that ``leaf`` and its path lead to."""
    return fold_path(leaf_hash(leaf), path)


def fold_path(current: bytes, path: Sequence[bytes]) -> bytes:
    """The root above a hash: each item of a path is the sibling's side (00 left, 01 right) and its digest."""
    for item in path:
        current = sm3(b"\x01" + (current + item[1:] if item[0] else item[1:] + current))
    return current


def root_of_leaves(leaves: Sequence[bytes]) -> bytes:
    """Root of a whole tree; an odd last node is handed up unchanged."""
    level = [leaf_hash(leaf) for leaf in leaves]
    while len(level) > 1:
        level = [sm3(b"\x01" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)] + level[len(level) & ~1 :]
    return level[0] if level else sm3(b"")


# ======================================================================================== gridevidence/verifier/records
# The records inside a bundle: headers, leaves, registry entries, transactions, rows, each with the roots that its paths lead to.


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


# ========================================================================================= gridevidence/verifier/pieces
# The parts of a slot in which one meter's registers go on, and what tells these at its ends, out of the parts of a bundle.


_Read = TypeVar("_Read")


class Reading(NamedTuple):
    """A batch, and its row of the meter."""

    batch: Transaction
    row: Row


class Piece(NamedTuple):
    """A part of the slot in which one meter's registers go on; ``ended_by``: the entry at which they break off."""

    installation: Opened
    end_installation: Opened | None
    ended_by: Opened | None
    start: Reading | None
    end: Reading | None
    approved_start: Transaction | None
    approved_end: Transaction | None

    @property
    def is_part(self) -> bool:
        """Its meter was put up, or taken down, inside the slot, of which it measured a part: it is read, or approved, at one end alone."""
        ends = (self.start, self.approved_start), (self.end, self.approved_end)
        given = tuple(sum(one is not None for one in of_end) for of_end in ends)
        return given == ((1, 0) if self.ended_by else (0, 1))

    @property
    def first(self) -> Reading | Transaction | None:
        """The reading or approval at the slot's start."""
        return self.start or self.approved_start

    @property
    def last(self) -> Reading | Transaction | None:
        """The reading or approval at the slot's end."""
        return self.end or self.approved_end

    @property
    def last_installation(self) -> Opened:
        """The entry in force at the piece's end."""
        return self.end_installation or self.installation


def optional(parts: Mapping[str, Any], name: str, read: Callable[[Mapping[str, Any]], _Read]) -> _Read | None:
    """What ``read`` makes of a part that may be absent; None where it is."""
    return read(parts[name]) if name in parts else None


def _read_reading(part: Mapping[str, Any], when: str) -> Reading:
    batch = read_transaction(part, f"the {when} batch", BATCH_KIND)
    return Reading(batch, read_row(part["reading"], f"the {when} reading", READING_ROW))


def _read_approval(part: Mapping[str, Any], when: str) -> Transaction:
    return read_transaction(part, f"the {when} approval", APPROVAL_KIND)


def read_piece(part: Mapping[str, Any]) -> Piece:
    """A piece out of its part of a bundle."""
    return Piece(
        installation=read_opened(part["installation"], "the installation"),
        end_installation=optional(part, "end_installation", lambda one: read_opened(one, "the installation's end")),
        ended_by=optional(part, "ended_by", lambda one: read_opened(one, "the end of an installation's part")),
        start=optional(part, "start", lambda one: _read_reading(one, "start")),
        end=optional(part, "end", lambda one: _read_reading(one, "end")),
        approved_start=optional(part, "approved_start", lambda one: _read_approval(one, "start")),
        approved_end=optional(part, "approved_end", lambda one: _read_approval(one, "end")),
    )


def hold_pieces(pieces: tuple[Piece, ...]) -> None:
    """Halts where the pieces of a slot do not follow one another from its start to its end, or one alone is not a part of it."""
    if len(pieces) == 1 and pieces[0].is_part:
        is_last = pieces[0].ended_by is None
        hold(pieces[0].end_installation is None or is_last, "only the last piece has an installation of its end")
        return
    for place, piece in enumerate(pieces, 1):
        is_first, is_last = place == 1, place == len(pieces)
        starts, ends = ((piece.start, piece.approved_start), (piece.end, piece.approved_end))
        given = (sum(one is not None for one in starts), sum(one is not None for one in ends))
        hold(given == (is_first, is_last), "the first piece has one start, reading or approval, the last one one end")
        hold((piece.ended_by is None) == is_last, "every piece but the last one is ended by an entry")
        hold(piece.end_installation is None or is_last, "only the last piece has an installation of its end")


# ========================================================================================= gridevidence/verifier/bundle
# A bundle as records. Reading one is claim 1: its form, and that of everything inside.


class Terms(NamedTuple):
    """What a filled order says: for which slot, and the beginning of its fill."""

    slot_start_s: int
    party: int
    counter: int
    side: int
    quantity_wh: int
    limit: int


class Order(NamedTuple):
    """A filled order, and its fill. Of an aggregator's batch: its row, and the party's entry that names the aggregator. Of a ramp, a bid with
    conditions or a profile, which give several orders: that of the fill's counter.

    trades: what the fill comes from, under a contract whose trades have prices of their own; none where there are too many.
    """

    order: Transaction
    fill: Row
    row: Row | None
    mandate: Opened | None
    trades: tuple[Row, ...]

    def gives(self, start_s: int, slot_s: int) -> bool:
        """Whether it has an order of the fill's counter in the slot from start_s on; always, where it is one order."""
        identity, body = self.order.identity, self.order.body
        if self.order.kind == PROFILE_KIND:
            is_slot = (start_s - identity["slot_start_s"]) % slot_s == 0
            is_within = identity["slot_start_s"] <= start_s < body["end_s"]
            return is_slot and is_within and 0 <= self._place < len(part_orders(body))
        if "conditions" in body:
            return 0 <= self._place < len(body["conditions"])
        return "steps" not in body or 0 <= self._place < body["steps"]

    def terms(self, party: int, start_s: int, slot_s: int) -> Terms:
        """What it says of the slot from start_s on. party: the number of who signed an order by itself."""
        identity, body = self.order.identity, self.order.body
        if self.row is not None:
            return Terms(body["slot_start_s"], *PLACED_ROW.unpack_from(self.row.row))
        counter = identity["counter"] + self._place
        if self.order.kind == PROFILE_KIND:
            part, slot = self._part, (start_s - identity["slot_start_s"]) // slot_s
            return Terms(start_s, party, counter, part.side, quantity_in(part.quantities, slot), part.limit)
        side, quantity_wh, limit = SIDES.index(body["side"]), body["quantity_wh"], body["price_micro_per_kwh"]
        if "conditions" in body:
            wanted = body["conditions"][self._place % len(body["conditions"])]
            limit, quantity_wh = wanted["price_micro_per_kwh"], wanted["energy_wh"]
            return Terms(identity["slot_start_s"], party, counter, side, quantity_wh, limit)
        if "steps" not in body:
            side += ALL_OR_NONE if "condition" in body else 0
            return Terms(identity["slot_start_s"], party, identity["counter"], side, quantity_wh, limit)
        steps, step = body["steps"], self._place
        part_wh = quantity_wh * (step + 1) // steps - quantity_wh * step // steps
        step_limit = limit + (body["last_price_micro_per_kwh"] - limit) * step // (steps - 1)
        return Terms(identity["slot_start_s"], party, counter, side, part_wh, step_limit)

    @property
    def condition(self) -> Condition | None:
        """That of the fill's counter, of a bid that has conditions."""
        if self.row is not None:
            return condition_of(self.row.row)
        if self.order.kind == PROFILE_KIND:
            return self._part.condition
        conditions = self.order.body.get("conditions")
        if not conditions:
            return None
        wanted = conditions[self._place]
        return Condition(self._place, kinds_of(wanted.get("energy_kind")), wanted.get("seller"))

    def bid_wh(self, start_s: int, slot_s: int) -> int:
        """The largest energy among the conditions of its bid in the slot from start_s on."""
        if self.row is not None:
            return int(PLACED_BID_ROW.unpack(self.row.row)[-1])
        if self.order.kind == PROFILE_KIND:
            slot = (start_s - self.order.identity["slot_start_s"]) // slot_s
            return max(quantity_in(quantities, slot) for quantities in self._part.of_bid)
        return int(self.order.body["quantity_wh"])

    @property
    def bid(self) -> tuple[bytes, int]:
        """Tells bids apart: what is signed, and the counter at which the conditions of one begin."""
        condition, counter = self.condition, FILL_ROW.unpack_from(self.fill.row)[1]
        return self.order.signed, counter - (condition.choice if condition is not None else 0)

    @property
    def _part(self) -> PartOrder:
        """What a profile orders under the fill's counter."""
        orders = part_orders(self.order.body)
        return orders[self._place % len(orders)]

    @property
    def _place(self) -> int:
        """Of the fill's order among those that the transaction gives."""
        counter: int = FILL_ROW.unpack_from(self.fill.row)[1] - self.order.identity["counter"]
        return counter


class Imported(NamedTuple):
    """An import, its row of the meter and the slot, and the meter's entry in force at the slot's start."""

    transaction: Transaction
    row: Row
    installation: Opened


class Sibling(NamedTuple):
    """Another point of the party, and its position."""

    point: Opened
    position: Row


class Enrolled(NamedTuple):
    """The transaction that enrolled a key, and the rows root that the path of the key's row leads to."""

    transaction: Transaction
    rows_root: bytes


class Voted(NamedTuple):
    """A proposal that has passed, by which organisations gave keys; rows: key and value of each entity that it names."""

    leaf: Leaf
    rows: list[list[Any]]

    @property
    def decided_height(self) -> int:
        """Height of the block that recorded the rows."""
        return int(self.leaf.value["decided_height"])

    @property
    def in_favour(self) -> list[str]:
        """The organisations that voted for it."""
        return list(self.leaf.value["in_favour"])


class KeyEntry(NamedTuple):
    """An entry of a signer, and one of its origins: the entity at genesis, its enrolment, or a vote."""

    row: RegistryRow
    genesis: Entity | None
    enrolment: Enrolled | None
    voted: Voted | None


class Key(NamedTuple):
    """A signer, and those of its entries that the bundle rests on."""

    entity: Entity
    entries: tuple[KeyEntry, ...]


class Clearing(NamedTuple):
    """The slot's clearing, and its row of the area."""

    leaf: Leaf
    area: Row


class HandOver(NamedTuple):
    """A header that names another signer set; the history root that its path leads to; its certificate; the set."""

    placed: Placed
    certificate: tuple[tuple[bytes, bytes], ...]
    signers: tuple[tuple[bytes, int], ...]


class Bundle(NamedTuple):
    """All of it, by the names of docs/spec/bundle.md."""

    area: Opened
    agreements: tuple[Opened, ...]
    area_result: Row
    certificate: tuple[tuple[bytes, bytes], ...]
    certified: Placed | None
    chain: Leaf
    clearing: Clearing | None
    gateways: tuple[Opened, ...]
    genesis: Placed
    handovers: tuple[HandOver, ...]
    header: Header
    imported: Imported | None
    keys: tuple[Key, ...]
    orders: tuple[Order, ...]
    party: Opened
    pieces: tuple[Piece, ...]
    point: Opened
    point_rules: Opened | None
    position: Row
    rules: Opened
    run: Leaf
    runs: Leaf
    series: tuple[Opened, ...]
    siblings: tuple[Sibling, ...]
    zone: Opened
    zone_contract: Opened

    @property
    def ends(self) -> Iterator[Reading | Transaction]:
        """What tells the registers at the slot's start, then at its end: a reading, or an approval; none of an estimate, one of a part slot."""
        ends = (self.pieces[0].first, self.pieces[-1].last) if self.pieces else ()
        return (one for one in ends if one is not None)

    @property
    def end_installations(self) -> Iterator[Opened]:
        """The entry in force at the boundary of each of ``ends``."""
        for piece in self.pieces[:1]:
            if piece.first is not None:
                yield piece.installation
        for piece in self.pieces[-1:]:
            if piece.last is not None:
                yield piece.last_installation

    @property
    def is_part_slot(self) -> bool:
        """Whether the meter was put up, or taken down, inside the slot."""
        return len(self.pieces) == 1 and self.pieces[0].is_part

    @property
    def readings(self) -> Iterator[Reading]:
        """Those of ``ends`` that are readings."""
        return (one for one in self.ends if isinstance(one, Reading))

    @property
    def enrolments(self) -> Iterator[Enrolled]:
        """Those of all keys."""
        entries = (entry for key in self.keys for entry in key.entries)
        return (entry.enrolment for entry in entries if entry.enrolment is not None)

    @property
    def transactions(self) -> Iterator[Transaction]:
        """Batches and approvals, or an import; orders, enrolments."""
        yield from (one.batch if isinstance(one, Reading) else one for one in self.ends)
        if self.imported is not None:
            yield self.imported.transaction
        yield from (order.order for order in self.orders)
        yield from (enrolled.transaction for enrolled in self.enrolments)


def decode_parts(data: bytes) -> dict[str, Any]:
    """The parts of a bundle; halts unless ``data`` is a canonical map of a known version with just the parts of a bundle."""
    hold(len(data) <= BUNDLE_BYTES_MAX, f"a bundle has at most {BUNDLE_BYTES_MAX} bytes")
    parts = known_version(decode(data, "the bundle"), BUNDLE_TYPE, "the bundle")
    conform(parts, BUNDLE, "bundle")
    return parts


def read_bundle(data: bytes) -> Bundle:
    """The records of a bundle; halts where the file, or anything inside, has not the form that it should have."""
    parts = decode_parts(data)
    header = read_header(parts["header"], "the header")
    opened = {
        name: read_opened(parts[name], name.replace("_", " "))
        for name in ("area", "party", "point", "rules", "zone", "zone_contract")
    }
    bundle = Bundle(
        **opened,
        agreements=tuple(read_opened(part, "an agreement") for part in parts.get("agreements", ())),
        area_result=read_headed_row(parts["area_result"], "the area's result", AREA_HEAD),
        certificate=_pairs(parts["certificate"]),
        certified=optional(parts, "certified", lambda part: _placed(part, "the certified header", header.digest)),
        chain=read_leaf(parts["chain"], "the chain", CHAIN),
        clearing=optional(parts, "clearing", _read_clearing),
        gateways=tuple(read_opened(part, "a gateway") for part in parts["gateways"]),
        genesis=_placed(parts["genesis"], "the header of genesis"),
        handovers=tuple(_read_handover(part) for part in parts["handovers"]),
        header=header,
        imported=optional(parts, "imported", _read_imported),
        keys=tuple(_read_key(part) for part in parts["keys"]),
        orders=tuple(_read_order(part, number) for number, part in enumerate(parts["orders"], 1)),
        pieces=tuple(read_piece(part) for part in parts["pieces"]),
        point_rules=optional(parts, "point_rules", lambda part: read_opened(part, "the point's own rules")),
        position=read_headed_row(parts["position"], "the position", POSITION_HEAD),
        run=read_leaf(parts["run"], "the run", RUN),
        runs=read_leaf(parts["runs"], "the runs", RUNS),
        series=tuple(read_opened(part, "a price series") for part in parts.get("series", ())),
        siblings=tuple(_read_sibling(part) for part in parts.get("siblings", ())),
    )
    hold_pieces(bundle.pieces)
    hold((bundle.clearing is None) == (not bundle.orders), "a clearing stands beside orders, and only there")
    shown = [len(order.trades) for order in bundle.orders]
    hold(not any(shown) or all(shown), "the trades of all orders are shown, or of none")
    hold(sum(shown) <= TRADES_MAX, f"a bundle shows at most {TRADES_MAX} trades")
    hold(bool(bundle.orders) or not bundle.siblings, "other points of the party stand beside orders only")
    return bundle


def _pairs(items: list[list[Any]]) -> tuple[tuple[Any, Any], ...]:
    return tuple((key, other) for key, other in items)


def _placed(part: Mapping[str, Any], what: str, leaf: bytes | None = None) -> Placed:
    """A header, and the path beside it: from ``leaf``, or from the header's own digest."""
    header = read_header(part["header"], what)
    return Placed(header, part["path"], root_of_path(header.digest if leaf is None else leaf, part["path"]))


def _read_clearing(part: Mapping[str, Any]) -> Clearing:
    row = read_row(part["area"], "the cleared area", CLEARED_ROW, PAIRED_CLEARED_ROW)
    return Clearing(read_leaf(part, "the clearing", CLEARING), row)


def _read_sibling(part: Mapping[str, Any]) -> Sibling:
    position = read_headed_row(part["position"], "another position", POSITION_HEAD)
    return Sibling(read_opened(part["point"], "another point"), position)


def _read_handover(part: Mapping[str, Any]) -> HandOver:
    return HandOver(_placed(part, "a hand-over"), _pairs(part["certificate"]), _pairs(part["signers"]))


def _read_order(part: Mapping[str, Any], number: int) -> Order:
    what = f"order {number}"
    hold(("order" in part) == ("mandate" in part), "a row of a batch and a mandate stand beside one another")
    kinds = (ORDER_BATCH_KIND,) if "order" in part else (ORDER_KIND, PROFILE_KIND)
    transaction = read_transaction(part, what, *kinds)
    _hold_several(transaction)
    row = optional(part, "order", lambda one: read_row(one, f"the row of {what}", PLACED_ROW, PLACED_BID_ROW))
    if row is not None:
        hold_placed(row.row, what)
    return Order(
        order=transaction,
        fill=read_row(part["fill"], f"the fill of {what}", *FILL_ROWS),
        row=row,
        mandate=optional(part, "mandate", lambda one: read_opened(one, f"the mandate of {what}")),
        trades=tuple(read_row(one, f"a trade of {what}", TRADE_ROW, FEE_TRADE_ROW) for one in part.get("trades", ())),
    )


def _hold_several(order: Transaction) -> None:
    """Hold what a ramp or a profile is beside its fields."""
    what, body = order.what, order.body
    hold("steps" not in body or "condition" not in body, f"{what} is a ramp and has a condition")
    wanted = body.get("conditions", [])
    if wanted:
        hold("steps" not in body and "condition" not in body, f"{what} has conditions, and is a ramp or all or none")
        hold(body["side"] == "buy", f"{what} has conditions, and does not buy")
        most = max(one["energy_wh"] for one in wanted), max(one["price_micro_per_kwh"] for one in wanted)
        same(f"quantity and price of {what}", (body["quantity_wh"], body["price_micro_per_kwh"]), most)
    replaces = body.get("replaces", [])
    hold(replaces == sorted(set(replaces)), f"the counters that {what} replaces do not ascend")
    hold(("steps" in body) == ("last_price_micro_per_kwh" in body), f"{what} is half a ramp")
    for part in body["parts"] if order.kind == PROFILE_KIND else ():
        hold_part(part, what)


def _read_imported(part: Mapping[str, Any]) -> Imported:
    return Imported(
        transaction=read_transaction(part, "the import", IMPORT_KIND),
        row=read_row(part["interval"], "the imported energy", INTERVAL_ROW),
        installation=read_opened(part["installation"], "the installation"),
    )


def _read_key(part: Mapping[str, Any]) -> Key:
    return Key(read_entity(part, "a signer"), tuple(_read_key_entry(entry) for entry in part["entries"]))


def _read_key_entry(part: Mapping[str, Any]) -> KeyEntry:
    origins = [origin for origin in ("genesis", "enrolment", "voted") if origin in part]
    hold(len(origins) == 1, "a key is of genesis, was enrolled, or was voted on, one of the three")
    row = read_registry_row(part["row"], part["salt"], "a signer")
    return KeyEntry(
        row=row,
        genesis=optional(part, "genesis", lambda one: read_entity(one, "a signer at genesis")),
        enrolment=optional(part, "enrolment", lambda one: _read_enrolment(one, row)),
        voted=optional(part, "voted", _read_voted),
    )


def _read_voted(part: Mapping[str, Any]) -> Voted:
    leaf = read_leaf(part, "a proposal", PROPOSAL)
    action = decode(leaf.value["action"], "the action of a proposal", has_booleans=True)
    conform(action, MEMBERSHIP, "the action of a proposal")
    return Voted(leaf, action["rows"])


def _read_enrolment(part: Mapping[str, Any], row: RegistryRow) -> Enrolled:
    transaction = read_transaction(part, f"the enrolment of {row.key}", ENROLMENT_KIND)
    return Enrolled(transaction, fold_path(row.digest, part["row_path"]))


# ======================================================================================= gridevidence/verifier/contract
# What a settlement contract computes of one point and of one book: as much of it as a bundle shows (docs/spec/contracts.md).


class LineKind(NamedTuple):
    """A kind of line. ``sign``: +1 where the party owes energy x price, -1 where it is owed."""

    name: str
    account: str
    sign: int
    price: str
    """Key of its price in the rules; TRADE_PRICE, or "" for a line without a price."""


TRADE_PRICE = "trade_price_micro_per_kwh"  # the clearing's price, in place of one of the rules


class PointLine(NamedTuple):
    """A line of a point: energy x price, signed; without a price the amount is the contract's own."""

    kind: LineKind
    energy_wh: int
    price_micro_per_kwh: int | None
    amount_nano: int
    """Positive: the party owes."""


class Agreed(NamedTuple):
    """What one agreement of the point says of the slot. price: of a kWh, of a difference strike less reference; one of quantity and share is None."""

    is_seller: bool
    is_difference: bool
    price: int
    quantity_wh: int | None
    share_ppm: int | None


class Settled(NamedTuple):
    """What the lines of a point rest on. ``columns``, ``area``: the contract's columns by name, of the point and of its area.

    prices: of the point in the slot; area_prices: of its area, the same unless the point has rules of its own; terms: of the area.
    """

    import_wh: int
    export_wh: int
    columns: Mapping[str, int]
    area: Mapping[str, int]
    prices: Mapping[str, int]
    trade_price: int
    """0 where nothing was cleared."""
    area_prices: Mapping[str, int]
    terms: Mapping[str, Any]
    point: Mapping[str, Any]
    """What the registry says of the point."""
    agreements: Sequence[Agreed] = ()


def supplier_only_nano(of: Settled) -> int:
    """What the point would owe with the supplier alone."""
    import_keys = ("residual_price_micro_per_kwh", "network_residual_micro_per_kwh", "levy_micro_per_kwh")
    import_price = sum(of.prices[key] for key in import_keys)
    return of.import_wh * import_price - of.export_wh * of.prices["feed_in_price_micro_per_kwh"]


class Match(NamedTuple):
    """A trade of a gate: the ranks of both orders, its energy and price."""

    buy: int
    sell: int
    energy_wh: int
    price_micro_per_kwh: int
    fee_micro_per_kwh: int = 0
    """What the buyer pays beyond the price, for the way of each kWh."""


class Cleared(NamedTuple):
    """What a gate comes to: volume, price (None without one for all), the fill of each order in rank order, trades in their order."""

    volume_wh: int
    price_micro_per_kwh: int | None
    filled_wh: list[int]
    trades: Sequence[Match] = ()


class Contract(NamedTuple):
    """The arithmetic of one contract version, each in a file of the folder ``contracts``.

    terms: their shape in the rules. check_terms: halts where they have that shape and do not hold together. takes_prices: whether prices, each within its bound, may be so together. lines_of_point: one line a kind, in the order of the kinds. check_point: halts where a
    column that no sum of lines gives does not follow, or a price may not be. clear(orders, terms): orders = (side 0 buy or
    1 sell, quantity in Wh, limit) in rank order; None for a contract that takes no orders. trades_in_pairs: whether a gate comes to trades,
    each at a price of its own. ranks_by_arrival: whether orders rank as they came; each then has a fourth value, the rank before which it was withdrawn.
    """

    contract_id: str
    position_columns: tuple[str, ...]
    area_columns: tuple[str, ...]
    line_kinds: tuple[LineKind, ...]
    price_keys: tuple[str, ...]
    terms: Mapping[str, Any]
    takes_prices: Callable[[Mapping[str, int]], bool]
    lines_of_point: Callable[[Settled], list[PointLine]]
    check_point: Callable[[Settled], None]
    clear: Callable[[Sequence[tuple[int, ...]], Mapping[str, Any]], Cleared] | None
    not_checked: tuple[str, ...]
    """What its lines rest on beyond the bundle."""
    supplier_only: Callable[[Settled], int] = supplier_only_nano
    """What the energy that is billed would have cost with the supplier alone."""
    trades_in_pairs: bool = False
    has_buyers_price: bool = False
    """Whether a gate has a price for buyers beside its trades, which are at what sellers get."""
    takes_agreements: bool = False
    """Whether the point's agreements say what it traded; a bundle of another contract shows none."""
    ranks_by_arrival: bool = False
    order_terms: tuple[str, ...] = ()
    """What stands at the end of fill and book rows: of each order, behind the other values that ``clear`` is given."""
    check_terms: Callable[[Mapping[str, Any]], object] = lambda _: None
    has_grid_fees: bool = False
    """Whether trades have fees beyond their prices, which buyers pay: position column ``grid_fee_nano``."""


def priced_line(kind: LineKind, energy_wh: int, of: Settled) -> PointLine:
    """A line of energy x price."""
    price = of.trade_price if kind.price == TRADE_PRICE else of.prices[kind.price]
    return PointLine(kind, energy_wh, price, kind.sign * energy_wh * price)


# =============================================================== gridevidence/verifier/contracts/bilateral_agreements_1
# The arithmetic of ``bilateral_agreements/1``: what was agreed between two points first, the rest with supplier and offtaker.


AGREED_KINDS: Final = (
    LineKind("agreement_buy", "clearing", 1, ""),
    LineKind("agreement_sell", "clearing", 1, ""),
    LineKind("agreement_difference", "clearing", 1, ""),
)
BESIDE_KINDS: Final = (
    LineKind("residual_import", "supplier", 1, "residual_price_micro_per_kwh"),
    LineKind("residual_export", "offtaker", -1, "feed_in_price_micro_per_kwh"),
    LineKind("network_traded", "network", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", "network", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", "levy", 1, "levy_micro_per_kwh"),
)
DIFFERENCE_NANO_MAX: Final = 5 * 10**17  # one beyond it comes to nothing


class Within(NamedTuple):
    """What one agreement may have come to, as far as the point alone tells: least to most Wh, at a price per Wh."""

    least_wh: int
    most_wh: int
    nano_per_wh: int


def lines_of_partner(of: Settled) -> list[PointLine]:
    """A line of each kind, in their order."""
    kept = of.columns
    agreed = zip(
        AGREED_KINDS,
        (kept["bought_wh"], kept["sold_wh"], kept["difference_wh"]),
        (kept["bought_nano"], -kept["sold_nano"], kept["difference_nano"]),
        strict=True,
    )
    rest_wh = of.import_wh - kept["bought_wh"]
    beside_wh = (rest_wh, of.export_wh - kept["sold_wh"], kept["bought_wh"], rest_wh, of.import_wh)
    lines = [PointLine(kind, energy_wh, None, amount_nano) for kind, energy_wh, amount_nano in agreed]
    return lines + [priced_line(kind, energy_wh, of) for kind, energy_wh in zip(BESIDE_KINDS, beside_wh, strict=True)]


def agreed_wh(agreed: Agreed, of: Settled) -> int:
    """What was agreed for the slot; for a share of what somebody else exports no more than any point may."""
    if agreed.quantity_wh is not None:
        return agreed.quantity_wh
    return of.export_wh * (agreed.share_ppm or 0) // 10**6 if agreed.is_seller else PRIMARY_WH_MAX


def _traded(of: Settled, *, is_seller: bool) -> Iterator[Within]:
    """The energy agreements of one side: at most what was agreed, and what the point metered."""
    metered_wh = of.export_wh if is_seller else of.import_wh
    for agreed in of.agreements:
        if agreed.is_seller == is_seller and not agreed.is_difference:
            yield Within(0, min(agreed_wh(agreed, of), metered_wh), agreed.price)


def differences(of: Settled) -> Iterator[Within]:
    """The differences: what was agreed, exactly, unless it is a share of what the other side exports."""
    for agreed in of.agreements:
        if agreed.is_difference:
            most_wh, nano_per_wh = agreed_wh(agreed, of), -agreed.price if agreed.is_seller else agreed.price
            is_exact = agreed.quantity_wh is not None or agreed.is_seller
            if not is_exact or abs(most_wh * nano_per_wh) <= DIFFERENCE_NANO_MAX:
                yield Within(most_wh if is_exact else 0, most_wh, nano_per_wh)


def hold_within(what: str, parts: Sequence[Within], energy_wh: int, amount_nano: int) -> None:
    """Hold that the parts can come to this energy and, with it, to this amount."""
    least_wh, most_wh = sum(part.least_wh for part in parts), sum(part.most_wh for part in parts)
    hold(least_wh <= energy_wh <= most_wh, f"the energy {what} is not what the agreements say")
    by_price = sorted(parts, key=lambda part: part.nano_per_wh)
    lowest, highest = (_amount(order, energy_wh - least_wh) for order in (by_price, by_price[::-1]))
    hold(lowest <= amount_nano <= highest, f"the amount {what} is not what the agreements say")


def _amount(parts: Sequence[Within], left_wh: int) -> int:
    """The amount where the first parts take all of what is left beyond the least of each."""
    nano = sum(part.least_wh * part.nano_per_wh for part in parts)
    for part in parts:
        taken_wh = min(left_wh, part.most_wh - part.least_wh)
        nano, left_wh = nano + taken_wh * part.nano_per_wh, left_wh - taken_wh
    return nano


def _check_partner(of: Settled) -> None:
    """What the point bought, sold and owes of differences, as far as its own energy and its agreements tell."""
    kept = of.columns
    hold(0 <= kept["bought_wh"] <= of.import_wh, "the point bought more by agreement than it imports")
    hold(0 <= kept["sold_wh"] <= of.export_wh, "the point sold more by agreement than it exports")
    hold_within("bought", list(_traded(of, is_seller=False)), kept["bought_wh"], kept["bought_nano"])
    hold_within("sold", list(_traded(of, is_seller=True)), kept["sold_wh"], kept["sold_nano"])
    hold_within("of differences", list(differences(of)), kept["difference_wh"], kept["difference_nano"])


BILATERAL_AGREEMENTS_1: Final = Contract(
    contract_id="bilateral_agreements/1",
    position_columns=(
        "bought_wh", "sold_wh", "bought_nano", "sold_nano", "difference_wh", "difference_nano", "pays_nano",
        "supplier_only_nano",
    ),
    area_columns=(),
    line_kinds=(*AGREED_KINDS, *BESIDE_KINDS),
    price_keys=tuple(beside.price for beside in BESIDE_KINDS),
    terms={},
    takes_prices=lambda _: True,
    lines_of_point=lines_of_partner,
    check_point=_check_partner,
    clear=None,
    not_checked=(
        "what the other sides of the point's agreements metered, which bounds their energy, and that no other agreement of the point holds",
    ),
    takes_agreements=True,
)  # fmt: skip


# ============================================================================ gridevidence/verifier/contracts/community
# What contracts have in common by which a community shares its energy after the fact, between the grid's two prices.


RETAIL_PRICE, FEED_IN_PRICE = "residual_price_micro_per_kwh", "feed_in_price_micro_per_kwh"
COMMUNITY_KINDS: Final = (
    LineKind("community_buy", "community", 1, ""),
    LineKind("community_sell", "community", -1, ""),
    LineKind("network_traded", "network", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", "network", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", "levy", 1, "levy_micro_per_kwh"),
)
CHARGES: Final = COMMUNITY_KINDS[2:]


class Side(NamedTuple):
    """One side of the community's exchange: what a point adds to it, and what all of it come to."""

    energy_wh: int
    all_wh: int
    all_nano: int
    """What the buyers owe together, or the sellers get."""


class Sums(NamedTuple):
    """One slot of a community, and the prices of the grid, b and s of docs/spec/contracts.md."""

    surplus_wh: int
    deficit_wh: int
    retail: int
    feed_in: int


class Exchange(NamedTuple):
    """What the buyers owe together, and what the sellers get."""

    buyers_nano: int
    sellers_nano: int


def _sides(of: Settled, exchange: Exchange) -> tuple[Side, Side]:
    """Buyers and sellers, with the point's part in each."""
    net_wh = of.import_wh - of.export_wh
    buyers = Side(max(net_wh, 0), of.area["deficit_wh"], exchange.buyers_nano)
    return buyers, Side(max(-net_wh, 0), of.area["surplus_wh"], exchange.sellers_nano)


def lines_of_member(of: Settled) -> list[PointLine]:
    """A line of each of COMMUNITY_KINDS, in their order; the community's amount is the position's own."""
    buys, sells = COMMUNITY_KINDS[:2]
    buys_wh, sells_wh = max(of.import_wh - of.export_wh, 0), max(of.export_wh - of.import_wh, 0)
    community_nano = of.columns["community_nano"]
    return [
        PointLine(buys, buys_wh, None, community_nano if buys_wh else 0),
        PointLine(sells, sells_wh, None, community_nano if sells_wh else 0),
        *(priced_line(kind, energy_wh, of) for kind, energy_wh in zip(CHARGES, charged_wh(of), strict=True)),
    ]


def charged_wh(of: Settled) -> tuple[int, ...]:
    """The energy of each of CHARGES."""
    bought_wh = of.columns["bought_wh"]
    return bought_wh, of.import_wh - bought_wh, of.import_wh


def hold_share(what: str, share: int, total: int, side: Side) -> None:
    """Hold that ``share`` is what largest remainder gives: the floor, or one more where the division leaves a rest."""
    floor, rest = divmod(total * side.energy_wh, side.all_wh) if side.all_wh else (0, 0)
    hold(floor <= share <= floor + (rest > 0), f"{what} is not the share that is due")


def _check_member(of: Settled, rule: Callable[[Sums], Exchange]) -> None:
    prices = of.area_prices
    sums = Sums(of.area["surplus_wh"], of.area["deficit_wh"], prices[RETAIL_PRICE], prices[FEED_IN_PRICE])
    hold(min(of.area.values()) >= 0, "a sum of the area is negative")
    buyers, sellers = _sides(of, rule(sums))
    within = buyers.energy_wh <= buyers.all_wh and sellers.energy_wh <= sellers.all_wh
    hold(within, "the point has more surplus or deficit than its area")
    shared_wh = min(sums.surplus_wh, sums.deficit_wh)
    hold_share("the energy bought", of.columns["bought_wh"], shared_wh, buyers)
    hold_share("the energy sold", of.columns["sold_wh"], shared_wh, sellers)
    community_nano = of.columns["community_nano"]
    if buyers.energy_wh > 0:
        hold_share("what the community gets", community_nano, buyers.all_nano, buyers)
    elif sellers.energy_wh > 0:
        hold_share("what the community pays", -community_nano, sellers.all_nano, sellers)
    else:
        same("what a point without surplus and deficit pays the community", community_nano, 0)


def community_contract(contract_id: str, feed_in_min: int, rule: Callable[[Sums], Exchange]) -> Contract:
    """A contract whose slots are shared by ``rule``; ``feed_in_min``: the lowest feed-in price that has a result."""
    return Contract(
        contract_id=contract_id,
        position_columns=("bought_wh", "sold_wh", "community_nano", "pays_nano", "supplier_only_nano"),
        area_columns=("surplus_wh", "deficit_wh"),
        line_kinds=COMMUNITY_KINDS,
        price_keys=(RETAIL_PRICE, FEED_IN_PRICE, *(charge.price for charge in CHARGES)),
        terms={},
        takes_prices=lambda prices: feed_in_min <= prices[FEED_IN_PRICE] <= prices[RETAIL_PRICE],
        lines_of_point=lines_of_member,
        check_point=lambda of: _check_member(of, rule),
        clear=None,
        not_checked=(
            "that the community's surplus and deficit are the sums of its members' energies, and who got a unit that was left over",
        ),
    )


# ======================================================================= gridevidence/verifier/contracts/bill_sharing_1
# The arithmetic of ``bill_sharing/1``: a community's import of a month is paid by deficits, its export earned by surpluses.


MONEY: Final = ("cost", "income")
NANO: Final = 10**9  # of a unit of the currency


def lines_of_bill(of: Settled) -> list[PointLine]:
    """A line of each of COMMUNITY_KINDS, in their order; those of the month stand in its last slot alone."""
    buys, sells = COMMUNITY_KINDS[:2]
    own = of.columns
    return [
        PointLine(buys, own["period_deficit_wh"], None, own["paid_nano"]),
        PointLine(sells, own["period_surplus_wh"], None, -own["earned_nano"]),
        *(priced_line(kind, wh, of) for kind, wh in zip(CHARGES, charged_wh(of), strict=True)),
    ]


def _takes_grid_prices(prices: Mapping[str, int]) -> bool:
    return 0 <= prices[FEED_IN_PRICE] <= prices[RETAIL_PRICE]


def _nano(of: Settled, name: str) -> int:
    """An amount of the area, which stands in whole units and nano."""
    return of.area[f"{name}_units"] * NANO + of.area[f"{name}_nano"]


def _check_bill(of: Settled) -> None:
    retail, feed_in, area, own = of.area_prices[RETAIL_PRICE], of.area_prices[FEED_IN_PRICE], of.area, of.columns
    hold(min(area.values()) >= 0, "a sum of the area is negative")
    imported_wh = max(area["deficit_wh"] - area["surplus_wh"], 0)
    exported_wh = max(area["surplus_wh"] - area["deficit_wh"], 0)
    costs, earns = divmod(imported_wh * retail, NANO), divmod(exported_wh * feed_in, NANO)
    same("what the area's import costs", (area["cost_units"], area["cost_nano"]), costs)
    same("what the area's export earns", (area["income_units"], area["income_nano"]), earns)
    shared_wh = min(area["surplus_wh"], area["deficit_wh"])
    for energy_wh, column, traded in (
        (max(of.import_wh - of.export_wh, 0), "deficit_wh", "bought_wh"),
        (max(of.export_wh - of.import_wh, 0), "surplus_wh", "sold_wh"),
    ):
        same(f"the point's {column}", own[column], energy_wh)
        hold(energy_wh <= area[column], "the point has more surplus or deficit than its area")
        hold_share(f"the energy {traded}", own[traded], shared_wh, Side(energy_wh, area[column], 0))
    for column, amount, money in (
        ("period_deficit_wh", "paid_nano", "cost"),
        ("period_surplus_wh", "earned_nano", "income"),
    ):
        side = Side(own[column], area[column], _nano(of, f"period_{money}"))
        hold(0 <= side.energy_wh <= side.all_wh, "the point has more surplus or deficit in the month than its area")
        hold_share(f"the point's {amount}", own[amount], side.all_nano, side)


_ENERGIES: Final = ("deficit_wh", "surplus_wh")
_AMOUNTS: Final = tuple(f"{money}_{limb}" for money in MONEY for limb in ("units", "nano"))

BILL_SHARING_1: Final = Contract(
    contract_id="bill_sharing/1",
    position_columns=(
        "bought_wh",
        "sold_wh",
        *_ENERGIES,
        *(f"period_{name}" for name in _ENERGIES),
        "paid_nano",
        "earned_nano",
        "pays_nano",
        "supplier_only_nano",
    ),
    area_columns=(
        "period_start_s",
        *_ENERGIES,
        *_AMOUNTS,
        *(f"period_{name}" for name in (*_ENERGIES, *_AMOUNTS)),
    ),
    line_kinds=COMMUNITY_KINDS,
    price_keys=(RETAIL_PRICE, FEED_IN_PRICE, *(charge.price for charge in CHARGES)),
    terms={},
    takes_prices=_takes_grid_prices,
    lines_of_point=lines_of_bill,
    check_point=_check_bill,
    clear=None,
    not_checked=(
        "that the sums of area and month are those of all members and slots, and who got a unit that was left over",
    ),
)


# ============================================================================== gridevidence/verifier/contracts/traders
# What contracts have in common under which parties trade before delivery: seven kinds of lines beside those of the trades.


METERED_KINDS: Final = (
    LineKind("residual_import", "supplier", 1, "residual_price_micro_per_kwh"),
    LineKind("surplus", "balance", -1, "surplus_price_micro_per_kwh"),
    LineKind("residual_export", "offtaker", -1, "feed_in_price_micro_per_kwh"),
    LineKind("shortfall", "balance", 1, "shortfall_price_micro_per_kwh"),
    LineKind("network_traded", "network", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", "network", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", "levy", 1, "levy_micro_per_kwh"),
)
PAIRED_KINDS: Final = (
    LineKind("trade_buy", "clearing", 1, ""),
    LineKind("trade_sell", "clearing", -1, ""),
    *METERED_KINDS,
)


def lines_of_metered(of: Settled) -> list[PointLine]:
    """A line of each of METERED_KINDS, in their order. Import and export are never netted."""
    bought_wh, sold_wh = of.columns["bought_wh"], of.columns["sold_wh"]
    traded_wh = min(of.import_wh, bought_wh)
    energies_wh = (
        max(of.import_wh - bought_wh, 0),
        max(bought_wh - of.import_wh, 0),
        max(of.export_wh - sold_wh, 0),
        max(sold_wh - of.export_wh, 0),
        traded_wh,
        of.import_wh - traded_wh,
        of.import_wh,
    )
    return [priced_line(kind, energy_wh, of) for kind, energy_wh in zip(METERED_KINDS, energies_wh, strict=True)]


def _lines_of_paired(of: Settled) -> list[PointLine]:
    """A line of each of PAIRED_KINDS: what was traded has no one price, and its amount is the position's own."""
    buys, sells = PAIRED_KINDS[:2]
    return [
        PointLine(buys, of.columns["bought_wh"], None, of.columns["bought_nano"]),
        PointLine(sells, of.columns["sold_wh"], None, -of.columns["sold_nano"]),
        *lines_of_metered(of),
    ]


def takes_trader_prices(prices: Mapping[str, int]) -> bool:
    """Whether nobody earns by energy that only one of two parties has."""
    p = {key.removesuffix("_micro_per_kwh"): price for key, price in prices.items()}
    least = min(p["shortfall_price"], p["feed_in_price"])
    supplied, missing = p["residual_price"] + p["network_residual"], p["shortfall_price"] + p["network_traded"]
    return p["surplus_price"] <= least and supplied <= missing


def check_trader(_of: Settled) -> None:
    """Every column but the sums is a sum of fills: the claim about orders."""


PRICE_K: Final = {"price_k_ppm": range(1_000_001)}
"""The shape of the term that says where between two limits a price lies."""


def split_price(lowest: int, highest: int, terms: Mapping[str, Any]) -> int:
    """A share of the way from the lowest to the highest price, rounded down."""
    k_ppm: int = terms["price_k_ppm"]
    return lowest + (highest - lowest) * k_ppm // 1_000_000


def split_between_limits(
    match: Callable[[Sequence[tuple[int, ...]]], list[Match]],
) -> Callable[[Sequence[tuple[int, ...]], Mapping[str, Any]], list[Match]]:
    """The same trades, each at a share of the way from the sell's limit to the buy's."""

    def split(orders: Sequence[tuple[int, ...]], terms: Mapping[str, Any]) -> list[Match]:
        return [
            one._replace(price_micro_per_kwh=split_price(orders[one.sell][2], orders[one.buy][2], terms))
            for one in match(orders)
        ]

    return split


def paired_contract(
    contract_id: str,
    match: Callable[[Sequence[tuple[int, ...]], Mapping[str, Any]], list[Match]],
    not_checked: tuple[str, ...] = (),
    *,
    ranks_by_arrival: bool = False,
) -> Contract:
    """A contract whose gates come to the trades of ``match``, from orders as ``Contract.clear`` has them."""

    def clear(orders: Sequence[tuple[int, ...]], terms: Mapping[str, Any]) -> Cleared:
        trades, filled_wh = match(orders, terms), [0] * len(orders)
        for trade in trades:
            filled_wh[trade.buy] += trade.energy_wh
            filled_wh[trade.sell] += trade.energy_wh
        return Cleared(sum(trade.energy_wh for trade in trades), None, filled_wh, trades)

    return Contract(
        contract_id=contract_id,
        position_columns=("bought_wh", "sold_wh", "bought_nano", "sold_nano", "pays_nano", "supplier_only_nano"),
        area_columns=(),
        line_kinds=PAIRED_KINDS,
        price_keys=tuple(kind.price for kind in METERED_KINDS),
        terms={},
        takes_prices=takes_trader_prices,
        lines_of_point=_lines_of_paired,
        check_point=check_trader,
        clear=clear,
        not_checked=not_checked,
        trades_in_pairs=True,
        ranks_by_arrival=ranks_by_arrival,
    )


# ==================================================================== gridevidence/verifier/contracts/conditional_bid_1
# The matching of ``conditional_bid/1``: bids in the order of their choices, each with the cheapest offer that it accepts.


def conditional_bid(orders: Sequence[tuple[int, ...]], terms: Mapping[str, Any]) -> list[Match]:
    """First choices first; of one choice the highest limit first, of equal ones the lower rank. orders: side, quantity, limit, then WANTED_TERMS."""
    sells = sorted((rank for rank, order in enumerate(orders) if order[0] == 1), key=lambda rank: orders[rank][2])
    of_seller, asked = dict[int, list[int]](), dict[tuple[int, int], list[int]]()
    for sell in sells:
        for number in {0, orders[sell][6]}:
            of_seller.setdefault(number, []).append(sell)
    buys = [rank for rank, order in enumerate(orders) if order[0] == 0]
    left_wh, trades, of_bid = [order[1] for order in orders], list[Match](), dict[int, int]()
    for buy in buys:
        bid = orders[buy][3]
        of_bid[bid] = max(of_bid.get(bid, 0), orders[buy][1])
    for buy in sorted(buys, key=lambda rank: (orders[rank][4], -orders[rank][2])):
        _, _, limit, bid, _, kinds, seller = orders[buy]
        if (kinds, seller) not in asked:
            asked[kinds, seller] = [sell for sell in of_seller.get(seller, ()) if orders[sell][5] & kinds][::-1]
        accepted = asked[kinds, seller]  # the cheapest at the end; what is used up never comes back
        while min(left_wh[buy], of_bid[bid]) and accepted:
            sell = accepted[-1]
            energy_wh = min(left_wh[buy], of_bid[bid], left_wh[sell])
            if not energy_wh:
                accepted.pop()
                continue
            if orders[sell][2] > limit:
                break
            price = limit if terms["price_rule"] == "pay_as_bid" else orders[sell][2]
            trades.append(Match(buy, sell, energy_wh, price))
            left_wh[buy] -= energy_wh
            left_wh[sell] -= energy_wh
            of_bid[bid] -= energy_wh
    return trades


CONDITIONAL_BID_1: Final = paired_contract(
    "conditional_bid/1",
    conditional_bid,
    (
        "that the energy of the other sides is of the kinds, and their names those, that the party's conditions ask for, and of what kind the party's points were that were registered anew behind its orders",
    ),
)._replace(terms={"price_rule": re.compile("pay_as_bid|pay_as_offer")}, order_terms=WANTED_TERMS)


# ========================================================== gridevidence/verifier/contracts/continuous_double_auction_1
# The matching of ``continuous_double_auction/1``: orders meet as they come, each pair at the limit of the order that rested.


def meet_as_they_come(orders: Sequence[tuple[int, ...]]) -> list[Match]:
    """Each order meets the best that rests on the other side, of equal limits the one that came first; the rest of it rests."""
    left_wh, trades = [order[1] for order in orders], list[Match]()
    resting: tuple[list[int], list[int]] = ([], [])  # ranks by side, best first
    for rank, (side, _, limit, until) in enumerate(orders):
        if until <= rank:  # withdrawn before it came
            continue
        sign = 1 if side == 0 else -1
        for other in list(resting[1 - side]):
            if orders[other][3] <= rank:  # withdrawn meanwhile
                resting[1 - side].remove(other)
                continue
            price = orders[other][2]
            if not left_wh[rank] or sign * price > sign * limit:
                break
            energy_wh = min(left_wh[rank], left_wh[other])
            trades.append(Match(*((rank, other) if side == 0 else (other, rank)), energy_wh, price))
            left_wh[rank] -= energy_wh
            left_wh[other] -= energy_wh
            if not left_wh[other]:
                resting[1 - side].remove(other)
        if left_wh[rank]:
            own = resting[side]
            place = next((at for at, one in enumerate(own) if sign * orders[one][2] < sign * limit), len(own))
            own.insert(place, rank)
    return trades


CONTINUOUS_DOUBLE_AUCTION_1: Final = paired_contract(
    "continuous_double_auction/1",
    lambda orders, _terms: meet_as_they_come(orders),
    ("that the orders stand in the book in the order in which the ledger took them",),
    ranks_by_arrival=True,
)


# ========================================================== gridevidence/verifier/contracts/continuous_double_auction_2
# ``continuous_double_auction/2``: the meetings of version 1, each at a price between both limits.


CONTINUOUS_DOUBLE_AUCTION_2: Final = paired_contract(
    "continuous_double_auction/2",
    split_between_limits(meet_as_they_come),
    CONTINUOUS_DOUBLE_AUCTION_1.not_checked,
    ranks_by_arrival=True,
)._replace(terms=PRICE_K)


# ====================================================================== gridevidence/verifier/contracts/grid_fee_path_1
# The arithmetic of ``grid_fee_path/1`` and ``/2``: markets one above the other, cleared from the lowest up, with the fees of the places between.


GRID_KINDS: Final = (*PAIRED_KINDS[:2], LineKind("grid_fee", "network", 1, ""), *METERED_KINDS)
PLACE_LEVELS_MAX: Final = 8


class GridPlace(NamedTuple):
    """A place by number: its parent's number, 0 of the first; how deep it lies; its fee per kWh, and as a fraction of the offer."""

    parent: int
    level: int
    fee: int
    fee_ppm: int

    def fee_of(self, limit: int) -> int:
        """What it takes of a kWh that is asked for at a limit."""
        return self.fee + max(limit, 0) * self.fee_ppm // 1_000_000


def grid_places(terms: Mapping[str, Any]) -> dict[int, GridPlace]:
    """The places of an area's grid; halts where they are no tree with every parent before its children."""
    found: dict[int, GridPlace] = {}
    for listed in terms["grid_places"]:
        number, above = listed["place"], GridPlace(0, -1, 0, 0)
        hold(number not in found and ("parent" in listed) == bool(found), "the places of the grid are no tree")
        if "parent" in listed:
            hold(listed["parent"] in found, "a place of the grid stands before its parent")
            above = found[listed["parent"]]
        hold(above.level + 1 < PLACE_LEVELS_MAX, "a place of the grid lies too deep")
        fees = listed["fee_micro_per_kwh"], listed.get("fee_ppm", 0)
        found[number] = GridPlace(listed.get("parent", 0), above.level + 1, *fees)
    return found


def _fees_below(number: int, market: int, limit: int, places: dict[int, GridPlace]) -> int:
    """The fees of a limit from a place to the last below a market."""
    fees = 0
    while number != market:
        fees += places[number].fee_of(limit)
        number = places[number].parent
    return fees


def grid_fee_path(orders: Sequence[tuple[int, ...]], terms: Mapping[str, Any]) -> list[Match]:
    """Trades at what sellers get, each with the fees on its path. orders: side, quantity, limit, number of the place."""
    places, left_wh, trades = grid_places(terms), [order[1] for order in orders], list[Match]()
    stands = {rank: order[3] for rank, order in enumerate(orders) if order[3] in places}
    for level in range(PLACE_LEVELS_MAX - 1, -1, -1):
        markets: dict[int, list[int]] = {}
        for rank, number in stands.items():
            if places[number].level == level:
                markets.setdefault(number, []).append(rank)
        for number in sorted(markets, key=list(places).index):
            trades += _clear_place(number, markets[number], orders, places, left_wh, terms.get("price_rule"))
            stands.update((rank, places[number].parent) for rank in markets[number])
        stands = {rank: number for rank, number in stands.items() if left_wh[rank] and number}
    return trades


def _clear_place(
    number: int,
    ranks: list[int],
    orders: Sequence[tuple[int, ...]],
    places: dict[int, GridPlace],
    left_wh: list[int],
    price_rule: str | None,
) -> list[Match]:
    """The best bid meets the cheapest offer, as they are seen in the place, each with the fees of its own limit, while they cross."""
    below = {rank: _fees_below(orders[rank][3], number, orders[rank][2], places) for rank in ranks}
    bids = sorted((below[rank] - orders[rank][2], rank) for rank in ranks if orders[rank][0] == 0)
    seen = {rank: orders[rank][2] + below[rank] + places[number].fee_of(orders[rank][2]) for rank in ranks}
    offers = sorted((seen[rank], rank) for rank in ranks if orders[rank][0] == 1)
    trades, place = list[Match](), 0
    for negated, buy in bids:
        while left_wh[buy] and place < len(offers) and offers[place][0] <= -negated:
            sell, asked = offers[place][1], orders[offers[place][1]][2]
            energy_wh = min(left_wh[buy], left_wh[sell])
            fee = seen[sell] - asked + _fees_below(orders[buy][3], number, asked, places)
            price = orders[buy][2] - fee if price_rule == "pay_as_bid" else asked
            trades.append(Match(buy, sell, energy_wh, price, fee))
            left_wh[buy] -= energy_wh
            left_wh[sell] -= energy_wh
            place += left_wh[sell] == 0
    return trades


def _lines_of_placed(of: Settled) -> list[PointLine]:
    """A line of each of GRID_KINDS, in their order."""
    kept, (buys, sells, fees) = of.columns, GRID_KINDS[:3]
    return [
        PointLine(buys, kept["bought_wh"], None, kept["bought_nano"]),
        PointLine(sells, kept["sold_wh"], None, -kept["sold_nano"]),
        PointLine(fees, kept["bought_wh"], None, kept["grid_fee_nano"]),
        *lines_of_metered(of),
    ]


GRID_FEE_PATH_1: Final = paired_contract(
    "grid_fee_path/1",
    grid_fee_path,
    ("that the places of the other sides in the grid, and of the party's points that were registered anew behind its orders, are those that were registered",),
)._replace(
    position_columns=(
        "bought_wh", "sold_wh", "bought_nano", "sold_nano", "grid_fee_nano", "pays_nano", "supplier_only_nano",
    ),
    line_kinds=GRID_KINDS,
    lines_of_point=_lines_of_placed,
    terms={
        "grid_places": [
            {"fee_micro_per_kwh": range(10**9 + 1), "parent?": range(1, 65_536), "place": range(1, 65_536)}, 1, 64,
        ],
        "price_rule": re.compile("pay_as_bid|pay_as_offer"),
    },
    check_terms=grid_places,
    order_terms=PLACED_TERMS,
    has_grid_fees=True,
)  # fmt: skip


# ====================================================================== gridevidence/verifier/contracts/grid_fee_path_2
# ``grid_fee_path/2``: the markets of version 1, whose places also take a fraction of the offer; trades are at what sellers ask.


GRID_FEE_PATH_2: Final = GRID_FEE_PATH_1._replace(
    contract_id="grid_fee_path/2",
    terms={
        "grid_places": [
            {
                "fee_micro_per_kwh": range(10**9 + 1),
                "fee_ppm": range(1_000_001),
                "parent?": range(1, 65_536),
                "place": range(1, 65_536),
            },
            1,
            64,
        ],
    },
)


# ==================================================================== gridevidence/verifier/contracts/mid_market_rate_1
# The arithmetic of ``mid_market_rate/1``: what stays in a community is paid at the mean of the grid's two prices.


def _mid_market_rate(of: Sums) -> Exchange:
    shared_wh = min(of.surplus_wh, of.deficit_wh)
    transfer_nano = shared_wh * (of.retail + of.feed_in) // 2
    return Exchange(
        transfer_nano + (of.deficit_wh - shared_wh) * of.retail,
        transfer_nano + (of.surplus_wh - shared_wh) * of.feed_in,
    )


MID_MARKET_RATE_1: Final = community_contract("mid_market_rate/1", 0, _mid_market_rate)


# =================================================================== gridevidence/verifier/contracts/p2p_call_auction_1
# The arithmetic of ``p2p_call_auction/1`` and ``/2``: nine kinds of lines, and a call auction at one price.


P2P_KINDS: Final = (
    LineKind("trade_buy", "clearing", 1, TRADE_PRICE),
    LineKind("trade_sell", "clearing", -1, TRADE_PRICE),
    *METERED_KINDS,
)


def lines_of_trader(of: Settled) -> list[PointLine]:
    """A line of each of P2P_KINDS, in their order."""
    energies_wh = of.columns["bought_wh"], of.columns["sold_wh"]
    traded = [priced_line(kind, energy_wh, of) for kind, energy_wh in zip(P2P_KINDS, energies_wh, strict=False)]
    return [*traded, *lines_of_metered(of)]


def call_auction(orders: Sequence[tuple[int, ...]], terms: Mapping[str, Any]) -> Cleared:
    """Volume, price and each order's fill of ``orders`` = (side 0 buy or 1 sell, quantity, limit) in rank order; under ``/2`` a fourth
    value says when each came.

    The price is the limit with the largest volume, then the smallest imbalance, then by the market's pressure, then nearest to
    the reference, or a share of the way from the lowest to the highest that are left. Whole price levels are filled in price order; the
    one that does not fit is split pro rata, ties by rank, or served as its orders came.
    """
    levels: dict[int, tuple[list[int], list[int]]] = {}  # limit: ranks of buys, ranks of sells
    for rank, order in enumerate(orders):
        levels.setdefault(order[2], ([], []))[order[0]].append(rank)
    kept: list[tuple[int, int]] = []  # (price, demand - supply) of the best candidates so far, prices ascending
    best = (0, 0)
    demand, supply = sum(order[1] for order in orders if order[0] == 0), 0
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
    price = _price_between(lowest, highest, terms)
    if all(excess > 0 for _, excess in kept) or all(excess < 0 for _, excess in kept):
        price = highest if kept[0][1] > 0 else lowest
    for side in (0, 1):
        left = volume
        for limit in sorted(levels, reverse=side == 0):
            ranks = levels[limit][side]
            total = sum(orders[rank][1] for rank in ranks)
            share = min(total, left)
            left -= share
            if terms["rationing"] == "time":
                for rank in sorted(ranks, key=lambda rank: orders[rank][3]):
                    fills[rank] = min(share, orders[rank][1])
                    share -= fills[rank]
                continue
            for rank in ranks:
                fills[rank] = share * orders[rank][1] // total
            units = share - sum(fills[rank] for rank in ranks)  # each to one of the largest remainders
            for rank in sorted(ranks, key=lambda rank: -(share * orders[rank][1] % total))[:units]:
                fills[rank] += 1
    return Cleared(volume, price, fills)


def _price_between(lowest: int, highest: int, terms: Mapping[str, Any]) -> int:
    if "price_k_ppm" in terms:
        return split_price(lowest, highest, terms)
    reference: int = terms["reference_price_micro_per_kwh"]
    return min(max(reference, lowest), highest)


P2P_CALL_AUCTION_1: Final = Contract(
    contract_id="p2p_call_auction/1",
    position_columns=("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano"),
    area_columns=(),
    line_kinds=P2P_KINDS,
    price_keys=tuple(kind.price for kind in METERED_KINDS),
    terms={"rationing": re.compile("pro_rata"), "reference_price_micro_per_kwh": PRICES},
    takes_prices=takes_trader_prices,
    lines_of_point=lines_of_trader,
    check_point=check_trader,
    clear=call_auction,
    not_checked=(),
)


# =================================================================== gridevidence/verifier/contracts/p2p_call_auction_2
# ``p2p_call_auction/2``: the auction of version 1, with the rule of its price and of its rationing as terms.


def hold_one_rule(terms: Mapping[str, Any]) -> None:
    """Halt where the terms give the price two rules, or none."""
    rules = ("price_k_ppm" in terms) + ("reference_price_micro_per_kwh" in terms)
    hold(rules == 1, "the terms have not one rule of the price")


P2P_CALL_AUCTION_2: Final = P2P_CALL_AUCTION_1._replace(
    contract_id="p2p_call_auction/2",
    terms={
        "price_k_ppm?": PRICE_K["price_k_ppm"],
        "rationing": re.compile("pro_rata|time"),
        "reference_price_micro_per_kwh?": PRICES,
    },
    check_terms=hold_one_rule,
    order_terms=TIMED_TERMS,
    not_checked=("that the orders came in the order that the book says, which counts where rationing is by time",),
)


# ========================================================================= gridevidence/verifier/contracts/pay_as_bid_1
# The matching of ``pay_as_bid/1``: the best buy meets the best sell while their limits cross, each pair at the buy's limit.


def pay_as_bid(orders: Sequence[tuple[int, ...]]) -> list[Match]:
    """Buys from the highest limit, sells from the lowest, of equal limits the lower rank first."""
    buys = sorted((rank for rank, order in enumerate(orders) if order[0] == 0), key=lambda rank: -orders[rank][2])
    sells = sorted((rank for rank, order in enumerate(orders) if order[0] == 1), key=lambda rank: orders[rank][2])
    left_wh, trades, place = [order[1] for order in orders], list[Match](), 0
    for buy in buys:
        while left_wh[buy] and place < len(sells) and orders[sells[place]][2] <= orders[buy][2]:
            sell = sells[place]
            energy_wh = min(left_wh[buy], left_wh[sell])
            trades.append(Match(buy, sell, energy_wh, orders[buy][2]))
            left_wh[buy] -= energy_wh
            left_wh[sell] -= energy_wh
            place += left_wh[sell] == 0
    return trades


PAY_AS_BID_1: Final = paired_contract("pay_as_bid/1", lambda orders, _terms: pay_as_bid(orders))


# ========================================================================= gridevidence/verifier/contracts/pay_as_bid_2
# ``pay_as_bid/2``: the meetings of version 1, each at a price between both limits.


PAY_AS_BID_2: Final = paired_contract("pay_as_bid/2", split_between_limits(pay_as_bid))._replace(terms=PRICE_K)


# =========================================================== gridevidence/verifier/contracts/schedules_and_deviations_1
# The arithmetic of ``schedules_and_deviations/1``: schedules between two points in full, and what was metered otherwise at its own prices.


SCHEDULED_KINDS: Final = (
    LineKind("schedule_buy", "clearing", 1, ""),
    LineKind("schedule_sell", "clearing", 1, ""),
    LineKind("schedule_difference", "clearing", 1, ""),
)
SCHEDULE_WH_MAX: Final = 125_000_000  # one above it comes to nothing


def _lines_of_scheduled(of: Settled) -> list[PointLine]:
    """A line of each kind, in their order."""
    kept, (buys, sells, differs) = of.columns, SCHEDULED_KINDS
    return [
        PointLine(buys, kept["bought_wh"], None, kept["bought_nano"]),
        PointLine(sells, kept["sold_wh"], None, -kept["sold_nano"]),
        PointLine(differs, kept["difference_wh"], None, kept["difference_nano"]),
        *lines_of_metered(of),
    ]


def _scheduled(of: Settled, agreements: Sequence[Agreed]) -> list[Within]:
    """The schedules of one side: what was agreed, exactly, unless it is a share of what the other side exports."""
    parts = []
    for agreed in agreements:
        most_wh = agreed_wh(agreed, of)
        if agreed.quantity_wh is None and not agreed.is_seller:
            parts.append(Within(0, SCHEDULE_WH_MAX, agreed.price))
        elif most_wh <= SCHEDULE_WH_MAX:
            parts.append(Within(most_wh, most_wh, agreed.price))
    return parts


def _check_scheduled(of: Settled) -> None:
    """What the point bought, sold and owes of differences follows from its agreements."""
    kept = of.columns
    hold(kept["bought_wh"] >= 0 <= kept["sold_wh"], "an energy bought or sold is negative")
    for is_seller, side in ((False, "bought"), (True, "sold")):
        own = [agreed for agreed in of.agreements if agreed.is_seller == is_seller and not agreed.is_difference]
        hold_within(side, _scheduled(of, own), kept[f"{side}_wh"], kept[f"{side}_nano"])
    hold_within("of differences", list(differences(of)), kept["difference_wh"], kept["difference_nano"])


SCHEDULES_AND_DEVIATIONS_1: Final = Contract(
    contract_id="schedules_and_deviations/1",
    position_columns=(
        "bought_wh", "sold_wh", "bought_nano", "sold_nano", "difference_wh", "difference_nano", "pays_nano",
        "supplier_only_nano",
    ),
    area_columns=(),
    line_kinds=(*SCHEDULED_KINDS, *METERED_KINDS),
    price_keys=tuple(beside_schedule.price for beside_schedule in METERED_KINDS),
    terms={},
    takes_prices=takes_trader_prices,
    lines_of_point=_lines_of_scheduled,
    check_point=_check_scheduled,
    clear=None,
    not_checked=(
        "what the other sides of the point's agreements export, where a share of it was bought, and that no other agreement of the point holds",
    ),
    takes_agreements=True,
)  # fmt: skip


# ======================================================================= gridevidence/verifier/contracts/sharing_keys_1
# The arithmetic of ``sharing_keys/1``: a community's production is given to its consumers by keys, after the fact.


SHARING_KINDS: Final = (
    LineKind("trade_buy", "clearing", 1, TRADE_PRICE),
    LineKind("trade_sell", "clearing", -1, TRADE_PRICE),
    LineKind("residual_import", "supplier", 1, "residual_price_micro_per_kwh"),
    LineKind("residual_export", "offtaker", -1, "feed_in_price_micro_per_kwh"),
    LineKind("network_traded", "network", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", "network", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", "levy", 1, "levy_micro_per_kwh"),
)
PPM: Final = 1_000_000


def _billed(of: Settled) -> Settled:
    """The point's energy that is billed: all of it, or the shared alone; at the price that the terms name for what is shared."""
    of = of._replace(trade_price=of.terms[TRADE_PRICE])
    if of.terms.get("settle_residual", True):
        return of
    return of._replace(import_wh=of.columns["bought_wh"], export_wh=of.columns["sold_wh"])


def lines_of_sharer(of: Settled) -> list[PointLine]:
    """A line of each of SHARING_KINDS, in their order."""
    of = _billed(of)
    bought_wh, sold_wh = of.columns["bought_wh"], of.columns["sold_wh"]
    rest_wh = of.import_wh - bought_wh
    energies_wh = (bought_wh, sold_wh, rest_wh, of.export_wh - sold_wh, bought_wh, rest_wh, of.import_wh)
    return [priced_line(kind, energy_wh, of) for kind, energy_wh in zip(SHARING_KINDS, energies_wh, strict=True)]


def _hold_part(what: str, share: int, total: int, weight: int, weights: int) -> None:
    """Hold that ``share`` is what largest remainder gives: the floor, or one more where the division leaves a rest."""
    floor, rest = divmod(total * weight, weights) if weights else (0, 0)
    hold(floor <= share <= floor + (rest > 0), f"{what} is not the share that is due")


def _check_sharer(of: Settled) -> None:
    """What the point was given and gave, as far as its own energy and the sums of its area tell."""
    area, method = of.area, of.terms["method"]
    bought_wh, sold_wh, shared_wh = of.columns["bought_wh"], of.columns["sold_wh"], area["shared_wh"]
    hold(min(area.values()) >= 0, "a sum of the area is negative")
    hold(shared_wh <= min(area["production_wh"], area["consumption_wh"]), "more was shared than produced, or consumed")
    within = of.import_wh <= area["consumption_wh"] and of.export_wh <= area["production_wh"]
    hold(within, "the point has more import or export than its area")
    hold(
        0 <= bought_wh <= min(of.import_wh, shared_wh), "the point was given more than it consumes, or than was shared"
    )
    _hold_part("what the point gave", sold_wh, shared_wh, of.export_wh, area["production_wh"])
    key_ppm, keys_ppm = of.point.get("share_ppm", 0), area["keys_ppm"]
    pool_wh = area["production_wh"] * min(keys_ppm, PPM) // PPM
    hold(key_ppm <= keys_ppm, "the point's key is more than those of its area")
    if method == "dynamic" or (method == "priority" and shared_wh == area["consumption_wh"]):
        same("the energy that was shared", shared_wh, min(area["production_wh"], area["consumption_wh"]))
        _hold_part("what the point was given", bought_wh, shared_wh, of.import_wh, area["consumption_wh"])
    elif method == "priority":
        same("the energy that was shared", shared_wh, area["production_wh"])
    else:
        floor, rest = divmod(pool_wh * key_ppm, keys_ppm) if keys_ppm else (0, 0)
        hold(shared_wh <= pool_wh, "more was shared than the keys share")
        hold(min(of.import_wh, floor) <= bought_wh, "the point was given less than its key says")
        is_most = bought_wh <= (floor + (rest > 0) if method == "static" else of.import_wh if key_ppm else 0)
        hold(is_most, "the point was given more than its key says")


SHARING_KEYS_1: Final = Contract(
    contract_id="sharing_keys/1",
    position_columns=("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano"),
    area_columns=("production_wh", "consumption_wh", "shared_wh", "keys_ppm"),
    line_kinds=SHARING_KINDS,
    price_keys=tuple(of_line.price for of_line in SHARING_KINDS if of_line.price != TRADE_PRICE),
    terms={
        "method": re.compile("static|static_reallocated|dynamic|priority"),
        "settle_residual?": bool,
        TRADE_PRICE: PRICES,
    },
    takes_prices=lambda _: True,
    lines_of_point=lines_of_sharer,
    check_point=_check_sharer,
    clear=None,
    not_checked=(
        "that the area's production, consumption, keys and shared energy are sums over its points, and who was served before others",
    ),
    supplier_only=lambda of: supplier_only_nano(_billed(of)),
)


# ================================================================ gridevidence/verifier/contracts/supply_demand_ratio_1
# The arithmetic of ``supply_demand_ratio/1``: the scarcer a community's supply, the nearer its price to the retail price.


def _supply_demand_ratio(of: Sums) -> Exchange:
    """Sellers get surplus x s b / ((b - s) surplus / deficit + s), rounded down; buyers pay that and the grid's part."""
    missing_wh = of.deficit_wh - of.surplus_wh
    if missing_wh <= 0:
        return Exchange(of.deficit_wh * of.feed_in, of.surplus_wh * of.feed_in)
    weight = (of.retail - of.feed_in) * of.surplus_wh + of.feed_in * of.deficit_wh
    sellers_nano = of.surplus_wh * of.feed_in * of.retail * of.deficit_wh // weight
    return Exchange(sellers_nano + missing_wh * of.retail, sellers_nano)


SUPPLY_DEMAND_RATIO_1: Final = community_contract("supply_demand_ratio/1", 1, _supply_demand_ratio)


# ==================================================================== gridevidence/verifier/contracts/trade_reduction_1
# ``trade_reduction/1``: the last buy and the last sell that meet set two prices and do not trade; the rest between them is the auction's surplus.


REDUCED_KINDS: Final = (
    *PAIRED_KINDS[:2],
    LineKind("auction_surplus", "auction_surplus", 1, ""),
    *METERED_KINDS,
)


def _shares_wh(total_wh: int, quantities_wh: list[int]) -> list[int]:
    """A total by largest remainder, ties to the earlier."""
    whole = sum(quantities_wh)
    products = [total_wh * quantity_wh for quantity_wh in quantities_wh]
    shares = [product // whole for product in products]
    by_remainder = sorted(range(len(products)), key=lambda at: (-(products[at] % whole), at))
    for at in by_remainder[: total_wh - sum(shares)]:
        shares[at] += 1
    return shares


def _meet_again(filled: Mapping[int, int], buys: list[int], sells: list[int], price: int) -> list[Match]:
    """Who trades with whom: both sides in rank order, one beside the other."""
    left_wh, trades, place = dict(filled), list[Match](), 0
    for buy in buys:
        while left_wh[buy]:
            sell = sells[place]
            energy_wh = min(left_wh[buy], left_wh[sell])
            if energy_wh:
                trades.append(Match(buy, sell, energy_wh, price))
            left_wh[buy] -= energy_wh
            left_wh[sell] -= energy_wh
            place += left_wh[sell] == 0
    return trades


def trade_reduction(orders: Sequence[tuple[int, ...]], _terms: Mapping[str, Any]) -> Cleared:
    """Orders = (side 0 buy or 1 sell, quantity, limit) in rank order. The price is the buyers'."""
    nothing = Cleared(0, None, [0] * len(orders), [])
    met = pay_as_bid(orders)
    if not met:
        return nothing
    last = met[-1].buy, met[-1].sell
    traded = [
        sorted(set(of_side) - {end})
        for of_side, end in zip(zip(*(meeting[:2] for meeting in met), strict=True), last, strict=True)
    ]
    buys, sells = traded
    volume_wh = min(sum(orders[rank][1] for rank in of_side) for of_side in traded)
    if not volume_wh:
        return nothing
    filled_wh = [0] * len(orders)
    for of_side in traded:
        for rank, share_wh in zip(of_side, _shares_wh(volume_wh, [orders[rank][1] for rank in of_side]), strict=True):
            filled_wh[rank] = share_wh
    trades = _meet_again(dict(enumerate(filled_wh)), buys, sells, orders[last[1]][2])
    return Cleared(volume_wh, orders[last[0]][2], filled_wh, trades)


def _lines_of_reduced(of: Settled) -> list[PointLine]:
    """A line of each of REDUCED_KINDS, in their order."""
    kept, (buys, sells, surplus) = of.columns, REDUCED_KINDS[:3]
    return [
        PointLine(buys, kept["bought_wh"], None, kept["bought_nano"]),
        PointLine(sells, kept["sold_wh"], None, -kept["sold_nano"]),
        PointLine(surplus, kept["bought_wh"], None, kept["surplus_nano"]),
        *lines_of_metered(of),
    ]


def _check_reduced(of: Settled) -> None:
    """What buyers pay is the gate's price, and no less than sellers get."""
    bought_wh, bought_nano = of.columns["bought_wh"], of.columns["bought_nano"]
    same(
        "what the point pays beyond what sellers get",
        of.columns["surplus_nano"],
        bought_wh * of.trade_price - bought_nano,
    )
    hold(of.columns["surplus_nano"] >= 0, "buyers pay less than sellers get")


TRADE_REDUCTION_1: Final = Contract(
    contract_id="trade_reduction/1",
    position_columns=(
        "bought_wh", "sold_wh", "bought_nano", "sold_nano", "surplus_nano", "pays_nano", "supplier_only_nano",
    ),
    area_columns=(),
    line_kinds=REDUCED_KINDS,
    price_keys=tuple(metered.price for metered in METERED_KINDS),
    terms={},
    takes_prices=takes_trader_prices,
    lines_of_point=_lines_of_reduced,
    check_point=_check_reduced,
    clear=trade_reduction,
    not_checked=(),
    trades_in_pairs=True,
    has_buyers_price=True,
)  # fmt: skip


# ====================================================================================== gridevidence/verifier/contracts
# The contracts whose arithmetic the verifier knows, by id. A bundle of another one is never more than "cannot be decided".


CONTRACTS: Final[dict[str, Contract]] = {
    known.contract_id: known
    for known in (
        P2P_CALL_AUCTION_1,
        PAY_AS_BID_1,
        CONTINUOUS_DOUBLE_AUCTION_1,
        MID_MARKET_RATE_1,
        SUPPLY_DEMAND_RATIO_1,
        BILL_SHARING_1,
        SHARING_KEYS_1,
        BILATERAL_AGREEMENTS_1,
        SCHEDULES_AND_DEVIATIONS_1,
        TRADE_REDUCTION_1,
        CONDITIONAL_BID_1,
        GRID_FEE_PATH_1,
        P2P_CALL_AUCTION_2,
        PAY_AS_BID_2,
        CONTINUOUS_DOUBLE_AUCTION_2,
        GRID_FEE_PATH_2,
    )
}


# ========================================================================================== gridevidence/verifier/trust
# The trust root: whose word counts, read from a file that comes from outside and never out of a bundle.


class Trust(NamedTuple):
    """Whose word counts: the chain, the digest of its genesis, its signers, and the keys that are pinned."""

    chain: str
    genesis: bytes
    signers: tuple[tuple[bytes, int, str], ...]
    """(public key, power, name)."""
    pins: tuple[tuple[str, str], ...]
    """(signer, fingerprint in lower-case hex digits); several of one signer: each of these keys will do."""

    def is_of(self, chain: str, genesis: bytes) -> bool:
        """Whether it is the trust root of this chain and this genesis."""
        return (self.chain, self.genesis) == (chain, genesis)


def decode_trust(data: bytes) -> Trust:
    """Read a trust root (JSON); halts with "bad usage" where it is malformed, "cannot be decided" at an unknown version."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        hold(len(dict(pairs)) == len(pairs), f"a key stands twice: {plain(', '.join(key for key, _ in pairs))}")
        return dict(pairs)

    try:
        hold(len(data) <= TRUST_BYTES_MAX, f"it has more than {TRUST_BYTES_MAX} bytes")
        root = json.loads(data.decode(), object_pairs_hook=distinct)
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
        raise Halt(BAD_USAGE, f"the trust file is malformed: {reason}") from None
    pins = tuple((pin["signer"], pin["fingerprint"].lower()) for pin in root["pins"])
    return Trust(root["chain"], bytes.fromhex(root["genesis"]), signers, pins)


# ==================================================================================== gridevidence/verifier/examination
# One bundle under examination: its records, and what the claims found in them so far.


class ClearedArea(NamedTuple):
    """The area's row of the clearing."""

    area: int
    orders: int
    volume_wh: int
    has_price: int
    price: int
    rules: bytes
    book_root: bytes
    fills_root: bytes
    trades: int = 0
    trades_root: bytes = b""
    """Under a contract whose trades have prices of their own; b"" under another one."""


def _cleared_area(row: bytes) -> ClearedArea:
    layout = CLEARED_ROW if len(row) == CLEARED_ROW.size else PAIRED_CLEARED_ROW
    return ClearedArea(*layout.unpack(row))


class UsedKey(NamedTuple):
    """The key that was in force for a transaction, and the height that recorded it."""

    transaction: Transaction
    entry: KeyEntry
    recorded_height: int


class Examination:
    """What the claims are checked on, in their order: each finds here what those before it have found."""

    def __init__(self, bundle: Bundle, trust: Trust | None, book: bytes | None) -> None:
        self.bundle, self.trust, self.book_data = bundle, trust, book
        self.facts: dict[str, Any] = {}
        self.run: dict[str, Any] = bundle.run.value
        self.start_s: int = self.run["slot_start_s"]
        self.end_s: int = self.start_s + bundle.chain.value["slot_s"]
        self.position: PositionRow = unpack_position(bundle.position.row)
        self.siblings: list[PositionRow] = [unpack_position(one.position.row) for one in bundle.siblings]
        self.area: AreaRow = unpack_area(bundle.area_result.row)
        self.cleared = _cleared_area(bundle.clearing.area.row) if bundle.clearing is not None else None
        self.used_keys: list[UsedKey] = []  # one for each transaction

    @property
    def is_estimated(self) -> bool:
        """Whether the position says that the ledger estimated its energy: neither registers nor an import tell it."""
        return self.position.quality in ESTIMATED and self.bundle.imported is None

    @property
    def contract(self) -> Contract | None:
        """The arithmetic of the run's contract; None where it is unknown here."""
        return CONTRACTS.get(self.run["contract"])

    def known_contract(self) -> Contract:
        """The same; halts where it is unknown."""
        contract = self.contract
        if contract is None:
            raise Halt(CANNOT_BE_DECIDED, f"the contract {plain(self.run['contract'])} is unknown here")
        return contract

    def settled(self) -> Settled:
        """What the lines of the point rest on; halts unless rules and rows have exactly what the contract declares."""
        contract, rules = self.known_contract(), self.bundle.rules
        hold(contract.takes_agreements or not self.bundle.agreements, "the contract settles no agreements")
        return Settled(
            import_wh=self.position.import_wh,
            export_wh=self.position.export_wh,
            columns=dict(zip(contract.position_columns, self.position.columns, strict=True)),
            area=dict(zip(contract.area_columns, self.area.columns, strict=True)),
            prices=self._prices(self.bundle.point_rules or rules),
            area_prices=self._prices(rules),
            terms=rules.row.value["terms"],
            point=self.bundle.point.row.value,
            trade_price=self.cleared.price if self.cleared is not None and self.cleared.has_price else 0,
            agreements=[self._agreed(one.row.value) for one in self.bundle.agreements],
        )

    def _agreed(self, stated: Mapping[str, Any]) -> Agreed:
        """What an agreement says of the slot; halts for a difference without a reference price: it does not hold in it."""
        is_difference, is_seller = (
            stated["basis"] == "difference",
            stated["seller_point"] == self.bundle.point.entity.name,
        )
        said = self._series_price(stated["series"]) if "series" in stated else None
        hold(not is_difference or said is not None, "a difference has no reference price in the slot")
        strike: int = stated["price_micro_per_kwh"]
        price = strike - (said or 0) if is_difference else strike if said is None else said
        return Agreed(is_seller, is_difference, price, stated.get("quantity_wh"), stated.get("share_ppm"))

    def _series_price(self, name: str) -> int | None:
        """What a price series says of the slot, None where it says nothing."""
        row = next(one.row for one in self.bundle.series if one.entity.name == name)
        place = (self.start_s - row.from_s) // row.value["slot_s"] * 8
        value = row.value["prices"][place : place + 8]
        return int.from_bytes(value, "little", signed=True) if value else None

    def _prices(self, rules: Opened) -> dict[str, int]:
        """The prices of rules in the slot: what series say instead holds, unless the contract does not take them together."""
        contract, stated, varied = self.known_contract(), rules.row.value, dict(rules.row.value["prices"])
        conform(stated["terms"], contract.terms, "the terms of the rules")
        contract.check_terms(stated["terms"])
        hold(stated["prices"].keys() == set(contract.price_keys), "the rules have not the prices of the contract")
        is_taken = all(price in PRICES for price in varied.values()) and contract.takes_prices(varied)
        hold(is_taken, f"the prices of {plain(rules.row.key)} are none that the contract takes")
        for key, name in stated.get("series", {}).items():
            said = self._series_price(name)
            varied[key] = varied[key] if said is None else said
        return varied if contract.takes_prices(varied) else dict(stated["prices"])


# ============================================================================= gridevidence/verifier/claims/certificate
# Claim 13: signers whom the trust root names, or a set that they handed over to, certified the state.


OWN_WORD: Final = "1 of 1 signer: the operator's own word"

_Certificate = tuple[tuple[bytes, bytes], ...]
_Set = dict[bytes, int]  # public key -> power


def check_certificate(of: Examination) -> str:
    """13: more than two thirds of the power of the set that the trust root yields signed the certified header; nobody else did."""
    bundle, trust = of.bundle, of.trust
    header = bundle.certified.header if bundle.certified is not None else bundle.header
    _check_structure(of, header)
    if trust is None:
        raise Halt(CANNOT_BE_DECIDED, "no trust root was given (--trust FILE)")
    is_of_chain = trust.is_of(header.chain, bundle.genesis.header.digest)
    other = f"the trust root is of another chain than the bundle's, {plain(header.chain)}"
    hold(is_of_chain, other, CANNOT_BE_DECIDED)
    hold(bool(bundle.certificate), "the certificate of the header is absent", CANNOT_BE_DECIDED)
    signers = _handed_over(bundle.handovers, {key: power for key, power, _ in trust.signers})
    signed = _signed_power(bundle.certificate, header, signers)
    if signed is None or 3 * signed <= 2 * sum(signers.values()):
        is_own_set = header.signers == _digest_of_set(signers)
        outdated = "the header's signers are another set: a change of signers is absent, or the trust root is outdated"
        hold(is_own_set, outdated, CANNOT_BE_DECIDED)
        refuse("the certificate is not by more than two thirds of the power, or holds another's signature")
    return _certified(of, trust, signers, signed)


def _check_structure(of: Examination, header: Header) -> None:
    """Hold that certified header, hand-overs and certificate are in order, whoever signed them."""
    bundle = of.bundle
    if bundle.certified is not None:
        same("the chain of the certified header", header.chain, bundle.header.chain)
        is_later = header.height > bundle.header.height
        hold(is_later and bundle.certified.history_root == header.history_root, "the certified header is no later one")
    heights = [one.placed.header.height for one in bundle.handovers]
    hold(heights == sorted(set(heights)), "the hand-overs do not ascend")
    for one in bundle.handovers:
        placed = one.placed
        same("the chain of a hand-over", placed.header.chain, header.chain)
        is_past = placed.header.height < header.height and placed.history_root == header.history_root
        hold(is_past, "a hand-over is not in the certified header's history")
        keys = [key for key, _ in one.signers]
        hold(keys == sorted(set(keys)), "the signers of a hand-over do not ascend")
        named = (placed.header.signers, placed.header.signers_pending)
        hold(_digest_of_set(dict(one.signers)) in named, "a hand-over's header does not name these signers")
    for certificate in (bundle.certificate, *(one.certificate for one in bundle.handovers)):
        keys = [key for key, _ in certificate]
        hold(keys == sorted(set(keys)), "the keys of a certificate do not ascend")


def _digest_of_set(signers: _Set) -> bytes:
    return sm3(encode(["signers/1", [list(pair) for pair in sorted(signers.items())]]))


def _handed_over(handovers: tuple[HandOver, ...], signers: _Set) -> _Set:
    """The set after every hand-over since the one that the trust root names."""
    known = [place for place, one in enumerate(handovers, 1) if dict(one.signers) == signers]
    for one in handovers[known[-1] if known else 0 :]:
        signed = _signed_power(one.certificate, one.placed.header, signers)
        is_held = signed is not None and 3 * signed > 2 * sum(signers.values())
        hold(is_held, "a change of signers is not certified by the set before it", CANNOT_BE_DECIDED)
        signers = dict(one.signers)
    return signers


def _signed_power(certificate: _Certificate, header: Header, signers: _Set) -> int | None:
    """The power of a certificate's signers, None where one is not in the set; halts where one of the set did not sign this."""
    message = encode(["certificate/1", header.chain, header.height, header.digest])
    for key, signature in certificate:
        is_valid = key not in signers or is_valid_signature(key, message, signature)
        hold(is_valid, f"the signature by {key.hex()[:20]}... is not one over header {header.height}")
    keys = [key for key, _ in certificate]
    return sum(signers[key] for key in keys) if signers.keys() >= set(keys) else None


def _certified(of: Examination, trust: Trust, signers: _Set, signed: int) -> str:
    names = {key: plain(name) for key, _, name in trust.signers}
    shown = [names.get(key, f"{key.hex()[:16]}...") for key, _ in of.bundle.certificate]
    of.facts.update(certified_by=shown, signers=len(shown), signers_total=len(signers))
    of.facts.update(power=signed, power_total=sum(signers.values()))
    count = OWN_WORD if len(signers) == 1 else f"{len(shown)} of {len(signers)} signers"
    return f"Certified by {', '.join(shown)} ({count})."


# =================================================================================== gridevidence/verifier/claims/fills
# What an order got: at the price of the gate, or in trades that have prices of their own.


class Wants(NamedTuple):
    """What is asked of an order under ``conditional_bid/1``: see WANTED_TERMS."""

    bid: int
    choice: int
    energy_kinds: int
    seller: int


class Fill(NamedTuple):
    """A row of the clearing: what an order got, and what its trades come to, None where a gate has one price for all; wants: under a contract
    that asks for it.
    """

    party: int
    counter: int
    side: int  # and ALL_OR_NONE, where it is
    quantity_wh: int
    limit: int
    filled_wh: int
    amount_nano: int | None = None
    wants: Wants | None = None
    fee_nano: int | None = None
    """What is paid beyond the amount for the way of what was bought, under a contract with such fees."""
    place: int = 0
    arrival: int | None = None
    """When the order came, under a contract that asks for it: its place among those of its area, from 0."""

    @property
    def sells(self) -> bool:
        """Whether the order sells."""
        return self.side % ALL_OR_NONE == 1

    @property
    def asked(self) -> tuple[int, ...]:
        """What the contract asks of the order, as the book says it."""
        placed = () if self.fee_nano is None else (self.place,)
        return self.wants or placed or (() if self.arrival is None else (self.arrival,))

    @property
    def is_whole(self) -> bool:
        """Whether it may be: an order that is all or none got all."""
        return self.side < ALL_OR_NONE or self.filled_wh == self.quantity_wh


class TradeRow(NamedTuple):
    """A row of the clearing: a trade between two orders."""

    buyer: int
    buy_counter: int
    seller: int
    sell_counter: int
    energy_wh: int
    price: int
    fee: int = 0
    """What the buyer pays beyond the price."""


def trade_of(row: bytes) -> TradeRow:
    """A trade, from a row of either layout."""
    return TradeRow(*(TRADE_ROW if len(row) == TRADE_ROW.size else FEE_TRADE_ROW).unpack(row))


def fill_of(row: bytes) -> Fill:
    """A fill, from a row of any layout."""
    if len(row) == WANTED_FILL_ROW.size:
        values = WANTED_FILL_ROW.unpack(row)
        return Fill(*values[:7])._replace(wants=Wants(*values[7:]))
    if len(row) == FEE_FILL_ROW.size:
        placed = FEE_FILL_ROW.unpack(row)
        return Fill(*placed[:7])._replace(fee_nano=placed[7], place=placed[8])
    if len(row) == TIMED_FILL_ROW.size:
        timed = TIMED_FILL_ROW.unpack(row)
        return Fill(*timed[:6])._replace(arrival=timed[6])
    return Fill(*(FILL_ROW if len(row) == FILL_ROW.size else PAIRED_FILL_ROW).unpack(row))


def hold_price(price: int, fill: Fill, what: str) -> None:
    """Hold that a price is within the limit of a fill's order."""
    is_within = price >= fill.limit if fill.sells else price <= fill.limit
    hold(is_within, f"{what} was filled beyond its limit")


def hold_amount(row: ClearedArea, order: Order, fill: Fill) -> None:
    """Hold that a fill comes to no worse than its limit; and where its trades are shown, that they are the clearing's, the order's
    own, each within its limit, and give the fill's energy and amount.
    """
    what, amount_nano, fee_nano = order.order.what, fill.amount_nano or 0, fill.fee_nano or 0
    hold(fee_nano >= 0 and (fee_nano == 0 or fill.side == 0), f"{what} has fees that no buyer has")
    hold(fill.side < ALL_OR_NONE, f"{what} is all or none, and the contract trades in pairs")
    worst_nano = fill.limit * fill.filled_wh
    is_within = amount_nano + fee_nano <= worst_nano if fill.side == 0 else amount_nano >= worst_nano
    hold(is_within, f"{what} was filled beyond its limit")
    if not order.trades:
        return
    has_fees = fill.fee_nano is not None
    is_row = all((len(one.row) == FEE_TRADE_ROW.size) == has_fees for one in order.trades)
    hold(is_row, f"a trade shown with {what} is another contract's")
    trades = [trade_of(one.row) for one in order.trades]
    hold(all(one.root == row.trades_root for one in order.trades), f"a trade of {what} is not a row of the clearing")
    own = (fill.party, fill.counter)
    hold(
        all((trade[:2], trade[2:4])[fill.side] == own for trade in trades),
        f"a trade shown with {what} is another order's",
    )
    partners = [(trade[2:4], trade[:2])[fill.side] for trade in trades]
    hold(len(set(partners)) == len(partners), f"{what} trades twice with one order")
    hold(min(trade.energy_wh for trade in trades) > 0, f"a trade of {what} is of no energy")
    for trade in trades:
        hold(trade.fee >= 0, f"a trade of {what} has a negative fee")
        hold_price(trade.price if fill.sells else trade.price + trade.fee, fill, what)
    if has_fees and not fill.sells:
        same(f"the fees of the trades of {what}", sum(trade.energy_wh * trade.fee for trade in trades), fee_nano)
    same(f"the energy of the trades of {what}", sum(trade.energy_wh for trade in trades), fill.filled_wh)
    same(f"what the trades of {what} come to", sum(trade.energy_wh * trade.price for trade in trades), amount_nano)


# =================================================================================== gridevidence/verifier/claims/state
# Claims 2 to 4: one state of the ledger, the entities in force in it, and the point's place in the run.


def check_header(of: Examination) -> str:
    """2: the header; under its state root chain, run and runs of this slot; genesis is the first leaf of its history."""
    bundle, run = of.bundle, of.run
    header, first = bundle.header, bundle.genesis
    same("chain and height of genesis", (first.header.chain, first.header.height), (header.chain, 0))
    hold(all(item[0] == 1 for item in first.path), "genesis is not the first leaf of the history")
    hold(first.history_root == header.history_root, "the header's history does not begin with this genesis")
    slot = f"{of.start_s}/{run['zone']}"
    keys = {"chain": bundle.chain, f"run/{slot}/{run['run']}": bundle.run, f"runs/{slot}": bundle.runs}
    for key, leaf in keys.items():
        same("the key of a leaf", leaf.key, key)
        hold(leaf.root == header.state_root, f"the leaf {key} is not in the header's state")
    slot_s, made_at = bundle.chain.value["slot_s"], run["as_of_height"] + 1
    hold(slot_s in SLOT_LENGTHS_S and of.start_s % slot_s == 0, "no slot of this chain starts then")
    hold(made_at <= header.height, "the run was made after the header")
    runs = bundle.runs.value["runs"]
    hold(runs.count([run["run"], made_at]) == 1, "the run does not stand once in the list of the slot's runs")
    later = [name for name, _ in runs[runs.index([run["run"], made_at]) + 1 :]]
    clock, currency = bundle.chain.value["clock"], bundle.chain.value["currency"]
    of.facts.update(chain=header.chain, height=header.height, header_time_s=header.time_s, clock=clock)
    of.facts.update(currency=currency, run=run["run"], later_runs=later, contract=run["contract"], zone=run["zone"])
    of.facts.update(slot_start_s=of.start_s, slot_end_s=of.end_s)
    protocols = sorted({one.protocol_version for one in _headers(bundle)} - {PROTOCOL_VERSION})
    hold(not protocols, f"the protocol version {plain(protocols)} of a header is unknown here", CANNOT_BE_DECIDED)
    return f"Run {run['run']} of the slot stands in the state of header {header.height}."


def _headers(bundle: Bundle) -> list[Header]:
    placed = [bundle.genesis, *(one.placed for one in bundle.handovers)]
    placed += [bundle.certified] if bundle.certified is not None else []
    blocks = [transaction.block for transaction in bundle.transactions]
    return [bundle.header, *(one.header for one in placed), *blocks]


def check_registry(of: Examination) -> str:
    """3: zone, area, rules, party, point, installation and gateways were in force, belong together, and none has ended."""
    bundle = of.bundle
    for kind in ("area", "party", "point", "rules", "zone"):
        _hold_in_force(of, getattr(bundle, kind), kind, of.start_s)
    zone, area, party, point = bundle.zone.row.value, bundle.area, bundle.party, bundle.point
    same("the zone of the run", bundle.zone.entity.name, of.run["zone"])
    same("the zone of the area", area.row.value["zone"], bundle.zone.entity.name)
    same("area and party of the point", _owner(point), (area.entity.name, party.entity.name))
    same("the area of the party", party.row.value["area"], area.entity.name)
    same("the rules of the area", area.row.value["rules"], bundle.rules.entity.name)
    _check_agreements(of)
    _check_prices(of)
    _check_siblings(of)
    _check_contract(of, of.start_s - zone["open_before_start_s"])
    if bundle.imported is None:
        hold(bool(bundle.pieces) != of.is_estimated, "an estimated energy is shown without meters, any other with them")
    _check_imported(of)
    _check_pieces(of)
    _check_gateways(of)
    _check_mandates(of)
    installations = [piece.installation for piece in bundle.pieces]
    installations += [bundle.imported.installation] if bundle.imported is not None else []
    meters = [installation.row.value["meter"] for installation in installations]
    protections = {opened.entity.name: opened.row.value["protection"] for opened in bundle.gateways}
    of.facts.update(area=area.entity.name, point=point.entity.name, party=party.entity.name, meter=" ".join(meters))
    of.facts.update(gateway=" ".join(protections), protection=" ".join(protections.values()))
    if of.is_estimated:
        of.facts["estimated"] = True
    return "Zone, area, rules, party, point, meter and gateway are those in force for the slot, and belong together."


def _owner(point: Opened) -> tuple[object, object]:
    return point.row.value["area"], point.row.value.get("party")


def _check_agreements(of: Examination) -> None:
    """Each once, ascending by name, in force, and of the point and its party on one side."""
    point, party = of.bundle.point.entity.name, of.bundle.party.entity.name
    names = [one.entity.name.encode() for one in of.bundle.agreements]
    hold(names == sorted(set(names)), "the agreements do not ascend")
    for one in of.bundle.agreements:
        _hold_in_force(of, one, "agreement", of.start_s)
        agreed = one.row.value
        sides = [(agreed[f"{side}_point"], agreed[side]) for side in ("seller", "buyer")]
        hold((point, party) in sides, f"{one.entity.key} is of another point, or of another party at it")


def _check_prices(of: Examination) -> None:
    """The rules that the point names of its own, and just the series that these, the area's and agreements name, are those in force."""
    bundle, own = of.bundle, of.bundle.point_rules
    named = own.entity.name if own is not None else None
    same("the rules of the point", bundle.point.row.value.get("rules"), named)
    if own is not None:
        _hold_in_force(of, own, "rules", of.start_s)
    rules = [bundle.rules] if own is None else [bundle.rules, own]
    names = {name for opened in rules for name in opened.row.value.get("series", {}).values()}
    names |= {opened.row.value["series"] for opened in bundle.agreements if "series" in opened.row.value}
    same("the price series", [one.entity.name for one in bundle.series], sorted(names))
    for one in bundle.series:
        _hold_in_force(of, one, "price_series", of.start_s)


def _check_siblings(of: Examination) -> None:
    """Other points of the party in force in the slot, each once, ascending by name."""
    names = [one.point.entity.name.encode() for one in of.bundle.siblings]
    hold(names == sorted(set(names)), "the other points of the party do not ascend")
    hold(of.bundle.point.entity.name.encode() not in names, "the point stands among the other points of its party")
    for one in of.bundle.siblings:
        _hold_in_force(of, one.point, "point", of.start_s)
        same("area and party of another point", _owner(one.point), _owner(of.bundle.point))


def hold_entity(of: Examination, entity: Entity) -> None:
    """Hold that an entity's leaf lies in the state, and that its entries are in order."""
    hold(entity.root == of.bundle.header.state_root, f"{entity.key} is not in the header's state")
    hold(entity.is_in_order, f"the entries of {entity.key} do not ascend, or what is folded is not whole")


def _hold_in_force(of: Examination, opened: Opened, kind: str, at_s: int, as_of_height: int | None = None) -> None:
    """Hold that it is of this kind, lies in the state, and that its row is the one in force (as of the run's height)."""
    entity = opened.entity
    same("the kind of an entity", entity.kind, kind)
    hold_entity(of, entity)
    as_of_height = of.run["as_of_height"] if as_of_height is None else as_of_height
    is_in_force = opened.row.key == entity.key and opened.row.is_of(entity.in_force(at_s, as_of_height))
    hold(is_in_force, f"the row of {entity.key} is not the one in force")
    hold(not opened.row.has_ended, f"{entity.key} had ended")


def _check_contract(of: Examination, opening_s: int) -> None:
    """The contract is the one in force when the slot's gate opened, or from the zone's first entry on."""
    opened = of.bundle.zone_contract
    hold(opened.entity == of.bundle.zone.entity, "the contract is of another zone than the run's")
    _hold_in_force(of, opened, "zone", max(opening_s, opened.entity.entries[0].from_s))
    same("the contract of the run", of.run["contract"], opened.row.value["contract"])
    same("the contract's pin of the run", of.run["contract_pin"], opened.row.value["contract_pin"])


def _check_imported(of: Examination) -> None:
    """An imported energy stands alone, on a chain of such, of the meter that was in force at the point."""
    imported = of.bundle.imported
    if imported is None:
        return
    hold(not of.bundle.pieces, "an imported energy is shown with registers")
    same("the clock of a chain with imported energies", of.bundle.chain.value["clock"], "imported")
    _hold_in_force(of, imported.installation, "installation", of.start_s)
    same("the point of the installation", imported.installation.row.value["point"], of.bundle.point.entity.name)
    of.facts["imported"] = True


def _check_pieces(of: Examination) -> None:
    if of.bundle.is_part_slot:
        _check_part(of, of.bundle.pieces[0])
        return
    begin_s, before = of.start_s, None
    for piece in of.bundle.pieces:
        installation = piece.installation
        if before is not None:
            is_after = begin_s <= installation.row.from_s <= of.end_s
            hold(is_after, "a meter begins before the one before it ends, or behind the slot")
            hold("first_registers" in installation.row.value, "a meter that begins in the slot has no first registers")
            is_same = before.row.has_ended or installation.row.digest == before.row.digest
            hold(is_same, "behind a break stands another entry than that of the break")
            begin_s = installation.row.from_s
        _hold_in_force(of, installation, "installation", begin_s)
        same("the point of the installation", installation.row.value["point"], of.bundle.point.entity.name)
        before = piece.ended_by
        if before is not None:
            begin_s = _break_s(of, piece, before)
    if of.bundle.pieces:
        _check_end(of, of.bundle.pieces[-1])


def _check_part(of: Examination, piece: Piece) -> None:
    """The zone measures part slots, and inside this one the meter was put up, or taken down."""
    installation, row = piece.installation, piece.installation.row
    hold("part_slots_are_measured" in of.bundle.zone.row.value, "the zone measures no part of a slot")
    from_s, until_s = of.start_s, of.end_s
    if piece.ended_by is not None:
        until_s = _break_s(of, piece, piece.ended_by)
        hold(
            piece.ended_by.row.has_ended,
            "the meter was not taken down, and what it measured behind a break is not shown",
        )
    else:
        from_s = row.from_s
        hold(of.start_s < from_s < of.end_s, "the meter was not put up inside the slot")
        is_first = "first_registers" in row.value and "final_registers" not in row.value
        hold(is_first, "the meter was not put up, and what it measured before is not shown")
        _check_end(of, piece)
    _hold_in_force(of, installation, "installation", from_s)
    same("the point of the installation", row.value["point"], of.bundle.point.entity.name)
    of.facts["part"] = {"from_s": from_s, "until_s": until_s}


def _break_s(of: Examination, piece: Piece, ended_by: Opened) -> int:
    """When the registers of a piece break off: by the entry that follows that of the piece, inside the slot."""
    entity, row, as_of_height = ended_by.entity, ended_by.row, of.run["as_of_height"]
    hold(entity == piece.installation.entity, "a piece is ended by an entry of another installation")
    hold(of.start_s < row.from_s < of.end_s, "a piece does not end inside the slot")
    is_next = piece.installation.row.is_of(entity.in_force(row.from_s - 1, as_of_height))
    is_standing = row.key == entity.key and row.is_of(entity.in_force(row.from_s, as_of_height))
    hold(is_next and is_standing, "a piece is not ended by the entry that follows")
    same("the point of the installation", row.value["point"], of.bundle.point.entity.name)
    hold("final_registers" in row.value, "a piece has no final registers")
    return row.from_s


def _check_end(of: Examination, piece: Piece) -> None:
    """The installation's entry in force at the slot's end is shown a second time only where it is another one."""
    installation, end = piece.installation, piece.end_installation
    _hold_in_force(of, piece.last_installation, "installation", of.end_s)
    if end is not None:
        hold(end.entity == installation.entity, "another installation stands at the slot's end")
        hold(end.row.digest != installation.row.digest, "the installation's entry at the slot's end is no other one")
        hold("final_registers" not in end.row.value, "the registers break off inside the last piece")
        same("the point of the installation", end.row.value["point"], of.bundle.point.entity.name)


def _check_gateways(of: Examination) -> None:
    """Exactly the gateways' entries that the readings rest on, each once, ascending; none of them has ended."""
    shown = [(opened.entity.key, *opened.entry[:2]) for opened in of.bundle.gateways]
    hold(shown == sorted(set(shown)), "the gateways do not ascend")
    needed = {_needed_gateway(of, batch, name) for batch, name in answering_gateways(of.bundle)}
    hold(needed == set(shown), "a gateway is shown that no reading rests on")


def _check_mandates(of: Examination) -> None:
    """The party's entry beside each order of a batch is the one in force in the slot when the batch was recorded."""
    for order in of.bundle.orders:
        if order.mandate is not None:
            hold(
                order.mandate.entity == of.bundle.party.entity, f"the mandate of {order.order.what} is another party's"
            )
            _hold_in_force(of, order.mandate, "party", of.start_s, order.order.block.height - 1)


def _needed_gateway(of: Examination, batch: Transaction, name: str) -> tuple[str, int, int]:
    """The entry of a gateway that was in force when a batch was recorded: it is shown, and holds."""
    block = batch.block
    for opened in of.bundle.gateways:
        in_force = opened.entity.in_force(block.ledger_time_s, block.height - 1)
        if opened.entity.name == name and opened.row.is_of(in_force):
            _hold_in_force(of, opened, "gateway", block.ledger_time_s, block.height - 1)
            return (opened.entity.key, *opened.entry[:2])
    hold(False, f"the entry of gateway {plain(name)} in force when {batch.what} was recorded is not shown")
    return "", 0, 0


def end_gateways(bundle: Bundle) -> list[tuple[Transaction, str]]:
    """The batch or approval at each end of the slot, and the gateway that its installation hung on at its boundary."""
    return [
        (end.batch if isinstance(end, Reading) else end, opened.row.value.get("gateway", ""))
        for end, opened in zip(bundle.ends, bundle.end_installations, strict=True)
    ]


def answering_gateways(bundle: Bundle) -> list[tuple[Transaction, str]]:
    """The same, and the import with the gateway of its installation."""
    imported = bundle.imported
    if imported is None:
        return end_gateways(bundle)
    return [(imported.transaction, imported.installation.row.value["gateway"])]


def check_position(of: Examination) -> str:
    """4: position and area row lie in the run, with the point's row, the area's number and the rules' digest."""
    bundle = of.bundle
    hold(bundle.position.root == of.run["rows_root"], "the position is not a row of the run")
    hold(bundle.area_result.root == of.run["areas_root"], "the area's row is not one of the run")
    same("the row of the position", of.position.row, bundle.point.entity.number)
    for one, position in zip(bundle.siblings, of.siblings, strict=True):
        hold(one.position.root == of.run["rows_root"], "another position is not a row of the run")
        same("the row of another position", position.row, one.point.entity.number)
    same("the number of the area row", of.area.area, bundle.area.entity.number)
    hold(of.area.rules == bundle.rules.row.digest, "the area was settled by other rules than these")
    contract = of.known_contract()
    widths = len(of.position.columns), len(of.area.columns)
    same("columns of the rows", widths, (len(contract.position_columns), len(contract.area_columns)))
    hold(all(len(one.columns) == widths[0] for one in of.siblings), "another position has other columns")
    of.facts.update(import_wh=of.position.import_wh, export_wh=of.position.export_wh)
    return f"The position of point {bundle.point.entity.name} is row {of.position.row} of the run."


# =================================================================================== gridevidence/verifier/claims/wants
# What the conditions of bids ask for, and whether what they got is that, as far as a bundle tells (docs/spec/contracts.md).


UNKNOWN_KIND = 1  # bit 0 of a set of kinds: energy of no kind that is known


def hold_wants(orders: tuple[Order, ...], fills: list[Fill], start_s: int, slot_s: int) -> None:
    """Hold that fills say of their orders what these say themselves in the slot from start_s on; that the rows of a bid belong together, got no more
    than it asked for, and that what was wanted of one seller is of one.
    """
    bids: dict[int, list[tuple[Order, Fill]]] = {}
    sellers: dict[str | int, int] = {}
    for order, fill in zip(orders, fills, strict=True):
        wants, what = fill.wants, order.order.what
        if wants is None:
            hold(False, f"the fill of {what} does not say what was wanted")
            continue
        bids.setdefault(wants.bid, []).append((order, fill))
        choice = 0 if order.condition is None else order.condition.choice
        same(f"the choice in the fill of {what}", wants.choice, choice)
        if fill.sells:
            is_one = wants.energy_kinds in (1 << place for place in range(len(ENERGY_KINDS) + 1))
            hold(is_one, f"{what} sells energy of no kind, or of several")
            continue
        _hold_condition(order, wants, sellers)
    for words in (str, int):  # a batch names sellers by numbers: a name and a number may be one seller's
        numbers = [number for seller, number in sellers.items() if isinstance(seller, words)]
        hold(len(set(numbers)) == len(numbers), "sellers of two names have one number")
    for own in bids.values():
        _hold_bid(own, start_s, slot_s)
    # a ramp, a profile and an aggregator's batch give several orders or bids of one transaction, each alone
    ids = [own[0][0].bid for own in bids.values() if own[0][0].condition is not None]
    hold(len(set(ids)) == len(ids), "conditions of one order are of several bids")


def hold_registered(points: list[Opened], orders: tuple[Order, ...], fills: list[Fill]) -> None:
    """Hold that fills claim no kind of energy, and no place in the grid, but those that the party's points are registered with. A point that
    was registered anew behind an order may have been another one at the gate.
    """
    for order, fill in zip(orders, fills, strict=True):
        what, known = order.order.what, order.order.block.height
        hold(fill.place > 0 or fill.fee_nano is None, f"{what} was filled, and stands at no place in the grid")
        for point in points:
            if point.entry.recorded_height > known:
                continue
            name, value = point.entity.name, point.row.value
            if fill.wants is not None and fill.sells and fill.wants.energy_kinds != UNKNOWN_KIND:
                kinds = kinds_of(value["energy_kind"]) if "energy_kind" in value else UNKNOWN_KIND
                same(f"the kind of energy that {what} sells of point {name}", fill.wants.energy_kinds, kinds)
            if fill.fee_nano is not None:
                same(f"the place in the grid of {what} and of point {name}", fill.place, value.get("grid_place", 0))


def _hold_condition(order: Order, wants: Wants, sellers: dict[str | int, int]) -> None:
    """A buy takes what its condition says; without one it takes all."""
    condition, what = order.condition, order.order.what
    kinds, seller = (ANY_KIND, None) if condition is None else (condition.energy_kinds, condition.seller)
    same(f"the kinds of energy that {what} takes", wants.energy_kinds, kinds)
    hold((wants.seller > 0) == (seller is not None), f"{what} wants a seller that its fill has not, or the reverse")
    if seller is not None:
        same(f"the number of the seller that {what} wants", wants.seller, sellers.setdefault(seller, wants.seller))
        partners = {trade_of(one.row).seller for one in order.trades}
        hold(len(partners) <= 1, f"{what} buys from one seller, and has trades with several")


def _hold_bid(own: list[tuple[Order, Fill]], start_s: int, slot_s: int) -> None:
    """Several orders under one number are the conditions of one bid, and got at most its quantity."""
    what, conditions = own[0][0].order.what, [order.condition for order, _ in own]
    are_one = len({order.bid for order, _ in own}) == 1 and (len(own) == 1 or None not in conditions)
    hold(are_one, f"{what} and another order are one bid")
    if conditions[0] is None:
        return
    largest_wh = {order.bid_wh(start_s, slot_s) for order, _ in own}
    hold(len(largest_wh) == 1, f"the conditions of {what} are of several bids")
    got_wh = sum(fill.filled_wh for _, fill in own)
    hold(got_wh <= max(largest_wh), f"the conditions of {what} got more than the largest of them")


# ==================================================================================== gridevidence/verifier/claims/bill
# Claims 5 to 9: the lines of the bill, and what gives their energies and prices: registers, readings, orders, clearing.


CORRECTED = 0x02  # the quality byte of an approved register
ESTIMATED_CODE, MISSING_CODE = 0x01, 0x04  # of imported energies, the low three bits of their quality byte
NOT_READ = (-1, -1)  # of a position, at an end of the slot at which its meter was not there
MEASURED_MASK = 0x27  # of a quality byte: its code, and the flag interpolated


def check_lines(of: Examination) -> str:
    """5: every column of the position follows from energies, fills, prices and the area's row."""
    contract, settled = of.known_contract(), of.settled()
    contract.check_point(settled)
    lines, columns = contract.lines_of_point(settled), settled.columns
    same("what the point pays", columns["pays_nano"], sum(line.amount_nano for line in lines))
    same("the amount with the supplier alone", columns["supplier_only_nano"], contract.supplier_only(settled))
    of.facts["lines"] = [
        {
            "line_kind": line.kind.name,
            "energy_wh": line.energy_wh,
            "price_micro_per_kwh": line.price_micro_per_kwh,
            "amount_nano": line.amount_nano,
            "account": line.kind.account,
        }
        for line in lines
        if line.energy_wh != 0
    ]
    of.facts.update(pays_nano=columns["pays_nano"], supplier_only_nano=columns["supplier_only_nano"])
    return f"Energies and prices give the {len(of.facts['lines'])} lines of the point, and these what it pays."


class Interval(NamedTuple):
    """A row of an import: what was imported of a meter in a slot, primary Wh."""

    meter: int
    slot_start_s: int
    quality: int
    import_wh: int
    export_wh: int


class Span(NamedTuple):
    """What one meter shows at the begin and the end of its part of the slot: (import, export)."""

    start: tuple[int, ...]
    end: tuple[int, ...]


def spans_of(bundle: Bundle) -> Iterator[Span]:
    """That of each piece: readings or approvals at the slot's boundaries, first and final registers in between."""
    for piece in bundle.pieces:
        first, last = piece.first, piece.last
        start = _registers(first) if first else piece.installation.row.value["first_registers"]
        ended_by = piece.ended_by.row.value["final_registers"] if piece.ended_by else ()
        yield Span(tuple(start), tuple(_registers(last) if last else ended_by))


def _registers(end: Reading | Transaction) -> tuple[int, ...]:
    return READING_ROW.unpack(end.row.row)[3:] if isinstance(end, Reading) else tuple(end.body["registers"])


def check_energy(of: Examination) -> str:
    """6: the registers of each meter lie in their range, advance within its limit, and give the position's energies."""
    if of.bundle.imported is not None:
        return _check_imported_energy(of, of.bundle.imported)
    position, spans, taken = of.position, list(spans_of(of.bundle)), [0, 0]
    for piece, span in zip(of.bundle.pieces, spans, strict=True):
        meter, most_wh = piece.installation.row.value, _most_wh(piece)
        modulus_wh, ratio = meter["modulus_wh"], meter["ratio"]
        beyond_wh = modulus_wh or REGISTER_WH_MAX + 1
        hold(max(*span.start, *span.end) < min(beyond_wh, REGISTER_WH_MAX + 1), "a register is out of its range")
        for place, (start, end) in enumerate(zip(span.start, span.end, strict=True)):
            advance_wh = end - start + (modulus_wh if end < start else 0)
            hold(0 <= advance_wh <= most_wh, f"a register advanced by {advance_wh} Wh, beyond the meter's limit")
            taken[place] += advance_wh * ratio
    hold(max(taken) <= PRIMARY_WH_MAX, "the pieces give more energy than a slot may have")
    same("import and export of the position", (position.import_wh, position.export_wh), tuple(taken))
    shown = (position.start_import, position.start_export), (position.end_import, position.end_export)
    first, last = spans[0].start, spans[-1].end
    read = (first if of.bundle.pieces[0].first else NOT_READ, last if of.bundle.pieces[-1].last else NOT_READ)
    same("the registers of the position", shown, read)
    of.facts.update(start_registers_wh=list(first), end_registers_wh=list(last))
    return f"{taken[0]} Wh in and {taken[1]} Wh out follow from the registers."


def _check_imported_energy(of: Examination, imported: Imported) -> str:
    """The imported energies lie within the meter's limit, and are the position's, which has no registers."""
    position, meter = of.position, imported.installation.row.value
    interval = Interval(*INTERVAL_ROW.unpack(imported.row.row))
    energies = interval.import_wh, interval.export_wh
    most_wh = meter["limit_wh"] * meter["ratio"]
    hold(min(energies) >= 0 and max(energies) <= most_wh, "an imported energy is beyond the meter's limit")
    same("import and export of the position", (position.import_wh, position.export_wh), energies)
    registers = position.start_import, position.end_import, position.start_export, position.end_export
    same("the registers of a position with imported energy", registers, (-1, -1, -1, -1))
    return f"{energies[0]} Wh in and {energies[1]} Wh out are what was imported."


def _most_wh(piece: Piece) -> int:
    """How far a register may advance in a piece: its meter's limit, which does not count where a register was approved."""
    meter: dict[str, int] = piece.installation.row.value
    if piece.approved_start is None and piece.approved_end is None:
        return meter["limit_wh"]
    approved_wh = PRIMARY_WH_MAX // meter["ratio"]
    return min(approved_wh, meter["modulus_wh"] // 2) if meter["modulus_wh"] else approved_wh


def check_readings(of: Examination) -> str:
    """7: what tells the registers at both ends was signed for this chain, meter and boundary: a reading that was measured
    there, or an approval.
    """
    if of.bundle.imported is not None:
        return _check_import(of, of.bundle.imported)
    bundle = of.bundle
    meters = [opened.entity.name for opened in bundle.end_installations]
    of.facts["clocks"], of.facts["approved"] = [], []
    first, last = bundle.pieces[0].first, bundle.pieces[-1].last
    boundaries = [at_s for at_s, end in ((of.start_s, first), (of.end_s, last)) if end is not None]
    ends = zip(bundle.ends, boundaries, meters, end_gateways(bundle), strict=True)
    for end, boundary_s, meter, (_, gateway) in ends:
        if isinstance(end, Reading):
            _check_reading(of, end, boundary_s, meter, gateway)
        else:
            _check_approval(of, end, boundary_s, meter)
    if last is None:
        same("the quality of the position", of.position.quality, 0)
    what = "measured readings" if not of.facts["approved"] else "readings, or approved by the gateway's organisation,"
    shown = f"The registers are {what} of meter {' and '.join(dict.fromkeys(meters))}"
    if bundle.is_part_slot:
        return f"{shown} at one end of the slot; where the meter was put up or taken down inside it, the registry states them."
    return f"{shown} at both ends of the slot."


def _check_import(of: Examination, imported: Imported) -> str:
    """The row is one of an import for this chain, meter and slot, signed by the meter's gateway."""
    transaction, body, meter = imported.transaction, imported.transaction.body, imported.installation
    signed_by = meter.row.value["gateway"]
    same("chain and signer of the import", (transaction.chain, transaction.signer), (of.bundle.header.chain, signed_by))
    hold(imported.row.root == body["rows_root"], "the imported energy is not a row of the import")
    interval = Interval(*INTERVAL_ROW.unpack(imported.row.row))
    same("the meter of the imported energy", str(interval.meter), meter.entity.name)
    same("the slot of the imported energy", interval.slot_start_s, of.start_s)
    same("the length of the slots of the import", body["slot_s"], of.end_s - of.start_s)
    same("the quality of the imported energy", interval.quality, of.position.quality)
    hold(interval.quality in IMPORTED_QUALITIES, "the imported energy has a quality that none has")
    of.facts["files"] = [{"name": name, "sm3": sm3.hex()} for name, sm3 in body["files"]]
    of.facts["estimates"] = body["estimates"] if interval.quality & 7 == ESTIMATED_CODE else ""
    of.facts["missing"] = interval.quality == MISSING_CODE
    files = "1 file" if len(body["files"]) == 1 else f"{len(body['files'])} files"
    return f"The energy was imported from {files} by {transaction.signer}, for this meter and slot; no meter signed it."


def _check_reading(of: Examination, reading: Reading, boundary_s: int, meter: str, gateway: str) -> None:
    batch, body = reading.batch, reading.batch.body
    same(f"chain and gateway of {batch.what}", (batch.chain, batch.signer), (of.bundle.header.chain, gateway))
    same(f"the boundary of {batch.what}", body["boundary_s"], boundary_s)
    same(f"the registers of {batch.what}", body["registers"], REGISTER_CODES)
    hold(reading.row.root == body["rows_root"], f"the reading is not a row of {batch.what}")
    number, offset_ms, quality, *_ = READING_ROW.unpack(reading.row.row)
    same(f"the meter in {batch.what}", str(number), meter)
    hold(quality & MEASURED_MASK == 0, f"the reading in {batch.what} was not measured")
    off_ms = abs(offset_ms) + abs(body["clock"]["offset_ms"])
    hold(off_ms <= 500 * (of.end_s - of.start_s), f"the reading in {batch.what} may be far from its boundary")
    hold(body["clock"]["state"] != "unsynced", f"the clock of {batch.what} was not synchronised")
    hold(boundary_s == of.start_s or quality == of.position.quality, "the position has another quality")
    of.facts["clocks"].append({"boundary_s": boundary_s, "gateway": gateway, **body["clock"]})


def _check_approval(of: Examination, approval: Transaction, boundary_s: int, meter: str) -> None:
    body, what = approval.body, approval.what
    same(f"the chain of {what}", approval.chain, of.bundle.header.chain)
    same(f"the boundary of {what}", body["boundary_s"], boundary_s)
    same(f"the meter in {what}", str(body["installation"]), meter)
    hold(boundary_s == of.start_s or of.position.quality == CORRECTED, "the position has another quality")
    of.facts["approved"].append({"boundary_s": boundary_s, "signer": approval.signer, "reason": body["reason"]})


def check_orders(of: Examination) -> str:
    """8: each order is the party's, for this area and slot, in time, within its limit; the fills are all that it traded."""
    orders, contract = of.bundle.orders, of.known_contract()
    if contract.clear is None:
        hold(not orders, "the contract takes no orders, and there are some")
        return "The contract takes no orders."
    fills = [_check_order(of, order) for order in orders]
    counters = [fill.counter for fill in fills]
    hold(counters == sorted(set(counters)), "the orders do not ascend by their counters")
    if contract.order_terms == WANTED_TERMS:
        hold_wants(orders, fills, of.start_s, of.end_s - of.start_s)
    else:
        hold(not any(fill.wants for fill in fills), "a fill says what was wanted, and the contract asks for nothing")
    hold(
        all((fill.fee_nano is not None) == contract.has_grid_fees for fill in fills),
        "a fill has fees, and the contract has none, or the reverse",
    )
    hold(
        all((fill.arrival is not None) == (contract.order_terms == TIMED_TERMS) for fill in fills),
        "a fill says when its order came, and the contract does not ask for it, or the reverse",
    )
    hold_registered([of.bundle.point, *(one.point for one in of.bundle.siblings)], orders, fills)
    volume_wh, points = of.cleared.volume_wh if of.cleared is not None else 0, _points(of)
    for side, (energy, amount) in enumerate((("bought_wh", "bought_nano"), ("sold_wh", "sold_nano"))):
        own = [fill for fill in fills if fill.sells == bool(side)]
        filled_wh = sum(fill.filled_wh for fill in own)
        weights = [(one.import_wh, one.export_wh)[side] for one in points]
        hold(min(weights) >= 0, "an energy is below 0")
        energies_wh = _deal(filled_wh, weights)
        same(f"the sum of the fills, {energy}, dealt to the points", energies_wh, _shown(of, points, energy))
        hold(filled_wh <= volume_wh, "the party's fills are more than the volume of the slot")
        if contract.trades_in_pairs:
            amounts_nano = _deal(sum(fill.amount_nano or 0 for fill in own), energies_wh)
            same(f"what the fills come to, {amount}, dealt to the points", amounts_nano, _shown(of, points, amount))
        if contract.has_grid_fees and side == 0:
            fees_nano = _deal(sum(fill.fee_nano or 0 for fill in own), energies_wh)
            same("the fees of the fills, dealt to the points", fees_nano, _shown(of, points, "grid_fee_nano"))
    of.facts["aggregators"] = [
        {"counter": fill.counter, "aggregator": order.order.signer}
        for fill, order in zip(fills, orders, strict=True)
        if order.mandate is not None
    ]
    shown = [trade for order in orders for trade in order.trades]
    of.facts["trades_unshown"] = contract.trades_in_pairs and bool(orders) and not shown
    behind = f" Their {len(shown)} trades are the clearing's." if shown else ""
    count = "1 filled order" if len(fills) == 1 else f"{len(fills)} filled orders"
    return f"{count} of the party, none beyond its limit or its time: all that it bought and sold.{behind}"


def _shown(of: Examination, points: list[PositionRow], column: str) -> list[int]:
    """A column of the contract, of each of some points."""
    place = of.known_contract().position_columns.index(column)
    return [one.columns[place] for one in points]


def _points(of: Examination) -> list[PositionRow]:
    """The positions of all points of the party, ascending by the bytes of the points' names."""
    names = [of.bundle.point.entity.name, *(one.point.entity.name for one in of.bundle.siblings)]
    positions = zip(names, (of.position, *of.siblings), strict=True)
    return [position for _, position in sorted(positions, key=lambda one: one[0].encode())]


def _deal(total: int, weights: list[int]) -> list[int]:
    """The shares of a total by weight, largest remainders first; without any weight all to the first."""
    if not any(weights):
        return [total, *(0 for _ in weights[1:])]
    products = [total * weight for weight in weights]
    shares = [product // sum(weights) for product in products]
    by_rest = sorted(range(len(weights)), key=lambda at: -(products[at] % sum(weights)))
    for at in by_rest[: total - sum(shares)]:
        shares[at] += 1
    return shares


def _check_order(of: Examination, order: Order) -> Fill:
    bundle, transaction, fill = of.bundle, order.order, fill_of(order.fill.row)
    what, number = transaction.what, bundle.party.entity.number
    slot_s = of.end_s - of.start_s
    terms = order.terms(number, of.start_s, slot_s)
    same(f"the chain of {what}", transaction.chain, bundle.header.chain)
    _check_who_placed(of, order)
    same(f"the slot of {what}", terms.slot_start_s, of.start_s)
    zone, at_s = bundle.zone.row.value, transaction.block.ledger_time_s
    opens_s, closes_s = (of.start_s - zone[f"{name}_before_start_s"] for name in ("open", "gate"))
    if transaction.kind == PROFILE_KIND:
        opens_s = transaction.body["end_s"] - PROFILE_S_MAX
        has_conditions = any("conditions" in part for part in transaction.body["parts"])
        is_known = not has_conditions or "profiles_have_conditions" in zone
        hold(is_known, f"{what} has conditions, and the zone knows no profile that has any")
    hold(opens_s <= at_s < closes_s, f"{what} was recorded before the slot opened, or after its gate had closed")
    hold(order.gives(of.start_s, slot_s), f"{what} gives no order of the fill's counter in the slot")
    row = of.cleared
    if row is None:
        hold(False, "there is no clearing")
        return fill
    hold(order.fill.root == row.fills_root, f"the fill of {what} is not a row of the clearing")
    same(f"the party of {what}", terms.party, number)
    for name in ("party", "counter", "side", "quantity_wh", "limit"):
        same(f"the {name} in the fill of {what}", getattr(fill, name), getattr(terms, name))
    hold(fill.side < (len(SIDES) if order.row else 2 * ALL_OR_NONE), f"{what} neither buys nor sells")
    hold(fill.is_whole, f"{what} is all or none, and was filled in part")
    hold(0 < fill.filled_wh <= fill.quantity_wh, f"{what} was filled with nothing, or with more than its quantity")
    is_paired = of.known_contract().trades_in_pairs
    same(f"whether the fill of {what} tells an amount", fill.amount_nano is not None, is_paired)
    if is_paired:
        hold_amount(row, order, fill)
        if of.known_contract().has_buyers_price and fill.side == 0:
            hold_price(row.price, fill, what)
    else:
        hold_price(row.price, fill, what)
        hold(not order.trades, f"{what} has trades, and the contract makes none")
    return fill


def _check_who_placed(of: Examination, order: Order) -> None:
    """An order by itself is signed by the party, for its area; a row of a batch by its aggregator, for the run's zone."""
    bundle, transaction, what = of.bundle, order.order, order.order.what
    if order.row is None or order.mandate is None:
        same(f"the signer of {what}", transaction.signer, bundle.party.entity.name)
        same(f"the area of {what}", transaction.body["area"], bundle.area.entity.name)
        return
    mandate = order.mandate.row.value
    same(f"the signer of {what}", transaction.signer, mandate.get("aggregator", ""))
    same(f"the area of the mandate of {what}", mandate["area"], bundle.area.entity.name)
    same(f"the zone of {what}", transaction.body["zone"], of.run["zone"])
    hold(order.row.root == transaction.body["rows_root"], f"{what} is not a row of its batch")


def check_clearing(of: Examination) -> str:
    """9: the clearing is the slot's, by the contract of the run; the area has a volume and a price in it."""
    clearing, row, run = of.bundle.clearing, of.cleared, of.run
    if clearing is None or row is None:
        return "The party had no filled order, so no clearing is needed."
    same("the key of the clearing", clearing.leaf.key, f"clearing/{of.start_s}/{run['zone']}")
    hold(clearing.leaf.root == of.bundle.header.state_root, "the clearing is not in the header's state")
    for name in ("zone", "slot_start_s", "contract", "contract_pin"):
        same(f"the {name} of the clearing", clearing.leaf.value[name], run[name])
    hold(clearing.area.root == clearing.leaf.value["areas_root"], "the area is not a row of the clearing")
    same("the number of the cleared area", row.area, of.bundle.area.entity.number)
    hold(row.orders >= len(of.bundle.orders), "the area had fewer orders than are shown")
    if of.known_contract().trades_in_pairs:
        has_price = int(of.known_contract().has_buyers_price)
        hold(row.volume_wh > 0 and row.has_price == has_price, "the area has no volume, or another number of prices")
        hold(row.trades > 0 and bool(row.trades_root), "the area has no trades")
        return f"{row.volume_wh} Wh were cleared in the area, in {row.trades} trades at prices of their own."
    hold(row.volume_wh > 0 and row.has_price == 1, "the area has no volume, or no price")
    hold(not row.trades_root, "the area has trades, and the contract makes none")
    return f"{row.volume_wh} Wh were cleared in the area at {row.price} micro/kWh."


# ==================================================================================== gridevidence/verifier/claims/book
# Claim 14, only with a book: the price that follows from all orders of the area in the slot.


class BookRow(NamedTuple):
    """An order of the anonymous book."""

    rank: int
    side: int
    quantity_wh: int
    limit: int
    filled_wh: int
    more: tuple[int, ...] = ()
    """Where orders rank as they came the rank before which it was withdrawn; what the contract asks of orders."""


def check_book(of: Examination) -> str:
    """14: the book is the clearing's; price, volume and every fill follow from it by the contract's rule."""
    rows, cleared, contract = _book_rows(of), of.cleared, of.known_contract()
    if cleared is None or contract.clear is None:
        raise Halt(CANNOT_BE_DECIDED, "book: the bundle has no clearing")
    layout = ARRIVED_BOOK_ROW if contract.ranks_by_arrival else BOOK_ROW
    layouts = {WANTED_TERMS: WANTED_BOOK_ROW, PLACED_TERMS: PLACED_BOOK_ROW, TIMED_TERMS: TIMED_BOOK_ROW}
    layout = layouts.get(contract.order_terms, layout)
    hold(all(len(row) == layout.size for row in rows), "a row of the book has another length than such a row")
    orders = [BookRow(*values[:5])._replace(more=values[5:]) for values in map(layout.unpack, rows)]
    hold(all(order.rank == rank for rank, order in enumerate(orders)), "the book is not in rank order")
    if contract.order_terms == TIMED_TERMS:
        came = sorted(order.more[0] for order in orders)
        hold(came == list(range(len(orders))), "the orders of the book did not come one after the other")
    sides = len(SIDES) if contract.trades_in_pairs else 2 * ALL_OR_NONE
    hold(all(order.side < sides and order.quantity_wh > 0 for order in orders), "an order has no side or no quantity")
    due = _clear_rounds(contract.clear, orders, of.bundle.rules.row.value["terms"])
    stated = cleared.volume_wh, cleared.price if cleared.has_price else None, cleared.trades
    same("the clearing's volume, price and trades", stated, (*due[:2], len(due.trades)))
    hold(due.filled_wh == [order.filled_wh for order in orders], "the rule gives other fills than the book states")
    terms = [(*order[1:5], *(order.more if contract.order_terms else ())) for order in orders]
    fills = [fill_of(order.fill.row) for order in of.bundle.orders]
    known: Counter[tuple[int, ...]] = Counter(terms)
    own: Counter[tuple[int, ...]] = Counter((*fill[2:6], *fill.asked) for fill in fills)
    what = "Price, volume"
    if contract.trades_in_pairs:
        what, are_shown = "Volume, every trade", any(order.trades for order in of.bundle.orders)
        trades = _trades_by_rank(due, len(orders))
        known = Counter(
            (*own_terms, *_come_to(own_terms[0], own_trades, are_shown))
            for own_terms, own_trades in zip(terms, trades, strict=True)
        )
        own = Counter(_own_order(order) for order in of.bundle.orders)
    hold(own <= known, "an order of the party does not stand in the book with its fill")
    return f"{what} and every fill follow from all orders of the slot ({len(orders)}) by the auction's rule."


def _clear_rounds(clear: Callable[..., Cleared], orders: list[BookRow], terms: dict[str, Any]) -> Cleared:
    """The outcome of all orders in rank order; of those that are all or none and lack energy the half that lacks most goes, and again."""
    left, rounds, filled_wh = orders, 0, [0] * len(orders)
    while True:
        due = clear([(one.side % ALL_OR_NONE, one.quantity_wh, one.limit, *one.more) for one in left], terms)
        rounds += 1
        lacking = [
            (one.quantity_wh - got, one.rank)
            for one, got in zip(left, due.filled_wh, strict=True)
            if one.side >= ALL_OR_NONE and got < one.quantity_wh
        ]
        if not lacking:
            break
        most = sorted(lacking, reverse=True)[: (len(lacking) + 1) // 2]
        out = {rank for _, rank in most}
        left = [one for one in left if (one.rank not in out if rounds < BLOCK_ROUNDS_MAX else one.side < ALL_OR_NONE)]
    for one, got in zip(left, due.filled_wh, strict=True):
        filled_wh[one.rank] = got
    return due._replace(filled_wh=filled_wh)


def _trades_by_rank(due: Cleared, orders: int) -> list[list[tuple[int, int, int]]]:
    """Energy, price and fee of each trade of each order; a sell's fee is its buyer's."""
    found: list[list[tuple[int, int, int]]] = [[] for _ in range(orders)]
    for trade in due.trades:
        told = (trade.energy_wh, trade.price_micro_per_kwh, trade.fee_micro_per_kwh)
        found[trade.buy].append(told)
        found[trade.sell].append(told)
    return found


def _come_to(side: int, trades: list[tuple[int, int, int]], are_shown: bool) -> tuple[int, ...]:
    """The amount of an order's trades and, of a buy, their fees; behind both they themselves, ascending, where bundles of its party show them."""
    shown = sorted(trades) if are_shown else []
    fee_nano = 0 if side else sum(energy_wh * fee for energy_wh, _, fee in trades)
    amount_nano = sum(energy_wh * price for energy_wh, price, _ in trades)
    return (amount_nano, fee_nano, *(value for trade in shown for value in trade))


def _own_order(order: Order) -> tuple[int, ...]:
    """The same of an order of the party, as the bundle shows it."""
    rows = [trade_of(one.row) for one in order.trades]
    trades = sorted((row.energy_wh, row.price, row.fee) for row in rows)
    fill = fill_of(order.fill.row)
    return (
        *fill[2:6],
        *fill.asked,
        fill.amount_nano or 0,
        fill.fee_nano or 0,
        *(value for trade in trades for value in trade),
    )


def _book_rows(of: Examination) -> list[bytes]:
    """The rows of the book file; "cannot be decided" unless it is the book of the clearing, made by the run's rules."""
    try:
        of.known_contract()
        cleared, data = of.cleared, of.book_data or b""
        if cleared is None:
            raise Halt(CANNOT_BE_DECIDED, "the bundle has no clearing")
        hold(cleared.rules == of.bundle.rules.row.digest, "the slot was cleared by other rules than those of the run")
        hold(len(data) <= BOOK_BYTES_MAX, "the file is too large")
        book = known_version(decode(data, "the file", items_max=BOOK_BYTES_MAX), BOOK_TYPE, "the file")
        conform(book, BOOK, "the file")
        rows, salts = list(book["book"]), book["salts"]
        hold(len(rows) == len(salts) == cleared.orders, f"the file has not {cleared.orders} rows")
        leaves = [salt + row for salt, row in zip(salts, rows, strict=True)]
        hold(root_of_leaves(leaves) == cleared.book_root, "the file is not the book that was cleared")
    except Halt as why:
        raise Halt(CANNOT_BE_DECIDED, f"book: {why.args[1]}; the file is another slot's, or altered") from None
    return rows


# ==================================================================================== gridevidence/verifier/claims/keys
# Claims 11 and 12: whose keys signed readings, orders and enrolments, how they are tied, and that they did sign.


def check_keys(of: Examination) -> str:
    """11: each transaction's key was in force, not revoked, with the role it needs, and is tied to genesis; no key too many."""
    names = [key.entity.key for key in of.bundle.keys]
    hold(names == sorted(set(names)), "the keys do not ascend")
    for key in of.bundle.keys:
        same("the kind of a key", key.entity.kind, "signer")
        hold_entity(of, key.entity)
        opened = [key.entity.entry_of(entry.row)[:2] for entry in key.entries]
        hold(opened == sorted(set(opened)), f"the opened entries of {key.entity.key} do not ascend")
    keys = {key.entity.name: key for key in of.bundle.keys}
    of.used_keys = [_used_key(keys, transaction) for transaction in of.bundle.transactions]
    needed = {used.entry.row.digest for used in of.used_keys}
    shown = {entry.row.digest for key in of.bundle.keys for entry in key.entries}
    hold(needed == shown, "a key is shown that signed nothing here")
    _check_organisations(of)
    for used in of.used_keys:
        _count_enrolments(of, used)
    distinct = {used.entry.row.digest: used for used in of.used_keys}
    of.facts["keys"] = [_key_fact(of, used) for used in distinct.values()]
    return "Each key was in force, not revoked, with its role; how it is tied is shown."


def _used_key(keys: dict[str, Key], transaction: Transaction) -> UsedKey:
    """The entry of the signer that was in force for a transaction: as of the block before, at its own block's time."""
    block, what = transaction.block, transaction.what
    key = keys.get(transaction.signer) or refuse(f"the key of {plain(transaction.signer)} is not shown")
    in_force = key.entity.in_force(block.ledger_time_s, block.height - 1)
    entry = next((one for one in key.entries if one.row.is_of(in_force)), None)
    if in_force is None or entry is None:
        refuse(f"the key of {transaction.signer} in force when {what} was recorded is not shown")
    hold(not entry.row.has_ended, f"the key of {transaction.signer} was revoked when {what} was recorded")
    role = ROLE_OF_KIND[transaction.kind]
    hold(role in entry.row.value["roles"], f"{transaction.signer} has not the role {role}")
    return UsedKey(transaction, entry, in_force.recorded_height)


def _check_organisations(of: Examination) -> None:
    """A gateway's key is of the gateway's organisation, as is that of an approval; a party's is of the party's."""
    party = of.bundle.party.row.value["organisation"]
    gateways = {(one.entity.name, one.row.value["organisation"]) for one in of.bundle.gateways}
    approving = {transaction.signed: name for transaction, name in end_gateways(of.bundle)}
    for used in of.used_keys:
        signer, organisation = used.transaction.signer, used.entry.row.value["organisation"]
        if used.transaction.kind == APPROVAL_KIND:
            gateway = approving[used.transaction.signed]
            hold((gateway, organisation) in gateways, f"{signer} is of another organisation than the gateway {gateway}")
        elif used.transaction.kind in (BATCH_KIND, IMPORT_KIND):
            hold((signer, organisation) in gateways, f"the key of {signer} is of another organisation than the gateway")
        elif used.transaction.kind in (ORDER_KIND, PROFILE_KIND):
            same(f"the organisation of the key of {signer}", organisation, party)


def _count_enrolments(of: Examination, used: UsedKey) -> int:
    """How many enrolments lie between a key and genesis, or a vote; halts where it is not tied so."""
    entry, key = used.entry, used.entry.row.key
    if entry.voted is not None:
        _hold_voted(of, used, entry.voted)
        return 0
    if entry.enrolment is None:
        _hold_at_genesis(of, used)
        return 0
    enroller = _enroller(of, entry.enrolment)
    enrolment = enroller.transaction
    same(f"the chain of {enrolment.what}", enrolment.chain, of.bundle.header.chain)
    same(f"the block that recorded the key of {key}", used.recorded_height, enrolment.block.height)
    hold(entry.enrolment.rows_root == enrolment.body["rows_root"], f"{enrolment.what} has no such row")
    organisations = [one.row.value["organisation"] for one in (entry, enroller.entry)]
    hold(organisations[0] == organisations[1], f"{key} was enrolled by another organisation")
    enrolments = _count_enrolments(of, enroller) + 1  # ends: each was recorded before the key that it enrolled
    hold(enrolments <= ENROLMENTS_MAX, f"more than {ENROLMENTS_MAX} enrolments lie between {key} and genesis")
    return enrolments


def _hold_voted(of: Examination, used: UsedKey, voted: Voted) -> None:
    """Hold that organisations have given the key: the state says so, by a proposal that has passed."""
    row, leaf = used.entry.row, voted.leaf
    hold(leaf.key.startswith("proposal/"), f"the key of {row.key} rests on {plain(leaf.key)}, which is no proposal")
    hold(leaf.root == of.bundle.header.state_root, f"the proposal of {row.key} is not in the state")
    same(f"the block that recorded the key of {row.key}", used.recorded_height, voted.decided_height)
    hold([row.key, row.value] in voted.rows, f"the proposal gives {row.key} another key, or none")


def _hold_at_genesis(of: Examination, used: UsedKey) -> None:
    """Hold that genesis names the key."""
    row, genesis = used.entry.row, used.entry.genesis
    if genesis is None:
        refuse(f"{row.key} is not tied to anything")
    same(f"the block that recorded the key of {row.key}", used.recorded_height, 0)
    same(f"the entity at genesis of {row.key}", genesis.key, row.key)
    hold(genesis.root == of.bundle.genesis.header.state_root, f"{row.key} is not in the state of genesis")
    hold(Entry(row.from_s, 0, row.digest) in genesis.entries, f"genesis does not name this key of {row.key}")


def _enroller(of: Examination, enrolled: Enrolled) -> UsedKey:
    """The key that signed an enrolment."""
    return next(used for used in of.used_keys if used.transaction is enrolled.transaction)


def _key_fact(of: Examination, used: UsedKey) -> dict[str, str]:
    """Whose key it is, its fingerprint, and how it is tied; halts where the trust root pins its signer to other keys."""
    signer, row = used.transaction.signer, used.entry.row
    fingerprint, trust, bundle = sm3(row.value["public_key"]).hex(), of.trust, of.bundle
    tie = "genesis"
    if used.entry.enrolment is not None:
        enrolment = used.entry.enrolment.transaction
        tie = f"enrolled by {enrolment.signer} at height {enrolment.block.height}"
    elif used.entry.voted is not None:
        tie = f"voted by {', '.join(used.entry.voted.in_favour)} at height {used.entry.voted.decided_height}"
    is_of_chain = trust is not None and trust.is_of(bundle.header.chain, bundle.genesis.header.digest)
    pins = [one for name, one in trust.pins if name == signer] if trust is not None and is_of_chain else []
    hold(not pins or fingerprint in pins, f"the trust file pins {signer} to another key than {fingerprint[:16]}...")
    role = ROLE_OF_KIND[used.transaction.kind]
    return {"signer": signer, "role": role, "fingerprint": fingerprint, "tie": "pinned" if pins else tie, "origin": tie}


def check_signatures(of: Examination) -> str:
    """12: batches, orders and enrolments are signed with these keys."""
    for transaction, entry, _ in of.used_keys:
        is_valid = is_valid_signature(entry.row.value["public_key"], transaction.signed, transaction.signature)
        hold(is_valid, f"{transaction.what} is not signed with the key of {transaction.signer}")
    return "Readings are signed with their gateway's key, orders with the party's or its aggregator's, enrolments with the administrator's."


# ================================================================================ gridevidence/verifier/claims/recorded
# Claim 10: the ledger accepted what the bundle shows.


def check_recorded(of: Examination) -> str:
    """10: batches and orders were accepted (code 0) in blocks before the run; enrolments too, all in the header's history."""
    for transaction in of.bundle.transactions:
        block, what = transaction.block, transaction.what
        same(f"the chain of the block of {what}", block.chain, of.bundle.header.chain)
        hold(0 < block.height < of.bundle.header.height, f"the block of {what} is not before the header")
        hold(transaction.data_root == block.data_root, f"{what} was not accepted in its block")
        is_past = transaction.history_root == of.bundle.header.history_root
        hold(is_past, f"the block of {what} is not in the header's history")
        is_in_time = transaction.kind == ENROLMENT_KIND or block.height <= of.run["as_of_height"] + 1
        hold(is_in_time, f"{what} was recorded after the run")
    return "Readings and orders were accepted in blocks before the run, in the header's history."


# ======================================================================================== gridevidence/verifier/verdict
# The verdict on a bundle: every claim in its order, trust last.


SHAPE, BOOK_CLAIM = "shape", "book"
CHECKS: Final[dict[str, Callable[[Examination], str]]] = {
    "header": check_header,
    "registry": check_registry,
    "position": check_position,
    "lines": check_lines,
    "energy": check_energy,
    "readings": check_readings,
    "orders": check_orders,
    "clearing": check_clearing,
    "recorded": check_recorded,
    "keys": check_keys,
    "signatures": check_signatures,
    "certificate": check_certificate,
    "book": check_book,
}
"""Of each claim behind the first, in their order."""


class RefutedClaim(NamedTuple):
    """The first claim that does not hold."""

    number: int
    word: str


class Verdict(NamedTuple):
    """The answer, why, the claim that fails, those that hold (word: text), what was not checked, what the bundle shows."""

    answer: str
    reason: str
    claim: RefutedClaim | None
    claims: dict[str, str]
    not_checked: tuple[str, ...]
    facts: dict[str, Any]


def verify_bundle(data: bytes, trust: Trust | None, book: bytes | None = None) -> Verdict:
    """Check every claim of a bundle, and of its area's anonymous order book where one is given. Never raises for bad bytes."""
    try:
        examination = Examination(read_bundle(data), trust, book)
    except Halt as why:
        answer, reason = why.args
        refuted = SHAPE if answer == NOT_VERIFIED else ""
        return _verdict(answer, f"{SHAPE}: {reason}" if refuted else reason, refuted, {}, {}, ())
    claims = {SHAPE: "The file is one canonical evidence bundle, version 2, and so is everything inside."}
    reasons: list[str] = []
    answer, refuted = VERIFIED, ""
    for word, check in CHECKS.items():
        if (word == BOOK_CLAIM and book is None) or (word in OF_CONTRACT and examination.contract is None):
            continue
        if word in OF_READINGS and examination.is_estimated:
            continue
        try:
            claims[word] = check(examination)
        except Halt as why:
            answer, reason = why.args
            if answer == NOT_VERIFIED:
                refuted, reasons = word, [f"{word}: {reason}"]
                break
            reasons.append(reason)  # a later claim may still be refuted
    reason = "; ".join(dict.fromkeys(reasons)) or "every claim holds"
    contract = examination.contract
    beyond = contract.not_checked if contract is not None else ()
    return _verdict(answer, reason, refuted, claims, examination.facts, beyond)


def _verdict(
    answer: str, reason: str, refuted: str, claims: dict[str, str], facts: dict[str, Any], beyond: tuple[str, ...]
) -> Verdict:
    claim = RefutedClaim(list(CLAIMS).index(refuted) + 1, refuted) if refuted else None
    imported = (IMPORTED_UNSIGNED,) if facts.get("clock") == "imported" else ()
    estimated = (ESTIMATE_UNCHECKED,) if facts.get("estimated") else ()
    open_claims = [text for word, text in CLAIMS.items() if word not in claims and word != refuted]
    by_importer = (IMPORT_ESTIMATE_UNCHECKED,) if facts.get("estimates") else ()
    approved = (APPROVED_UNREAD,) if facts.get("approved") else ()
    unshown = (TRADES_UNSHOWN,) if facts.get("trades_unshown") else ()
    told = (*imported, *estimated, *by_importer, *approved, *unshown)
    return Verdict(answer, reason, claim, claims, (*told, *open_claims, *beyond, *NEVER_CHECKED), facts)


# =========================================================================================== gridevidence/verifier/text
# The verdict as a household reads it.


MARKS: Final = {"simulated": "SIMULATED", "imported": "IMPORTED"}
MARK_TEXTS: Final = {
    "SIMULATED": "this chain's clock is simulated; no real meter stands behind its readings.",
    "IMPORTED": "these values were imported from files; no meter signed them.",
}
ROLE_WORDS: Final = {
    "gateway": "gateway",
    "prosumer": "party",
    "aggregator": "aggregator",
    "administrator": "administrator",
    "utility": "utility",
}
TIE_WORDS: Final = {"genesis": "named by genesis", "pinned": "pinned in the trust file"}
NANO_DIGITS, MICRO_DIGITS = 9, 6


def mark_of(facts: dict[str, Any]) -> str:
    """SIMULATED, IMPORTED, or "" for values of real meters."""
    return MARKS.get(facts.get("clock", ""), "")


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """The answer; the bill; state, certificate and keys; what was checked, and what was not."""
    facts, mark = verdict.facts, mark_of(verdict.facts)
    yield f"{verdict.answer.upper()}: {verdict.reason}"
    if mark:
        yield f"{mark}: {MARK_TEXTS[mark]}"
    if verdict.answer != NOT_VERIFIED and "party" in facts:
        yield from _bill_lines(facts)
        yield from _origin_lines(facts)
    if verdict.claims:
        yield from ("", "Checked:")
        yield from (f"  {word}: {text}" for word, text in verdict.claims.items())
    yield from ("", "Not checked:")
    yield from (f"  {text}" for text in verdict.not_checked)


def _time(seconds: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return datetime.fromtimestamp(min(seconds, TIME[-1]), UTC).strftime(form)


def _register_word(approved: dict[str, Any]) -> str:
    """Of a register that an organisation answers for: nobody read a substitute."""
    return "substituted" if approved["reason"].startswith(SUBSTITUTE) else "corrected"


def _energy_word(facts: dict[str, Any]) -> str:
    """Of an energy that does not end with a reading, "" for any other."""
    if facts.get("missing"):
        return "missing"
    if facts.get("estimates") or "estimated" in facts:
        return "estimated"
    ends = [one for one in facts.get("approved", ()) if one["boundary_s"] == facts["slot_end_s"]]
    return _register_word(ends[-1]) if ends else ""


def _bill_lines(facts: dict[str, Any]) -> Iterator[str]:
    """The lines of the point as a table, and what they come to."""
    start, end = _time(facts["slot_start_s"], "%Y-%m-%d %H:%M"), _time(facts["slot_end_s"], "%H:%M")
    yield ""
    where = "" if "estimated" in facts else f"meter {plain(facts['meter'])}"
    energy = f"energy {word.upper()}" if (word := _energy_word(facts)) else ""
    told = ", ".join(filter(None, (where, energy)))
    yield f"{facts['party']}, {told}, {start} to {end} UTC, area {facts['area']}, run {facts['run']}:"
    if "lines" not in facts:
        return
    currency, lines = facts["currency"], facts["lines"]
    prices = _decimals([line["price_micro_per_kwh"] for line in lines], MICRO_DIGITS)
    amounts = _decimals([line["amount_nano"] for line in lines], NANO_DIGITS)
    rows = [("line", "energy", f"{currency}/kWh", currency, "account")]
    for line, price, amount in zip(lines, prices, amounts, strict=True):
        rows.append((line["line_kind"], f"{line['energy_wh']} Wh", price, amount, line["account"]))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for kind, energy, price, amount, account in rows:
        right = f"{energy:>{widths[1]}}  {price:>{widths[2]}}  {amount:>{widths[3]}}"
        yield f"  {kind:<{widths[0]}}  {right}  {account}"
    pays = _owes(facts["pays_nano"], currency, ("owes", "is paid"))
    alone = _owes(facts["supplier_only_nano"], currency, ("would owe", "would be paid"))
    yield f"{facts['party']} {pays} for this slot; with the supplier alone it {alone}."


def _decimals(numbers: Sequence[int | None], digits: int) -> list[str]:
    """Numbers of 10^-digits, exactly, all with as many places as the longest needs, at least two; "" for None."""
    shown = ["" if number is None else f"{Decimal(number).scaleb(-digits):.{digits}f}" for number in numbers]
    spare = min((len(text) - len(text.rstrip("0")) for text in shown if text), default=0)
    return [text[: len(text) - min(spare, digits - 2)] for text in shown]


def _owes(amount_nano: int, currency: str, words: tuple[str, str]) -> str:
    """An amount with the word for one that is owed, or for one that is received."""
    return f"{words[amount_nano < 0]} {_decimals([abs(amount_nano)], NANO_DIGITS)[0]} {currency}"


def _tie(tie: str) -> str:
    return TIE_WORDS.get(tie, tie)


def _origin_lines(facts: dict[str, Any]) -> Iterator[str]:
    """Where it stands, who certified it, whose keys signed, and which clocks the gateways stated."""
    later = ", ".join(facts["later_runs"])
    yield ""
    yield f"Ledger {facts['chain']}, block {facts['height']} of {_time(facts['header_time_s'])} UTC."
    yield f"A later run of this slot was known then: {later}." if later else "No later run of this slot was known then."
    if "signers" in facts:
        count = (
            f"{facts['signers']} of {facts['signers_total']} signers, {facts['power']} of {facts['power_total']} power"
        )
        names = ", ".join(facts["certified_by"])
        yield f"Certified by {names} ({OWN_WORD if facts['signers_total'] == 1 else count})."
    for key in facts.get("keys", ()):
        origin = "" if key["tie"] == key["origin"] else f"; {_tie(key['origin'])}"
        yield f"Key of {ROLE_WORDS[key['role']]} {key['signer']}, {_tie(key['tie'])}{origin}; fingerprint (SM3):"
        yield f"  {key['fingerprint']}"
    for placed in facts.get("aggregators", ()):
        yield f"Order {placed['counter']} was placed by aggregator {placed['aggregator']} under a mandate of the party's registry row."
    for file in facts.get("files", ()):
        yield f"Imported from {plain(file['name'])}, SM3:"
        yield f"  {file['sm3']}"
    if facts.get("estimates"):
        yield f"The importer estimated the energy by {plain(facts['estimates'])}."
    for one in facts.get("approved", ()):
        answers = f"{one['signer']} answers for it: {plain(one['reason'])}"
        yield f"Register of {_time(one['boundary_s'])} UTC: {_register_word(one)}, {answers}"
    for clock in facts.get("clocks", ()):
        stated = f"{clock['state']}, {clock['offset_ms']} ms off"
        yield f"Reading of {_time(clock['boundary_s'])} UTC: gateway {clock['gateway']} stated its clock as {stated}."


# ======================================================================================== gridevidence/verifier/command
# The stand-alone command: reads the files, and shows the verdict to a person or a program.


def verify_files(bundle: Path, trust: Path | None, book: Path | None) -> Verdict:
    """Read the files and answer; "bad usage" when one cannot be read or the trust file is malformed."""
    contents: dict[Path, bytes] = {}
    try:
        for path in filter(None, (bundle, trust, book)):
            with path.open("rb") as file:
                contents[path] = file.read(BOOK_BYTES_MAX + 1)
        root = None if trust is None else decode_trust(contents[trust])
    except OSError as why:
        return Verdict(BAD_USAGE, f"cannot read {plain(path)}: {plain(why.strerror)}", None, {}, (), {})
    except Halt as why:
        answer, reason = why.args
        return Verdict(answer, f"{plain(trust)}: {reason}", None, {}, (*CLAIMS.values(), *NEVER_CHECKED), {})
    return verify_bundle(contents[bundle], root, None if book is None else contents[book])


def render(verdict: Verdict, *, as_json: bool) -> str:
    """The verdict as one JSON object, or as text for a person."""
    if not as_json:
        return "\n".join(verdict_lines(verdict))
    claim = verdict.claim._asdict() if verdict.claim is not None else None
    answer = {**verdict._asdict(), "claim": claim, "exit": EXIT_STATUS[verdict.answer], "mark": mark_of(verdict.facts)}
    return json.dumps(answer)


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
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description="Check the evidence of a bill, offline.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the evidence bundle (.evd)")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="trust root (JSON), from a source you trust")
    parser.add_argument("--with-book", type=Path, metavar="FILE", help="the slot's anonymous book: recompute the price")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    verdict = verify_files(options.bundle, options.trust, options.with_book)
    is_bad = verdict.answer == BAD_USAGE
    if not is_bad and is_written(render(verdict, as_json=options.json), sys.stdout):
        return EXIT_STATUS[verdict.answer]
    is_written(f"verify: {verdict.reason if is_bad else UNWRITABLE}", sys.stderr)
    return EXIT_STATUS[BAD_USAGE]


if __name__ == "__main__":
    sys.exit(main())
