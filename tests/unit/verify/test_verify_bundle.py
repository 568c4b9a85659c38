"""The honest bundle is verified; one with a changed byte or part is not; without the trust it needs nothing is decided."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest

from gridcore import cbor, verify
from gridcore.sm3 import sm3
from tests.unit.verify.bundle_world import (
    CLEARING,
    GATEWAY,
    KEYS,
    RUN,
    SLOT,
    World,
    claim_refuted,
    every_place,
    replaced,
    trust_of,
    without_orders,
)

WORLD = World()
BUNDLE = WORLD.bundle()
TRUST = trust_of(WORLD)


# ---------------------------------------------------------------------------------------------------------- the honest


def test_an_honest_bundle_is_verified_with_every_claim_named() -> None:
    verdict = verify.verify_bundle(BUNDLE, TRUST)
    assert verdict.answer == verify.VERIFIED, verdict.reason
    assert list(verdict.claims) == [name for name in verify.CLAIMS if name != "book"]
    assert "1 of 1 signer: the operator's own word" in verdict.claims["certificate"]
    assert len(verdict.not_checked) == 3
    assert verdict.facts["simulated"] is True
    assert (verdict.facts["energy_wh"], verdict.facts["amount_nano"]) == (500, 190_000_000)
    assert verdict.facts["slot_pays_nano"] == verdict.facts["amount_nano"] + 568_200_000


@pytest.mark.parametrize(
    ("index", "kind", "amount_nano"), [(1, "residual_import", 322_000_000), (2, "residual_export", -2_800_000)]
)
def test_a_line_of_another_kind_is_verified(index: int, kind: str, amount_nano: int) -> None:
    world = WORLD.copy()
    world.line_index = index
    verdict = verify.verify_bundle(world.bundle(), TRUST)
    assert verdict.answer == verify.VERIFIED, verdict.reason
    assert (verdict.facts["line_kind"], verdict.facts["amount_nano"]) == (kind, amount_nano)


@pytest.mark.parametrize("has_clearing", [True, False])
def test_a_party_without_orders_is_verified(has_clearing: bool) -> None:
    world = without_orders(WORLD.copy())
    if not has_clearing:
        del world.leaves[f"clearing/{SLOT}"]
        for name in ("price_micro_per_kwh",):
            del world.leaves[f"run/{SLOT}/initial"][name]
        world.leaves[f"run/{SLOT}/initial"]["volume_wh"] = 0
    world.certify()
    assert claim_refuted(world, TRUST) == verify.VERIFIED


# --------------------------------------------------------------------------------------------------------- not checked


def not_checked(verdict: verify.Verdict) -> list[str]:
    """Names of the claims that the verdict lists as not checked; the last two entries are of no claim."""
    assert verdict.not_checked[-2:] == verify.NEVER_CHECKED
    names = {text: name for name, text in verify.CLAIMS.items()}
    return [names[text] for text in verdict.not_checked[:-2]]


def test_claims_that_were_not_reached_are_listed_as_not_checked() -> None:
    assert not_checked(verify.verify_bundle(BUNDLE, TRUST)) == ["book"]
    assert not_checked(verify.verify_bundle(BUNDLE, TRUST, WORLD.book())) == []
    assert not_checked(verify.verify_bundle(BUNDLE, None)) == ["book", "certificate"]
    assert not_checked(verify.verify_bundle(b"garbage", TRUST)) == list(verify.CLAIMS)[1:]
    refuted_at_book = verify.verify_bundle(BUNDLE, TRUST, b"garbage")
    assert not_checked(refuted_at_book) == ["signatures", "certificate"]
    shown = verify.render(refuted_at_book, as_json=False)
    assert "\nNot checked:\n  that gateway and party signed\n  that signers whom you trust" in shown


def test_claims_about_an_unknown_contract_or_version_are_listed_as_not_checked() -> None:
    world = WORLD.copy()
    for leaf in (RUN, CLEARING):
        world.leaves[leaf]["contract"] = "p2p_call_auction/2"
    world.certify()
    verdict = verify.verify_bundle(world.bundle(), TRUST)
    assert not_checked(verdict) == [name for name in verify.CLAIMS if name not in verdict.claims]
    assert list(verdict.claims) == ["shape", "recorded", "signatures", "certificate"]
    later = cbor.encode({**WORLD.parts(), "version": 2})
    assert not_checked(verify.verify_bundle(later, TRUST)) == list(verify.CLAIMS)


# -------------------------------------------------------------------------------------------------------- altered bytes


def test_an_empty_bundle_is_called_empty() -> None:
    assert verify.verify_bundle(b"", TRUST).reason == "shape: the bundle is empty"


def test_cut_extended_and_empty_bundles_are_not_verified() -> None:
    cut = [BUNDLE[:length] for length in (0, 1, 2, 100, len(BUNDLE) // 2, len(BUNDLE) - 1)]
    for data in [
        *cut,
        BUNDLE + b"\x00",
        b"\xff" * 40,
        b"\x9f",
        b"\xbf",
        b"\x81" * 5_000,
        bytes(verify.BUNDLE_BYTES_MAX + 1),
    ]:
        assert verify.verify_bundle(data, TRUST).answer == verify.NOT_VERIFIED


def test_any_part_of_a_wrong_type_or_missing_is_refused_without_a_traceback() -> None:
    parts = cbor.decode(BUNDLE)
    places = [place for place in every_place(parts) if place]
    assert len(places) > 100
    wrong: list[Any] = [0, -1, b"", "", [], {}, True, b"\x00" * 33, [b"x"], {"a": 1}]
    for number, place in enumerate(places):
        for other in (wrong[number % 10], wrong[(number + 3) % 10]):
            changed = replaced(parts, place, _always(other))
            if changed != parts:
                assert verify.verify_bundle(cbor.encode(changed), TRUST).answer != verify.VERIFIED, (place, other)
        *parent, key = place
        without = replaced(parts, tuple(parent), functools.partial(_without, key=key))
        assert verify.verify_bundle(cbor.encode(without), TRUST).answer != verify.VERIFIED, place
        extra = replaced(
            parts, tuple(parent), lambda value: {**value, "zz": 1} if isinstance(value, dict) else [*value, value[0]]
        )
        assert verify.verify_bundle(cbor.encode(extra), TRUST).answer == verify.NOT_VERIFIED, place


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _without(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if name != key}
    return [item for index, item in enumerate(value) if index != key]


def test_malformed_bytes_inside_leaves_and_signed_maps_are_refused_without_a_traceback() -> None:
    parts = cbor.decode(BUNDLE)
    inner = [place for place in every_place(parts) if place and place[-1] in ("leaf", "signed", "header", "row")]
    assert len(inner) > 20
    for place in inner:
        for data in (
            b"",
            b"\xff",
            b"\x80",
            cbor.encode(["chain"]),
            cbor.encode([1, 2]),
            cbor.encode({}),
            cbor.encode(7),
            bytes(60),
        ):
            changed = cbor.encode(replaced(parts, place, _always(data)))
            assert verify.verify_bundle(changed, TRUST).answer == verify.NOT_VERIFIED, place


# ---------------------------------------------------------------------------------------------- trust and certificates


def test_without_a_trust_root_an_honest_bundle_cannot_be_decided() -> None:
    verdict = verify.verify_bundle(BUNDLE, None)
    assert (verdict.answer, "trust" in verdict.reason) == (verify.CANNOT_BE_DECIDED, True)
    assert "signatures" in verdict.claims


def test_without_a_trust_root_a_broken_bundle_is_not_verified() -> None:
    world = WORLD.copy()
    world.signatures["end"] = KEYS["stranger"].sign(b"something else")
    assert verify.verify_bundle(world.bundle(), None).reason.startswith("signatures:")


@pytest.mark.parametrize("field", ["chain", "genesis"])
def test_a_trust_root_of_another_chain_cannot_decide(field: str) -> None:
    root = WORLD.trust()
    root[field] = root[field][:-1] + ("0" if root[field][-1] != "0" else "1")
    verdict = verify.verify_bundle(BUNDLE, verify.decode_trust(json.dumps(root).encode()))
    assert verdict.answer == verify.CANNOT_BE_DECIDED


def test_a_signer_outside_the_trust_root_is_not_verified() -> None:
    assert verify.verify_bundle(BUNDLE, trust_of(WORLD, "stranger")).reason.startswith("certificate:")
    world = WORLD.copy()
    world.certifiers = ["stranger"]
    world.certify()
    assert claim_refuted(world, TRUST) == "certificate"
    world.certifiers = ["operator", "stranger"]
    world.certify()
    assert claim_refuted(world, TRUST) == "certificate"


@pytest.mark.parametrize(
    ("certifiers", "answer"),
    [
        (["operator", "second", "third"], verify.VERIFIED),
        (["operator", "second"], "certificate"),  # two thirds are not more than two thirds
        (["second"], "certificate"),
        ([], verify.CANNOT_BE_DECIDED),
    ],
)
def test_more_than_two_thirds_of_the_power_must_have_signed(certifiers: list[str], answer: str) -> None:
    world = WORLD.copy()
    world.certifiers, world.signers = certifiers, ["operator", "second", "third"]
    world.certify()
    assert claim_refuted(world, trust_of(world, "operator", "second", "third")) == answer


def test_a_trust_root_with_another_signer_set_than_the_headers_cannot_be_decided() -> None:
    root = WORLD.trust()
    root["signers"][0]["power"] = 100
    verdict = verify.verify_bundle(BUNDLE, verify.decode_trust(json.dumps(root).encode()))
    assert verdict.answer == verify.CANNOT_BE_DECIDED
    assert "signer set" in verdict.reason


def test_one_signature_is_not_counted_twice() -> None:
    world = WORLD.copy()
    world.certificate = [*world.certificate, *world.certificate]
    assert claim_refuted(world, trust_of(world, "operator", "second")) == "certificate"


def test_a_missing_certificate_cannot_be_decided() -> None:
    parts = WORLD.parts()
    del parts["certificate"]
    assert verify.verify_bundle(cbor.encode(parts), TRUST).answer == verify.CANNOT_BE_DECIDED


def test_a_certificate_over_another_header_is_not_verified() -> None:
    world = WORLD.copy()
    world.leaves[f"gateway/{GATEWAY}"]["counter"] = 3
    assert claim_refuted(world, TRUST) == "certificate"


def test_a_genesis_that_is_not_the_first_leaf_is_refused() -> None:
    world = WORLD.copy()
    parts, headers = world.parts(), world.headers()
    parts["genesis"] = {"digest": sm3(headers[2]), "path": world.transaction_proof("start", headers)["history_path"]}
    assert verify.verify_bundle(cbor.encode(parts), TRUST).reason.startswith("header:")


@pytest.mark.parametrize("version", [0, 2, 1 << 40])
def test_an_unknown_version_cannot_be_decided(version: int) -> None:
    parts = {**WORLD.parts(), "version": version, "novelty": 1}
    assert verify.verify_bundle(cbor.encode(parts), TRUST).answer == verify.CANNOT_BE_DECIDED


def test_an_unknown_contract_cannot_be_decided_but_a_forged_one_is_refuted() -> None:
    world = WORLD.copy()
    for leaf in (RUN, CLEARING):
        world.leaves[leaf]["contract"] = "p2p_call_auction/2"
    assert claim_refuted(world, TRUST) == "certificate"
    world.certify()
    assert claim_refuted(world, TRUST) == verify.CANNOT_BE_DECIDED


def test_a_chain_with_a_real_clock_is_not_called_simulated() -> None:
    world = WORLD.copy()
    world.leaves["chain"]["clock"] = "block"
    world.certify()
    verdict = verify.verify_bundle(world.bundle(), TRUST)
    assert verdict.answer == verify.VERIFIED
    assert verdict.facts["simulated"] is False
    assert "SIMULATED" not in verify.render(verdict, as_json=False)
    assert "SIMULATED" in verify.render(verify.verify_bundle(BUNDLE, TRUST), as_json=False)
