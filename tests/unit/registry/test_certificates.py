"""Certificates of signers: an organisation with an authority enrols only whom that certified, and an expired one renews itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gridcore.codes import RETRY, Code
from gridcore.errors import UsageError
from gridcore.genesis import Thresholds
from gridcore.master_data import Named
from gridcore.registry.organisation import ORGANISATION, ROLES, Organisation
from gridcore.registry.signer import SIGNER, Signer
from gridcore.transactions.registry_approve import RegistryApprove
from gridcore.x509 import Subject, decode_certificate, issue
from ledger.genesis_check import check_genesis
from tests.unit.governance.council import Council, consortium, membership
from tests.unit.registry.test_registrations import WORLD, Chain
from tests.worlds.consortium import START_S
from tests.worlds.keys import is_cheaply_signed, key, sign, sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import transaction_id

DAY_S = 86_400
FOREVER_S = START_S + 3_650 * DAY_S


def authority(hand: str = "ca", not_after_s: int = FOREVER_S, sign_as: Any = sign_cheaply) -> bytes:
    subject = Subject(hand, key(hand).public_key, START_S - DAY_S, not_after_s, is_authority=True)
    return issue(1, b"", subject, lambda signed: sign_as(hand, signed))


def certificate(
    name: str,
    hand: str = "",
    *,
    by: str = "ca",
    signed_by: str = "",
    not_after_s: int = FOREVER_S,
    sign_as: Any = sign_cheaply,
) -> bytes:
    subject = Subject(name, key(hand or name).public_key, START_S - DAY_S, not_after_s)
    issuer = decode_certificate(authority(by)).subject
    return issue(2, issuer, subject, lambda signed: sign_as(signed_by or by, signed))


def organisation(of: bytes | None, name: str = "dso") -> Named[Any]:
    return Named(ORGANISATION, name, Organisation(list(ROLES), f"The {name}", of), START_S)


def signer(name: str, data: bytes | None, hand: str = "", roles: Sequence[str] = ("utility",)) -> Named[Any]:
    return Named(SIGNER, name, Signer("dso", key(hand or name).public_key, list(roles), data), START_S)


@pytest.fixture
def chain() -> Chain:
    """One whose organisation dso has an authority."""
    chain = Chain()
    assert chain.register(organisation(authority()), signer="dso-admin") == 0
    return chain


def test_a_signer_whom_the_authority_certified_is_enrolled(chain: Chain) -> None:
    assert chain.register(signer("dso-1", certificate("dso-1")), signer="dso-admin") == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (None, Code.REGISTRY_CONFLICT),
        (certificate("another", "dso-1"), Code.REGISTRY_CONFLICT),
        (certificate("dso-1", signed_by="another"), Code.REGISTRY_CONFLICT),
        (certificate("dso-1", by="other ca"), Code.REGISTRY_CONFLICT),
        (certificate("dso-1", "another"), Code.REGISTRY_FORM),
        (authority(), Code.REGISTRY_FORM),
        (b"no certificate", Code.REGISTRY_FORM),
        (certificate("dso-1", not_after_s=START_S - 1), Code.CERTIFICATE_EXPIRED),
    ],
    ids=["none", "another name", "forged", "another authority", "another key", "an authority's", "rubbish", "expired"],
)
def test_a_signer_whom_it_did_not_certify_is_refused(chain: Chain, data: bytes | None, code: Code) -> None:
    assert chain.register(signer("dso-1", data), signer="dso-admin") == code


def test_an_organisation_without_an_authority_shows_no_certificates() -> None:
    assert Chain().register(signer("dso-1", certificate("dso-1")), signer="dso-admin") == Code.REGISTRY_CONFLICT


def test_authority_and_first_certificate_are_registered_together() -> None:
    rows = [organisation(authority()), signer("dso-1", certificate("dso-1"))]
    assert Chain().register(*rows, signer="dso-admin") == 0


def test_another_organisation_cannot_say_whose_authority_counts(chain: Chain) -> None:
    assert chain.register(organisation(authority("another")), signer="admin") == Code.NOT_PERMITTED


def test_a_new_authority_counts_for_the_next_certificates(chain: Chain) -> None:
    assert chain.register(organisation(authority("new ca")), signer="dso-admin") == 0
    assert chain.register(signer("dso-1", certificate("dso-1")), signer="dso-admin") == Code.REGISTRY_CONFLICT
    assert chain.register(signer("dso-1", certificate("dso-1", by="new ca")), signer="dso-admin") == 0


def test_an_expired_certificate_stops_all_but_its_own_renewal(chain: Chain) -> None:
    """Networks have stood still because every certificate ended at once, and nobody was left who could renew one."""
    end_s = START_S + DAY_S
    row = signer("dso-admin", certificate("dso-admin", not_after_s=end_s), roles=["administrator", "utility"])
    assert chain.register(row, signer="dso-admin") == 0
    approval = chain.sender.approve(1, START_S, (0, 0), signer="dso-admin")
    chain.step_to(end_s)
    assert [result.code for result in chain.ledger.apply([approval]).results] != [Code.CERTIFICATE_EXPIRED]
    chain.step_to(end_s + 1)
    approval = chain.sender.approve(1, START_S, (0, 0), signer="dso-admin")
    assert [result.code for result in chain.ledger.apply([approval]).results] == [Code.CERTIFICATE_EXPIRED]
    assert Code.CERTIFICATE_EXPIRED in RETRY
    renewed = row._replace(from_s=end_s + 1, record=row.record._replace(certificate=certificate("dso-admin")))
    assert chain.register(renewed, signer="dso-admin") == 0
    assert [result.code for result in chain.ledger.apply([approval]).results] != [Code.CERTIFICATE_EXPIRED]


def test_votes_judge_certificates_when_they_are_proposed_and_when_they_decide() -> None:
    council = Council(consortium(Thresholds(signers=2)))
    joins: list[list[Any]] = [
        ["organisation/new", {"roles": list(ROLES), "title": "New", "authority": authority()}],
        [
            "signer/new-admin",
            {"organisation": "new", "public_key": key("new-admin").public_key, "roles": ["administrator"]},
        ],
    ]
    assert council.refused(membership(joins)) == Code.REGISTRY_CONFLICT
    joins[1][1]["certificate"] = certificate("new-admin", signed_by="another")
    assert council.refused(membership(joins)) == Code.REGISTRY_CONFLICT
    joins[1][1]["certificate"] = certificate("new-admin")
    proposal = council.propose(membership(joins))
    assert council.decide(council.sender.vote(proposal, signer="dso-admin")) == [0]


def test_an_authority_that_waited_counts_in_the_block_that_approves_it() -> None:
    """Once an organisation could stop every node of a consortium so: nobody had checked the certificate by that authority's key."""
    council = Council(consortium(Thresholds(registry=2)))
    waits = council.sender.register([*organisation(authority()).rows()], signer="dso-admin")
    assert council.decide(waits) == [0]
    approval = RegistryApprove(
        client_id=bytes(16), valid_until_s=council.sender.now_s + 60, transaction=transaction_id(waits)
    )
    enrolled = council.sender.register([*signer("dso-1", certificate("dso-1")).rows()], signer="dso-admin")
    assert council.decide(council.sender.signed("admin", approval), enrolled) == [0, 0]


def test_a_certificate_is_checked_by_one_key_however_many_authorities_are_named() -> None:
    """Before, each certificate of a block was checked by each key of an authority that it named, unsigned transactions included."""
    asked: list[bytes] = []

    def count(public_key: bytes, message: bytes, signature: bytes) -> bool:
        asked.append(message)
        return is_cheaply_signed(public_key, message, signature)

    chain = Chain()
    chain.ledger = MemoryLedger(WORLD.genesis, count)
    authorities = [organisation(authority(f"ca-{at}"))._replace(from_s=START_S + at) for at in range(9)]
    enrolled = [signer(f"dso-{at}", certificate(f"dso-{at}", by="ca-0")) for at in range(5)]
    assert chain.register(*authorities, *enrolled, signer="dso-admin") == 0
    assert len(asked) == 1 + len(enrolled)


def test_genesis_with_a_certificate_that_its_authority_did_not_issue_is_refused() -> None:
    world = consortium(Thresholds())
    own = certificate("extra", sign_as=sign)
    for data, is_good in ((own, True), (certificate("extra", signed_by="another", sign_as=sign), False)):
        rows = [
            *Named(ORGANISATION, "certified", Organisation(list(ROLES), "C", authority(sign_as=sign)), START_S).rows(),
            *Named(SIGNER, "extra", Signer("certified", key("extra").public_key, ["utility"], data), START_S).rows(),
        ]
        genesis = replace(world.genesis, registry=[*world.genesis.registry, *(row.encode() for row in rows)])
        if is_good:
            check_genesis(genesis)
            continue
        with pytest.raises(UsageError, match="signer/extra: certificate is not issued by ca"):
            check_genesis(genesis)
