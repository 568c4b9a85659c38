"""The points of a dataset as the chain has them: party, sharing keys from when they hold, and a meter whose limit bounds what is imported."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from gridcore.errors import UsageError
from gridcore.genesis import IMPORTED
from gridcore.master_data import Listed, Named
from gridcore.registry.grid_connection import GRID_CONNECTION, GridConnection
from gridcore.registry.installation import INSTALLATION, Installation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridledger.settling.chain.prices import points_with_prices, rules_of_point
from gridledger.settling.chain.tariffs import changes_s, charged_at
from gridledger.settling.dataset import Dataset, KeyRow, PointRow
from ledger.registry.entries import ENTRIES_MAX


def point_rows(dataset: Dataset, importer: str, organisation: str) -> Iterator[Listed]:
    """Party, point and installation of each, in the dataset's order. UsageError where one changes more often than a ledger takes."""
    trading, keys, with_prices = dataset.orders.traders, keys_of(dataset), points_with_prices(dataset)
    for number, point in enumerate(dataset.points, 1):
        yield from party_rows(dataset, point, trading, importer, organisation)
        history = list(histories_of(point, keys.get(point.point, []), with_prices))
        _check_changes(len(history), f"points.csv, keys.csv: the point {point.point}")
        for from_s, record in history:
            yield Named(POINT, point.point, record, from_s)
        if point.voltage_level is not None:
            yield Named(GRID_CONNECTION, point.point, GridConnection(point.voltage_level))
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


def party_rows(
    dataset: Dataset, point: PointRow, trading: Collection[str], aggregator: str | None, organisation: str
) -> Iterator[Named[Party]]:
    """Everybody who is ever billed for a point, from the beginning and from when on a tariff changes for it. ``trading``: who has orders;
    aggregator: who may place them for it. UsageError where one changes more often than a ledger takes.
    """
    for name in point.parties:
        trades, rows = name in trading, list[Named[Party]]()
        for at_s in changes_s(dataset):
            charged = charged_at(dataset, name, at_s)
            record = Party(point.area, organisation, trades, aggregator if trades else None, **charged._asdict())
            if not rows or record != rows[-1].record:
                rows.append(Named(PARTY, name, record, at_s))
        _check_changes(len(rows), f"rules.toml: [[tariff.component]]: the tariff or contracted_kw of {name}")
        yield from rows


def _check_changes(entries: int, what: str) -> None:
    """Of more entries a ledger folds the oldest: what they say of the first slots would not be billed."""
    if entries > ENTRIES_MAX:
        raise UsageError(
            f"{what} changes {entries - 1} times, a ledger takes {ENTRIES_MAX - 1}; settle fewer months at once"
        )


def keys_of(dataset: Dataset) -> dict[str, list[KeyRow]]:
    """The keys of each point that has some, ascending by when they begin to hold."""
    keys: dict[str, list[KeyRow]] = {}
    for row in sorted(dataset.keys, key=lambda row: row.valid_from_s or 0):
        keys.setdefault(row.point, []).append(row)
    return keys


def named_of(point: PointRow) -> dict[str, Any]:
    """Whom and what a point names in all slots of its file, by the fields of a registry row; None: nobody."""
    return {
        "balance_responsible_import": point.balance_responsible_import,
        "balance_responsible_export": point.balance_responsible_export,
        "energy_kind": point.energy_kind,
        **{name: who or None for name, who in point.partners._asdict().items()},
    }


def histories_of(point: PointRow, keys: list[KeyRow], with_prices: Collection[str]) -> Iterator[tuple[int, Point]]:
    """The entries of a point: from the beginning, and from each instant at which another key holds or somebody else is billed.

    with_prices: ``points_with_prices``.
    """
    record = Point(
        point.area,
        point.role,
        point.party or None,
        exchange_area=point.exchange_area,
        rules=rules_of_point(point.point, with_prices),
        grid_place=point.grid_place,
        **named_of(point),
    )
    own: dict[int, list[KeyRow]] = {0: []}
    for row in keys:
        own.setdefault(row.valid_from_s or 0, []).append(row)
    for at_s in sorted({*own, *(from_s for from_s, _ in point.later)}):
        record = record._replace(party=point.party_at(at_s) or None)
        for row in own.get(at_s, ()):
            if row.share_ppm is not None:
                record = record._replace(share_ppm=row.share_ppm)
            if row.priority is not None:
                record = record._replace(priority=row.priority)
        yield at_s, record
