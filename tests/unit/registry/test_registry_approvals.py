"""registry/approve: where the genesis asks for two organisations, what one registers of the grid waits for another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridcore.codes import Code
from gridcore.genesis import Thresholds
from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from gridcore.registry.row import Row
from gridcore.transactions.registry_approve import RegistryApprove
from ledger.kinds import registry_register
from ledger.leaves.pending import PENDING
from ledger.leaves.undecided import UNDECIDED
from tests.worlds.consortium import FIRST_S, SLOT_S, START_S, UTILITY, Consortium, feeder, gateway
from tests.worlds.keys import is_cheaply_signed, key, sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender, transaction_id

WORLD = Consortium(
    gateways=[gateway("gw-1"), gateway("gw-2", organisation="dso")],
    meters=[feeder(1)],
    roles={"admin": ["administrator"], "dso-admin": ["administrator"], "third": ["administrator"]},
    organisations={"dso-admin": "dso", "third": "third"},
    thresholds=Thresholds(registry=2),
)
LOAD = [*Named(POINT, "P-2", Point("a-1", "load"), FIRST_S).rows()]
KEY = Row(
    "signer/gw-1", START_S, {"organisation": UTILITY, "public_key": key("gw-1+").public_key, "roles": ["gateway"]}
)


class Chain:
    """A chain in memory of three organisations."""

    def __init__(self, world: Consortium = WORLD) -> None:
        self.sender = Sender(world.chain, START_S, sign_cheaply)
        self.ledger = MemoryLedger(world.genesis, is_cheaply_signed)

    def decide(self, wire: bytes) -> int:
        """The code of a block of one transaction."""
        return int(self.ledger.apply([wire]).results[0].code)

    def submit(self, rows: list[Row]) -> bytes:
        """Submit rows as the utility; the id of the transaction, which is accepted."""
        wire = self.sender.register(rows)
        assert self.decide(wire) == 0
        return transaction_id(wire)

    def approve(self, transaction: bytes, signer: str, number: int = 0) -> int:
        """The code of an approval."""
        content = RegistryApprove(
            client_id=number.to_bytes(16, "big"), valid_until_s=self.sender.now_s + 60, transaction=transaction
        )
        return self.decide(self.sender.signed(signer, content))

    def has(self, name: str) -> bool:
        """Whether an entity is there."""
        return self.ledger.state.get(name) is not None


@pytest.fixture
def chain() -> Chain:
    return Chain()


def test_rows_of_the_grid_wait_for_a_second_organisation(chain: Chain) -> None:
    transaction = chain.submit(LOAD)
    assert not chain.has("point/P-2")
    assert chain.approve(transaction, "admin") == Code.APPROVED_ALREADY, "who submitted does not approve"
    assert chain.approve(transaction, "dso-admin") == 0
    leaf = chain.ledger.state.get("point/P-2") or {}
    assert [entry[:2] for entry in leaf["entries"]] == [[FIRST_S, 3]], "recorded by the block of the approval"
    assert chain.approve(transaction, "third") == Code.NOTHING_PENDING
    pending = PENDING.must(chain.ledger.state, transaction.hex())
    assert (list(pending.approved_by), list(pending.rows)) == (["dso"], [])


def test_what_an_organisation_has_to_itself_waits_for_nobody(chain: Chain) -> None:
    chain.submit([KEY])
    assert len((chain.ledger.state.get("signer/gw-1") or {})["entries"]) == 2
    assert chain.decide(chain.sender.register([KEY._replace(from_s=START_S + 1), *LOAD])) == Code.REGISTRY_CONFLICT


def test_three_organisations_approve_one_after_the_other() -> None:
    chain = Chain(replace(WORLD, thresholds=Thresholds(registry=3)))
    transaction = chain.submit(LOAD)
    assert chain.approve(transaction, "dso-admin") == 0
    assert not chain.has("point/P-2")
    assert chain.approve(transaction, "dso-admin", 1) == Code.APPROVED_ALREADY
    assert chain.approve(transaction, "third") == 0
    assert chain.has("point/P-2")


def test_what_waited_and_is_over_is_dropped_when_its_organisation_registers_the_next(chain: Chain) -> None:
    """Before, what expired stood in the state as if it waited, for ever."""
    expired = chain.submit(LOAD)
    foreign = transaction_id(
        wire := chain.sender.register([LOAD[0]._replace(from_s=FIRST_S + 2 * SLOT_S)], signer="dso-admin")
    )
    assert chain.decide(wire) == 0
    assert chain.decide(chain.sender.clock(START_S + 3_601)) == 0
    assert PENDING.must(chain.ledger.state, expired.hex()).rows
    newer = chain.submit([LOAD[0]._replace(from_s=FIRST_S + SLOT_S)])
    assert PENDING.must(chain.ledger.state, expired.hex()).rows == ()
    assert PENDING.must(chain.ledger.state, foreign.hex()).rows, "another organisation's ends with its own next one"
    assert UNDECIDED.must(chain.ledger.state, UTILITY).registrations == [newer]
    assert chain.approve(newer, "dso-admin") == 0
    assert UNDECIDED.must(chain.ledger.state, UTILITY).registrations == []


def test_an_organisation_has_so_many_registrations_waiting_and_no_more(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_register, "REGISTRATIONS_MAX", 2)
    first, _ = (chain.submit([LOAD[0]._replace(from_s=FIRST_S + n * SLOT_S)]) for n in range(2))
    more = [LOAD[0]._replace(from_s=FIRST_S + 9 * SLOT_S)]
    assert chain.decide(chain.sender.register(more)) == Code.TOO_MANY_PROPOSALS
    assert chain.decide(chain.sender.register(more, signer="third")) == 0
    assert chain.approve(first, "dso-admin") == 0
    assert chain.decide(chain.sender.register(more)) == 0


def test_an_approval_comes_in_time_and_for_rows_that_still_fit(chain: Chain) -> None:
    transaction = chain.submit(LOAD)
    again = chain.submit([LOAD[0]._replace(from_s=FIRST_S + SLOT_S)])
    changed = chain.submit([LOAD[0]._replace(from_s=FIRST_S, value={"area": "a-1", "role": "feeder"})])
    assert chain.approve(bytes(32), "dso-admin") == Code.NOTHING_PENDING
    assert chain.approve(transaction, "dso-admin") == 0
    assert chain.approve(changed, "dso-admin", 1) == 0, "another block's row of the same time replaces it"
    assert chain.decide(chain.sender.clock(START_S + 3_601)) == 0
    assert chain.approve(again, "dso-admin", 2) == Code.NOTHING_PENDING, "it was valid for an hour"
