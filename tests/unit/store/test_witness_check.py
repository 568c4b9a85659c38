"""What gateways testify in the chain, found by the check of a whole directory, and what a consortium's node makes of a witness ahead of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from gridcore.transactions.reading_batch import VerifiedHeader
from gridcore.validator import Validator
from ledger.store.check import CheckReport, check_ledger
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import UTILITY, Consortium
from tests.worlds.feeders import FEEDERS, FIRST_SLOT_S, START_S, clock_advance
from tests.worlds.keys import key
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.two_areas import TWO_AREAS

OTHER = b"another header of 32 bytes......"


def checked(tmp_path: Path, *witnessed: tuple[str, int, bytes]) -> CheckReport:
    """A ledger of the clock's block and one block for each (gateway, height, digest; b"": its own) that a batch names."""
    sender = FEEDERS.sender()
    with closing(open_ledger(tmp_path)) as ledger:
        assert decide(ledger, [clock_advance(START_S + 1)]) == [0]
        for gateway, height, digest in witnessed:
            receipt = VerifiedHeader(height, digest or ledger.digest(height))
            assert decide(
                ledger, [sender.batch(gateway, FIRST_SLOT_S, [(int(gateway[-1]), 0, 0)], receipt=receipt)]
            ) == [0]
    return check_ledger(tmp_path, CONTRACTS)


def test_headers_of_this_history_are_no_testimony_against_it(tmp_path: Path) -> None:
    report = checked(tmp_path, ("gw-1", 0, b""), ("gw-2", 1, b""), ("gw-1", 3, b""))
    assert (report.holds, report.testimonies) == (True, [])


def test_a_gateway_that_knows_another_history_is_named_with_the_transaction_that_says_so(tmp_path: Path) -> None:
    report = checked(tmp_path, ("gw-2", 1, OTHER), ("gw-1", 1, b""), ("gw-2", 1, OTHER))
    (testimony,) = report.testimonies
    assert (testimony.gateway, testimony.height, testimony.batches) == ("gw-2", 2, 2)
    assert testimony.witnessed == VerifiedHeader(1, OTHER)
    assert testimony.line.startswith(
        f"gw-2 has verified header 1 as {OTHER.hex()}, here it is {testimony.expected.hex()}"
    )
    assert report.holds, "a gateway may lie: its word is no fault of these files"


def test_a_header_that_nobody_could_have_had_is_a_testimony_too(tmp_path: Path) -> None:
    for name, height in (("above", 2), ("far", 1 << 62), ("below", -1)):
        (testimony,) = checked(tmp_path / name, ("gw-1", height, OTHER)).testimonies
        assert "which no block had then" in testimony.line


def test_a_witness_ahead_of_a_consortiums_node_is_no_alarm_and_one_of_another_history_is(tmp_path: Path) -> None:
    """A gateway that goes over to another node may have a receipt that this one will come to."""
    validator = Validator("operator", UTILITY, key("operator").public_key, 1, bytes(32))
    consortium = Consortium(
        gateways=TWO_AREAS.gateways, areas=TWO_AREAS.areas, zones=TWO_AREAS.zones, validators=[validator]
    )
    sender = consortium.sender()
    with closing(open_ledger(tmp_path, consortium)) as ledger:
        decide(ledger, [sender.clock(consortium.start_s + 1)])
        for height, is_missing in ((1, True), (2, False), (7, False)):
            batch = sender.batch("gw-1", consortium.start_s, [(1, 0, 0)], receipt=VerifiedHeader(height, OTHER))
            (examined,) = ledger.examine([batch])
            assert (examined.missing is not None) == is_missing, height
