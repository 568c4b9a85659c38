"""What a page shows of a bundle is what the bundle proves: decoded from its bytes, level by level."""

from __future__ import annotations

from functools import partial

import pytest

from gridcore import cbor, verify
from gridcore.errors import EncodingError
from gridcore.sm3 import sm3
from gridevidence.view import BundleView, decode_bundle
from tests.second_verifier.evidence import HEADER, LATER
from tests.second_verifier.facts import START_S
from tests.second_verifier.story import KEYS, OLD_SIGNERS, Story
from tests.unit.verify.honest import HONEST, ROLLED, TRADE, every_place, evidence, parts_of, replaced, tell, trust_of

BUNDLE = TRADE.bundle_bytes
CHAIN = tell(Story()).chain


@pytest.fixture(scope="module")
def view() -> BundleView:
    return decode_bundle(BUNDLE)


def test_a_line_shows_energy_times_price_and_amount(view: BundleView) -> None:
    line = view.term("trade_buy")
    assert line is not None
    assert (line.energy_wh, line.price_micro_per_kwh, line.account) == (600, 100_000, "clearing")
    assert line.amount_nano == line.sign * line.energy_wh * 100_000
    assert view.term("trade_sell") is None, "it has no energy"


@pytest.mark.parametrize("name", HONEST)
def test_what_the_view_says_is_what_the_verifier_says_of_the_same_bytes(name: str) -> None:
    of = HONEST[name]
    view, facts = decode_bundle(of.bundle_bytes), verify.verify_bundle(of.bundle_bytes, trust_of(of)).facts
    assert (view.party, view.meter, view.gateway) == (facts["party"], facts["meter"], facts["gateway"])
    assert (view.run.slot_start_s, view.run.slot_end_s) == (facts["slot_start_s"], facts["slot_end_s"])
    assert list(view.run.later_runs) == facts["later_runs"]
    assert (view.position.import_wh, view.position.export_wh) == (facts["import_wh"], facts["export_wh"])
    lines = [(line["line_kind"], line["energy_wh"], line["amount_nano"]) for line in facts["lines"]]
    assert [(term.kind, term.energy_wh, term.amount_nano) for term in view.position.terms if term.energy_wh] == lines
    assert view.position.pays_nano == facts["pays_nano"]
    assert {key.signer: key.fingerprint for key in view.keys} == {
        key["signer"]: key["fingerprint"] for key in facts["keys"]
    }
    shown = [[reading.import_wh, reading.export_wh] for reading in view.readings]
    if view.imported is not None:
        assert shown == []
        assert (view.imported.import_wh, view.imported.export_wh) == (facts["import_wh"], facts["export_wh"])
        assert view.imported.transaction.protection == facts["protection"]
    elif "estimated" in facts:
        assert shown == []
    else:
        assert view.readings[-1].batch.protection == facts["protection"]
        assert len(shown) == 2 - len(facts["approved"])
        assert shown == [facts["start_registers_wh"], facts["end_registers_wh"]][: len(shown)]


@pytest.mark.parametrize("name", HONEST)
def test_the_terms_of_the_point_add_up_to_what_it_pays(name: str) -> None:
    view = decode_bundle(HONEST[name].bundle_bytes)
    assert sum(term.amount_nano for term in view.position.terms) == view.position.pays_nano
    measured_wh = sum(span.energy_wh for span in view.position.spans if span.register == "import")
    assert measured_wh == (view.position.import_wh if view.readings else 0)


def test_a_register_that_rolled_over_shows_its_modulus() -> None:
    imported, exported = decode_bundle(evidence(ROLLED).bundle_bytes).position.spans
    assert (imported.modulus_wh, imported.ratio, imported.energy_wh) == (100_000, 1, 1_000)
    assert (exported.modulus_wh, exported.energy_wh) == (0, 0)


def test_an_exchanged_meter_shows_both_parts_of_the_slot() -> None:
    view = decode_bundle(HONEST["a meter exchanged inside the slot"].bundle_bytes)
    assert view.meter == "M-1 M-3"
    assert [(span.meter, span.energy_wh) for span in view.position.spans[::2]] == [("M-1", 400), ("M-3", 600)]


def test_readings_stand_at_both_boundaries_with_quality_clock_and_counter(view: BundleView) -> None:
    start, end = view.readings
    assert (start.boundary_s, end.boundary_s) == (START_S, START_S + 900)
    assert (start.quality, start.flags, end.quality, end.flags) == ("measured", (), "measured", ("late",))
    assert (start.offset_ms, start.clock_state, start.epoch, start.counter, end.counter) == (120, "synced", 1, 1, 2)


def test_orders_show_id_limit_quantity_and_fill(view: BundleView) -> None:
    (order,) = view.orders
    assert (order.order, order.side) == (f"h1/{START_S}/1", "buy")
    assert (order.quantity_wh, order.limit_micro_per_kwh, order.filled_wh) == (600, 300_000, 600)


def test_signed_bytes_their_fields_their_key_and_their_block_are_those_of_the_bundle(view: BundleView) -> None:
    batch = view.readings[1].batch
    assert batch.signed == parts_of(TRADE)["pieces"][0]["end"]["signed"]
    assert batch.id == sm3(batch.signed)
    assert batch.public_key == KEYS["gw1"].public
    fields = dict(batch.fields)
    assert fields["identity.counter"] == "2"
    assert fields["body.rows_root"] == view.readings[1].path.root.hex()
    assert (batch.block.height, batch.block.digest) == (5, CHAIN.blocks[5].digest)


def test_every_path_leads_to_the_root_that_stands_above_it(view: BundleView) -> None:
    roots = dict(view.run.roots)
    assert view.position.path.root == roots["rows_root"]
    assert view.run.path.root == view.run.rules_path.root == view.header.state_root
    for transaction in (view.readings[0].batch, view.readings[1].batch, view.orders[0].transaction):
        assert transaction.block.data_path.root == transaction.block.data_root
        assert transaction.block.history_path.root == view.header.history_root


def test_keys_show_what_ties_them(view: BundleView) -> None:
    assert [(key.signer, key.enrolled_by, key.enrolled_height) for key in view.keys] == [
        ("admin", "", 0),
        ("gw1", "", 0),
        ("h1", "admin", 1),
    ]


def test_the_certificate_and_the_certified_header_are_shown(view: BundleView) -> None:
    assert (view.header.height, view.header.digest) == (HEADER, CHAIN.blocks[HEADER].digest)
    assert view.header.certified_digest == view.header.digest
    assert {key for key, _ in view.certificate} == {pair.public for pair in OLD_SIGNERS}
    later = decode_bundle(HONEST["certified behind a hand-over"].bundle_bytes).header
    assert (later.height, later.certified_height) == (HEADER, LATER)


def test_a_point_without_orders_shows_none() -> None:
    view = decode_bundle(HONEST["a community without orders"].bundle_bytes)
    assert (view.orders, view.run.price_micro_per_kwh, view.position.bought_wh) == ((), None, 800)


def test_a_contract_that_is_unknown_here_cannot_be_shown() -> None:
    with pytest.raises(EncodingError, match="barter/1 is unknown here"):
        decode_bundle(evidence(Story(contract="barter/1")).bundle_bytes)


def _instead(wrong: object, _: object) -> object:
    return wrong


def test_bytes_that_are_no_bundle_are_an_encoding_error_and_nothing_else() -> None:
    whole = parts_of(TRADE)
    wrongs: tuple[object, ...] = (b"", 7, "text", {})
    for place in every_place(whole):
        for wrong in wrongs:
            data = cbor.encode(replaced(whole, place, partial(_instead, wrong)))
            try:
                decode_bundle(data)
            except EncodingError:
                continue
    for size in (0, 1, len(BUNDLE) // 2, len(BUNDLE) - 1):
        with pytest.raises(EncodingError):
            decode_bundle(BUNDLE[:size])
