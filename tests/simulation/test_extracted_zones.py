"""Zones of drawn ledgers as folders: each settles to the money of its last runs, party by party, or one line says why there is none."""

from __future__ import annotations

import csv
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from gridcore import cbor
from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.settling.dataset import Dataset
from gridledger.settling.extract import Span, extract
from ledger import signatures
from ledger.runs import find_run_of_zone, load_rows
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from tests.simulation.generated_world import World
from tests.simulation.generator import BlockMaker
from tests.twin.twin import Twin
from tests.worlds.clocks import ManualClock
from tests.worlds.keys import is_cheaply_signed
from tests.worlds.ledgers import open_ledger

SEEDS = (1, 2, 4, 11, 13, 14)
"""Worlds whose blocks one key may certify to the end."""
BLOCKS = 40


class Area(NamedTuple):
    """An area by name, and its zone's."""

    zone: str
    area: str


def drawn(seed: int, data: Path, patched: pytest.MonkeyPatch) -> list[Area]:
    """A ledger of drawn blocks, whose signatures are cheap; the areas that it has."""
    world = World(seed)
    maker, twin = BlockMaker(world), Twin(cbor.decode(world.consortium.genesis.encode()))
    clock = ManualClock(world.consortium.start_s)
    patched.setattr(signatures, "is_valid_signature", is_cheaply_signed)
    with closing(open_ledger(data, world.consortium, clock=clock)) as ledger:
        for _ in range(BLOCKS):
            height, time_s, wires = maker.next_block(twin)
            clock.set_wrong(time_s)
            ledger.make_block(ledger.examine(wires))
            twin.apply_block(height, time_s, wires, is_cheaply_signed)
        return [Area(zone.name, area) for zone in ledger.registry.zones for area in zone.areas]


def paid_on_ledger(data: Path, of: Area, dataset: Dataset) -> dict[str, int]:
    """What each party pays by the last run of each slot, nano."""
    pays_nano: Counter[str] = Counter()
    with reading(data, CONTRACTS) as reader:
        zone = reader.registry.zone(of.zone)
        for slot_start_s in dataset.slot_start_s.tolist():
            leaf = find_run_of_zone(reader, of.zone, slot_start_s, None)
            if leaf is None:
                continue
            in_force = reader.zone_at(zone, slot_start_s, leaf.as_of_height)
            own = in_force.settling[in_force.area[in_force.settling] == zone.areas.index(of.area)]
            nano = load_rows(reader, leaf, own).columns["pays_nano"]
            numbers, places = np.unique(in_force.party[own], return_inverse=True)
            for at, number in enumerate(numbers.tolist()):
                pays_nano[reader.registry.parties[number]] += int(nano[places == at].sum())
    return {party: nano for party, nano in pays_nano.items() if nano}


def paid_in_files(out: Path, dataset: Dataset) -> dict[str, int]:
    """What each party owes by the contract's lines of a settled folder, nano."""
    kinds = {kind.kind for kind in CONTRACTS[dataset.rules.contract].line_kinds}
    owed_nano: Counter[str] = Counter()
    with (out / "statements.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["line_kind"] in kinds:
                owed_nano[row["party"]] += int(row["amount_nano"])
    return {party: nano for party, nano in owed_nano.items() if nano}


@pytest.mark.soak
def test_drawn_areas_settle_as_folders_to_the_money_of_their_last_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_ledger: dict[tuple[int, Area], dict[str, int]] = {}
    in_files: dict[tuple[int, Area], dict[str, int]] = {}
    refused, statuses = list[str](), dict[tuple[int, Area], int]()
    for seed in SEEDS:
        data = tmp_path / f"{seed}"
        with monkeypatch.context() as patched:
            areas = drawn(seed, data, patched)
        for area in areas:
            folder, out = (tmp_path / f"{seed}-{area.zone}-{area.area}-{name}" for name in ("folder", "out"))
            folder.mkdir()
            try:
                dataset = extract(data, [area.area], Span(), folder)
            except UsageError as error:
                refused.append(str(error))
                continue
            statuses[seed, area] = main(["settle", "files", str(folder), "--out", str(out)])
            on_ledger[seed, area], in_files[seed, area] = (
                paid_on_ledger(data, area, dataset),
                paid_in_files(out, dataset),
            )
    assert {of: status for of, status in statuses.items() if status} == {}
    assert in_files == on_ledger
    assert sum(map(bool, on_ledger.values())) >= 3
    reasons = ("has other terms in the slot", "nobody is billed", "no settled slot")
    assert [line for line in refused if not any(reason in line for reason in reasons)] == []
