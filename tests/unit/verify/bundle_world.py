"""A small world made straight from docs/spec, with no code of the ledger: three homes, one slot, one bundle.

``World.bundle`` builds every tree, header and path from the values below, each time anew, with the signatures made once by
``World.sign``. So a test can change any value afterwards and gets the bundle of a forger who recomputes all that needs no key.
"""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gridcore import cbor, merkle, verify
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3

SLOT_S = 900
START_S = 1_718_902_800
AREA, SLOT = "A1", f"A1/{START_S}"
GATEWAY, PARTY, NEIGHBOUR = "GW-1", "H001", "H002"
METER, RATIO, MODULUS_WH = 17, 2, 1_000_000
PRICE = 380_000
HEAD, RUN_HEIGHT = 4, 3
GATEWAY_SIGNER, PARTY_SIGNER, GATEWAY_LEAF = f"signer/{GATEWAY}", f"signer/{PARTY}", f"gateway/{GATEWAY}"
INSTALLATION, RULES, RUN, CLEARING = (
    f"installation/{METER}",
    "rules/standard",
    f"run/{SLOT}/initial",
    f"clearing/{SLOT}",
)

KEYS = {
    name: SigningKey.from_scalar(number.to_bytes(32, "big"))
    for number, name in enumerate((GATEWAY, PARTY, NEIGHBOUR, "operator", "second", "third", "stranger"), 1001)
}
PRICES = {
    "feed_in_price_micro_per_kwh": 280_000,
    "levy_micro_per_kwh": 40_000,
    "network_residual_micro_per_kwh": 180_000,
    "network_traded_micro_per_kwh": 150_000,
    "residual_price_micro_per_kwh": 460_000,
    "shortfall_price_micro_per_kwh": 450_000,
    "surplus_price_micro_per_kwh": 270_000,
}
LAYOUT = {"input": "<IqqqqB", "position": "<Iqqqq", "line": "<IBqqq", "fills": "<IIBqqq", "book": "<IBqqq"}

# import 2 x 600 Wh (its register rolls over), export 2 x 5 Wh; two orders buy 300 and 200 Wh of the 600 Wh asked for.
IMPORT_WH, EXPORT_WH, BOUGHT_WH = 1_200, 10, 500
PAYS_NANO = BOUGHT_WH * PRICE + 700 * 460_000 - 10 * 280_000 + 500 * 150_000 + 700 * 180_000 + 1_200 * 40_000
ALONE_NANO = IMPORT_WH * (460_000 + 180_000 + 40_000) - EXPORT_WH * 280_000


def _rows() -> dict[str, list[list[int]]]:
    return {
        "input": [
            [METER, 999_700, 300, 40, 45, 1 << 4],
            [18, 100, 100, 500, 1_000, 0],
            [19, 0, 7, 0, 0, 0],
        ],
        "position": [
            [METER, BOUGHT_WH, 0, PAYS_NANO, ALONE_NANO],
            [18, 0, 500, -500 * PRICE, 0],
            [19, 0, 0, 1, 1],
        ],
        "line": [
            [METER, 0, BOUGHT_WH, PRICE, BOUGHT_WH * PRICE],
            [METER, 2, 700, 460_000, 700 * 460_000],
            [METER, 4, 10, 280_000, -10 * 280_000],
            [18, 1, 500, PRICE, -500 * PRICE],
        ],
        "fills": [[METER, 1, 0, 300, 400_000, 300], [METER, 3, 0, 300, PRICE, 200], [18, 1, 1, 500, 370_000, 500]],
        "book": [[0, 0, 300, 400_000, 300], [1, 0, 300, PRICE, 200], [2, 1, 500, 370_000, 500]],
    }


def _leaves() -> dict[str, dict[str, Any]]:
    slot = {"area": AREA, "contract": "p2p_call_auction/1", "slot_start_s": START_S, "volume_wh": 500}
    slot |= {"price_micro_per_kwh": PRICE}
    return {
        "chain": {"clock": "simulated", "currency": "CNY", "name": "toy", "slot_s": SLOT_S},
        GATEWAY_SIGNER: {"public_key": KEYS[GATEWAY].public_key, "roles": ["gateway"]},
        PARTY_SIGNER: {"public_key": KEYS[PARTY].public_key, "roles": ["prosumer"]},
        GATEWAY_LEAF: {
            "counter": 2,
            "epoch": 1,
            "last": bytes(32),
            "last_boundary_s": START_S + SLOT_S,
            "organisation": "utility",
            "protection": "software",
        },
        RULES: {
            "gate_before_start_s": 300,
            "metering_deadline_s": 900,
            "open_before_start_s": 86_400,
            "prices": dict(PRICES),
            "rationing": "pro_rata",
            "reference_price_micro_per_kwh": 370_000,
        },
        INSTALLATION: {
            "area": AREA,
            "from_s": START_S - 86_400,
            "gateway": GATEWAY,
            "limit_wh": 10_000,
            "meter": "M-H001",
            "modulus_wh": MODULUS_WH,
            "number": METER,
            "party": PARTY,
            "point": "P-1",
            "profile": "eastron/sdm630",
            "ratio": RATIO,
            "role": "household",
        },
        CLEARING: {**slot, "orders": 3},
        RUN: {
            **slot,
            "accounts": {"clearing": [0, 0]},
            "as_of_height": RUN_HEIGHT - 1,
            "lines": 4,
            "points": 3,
            "run": "initial",
        },
    }


def _signed(kind: str, signer: str, identity: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    frame = {"chain": "toy" + "0123456789abcdef", "kind": kind, "signer": signer, "type": "transaction", "version": 1}
    return {**frame, "identity": identity, "body": body}


def _batch(counter: int, boundary_s: int, rows: list[list[int]]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "agent": "gridledger-edge/0.1",
        "boundary_s": boundary_s,
        "clock": {"offset_ms": 0, "state": "simulated"},
        "configuration": sm3(b"configuration"),
        "previous": bytes(32),
        "profiles": sm3(b"profiles"),
        "registers": ["1-0:1.8.0", "1-0:2.8.0"],
        "rows": len(rows),
    }
    signed = _signed("metering/reading_batch", GATEWAY, {"counter": counter, "epoch": 1}, body)
    return {
        "signed": signed,
        "rows": rows,
        "seed": sm3(b"batch%d" % counter),
        "attachment_digest": sm3(b"%d" % counter),
    }


def _order(counter: int, quantity_wh: int, price: int) -> dict[str, Any]:
    body = {"area": AREA, "price_micro_per_kwh": price, "quantity_wh": quantity_wh, "side": "buy"}
    signed = _signed("market/order", PARTY, {"counter": counter, "slot_start_s": START_S}, body)
    return {"signed": signed, "attachment_digest": sm3(b"order%d" % counter)}


class World:
    """The values, ready to be changed. ``rows[..][0]``, ``line_index`` and ``fill_rows`` say which rows the bundle shows."""

    def __init__(self) -> None:
        self.chain = "toy" + "0123456789abcdef"
        self.genesis = sm3(b"genesis")
        self.rows = _rows()
        self.leaves = _leaves()
        self.line_index = 0
        self.fill_rows = [0, 1]
        self.batches = {
            "start": _batch(1, START_S, [[METER, 120, 0, 999_700, 40], [18, 90, 0, 100, 500]]),
            "end": _batch(2, START_S + SLOT_S, [[METER, 80, 16, 300, 45], [18, 90, 0, 100, 1_000]]),
        }
        self.orders = [_order(1, 300, 400_000), _order(3, 300, PRICE)]
        self.block_of = {"order0": 1, "order1": 1, "start": 2, "end": 3}
        self.times = [START_S + 60 * height for height in range(HEAD + 1)]
        self.codes = dict.fromkeys(self.block_of, 0)
        self.linked = True
        self.signatures: dict[str, bytes] = {}
        self.certifiers = ["operator"]
        self.signers = ["operator"]  # the set that the headers name, each with power 1
        self.certificate: list[list[bytes]] = []
        self.sign()

    def copy(self) -> World:
        """An independent world with the same signatures."""
        return copy.deepcopy(self)

    # ------------------------------------------------------------------------------------------------ what is derived

    def link(self) -> None:
        """Recompute the roots and digests that stand inside leaves and signed maps."""
        for batch in self.batches.values():
            rows = [struct.pack("<IiBQQ", *row) for row in batch["rows"]]
            batch["signed"]["body"]["rows_root"] = merkle.root_of_hashes(merkle.salted_leaf_hashes(batch["seed"], rows))
        rules = sm3(cbor.encode([RULES, self.leaves[RULES]]))
        for key, names in (
            (RUN, ("input", "position", "line")),
            (CLEARING, ("fills", "book")),
        ):
            if key in self.leaves:
                self.leaves[key]["rules"] = rules
                for name in names:
                    self.leaves[key][f"{name}_root"] = merkle.root_of_hashes(self._hashes(name))

    def _packed(self, name: str) -> list[bytes]:
        return [struct.pack(LAYOUT[name], *row) for row in self.rows[name]]

    def _hashes(self, name: str) -> Sequence[bytes]:
        return merkle.salted_leaf_hashes(sm3(b"seed" + name.encode()), self._packed(name))

    def row_proof(self, name: str, index: int) -> dict[str, Any]:
        """The row proof of a result row."""
        rows = self._packed(name)
        salts = merkle.salts(sm3(b"seed" + name.encode()), len(rows))
        return {"path": merkle.sided_path(self._hashes(name), index), "row": rows[index], "salt": salts[index]}

    def transactions(self) -> dict[str, dict[str, Any]]:
        """Every transaction by the name that ``block_of`` and ``signatures`` use."""
        return {**self.batches, **{f"order{index}": order for index, order in enumerate(self.orders)}}

    def sign(self) -> None:
        """Link, sign every transaction and certify the header: what a world without forgery does."""
        self.link()
        for name, transaction in self.transactions().items():
            key = KEYS[transaction["signed"]["signer"]]
            self.signatures[name] = key.sign(cbor.encode(transaction["signed"]))
        self.certify()

    def certify(self) -> None:
        """Sign the header again: only who has the signers' keys can do that."""
        if self.linked:
            self.link()
        header = self.headers()[HEAD]
        message = cbor.encode(["certificate/1", self.chain, HEAD, sm3(header)])
        self.certificate = sorted([KEYS[name].public_key, KEYS[name].sign(message)] for name in self.certifiers)

    def _digest(self, name: str) -> bytes:
        transaction = self.transactions()[name]
        signed = cbor.encode(transaction["signed"])
        return sm3(cbor.encode([signed, self.signatures[name], transaction["attachment_digest"]]))

    def _data_leaves(self, height: int) -> list[bytes]:
        own = [[self._digest(name), self.codes[name]] for name, block in self.block_of.items() if block == height]
        leaves: list[Any] = [[sm3(b"%d" % height), 0], *own, [sm3(b"other"), 43]]
        return [merkle.leaf_hash(cbor.encode(leaf)) for leaf in leaves]

    def state_hashes(self) -> list[bytes]:
        """Leaf hashes of the state, in number order."""
        return [merkle.leaf_hash(cbor.encode([key, value])) for key, value in self.leaves.items()]

    def headers(self) -> list[bytes]:
        """Canonical headers 1 ... HEAD at their heights; at 0 the genesis digest's place (empty)."""
        headers, history, previous = [b""], [merkle.leaf_hash(self.genesis)], self.genesis
        signers = sm3(cbor.encode(["signers/1", sorted([KEYS[name].public_key, 1] for name in self.signers)]))
        for height in range(1, HEAD + 1):
            state_root = merkle.root_of_hashes(self.state_hashes()) if height == HEAD else sm3(b"state%d" % height)
            data_root = merkle.root_of_hashes(self._data_leaves(height))
            header: list[Any] = ["header/1", self.chain, height, self.times[height], previous]
            header += [merkle.root_of_hashes(history), data_root, state_root, signers, b""]
            headers.append(cbor.encode(header))
            previous = sm3(headers[-1])
            history.append(merkle.leaf_hash(previous))
        return headers

    # ------------------------------------------------------------------------------------------------------ the bundle

    def state_proof(self, key: str) -> dict[str, Any]:
        """The state proof of one leaf."""
        index = list(self.leaves).index(key)
        return {"leaf": cbor.encode([key, self.leaves[key]]), "path": merkle.sided_path(self.state_hashes(), index)}

    def transaction_proof(self, name: str, headers: list[bytes]) -> dict[str, Any]:
        """The transaction proof of one transaction."""
        height, transaction = self.block_of[name], self.transactions()[name]
        position = 1 + [other for other, block in self.block_of.items() if block == height].index(name)
        history = [merkle.leaf_hash(self.genesis), *(merkle.leaf_hash(sm3(header)) for header in headers[1:HEAD])]
        return {
            "attachment_digest": transaction["attachment_digest"],
            "data_path": merkle.sided_path(self._data_leaves(height), position),
            "header": headers[height],
            "history_path": merkle.sided_path(history, height),
            "signature": self.signatures[name],
            "signed": cbor.encode(transaction["signed"]),
        }

    def parts(self) -> dict[str, Any]:
        """The bundle as a value."""
        if self.linked:
            self.link()
        headers = self.headers()
        history = [merkle.leaf_hash(self.genesis), *(merkle.leaf_hash(sm3(header)) for header in headers[1:HEAD])]
        gateway = {"gateway": self.state_proof(GATEWAY_LEAF), "signer": self.state_proof(GATEWAY_SIGNER)}
        parts: dict[str, Any] = {
            "batches": {},
            "certificate": self.certificate,
            "chain": self.state_proof("chain"),
            "gateways": {"end": gateway, "start": gateway},
            "genesis": {"digest": self.genesis, "path": merkle.sided_path(history, 0)},
            "header": headers[HEAD],
            "input": self.row_proof("input", 0),
            "installation": self.state_proof(INSTALLATION),
            "line": self.row_proof("line", self.line_index),
            "orders": [],
            "position": self.row_proof("position", 0),
            "rules": self.state_proof(RULES),
            "run": self.state_proof(RUN),
            "type": "gridledger-evidence",
            "version": 1,
        }
        for when, batch in self.batches.items():
            rows = [struct.pack("<IiBQQ", *row) for row in batch["rows"]]
            hashes = merkle.salted_leaf_hashes(batch["seed"], rows)
            reading = {"path": merkle.sided_path(hashes, 0), "row": rows[0], "salt": merkle.salts(batch["seed"], 1)[0]}
            parts["batches"][when] = {**self.transaction_proof(when, headers), "reading": reading}
        for index in range(len(self.orders)):
            fill = self.row_proof("fills", self.fill_rows[index])
            parts["orders"].append({**self.transaction_proof(f"order{index}", headers), "fill": fill})
        if CLEARING in self.leaves:
            parts["clearing"] = self.state_proof(CLEARING)
        if self.orders:
            parts["party"] = self.state_proof(PARTY_SIGNER)
        return parts

    def bundle(self) -> bytes:
        """The bundle's bytes."""
        return cbor.encode(self.parts())

    def book(self) -> bytes:
        """The slot's anonymous order book."""
        rows = self._packed("book")
        salts = list(merkle.salts(sm3(b"seedbook"), len(rows)))
        return cbor.encode({"book": rows, "salts": salts, "type": "gridledger-book", "version": 1})

    def trust(self, *names: str) -> dict[str, Any]:
        """A trust root of these signers, each with power 1."""
        signers = [
            {"name": name, "power": 1, "public_key": KEYS[name].public_key.hex()} for name in names or ("operator",)
        ]
        root = {"chain": self.chain, "genesis": self.genesis.hex(), "signers": signers}
        return {**root, "type": "gridledger-trust", "version": 1}


# ------------------------------------------------------------------------------------------------ what the tests share


def trust_of(world: World, *names: str) -> verify.Trust:
    """The trust root of these signers, as the verifier reads it."""
    return verify.decode_trust(json.dumps(world.trust(*names)).encode())


def claim_refuted(world: World, trust: verify.Trust) -> str:
    """The name of the claim that a world's bundle fails, or its answer if it fails none."""
    verdict = verify.verify_bundle(world.bundle(), trust)
    return verdict.reason.split(":")[0] if verdict.answer == verify.NOT_VERIFIED else verdict.answer


def without_orders(world: World) -> World:
    """The party traded nothing and shows the line of its residual import."""
    world.orders, world.line_index = [], 1
    world.block_of = {when: world.block_of[when] for when in ("start", "end")}
    world.rows["line"][1] = [METER, 2, 1_200, 460_000, 1_200 * 460_000]
    alone_nano = 1_200 * 680_000 - 10 * 280_000
    world.rows["position"][0] = [METER, 0, 0, alone_nano, alone_nano]
    return world


def with_one_order(world: World) -> World:
    """The party bought the same energy with one order: the smallest bundle that has all parts."""
    world.orders, world.fill_rows = world.orders[:1], [0]
    world.orders[0]["signed"]["body"] |= {"price_micro_per_kwh": PRICE, "quantity_wh": 600}
    world.rows["fills"][:2] = [[METER, 1, 0, 600, PRICE, 500]]
    world.rows["book"] = [[0, 0, 600, PRICE, 500], [1, 1, 500, 370_000, 500]]
    world.leaves[CLEARING]["orders"] = 2
    world.block_of.pop("order1")
    world.codes.pop("order1")
    world.sign()
    return world


def every_place(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every map, list and value inside a bundle."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from every_place(item, (*place, key))


def replaced(value: Any, place: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """A copy of ``value`` in which what stands at ``place`` went through ``change``."""
    if not place:
        return change(value)
    key, *rest = place
    if isinstance(value, dict):
        return {name: replaced(item, tuple(rest), change) if name == key else item for name, item in value.items()}
    return [replaced(item, tuple(rest), change) if index == key else item for index, item in enumerate(value)]


def dearer(world: World) -> None:
    """The clearing price is beyond the limit of the second order, and every amount follows it."""
    price = 390_000
    for leaf in (RUN, CLEARING):
        world.leaves[leaf]["price_micro_per_kwh"] = price
    world.rows["line"][0] = [METER, 0, 500, price, 500 * price]
    world.rows["position"][0][3] += 500 * (price - 380_000)


Lie = Callable[[World], object]


def put(*path: Any) -> Lie:
    """Put the last of ``path`` at the place that the others lead to."""
    *place, key, value = path

    def lie(world: World) -> None:
        target: Any = world
        for step in place:
            target = getattr(target, step) if isinstance(step, str) and hasattr(target, step) else target[step]
        target[key] = value

    return lie
