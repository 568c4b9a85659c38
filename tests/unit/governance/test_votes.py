"""Proposals and votes: one vote an organisation, decided once, at the threshold and not before; and how what nobody decides ends."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.codes import RETRY, Code
from gridcore.genesis import Activation, Thresholds
from gridcore.governance.permission import PERMISSION, Permission
from gridcore.governance.protocol import PROTOCOL
from gridcore.governance.table import SORTS, Action
from gridcore.governance.thresholds import THRESHOLDS
from gridcore.governance.validators import VALIDATORS, ChangeValidators
from gridcore.validator import encode_validators
from ledger.governance import decision, undecided
from ledger.governance.table import RULES
from ledger.kinds.governance_propose import OPEN_S_MAX, OPEN_S_MIN
from ledger.leaves.undecided import UNDECIDED
from ledger.leaves.validators import VALIDATORS as LEAF
from tests.unit.governance.council import (
    ADMINISTRATORS,
    ORGANISATIONS,
    Council,
    consortium,
    membership,
    newcomer,
    removed,
)
from tests.worlds.keys import key

PERMIT = Action(PERMISSION, Permission("clock/advance", ["aggregator", "clock"]))


def permit(role: str) -> Action:
    """An action that differs from others by a role."""
    return Action(PERMISSION, Permission("clock/advance", sorted({"clock", role})))


def test_every_sort_has_a_rule() -> None:
    assert SORTS.keys() == RULES.keys()


def test_a_proposal_passes_with_the_vote_that_reaches_its_threshold_and_takes_effect_in_that_block() -> None:
    council = Council(consortium(Thresholds(registry=3)))
    proposal = council.propose(PERMIT)
    assert list(council.proposal(proposal).in_favour) == [ORGANISATIONS[0]], "who proposes is in favour"
    assert council.vote(proposal, "dso-admin") == 0
    assert (council.proposal(proposal).status, council.ledger.state.get("permissions")) == ("open", None)
    assert council.vote(proposal, "retail-admin") == 0
    decided = council.proposal(proposal)
    assert (decided.status, decided.decided_height, decided.in_favour) == ("passed", 3, ["dso", "retail", "util"])
    assert council.ledger.state.get("permissions") == {"roles": {"clock/advance": ["aggregator", "clock"]}}
    assert council.vote(proposal, "regulator-admin") == Code.NOTHING_TO_VOTE, "it is decided"


def test_a_bad_proposal_is_voted_down_as_soon_as_it_cannot_pass_any_more() -> None:
    council = Council(consortium(Thresholds(registry=3)))
    proposal = council.propose(PERMIT, "regulator-admin")
    assert council.vote(proposal, "admin", in_favour=False) == 0
    assert council.proposal(proposal).status == "open", "three can still be in favour"
    assert council.vote(proposal, "dso-admin", in_favour=False) == 0
    failed = council.proposal(proposal)
    assert (failed.status, failed.decided_height, failed.against, failed.action) == ("failed", 3, ["dso", "util"], b"")
    assert council.vote(proposal, "retail-admin") == Code.NOTHING_TO_VOTE


def test_an_organisation_has_one_vote_whoever_signs_it() -> None:
    council = Council(consortium(Thresholds(registry=3)))
    proposal = council.propose(PERMIT)
    assert council.vote(proposal, "admin") == Code.VOTED_ALREADY
    assert council.vote(proposal, "dso-admin", in_favour=False) == 0
    assert council.vote(proposal, "dso-admin") == Code.VOTED_ALREADY, "a vote is not taken back"
    assert council.vote(bytes(32), "dso-admin") == Code.NOTHING_TO_VOTE
    assert council.vote(proposal, "util") == Code.NOT_PERMITTED, "no administrator"


def test_where_one_decides_a_proposal_passes_by_itself() -> None:
    council = Council(consortium(Thresholds(), organisations=1))
    assert council.proposal(council.propose(PERMIT)).status == "passed"


def test_a_proposal_is_open_for_an_hour_to_a_month_and_votes_after_it_do_not_count() -> None:
    council = Council(consortium(Thresholds(registry=2)))
    assert council.refused(PERMIT, open_s=OPEN_S_MIN - 1) == Code.PROPOSAL_FORM
    assert council.refused(permit("regulator"), open_s=OPEN_S_MAX + 1) == Code.PROPOSAL_FORM
    late, last = council.propose(permit("utility")), council.propose(permit("gateway"), open_s=OPEN_S_MAX)
    council.wait(OPEN_S_MIN)
    assert council.vote(last, "dso-admin") == 0
    council.wait(1)
    assert council.vote(late, "dso-admin") == Code.NOTHING_TO_VOTE
    assert council.proposal(late).status == "open", "nobody has made another one since"
    council.propose(PERMIT)
    assert (council.proposal(late).status, council.proposal(late).action) == ("expired", b"")


def test_an_organisation_has_eight_open_proposals_and_room_for_another_once_one_has_ended() -> None:
    council = Council(consortium(Thresholds(registry=2)))
    roles = [["prosumer"] * (n & 1) + ["utility"] * (n & 2 > 0) + ["gateway"] * (n & 4 > 0) for n in range(16)]
    actions = [Action(PERMISSION, Permission("clock/advance", sorted({*found, "clock"}))) for found in roles[:8]]
    proposals = [council.propose(action) for action in actions]
    assert len(proposals) == undecided.PROPOSALS_MAX
    assert council.refused(PERMIT) == Code.TOO_MANY_PROPOSALS
    assert Code.TOO_MANY_PROPOSALS in RETRY
    assert council.refused(PERMIT, "dso-admin") == 0, "another organisation has its own room"
    assert council.vote(proposals[3], "retail-admin") == 0
    council.propose(permit("regulator"))
    assert council.refused(permit("aggregator"), "admin") == Code.TOO_MANY_PROPOSALS
    council.wait(3_601)
    council.propose(permit("utility"))
    assert len(UNDECIDED.must(council.ledger.state, "util").proposals) == 1


def test_a_limit_counts_for_proposals_made_in_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision, "PROPOSALS_MAX", 1)
    council = Council(consortium(Thresholds(registry=2)))
    wires = [council.sender.propose(permit(role)) for role in ("utility", "regulator")]
    assert council.decide(*wires) == [0, Code.TOO_MANY_PROPOSALS]


def test_votes_of_an_organisation_that_has_left_do_not_count() -> None:
    council = Council(consortium(Thresholds(registry=3)))
    proposal = council.propose(PERMIT, "regulator-admin")
    leaves = council.propose(membership([["organisation/regulator", {"removed": True}]]))
    assert council.proposal(leaves).status == "passed", "one decides on members here"
    assert council.vote(proposal, "dso-admin") == 0
    assert council.vote(proposal, "admin") == 0
    assert council.proposal(proposal).status == "open"
    assert council.vote(proposal, "retail-admin") == 0
    assert council.proposal(proposal).status == "passed"


def test_what_no_longer_fits_when_it_would_pass_stays_open_and_the_vote_can_be_given_again() -> None:
    council = Council(consortium(Thresholds(protocol=2)))
    third, fourth = (council.propose(Action(PROTOCOL, Activation(v, 100 + v))) for v in (3, 4))
    assert council.vote(fourth, "dso-admin") == 0
    assert council.vote(third, "dso-admin") == Code.PROPOSAL_FORM, "version 4 begins at height 104"
    assert council.proposal(third).status == "open"
    assert council.vote(third, "retail-admin", in_favour=False) == 0
    assert council.vote(third, "dso-admin", in_favour=False) == 0


def test_a_change_of_thresholds_needs_the_highest_of_them() -> None:
    council = Council(consortium(Thresholds(contract=1, protocol=1, registry=1, signers=3)))
    proposal = council.propose(Action(THRESHOLDS, Thresholds(1, 2, 1, 1)))
    assert council.vote(proposal, "dso-admin") == 0
    assert council.vote(proposal, "retail-admin") == 0
    assert (council.ledger.state.get("chain") or {})["thresholds"] == Thresholds(1, 2, 1, 1)._asdict()
    assert council.refused(Action(THRESHOLDS, Thresholds(1, 1, 5, 1))) == Code.LAST_OF_ITS_KIND


VOTES = st.lists(st.booleans(), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(VOTES, st.integers(1, 4), st.integers(1, 4))
def test_the_outcome_is_that_of_the_count_whatever_the_order_of_the_votes_in_a_block(
    votes: list[bool], threshold: int, first: int
) -> None:
    in_favour = 1 + sum(votes)
    expected = "passed" if in_favour >= threshold else "failed"
    orders = list(permutations(range(3)))[::first]
    assert orders
    for order in orders:
        council = Council(consortium(Thresholds(registry=threshold)))
        proposal = council.propose(PERMIT)
        wires = [council.sender.vote(proposal, ADMINISTRATORS[1 + at], in_favour=votes[at]) for at in order]
        codes = council.decide(*wires)
        leaf = council.proposal(proposal)
        assert leaf.status == expected
        assert set(codes) <= {0, Code.NOTHING_TO_VOTE}
        assert len({*leaf.in_favour, *leaf.against}) == len(leaf.in_favour) + len(leaf.against)
        if expected == "passed" and threshold > 1:
            assert len(leaf.in_favour) == threshold, "it passed exactly at its threshold"
        counts = council.ledger.state.get("permissions") is not None
        assert counts == (expected == "passed")
        assert council.vote(proposal, "dso-admin") == Code.NOTHING_TO_VOTE, "never decided twice"


def test_a_newcomer_votes_from_the_block_after_the_one_that_admitted_it() -> None:
    council = Council(consortium(Thresholds(registry=2)))
    proposal, joins = council.propose(PERMIT), council.sender.propose(membership(newcomer("store")))
    assert council.decide(joins, council.sender.vote(proposal, "store-admin")) == [0, Code.UNKNOWN_SIGNER]
    assert council.vote(proposal, "store-admin") == 0
    assert council.proposal(proposal).status == "passed"


def test_an_organisation_that_an_earlier_vote_of_the_block_removes_has_no_vote_in_it() -> None:
    council = Council(consortium(Thresholds(registry=2, signers=2)))
    permission, leaves = council.propose(PERMIT), council.propose(membership(removed("regulator")))
    wires = [council.sender.vote(leaves, "dso-admin"), council.sender.vote(permission, "regulator-admin")]
    assert council.decide(*wires) == [0, Code.NOT_PERMITTED]
    assert council.proposal(permission).status == "open"


def test_an_organisation_that_an_earlier_vote_of_the_block_removes_gets_no_validator_in_it() -> None:
    council = Council(consortium(Thresholds(signers=2)))
    (only,) = LEAF.must(council.ledger.state).current
    other = only._replace(name="reg-1", organisation="regulator", public_key=key("reg-1").public_key)
    members = sorted([only, other], key=lambda one: one.public_key)
    certifies = council.propose(Action(VALIDATORS, ChangeValidators(encode_validators(members))))
    leaves = council.propose(membership(removed("regulator")))
    wires = [council.sender.vote(proposal, "dso-admin") for proposal in (leaves, certifies)]
    assert council.decide(*wires) == [0, Code.PROPOSAL_FORM]
    assert LEAF.must(council.ledger.state).pending == ()


def test_who_has_voted_decides_by_the_same_vote_again_once_thresholds_are_lower() -> None:
    council = Council(consortium(Thresholds(registry=3)))
    proposal, lower = council.propose(PERMIT), council.propose(Action(THRESHOLDS, Thresholds(registry=2)))
    assert council.vote(proposal, "dso-admin") == 0
    assert council.vote(proposal, "dso-admin") == Code.VOTED_ALREADY, "nothing is decided yet"
    assert council.vote(lower, "dso-admin") == council.vote(lower, "retail-admin") == 0
    assert council.proposal(proposal).status == "open"
    assert council.vote(proposal, "dso-admin", in_favour=False) == Code.VOTED_ALREADY, "another vote is not the same"
    assert council.vote(proposal, "admin") == 0
    assert (council.proposal(proposal).status, council.proposal(proposal).in_favour) == ("passed", ["dso", "util"])


def test_who_has_voted_ends_by_the_same_vote_again_what_cannot_pass_any_more_without_who_has_left() -> None:
    council = Council(consortium(Thresholds(registry=3)))
    proposal = council.propose(PERMIT)
    assert council.vote(proposal, "dso-admin", in_favour=False) == 0
    council.propose(membership(removed("regulator")))
    assert council.vote(proposal, "dso-admin", in_favour=False) == 0
    assert council.proposal(proposal).status == "failed", "two of three are left"
