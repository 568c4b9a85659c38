"""A validator's data directory at rest: checked as a whole, and read for evidence, wherever its guard stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.validator import Validator
from ledger.store.check import check_ledger
from ledger.store.files import Files
from ledger.store.guard import Guard
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import FIRST_S, UTILITY
from tests.worlds.keys import key
from tests.worlds.lagging import lagging_ledger
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

VALIDATORS = sorted(
    (
        Validator(name, UTILITY, key(name).public_key, 1, bytes([number]) * 32)
        for number, name in enumerate(("operator", "north"))
    ),
    key=lambda one: one.public_key,
)
CHAIN = replace(TWO_AREAS, validators=VALIDATORS)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Of eight blocks, of which six are certified; its guard has signed nothing."""
    with lagging_ledger(tmp_path, CHAIN, [*one_settled_slot(CHAIN.sender()), [], []]):
        return tmp_path


def test_a_validator_that_has_signed_nothing_yet_has_nothing_wrong(directory: Path) -> None:
    report = check_ledger(directory, CONTRACTS)
    assert (report.height, report.problems, report.notes) == (8, [], [])


def test_a_validator_whose_blocks_are_behind_its_guard_gets_them_from_the_others(directory: Path) -> None:
    (directory / "guard").unlink()
    Guard.create(directory / "guard", 11, bytes(32), Files())
    report = check_ledger(directory, CONTRACTS)
    assert report.problems == []
    assert [note.partition(";")[0] for note in report.notes] == [
        "guard: stands at block 11, blocks.log ends with block 8"
    ]


def test_evidence_is_read_from_a_validators_directory(directory: Path) -> None:
    with reading(directory, CONTRACTS, None) as reader:
        assert (reader.height, reader.certified_height) == (8, 6)
        assert reader.ledger_time_s >= FIRST_S
