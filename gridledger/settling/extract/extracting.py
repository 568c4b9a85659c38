"""A ledger's data directory as a folder of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gridcore.errors import UsageError, excerpt
from gridledger.settling.dataset import Dataset
from gridledger.settling.extract.ledger import Span, dataset_of_zone
from gridledger.settling.extract.writing import write_folder
from ledger.registry.in_force import Registry
from ledger.registry.zones import Zone
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS


def extract(data: Path, areas: Sequence[str] | None, span: Span, folder: Path) -> Dataset:
    """Write what a ledger has settled with into an empty folder, and return it. UsageError, one line, for what no folder says.

    data: a data directory that no node uses; areas: of one zone, None for all of the only one.
    """
    with reading(data, CONTRACTS) as reader:
        zone, chosen = _chosen(reader.registry, areas)
        try:
            dataset = dataset_of_zone(reader, zone, chosen, span)
        except UsageError as error:
            raise UsageError(f"{data}: {error}") from None
    write_folder(dataset, folder)
    return dataset


def _chosen(registry: Registry, areas: Sequence[str] | None) -> tuple[Zone, Sequence[str]]:
    """The zone of some areas, and they in its order."""
    if areas is None:
        if len(registry.zones) != 1:
            names = ", ".join(zone.areas[0] for zone in registry.zones if zone.areas)
            words = f"the ledger has {len(registry.zones)} zones; name areas of one ({names}, ...)"
            raise UsageError(f"--area is missing: {words}")
        return registry.zones[0], registry.zones[0].areas
    zones: dict[str, tuple[Zone, str]] = {}
    for area in areas:
        found = registry.zone_of_area(area)
        if found is None:
            raise UsageError(f"--area {excerpt(area)}: is no area of this ledger")
        zones.setdefault(found[0].name, (found[0], area))
    (zone, first), *others = zones.values()
    if others:
        raise UsageError(f"--area {others[0][1]}: is of another zone than {first}; extract them one after the other")
    return zone, [area for area in zone.areas if area in areas]
