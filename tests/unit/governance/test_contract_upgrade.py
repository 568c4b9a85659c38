"""A contract's life on a ledger that trades: approved by votes, active from a height on, taken by a zone, and replayed for ever."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from gridcore.codes import Code
from gridcore.errors import UsageError
from gridcore.genesis import Activation, Thresholds
from gridcore.governance.contract import CONTRACT, ApprovedContract
from gridcore.governance.protocol import PROTOCOL
from gridcore.governance.table import Action
from gridcore.registry.row import Row
from gridcore.sm3 import sm3
from ledger.contract import Contract
from ledger.leaves.clearing import CLEARING
from ledger.leaves.run import RUN
from ledger.protocol import VERSIONS, ProtocolError
from ledger.state.protocol_rules import ProtocolRules
from ledger.store.directory import init_ledger
from ledger.store.ledger import Ledger
from settlement.catalogue import CONTRACTS, pins
from settlement.contracts.p2p_call_auction_1 import P2pCallAuction
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import FIRST_S, SLOT_S, START_S, Consortium, household, zone
from tests.worlds.faults import UnsyncedFiles
from tests.worlds.keys import key
from tests.worlds.ledgers import decide
from tests.worlds.transactions import Sender, transaction_id

OPENS_S = 2 * SLOT_S
WORLD = Consortium(
    zones=[zone("z-1", open_before_start_s=OPENS_S)],
    meters=[household(1, "p-1"), household(2, "p-2")],
    roles={"admin": ["administrator"], "dso-admin": ["administrator"]},
    organisations={"dso-admin": "dso"},
    thresholds=Thresholds(contract=2),
)
SECOND_ID = "p2p_call_auction/2"
SECOND_PIN = sm3(b"the second version's code")


class SecondAuction(P2pCallAuction):
    """A release of the auction that came later."""

    contract_id = SECOND_ID


class Program(NamedTuple):
    """What a node's release brings."""

    contracts: Mapping[str, Contract]
    pins: Mapping[str, bytes]


OLD = Program(CONTRACTS, pins())
NEW = Program({**CONTRACTS, SECOND_ID: SecondAuction()}, {**pins(), SECOND_ID: SECOND_PIN})
EDITED = Program(NEW.contracts, {**NEW.pins, SECOND_ID: sm3(b"edited on this machine")})


def open_node(data_dir: Path, program: Program) -> Ledger:
    """A node of a release."""
    init_ledger(data_dir, WORLD.genesis_file, UnsyncedFiles())
    clock, files = ManualClock(START_S), UnsyncedFiles()
    return Ledger.open(data_dir, program.contracts, key("operator"), clock, files=files, pins=program.pins)


def trade(sender: Sender, slot_start_s: int) -> list[bytes]:
    """p-2 sells to p-1 in a slot."""
    return [
        sender.order("p-1", "a-1", "buy", 400, 450_000, slot_start_s),
        sender.order("p-2", "a-1", "sell", 300, 300_000, slot_start_s),
    ]


def approve_second(ledger: Ledger, sender: Sender) -> int:
    """Two organisations approve the second auction from two blocks later on; the last height without it."""
    height = ledger.height + 4
    proposal = sender.propose(Action(CONTRACT, ApprovedContract(SECOND_ID, SECOND_PIN, height)))
    assert decide(ledger, [proposal]) == [0]
    assert decide(ledger, [sender.vote(transaction_id(proposal), "dso-admin")]) == [0]
    return height - 1


def switched() -> list[Row]:
    """The zone's row with the second auction, from the opening of the second slot on."""
    found = zone("z-1", open_before_start_s=OPENS_S, from_s=FIRST_S - SLOT_S)
    return list(found._replace(record=found.record._replace(contract=SECOND_ID, contract_pin=SECOND_PIN)).rows())


def test_a_contract_is_upgraded_while_people_trade_and_open_slots_keep_the_old_one(tmp_path: Path) -> None:
    sender = WORLD.sender()
    with closing(open_node(tmp_path, OLD)) as ledger:
        for wire in sender.clocks(FIRST_S - OPENS_S):
            assert decide(ledger, [wire]) == [0]
        assert decide(ledger, trade(sender, FIRST_S)) == [0, 0]
        last = approve_second(ledger, sender)
        early = sender.register(switched())
        assert decide(ledger, [early]) == [Code.RULES_REFUSED], "not before its height"
        assert ledger.height == last
        with pytest.raises(ProtocolError) as raised:
            decide(ledger, [sender.clock(sender.now_s + 1)])
        line = f"block {last + 1}: zones of this chain may name contract {SECOND_ID} with pin {SECOND_PIN.hex()} from here on"
        assert str(raised.value).startswith(line)
        assert "\n" not in str(raised.value)
    for program in (OLD, EDITED):
        with pytest.raises(ProtocolError, match="install a release that has it and start again"):
            open_node(tmp_path, program)
    with closing(open_node(tmp_path, NEW)) as ledger:
        assert ledger.height == last, "nothing was decided meanwhile"
        sender.now_s = FIRST_S - OPENS_S
        assert decide(ledger, [sender.register(switched(), valid_until_s=sender.now_s + 60)]) == [0]
        assert decide(ledger, [sender.clock(FIRST_S - SLOT_S)]) == [0]
        assert decide(ledger, trade(sender, FIRST_S + SLOT_S)) == [0, 0]
        for slot in range(3):
            assert decide(ledger, [sender.clock(FIRST_S + slot * SLOT_S)]) == [0]
            rows = [(1, 400 * slot, 0), (2, 0, 300 * slot)]
            assert decide(ledger, [sender.batch("gw-1", FIRST_S + slot * SLOT_S, rows)]) == [0]
        assert decide(ledger, [sender.clock(FIRST_S + 4 * SLOT_S)]) == [0]
        settled = [CLEARING.must(ledger, FIRST_S + at * SLOT_S, "z-1").contract for at in range(2)]
        runs = [RUN.must(ledger, FIRST_S + at * SLOT_S, "z-1", "initial") for at in range(2)]
        assert settled == [run.contract for run in runs] == ["p2p_call_auction/1", SECOND_ID]
        assert [run.contract_pin for run in runs] == [pins()["p2p_call_auction/1"], SECOND_PIN]
        digest = ledger.digest(ledger.height)
    for derived in tmp_path.glob("state.db*"):
        derived.unlink()
    with closing(open_node(tmp_path, NEW)) as ledger:
        assert ledger.digest(ledger.height) == digest, "old slots replay with the old contract"


def test_a_node_without_the_old_contract_does_not_start(tmp_path: Path) -> None:
    with closing(open_node(tmp_path, OLD)):
        pass
    only_new = Program({SECOND_ID: SecondAuction()}, {SECOND_ID: SECOND_PIN})
    with pytest.raises(UsageError, match="zone/z-1 names contract 'p2p_call_auction/1'; this node has"):
        open_node(tmp_path, only_new)


def test_a_pin_that_is_another_one_than_approved_is_refused_by_the_ledger_itself(tmp_path: Path) -> None:
    """Before, the command that submits rows looked at it alone, and a wrong one stopped every node at its next start."""
    sender = WORLD.sender()
    found = zone("z-1", open_before_start_s=OPENS_S, from_s=START_S + 1)
    wrong = found._replace(record=found.record._replace(contract_pin=bytes(32)))
    with closing(open_node(tmp_path, OLD)) as ledger:
        assert decide(ledger, [sender.register(list(wrong.rows()))]) == [Code.RULES_REFUSED]
    with closing(open_node(tmp_path, OLD)) as ledger:
        assert ledger.height == 1


def test_a_version_of_the_protocol_that_was_voted_on_begins_at_its_height_and_stops_who_lacks_it(
    tmp_path: Path,
) -> None:
    sender = WORLD.sender()
    planted = {**VERSIONS, 3: VERSIONS[2]}

    def open_with(versions: Mapping[int, ProtocolRules]) -> Ledger:
        init_ledger(tmp_path, WORLD.genesis_file, UnsyncedFiles())
        clock, files = ManualClock(START_S), UnsyncedFiles()
        return Ledger.open(tmp_path, CONTRACTS, key("operator"), clock, files=files, versions=versions)

    with closing(open_with(VERSIONS)) as ledger:
        assert decide(ledger, [sender.propose(Action(PROTOCOL, Activation(3, 3)))]) == [0]
        assert decide(ledger, [sender.clock(START_S + 1)]) == [0]
        with pytest.raises(ProtocolError, match="block 3: this chain follows protocol version 3 from here on"):
            decide(ledger, [])
    with closing(open_with(planted)) as ledger:
        assert decide(ledger, [sender.clock(START_S + 2)]) == [0]
        assert [ledger.header(height).protocol_version for height in (1, 2, 3)] == [2, 2, 3]
        digest = ledger.digest(3)
    for derived in tmp_path.glob("state.db*"):
        derived.unlink()
    with closing(open_with(planted)) as ledger:
        assert ledger.digest(3) == digest, "old blocks replay by old rules"
