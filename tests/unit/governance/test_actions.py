"""What each sort of action does, and what it may not do."""

from __future__ import annotations

from typing import Any

import pytest

from gridcore import cbor
from gridcore.codes import Code
from gridcore.errors import EncodingError
from gridcore.genesis import Activation, Thresholds
from gridcore.governance.contract import CONTRACT, ApprovedContract
from gridcore.governance.membership import MEMBERSHIP, ROWS_MAX, ChangeMembers
from gridcore.governance.permission import PERMISSION, PROVEN, Permission
from gridcore.governance.protocol import PROTOCOL
from gridcore.governance.table import ACTION_BYTES_MAX, Action, decode_action, read_action
from gridcore.governance.thresholds import THRESHOLDS
from gridcore.governance.validators import VALIDATORS, ChangeValidators
from gridcore.registry.organisation import ROLES
from gridcore.registry.row import Row
from gridcore.sm3 import sm3
from gridcore.validator import Validator, encode_validators
from gridevidence.layout import ROLE_OF_KIND
from ledger.governance import contract as contract_rule
from ledger.governance import protocol as protocol_rule
from ledger.leaves.validators import VALIDATORS as LEAF
from tests.unit.governance.council import (
    Council,
    administrator,
    consortium,
    membership,
    newcomer,
    removed,
)
from tests.worlds.consortium import FIRST_S, START_S
from tests.worlds.keys import key
from tests.worlds.transactions import Sender

ACTIONS = [
    membership(newcomer("store")),
    membership(removed("dso")),
    Action(CONTRACT, ApprovedContract("p2p/2", sm3(b"code"), 9)),
    Action(PROTOCOL, Activation(3, 9)),
    Action(PERMISSION, Permission("clock/advance", ["clock", "utility"])),
    Action(THRESHOLDS, Thresholds(1, 2, 3, 4)),
]


@pytest.fixture
def council() -> Council:
    """Four organisations, each of which decides alone."""
    return Council(consortium(Thresholds()))


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.sort.name)
def test_an_action_comes_back_from_its_bytes(action: Action) -> None:
    assert decode_action(action.encode()).encode() == action.encode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([], "sort is one of membership"),
        ({"sort": "weather"}, "sort is one of membership"),
        ({"sort": "contract", "contract": "p2p/2", "pin": bytes(32)}, "contract: height is missing"),
        ({"sort": "contract", "contract": "p2p/2", "pin": bytes(31), "height": 1}, "contract: pin is 32 bytes"),
        (
            {"sort": "contract", "contract": "p2p/2", "pin": bytes(32), "height": 0},
            "contract: height is a whole number",
        ),
        ({"sort": "protocol", "version": 2, "height": 9}, "protocol: version is a whole number, 3 to"),
        ({"sort": "permission", "kind": "clock/advance", "roles": []}, "permission: roles is an ascending array"),
        ({"sort": "permission", "kind": "registry/approve", "roles": ["utility"]}, "stays with administrator"),
        (
            {"sort": "permission", "kind": "market/order", "roles": ["prosumer"]},
            "evidence rests on market/order, so its",
        ),
        ({"sort": "permission", "kind": "governance/vote", "roles": ["utility"]}, "stays with administrator"),
        ({"sort": "thresholds", "contract": 1, "protocol": 1, "registry": 1}, "thresholds: signers is missing"),
        (
            {"sort": "thresholds", "contract": 1, "protocol": 1, "registry": 1, "signers": 0},
            "signers is a whole number",
        ),
        ({"sort": "membership", "rows": [], "seed": bytes(32)}, "rows is an array of 1 to 16"),
        ({"sort": "membership", "rows": newcomer("a") * 9, "seed": bytes(32)}, "rows is an array of 1 to 16"),
        ({"sort": "membership", "rows": [["zone/z", {}]], "seed": bytes(32)}, "row 1: its key is organisation/NAME"),
        (
            {"sort": "membership", "rows": [["signer/x y", {}]], "seed": bytes(32)},
            "row 1: its key is organisation/NAME",
        ),
        (
            {"sort": "membership", "rows": [["organisation/a", {"roles": ["king"], "title": "A"}]], "seed": bytes(32)},
            "row 1, organisation/a: roles is an ascending array",
        ),
    ],
)
def test_what_is_no_action_is_told_in_one_line(fields: Any, words: str) -> None:
    with pytest.raises(EncodingError, match=words) as raised:
        read_action(fields)
    assert "\n" not in str(raised.value)


def test_bytes_that_are_no_action_are_refused_by_the_ledger(council: Council) -> None:
    for encoded in (b"\xf6", ACTIONS[0].encode() + b"\x00", cbor.encode({"sort": "contract"})):
        identity = {"client_id": sm3(encoded)[:16], "valid_until_s": START_S}
        body = {"action": encoded, "open_until_s": START_S + 3_600}
        assert council.decide(council.sender.wire("governance/propose", "admin", identity, body)) == [24]


def test_an_action_fits_into_what_is_signed() -> None:
    rows = [[f"organisation/o-{n}", {"roles": list(ROLES), "title": "é" * 200}] for n in range(ROWS_MAX)]
    assert len(membership(rows).encode()) < ACTION_BYTES_MAX
    rows = [[f"signer/{'s' * 60}-{n}", administrator("a")[1]] for n in range(ROWS_MAX)]
    assert len(Action(MEMBERSHIP, ChangeMembers(rows, bytes(32))).encode()) < ACTION_BYTES_MAX


# ---------------------------------------------------------------------------------------------------------- membership


def test_an_organisation_joins_with_its_administrator_who_then_enrols_its_own_keys(council: Council) -> None:
    council.propose(membership(newcomer("store")))
    row = administrator("store")
    key_row = {**row[1], "roles": ["utility"]}
    wire = council.sender.register([Row("signer/store-desk", council.sender.now_s, key_row)], signer="store-admin")
    assert council.decide(wire) == [0]


def test_who_is_to_vote_comes_with_a_signer_that_can(council: Council) -> None:
    """Else it would count among those of whom the thresholds are a part, and nobody could vote for it."""
    organisation, admin = newcomer("store")
    desk = [admin[0], {**admin[1], "roles": ["utility"]}]
    assert council.refused(membership([organisation])) == Code.REGISTRY_CONFLICT
    assert council.refused(membership([organisation, desk])) == Code.REGISTRY_CONFLICT
    assert council.refused(membership([[organisation[0], {"roles": ["utility"], "title": "No vote"}]])) == 0
    assert council.refused(membership([organisation])) == Code.REGISTRY_CONFLICT, "it is there, and is to vote now"
    assert council.refused(membership([organisation, admin])) == 0
    assert council.refused(membership([organisation])) == 0, "it votes already"


def test_an_organisation_that_has_left_signs_nothing_more_and_does_not_come_back(council: Council) -> None:
    council.propose(membership(removed("retail")))
    assert council.refused(ACTIONS[3], "retail-admin") == Code.REVOKED
    assert council.refused(membership(newcomer("retail"))) == Code.REGISTRY_CONFLICT
    assert council.refused(membership([administrator("retail")])) == Code.NOT_PERMITTED
    order = Sender(council.sender.chain, START_S, council.sender.sign).order(
        "retail-admin", "a-1", "buy", 1, 1, FIRST_S
    )
    assert council.decide(order) == [Code.REVOKED]


def test_a_lost_key_is_replaced_by_the_others_votes() -> None:
    council = Council(consortium(Thresholds(signers=2)))
    proposal = council.propose(membership([administrator("dso", "dso-new")]), "retail-admin")
    assert council.vote(proposal, "regulator-admin") == 0
    wire = council.sender.propose(ACTIONS[4], signer="dso-admin")
    assert council.decide(wire) == [Code.WRONG_SIGNATURE]


def test_who_registers_alone_does_not_decide_alone_who_may_move_the_clock() -> None:
    """A consortium is founded with registry = 1: one member could have taken clock and epochs from all others."""
    council = Council(consortium(Thresholds(signers=3)))
    proposal = council.propose(Action(PERMISSION, Permission("metering/open_epoch", ["regulator"])))
    assert council.proposal(proposal).status == "open"


def test_a_removed_organisation_does_not_come_back_by_a_row_that_begins_later(council: Council) -> None:
    """Whoever saw the vote coming could once register a row of its own for the next day, and went on as if nothing had happened."""
    again = Row("organisation/dso", START_S + 60, {"roles": list(ROLES), "title": "Back"})
    assert council.decide(council.sender.register([again], signer="dso-admin")) == [0]
    council.propose(membership(removed("dso")))
    council.wait(120)
    assert council.refused(ACTIONS[4], "dso-admin") == Code.REVOKED
    assert council.refused(Action(THRESHOLDS, Thresholds(4, 1, 1, 1))) == Code.LAST_OF_ITS_KIND
    member = Validator("v", "dso", key("v").public_key, 1, b"")
    assert council.refused(voted_set(member)) == Code.PROPOSAL_FORM
    assert council.refused(membership(newcomer("dso"))) == Code.REGISTRY_CONFLICT


def test_nobody_is_removed_where_too_few_would_be_left_to_decide() -> None:
    council = Council(consortium(Thresholds(registry=4)))
    assert council.refused(membership(removed("dso"))) == Code.LAST_OF_ITS_KIND
    without = [["organisation/dso", {"roles": ["utility"], "title": "The dso"}]]
    assert council.refused(membership(without)) == Code.LAST_OF_ITS_KIND
    alone = Council(consortium(Thresholds(), organisations=1))
    only = [["organisation/util", {"roles": ["utility"], "title": "The util"}]]
    assert alone.refused(membership(only)) == Code.LAST_OF_ITS_KIND


def test_two_removals_of_one_block_are_counted_together() -> None:
    council = Council(consortium(Thresholds(registry=3)))
    wires = [council.sender.propose(membership(removed(name))) for name in ("dso", "retail")]
    assert council.decide(*wires) == [0, Code.LAST_OF_ITS_KIND]


def test_a_threshold_and_a_removal_of_one_block_are_counted_together(council: Council) -> None:
    raised = council.sender.propose(Action(THRESHOLDS, Thresholds(1, 1, 4, 1)))
    assert council.decide(raised, council.sender.propose(membership(removed("dso")))) == [0, Code.LAST_OF_ITS_KIND]


# ---------------------------------------------------------------------------------------------------------- validators


def voted_set(*members: Validator) -> Action:
    """An action that makes these the set."""
    maps = encode_validators(sorted(members, key=lambda member: member.public_key))
    return Action(VALIDATORS, ChangeValidators(maps))


def member(organisation: str, **changes: Any) -> Validator:
    """A validator of an organisation."""
    return Validator(f"{organisation}-1", organisation, key(f"{organisation}-1").public_key)._replace(**changes)


OPERATOR = Validator("operator", "util", key("operator").public_key)


def test_a_set_that_was_voted_on_waits_and_takes_over_once_its_header_is_certified() -> None:
    council = Council(consortium(Thresholds(signers=2)))
    both = voted_set(OPERATOR, member("dso"))
    proposal = council.propose(both)
    assert LEAF.must(council.ledger.state).pending == ()
    assert council.vote(proposal, "dso-admin") == 0
    waiting = LEAF.must(council.ledger.state)
    assert (waiting.current, waiting.pending, waiting.pending_height) == ((OPERATOR,), both.record.members, 2)
    assert council.refused(voted_set(member("dso"))) == 0, "the block that certified it has taken it over"
    assert LEAF.must(council.ledger.state).current == both.record.members


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (voted_set(OPERATOR), Code.PROPOSAL_FORM),
        (voted_set(OPERATOR, member("nobody")), Code.PROPOSAL_FORM),
        (voted_set(member("dso", consensus_key=bytes(32))), Code.PROPOSAL_FORM),
        (Action(VALIDATORS, ChangeValidators([])), Code.PROPOSAL_FORM),
    ],
)
def test_a_set_that_could_not_certify_here_is_refused(council: Council, action: Action, code: Code) -> None:
    assert council.refused(action) == code


def test_one_set_waits_at_a_time(council: Council) -> None:
    wires = [council.sender.propose(voted_set(OPERATOR, member(name))) for name in ("dso", "retail")]
    assert council.decide(*wires) == [0, Code.SET_PENDING]


def test_an_organisation_leaves_after_its_validators(council: Council) -> None:
    council.propose(voted_set(OPERATOR, member("dso")))
    assert council.refused(membership(removed("dso"))) == Code.REGISTRY_CONFLICT
    council.propose(voted_set(OPERATOR))
    council.decide()
    council.propose(membership(removed("dso")))


# ------------------------------------------------------------------------------------- contract, protocol, permission


def test_a_contract_is_approved_once_with_one_pin_from_a_later_height_on(council: Council) -> None:
    assert council.refused(Action(CONTRACT, ApprovedContract("p2p/2", bytes(32), 1))) == Code.PROPOSAL_FORM
    council.propose(Action(CONTRACT, ApprovedContract("p2p/2", bytes(32), 3)))
    again = Action(CONTRACT, ApprovedContract("p2p/2", sm3(b"edited"), 9))
    assert council.refused(again) == Code.PROPOSAL_FORM


def test_a_chain_has_a_bounded_number_of_contracts_and_versions(
    council: Council, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract_rule, "CONTRACTS_MAX", 2)
    monkeypatch.setattr(protocol_rule, "VERSIONS_MAX", 2)
    council.propose(Action(CONTRACT, ApprovedContract("p2p/2", bytes(32), 99)))
    assert council.refused(Action(CONTRACT, ApprovedContract("p2p/3", bytes(32), 99))) == Code.PROPOSAL_FORM
    council.propose(Action(PROTOCOL, Activation(3, 99)))
    assert council.refused(Action(PROTOCOL, Activation(4, 100))) == Code.PROPOSAL_FORM


def test_a_version_of_the_protocol_follows_the_one_before_at_a_later_height(council: Council) -> None:
    assert council.refused(Action(PROTOCOL, Activation(3, 1))) == Code.PROPOSAL_FORM, "its own block is decided"
    council.propose(Action(PROTOCOL, Activation(4, 50)))
    assert council.refused(Action(PROTOCOL, Activation(4, 60))) == Code.PROPOSAL_FORM
    assert council.refused(Action(PROTOCOL, Activation(5, 50))) == Code.PROPOSAL_FORM
    assert council.ledger.state.get("protocol") == {"versions": [[2, 0], [4, 50]]}


def test_whatever_evidence_rests_on_keeps_its_role() -> None:
    """A voted role would be refuted by whoever checks a bundle."""
    assert {*PROVEN} == {*ROLE_OF_KIND}


def test_a_permission_counts_from_the_next_transaction_on(council: Council) -> None:
    step = council.sender.clock(START_S + 1, signer="util")
    assert council.decide(step) == [Code.NOT_PERMITTED]
    council.propose(Action(PERMISSION, Permission("clock/advance", ["clock", "utility"])))
    assert council.decide(council.sender.clock(START_S + 2, signer="util")) == [0]
    assert council.refused(Action(PERMISSION, Permission("market/swap", ["clock"]))) == Code.PROPOSAL_FORM
