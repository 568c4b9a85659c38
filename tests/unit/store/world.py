"""A chain small enough for tests of stores and engines: real keys, one area, two gateways, a clock that is moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gridcore import cbor
from gridcore.batch import Reading, encode_attachment, encode_body, rows_root
from gridcore.clock import ManualClock
from gridcore.envelope import encode_signed, encode_transaction
from gridcore.genesis import complete_genesis
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3
from ledger.contract import Contract
from ledger.store.directory import init_ledger
from ledger.store.files import Files
from ledger.store.ledger import Ledger
from settlement.contracts.p2p_call_auction_1 import CONTRACT
from tests.unit.store.faults import UnsyncedFiles

SLOT_S = 900
START_S = 1_700_000_100
NODE_KEY = SigningKey.from_scalar(bytes(31) + b"\x07")
CLOCK_KEY = SigningKey.from_scalar(bytes(31) + b"\x08")
GATEWAY_KEYS = {
    "gw-1": SigningKey.from_scalar(bytes(31) + b"\x09"),
    "gw-2": SigningKey.from_scalar(bytes(31) + b"\x0a"),
}
CONTRACTS: dict[str, Contract] = {CONTRACT.contract_id: CONTRACT}


FIRST_SLOT_S = START_S // SLOT_S * SLOT_S
_PRICES = "feed_in_price levy network_residual network_traded residual_price shortfall_price surplus_price".split()


def make_genesis(name: str = "test", clock: str = "simulated") -> bytes:
    """Canonical genesis at START_S, inside the first slot; only feeder meters 1 (gw-1) and 2 (gw-2), so nothing settles."""
    leaves: list[tuple[str, Any]] = [("chain", {"clock": clock, "currency": "CNY", "name": name, "slot_s": SLOT_S})]
    if clock == "simulated":
        leaves.append(("time", {"ledger_time_s": START_S}))
    leaves += [*_signer_leaves(), *_area_leaves(), *_installation_leaves()]
    leaves.append(
        (
            "progress/A",
            {"gate_slot_start_s": FIRST_SLOT_S, "run_slot_start_s": FIRST_SLOT_S, "untried": [], "waiting": []},
        )
    )
    return cbor.encode(
        complete_genesis(
            {
                "clock": clock,
                "currency": "CNY",
                "leaves": [list(leaf) for leaf in leaves],
                "ledger_time_s": START_S,
                "name": name,
                "signers": [[NODE_KEY.public_key, 1]],
                "slot_s": SLOT_S,
                "type": "genesis",
                "version": 1,
            }
        )
    )


def _signer_leaves() -> list[tuple[str, Any]]:
    signers = {
        "clock": (CLOCK_KEY, "clock"),
        "dso": (NODE_KEY, "utility"),
        **{gateway: (key, "gateway") for gateway, key in GATEWAY_KEYS.items()},
    }
    gateway = {"counter": 0, "epoch": 1, "last": bytes(32), "last_boundary_s": -1}
    gateway |= {"organisation": "dso", "protection": "software"}
    return [
        *(
            (f"signer/{signer}", {"public_key": key.public_key, "roles": [role]})
            for signer, (key, role) in signers.items()
        ),
        *((f"gateway/{signer}", gateway) for signer in GATEWAY_KEYS),
    ]


def _area_leaves() -> list[tuple[str, Any]]:
    rules = {
        "gate_before_start_s": 300,
        "metering_deadline_s": 900,
        "open_before_start_s": 7200,
        "prices": {f"{price}_micro_per_kwh": 1000 for price in _PRICES},
        "rationing": "pro_rata",
        "reference_price_micro_per_kwh": 1000,
    }
    area = {"calendar": "c", "contract": CONTRACT.contract_id, "contract_pin": bytes(32), "rules": "r"}
    return [
        ("area/A", {**area, "first_slot_start_s": FIRST_SLOT_S}),
        ("calendar/c", {"days": [FIRST_SLOT_S], "months": [FIRST_SLOT_S], "tz": "UTC", "tz_version": "2025b"}),
        ("rules/r", rules),
    ]


def _installation_leaves() -> list[tuple[str, Any]]:
    common = {"area": "A", "from_s": FIRST_SLOT_S, "limit_wh": 1000, "modulus_wh": 0, "profile": "any", "ratio": 1}
    return [
        (
            f"installation/{number}",
            {
                **common,
                "gateway": signer,
                "meter": f"F{number}",
                "number": number,
                "point": f"P{number}",
                "role": "feeder",
            },
        )
        for number, signer in enumerate(GATEWAY_KEYS, 1)
    ]


GENESIS = make_genesis()
CHAIN: str = cbor.decode(GENESIS)["chain"]


def sign(key: SigningKey, *, kind: str, signer: str, identity: Any, body: Any, attachment: bytes = b"") -> bytes:
    """A signed transaction in wire form."""
    signed = encode_signed(chain=CHAIN, kind=kind, signer=signer, identity=identity, body=body)
    return encode_transaction(signed, key.sign(signed), attachment)


def clock_advance(to_s: int, number: int = 0) -> bytes:
    """Move ledger time to ``to_s``; ``number`` makes the client id."""
    identity = {"client_id": number.to_bytes(16, "big"), "valid_until_s": to_s}
    return sign(CLOCK_KEY, kind="clock/advance", signer="clock", identity=identity, body={"to_s": to_s})


def transaction_id(wire: bytes) -> bytes:
    """SM3 of the signed bytes."""
    return sm3(cbor.decode(wire)[0])


def batches(gateway: str, count: int, *, first_register_wh: int = 0) -> list[bytes]:
    """Batches 1 ... ``count`` of a gateway, chained, one row each, all for the slot boundary before START_S."""
    wires: list[bytes] = []
    previous = bytes(32)
    boundary_s = FIRST_SLOT_S
    meter = int(gateway[-1])
    for counter in range(1, count + 1):
        seed = sm3(f"{gateway}/{counter}".encode())
        readings = [Reading(meter, 0, 0, first_register_wh, 0)]
        body = encode_body(
            agent="test",
            boundary_s=boundary_s,
            clock={"offset_ms": 0, "state": "simulated"},
            configuration=bytes(32),
            previous=previous,
            profiles=bytes(32),
            rows=1,
            root=rows_root(seed, readings),
            receipt=None,
        )
        wires.append(
            sign(
                GATEWAY_KEYS[gateway],
                kind="metering/reading_batch",
                signer=gateway,
                identity={"counter": counter, "epoch": 1},
                body=body,
                attachment=encode_attachment(seed, readings),
            )
        )
        previous = transaction_id(wires[-1])
    return wires


def open_ledger(data_dir: Path, *, files: Files | None = None, now_s: int = START_S) -> Ledger:
    """Make (if new) and open the test chain's ledger."""
    files = files or UnsyncedFiles()
    init_ledger(data_dir, GENESIS, UnsyncedFiles())
    return Ledger.open(data_dir, CONTRACTS, NODE_KEY, ManualClock(now_s), genesis=GENESIS, files=files)


def decide(ledger: Ledger, wires: Sequence[bytes]) -> list[int]:
    """One block of these transactions; returns their codes."""
    return [result.code for result in ledger.make_block(ledger.examine(wires)).results]
