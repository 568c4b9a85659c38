"""The registry as columns: what is in force at a time, the same as entity by entity, and the same again out of a file."""

from __future__ import annotations

import numpy as np
import pytest

from gridcore.errors import EncodingError
from gridcore.master_data import Named
from gridcore.registry.installation import INSTALLATION, Installation, RemovedInstallation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.rules import RULES
from gridcore.registry.standing_profile import STANDING_PROFILE, StandingProfile
from gridcore.sm3 import sm3
from ledger.registry import columns_file
from ledger.registry.bodies import in_force, row_of
from ledger.registry.columns_file import decode_columns, encode_columns
from ledger.registry.in_force import Registry
from ledger.state.memory import MemoryState
from tests.simulation.generated_world import World
from tests.worlds.consortium import FIRST_S, SLOT_S, UTILITY, Consortium, area, feeder, gateway, household, load, zone
from tests.worlds.two_areas import TWO_AREAS

SEEDS = range(40)


def times_of(state: MemoryState) -> list[int]:
    """Before and at every instant at which something changes."""
    instants = {0, FIRST_S}
    for kind in ("installation", "point", "party", "rules"):
        for key in state.leaf_keys(f"{kind}/"):
            value = state.get(key) or {}
            instants |= {entry[0] for entry in value["entries"]}
    return sorted({moment for instant in instants for moment in (max(instant - 1, 0), instant)})


@pytest.mark.parametrize("seed", SEEDS)
def test_columns_say_what_the_entities_say_one_by_one(seed: int) -> None:
    state = MemoryState(World(seed).consortium.genesis)
    registry = state.registry
    assert len(registry.numbers) > 1
    for time_s in times_of(state):
        view = registry.at(time_s, 0)
        found: dict[str, str] = {}
        for place, number in enumerate(registry.numbers.tolist()):
            opened = in_force(state, INSTALLATION, str(number), time_s, 0)
            record = None if opened is None else opened.record
            gateway_place = int(view.gateway[place])
            if isinstance(record, Installation):
                found[record.point] = str(number)
                assert registry.gateways[gateway_place] == record.gateway
            else:
                assert gateway_place == -1
        for zone_ in registry.zones:
            rows = view.zone(zone_)
            for row, name in enumerate(zone_.points):
                point = in_force(state, POINT, name, time_s, 0)
                party = None if point is None else point.record.party
                number = int(rows.party[row])
                assert (registry.parties[number] if number >= 0 else None) == party
                meter = int(rows.installation[row])
                assert (str(registry.numbers[meter]) if meter >= 0 else None) == found.get(name)
            for number, name in enumerate(zone_.areas):
                rules = in_force(state, RULES, f"rules-{name}", time_s, 0)
                digest = rows.rules_digests[int(rows.rules[number])]
                assert digest == (b"" if rules is None else rules.entry.digest)


@pytest.mark.parametrize("seed", SEEDS)
def test_columns_come_back_from_their_bytes(seed: int) -> None:
    registry = MemoryState(World(seed).consortium.genesis).registry
    encoded = list(encode_columns(registry.columns))
    again = Registry(decode_columns(encoded))
    assert list(encode_columns(again.columns)) == encoded
    assert again.zones == registry.zones


def test_bytes_that_are_no_columns_are_refused() -> None:
    with pytest.raises(EncodingError):
        decode_columns([b"\x80"])


def test_a_column_more_or_less_is_another_type_of_file() -> None:
    """A file says nothing of its columns but its type: read as another's, a node would not open. Whoever changes them changes it, and this."""
    said = "\n".join(f"{name} {of}" for name, of in columns_file._TYPES.items())
    assert (columns_file._TYPE, sm3(said.encode()).hex()[:16]) == (b"registry-columns/14", "7557d1f9278b7d3d")


def test_a_zone_has_its_areas_by_number_and_its_points_by_row() -> None:
    consortium = Consortium(
        zones=[zone("b"), zone("a")],
        areas=[area("x", zone="b"), area("y", zone="a"), area("z", zone="b")],
        gateways=[gateway("gw-1")],
        meters=[feeder(9, area="z"), household(3, "p", area="y"), load(7, "q", area="x"), feeder(1, area="z")],
    )
    registry = MemoryState(consortium.genesis).registry
    assert [(zone_.name, *zone_.areas) for zone_ in registry.zones] == [("a", "y"), ("b", "x", "z")]
    assert [list(zone_.points) for zone_ in registry.zones] == [["P-3"], ["P-9", "P-7", "P-1"]]
    assert registry.numbers.tolist() == [1, 3, 7, 9]
    assert registry.installation_zone.tolist() == [1, 0, 1, 1]
    assert registry.installation_row.tolist() == [2, 0, 1, 0]
    rows = registry.at(FIRST_S, 0).zone(registry.zones[1])
    assert rows.area.tolist() == [1, 0, 1]
    assert (rows.party.tolist(), rows.settling.tolist()) == ([-1, 1, -1], [1])
    order, starts = rows.rows_by_area
    assert (order.tolist(), starts.tolist()) == ([1, 0, 2], [0, 1, 3])
    assert [part.tolist() for part in rows.rows_billed_to(np.array([1, 0]))] == [[1], [0]]


def test_a_meter_that_is_exchanged_is_another_installation_at_the_same_row() -> None:
    at_s = FIRST_S + 37
    new = Installation("gw-2", 5_000, "M-9", 20_000, "P-1", "other", 3, first_registers=[0, 0])
    consortium = Consortium(
        gateways=[gateway("gw-1"), gateway("gw-2")],
        meters=[feeder(1)],
        more=[
            Named(INSTALLATION, "1", RemovedInstallation("P-1", [5, 6]), at_s),
            Named(INSTALLATION, "9", new, at_s),
            Named(POINT, "P-1", Point("a-1", "feeder"), FIRST_S + SLOT_S),
        ],
    )
    registry = MemoryState(consortium.genesis).registry
    before, after = (registry.at(time_s, 0).zone(registry.zones[0]) for time_s in (at_s - 1, at_s))
    assert (before.installation.tolist(), after.installation.tolist()) == ([0], [1])
    assert (before.ratio.tolist(), after.ratio.tolist(), after.modulus_wh.tolist()) == ([1], [3], [20_000])
    assert registry.at(at_s - 1, 0).gateway.tolist() == [0, -1]
    assert registry.at(at_s, 0).gateway.tolist() == [-1, 1]


def test_a_point_has_the_standing_profile_that_is_in_force() -> None:
    flat, steep = StandingProfile([0] * 96, [100] * 96), StandingProfile([0] * 96, [400] * 96)
    consortium = Consortium(
        meters=[feeder(1), feeder(2)],
        more=[
            Named(STANDING_PROFILE, "homes", flat),
            Named(STANDING_PROFILE, "homes", steep, FIRST_S),
            Named(POINT, "P-2", Point("a-1", "feeder", standing_profile="homes"), 1),
        ],
    )
    state = MemoryState(consortium.genesis)
    zone_ = state.registry.zones[0]
    for time_s, expected in ((0, {}), (1, {1: flat}), (FIRST_S - 1, {1: flat}), (FIRST_S, {1: steep})):
        rows = state.registry.at(time_s, 0).zone(zone_)
        profiles = [STANDING_PROFILE.record_of(row_of(state, digest).value) for digest in rows.profile_digests]
        assert {row: profiles[at] for row, at in enumerate(rows.profile.tolist()) if at >= 0} == expected
        assert [state.registry.columns.calendars[at] for at in rows.calendar.tolist()] == ["c"]


def test_a_meter_under_other_transformers_is_the_same_installation_with_other_registers() -> None:
    at_s = FIRST_S + 37
    changed = Installation("gw-1", 500, "M-1", 0, "P-1", "test", 40, [9_000, 8], [0, 1], "new transformers")
    consortium = Consortium(meters=[feeder(1)], more=[Named(INSTALLATION, "1", changed, at_s)])
    registry = MemoryState(consortium.genesis).registry
    before, after = (registry.at(time_s, 0).zone(registry.zones[0]) for time_s in (at_s - 1, at_s))
    assert (before.installation.tolist(), after.installation.tolist()) == ([0], [0])
    assert (before.ratio.tolist(), before.limit_wh.tolist()) == ([1], [10_000])
    assert (after.ratio.tolist(), after.limit_wh.tolist()) == ([40], [500])
    columns = registry.columns
    assert (columns.final_import_wh.tolist(), columns.final_export_wh.tolist()) == ([-1, 9_000], [-1, 8])
    assert (columns.first_import_wh.tolist(), columns.first_export_wh.tolist()) == ([0, 0], [0, 1])


def test_what_is_in_force_between_two_changes_is_worked_out_once() -> None:
    registry = MemoryState(TWO_AREAS.genesis).registry
    assert registry.at(FIRST_S, 0) is registry.at(FIRST_S + SLOT_S, 5)


def test_a_party_that_changes_alone_is_another_one_before_and_after_whichever_is_asked_for_first() -> None:
    """Times between which only parties change were one time: what was asked for first stood for both, node by node."""
    changes_s = FIRST_S + 7
    without = Named(PARTY, "p-1", Party("a-1", UTILITY, trades=False), changes_s)
    state = MemoryState(Consortium(meters=[household(1, "p-1"), household(2, "p-2")], more=[without]).genesis)
    for asked in ((changes_s - 1, changes_s), (changes_s, changes_s - 1)):
        registry = Registry.from_state(state)
        trades = {time_s: registry.at(time_s, 0).parties.trades.tolist() for time_s in asked}
        assert trades == {changes_s - 1: [True, True], changes_s: [False, True]}
