"""Rows of zones against the contracts of this program: a pin of other code would stop every node at its next start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gridcore.errors import UsageError
from gridcore.registry.zone import ZONE
from gridledger.registering.rows_file import FileRow


def check_pins(rows: Sequence[FileRow], pins: Mapping[str, bytes]) -> None:
    """UsageError for a zone row whose contract is not one of ``pins`` (id to pin), or is pinned to other code."""
    for where, row in rows:
        if row.key.partition("/")[0] != ZONE.kind:
            continue
        contract, pin = row.value.get("contract"), row.value.get("contract_pin")
        known = pins.get(contract) if isinstance(contract, str) else None
        if known is None:
            raise UsageError(f"{where}: contract is one that this program has, {', '.join(sorted(pins))}")
        if pin != known:
            raise UsageError(
                f"{where}: contract_pin of {contract} is {known.hex()} in this program; nodes with it would stop"
            )
