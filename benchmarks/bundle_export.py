"""bundle_export: the evidence bundle of one bill line, in an area of 50,000 points with 10,000 orders in the slot.

A real ledger in a temporary folder, one settled slot, the registry at hand as in a node that serves. Each round asks for another
party, one that bought: readings, fill and result rows are all proved. Making the ledger is outside the clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gridcore.clock import WallClock
from gridcore.errors import require
from gridcore.master_data import MasterData, MeteredPoint, Named
from gridcore.registry.area import AREA, Area
from gridcore.registry.calendar import Calendar
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.rules import RULES, Rules
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.zone import ZONE, Zone
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import SignedContent, sign_content
from gridcore.transactions.market_order import MarketOrder
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, ClockState, ReadingBatch
from gridcore.transactions.readings import Reading, attach
from gridcore.validator import Validator
from gridledger.bench import Measurement, best_seconds

POINTS, ORDERS, METERS_OF_GATEWAY = 50_000, 10_000, 500
GATEWAYS = POINTS // METERS_OF_GATEWAY
SLOT_S = 900
FIRST_S = 1_800_000_000
OPEN_S = FIRST_S - 86_400
ROUNDS = 7
TRANSACTIONS_OF_BLOCK = 1_000
PRICES = {
    "feed_in_price_micro_per_kwh": 280_000,
    "levy_micro_per_kwh": 40_000,
    "network_residual_micro_per_kwh": 180_000,
    "network_traded_micro_per_kwh": 150_000,
    "residual_price_micro_per_kwh": 460_000,
    "shortfall_price_micro_per_kwh": 490_000,
    "surplus_price_micro_per_kwh": 280_000,
}


def bundle_export() -> Measurement:
    """Export one bundle a round; the last one is checked by the stand-alone verifier, without a trust root."""
    from gridcore import verify
    from ledger.evidence import build_bundle
    from ledger.store.directory import init_ledger
    from ledger.store.ledger import Ledger
    from settlement.catalogue import pins
    from settlement.contracts.p2p_call_auction_1 import CONTRACT

    key = SigningKey.generate()
    contracts = {CONTRACT.contract_id: CONTRACT}
    genesis = _master_data(key.public_key, CONTRACT.contract_id, pins()[CONTRACT.contract_id]).genesis()
    buyers = iter(range(1, ORDERS, ORDERS // ROUNDS // 2 * 2))
    bundles: list[bytes] = []
    with TemporaryDirectory() as folder:
        data_dir = Path(folder) / "ledger"
        init_ledger(data_dir, genesis.encode())
        with closing(Ledger.open(data_dir, contracts, key, WallClock())) as ledger:
            for wires in _blocks(genesis.chain, key):
                results = ledger.make_block(ledger.examine(wires)).results
                require(not any(result.code for result in results), "the benchmark's transactions are accepted")
            while ledger.make_block([]).work_pending:
                pass

            def work() -> None:
                line: dict[str, Any] = {"slot_start_s": FIRST_S, "line_kind": "trade_buy"}
                party = f"p{next(buyers)}"
                bundles.append(build_bundle(ledger, contracts, party=party, **line))

            seconds = best_seconds(work, ROUNDS)
    verdict = verify.verify_bundle(bundles[-1], None)
    require("signatures" in verdict.claims, f"all but the certificate holds: {verdict.reason}")
    return Measurement(1, seconds)


def _blocks(chain: str, key: SigningKey) -> Iterator[list[bytes]]:
    """Transactions of one slot, block by block: orders, readings at both ends, and the clock in between."""
    orders = [_order(chain, key, number) for number in range(ORDERS)]
    for start in range(0, ORDERS, TRANSACTIONS_OF_BLOCK):
        yield orders[start : start + TRANSACTIONS_OF_BLOCK]
    previous = [FIRST_PREVIOUS] * GATEWAYS
    for end in (0, 1):
        yield [_clock(chain, key, FIRST_S + end * SLOT_S)]
        signed = [_batch(chain, key, gateway, end, previous[gateway]) for gateway in range(GATEWAYS)]
        yield [batch.wire for batch in signed]
        previous = [batch.id for batch in signed]
    yield [_clock(chain, key, FIRST_S + 3 * SLOT_S)]


def _clock(chain: str, key: SigningKey, to_s: int) -> bytes:
    step = ClockAdvance(client_id=to_s.to_bytes(16, "big"), valid_until_s=to_s, to_s=to_s)
    return sign_content(step, chain=chain, signer="operator", sign=key.sign).wire


def _order(chain: str, key: SigningKey, number: int) -> bytes:
    """Every odd party buys, every even one sells; all limits cross."""
    side, price = ("buy", 450_000) if number % 2 else ("sell", 300_000)
    order = MarketOrder(
        area="A1",
        counter=1,
        nonce=number.to_bytes(16, "big"),
        price_micro_per_kwh=price,
        quantity_wh=100 + number % 50,
        side=side,
        slot_start_s=FIRST_S,
    )
    return sign_content(order, chain=chain, signer=f"p{number}", sign=key.sign).wire


def _batch(chain: str, key: SigningKey, gateway: int, end: int, previous: bytes) -> SignedContent:
    """A gateway's batch at the slot's start (``end`` 0) or end (1)."""
    first = gateway * METERS_OF_GATEWAY
    readings = [
        Reading(meter, 0, 0, 1_000_000 + 37 * meter + 250 * end, 500_000 + 11 * meter + 90 * end)
        for meter in range(first, first + METERS_OF_GATEWAY)
    ]
    attached = attach(sm3(b"%d/%d" % (gateway, end)), readings)
    content = ReadingBatch(
        agent="bench",
        boundary_s=FIRST_S + end * SLOT_S,
        clock=ClockState(0, "simulated"),
        configuration=bytes(32),
        counter=1 + end,
        epoch=1,
        previous=previous,
        profiles=bytes(32),
        rows=attached.rows,
        rows_root=attached.rows_root,
    )
    return sign_content(content, chain=chain, signer=f"g{gateway}", sign=key.sign, attachment=attached.attachment)


def _master_data(public_key: bytes, contract: str, contract_pin: bytes) -> MasterData:
    """One area of households; the first ORDERS of them trade. Everybody has the same key."""
    day_s = FIRST_S // 86_400 * 86_400
    roles = {"operator": ["clock", "utility"]}
    roles |= {f"g{number}": ["gateway"] for number in range(GATEWAYS)}
    roles |= {f"p{number}": ["prosumer"] for number in range(ORDERS)}
    zone = Zone(
        contract=contract,
        contract_pin=contract_pin,
        first_slot_start_s=FIRST_S,
        gate_before_start_s=300,
        metering_deadline_s=900,
        open_before_start_s=86_400,
    )
    terms = {"reference_price_micro_per_kwh": 370_000, "rationing": "pro_rata"}
    return MasterData(
        name="bench",
        clock="simulated",
        ledger_time_s=OPEN_S,
        slot_s=SLOT_S,
        validators=[Validator("operator", "o", public_key)],
        calendars={"c": Calendar(days=[day_s, day_s + 86_400], months=[0], tz="UTC", tz_version="1")},
        listed=[
            Named(ORGANISATION, "o", Organisation(["clock", "gateway", "prosumer", "utility"], "Benchmark")),
            Named(RULES, "r", Rules(PRICES, terms)),
            *(Named(SIGNER, name, Signer("o", public_key, own)) for name, own in roles.items()),
            *(Named(GATEWAY, f"g{number}", Gateway("o", "software")) for number in range(GATEWAYS)),
            Named(ZONE, "Z", zone),
            Named(AREA, "A1", Area(calendar="c", rules="r", zone="Z")),
            *map(_household, range(POINTS)),
        ],
        salt_seed=bytes(32),
    )


def _household(number: int) -> MeteredPoint:
    return MeteredPoint(
        number=number,
        area="A1",
        gateway=f"g{number // METERS_OF_GATEWAY}",
        meter=f"M{number}",
        point=f"P{number}",
        profile="eastron_sdm630",
        role="household",
        limit_wh=11_000,
        organisation="o",
        first_registers=(0, 0),
        party=f"p{number}",
        trades=number < ORDERS,
    )


BENCHMARKS = {"bundle_export": bundle_export}
