"""Arrays that are kept in files where they are large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulators.grid import large_arrays
from simulators.grid.large_arrays import LargeArrays


def test_a_large_array_keeps_its_values_when_its_memory_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_arrays, "IN_MEMORY_BYTES_MAX", 1 << 12)
    arrays = LargeArrays(tmp_path)
    large = arrays((3, 1000), np.int32)
    assert not large.any()
    large[1] = np.arange(1000)
    arrays.forget()
    assert large[1].tolist() == list(range(1000))
    assert not large[0].any()
    assert list(tmp_path.iterdir()) == []


def test_a_small_array_needs_no_file(tmp_path: Path) -> None:
    small = LargeArrays(tmp_path / "absent")((2, 3), np.uint8)
    assert small.tolist() == [[0, 0, 0], [0, 0, 0]]
