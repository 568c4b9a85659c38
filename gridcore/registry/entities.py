"""All kinds of entities: a new one is its file and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridcore.registry.agreement import AGREEMENT
from gridcore.registry.area import AREA
from gridcore.registry.balance_terms import BALANCE_TERMS
from gridcore.registry.calendar import CALENDAR
from gridcore.registry.entity import Entity
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.grid_connection import GRID_CONNECTION
from gridcore.registry.installation import INSTALLATION
from gridcore.registry.key_policy import KEY_POLICY
from gridcore.registry.organisation import ORGANISATION
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.price_series import PRICE_SERIES
from gridcore.registry.reactive_energy import REACTIVE_ENERGY
from gridcore.registry.rules import RULES
from gridcore.registry.signer import SIGNER
from gridcore.registry.standing_profile import STANDING_PROFILE
from gridcore.registry.tariff import TARIFF
from gridcore.registry.zone import ZONE

_ALL: Final = (
    ORGANISATION, CALENDAR, SIGNER, GATEWAY, ZONE, AREA, PRICE_SERIES, RULES, TARIFF, PARTY, STANDING_PROFILE, POINT, INSTALLATION,
    AGREEMENT, KEY_POLICY, BALANCE_TERMS, GRID_CONNECTION, REACTIVE_ENERGY,
)  # fmt: skip
ENTITIES: Final[Mapping[str, Entity[Any]]] = {entity.kind: entity for entity in _ALL}
"""By the first part of their keys."""


def entity_of(key: str) -> tuple[Entity[Any], str] | None:
    """The kind of entity and the name that a key says; None unless it is the key of an entity."""
    kind, _, name = key.partition("/")
    entity = ENTITIES.get(kind)
    return None if entity is None or not entity.name_form.holds(name) else (entity, name)
