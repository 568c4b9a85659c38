"""The honest bundle is verified; one with a changed byte or part is not; without the trust it needs nothing is decided."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from gridcore import cbor, verify
from gridcore.transactions.approve_reading import SUBSTITUTE
from gridevidence.digests import remade
from tests.second_verifier.story import APPROVED, NEW_SIGNERS, OLD_SIGNERS, SUBSTITUTED, Story
from tests.unit.verify.honest import (
    HONEST,
    TRADE,
    certify,
    every_place,
    evidence,
    inner_places,
    parts_of,
    refuted,
    replaced,
    sign_all,
    trust_of,
    with_inner,
)

BUNDLE = TRADE.bundle_bytes
TRUST = trust_of(TRADE)
LATER = HONEST["certified behind a hand-over"]


# ---------------------------------------------------------------------------------------------------------- the honest


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_bundle_is_verified_with_every_claim_named(name: str) -> None:
    verdict = verify.verify_bundle(HONEST[name].bundle_bytes, trust_of(HONEST[name]))
    assert (verdict.answer, verdict.claim) == (verify.VERIFIED, None), verdict.reason
    assert verify.render(verdict, as_json=False).startswith("VERIFIED: every claim holds")
    left_out = ("book", *verify.OF_READINGS) if name == "an energy that is estimated" else ("book",)
    assert list(verdict.claims) == [name for name in verify.CLAIMS if name not in left_out]
    assert verdict.facts.get("estimated", False) is (name == "an energy that is estimated")


def test_the_facts_name_line_run_header_keys_and_clocks() -> None:
    facts = verify.verify_bundle(BUNDLE, TRUST).facts
    assert [line["line_kind"] for line in facts["lines"]] == [
        "trade_buy",
        "residual_import",
        "network_traded",
        "network_residual",
        "levy",
    ]
    assert facts["lines"][0] == {
        "line_kind": "trade_buy",
        "energy_wh": 600,
        "price_micro_per_kwh": 100_000,
        "amount_nano": 60_000_000,
        "account": "clearing",
    }
    assert (facts["pays_nano"], facts["supplier_only_nano"]) == (226_000_000, 370_000_000)
    assert (facts["run"], facts["later_runs"], facts["header_time_s"]) == ("initial", [], 11_800)
    assert [(key["signer"], key["role"], key["tie"]) for key in facts["keys"]] == [
        ("gw1", "gateway", "genesis"),
        ("h1", "prosumer", "enrolled by admin at height 1"),
        ("admin", "administrator", "genesis"),
    ]
    assert facts["clocks"][1] == {"boundary_s": 9_900, "gateway": "gw1", "offset_ms": 3, "state": "synced"}
    assert (facts["signers"], facts["signers_total"], facts["power"], facts["power_total"]) == (3, 3, 3, 3)


def test_a_run_that_another_one_follows_says_so() -> None:
    verdict = verify.verify_bundle(HONEST["a later run"].bundle_bytes, trust_of(HONEST["a later run"]))
    assert verdict.facts["later_runs"] == ["corrected"]
    assert "A later run of this slot was known then: corrected." in verify.render(verdict, as_json=False)


@pytest.mark.parametrize(
    ("story", "word", "reason"),
    [
        (APPROVED, "corrected", "read at the meter"),
        (SUBSTITUTED, "substituted", f"{SUBSTITUTE}the meter stood still"),
    ],
    ids=["read", "not read"],
)
def test_a_register_that_an_organisation_answers_for_is_called_by_whether_it_was_read(
    story: Story, word: str, reason: str
) -> None:
    of = evidence(story)
    told = verify.render(verify.verify_bundle(of.bundle_bytes, trust_of(of)), as_json=False)
    assert f"h1, meter M-1, energy {word.upper()}, 1970-01-01 02:30 to 02:45 UTC" in told
    assert f"Register of 1970-01-01 02:45:00 UTC: {word}, util answers for it: {reason}\n" in told


def test_a_trust_root_of_one_signer_is_called_the_operators_own_word() -> None:
    only = [{"name": "operator", "power": 1, "public_key": OLD_SIGNERS[0].public.hex()}]
    parts = parts_of(TRADE)
    parts["certificate"] = [pair for pair in parts["certificate"] if pair[0] == OLD_SIGNERS[0].public]
    verdict = verify.verify_bundle(cbor.encode(parts), trust_of(TRADE, signers=only))
    assert verdict.answer == verify.VERIFIED
    assert "Certified by operator (1 of 1 signer: the operator's own word)." in verify.render(verdict, as_json=False)


# --------------------------------------------------------------------------------------------------------- not checked


def not_checked(verdict: verify.Verdict) -> list[str]:
    """Words of the claims that the verdict lists as not checked; what is never checked stands behind them."""
    assert verdict.not_checked[-len(verify.NEVER_CHECKED) :] == verify.NEVER_CHECKED
    words = {text: word for word, text in verify.CLAIMS.items()}
    return [words[text] for text in verdict.not_checked if text in words]


def test_claims_that_were_not_reached_are_listed_as_not_checked() -> None:
    assert not_checked(verify.verify_bundle(BUNDLE, TRUST)) == ["book"]
    assert not_checked(verify.verify_bundle(BUNDLE, TRUST, TRADE.book_bytes)) == []
    assert not_checked(verify.verify_bundle(BUNDLE, None)) == ["certificate", "book"]
    assert not_checked(verify.verify_bundle(b"garbage", TRUST)) == list(verify.CLAIMS)[1:]


def test_an_unknown_contract_leaves_the_structural_claims_checked() -> None:
    unknown = evidence(Story(contract="barter/1"))
    verdict = verify.verify_bundle(unknown.bundle_bytes, trust_of(unknown))
    assert verdict.answer == verify.CANNOT_BE_DECIDED
    assert verdict.reason == "the contract barter/1 is unknown here"
    open_claims = ["position", "lines", "orders", "clearing", "book"]
    assert not_checked(verdict) == open_claims
    assert list(verdict.claims) == [word for word in verify.CLAIMS if word not in open_claims]


def test_an_unknown_contract_does_not_save_a_forged_bundle() -> None:
    unknown = evidence(Story(contract="barter/1"))
    parts = parts_of(unknown)
    parts["certificate"][0][1] = bytes(64)
    assert refuted(parts, trust_of(unknown)) == "certificate"


def test_a_header_of_a_later_protocol_cannot_be_decided() -> None:
    later = evidence(Story(protocol_version=3))
    verdict = verify.verify_bundle(later.bundle_bytes, trust_of(later))
    assert (verdict.answer, "protocol version" in verdict.reason) == (verify.CANNOT_BE_DECIDED, True)


@pytest.mark.parametrize(("version", "said"), [(1, "release 0.1 of GridLedger"), (0, "version 0"), (3, "version 3")])
def test_a_bundle_of_another_version_cannot_be_decided_and_is_not_looked_at(version: int, said: str) -> None:
    data = cbor.encode({"novelty": 1, "type": "gridledger-evidence", "version": version})
    verdict = verify.verify_bundle(data, TRUST)
    assert (verdict.answer, verdict.claims, said in verdict.reason) == (verify.CANNOT_BE_DECIDED, {}, True)


@pytest.mark.parametrize(
    ("clock", "mark", "said"),
    [
        ("block", "", ""),
        ("simulated", "SIMULATED", "no real meter stands behind its readings"),
        ("imported", "IMPORTED", "no meter signed these values"),
    ],
)
def test_simulated_and_imported_values_are_marked(clock: str, mark: str, said: str) -> None:
    parts = parts_of(TRADE)
    place = next(place for place in inner_places(parts) if place == ("chain", "leaf"))
    marked = with_inner(parts, place, (1, "clock"), lambda _: clock)
    verdict = verify.verify_bundle(cbor.encode(certify(sign_all(remade(parts, marked)))), TRUST)
    assert verdict.answer == verify.VERIFIED, verdict.reason
    shown = verify.render(verdict, as_json=False)
    assert (mark in shown, said in shown) == (True, True)
    assert ("SIMULATED" in shown, "IMPORTED" in shown) == (mark == "SIMULATED", mark == "IMPORTED")


# -------------------------------------------------------------------------------------------------------- altered bytes


def test_an_empty_bundle_is_called_empty() -> None:
    assert verify.verify_bundle(b"", TRUST).reason == "shape: the bundle is empty"


def test_cut_extended_and_empty_bundles_are_not_verified() -> None:
    cut = [BUNDLE[:length] for length in (0, 1, 2, 100, len(BUNDLE) // 2, len(BUNDLE) - 1)]
    odd = [b"\xff" * 40, b"\x9f", b"\xbf", b"\x81" * 5_000, bytes(verify.BUNDLE_BYTES_MAX + 1)]
    for data in [*cut, BUNDLE + b"\x00", *odd]:
        assert verify.verify_bundle(data, TRUST).answer == verify.NOT_VERIFIED


def test_any_part_of_a_wrong_type_or_missing_is_refused_without_a_traceback() -> None:
    parts = parts_of(TRADE)
    places = [place for place in every_place(parts) if place]
    assert len(places) > 200
    wrong: list[Any] = [0, -1, b"", "", [], {}, True, b"\x00" * 33, [b"x"], {"a": 1}]
    for number, place in enumerate(places):
        for value in (wrong[number % 10], wrong[(number + 3) % 10]):
            changed = replaced(parts, place, _always(value))
            if changed != parts:
                assert verify.verify_bundle(cbor.encode(changed), TRUST).answer != verify.VERIFIED, (place, value)
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
    parts = parts_of(TRADE)
    maps: list[Any] = [["chain"], [1, 2], {}, 7]
    wrong = [b"", b"\xff", b"\x80", b"\xf5", *(cbor.encode(value) for value in maps), bytes(60)]
    places = list(inner_places(parts))
    assert len(places) > 40
    for place in places:
        for data in wrong:
            changed = cbor.encode(replaced(parts, place, _always(data)))
            assert verify.verify_bundle(changed, TRUST).answer == verify.NOT_VERIFIED, place


# ---------------------------------------------------------------------------------------------- trust and certificates


def test_without_a_trust_root_an_honest_bundle_cannot_be_decided() -> None:
    verdict = verify.verify_bundle(BUNDLE, None)
    assert (verdict.answer, "trust" in verdict.reason) == (verify.CANNOT_BE_DECIDED, True)
    assert "signatures" in verdict.claims


@pytest.mark.parametrize("changes", [{"chain": "village0123456789abcdef"}, {"genesis": "00" * 32}])
def test_a_trust_root_of_another_chain_cannot_decide(changes: dict[str, str]) -> None:
    assert refuted(BUNDLE, trust_of(TRADE, **changes)) == verify.CANNOT_BE_DECIDED


def _signers(*pairs: Any, power: int = 1) -> list[dict[str, Any]]:
    return [{"name": f"node {n}", "power": power, "public_key": pair.public.hex()} for n, pair in enumerate(pairs)]


def test_a_signer_outside_the_trust_root_is_not_verified() -> None:
    parts = parts_of(TRADE)
    parts["certificate"] = _certificate(*OLD_SIGNERS, NEW_SIGNERS[0])
    assert refuted(parts, TRUST) == "certificate"


def _certificate(*pairs: Any) -> list[Any]:
    unsigned = sorted([pair.public, bytes(64)] for pair in pairs)
    return list(certify({**parts_of(TRADE), "certificate": unsigned})["certificate"])


@pytest.mark.parametrize(
    ("certifiers", "answer"),
    [
        (OLD_SIGNERS, verify.VERIFIED),
        (OLD_SIGNERS[:2], "certificate"),  # two thirds are not more than two thirds
        (OLD_SIGNERS[1:2], "certificate"),
        ((), verify.CANNOT_BE_DECIDED),
    ],
)
def test_more_than_two_thirds_of_the_power_must_have_signed(certifiers: tuple[Any, ...], answer: str) -> None:
    assert refuted({**parts_of(TRADE), "certificate": _certificate(*certifiers)}, TRUST) == answer


def test_a_trust_root_of_less_power_than_the_headers_set_is_outdated() -> None:
    """All three signed, but of a set in which they have other powers: not more than two thirds by that set."""
    heavier = [*_signers(*OLD_SIGNERS), *_signers(*NEW_SIGNERS, power=100)]
    verdict = verify.verify_bundle(BUNDLE, trust_of(TRADE, signers=heavier))
    assert (verdict.answer, "outdated" in verdict.reason) == (verify.CANNOT_BE_DECIDED, True)


def test_one_signature_is_not_counted_twice() -> None:
    parts = parts_of(TRADE)
    parts["certificate"] = [parts["certificate"][0]] * 3
    assert refuted(parts, TRUST) == "certificate"


def test_a_header_behind_a_change_of_signers_is_verified_with_the_old_and_the_new_trust_root() -> None:
    assert refuted(LATER.bundle_bytes, trust_of(LATER)) == verify.VERIFIED
    assert refuted(LATER.bundle_bytes, trust_of(LATER, signers=_signers(*NEW_SIGNERS))) == verify.VERIFIED


def test_a_hand_over_is_certified_by_the_set_before_it() -> None:
    parts = parts_of(LATER)
    parts["handovers"][0]["certificate"] = []
    assert refuted(parts, trust_of(LATER)) == verify.CANNOT_BE_DECIDED
    assert refuted(parts, trust_of(LATER, signers=_signers(*NEW_SIGNERS))) == verify.VERIFIED, "it is passed over"
