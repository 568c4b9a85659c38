"""A chain in memory of a few organisations that vote, and short ways to propose and to vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridcore.genesis import Thresholds
from gridcore.governance.membership import MEMBERSHIP, ChangeMembers
from gridcore.governance.table import Action
from gridcore.registry.organisation import ROLES
from ledger.leaves.proposal import PROPOSAL, ProposalLeaf
from ledger.state.block import Result
from tests.worlds.consortium import START_S, UTILITY, Consortium, feeder, gateway
from tests.worlds.keys import is_cheaply_signed, key, sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender, transaction_id

ORGANISATIONS = (UTILITY, "dso", "retail", "regulator")
ADMINISTRATORS = ("admin", "dso-admin", "retail-admin", "regulator-admin")
"""Of each of the organisations, in their order."""


def consortium(thresholds: Thresholds, *, organisations: int = 4, **changes: Any) -> Consortium:
    """A chain of so many of the organisations."""
    owners = dict(zip(ADMINISTRATORS[:organisations], ORGANISATIONS[:organisations], strict=True))
    return Consortium(
        gateways=[gateway("gw-1")],
        meters=[feeder(1)],
        roles={name: ["administrator"] for name in owners},
        organisations={name: owner for name, owner in owners.items() if owner != UTILITY},
        thresholds=thresholds,
        **changes,
    )


def administrator(organisation: str, hand: str = "") -> list[Any]:
    """The row of an organisation's administrator; ``hand``: another key than its own."""
    name = f"{organisation}-admin"
    public_key = key(hand or name).public_key
    return [f"signer/{name}", {"organisation": organisation, "public_key": public_key, "roles": ["administrator"]}]


def newcomer(name: str) -> list[list[Any]]:
    """The rows of an organisation that joins."""
    return [[f"organisation/{name}", {"roles": list(ROLES), "title": f"The {name}"}], administrator(name)]


def removed(name: str) -> list[list[Any]]:
    """The row of an organisation that leaves."""
    return [[f"organisation/{name}", {"removed": True}]]


def membership(rows: Sequence[Sequence[Any]]) -> Action:
    """An action of members' rows."""
    return Action(MEMBERSHIP, ChangeMembers(rows, bytes(32)))


class Council:
    """One block a call; the codes of its transactions."""

    def __init__(self, world: Consortium) -> None:
        self.sender = Sender(world.chain, START_S, sign_cheaply)
        self.ledger = MemoryLedger(world.genesis, is_cheaply_signed)
        self.again = 0

    def decide(self, *wires: bytes) -> list[int]:
        """The codes of a block of these."""
        results: Sequence[Result] = self.ledger.apply(wires).results
        return [int(result.code) for result in results]

    def propose(self, action: Action, signer: str = "admin", *, open_s: int = 3_600) -> bytes:
        """The id of a proposal that is accepted."""
        wire = self.sender.propose(action, signer=signer, open_s=open_s)
        assert self.decide(wire) == [0]
        return transaction_id(wire)

    def refused(self, action: Action, signer: str = "admin", *, open_s: int = 3_600) -> int:
        """The code of a proposal."""
        return self.decide(self.sender.propose(action, signer=signer, open_s=open_s))[0]

    def vote(self, proposal: bytes, signer: str, *, in_favour: bool = True) -> int:
        """The code of a vote."""
        self.again += 1
        return self.decide(self.sender.vote(proposal, signer, in_favour=in_favour, again=self.again))[0]

    def proposal(self, proposal: bytes) -> ProposalLeaf:
        """A proposal as it stands."""
        return PROPOSAL.must(self.ledger.state, proposal.hex())

    def wait(self, seconds: int) -> None:
        """Ledger time goes on."""
        assert self.decide(self.sender.clock(self.sender.now_s + seconds)) == [0]
