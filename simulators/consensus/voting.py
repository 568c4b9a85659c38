"""What administrators decide while a simulation runs: proposals of every sort that changes nothing the load rests on, and votes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final, Protocol

from gridcore.genesis import Activation, Thresholds
from gridcore.governance.contract import CONTRACT, ApprovedContract
from gridcore.governance.membership import MEMBERSHIP, ChangeMembers
from gridcore.governance.permission import PERMISSION, Permission
from gridcore.governance.protocol import PROTOCOL
from gridcore.governance.sort import Sort
from gridcore.governance.table import Action
from gridcore.governance.thresholds import THRESHOLDS
from gridcore.governance.validators import VALIDATORS, ChangeValidators
from gridcore.registry.signer import SIGNER, Signer
from gridcore.sm3 import sm3
from gridcore.transactions.content import Content, SignedContent
from gridcore.transactions.governance_propose import GovernancePropose
from gridcore.transactions.governance_vote import GovernanceVote
from gridcore.validator import Validator, encode_validators
from simulators.consensus.founding import HOUSEHOLDS, Founding, administrator, key_of, next_key_of, organisation, party

FAR_HEIGHT: Final = 1_000_000
"""What is decided from there on has no effect while a simulation lasts."""
OPEN_S: Final = 7_200
VALID_S: Final = 3_600


class Send(Protocol):
    """How a transaction is sent: signed by ``signer``, until it has a receipt."""

    def __call__(self, signer: str, content: Content) -> SignedContent:
        """Send it."""


class Voting:
    """See the module."""

    def __init__(self, founding: Founding, send: Send, rng: random.Random) -> None:
        self._founding = founding
        self._send = send
        self._rng = rng
        self._count = 0
        self._voters: dict[bytes, list[int]] = {}
        """By proposal: the organisations that have not voted on it."""

    def act(self, ledger_time_s: int) -> None:
        """A proposal or a vote, now and then."""
        if self._rng.random() < 0.08:
            self._propose(ledger_time_s)
        for proposal, voters in list(self._voters.items()):
            if self._rng.random() < 0.3:
                self._vote(proposal, voters.pop(self._rng.randrange(len(voters))), ledger_time_s)
                if not voters:
                    del self._voters[proposal]

    def _propose(self, ledger_time_s: int) -> None:
        organisations = range(len(self._founding.powers))
        proposer, (sort, record) = self._rng.choice(organisations), self._rng.choice(self._draws)()
        content = GovernancePropose(
            client_id=self._client_id(),
            valid_until_s=ledger_time_s + VALID_S,
            action=Action(sort, record).encode(),
            open_until_s=ledger_time_s + OPEN_S,
        )
        proposal = self._send(administrator(proposer), content).id
        if voters := [number for number in organisations if number != proposer]:
            self._voters[proposal] = voters

    def _vote(self, proposal: bytes, voter: int, ledger_time_s: int) -> None:
        content = GovernanceVote(
            client_id=self._client_id(),
            valid_until_s=ledger_time_s + VALID_S,
            in_favour=self._rng.random() < 0.7,
            proposal=proposal,
        )
        self._send(administrator(voter), content)

    def _client_id(self) -> bytes:
        self._count += 1
        return sm3(b"decision %d" % self._count)[:16]

    @property
    def _draws(self) -> list[Callable[[], tuple[Sort[Any], Any]]]:
        others = [self._contract, self._protocol, self._permission, self._thresholds, self._household_key]
        return [*others, self._validators, self._validators]

    def _contract(self) -> tuple[Sort[Any], Any]:
        name = f"other/{self._rng.randrange(4)}"
        return CONTRACT, ApprovedContract(name, sm3(name.encode()), FAR_HEIGHT)

    def _protocol(self) -> tuple[Sort[Any], Any]:
        return PROTOCOL, Activation(self._rng.randint(3, 9), FAR_HEIGHT + self._rng.randrange(9))

    def _permission(self) -> tuple[Sort[Any], Any]:
        return PERMISSION, Permission("market/order", self._rng.choice([["prosumer"], ["aggregator", "prosumer"]]))

    def _thresholds(self) -> tuple[Sort[Any], Any]:
        most = len(self._founding.powers)
        return THRESHOLDS, Thresholds(*(self._rng.randint(1, most + 1) for _ in Thresholds._fields))

    def _validators(self) -> tuple[Sort[Any], Any]:
        """Another set: other powers, other SM2 keys, mostly with everybody; one that was left out comes back by a later one."""
        chosen = [self._changed(found) for found in self._founding.validators]
        if len(chosen) > 1 and self._rng.random() < 0.4:
            chosen.pop(self._rng.randrange(len(chosen)))
        ascending = sorted(chosen, key=lambda found: found.public_key)
        return VALIDATORS, ChangeValidators(encode_validators(ascending))

    def _changed(self, found: Validator) -> Validator:
        key = key_of(found.name) if self._rng.random() < 0.5 else next_key_of(found.name)
        return found._replace(power=self._rng.choice([found.power, 1, 2]), public_key=key.public_key)

    def _household_key(self) -> tuple[Sort[Any], Any]:
        """A household is given another key; what it goes on to sign with the old one is refused."""
        number = self._rng.randrange(len(self._founding.powers))
        name = party(number, self._rng.randrange(HOUSEHOLDS))
        signer = Signer(organisation(number), next_key_of(name).public_key, ["prosumer"])
        row = [SIGNER.key(name), SIGNER.encode(signer)]
        return MEMBERSHIP, ChangeMembers([row], self._rng.randbytes(32))
