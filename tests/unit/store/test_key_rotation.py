"""The key of a node that certifies alone changes by votes: the old key certifies who comes, the new one goes on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridcore.governance.table import Action
from gridcore.governance.validators import VALIDATORS, ChangeValidators
from gridcore.header import check_certificate, signers_digest
from gridcore.validator import Validator, encode_validators, powers_of
from ledger.engines.embedded import EmbeddedEngine
from ledger.evidence_ledger import ReaderEvidence
from ledger.store.archive import Archive, archive_blocks
from ledger.store.check import check_ledger
from ledger.store.ledger import Ledger
from ledger.store.standby import Standby, restore
from ledger.store.state_db import DB_NAME
from settlement.catalogue import CONTRACTS
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import START_S, UTILITY, Consortium, feeder
from tests.worlds.faults import UnsyncedFiles
from tests.worlds.keys import key, sign
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.transactions import Sender

VILLAGE = Consortium(meters=[feeder(1)], roles={"admin": ["administrator"]})
OLD, NEW = VILLAGE.genesis.validators, (Validator("operator", UTILITY, key("operator-2").public_key),)
ROTATE = Sender(VILLAGE.chain, START_S, sign).propose(Action(VALIDATORS, ChangeValidators(encode_validators(NEW))))


def open_with(data_dir: Path, *names: str) -> Ledger:
    """The ledger, opened by a node that has these keys."""
    first, *more = (key(name) for name in names)
    return Ledger.open(data_dir, CONTRACTS, first, ManualClock(START_S), more_keys=more, files=UnsyncedFiles())


def go_on(ledger: Ledger) -> None:
    """Blocks until nothing is left to do, as the engine makes them."""
    while ledger.work_pending:
        ledger.check_next_block()
        ledger.make_block([])


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    """The directory of a node that has gone on with its next key."""
    data_dir = tmp_path / "ledger"
    open_ledger(data_dir, VILLAGE).close()
    with closing(open_with(data_dir, "operator", "operator-2")) as ledger:
        assert decide(ledger, [ROTATE]) == [0]
        go_on(ledger)
    return data_dir


def certified_by(ledger: Ledger) -> list[Sequence[Validator]]:
    """Whose certificate each header has."""
    found: list[Sequence[Validator]] = []
    for height in range(1, ledger.height + 1):
        header, certificate = ledger.header(height), ledger.certificate(height)
        (signer,) = (one for one in (OLD, NEW) if powers_of(one)[0][0] == certificate[0][0])
        check_certificate(header, certificate, powers_of(signer))
        found.append(signer)
    return found


def test_the_old_key_certifies_who_comes_and_the_new_one_goes_on(rotated: Path) -> None:
    with closing(open_with(rotated, "operator-2")) as ledger:
        assert certified_by(ledger) == [OLD, OLD, NEW]
        named = [(header.signers, header.signers_pending) for header in map(ledger.header, (1, 2, 3))]
        old, new = signers_digest(powers_of(OLD)), signers_digest(powers_of(NEW))
        assert named == [(old, new), (new, b""), (new, b"")]
        assert [ledger.validators_at(height) for height in (1, 2, 3)] == [OLD, OLD, NEW]
        assert [(one.height, one.signers) for one in ReaderEvidence(ledger).handovers(3)] == [(1, powers_of(NEW))]
        assert decide(ledger, []) == []


def test_the_old_key_alone_signs_nothing_more_in_one_line(rotated: Path) -> None:
    with pytest.raises(UsageError, match="no power to certify block 4 alone") as raised:
        open_with(rotated, "operator")
    assert "\n" not in str(raised.value)


def test_a_node_without_the_next_key_stops_where_the_set_takes_over(tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path, VILLAGE)) as ledger:
        assert decide(ledger, [ROTATE]) == [0]
        with pytest.raises(UsageError, match="no power to certify block 3 alone"):
            go_on(ledger)
        assert ledger.height == 2, "the block in which the set takes over is the old key's still"
    with closing(open_with(tmp_path, "operator", "operator-2")) as ledger:
        go_on(ledger)
        assert certified_by(ledger) == [OLD, OLD, NEW]


async def test_the_engine_of_a_node_without_the_next_key_stops_with_that_line(tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path, VILLAGE)) as ledger:
        async with EmbeddedEngine(ledger) as engine:
            (outcome,) = await engine.submit([ROTATE])
            assert outcome.code == 0
            with pytest.raises(UsageError, match="no power to certify block 3 alone"):
                await engine.wait_stopped()


def test_everything_is_derived_again_over_a_change_of_key(rotated: Path) -> None:
    (rotated / DB_NAME).unlink()
    with closing(open_with(rotated, "operator", "operator-2")) as ledger:
        assert certified_by(ledger) == [OLD, OLD, NEW]
    report = check_ledger(rotated, CONTRACTS)
    assert (report.height, report.problems) == (3, [])


def test_an_archive_is_restored_over_a_change_of_key(rotated: Path, tmp_path: Path) -> None:
    assert archive_blocks(rotated, tmp_path / "archive", UnsyncedFiles()).last == 3
    assert restore(Archive(tmp_path / "archive"), tmp_path / "standby", CONTRACTS, files=UnsyncedFiles()) == (0, 3)
    with closing(Standby.open(tmp_path / "standby", CONTRACTS)) as standby:
        assert standby.validators_at(3) == NEW
