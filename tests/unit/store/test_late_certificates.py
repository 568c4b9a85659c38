"""Archive, standby and check follow certificates that come later than their block, some of them never, over changes of the set."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gridcore.header import certificate_message, check_certificate
from gridcore.validator import Validator, powers_of
from ledger.store.archive import Archive, archive_blocks
from ledger.store.check import check_ledger
from ledger.store.directory import GENESIS_NAME
from ledger.store.errors import StoreError
from ledger.store.standby import Standby, restore
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import UTILITY, Consortium
from tests.worlds.faults import UnsyncedFiles
from tests.worlds.keys import key
from tests.worlds.lagging import LaggingLedger, lagging_ledger

FOUR = tuple(
    sorted(
        (Validator(f"v-{n}", UTILITY, key(f"v-{n}").public_key, 1, bytes([n]) * 32) for n in range(1, 5)),
        key=lambda one: one.public_key,
    )
)
CHAIN = Consortium(validators=FOUR)
OFFENCES = {3: FOUR[0], 9: FOUR[1]}
"""Who is caught in which block, and leaves the set."""
HEIGHT = 15


@contextmanager
def made(data_dir: Path, uncovered: Collection[int]) -> Iterator[LaggingLedger]:
    """A ledger whose set changes twice."""
    with lagging_ledger(data_dir, CHAIN, [], uncovered=uncovered) as ledger:
        for height in range(1, HEIGHT + 1):
            ledger.decide([], offenders=[OFFENCES[height]] if height in OFFENCES else [])
        yield ledger


@pytest.mark.parametrize("uncovered", [(), (3, 5), (4, 5, 6), (13,), (12, 13)], ids=str)
def test_an_archive_ends_with_a_certified_block_and_is_restored_with_every_set(
    tmp_path: Path, uncovered: Collection[int]
) -> None:
    with made(tmp_path / "ledger", uncovered) as ledger:
        certified = ledger.certified_height
        assert archive_blocks(tmp_path / "ledger", tmp_path / "archive", UnsyncedFiles()).last == certified
        restored = restore(Archive(tmp_path / "archive"), tmp_path / "standby", CONTRACTS, files=UnsyncedFiles())
        assert restored == (0, certified)
        with closing(Standby.open(tmp_path / "standby", CONTRACTS)) as standby:
            assert standby.certified_height == certified
            for height in range(1, certified + 1):
                assert standby.digest(height) == ledger.digest(height)
                assert standby.validators_at(height) == ledger.validators_at(height)
                # The certificate of the block before the last stands in one that is not archived: the last one's covers it.
                is_brought = height in (certified, *range(1, certified - 1))
                assert standby.certificate(height) == (ledger.certificate(height) if is_brought else [])


def test_a_check_holds_over_late_and_missing_certificates(tmp_path: Path) -> None:
    with made(tmp_path / "ledger", (4, 5)) as ledger:
        heights = [height for height in range(1, HEIGHT + 1) if ledger.certificate(height)]
        for height in heights:
            check_certificate(
                ledger.header(height), ledger.certificate(height), powers_of(ledger.validators_at(height))
            )
    assert 5 not in heights
    report = check_ledger(tmp_path / "ledger", CONTRACTS)
    assert (report.height, report.problems) == (HEIGHT, [])


def test_a_standby_takes_no_block_whose_certificate_is_of_the_set_before(tmp_path: Path) -> None:
    with made(tmp_path / "ledger", ()) as ledger:
        taken_over = next(h for h in range(1, HEIGHT) if len(ledger.validators_at(h + 1)) < len(FOUR))
        records = [ledger.block(height) for height in range(1, HEIGHT + 1)]
        message = certificate_message(ledger.chain, taken_over + 1, ledger.digest(taken_over + 1))
    by_all = [(one.public_key, key(one.name).sign(message)) for one in FOUR]
    (tmp_path / "standby").mkdir()
    (tmp_path / "standby" / GENESIS_NAME).write_bytes(CHAIN.genesis_file)
    with closing(Standby.open(tmp_path / "standby", CONTRACTS, files=UnsyncedFiles())) as standby:
        for record in records[:taken_over]:
            standby.take(record, [])
        with pytest.raises(StoreError, match="which its certificate does not cover"):
            standby.take(records[taken_over], by_all)
