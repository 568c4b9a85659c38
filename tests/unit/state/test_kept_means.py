"""What a block keeps of what rows used before gaps: each row is computed once, up to a limit."""

from __future__ import annotations

import numpy as np
import pytest

from ledger.leaves.columns import Int64
from ledger.state import kept_means
from ledger.state.kept_means import Asked, KeptMeans

CHUNK = Asked("z", 0, "c")
PLACES = np.array([0, 7])
VALUES_OF_ROW = 2 * len(PLACES)


class Maker:
    """Makes means from rows and begins, and remembers which."""

    def __init__(self) -> None:
        self.made: list[list[tuple[int, list[int]]]] = []
        self.places: list[list[int]] = []

    def __call__(self, places: Int64, asked: list[tuple[int, Int64]]) -> list[Int64]:
        self.places.append(places.tolist())
        self.made.append([(begin, rows.tolist()) for begin, rows in asked])
        return [
            (1_000 * begin + rows)[:, None, None] + 100 * places[None, None].repeat(2, axis=1) for begin, rows in asked
        ]


def ask(kept: KeptMeans, make: Maker, *asked: tuple[int, list[int]], of: Asked = CHUNK) -> list[list[int]]:
    """The means of the rows of each begin at the first place."""
    found = kept.of_rows(of, [(begin, np.array(rows)) for begin, rows in asked], make)
    return [
        means.values[np.searchsorted(means.rows, rows), 1, 0].tolist()
        for means, (_, rows) in zip(found, asked, strict=True)
    ]


def test_rows_are_made_once_for_each_begin_and_those_that_come_later_alone() -> None:
    kept, make = KeptMeans(), Maker()
    kept.places(CHUNK, PLACES, make)
    assert ask(kept, make, (1, [2, 4]), (2, [4])) == [[1_002, 1_004], [2_004]]
    assert ask(kept, make, (1, [2, 3, 4]), (2, [4])) == [[1_002, 1_003, 1_004], [2_004]]
    assert ask(kept, make, (1, [3]), (2, [4])) == [[1_003], [2_004]]
    assert make.made == [[(1, [2, 4]), (2, [4])], [(1, [3])]]


def test_rows_up_to_the_limit_are_kept_and_one_more_is_made_again_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_means, "VALUES_MAX", 3 * VALUES_OF_ROW)
    kept, make = KeptMeans(), Maker()
    kept.places(CHUNK, PLACES, make)
    ask(kept, make, (1, [1, 2, 3]))
    assert kept.size == 3 * VALUES_OF_ROW
    for _ in range(2):
        assert ask(kept, make, (1, [1, 2, 3]), (2, [9])) == [[1_001, 1_002, 1_003], [2_009]]
    assert make.made == [[(1, [1, 2, 3])], [(2, [9])], [(2, [9])]]
    assert kept.size == 3 * VALUES_OF_ROW


def test_places_that_nobody_asked_for_before_are_made_alone_for_the_rows_that_are_kept() -> None:
    kept, make = KeptMeans(), Maker()
    assert kept.places(CHUNK, PLACES, make).tolist() == [0, 7]
    ask(kept, make, (1, [1, 2]))
    assert kept.places(CHUNK, np.array([7]), make).tolist() == [0, 7]
    assert kept.places(CHUNK, np.array([3, 7]), make).tolist() == [0, 3, 7]
    [means] = kept.of_rows(CHUNK, [(1, np.array([2]))], make)
    assert means.values[1].tolist() == [[1_002, 1_302, 1_702]] * 2
    assert (make.places, make.made) == ([[0, 7], [3]], [[(1, [1, 2])]] * 2)
    assert kept.size == 2 * 2 * 3


@pytest.mark.parametrize(("limit", "most"), [("PLACES_MAX", 3), ("VALUES_MAX", 2 * 3)])
def test_places_up_to_a_limit_are_kept_and_one_more_begins_the_chunk_anew(
    limit: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_means, limit, most)
    kept, make = KeptMeans(), Maker()
    kept.places(CHUNK, PLACES, make)
    ask(kept, make, (1, [1]))
    assert kept.places(CHUNK, np.array([9]), make).tolist() == [0, 7, 9]
    assert kept.size == 2 * 3
    assert kept.places(CHUNK, np.array([4]), make).tolist() == [4]
    assert kept.size == 0
    assert ask(kept, make, (1, [1])) == [[1_401]]
