"""``key_policy/gateway``: gateways whose keys are kept otherwise are not enrolled, and send nothing from a date on; ledger and twin agree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gridcore.codes import Code
from gridcore.errors import UsageError
from gridcore.master_data import Named
from gridcore.registry.gateway import GATEWAY, Gateway, RetiredGateway
from gridcore.registry.key_policy import KEY_POLICY, KeyPolicy
from gridcore.registry.row import Row
from gridcore.remedies import remedy_of
from ledger.genesis_check import check_genesis
from tests.simulation.desk import ANNA, BERT, SLOT, START, Desk, two_meters
from tests.worlds.transactions import transaction_id

NOW = START - 3_600


@pytest.fixture
def desk() -> Desk:
    return Desk()


def policy(from_s: int = NOW, **changes: Any) -> Row:
    """Only keys in a TPM."""
    (row,) = Named(KEY_POLICY, "gateway", KeyPolicy(["tpm2"])._replace(**changes), from_s).rows()
    return row


def gateway(protection: str, name: str = "gw-2", from_s: int = NOW) -> Row:
    (row,) = Named(GATEWAY, name, Gateway("util", protection), from_s).rows()
    return row


def register(desk: Desk, *rows: Row, signer: str = "admin") -> int:
    """The code of a block that registers these rows."""
    return desk.apply(desk.sender.register(rows, signer=signer))[0]


def test_software_key_is_not_enrolled_while_a_policy_asks_for_a_tpm(desk: Desk) -> None:
    assert register(desk, gateway("software")) == 0
    assert register(desk, policy()) == 0
    assert register(desk, gateway("software", "gw-3")) == Code.KEY_PROTECTION
    assert register(desk, gateway("software", from_s=NOW + 1)) == Code.KEY_PROTECTION, (
        "said again counts as enrolled again"
    )
    assert register(desk, gateway("tpm2", "gw-3")) == 0
    (retired,) = Named(GATEWAY, "gw-2", RetiredGateway("util"), NOW).rows()
    assert register(desk, retired) == 0


def test_policy_of_the_same_transaction_counts_and_one_that_begins_later_does_not(desk: Desk) -> None:
    assert register(desk, gateway("software"), policy()) == Code.KEY_PROTECTION
    assert register(desk, policy(NOW + 100), gateway("software")) == 0
    assert register(desk, gateway("software", "gw-3", NOW + 100)) == Code.KEY_PROTECTION
    assert register(desk, policy(NOW + 200, protections=["software", "tpm2"])) == 0
    assert register(desk, gateway("software", "gw-3", NOW + 200)) == 0


def test_gateway_registered_ahead_before_the_policy_stays_and_sends_until_the_date(desk: Desk) -> None:
    assert register(desk, gateway("software", "gw-3", NOW + 200)) == 0
    assert register(desk, policy(NOW + 100)) == 0
    assert register(desk, gateway("software", "gw-3", NOW + 300)) == Code.KEY_PROTECTION


def test_policies_registered_ahead_never_keep_another_one_out(desk: Desk) -> None:
    """A policy has one name: whoever filled its 64 entries for years ahead would have stopped every gateway until then."""
    nobody = policy(protections=["nobody"], batches_from_s=0)
    assert register(desk, nobody) == 0
    years_ahead = [nobody._replace(from_s=NOW + 10**8 + place) for place in range(63)]
    assert register(desk, *years_ahead) == 0
    desk.wait_until(START)
    batch = desk.batch(START, [(ANNA, 9_500, 0), (BERT, 0, 0)], 1, bytes(32))
    assert desk.apply(batch) == [Code.KEY_PROTECTION]
    assert register(desk, policy(START + 60, protections=["software"])) == 0
    desk.wait_until(START + 60)
    assert desk.apply(batch) == [0]
    leaf = desk.ledger.state.get("key_policy/gateway") or {}
    assert [from_s for from_s, *_ in leaf["entries"]] == [NOW, START + 60]


def test_steps_of_a_policy_stand_in_one_transaction_in_any_order(desk: Desk) -> None:
    steps = [policy(NOW + 200), policy(NOW + 100, protections=["software", "tpm2"])]
    assert register(desk, *steps) == 0
    assert register(desk, gateway("software", "gw-3", NOW + 100)) == 0
    assert register(desk, gateway("software", "gw-4", NOW + 200)) == Code.KEY_PROTECTION
    assert register(desk, steps[1]._replace(from_s=NOW + 150)) == 0
    assert register(desk, gateway("software", "gw-4", NOW + 200)) == 0, "said later, it ends what was to come"


def test_batches_of_a_software_key_are_taken_up_to_the_date_and_refused_from_it_on(desk: Desk) -> None:
    assert register(desk, policy(batches_from_s=START + SLOT)) == 0
    desk.wait_until(START)
    first = desk.batch(START, [(ANNA, 9_500, 0), (BERT, 0, 0)], 1, bytes(32))
    desk.wait_until(START + SLOT)
    assert desk.apply(first) == [0], "of before the date, delivered after it"
    second = desk.batch(START + SLOT, [(ANNA, 9_600, 0), (BERT, 0, 0)], 2, transaction_id(first))
    assert desk.apply(second) == [Code.KEY_PROTECTION]
    assert register(desk, gateway("tpm2", "gw", START + SLOT)) == 0
    assert desk.apply(second) == [0], "nothing of it was used up"
    assert "in a TPM" in remedy_of(Code.KEY_PROTECTION)


def test_policy_without_a_date_leaves_who_was_enrolled_before_alone(desk: Desk) -> None:
    assert register(desk, policy()) == 0
    desk.wait_until(START)
    assert desk.apply(desk.batch(START, [(ANNA, 9_500, 0), (BERT, 0, 0)], 1, bytes(32))) == [0]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (policy(NOW - 1), Code.REGISTRY_NOT_AHEAD),
        (policy()._replace(key="key_policy/node"), Code.REGISTRY_FORM),
        (policy(protections=[]), Code.REGISTRY_FORM),
        (policy(protections=["tpm2", "software"]), Code.REGISTRY_FORM),
        (policy(protections=["tpm2", "tpm2"]), Code.REGISTRY_FORM),
        (policy(protections=[f"class-{number}" for number in range(9)]), Code.REGISTRY_FORM),
        (policy(protections=[f"class-{number}" for number in range(8)]), 0),
        (policy(batches_from_s=-1), Code.REGISTRY_FORM),
    ],
)
def test_policy_has_its_form_and_begins_from_ledger_time_on(desk: Desk, row: Row, code: int) -> None:
    assert register(desk, row) == code


def test_genesis_whose_gateways_do_not_meet_its_own_policy_is_one_line() -> None:
    genesis = two_meters(0).genesis
    with_policy = replace(genesis, registry=(*genesis.registry, policy(0).encode()))
    with pytest.raises(UsageError, match="protection is tpm2 by key_policy/gateway, not software"):
        check_genesis(with_policy)
    check_genesis(replace(genesis, registry=(*genesis.registry, policy(NOW + 1).encode())))
