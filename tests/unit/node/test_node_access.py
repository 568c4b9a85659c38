"""Signed queries: what counts as one, how often, and for how long."""

from __future__ import annotations

from collections import Counter
from typing import Any, NoReturn

import pytest

from gridcore.registry.signer import Signer
from gridcore.serving.problems import Problem
from gridcore.signed_query import Audience, authorization, query_message
from gridcore.sm import SigningKey
from ledger.http import access
from ledger.http.access import Authenticator, Caller, Nonces
from tests.worlds.clocks import ManualClock

NOW_S = 1_800_000_000
NODE = Audience("chain-1", bytes(16))
PATH = "/api/v1/areas/a-1/registers"
PAIRS = [("boundary_s", "900"), ("start", "0")]


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def door(key: SigningKey) -> Authenticator:
    signers = {"util": Signer("util", key.public_key, ["prosumer", "utility"])}
    return Authenticator(NODE, signers.get, ManualClock(NOW_S))


def signed(key: SigningKey, **changes: Any) -> str:
    """The header of a query, with some of what is signed changed."""
    terms: dict[str, Any] = {"audience": NODE, "method": "GET", "path": PATH, "pairs": PAIRS, "issued_s": NOW_S}
    return authorization(changes.pop("signer_id", "util"), key, **(terms | changes))


def test_a_signed_query_is_its_signers_once(door: Authenticator, key: SigningKey) -> None:
    header = signed(key)
    caller = door.authenticate(header, "GET", PATH, PAIRS)
    assert caller == Caller("util", frozenset({"prosumer", "utility"}))
    with pytest.raises(Problem, match="was made before") as raised:
        door.authenticate(header, "GET", PATH, PAIRS)
    assert raised.value.status == 401


def test_the_order_of_parameters_does_not_matter(door: Authenticator, key: SigningKey) -> None:
    assert door.authenticate(signed(key), "GET", PATH, PAIRS[::-1]).id == "util"


@pytest.mark.parametrize(
    ("method", "path", "pairs"),
    [
        ("POST", PATH, PAIRS),
        ("GET", PATH + "x", PAIRS),
        ("GET", PATH, PAIRS[:1]),
        ("GET", PATH, [*PAIRS, ("start", "1")]),
        ("GET", PATH, [("boundary_s", "1800"), ("start", "0")]),
    ],
)
def test_a_signature_counts_for_its_own_query_alone(
    door: Authenticator, key: SigningKey, method: str, path: str, pairs: list[tuple[str, str]]
) -> None:
    with pytest.raises(Problem, match="no signature of util"):
        door.authenticate(signed(key), method, path, pairs)


def test_another_chains_signature_does_not_count(door: Authenticator, key: SigningKey) -> None:
    with pytest.raises(Problem, match="on chain chain-1"):
        door.authenticate(signed(key, audience=Audience("chain-2", NODE.instance)), "GET", PATH, PAIRS)


def test_a_query_to_another_node_or_from_before_a_restart_does_not_count(door: Authenticator, key: SigningKey) -> None:
    with pytest.raises(Problem, match="to this node since its start"):
        door.authenticate(signed(key, audience=Audience("chain-1", b"\x01" * 16)), "GET", PATH, PAIRS)


def test_an_unknown_signer_a_revoked_one_and_a_wrong_key_are_answered_alike(
    door: Authenticator, key: SigningKey
) -> None:
    lines = set()
    for signer_id, used in (("nobody", key), ("util", SigningKey.generate()), ("gone", key)):
        with pytest.raises(Problem) as raised:
            door.authenticate(signed(used, signer_id=signer_id), "GET", PATH, PAIRS)
        lines.add(str(raised.value).replace(signer_id, "X"))
    assert len(lines) == 1


@pytest.mark.parametrize("offset_s", [-access.ISSUED_S_MAX, access.ISSUED_S_MAX])
def test_a_minute_of_difference_is_allowed(door: Authenticator, key: SigningKey, offset_s: int) -> None:
    assert door.authenticate(signed(key, issued_s=NOW_S + offset_s), "GET", PATH, PAIRS).id == "util"


@pytest.mark.parametrize("offset_s", [-access.ISSUED_S_MAX - 1, access.ISSUED_S_MAX + 1])
def test_more_than_a_minute_is_refused(door: Authenticator, key: SigningKey, offset_s: int) -> None:
    with pytest.raises(Problem, match="check the clocks"):
        door.authenticate(signed(key, issued_s=NOW_S + offset_s), "GET", PATH, PAIRS)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: None,
        lambda header: "",
        lambda header: "Bearer abc",
        lambda header: header + " ",
        lambda header: header.replace(", ", ","),
        lambda header: header.upper(),
        lambda header: header.replace("issued=", "issued=0"),
        lambda header: header.replace("issued=", "issued=-"),
        lambda header: header.replace("signer=util", "signer=" + "u" * 65),
        lambda header: header.replace("signer=util", "signer=../util"),
        lambda header: header[:-1],
        lambda header: header + "0" * 1000,
    ],
)
def test_a_malformed_header_is_refused_in_one_line(door: Authenticator, key: SigningKey, change: Any) -> None:
    with pytest.raises(Problem, match="Authorization") as raised:
        door.authenticate(change(signed(key)), "GET", PATH, PAIRS)
    assert raised.value.status == 401
    assert "\n" not in str(raised.value)


def test_message_bytes_are_those_of_the_specification() -> None:
    message = query_message(Audience("c", bytes(16)), "GET", "/p", [("b", "2"), ("a", "1")], 7, bytes(16))
    head = "88" + "67" + b"query/2".hex() + "6163" + "50" + "00" * 16 + "63" + b"GET".hex() + "62" + b"/p".hex()
    assert message.hex() == head + "82" + "82" + "6161" + "6131" + "82" + "6162" + "6132" + "07" + "50" + "00" * 16


def test_nonces_are_forgotten_when_they_can_no_longer_be_used() -> None:
    nonces = Nonces()
    nonces.spend("a", b"1", NOW_S, NOW_S)
    nonces.spend("b", b"1", NOW_S, NOW_S)
    assert len(nonces) == 2
    with pytest.raises(Problem, match="before"):
        nonces.spend("a", b"1", NOW_S, NOW_S + access.ISSUED_S_MAX)
    nonces.spend("a", b"2", NOW_S + 61, NOW_S + access.ISSUED_S_MAX + 1)
    assert len(nonces) == 1


def test_what_a_query_costs_does_not_grow_with_the_number_of_signers() -> None:
    class Counted(Counter[str]):
        def total(self) -> NoReturn:
            raise AssertionError("every signer was looked at")

        __iter__ = keys = values = items = total

    nonces = Nonces()
    nonces._counts = Counted()
    for second in (0, 1, 200):
        nonces.spend("a", b"1", NOW_S + second, NOW_S + second)
    assert (len(nonces), len(nonces._counts)) == (1, 1)


def test_nonces_are_bounded_by_signer_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "NONCES_OF_SIGNER_MAX", 2)
    monkeypatch.setattr(access, "NONCES_MAX", 3)
    nonces = Nonces()
    for nonce in (b"1", b"2"):
        nonces.spend("a", nonce, NOW_S, NOW_S)
    with pytest.raises(Problem, match="too many queries") as raised:
        nonces.spend("a", b"3", NOW_S, NOW_S)
    assert raised.value.status == 503
    nonces.spend("b", b"1", NOW_S, NOW_S)
    with pytest.raises(Problem, match="too many queries"):
        nonces.spend("c", b"1", NOW_S, NOW_S)
    nonces.spend("a", b"9", NOW_S + 70, NOW_S + 61)
    assert len(nonces) == 1
