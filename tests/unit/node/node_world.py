"""A small chain for tests of the node: two areas, one gateway each, keys of everybody, and transactions in their names."""

from __future__ import annotations

import asyncio
import copy
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from gridcore import batch, cbor
from gridcore.clock import WallClock
from gridcore.envelope import decode_transaction, encode_signed, encode_transaction
from gridcore.genesis import complete_genesis
from gridcore.serving.asgi import open_socket, url_of
from gridcore.sm import SigningKey
from ledger.client import Client
from ledger.engines.embedded import EmbeddedEngine
from ledger.http.door import Node
from ledger.http.server import serve_node
from ledger.store.directory import init_ledger
from ledger.store.ledger import Ledger
from settlement import statements
from settlement.catalogue import contract_pin
from settlement.contracts.p2p_call_auction_1 import CONTRACT

SLOT_S = 900
FIRST_S = 1_800_000_000
START_S = FIRST_S - 86_400
DAYS = [FIRST_S - FIRST_S % 86_400 + day * 86_400 for day in (-1, 0, 1)]
"""Two local days; the first slot is the 33rd of the second."""
CONTRACTS = {CONTRACT.contract_id: CONTRACT}
ROLES = {
    "clock": ["clock"],
    "util": ["utility"],
    "reg": ["regulator"],
    "admin": ["administrator"],
    "gw-1": ["gateway"],
    "gw-2": ["gateway"],
    "p-1": ["prosumer"],
    "p-2": ["prosumer"],
    "q-1": ["prosumer"],
}
PRICES = {
    "feed_in_price_micro_per_kwh": 280_000,
    "levy_micro_per_kwh": 40_000,
    "network_residual_micro_per_kwh": 180_000,
    "network_traded_micro_per_kwh": 180_000,
    "residual_price_micro_per_kwh": 460_000,
    "shortfall_price_micro_per_kwh": 460_000,
    "surplus_price_micro_per_kwh": 280_000,
}
# number, area, party, ratio
METERS = ((1, "a-1", "p-1", 1), (2, "a-1", "p-2", 1), (3, "a-1", "l-1", 40), (4, "a-1", "", 100), (5, "a-2", "q-1", 1))


@cache
def keys() -> Mapping[str, SigningKey]:
    """A key for every signer and for the operator; made once for each test process."""
    return {name: SigningKey.generate() for name in ("operator", "stranger", *ROLES)}


def make_leaves() -> list[list[Any]]:
    """The leaves of the genesis, in order; the caller's own, to spoil as it likes."""
    leaves: list[list[Any]] = [
        ["chain", {"clock": "simulated", "currency": "CNY", "name": "test-", "slot_s": SLOT_S}],
        ["time", {"ledger_time_s": START_S}],
        ["calendar/c", {"days": DAYS, "months": [0], "tz": "UTC", "tz_version": "1"}],
        [
            "rules/r",
            {
                "gate_before_start_s": 300,
                "metering_deadline_s": 900,
                "open_before_start_s": 86_400,
                "prices": PRICES,
                "rationing": "pro_rata",
                "reference_price_micro_per_kwh": 370_000,
            },
        ],
    ]
    leaves += [
        [f"signer/{name}", {"public_key": keys()[name].public_key, "roles": roles}] for name, roles in ROLES.items()
    ]
    for number, area in ((1, "a-1"), (2, "a-2")):
        leaves += area_leaves(number, area)
    for number, area, party, ratio in METERS:
        leaves += meter_leaves(number, area, party, ratio)
    return copy.deepcopy(leaves)


def area_leaves(number: int, area: str) -> list[list[Any]]:
    """An area and its gateway."""
    gateway = {
        "counter": 0,
        "epoch": 1,
        "last": bytes(32),
        "last_boundary_s": -1,
        "organisation": "util",
        "protection": "software",
    }
    value = {
        "calendar": "c",
        "contract": CONTRACT.contract_id,
        "contract_pin": contract_pin(CONTRACT.contract_id),
        "first_slot_start_s": FIRST_S,
        "rules": "r",
    }
    progress = {"gate_slot_start_s": FIRST_S, "run_slot_start_s": FIRST_S, "untried": [], "waiting": []}
    return [[f"gateway/gw-{number}", gateway], [f"area/{area}", value], [f"progress/{area}", progress]]


def meter_leaves(number: int, area: str, party: str, ratio: int) -> list[list[Any]]:
    """An installation and its party, if it has one."""
    value = {
        "area": area,
        "from_s": START_S,
        "gateway": f"gw-{area[-1]}",
        "limit_wh": 10_000,
        "meter": f"M-{number}",
        "modulus_wh": 0,
        "number": number,
        "point": f"P-{number}",
        "profile": "test",
        "ratio": ratio,
        "role": "feeder" if not party else "household" if ratio == 1 else "load",
    }
    if not party:
        return [[f"installation/{number}", value]]
    settlement = {"area": area, "meter": number, "trades": ratio == 1}
    return [[f"installation/{number}", value | {"party": party}], [f"party/{party}", settlement]]


def make_genesis(leaves: Sequence[Any] | None = None, **frame: Any) -> dict[str, Any]:
    """The genesis; ``frame`` replaces keys of it."""
    genesis = {
        "clock": "simulated",
        "currency": "CNY",
        "leaves": make_leaves() if leaves is None else list(leaves),
        "ledger_time_s": START_S,
        "name": "test-",
        "signers": [[keys()["operator"].public_key, 1]],
        "slot_s": SLOT_S,
        "type": "genesis",
        "version": 1,
    }
    return complete_genesis(genesis | frame)


@dataclass
class Submitter:
    """Signs transactions in everybody's name; keeps the gateways' counters."""

    chain: str
    now_s: int = START_S
    _last: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def sign(self, kind: str, signer: str, identity: Any, body: Any, attachment: bytes = b"", key: str = "") -> bytes:
        """Wire bytes."""
        signed = encode_signed(chain=self.chain, kind=kind, signer=signer, identity=identity, body=body)
        return encode_transaction(signed, keys()[key or signer].sign(signed), attachment)

    def clock(self, to_s: int) -> bytes:
        """clock/advance."""
        identity = {"client_id": secrets.token_bytes(16), "valid_until_s": self.now_s + 3600}
        self.now_s = to_s
        return self.sign("clock/advance", "clock", identity, {"to_s": to_s})

    def order(self, party: str, area: str, side: str, quantity_wh: int, price: int, slot_s: int = FIRST_S) -> bytes:
        """market/order with counter 1."""
        body = {"area": area, "price_micro_per_kwh": price, "quantity_wh": quantity_wh, "side": side}
        identity = {"counter": 1, "slot_start_s": slot_s}
        return self.sign("market/order", party, identity, body)

    def batch(
        self,
        gateway: str,
        boundary_s: int,
        rows: Sequence[tuple[int, int, int]],
        skip: int = 0,
        observations: bytes = b"",
    ) -> bytes:
        """metering/reading_batch of (meter, import, export); ``skip``: leave that many counters out."""
        counter, previous = self._last.get(gateway, (0, bytes(32)))
        counter += 1 + skip
        readings = [batch.Reading(meter, 0, 0, import_wh, export_wh) for meter, import_wh, export_wh in rows]
        seed = secrets.token_bytes(32)
        body = batch.encode_body(
            agent="test",
            boundary_s=boundary_s,
            clock={"offset_ms": 0, "state": "simulated"},
            configuration=bytes(32),
            previous=previous,
            profiles=bytes(32),
            rows=len(readings),
            root=batch.rows_root(seed, readings),
            receipt=None,
            observations=observations,
        )
        attachment = batch.encode_attachment(seed, readings, observations)
        wire = self.sign(batch.KIND, gateway, {"counter": counter, "epoch": 1}, body, attachment)
        self._last[gateway] = (counter, decode_transaction(wire).id)
        return wire

    def one_settled_slot(self) -> list[list[bytes]]:
        """Submissions that trade, meter and settle the first slot of area a-1: p-2 sells 300 Wh to p-1."""
        rows = [(1, 1000, 0), (2, 500, 100), (3, 10, 0), (4, 70, 5)]
        later = [(1, 1900, 0), (2, 500, 600), (3, 12, 0), (4, 90, 5)]
        return [
            [self.order("p-1", "a-1", "buy", 400, 450_000), self.order("p-2", "a-1", "sell", 300, 300_000)],
            [self.clock(FIRST_S)],
            [self.batch("gw-1", FIRST_S, rows)],
            [self.clock(FIRST_S + SLOT_S)],
            [self.batch("gw-1", FIRST_S + SLOT_S, [*later, (9, 1, 1)])],
            [self.clock(FIRST_S + 2 * SLOT_S)],
        ]


@dataclass
class RunningNode:
    """A node in this process, and clients of it."""

    url: str
    chain: str
    ledger: Ledger
    stop: asyncio.Event
    _clients: dict[str, Client] = field(default_factory=dict)

    def client(self, signer: str | None = None) -> Client:
        """A client that signs as ``signer``, or not at all."""
        name = signer or ""
        if name not in self._clients:
            key = keys()[signer] if signer else None
            self._clients[name] = Client(self.url, chain=self.chain, signer_id=signer, signer=key, timeout_s=10)
        return self._clients[name]

    async def close_clients(self) -> None:
        """Close them all."""
        for client in self._clients.values():
            await client.close()


@asynccontextmanager
async def running_node(data_dir: Path) -> AsyncIterator[RunningNode]:
    """A node on a free port of this machine; stopped at the end, which raises what broke it."""
    genesis = make_genesis()
    init_ledger(data_dir, cbor.encode(genesis))
    bound = open_socket("127.0.0.1", 0)
    stop, ready = asyncio.Event(), asyncio.Event()
    with closing(Ledger.open(data_dir, CONTRACTS, keys()["operator"], WallClock())) as ledger:
        running = RunningNode(url_of(bound), genesis["chain"], ledger, stop)
        async with EmbeddedEngine(ledger) as engine:
            node = Node(ledger, engine, CONTRACTS, statements, WallClock(), "0.0-test", stop)
            serving = asyncio.create_task(serve_node(node, bound, ready=lambda _: ready.set()))
            await ready.wait()
            try:
                yield running
            finally:
                await running.close_clients()
                stop.set()
                await serving


async def submit_all(client: Client, submissions: Sequence[Sequence[bytes]]) -> None:
    """Submit one after the other; every transaction must be accepted."""
    for wires in submissions:
        answers = await client.submit(wires)
        assert [answer.name for answer in answers] == ["ACCEPTED"] * len(wires)
