"""The points of a dataset as the chain has them: party, sharing keys from when they hold, and a meter whose limit bounds what is imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gridcore.genesis import IMPORTED
from gridcore.master_data import Listed, Named
from gridcore.registry.installation import INSTALLATION, Installation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridledger.settling.chain.prices import rules_of_point
from gridledger.settling.dataset import Dataset, KeyRow, PointRow

ROLE: Final = "household"


def point_rows(dataset: Dataset, importer: str, organisation: str) -> Iterator[Listed]:
    """Party, point and installation of each, in the dataset's order."""
    trading, keys = set(dataset.orders.party), keys_of(dataset)
    for number, point in enumerate(dataset.points, 1):
        trades = point.party in trading
        party = Party(point.area, organisation, trades, importer if trades else None)
        yield Named(PARTY, point.party, party)
        for from_s, record in _histories(dataset, point, keys.get(point.point, [])):
            yield Named(POINT, point.point, record, from_s)
        installation = Installation(
            gateway=importer,
            limit_wh=point.limit_wh,
            meter=point.point,
            modulus_wh=0,
            point=point.point,
            profile=IMPORTED,
            ratio=1,
            first_registers=[0, 0],
        )
        yield Named(INSTALLATION, str(number), installation)


def keys_of(dataset: Dataset) -> dict[str, list[KeyRow]]:
    """The keys of each point that has some, ascending by when they begin to hold."""
    keys: dict[str, list[KeyRow]] = {}
    for row in sorted(dataset.keys, key=lambda row: row.valid_from_s or 0):
        keys.setdefault(row.point, []).append(row)
    return keys


def _histories(dataset: Dataset, point: PointRow, keys: list[KeyRow]) -> Iterator[tuple[int, Point]]:
    """The entries of a point: from the beginning, and from each instant at which another key holds."""
    record = Point(point.area, ROLE, point.party, rules=rules_of_point(dataset, point.point))
    entries = {0: record}
    for row in keys:
        if row.share_ppm is not None:
            record = record._replace(share_ppm=row.share_ppm)
        if row.priority is not None:
            record = record._replace(priority=row.priority)
        entries[row.valid_from_s or 0] = record
    yield from entries.items()
