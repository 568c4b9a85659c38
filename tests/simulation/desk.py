"""A world of two meters, and short ways to write transactions to it: for cases worked out by hand."""

from __future__ import annotations

import struct
from typing import Any

from gridcore import cbor, merkle
from gridcore.genesis import complete_genesis
from gridcore.sm3 import sm3
from ledger.state.block import Block
from ledger.state.state import State
from ledger.state.transition import apply_block
from ledger.state.verdicts import checks_of
from settlement.contracts.p2p_call_auction_1 import CONTRACT
from tests.simulation.generated_world import encode_column
from tests.twin import Twin

START = 1_700_000_100
SLOT = 900
ANNA, BERT = 7, 9  # meters: Anna buys, Bert sells


def is_signed(public_key: bytes, signed: bytes, signature: bytes) -> bool:
    """A signature is the public key's first byte, 64 times."""
    return signature == public_key[:1] * 64


def genesis(modulus_wh: int) -> dict[str, Any]:
    prices = {
        "feed_in_price": 350_000,
        "levy": 20_000,
        "network_residual": 100_000,
        "network_traded": 60_000,
        "residual_price": 650_000,
        "shortfall_price": 800_000,
        "surplus_price": 300_000,
    }
    rules = {
        "gate_before_start_s": 300,
        "metering_deadline_s": 900,
        "open_before_start_s": 86_400,
        "prices": {f"{name}_micro_per_kwh": price for name, price in prices.items()},
        "rationing": "pro_rata",
        "reference_price_micro_per_kwh": 500_000,
    }
    area = {"calendar": "c", "contract": "p2p_call_auction/1", "contract_pin": bytes(32), "first_slot_start_s": START}
    meter = {"area": "A", "from_s": START, "gateway": "gw", "limit_wh": 5_000, "meter": "M", "modulus_wh": modulus_wh}
    meter |= {"point": "P", "profile": "any", "ratio": 1, "role": "household"}
    gateway = {"counter": 0, "epoch": 1, "last": bytes(32), "last_boundary_s": -1, "organisation": "utility"}
    roles = {"clock": "clock", "utility": "utility", "gw": "gateway", "anna": "prosumer", "bert": "prosumer"}
    leaves: list[list[Any]] = [
        ["chain", {"clock": "simulated", "currency": "CNY", "name": "hand", "slot_s": SLOT}],
        ["time", {"ledger_time_s": START - 3_600}],
        *[[f"signer/{name}", {"public_key": name.encode(), "roles": [role]}] for name, role in roles.items()],
        ["gateway/gw", gateway | {"protection": "software"}],
        ["party/anna", {"area": "A", "meter": ANNA, "trades": True}],
        ["party/bert", {"area": "A", "meter": BERT, "trades": True}],
        ["area/A", area | {"rules": "r"}],
        ["rules/r", rules],
        ["installation/7", meter | {"number": ANNA, "party": "anna"}],
        ["installation/9", meter | {"number": BERT, "party": "bert"}],
        ["progress/A", {"gate_slot_start_s": START, "run_slot_start_s": START, "untried": [], "waiting": []}],
    ]
    return complete_genesis({"leaves": leaves, "name": "hand"})


class Desk:
    """The twin and the ledger side by side; whatever is applied is applied to both and must agree."""

    def __init__(self, modulus_wh: int = 10_000) -> None:
        self.genesis = genesis(modulus_wh)
        self.twin = Twin(self.genesis)
        self.state = State.from_genesis(self.genesis)
        self.height = 0
        self.ids = 0

    def apply(self, *wires: bytes) -> list[int]:
        """The codes of a block, after both have applied it and come to the same root."""
        self.height += 1
        codes = self.twin.apply_block(self.height, 0, list(wires), is_signed)
        block = Block(self.height, 0, wires)
        checks = checks_of(self.state, block.decoded)
        verdicts = {(c.digest, c.public_key): is_signed(c.public_key, c.signed, c.signature) for c in checks}
        applied = apply_block(self.state, block, {"p2p_call_auction/1": CONTRACT}, verdicts)
        assert [result.code for result in applied.results] == codes
        self.state.commit(applied)
        assert self.state.root() == self.twin.state_root()
        return codes

    def wire(self, kind: str, signer: str, identity: Any, body: Any, attachment: bytes = b"") -> bytes:
        content = {"body": body, "chain": self.genesis["chain"], "identity": identity, "kind": kind}
        signed = cbor.encode(content | {"signer": signer, "type": "transaction", "version": 1})
        return cbor.encode([signed, signer.encode()[:1] * 64, attachment])

    def clock(self, to_s: int, client_id: int | None = None, valid_until_s: int | None = None) -> bytes:
        self.ids += 1
        number = self.ids if client_id is None else client_id
        until = self.twin.leaves["time"]["ledger_time_s"] + 3_600 if valid_until_s is None else valid_until_s
        identity = {"client_id": number.to_bytes(16, "big"), "valid_until_s": until}
        return self.wire("clock/advance", "clock", identity, {"to_s": to_s})

    def order(self, party: str, side: str, quantity: int, price: int, counter: int = 1, slot: int = START) -> bytes:
        body = {"area": "A", "price_micro_per_kwh": price, "quantity_wh": quantity, "side": side}
        return self.wire("market/order", party, {"counter": counter, "slot_start_s": slot}, body)

    def batch(self, boundary_s: int, rows: list[tuple[int, int, int]], counter: int, previous: bytes) -> bytes:
        """Rows are (meter, import, export)."""
        seed = bytes([counter]) * 32
        packed = [struct.pack("<IiBQQ", meter, 0, 0, a, b) for meter, a, b in rows]
        flat = list(zip(*[(meter, 0, 0, a, b) for meter, a, b in rows], strict=True))
        columns = [encode_column(list(column)) for column in flat]
        body = {
            "agent": "hand",
            "boundary_s": boundary_s,
            "clock": {"offset_ms": 0, "state": "simulated"},
            "configuration": bytes(32),
            "previous": previous,
            "profiles": bytes(32),
            "registers": ["1-0:1.8.0", "1-0:2.8.0"],
            "rows": len(rows),
            "rows_root": merkle.root_of_hashes(merkle.salted_leaf_hashes(seed, packed)),
        }
        identity = {"counter": counter, "epoch": 1}
        attachment = cbor.encode({"columns": columns, "seed": seed})
        return self.wire("metering/reading_batch", "gw", identity, body, attachment)


def transaction_id(wire: bytes) -> bytes:
    return sm3(cbor.decode(wire)[0])
