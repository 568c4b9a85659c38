"""A world so small that every number was worked out by hand: the twin and the ledger both, block by block (``Desk.apply``)."""

from __future__ import annotations

import struct

import pytest

from gridcore import cbor, merkle
from gridcore.header import genesis_header
from gridcore.registry.row import Row
from gridcore.sm3 import sm3
from ledger.state import client_ids
from tests.simulation.desk import ANNA, BERT, SLOT, START, Desk, two_meters
from tests.twin import twin as twin_module
from tests.twin.forms import Leaf, decode_column, fits, leaf_bytes
from tests.twin.headers import data_root, header, signers_digest, transaction_digest
from tests.worlds.keys import key
from tests.worlds.transactions import transaction_id


@pytest.fixture
def desk() -> Desk:
    return Desk()


def owed(leaves: dict[str, Leaf]) -> list[int]:
    """What each point owes from all runs, in nano."""
    balance = leaves["balance/Z/0"]
    return [u * 10**9 + n for u, n in zip(balance["units"], balance["nano"], strict=True)]


def test_one_slot_from_orders_and_readings_to_what_everybody_owes(desk: Desk) -> None:
    leaves = desk.twin.leaves
    orders = [desk.order("anna", "buy", 1_000, 600_000), desk.order("bert", "sell", 600, 400_000)]
    assert desk.apply(*orders) == [0, 0]
    assert desk.apply(desk.clock(START)) == [0]
    # Between the limits demand is 1,000 and supply 600 everywhere: demand is long, so the highest limit is the price.
    cleared, fills = leaves[f"cleared/{START}/Z/0"], leaves[f"fills/{START}/Z/0"]
    assert (cleared["has_price"], cleared["price_micro_per_kwh"], cleared["volume_wh"]) == ([1], [600_000], [600])
    assert (cleared["orders"], leaves[f"clearing/{START}/Z"]["areas"]) == ([2], 1)
    assert (fills["party"], fills["side"], fills["quantity_wh"]) == ([0, 1], [0, 1], [1_000, 600])
    assert fills["filled_wh"] == [600, 600]

    first = desk.batch(START, [(ANNA, 9_500, 0), (BERT, 100, 100)], 1, bytes(32))
    assert desk.apply(first, desk.clock(START + 2 * SLOT)) == [0, 0]
    # At the deadline nothing tells the slot's energy: 0 is estimated. Anna bought 600 Wh too many, Bert is short of 600.
    assert leaves[f"positions/{START}/Z/initial/0"]["quality"] == bytes([0x01, 0x01])
    assert leaves[f"positions/{START}/Z/initial/0"]["columns"]["import_wh"] == [0, 0]
    assert owed(leaves) == [360_000_000 - 180_000_000, -360_000_000 + 480_000_000]
    # Then the registers come, and the difference is posted.
    # Anna's register rolls over at 10,000: 9,500 -> 300 is 800 Wh. Bert gives 500 of the 600 Wh that he sold.
    second = desk.batch(START + SLOT, [(ANNA, 300, 0), (BERT, 100, 600)], 2, transaction_id(first))
    assert desk.apply(second) == [0]
    run = leaves[f"run/{START}/Z/correction-1"]
    # Anna: 600 x 0.60 traded, 200 x 0.65 residual, network 600 x 0.06 + 200 x 0.10, levy 800 x 0.02 (Wh x micro = nano).
    anna = 360_000_000 + 130_000_000 + 36_000_000 + 20_000_000 + 16_000_000
    # Bert: 600 x 0.60 received, 100 Wh short x 0.80.
    bert = -360_000_000 + 80_000_000
    assert owed(leaves) == [anna, bert]
    assert leaves["balance/Z/0"]["units"] == [0, -1]
    accounts = {"balance": 80, "clearing": 0, "levy": 16, "network": 56, "offtaker": 0, "supplier": 130}
    results = leaves[f"results/{START}/Z/correction-1/0"]
    assert results["totals_nano"] == {name: [millions * 1_000_000] for name, millions in accounts.items()}
    assert results["totals"] == {name: [0] for name in accounts}
    assert sum(millions for millions in accounts.values()) * 1_000_000 == anna + bert
    assert (run["rows"], run["points"], run["as_of_height"]) == (2, 2, 3)
    assert leaves[f"runs/{START}/Z"] == {"runs": [["initial", 3], ["correction-1", 4]]}
    assert leaves[f"positions/{START}/Z/correction-1/0"]["quality"] == bytes(2)
    assert leaves[f"positions/{START}/Z/correction-1/0"]["columns"] == {
        "start_import": [9_500, 100],
        "end_import": [300, 100],
        "start_export": [0, 100],
        "end_export": [0, 600],
        "import_wh": [800, 0],
        "export_wh": [0, 500],
        "bought_wh": [600, 0],
        "sold_wh": [0, 600],
        "pays_nano": [anna, bert],
        "supplier_only_nano": [800 * 770_000, -500 * 350_000],
    }
    received = leaves["accounts/Z/0"]
    assert {name: (received["units"][name], received["nano"][name]) for name in received["units"]} == {
        "balance": ([0], [80_000_000]),
        "levy": ([0], [16_000_000]),
        "network": ([0], [56_000_000]),
        "supplier": ([0], [130_000_000]),
    }
    assert leaves["progress/Z"]["corrections"] == []


def test_an_account_that_paid_holds_negative_units_and_a_positive_rest(desk: Desk) -> None:
    readings = [desk.batch(START, [(BERT, 0, 0), (ANNA, 0, 0)], 1, bytes(32))]
    readings.append(desk.batch(START + SLOT, [(BERT, 0, 4_000), (ANNA, 0, 0)], 2, transaction_id(readings[0])))
    assert desk.apply(desk.clock(START + 2 * SLOT), *readings) == [0, 0, 0]
    # 4,000 Wh x 0.35 = 1.4: the offtaker has received -1.4 = -2 units and 600,000,000 nano.
    accounts = desk.twin.leaves["accounts/Z/0"]
    assert (accounts["units"]["offtaker"], accounts["nano"]["offtaker"]) == ([-2], [600_000_000])


def test_rows_get_verdicts_of_their_own_and_the_batch_stands(desk: Desk) -> None:
    first = desk.batch(START, [(ANNA, 100, 0), (BERT, 100, 0)], 1, bytes(32))
    rows = [(ANNA, 5_101, 0), (ANNA, 200, 0), (8, 0, 0), (BERT, 90, 0)]
    second = desk.batch(START + SLOT, rows, 2, transaction_id(first))
    third = desk.batch(START + SLOT, [(BERT, 5_100, 0)], 3, transaction_id(second))
    fourth = desk.batch(START + SLOT, [(BERT, 5_100, 0)], 4, transaction_id(third))
    fifth = desk.batch(START + SLOT, [(BERT, 5_099, 0)], 5, transaction_id(fourth))
    assert desk.apply(desk.clock(START + SLOT), first, second, third, fourth, fifth) == [0] * 6
    exceptions = desk.twin.leaves["exception/gw/1/2"]
    # 90 is below 100, but over the rollover an advance of 9,990: more than 5,000, and the register stands lower.
    verdicts = [(0, ANNA, 84), (1, ANNA, 85), (2, 8, 82), (3, BERT, 83)]
    assert exceptions["counts"] == [[82, 1], [83, 1], [84, 1], [85, 1]]
    seed = sm3(sm3(b"gw/2") + b"exceptions")
    salted = [
        salt + struct.pack("<IIB", *verdict) for salt, verdict in zip(merkle.salts(seed, 4), verdicts, strict=True)
    ]
    assert exceptions["rows_root"] == merkle.root(salted)
    assert "exception/gw/1/3" not in desk.twin.leaves
    assert "exception/gw/1/4" not in desk.twin.leaves
    assert desk.twin.leaves["exception/gw/1/5"]["counts"] == [[81, 1]]


def test_a_late_row_fits_between_its_neighbours_or_is_refused(desk: Desk) -> None:
    wires, previous = [], bytes(32)
    boundaries = [(START, 100), (START + 2 * SLOT, 200), (START + SLOT, 201), (START + SLOT, 99), (START + SLOT, 150)]
    for counter, (boundary, value) in enumerate(boundaries, 1):
        wires.append(desk.batch(boundary, [(ANNA, value, 0)], counter, previous))
        previous = transaction_id(wires[-1])
    assert desk.apply(desk.clock(START + 2 * SLOT), *wires) == [0] * 6
    leaves = desk.twin.leaves
    assert leaves["exception/gw/1/3"]["counts"] == [[83, 1]]
    assert leaves["exception/gw/1/4"]["counts"] == [[83, 1]]
    assert "exception/gw/1/5" not in leaves
    assert leaves["latest/Z/0"]["boundary_s"] == [START + 2 * SLOT, -1]


@pytest.mark.parametrize(
    ("slots", "value", "code"), [(96, 8_999, 83), (97, 8_999, 0), (204, 9_002, 83), (203, 9_002, 83), (203, 9_001, 0)]
)
def test_a_late_row_looks_96_boundaries_around_and_at_the_latest_beyond(slots: int, value: int, code: int) -> None:
    desk = Desk(modulus_wh=0)
    first = desk.batch(START, [(ANNA, 9_000, 0)], 1, bytes(32))
    last = desk.batch(START + 300 * SLOT, [(ANNA, 9_001, 0)], 2, transaction_id(first))
    late = desk.batch(START + slots * SLOT, [(ANNA, value, 0)], 3, transaction_id(last))
    desk.wait_until(START + 300 * SLOT)
    assert desk.apply(first, last, late) == [0, 0, 0]
    exception = desk.twin.leaves.get("exception/gw/1/3", {"counts": []})
    assert exception["counts"] == ([[code, 1]] if code else [])


def test_a_register_never_shows_its_modulus(desk: Desk) -> None:
    first = desk.batch(START, [(ANNA, 9_999, 0), (BERT, 9_999, 0)], 1, bytes(32))
    second = desk.batch(START + SLOT, [(ANNA, 10_000, 0), (BERT, 0, 0)], 2, transaction_id(first))
    assert desk.apply(desk.clock(START + SLOT), first, second) == [0, 0, 0]
    assert desk.twin.leaves["exception/gw/1/2"]["counts"] == [[84, 1]]


def test_a_client_id_is_free_again_when_its_bucket_serves_another_hour(desk: Desk) -> None:
    now = START - 3_600
    assert desk.apply(desk.clock(now + 1, 1, now + 60), desk.clock(now + 2, 2, now + 60)) == [0, 0]
    later = now + 48 * 3_600
    desk.wait_until(later)
    assert desk.apply(desk.clock(later + 1, 1, later + 60)) == [0]
    bucket = desk.twin.leaves[f"seen/{(now + 60) // 3_600 % 48}"]
    assert bucket["hour"] == (later + 60) // 3_600
    assert [client_id[-1] for _, client_id, _ in bucket["ids"]] == [1]


def test_counters_and_replays_of_batches(desk: Desk) -> None:
    first = desk.batch(START, [(ANNA, 1, 0)], 1, bytes(32))
    other = desk.batch(START, [(ANNA, 2, 0)], 1, bytes(32))
    gap = desk.batch(START, [(ANNA, 2, 0)], 3, bytes(32))
    unchained = desk.batch(START, [(ANNA, 2, 0)], 2, bytes(32))
    second = desk.batch(START, [(BERT, 2, 0)], 2, transaction_id(first))
    future = desk.batch(START + SLOT, [(ANNA, 2, 0)], 1, bytes(32))
    assert desk.apply(desk.clock(START), future, first, first, other, gap, unchained, second, first) == [
        0, 45, 0, 1, 42, 41, 44, 0, 43,
    ]  # fmt: skip


def test_client_ids_are_remembered_until_they_expire(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = START - 3_600
    once = desk.clock(now + 1, 1, now + 60)
    assert desk.apply(once, once, desk.clock(now + 2, 1, now + 60), desk.clock(now + 1, 2)) == [0, 1, 20, 30]
    assert desk.apply(desk.clock(now + 9, 3, now), desk.clock(now + 9, 3, now + 86_402)) == [18, 19]
    monkeypatch.setattr(twin_module, "IDS_MAX", 1)
    monkeypatch.setattr(client_ids, "IDS_PER_HOUR_MAX", 1)
    assert desk.apply(desk.clock(now + 9, 4, now + 60)) == [21]


def test_orders_outside_their_time_and_range_are_refused(desk: Desk) -> None:
    wires = [
        desk.order("anna", "buy", 0, 1),
        desk.order("anna", "buy", -1, 1),
        desk.order("anna", "buy", 10**8 + 1, 1),
        desk.order("anna", "buy", 1, 10**9 + 1),
        desk.order("anna", "buy", 1, 1, counter=17),
        desk.order("anna", "buy", 1, 1, slot=START + 1),
        desk.order("anna", "buy", 1, 1, slot=START + 96 * SLOT),
        desk.order("anna", "buy", 5_000, -(10**9), counter=16),
        desk.order("anna", "buy", 1, 1, counter=16),
    ]
    assert desk.apply(*wires) == [64, 64, 64, 65, 68, 62, 61, 0, 66]
    assert desk.apply(desk.clock(START - 300), desk.order("anna", "buy", 1, 1)) == [0, 60]


def test_new_leaves_are_numbered_by_key_and_old_numbers_stay(desk: Desk) -> None:
    before = list(desk.twin.numbered)
    assert before == list(desk.ledger.state.leaf_keys())
    desk.apply(desk.order("anna", "buy", 1, 1), desk.clock(START - 3_599))
    new = desk.twin.numbered[len(before) :]
    assert desk.twin.numbered[: len(before)] == before
    assert [key.split("/")[0] for key in new] == ["book", "held", "orders", "seen"]
    assert desk.twin.state_root() == merkle.root(leaf_bytes(k, desk.twin.leaves[k]) for k in before + new)


def test_an_empty_block_changes_nothing(desk: Desk) -> None:
    root = desk.twin.state_root()
    assert desk.apply() == []
    assert desk.twin.state_root() == root


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (struct.pack("<qB2B", 5, 1, 0, 255), [5, 260]),
        (struct.pack("<qB2H", -5, 2, 256, 0), [251, -5]),
        (struct.pack("<qB2H", 5, 2, 0, 255), None),
        (struct.pack("<qB2B", 5, 1, 1, 2), None),
        (struct.pack("<qB3B", 5, 1, 0, 1, 2), None),
        (struct.pack("<qB2B", 5, 3, 0, 1), None),
        (b"", None),
    ],
)
def test_a_column_has_one_form(data: bytes, values: list[int] | None) -> None:
    assert decode_column(data, 2) == values


def test_forms_take_neither_booleans_for_numbers_nor_other_keys() -> None:
    assert fits({"a": 1}, {"a": range(2), "b?": 32})
    assert fits({"a": 1, "b": bytes(32)}, {"a": range(2), "b?": 32})
    assert not fits({"a": True}, {"a": range(2)})
    assert not fits({"a": 1, "c": 1}, {"a": range(2)})
    assert not fits({}, {"a": range(2)})
    assert not fits({"a": 1, "b": bytes(31)}, {"a": range(2), "b?": 32})


def test_a_header_chains_all_headers_before_it() -> None:
    digests = [sm3(b"0"), sm3(b"1")]
    data, signers = data_root([b"\xff"], [10]), signers_digest([(b"k", 1)])
    items = cbor.decode(header("hand0", 5, 4, digests, data, bytes(32), signers, 2))
    assert items[:6] == ["header/2", "hand0", 2, 5, 4, digests[1]]
    assert items[6] == merkle.root(digests)
    malformed = sm3(cbor.encode(["malformed", sm3(b"\xff")]))
    assert transaction_digest(b"\xff") == malformed
    assert items[7] == merkle.leaf_hash(cbor.encode([malformed, 10]))
    assert items[10:] == [b"", 2]


def test_the_header_of_genesis_is_the_ledgers_own() -> None:
    genesis = two_meters(10_000).genesis
    twin = Desk().twin
    of_genesis = header(
        genesis.chain,
        genesis.ledger_time_s,
        genesis.ledger_time_s,
        [],
        sm3(genesis.encode()),
        twin.state_root(),
        signers_digest(genesis.signers),
        2,
    )
    assert of_genesis == genesis_header(genesis, Desk().ledger.state.root()).encode()


def test_a_key_is_enrolled_and_counts_from_the_next_block(desk: Desk) -> None:
    value = {"organisation": "util", "public_key": key("new").public_key, "roles": ["gateway"]}
    enrolled = desk.sender.register([Row("signer/gw", START - 3_600, value)])
    batch = desk.batch(START, [(ANNA, 1, 0)], 1, bytes(32))
    assert desk.apply(enrolled, batch) == [0, 45]
    assert desk.apply(batch) == [14]
    assert desk.apply(
        desk.sender.register([Row("signer/gw", START - 3_600, {"organisation": "util", "revoked": True})])
    ) == [0]
    assert desk.apply(batch) == [16]
