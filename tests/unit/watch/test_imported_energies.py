"""Rules over a ledger of imported energies: what it holds as registers, and what of a gap is not known."""

from __future__ import annotations

import numpy as np
import pytest

from gridcore.quality import MISSING
from gridledger.settling.chain import settled_ledger
from gridledger.settling.dataset import InputFile, PointRow
from gridwatch.columns import ABSENT, Watched
from gridwatch.ledger_source import watched_ledger
from gridwatch.rules import Balance, Gaps, Limits, Monotone, Rules
from gridwatch.watch import alerts_of, without_data
from tests.unit.settling.settled_folder import FIRST_S, SLOT_S, dataset_of

SLOTS = 200
"""More than two UTC days."""
POINTS = [
    PointRow("M-1", "one", "A1", limit_wh=500),
    PointRow("M-2", "two", "A1", limit_wh=500),
    PointRow("M-3", "three", "A2", limit_wh=500),
]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Two areas; M-1 lacks slots 100 and 101 and has 400 Wh in slot 7."""
    import_wh = np.add.outer(np.arange(SLOTS), [0, 10, 20]).astype(np.int64) % 50
    import_wh[7, 0] = 400
    quality = np.zeros(import_wh.shape, dtype=np.uint8)
    quality[100:102, 0] = MISSING
    import_wh[100:102, 0] = 0
    dataset = dataset_of(import_wh, import_wh // 2, POINTS)._replace(
        quality=quality, inputs=[InputFile("readings.csv", bytes(32), SLOTS)]
    )
    with settled_ledger(dataset, tmp_path_factory.mktemp("out")) as ledger:
        return watched_ledger(ledger)


def test_registers_are_the_sums_of_energies_and_absent_behind_what_was_not_measured(watched: Watched) -> None:
    first, second = watched.areas
    assert [area.area for area in watched.areas] == ["A1", "A2"]
    assert (first.is_imported, second.is_imported) == (True, True)
    assert first.boundary_s.tolist() == [FIRST_S + SLOT_S * place for place in range(SLOTS + 1)]
    energies = first.slot_energies[0]
    expected = (np.arange(SLOTS) + 10) % 50
    assert (energies[:, 1] == expected).all()
    own = np.arange(SLOTS) % 50
    own[7] = 400
    own[100:103] = ABSENT  # of the slot behind a gap only one boundary is known
    assert (energies[:, 0] == own).all()
    assert (second.height[1:] > 0).all()


def test_gaps_and_limits_are_found_and_other_rules_say_what_they_lack(watched: Watched) -> None:
    rules = Rules(
        rules_version=1,
        gaps=Gaps(boundaries_max=1),
        limits=Limits(percent_max=60),
        monotone=Monotone(back_wh_max=0),
        balance=Balance(learn_days=1, allowance_wh_per_day=0, limit_wh=1),
    )
    found = [(alert.rule, alert.subject, (alert.from_s - FIRST_S) // SLOT_S) for alert in alerts_of(watched, rules)]
    assert found == [("limits", "M-1", 7), ("gaps", "M-1", 101)]
    lacking = without_data(watched, rules)
    assert lacking == {
        "balance": "no meter at the grid above",
        "monotone": "energies of slots were imported, and no registers",
    }
