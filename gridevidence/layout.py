"""The layout of a bundle: limits, shapes, rows and claims (docs/spec/bundle.md). What reads or writes bundles takes it from here.

A shape says what a decoded value must look like: an integer n = n bytes, a range = an integer in it, a type = that type, a
pattern = a text, [shape] = any number of it, (shapes) = exactly these, a map = exactly these keys. In a map, "key?" may be absent
and "*" lets others stand beside those named, in leaves and signed bodies: the state root or the signature covers them.
"""

from __future__ import annotations

import re
import struct
from typing import Any, Final

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
