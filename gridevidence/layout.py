"""The layout of a bundle: limits, shapes, rows and claims (docs/spec/bundle.md). What reads or writes bundles takes it from here.

A shape says what a decoded value must look like: an integer n = n bytes, a range = an integer in it, a type = that type, a
pattern = such a text or bytes, a function = what it holds for, [shape, least, most] = so many of it, (shapes) = exactly these,
a map = exactly these keys; "key?" may be absent.
"""

from __future__ import annotations

import re
import struct
from typing import Any, Final

from gridevidence.verifier.sm2 import is_public_key

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
