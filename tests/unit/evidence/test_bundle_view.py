"""What a page shows of a bundle is what the bundle proves: decoded from its bytes, level by level."""

from __future__ import annotations

from functools import partial

import pytest
from tests.unit.verify.bundle_world import (
    ALONE_NANO,
    BOUGHT_WH,
    EXPORT_WH,
    GATEWAY,
    HEAD,
    IMPORT_WH,
    KEYS,
    MODULUS_WH,
    PARTY,
    PAYS_NANO,
    PRICE,
    RATIO,
    SLOT_S,
    START_S,
    World,
    every_place,
    replaced,
    trust_of,
    without_orders,
)

from gridcore import cbor, verify
from gridcore.errors import EncodingError
from gridcore.sm3 import sm3
from gridevidence.view import BundleView, decode_bundle

WORLD = World()
BUNDLE = WORLD.bundle()


@pytest.fixture(scope="module")
def view() -> BundleView:
    return decode_bundle(BUNDLE)


def test_the_line_shows_energy_times_price_and_amount(view: BundleView) -> None:
    line = view.line
    assert (line.kind, line.energy_wh, line.price_micro_per_kwh) == ("trade_buy", BOUGHT_WH, PRICE)
    assert line.amount_nano == line.sign * line.energy_wh * PRICE == BOUGHT_WH * PRICE


def test_what_the_view_says_is_what_the_verifier_says_of_the_same_bytes(view: BundleView) -> None:
    facts = verify.verify_bundle(BUNDLE, trust_of(WORLD)).facts
    assert (view.party, view.meter, view.gateway) == (facts["party"], facts["meter"], facts["gateway"])
    assert (view.run.slot_start_s, view.run.slot_end_s) == (facts["slot_start_s"], facts["slot_end_s"])
    assert [span.energy_wh for span in view.position.spans] == [facts["import_wh"], facts["export_wh"]]
    assert (view.position.bought_wh, view.position.sold_wh) == (facts["bought_wh"], facts["sold_wh"])
    assert view.position.pays_nano == facts["slot_pays_nano"]
    assert view.readings[1].batch.protection == facts["protection"]
    shown = [[reading.import_wh, reading.export_wh] for reading in view.readings]
    assert shown == [facts["start_registers_wh"], facts["end_registers_wh"]]


def test_the_terms_of_the_point_add_up_to_what_it_pays(view: BundleView) -> None:
    assert sum(term.amount_nano for term in view.position.terms) == view.position.pays_nano == PAYS_NANO
    assert view.position.supplier_only_nano == ALONE_NANO
    assert next(term for term in view.position.terms if term.kind == view.line.kind).energy_wh == view.line.energy_wh


def test_a_register_that_rolled_over_shows_its_modulus_and_the_ratio(view: BundleView) -> None:
    imported, exported = view.position.spans
    assert (imported.modulus_wh, imported.ratio, imported.energy_wh) == (MODULUS_WH, RATIO, IMPORT_WH)
    assert (exported.modulus_wh, exported.energy_wh) == (0, EXPORT_WH)


def test_readings_stand_at_both_boundaries_with_quality_clock_and_counter(view: BundleView) -> None:
    start, end = view.readings
    assert (start.boundary_s, end.boundary_s) == (START_S, START_S + SLOT_S)
    assert (start.quality, start.flags, end.quality, end.flags) == ("measured", (), "measured", ("late",))
    assert (start.offset_ms, start.clock_state, start.epoch, start.counter, end.counter) == (120, "simulated", 1, 1, 2)


def test_orders_show_id_limit_quantity_and_fill(view: BundleView) -> None:
    shown = [(order.order, order.side, order.quantity_wh, order.limit_micro_per_kwh) for order in view.orders]
    assert shown[0] == (f"{PARTY}/{START_S}/1", "buy", 300, 400_000)
    assert [order.filled_wh for order in view.orders] == [300, 200]


def test_signed_bytes_their_fields_their_key_and_their_block_are_those_of_the_bundle(view: BundleView) -> None:
    batch = view.readings[1].batch
    assert batch.signed == cbor.decode(BUNDLE)["batches"]["end"]["signed"]
    assert batch.id == sm3(batch.signed)
    assert batch.public_key == KEYS[GATEWAY].public_key
    fields = dict(batch.fields)
    assert fields["identity.counter"] == "2"
    assert fields["body.rows_root"] == view.readings[1].path.root.hex()
    assert batch.block.height == WORLD.block_of["end"]
    assert batch.block.digest == sm3(WORLD.headers()[batch.block.height])


def test_every_path_leads_to_the_root_that_stands_above_it(view: BundleView) -> None:
    roots = dict(view.run.roots)
    assert view.line.path.root == roots["line_root"]
    assert view.position.path.root == roots["position_root"]
    assert view.position.input_path.root == roots["input_root"]
    assert view.run.path.root == view.run.rules_path.root == view.header.state_root
    for transaction in (view.readings[0].batch, view.readings[1].batch, view.orders[0].transaction):
        assert transaction.block.data_path.root == transaction.block.data_root
        assert transaction.block.history_path.root == view.header.history_root


def test_the_certificate_and_the_certified_header_are_shown(view: BundleView) -> None:
    assert (view.header.height, view.header.digest) == (HEAD, sm3(WORLD.headers()[HEAD]))
    assert [key for key, _ in view.certificate] == [KEYS["operator"].public_key]


def test_a_line_without_orders_shows_none() -> None:
    world = without_orders(WORLD.copy())
    world.sign()
    view = decode_bundle(world.bundle())
    assert (view.orders, view.line.kind, view.position.bought_wh) == ((), "residual_import", 0)


def _instead(wrong: object, _: object) -> object:
    return wrong


def test_bytes_that_are_no_bundle_are_an_encoding_error_and_nothing_else() -> None:
    whole = cbor.decode(BUNDLE)
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
