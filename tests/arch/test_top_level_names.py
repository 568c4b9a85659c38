"""Our import names are ours: nobody's distribution shadows or overwrites a package (docs/adr/0001)."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path

import pytest

import gridcore
from tests.arch.rules import PACKAGES

pytestmark = pytest.mark.arch


@pytest.mark.parametrize("name", PACKAGES)
def test_package_lies_beside_gridcore(name: str) -> None:
    home = Path(str(gridcore.__file__)).resolve().parent.parent
    package = importlib.import_module(name)
    assert Path(str(package.__file__)).resolve().parent.parent == home


@pytest.mark.parametrize("name", PACKAGES)
def test_no_other_distribution_holds_the_name(name: str) -> None:
    holders = importlib.metadata.packages_distributions().get(name, [])
    assert set(holders) <= {"gridledger"}  # an editable installation lists nothing here
