"""What organisations have voted on a key holds, whatever was registered ahead with the key that it takes."""

from __future__ import annotations

from itertools import count

import pytest

from gridcore.codes import Code
from gridcore.genesis import Thresholds
from gridcore.governance.table import Action
from gridcore.registry.organisation import ROLES
from gridcore.registry.row import Row
from ledger.registry.entries import ENTITY_FAMILIES, ENTRIES_MAX
from tests.unit.governance.council import Council, administrator, consortium, membership
from tests.worlds.consortium import START_S
from tests.worlds.keys import key

DSO = "signer/dso-admin"
NEW_KEY = membership([administrator("dso", "new")])
NO_KEY = membership([[DSO, {"organisation": "dso", "revoked": True}]])


class Stolen(Council):
    """Four organisations, two of which decide on keys; the key of ``dso-admin`` is in the wrong hands."""

    def __init__(self) -> None:
        super().__init__(consortium(Thresholds(signers=2)))
        self.numbers = count(1)

    def ahead(self, after_s: int, hand: str = "thief") -> bytes:
        """Who has the stolen key registers one of its own, from so many seconds after ledger time on."""
        value = {"organisation": "dso", "public_key": key(hand).public_key, "roles": ["administrator"]}
        row = Row(DSO, self.sender.now_s + after_s, value)
        return self.sender.register([row], signer="dso-admin")

    def voted(self, action: Action) -> bytes:
        """The vote that makes ``action`` pass."""
        proposal = self.propose(action, "retail-admin")
        return self.sender.vote(proposal, "regulator-admin")

    def signs(self, hand: str) -> int:
        """The code of what the key of ``hand`` signs as ``dso-admin``."""
        value = {"organisation": "dso", "public_key": key("other").public_key, "roles": ["utility"]}
        row = Row(f"signer/dso-{next(self.numbers)}", self.sender.now_s, value)
        return self.decide(self.sender.register([row], signer="dso-admin", key=hand))[0]


@pytest.fixture
def council() -> Stolen:
    return Stolen()


def test_a_key_registered_ahead_does_not_come_back_after_a_vote_has_given_another_one(council: Stolen) -> None:
    assert council.decide(council.ahead(60)) == [0]
    assert council.decide(council.voted(NEW_KEY)) == [0]
    council.wait(61)
    assert council.signs("thief") == Code.WRONG_SIGNATURE
    assert council.signs("new") == 0


def test_a_key_registered_ahead_does_not_come_back_after_a_vote_has_revoked_the_signer(council: Stolen) -> None:
    assert council.decide(council.ahead(60)) == [0]
    assert council.decide(council.voted(NO_KEY)) == [0]
    council.wait(61)
    assert council.signs("thief") == Code.REVOKED


def test_who_has_the_old_key_does_not_hold_up_the_vote_by_rows_of_its_second_and_block(council: Stolen) -> None:
    vote = council.voted(NEW_KEY)
    assert council.decide(council.ahead(0), vote) == [0, 0]
    assert council.signs("thief") == Code.WRONG_SIGNATURE
    assert council.signs("new") == 0


def test_who_has_the_old_key_does_not_hold_up_the_vote_by_all_the_entries_that_there_is_room_for(
    council: Stolen,
) -> None:
    for after_s in range(1, ENTRIES_MAX):
        assert council.decide(council.ahead(after_s)) == [0]
    assert council.decide(council.ahead(ENTRIES_MAX)) == [Code.REGISTRY_CONFLICT], "it has 64 entries"
    assert council.decide(council.voted(NEW_KEY)) == [0]
    council.wait(ENTRIES_MAX + 1)
    assert council.signs("new") == 0


def test_the_old_key_still_counts_in_the_block_of_the_vote_but_not_for_what_was_voted_on(council: Stolen) -> None:
    vote = council.voted(NEW_KEY)
    assert council.decide(vote, council.ahead(0), council.ahead(60)) == [0, *[Code.REGISTRY_NOT_AHEAD] * 2]
    council.wait(61)
    assert council.signs("new") == 0


def test_of_two_votes_on_a_key_in_one_block_the_second_is_given_again(council: Stolen) -> None:
    first, second = council.voted(NEW_KEY), council.voted(NO_KEY)
    assert council.decide(first, second) == [0, Code.REGISTRY_NOT_AHEAD]
    assert council.signs("new") == 0
    assert council.decide(second) == [0]
    assert council.signs("new") == Code.REVOKED


def test_a_member_does_not_keep_roles_by_a_row_of_its_own_registered_ahead(council: Stolen) -> None:
    title = Row("organisation/dso", council.sender.now_s + 60, {"roles": list(ROLES), "title": "As before"})
    assert council.decide(council.sender.register([title], signer="dso-admin")) == [0]
    fewer = [["organisation/dso", {"roles": ["administrator"], "title": "The dso"}]]
    assert council.decide(council.voted(membership(fewer))) == [0]
    council.wait(61)
    assert council.signs("dso-admin") == Code.NOT_PERMITTED, "it would give the role utility"


def test_what_was_in_force_before_the_vote_is_left_as_it_was(council: Stolen) -> None:
    assert council.decide(council.ahead(10), council.ahead(80)) == [0, 0]
    council.wait(20)
    assert council.decide(council.voted(NEW_KEY)) == [0]
    leaf = ENTITY_FAMILIES["signer"].must(council.ledger.state, "dso-admin")
    begins_s = [entry.from_s - START_S for entry in leaf.entries]
    assert begins_s[1:] == [10, 20], "what was to begin at 80 is gone"
