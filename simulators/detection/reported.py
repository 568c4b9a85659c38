"""What a ledger would hold of a simulated world, as the columns that the risk monitor looks at, without agents and ledger in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gridcore.codes import Code
from gridwatch.columns import ABSENT, Int64, Meter, Readings, Sent, Watched
from simulators.grid.diversity import Stream, generator
from simulators.grid.fraud import Registers
from simulators.grid.world import LINE_ENDS_OBSERVED, RATED_PHASE_V, World
from simulators.scenarios.schema import SLOT_S, STOLEN_KEY

PPM: Final = 1_000_000
_STEP_MV: Final = {"feeder": 100, "household": 1, "load": 100}
"""In what steps the meters of a role show a voltage."""


@dataclass(frozen=True)
class Imperfect:
    """Beside fraud. error_ppm_max: how wrong a meter counts, each by its own constant; lost_ppm: of a million readings, those that get lost."""

    error_ppm_max: int = 0
    lost_ppm: int = 0


PERFECT: Final = Imperfect()


def reported(world: World, imperfect: Imperfect = PERFECT) -> Watched:
    """The areas of a world as they are reported, and the batches that a thief of a gateway's key sends."""
    shown = _shown(world, imperfect)
    return Watched(tuple(_area(world, area, shown) for area in world.areas), tuple(_forged(world)))


def _shown(world: World, imperfect: Imperfect) -> Registers:
    """Import and export registers [boundaries, meters] as the meters show them, primary Wh; ``ABSENT`` where no reading is taken."""
    rng = generator(world.scenario.seed, Stream.METER_ERRORS)
    error_ppm = rng.integers(-imperfect.error_ppm_max, imperfect.error_ppm_max, size=len(world.meters), endpoint=True)
    is_lost = rng.integers(0, PPM, size=(world.slots + 1, len(world.meters))) < imperfect.lost_ppm
    step_wh, modulus_wh = (
        np.array([getattr(meter, name) for meter in world.meters], dtype=np.int64)
        for name in ("resolution_wh", "modulus_wh")
    )
    shown = Registers(
        *((register + (register - register[:1]) * error_ppm // PPM) // step_wh * step_wh for register in world.counted)
    )
    is_absent = is_lost | world.not_taken_of(shown)
    wrapped = [np.where(modulus_wh > 0, register % np.maximum(modulus_wh, 1), register) for register in shown]
    return Registers(*(np.where(is_absent, ABSENT, register) for register in wrapped))


def _area(world: World, area: str, shown: Registers) -> Readings:
    own = np.array([column for column, meter in enumerate(world.meters) if meter.area == area])
    meters = [world.meters[column] for column in own.tolist()]
    return Readings(
        area,
        SLOT_S,
        tuple(Meter(meter.meter, meter.role, meter.limit_wh, meter.modulus_wh) for meter in meters),
        world.boundary_s,
        shown.import_wh[:, own],
        shown.export_wh[:, own],
        _voltages(world, own),
        np.zeros(world.slots + 1, dtype=np.int64),
    )


def _voltages(world: World, own: NDArray[np.int64]) -> Int64:
    """Of the meters whose voltage a gateway reads besides: the feeder's and those at the ends of lines, mV."""
    area = world.meters[int(own[0])].area
    observed = {*world.line_ends[world.areas.index(area)][:LINE_ENDS_OBSERVED]}
    observed |= {column for column in own.tolist() if world.meters[column].role == "feeder"}
    ended = np.maximum(np.arange(world.slots + 1) - 1, 0)  # boundary 0 ends no slot and shows the first one's
    voltage_v = world.voltage_pu[ended][:, own].astype(np.float64) * RATED_PHASE_V
    step_mv = np.array([_STEP_MV[world.meters[column].role] for column in own.tolist()])
    voltage_mv = np.rint(voltage_v * 1000 / step_mv).astype(np.int64) * step_mv
    return np.where(np.isin(own, list(observed)), voltage_mv, ABSENT)


def _forged(world: World) -> list[Sent]:
    """Batches under a gateway's name that the ledger refused."""
    boundary_s = world.boundary_s.tolist()
    return [
        Sent(
            f"gateway-{world.areas.index(event.target) + 1}",
            boundary_s[index],
            1,
            1,
            Code.COUNTER_PASSED,
            0,
            "simulated",
            0,
        )
        for event in world.scenario.events
        if event.kind == STOLEN_KEY
        for index in range(event.from_slot, event.until_slot)
    ]
