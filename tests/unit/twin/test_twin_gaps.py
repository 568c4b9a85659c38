"""The split of a closed gap, beside the slow twin's: in the shape of earlier days, evenly where a slot would get too much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridcore.registry.installation import PRIMARY_LIMIT_WH_MAX
from ledger.state.estimates import SlotGroups, estimate_profile, profile_share
from ledger.state.missing import _split_gaps
from tests.twin import estimates
from tests.twin.estimates import Gap, Place, share

PLACE = Place("z", 0, "P", "c")
ENERGIES = st.sampled_from([0, 1, 7, 250, PRIMARY_LIMIT_WH_MAX])


@given(weights=st.lists(ENERGIES, min_size=2, max_size=6), part=st.integers(0, 10**6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_gap_is_split_as_the_twin_splits_it_and_no_slot_gets_more_than_a_meter_makes(
    weights: Sequence[int], part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance_wh = len(weights) * PRIMARY_LIMIT_WH_MAX * part // 10**6
    monkeypatch.setattr(estimates, "reference_days", lambda twin, place, slot: [(weights[slot], 0)])
    gap = Gap(list(range(len(weights))), (advance_wh, 0))
    expected = [share(None, PLACE, slot, gap, 0) for slot in gap.slots]  # type: ignore[arg-type]  # the twin is not asked
    reference_wh = np.array(weights, dtype=np.int64)[None, None, :]
    found = _split_gaps(np.array([advance_wh]), reference_wh, np.ones((1, len(weights)), dtype=bool))
    assert found[0].tolist() == expected
    assert max(expected) <= PRIMARY_LIMIT_WH_MAX
    assert sum(expected) == advance_wh


@given(
    st.lists(st.lists(st.sampled_from([1, 2, 250, 10**9, 10**14]), min_size=3, max_size=3), min_size=1, max_size=3),
    st.lists(st.integers(0, 2), min_size=1, max_size=40),
    st.lists(st.sampled_from([0, 1, 17, 10**6, 4_320 * 10**9]), min_size=3, max_size=3),
)
def test_the_shares_of_all_slots_of_a_gap_by_groups_are_those_of_its_split_slot_by_slot(
    weights: list[list[int]], places: list[int], rests: list[int]
) -> None:
    """Three gaps of the same slots; ``places``: the group of each slot, with the weight that each group has in each gap."""
    met, group_of = np.unique([place % len(weights) for place in places], return_inverse=True)
    by_group = np.array(weights, dtype=np.int64)[met]
    rest_wh = np.array(rests, dtype=np.int64)
    everywhere = np.ones((3, len(group_of)), dtype=bool)
    expected = estimate_profile(rest_wh, by_group[group_of].T[None], everywhere)
    counts = np.bincount(group_of)[:, None].repeat(3, axis=1)
    found = []
    for here, group in enumerate(group_of.tolist()):
        earlier = np.bincount(group_of[:here], minlength=len(met))[:, None].repeat(3, axis=1)
        share, _ = profile_share(rest_wh, by_group, SlotGroups(counts, earlier, np.full(3, group)))
        found.append(share)
    assert np.array_equal(np.stack(found, axis=1), expected)
    assert np.stack(found).sum(axis=0).tolist() == rests
