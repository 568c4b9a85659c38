"""What the machine takes of an engine and of its peers: a genesis that is ours, wishes that end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcore.codes import Code
from gridcore.errors import UsageError
from gridcore.governance.membership import MEMBERSHIP, ChangeMembers
from gridcore.governance.table import Action
from gridcore.registry.signer import SIGNER, Signer
from gridcore.transactions.market_order import MarketOrder
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.machine import UNKNOWN_PEER, Machine
from ledger.engines.cometbft.payloads import encode_wish
from simulators.consensus.founding import AREA_NAME, FIRST_S, START_S, next_key_of, organisation, party
from tests.worlds.quartet import FOUR, Quartet, quartet


@pytest.fixture
def four(tmp_path: Path) -> Iterator[Quartet]:
    with quartet(tmp_path) as found:
        yield found


def test_a_genesis_of_the_engine_with_the_ledgers_validators_is_taken_and_no_other(four: Quartet) -> None:
    machine, validators = four.machines[0], FOUR.validators
    machine.init_chain(FOUR.chain, FOUR.start_ms, validators)
    stranger = validators[0]._replace(consensus_key=bytes(32))
    for others in (validators[1:], [*validators[1:], stranger], [*validators[1:], validators[0]._replace(power=2)]):
        with pytest.raises(UsageError, match="other validators"):
            machine.init_chain(FOUR.chain, FOUR.start_ms, others)


def test_a_stranger_that_tries_again_and_again_is_one_line_of_the_log(
    four: Quartet, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(four.ledger(), peers=frozenset({"ab"}))
    asked = [machine.query(abci.QueryRequest(path=f"/p2p/filter/id/{name}")).code for name in ("AB", *["cd"] * 100)]
    assert asked == [0, *[UNKNOWN_PEER] * 100]
    assert capsys.readouterr().err.count("peer_refused") == 1


def test_a_peer_cannot_ask_for_blocks_of_a_chain_that_has_nothing_to_certify(four: Quartet) -> None:
    four.decide()
    assert {machine.check(encode_wish(four.height)) for machine in four.machines} == {1}
    four.decide([four.clock(START_S + 1)])
    busy = four.height
    four.decide()
    answers = {height: four.machines[1].check(encode_wish(height)) for height in (busy - 1, busy, busy + 1)}
    assert answers == {busy - 1: 1, busy: 0, busy + 1: 1}


def test_transaction_whose_signer_was_given_another_key_while_it_waited_waits_no_longer_and_is_told_why(
    four: Quartet,
) -> None:
    name, machine = party(0, 0), four.machines[0]
    order = MarketOrder(
        area=AREA_NAME,
        counter=1,
        nonce=bytes(16),
        price_micro_per_kwh=300_000,
        quantity_wh=1,
        side="buy",
        slot_start_s=FIRST_S,
    )
    wire = four.sign(name, order).wire
    four.decide()
    assert machine.check(wire) == Code.ACCEPTED
    signer = Signer(organisation(0), next_key_of(name).public_key, ["prosumer"])
    row = [SIGNER.key(name), SIGNER.encode(signer)]
    for sent in four.vote(Action(MEMBERSHIP, ChangeMembers([row], bytes(32)))):
        four.decide([sent])
    assert machine.check(wire, again=True) == Code.WRONG_SIGNATURE
    assert machine.check(wire) == Code.WRONG_SIGNATURE
