"""The fraud month through signed batches, blocks and settlement: the watch over that ledger says what it says of the simulator's columns."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gridcore.clock import WallClock
from gridcore.codes import Code
from gridcore.observations import Observation, Observations, encode_observations
from gridcore.quality import MEASURED, SUSPECT
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import sign_content
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, ClockState, ReadingBatch
from gridcore.transactions.readings import SEED_BYTES, Reading, attach
from gridledger.demo.forging import forged_batch
from gridledger.demo.scene import Scene, lay_out
from gridledger.simulating.terms import terms_of
from gridwatch.columns import ABSENT, Readings
from gridwatch.ledger_source import watched_ledger
from gridwatch.watch import alerts_of
from ledger.store.ledger import Ledger
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS, pins
from simulators.detection.reported import reported
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.schema import STOLEN_KEY
from tests.unit.watch.rules_that_ship import RULES
from tests.worlds.faults import UnsyncedFiles

pytestmark = pytest.mark.soak
GATEWAY = "gateway-1"


class Gateway:
    """Signs what its meters show at each boundary; ``shown``: the columns of its area."""

    def __init__(self, scene: Scene, world: World, shown: Readings) -> None:
        self._scene, self._world, self._shown = scene, world, shown
        self._previous, self._counter = FIRST_PREVIOUS, 0

    def batch(self, boundary: int) -> bytes:
        """The next one: readings that are doubted go as suspect, voltages ride along."""
        boundary_s = int(self._world.boundary_s[boundary])
        voltages = [
            Observation(number, "32.7.0", voltage_mv, 0)
            for number, voltage_mv in enumerate(self._shown.voltage_mv[boundary].tolist())
            if voltage_mv != ABSENT
        ]
        observations = encode_observations(Observations(tuple(voltages)))
        attached = attach(secrets.token_bytes(SEED_BYTES), list(self._readings(boundary)), observations)
        self._counter += 1
        content = ReadingBatch(
            agent="soak",
            boundary_s=boundary_s,
            clock=ClockState(0, "simulated"),
            configuration=bytes(32),
            counter=self._counter,
            epoch=1,
            previous=self._previous,
            profiles=bytes(32),
            rows=attached.rows,
            rows_root=attached.rows_root,
            observations=attached.observations,
        )
        key = self._scene.keys[GATEWAY]
        signed = sign_content(
            content, chain=self._scene.chain, signer=GATEWAY, sign=key.sign, attachment=attached.attachment
        )
        self._previous = signed.id
        return signed.wire

    def _readings(self, boundary: int) -> Iterator[Reading]:
        counted = [register.tolist() for register in self._world.counted_registers(boundary)]
        for number, meter in enumerate(self._world.meters):
            quality = SUSPECT if self._world.not_taken[boundary, number] else MEASURED
            step_wh = meter.resolution_wh
            taken, given = (register[number] // step_wh * step_wh // meter.ratio for register in counted)
            yield Reading(number, 0, quality, taken, given)


def play(world: World, scene: Scene, ledger: Ledger) -> None:
    """Every boundary of the world: time, readings, and what a thief of the gateway's key sends."""
    gateway = Gateway(scene, world, reported(world).areas[0])
    stolen = {
        index
        for event in world.scenario.events
        if event.kind == STOLEN_KEY
        for index in range(event.from_slot, event.until_slot)
    }
    for boundary, boundary_s in enumerate(world.boundary_s.tolist()):
        step = ClockAdvance(
            client_id=secrets.token_bytes(16), valid_until_s=ledger.ledger_time_s + 86_400, to_s=boundary_s
        )
        decide(ledger, [sign_content(step, chain=scene.chain, signer="clock", sign=scene.keys["clock"].sign).wire])
        assert decide(ledger, [gateway.batch(boundary)]) == [Code.ACCEPTED]
        if boundary in stolen:
            forged = forged_batch(scene.chain, GATEWAY, scene.keys[GATEWAY], boundary_s, 0)
            assert decide(ledger, [forged]) == [Code.COUNTER_PASSED]


def decide(ledger: Ledger, wires: Sequence[bytes]) -> list[int]:
    """Make a block of some transactions, and others until nothing is left that has fallen due; their codes."""
    produced = ledger.make_block(ledger.examine(wires))
    codes = [result.code for result in produced.results]
    while produced.work_pending:
        produced = ledger.make_block([])
    return codes


def test_the_fraud_month_through_the_ledger_gives_the_alerts_of_its_columns(tmp_path: Path) -> None:
    world = build_world(find_scenario("fraud_month").scenario)
    scene = lay_out(tmp_path / "month", world, terms_of(world), None)
    data = tmp_path / "month" / "ledger"
    ledger = Ledger.open(data, CONTRACTS, scene.keys["operator"], WallClock(), pins=pins(), files=UnsyncedFiles())
    try:
        play(world, scene, ledger)
    finally:
        ledger.close()
    with reading(data, CONTRACTS) as reader:
        watched = watched_ledger(reader)
    columns = reported(world)
    for mine, theirs in zip(watched.areas, columns.areas, strict=True):
        for name in ("boundary_s", "import_wh", "export_wh", "voltage_mv"):
            assert (getattr(mine, name) == getattr(theirs, name)).all(), name
    alerts = alerts_of(watched, RULES)
    assert [alert._replace(blocks=()) for alert in alerts] == alerts_of(columns, RULES)
    assert {"balance", "flat", "backwards", "gaps", "standstill", "keys"} <= {alert.rule for alert in alerts}
    assert all(alert.blocks for alert in alerts)
