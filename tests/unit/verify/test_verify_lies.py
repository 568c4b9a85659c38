"""A forger without keys recomputes every digest; an operator certifies a lie; whoever has keys signs for something else: none verifies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gridcore import cbor, verify
from gridevidence.digests import remade
from tests.second_verifier.facts import END_S
from tests.second_verifier.story import BOUGHT, BUY, END, KEYS, POSITION, SHARED, START, Story
from tests.second_verifier.test_second_changes import CHANGES, LATER_CHANGES, changed
from tests.second_verifier.test_second_lies import LIES
from tests.unit.verify.honest import (
    HONEST,
    ROLLED,
    TRADE,
    Parts,
    certify,
    every_place,
    evidence,
    inner_places,
    parts_of,
    refuted,
    sign_all,
    trust_of,
    unpacked,
    with_inner,
)

TRUST = trust_of(TRADE)
LATER = HONEST["certified behind a hand-over"]


# --------------------------------------------------------------------- changed values, with all unkeyed digests made anew


def other(value: Any) -> Any:
    """A value next to this one, of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value - 1 if value > 0 else value + 1
    if isinstance(value, bytes):
        return value[:-1] + (b"\x00" if value[-1:] != b"\x00" else b"\x01")
    return value[:-1] + "~" if isinstance(value, str) else value


@pytest.mark.parametrize("name", [name for name in HONEST if name not in ("a later run", "a register that rolls over")])
def test_every_changed_value_with_all_digests_recomputed_is_not_verified(name: str) -> None:
    before, trust = parts_of(HONEST[name]), trust_of(HONEST[name])
    claims: set[str] = set()
    for place in inner_places(before):
        for inner in every_place(unpacked(before, place)):
            altered = with_inner(before, place, inner, other)
            if altered == before:
                continue
            claim = refuted(remade(before, altered), trust)
            assert claim in verify.CLAIMS or claim == verify.CANNOT_BE_DECIDED, (place, inner, claim)
            claims.add(claim)
    of_readings = set() if name == "an energy that is estimated" else {"energy", "readings"}
    assert claims >= {"shape", "header", "registry", "position", "lines", "keys", "signatures", *of_readings}
    assert "certificate" in claims


# ------------------------------------------------------------------------ lies that the operator's own keys have signed


@pytest.mark.parametrize(("claim", "story"), [pytest.param(claim, story, id=name) for name, claim, story in LIES])
def test_a_lie_that_everybody_signed_is_refuted_by_the_claim_it_breaks(claim: str, story: Story) -> None:
    lie = evidence(story)
    assert refuted(lie.bundle_bytes, trust_of(lie)) == claim


@pytest.mark.parametrize(("claim", "change"), [pytest.param(claim, change, id=name) for name, claim, change in CHANGES])
def test_a_bundle_with_other_parts_is_refuted(claim: str, change: Callable[[Any], object]) -> None:
    assert refuted(changed(TRADE, change), TRUST) == claim


@pytest.mark.parametrize(
    ("answer", "change"), [pytest.param(answer, change, id=name) for name, answer, change in LATER_CHANGES]
)
def test_a_hand_over_that_is_not_in_order_does_not_hold(answer: str, change: Callable[[Any], object]) -> None:
    claim = "certificate" if answer == "not_verified" else verify.CANNOT_BE_DECIDED
    assert refuted(changed(LATER, change), TRUST) == claim


def lied(lie: Callable[[Parts], object], pairs: Any = KEYS) -> Parts:
    """A trade's parts after a lie, with all digests anew and all signatures made again."""
    before = parts_of(TRADE)
    altered = parts_of(TRADE)
    lie(altered)
    return certify(sign_all(remade(before, altered), pairs))


def in_encoded(part: Parts, key: str, *place: Any, to: Any) -> None:
    """Put a value at a place inside an encoded part."""
    value = whole = cbor.decode(part[key])
    for step in place[:-1]:
        value = value[step]
    value[place[-1]] = to
    part[key] = cbor.encode(whole)


# ------------------------------------------------------------------------------ what once verified, each by its situation


def story_refuted(story: Story) -> str:
    told = evidence(story)
    return refuted(told.bundle_bytes, trust_of(told))


def test_a_register_outside_its_modulus_is_refuted() -> None:
    assert story_refuted(replace(ROLLED, modulus_wh=99_500)) == "energy"


def test_an_advance_beyond_the_installations_limit_is_refuted() -> None:
    assert story_refuted(replace(Story(), limit_wh=999)) == "energy"
    assert story_refuted(replace(Story(), limit_wh=1_000)) == verify.VERIFIED


def test_fills_beyond_the_volume_of_the_slot_are_refuted() -> None:
    assert story_refuted(replace(Story(), volume_wh=599)) == "orders"


def test_an_order_recorded_after_the_gate_is_refuted() -> None:
    assert story_refuted(replace(Story(), order_time_s=8_100)) == "orders"
    assert story_refuted(replace(Story(), order_time_s=8_099)) == verify.VERIFIED


def test_an_order_that_stands_twice_is_refuted() -> None:
    parts = parts_of(TRADE)
    parts["orders"] *= 2
    assert refuted(parts, TRUST) == "orders"


def test_a_key_revoked_before_the_batch_was_recorded_is_refuted() -> None:
    assert story_refuted(replace(Story(), gateway_revoked_s=9_000)) == "keys"
    assert story_refuted(replace(Story(), gateway_revoked_s=9_911)) == verify.VERIFIED


def _invent_a_key(parts: Parts) -> None:
    """The operator writes a key of his own into the gateway's entry, as if genesis had named it."""
    entry = next(key for key in parts["keys"] if cbor.decode(key["leaf"])[0] == "signer/gw1")["entries"][0]
    in_encoded(entry, "row", 2, "public_key", to=KEYS["thief"].public)


def test_a_gateways_key_that_the_operator_invented_is_tied_to_nothing() -> None:
    assert refuted(lied(_invent_a_key, {**KEYS, "gw1": KEYS["thief"]}), TRUST) == "keys"


def test_a_key_that_the_operator_enrolled_is_shown_as_such_and_a_pin_refutes_it() -> None:
    verdict = verify.verify_bundle(TRADE.bundle_bytes, TRUST)
    party = next(key for key in verdict.facts["keys"] if key["signer"] == "h1")
    assert party["tie"] == "enrolled by admin at height 1"
    pins = [{"signer": "h1", "fingerprint": KEYS["thief"].fingerprint.hex()}]
    assert refuted(TRADE.bundle_bytes, trust_of(TRADE, pins=pins)) == "keys"
    pins.append({"signer": "h1", "fingerprint": KEYS["h1"].fingerprint.hex().upper()})
    pinned = verify.verify_bundle(TRADE.bundle_bytes, trust_of(TRADE, pins=pins))
    assert (pinned.answer, pinned.facts["keys"][1]["tie"]) == (verify.VERIFIED, "pinned")


def test_pins_of_another_chains_trust_root_say_nothing_about_this_one() -> None:
    pins = [{"signer": "h1", "fingerprint": KEYS["thief"].fingerprint.hex()}]
    elsewhere = trust_of(TRADE, pins=pins, chain="village0123456789abcdef")
    assert refuted(TRADE.bundle_bytes, elsewhere) == verify.CANNOT_BE_DECIDED


@pytest.mark.parametrize(
    ("claim", "story"),
    [
        ("readings", Story(start=START._replace(boundary_s=END_S))),
        ("readings", Story(end=END._replace(quality=0x20))),
        ("readings", Story(end=END._replace(clock_state="unsynced"))),
        ("readings", Story(start=START._replace(clock_offset_ms=449_881))),
        ("lines", replace(SHARED, area_columns=(800, 999))),
        ("orders", Story(order=BUY._replace(area="a2"))),
        ("orders", Story(fill=BOUGHT._replace(filled_wh=601))),
        ("position", Story(position=POSITION._replace(row=1))),
    ],
)
def test_other_lies_are_refuted_without_a_trust_root_too(claim: str, story: Story) -> None:
    assert refuted(evidence(story).bundle_bytes, None) == claim


def test_a_run_of_another_zone_in_the_list_of_runs_is_refuted() -> None:
    def lie(parts: Parts) -> None:
        in_encoded(parts["runs"], "leaf", 0, to="runs/9000/z2")

    assert refuted(lied(lie), TRUST) == "header"


@pytest.mark.parametrize(
    ("value", "to"), [("public_key", b"\x04" + bytes(64)), ("roles", ["prosumer", "gateway"]), ("organisation", "")]
)
def test_a_signers_row_of_another_form_is_refuted(value: str, to: Any) -> None:
    def lie(parts: Parts) -> None:
        in_encoded(parts["keys"][1]["entries"][0], "row", 2, value, to=to)

    assert refuted(lied(lie), TRUST) == "shape"
