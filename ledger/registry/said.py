"""What the registry's columns take of the rows of points and installations, with the places of what these name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from gridcore.registry.installation import Installation, RemovedInstallation
from gridcore.registry.point import ENERGY_KINDS, Point
from ledger.registry.vocabularies import PlaceOf, optional_place, partners_together

_NO_REGISTERS: Final = (-1, -1)


class SaidOfPoint(NamedTuple):
    """Place of the area; number of the party, places of the standing profile and of own rules, -1 for none; its keys and its kind of energy, -1 for none; place of whom it names, -1 for nobody."""

    area: int
    party: int
    profile: int
    rules: int
    share_ppm: int
    priority: int
    energy_kind: int
    grid_place: int
    exchange_area: int
    partners: int

    @classmethod
    def by(
        cls, area_of: PlaceOf, party_of: PlaceOf, profile_of: PlaceOf, rules_of: PlaceOf, partners_of: PlaceOf
    ) -> Callable[[Point], SaidOfPoint]:
        """What the columns take of a row, with the places of what it names."""
        return lambda row: cls(
            area_of(row.area),
            optional_place(row.party, party_of),
            optional_place(row.standing_profile, profile_of),
            optional_place(row.rules, rules_of),
            -1 if row.share_ppm is None else row.share_ppm,
            -1 if row.priority is None else row.priority,
            -1 if row.energy_kind is None else ENERGY_KINDS.index(row.energy_kind),
            row.grid_place or 0,
            optional_place(row.exchange_area, area_of),
            optional_place(partners_together(row), partners_of),
        )


class SaidOfMeter(NamedTuple):
    """Places of the point and of the gateway, -1 for a meter that was taken down, and what its registers can and did show."""

    point: int
    gateway: int
    modulus_wh: int = 0
    limit_wh: int = 0
    ratio: int = 0
    first: Sequence[int] = _NO_REGISTERS
    final: Sequence[int] = _NO_REGISTERS

    @classmethod
    def by(cls, point_of: PlaceOf, gateway_of: PlaceOf) -> Callable[[Installation | RemovedInstallation], SaidOfMeter]:
        """What the columns take of a row, with the places of what it names."""

        def said(row: Installation | RemovedInstallation) -> SaidOfMeter:
            point, final = point_of(row.point), row.final_registers or _NO_REGISTERS
            if isinstance(row, RemovedInstallation):
                return cls(point, -1, final=final)
            first = row.first_registers or _NO_REGISTERS
            return cls(point, gateway_of(row.gateway), row.modulus_wh, row.limit_wh, row.ratio, first, final)

        return said
