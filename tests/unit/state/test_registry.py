"""The registry as columns: from leaves in any order, in time that grows with their number alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from gridcore.errors import InvariantError
from ledger.leaves.area import AREA, AreaLeaf
from ledger.leaves.installation import INSTALLATION, InstallationLeaf
from ledger.state.registry import Registry
from ledger.state.registry_columns import EMPTY, decode_registry

AREAS = ("b", "a", "Z")


class CountedText(str):
    """A text that counts how often one is compared with another."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        CountedText.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


class Leaves:
    """Leaves held in memory, in the order given."""

    def __init__(self, leaves: Mapping[str, Mapping[str, Any]], absent: str = "") -> None:
        self._leaves = leaves
        self._absent = absent

    def leaf_keys(self, prefix: str) -> Iterable[str]:
        return [key for key in self._leaves if key.startswith(prefix)]

    def get(self, key: str) -> Mapping[str, Any] | None:
        return None if key == self._absent else self._leaves[key]


def installations(count: int, gateways: int, text: type[str] = str) -> dict[str, Mapping[str, Any]]:
    """Areas, and installations in falling order of number, each of gateway number % gateways and area number % 3."""
    terms = AREA.encode(AreaLeaf("c", "auction/1", bytes(32), first_slot_start_s=0, rules="r"))
    leaves = {AREA.key(area): terms for area in AREAS}
    for number in reversed(range(count)):
        installation = InstallationLeaf(
            area=text(AREAS[number % 3]),
            from_s=0,
            gateway=text(f"gw-{number % gateways:05d}"),
            limit_wh=10 + number,
            meter=f"M-{number}",
            modulus_wh=0,
            number=number,
            point=f"P-{number}",
            profile="eastron_sdm630",
            ratio=1,
            role="household",
            party=f"p-{number}",
        )
        leaves[INSTALLATION.key(number)] = INSTALLATION.encode(installation)
    return leaves


def test_places_of_areas_and_gateways_are_those_of_their_ids() -> None:
    registry = Registry.from_leaves(Leaves(installations(11, 4)))
    assert [area.id for area in registry.areas] == ["Z", "a", "b"]
    assert registry.gateways == ("gw-00000", "gw-00001", "gw-00002", "gw-00003")
    assert dict(registry.gateway_place) == {gateway: place for place, gateway in enumerate(registry.gateways)}
    assert registry.numbers.tolist() == list(range(11))
    assert registry.limit_wh.tolist() == list(range(10, 21))
    assert [registry.gateways[place] for place in registry.gateway_index] == [f"gw-{n % 4:05d}" for n in range(11)]
    assert [registry.areas[place].id for place in registry.area_index] == [AREAS[n % 3] for n in range(11)]
    assert registry.area_row.tolist() == [n // 3 for n in range(11)]


def test_changed_leaves_make_the_registry_that_all_leaves_together_make() -> None:
    first, all_later = installations(40, 5), installations(60, 3)
    changed = {key: all_later[key] for key in all_later if key not in first or key == "installation/7"}
    changed["area/new"] = AREA.encode(AreaLeaf("c", "auction/1", bytes(32), first_slot_start_s=-900, rules="r"))
    stepwise = Registry.from_leaves(Leaves(first)).changed(changed.items())
    at_once = Registry.from_leaves(Leaves({**first, **changed}))
    assert stepwise.columns.encode() == at_once.columns.encode()
    assert decode_registry(stepwise.columns.encode()).encode() == at_once.columns.encode()
    assert [area.id for area in stepwise.areas] == ["Z", "a", "b", "new"]
    assert stepwise.first_boundary_s == -900
    assert stepwise.gateways == ("gw-00000", "gw-00001", "gw-00002", "gw-00003", "gw-00004")
    assert Registry(EMPTY).changed(()).numbers.tolist() == []


def test_a_gateway_without_a_meter_left_is_none_that_reads() -> None:
    registry = Registry.from_leaves(Leaves(installations(6, 3)))
    other = {
        key: {**leaf, "gateway": "gw-x"}
        for key, leaf in installations(6, 3).items()
        if key in ("installation/2", "installation/5")
    }
    assert registry.changed(other.items()).gateways == ("gw-00000", "gw-00001", "gw-x")


def test_comparisons_grow_with_installations_not_with_gateways_too() -> None:
    """Looking gateways up one after the other took minutes for a million installations."""
    count = 600
    CountedText.compared = 0
    Registry.from_leaves(Leaves(installations(count, count, CountedText)))
    assert CountedText.compared < 20 * count


def test_a_registered_leaf_that_is_absent_is_a_broken_promise() -> None:
    with pytest.raises(InvariantError, match="leaf installation/3 exists"):
        Registry.from_leaves(Leaves(installations(5, 1), absent="installation/3"))
