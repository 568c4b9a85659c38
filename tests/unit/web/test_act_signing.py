"""An order signed by the page's own JavaScript is what our Python signs and takes; a key file that does not open is named in a word."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridcore import cbor
from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.sm import SigningKey, is_valid_signature
from gridcore.sm.keystore import encode_private_key
from gridcore.sm3 import sm3
from gridcore.transactions.approve_reading import ApproveReading
from gridcore.transactions.dispute_document import DisputeDocument
from gridcore.transactions.dispute_open import DisputeOpen
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision, DisputeWithdrawal
from gridcore.transactions.market_cancel import MarketCancel
from gridcore.transactions.market_order import Condition, MarketOrder
from gridcore.transactions.market_profile import MarketProfile, ProfileBid, ProfileCondition, ProfileEnd, ProfilePart

SCRIPT = Path(__file__).with_name("signing_cases.mjs")
SENDING = Path(__file__).with_name("sending_cases.mjs")
PASSWORD = "pass wörd 你好"
ITERATIONS = 1_024
ORDER = {
    "area": "a-1",
    "counter": {"integer": 3},
    "price": {"integer": 420_000},
    "quantity": {"integer": 1_500},
    "side": "buy",
    "slotStart": {"integer": 1_800_000_000},
}


def run(pem: bytes | str, password: str = PASSWORD, times: int = 1, words: Sequence[str] = (), **said: Any) -> Any:
    """What the page makes of a key file and an order, or another act (``kind``, ``act``)."""
    text = pem if isinstance(pem, str) else pem.decode("ascii")
    asked = {
        "pem": text,
        "password": password,
        "chain": "c-1",
        "signer": "home-1",
        "times": times,
        "words": list(words),
        **(said or {"order": ORDER}),
    }
    done = subprocess.run(["node", str(SCRIPT)], input=json.dumps(asked), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def key_file(key: SigningKey, **options: Any) -> bytes:
    """An encrypted key file, quickly opened."""
    return encode_private_key(key, PASSWORD.encode(), iterations=ITERATIONS, **options)


@pytest.mark.parametrize("is_openssl", [False, True], ids=["HMAC-SM3", "HMAC-SHA256"])
def test_an_order_that_the_browser_signs_is_the_transaction_that_we_read(is_openssl: bool) -> None:
    key = SigningKey.generate()
    made = run(key_file(key, openssl_compatible=is_openssl), times=20)
    assert made["publicKey"] == key.public_key.hex()
    nonces = set()
    for text in made["wires"]:
        (wire,) = cbor.decode(bytes.fromhex(text))
        transaction = decode_transaction(wire)
        assert (transaction.chain, transaction.kind, transaction.signer) == ("c-1", "market/order", "home-1")
        assert is_valid_signature(key.public_key, transaction.signed, transaction.signature)
        content = MarketOrder.decode(transaction)
        nonces.add(content.nonce)
        assert content == MarketOrder(
            area="a-1",
            counter=3,
            nonce=content.nonce,
            price_micro_per_kwh=420_000,
            quantity_wh=1_500,
            side="buy",
            slot_start_s=1_800_000_000,
        )
    assert len(nonces) == 20


RULE = {
    "area": "a-1",
    "counter": {"integer": 2},
    "end": {"integer": 1_800_604_800},
    "parts": [
        {"price": {"integer": 400_000}, "quantity": {"integer": 70_000}, "side": "buy"},
        {"price": {"integer": 450_000}, "quantity": {"integer": 1}, "side": "sell"},
    ],
    "slotStart": {"integer": 1_800_000_000},
}
CONDITIONS = [
    {"energy_wh": {"integer": 1_500}, "price_micro_per_kwh": {"integer": 420_000}, "energy_kind": "renewable"},
    {"energy_wh": {"integer": 1_500}, "price_micro_per_kwh": {"integer": 300_000}},
]


def signed_by_a_page(read_as: type[Any], **said: Any) -> Any:
    """The content of what a page signs, as we read it."""
    key = SigningKey.generate()
    (text,) = run(key_file(key), **said)["wires"]
    (wire,) = cbor.decode(bytes.fromhex(text))
    transaction = decode_transaction(wire)
    assert is_valid_signature(key.public_key, transaction.signed, transaction.signature)
    return read_as.decode(transaction)


def test_a_standing_rule_that_the_browser_signs_is_the_profile_that_we_read() -> None:
    content = signed_by_a_page(MarketProfile, rule=RULE)
    parts = [ProfilePart("buy", 400_000, [70_000]), ProfilePart("sell", 450_000, [1])]
    expected = MarketProfile(
        area="a-1", counter=2, end_s=1_800_604_800, nonce=content.nonce, parts=parts, slot_start_s=1_800_000_000
    )
    assert content == expected


def test_a_bid_that_prefers_what_is_green_is_the_conditions_that_we_read() -> None:
    content = signed_by_a_page(MarketOrder, order={**ORDER, "conditions": CONDITIONS})
    assert content.conditions == (Condition(1_500, 420_000, None, "renewable"), Condition(1_500, 300_000))


def test_a_standing_rule_that_prefers_what_is_green_is_the_bid_that_we_read() -> None:
    content = signed_by_a_page(MarketProfile, rule={**RULE, "parts": [{"conditions": CONDITIONS, "side": "buy"}]})
    green = ProfileCondition(420_000, [1_500], energy_kind="renewable")
    assert content.parts == [ProfileBid([green, ProfileCondition(300_000, [1_500])])]


BOTH_SIDES = {"buy_quantity": "0.8", "buy_price": "0.45", "sell_quantity": "1.2", "sell_price": "0.5", "days": "7"}
ANYBODY = {"kind": "", "seller": "", "other": ""}
BUYS = {"price": 450_000, "quantity": 800, "side": "buy"}
SELLS = {"price": 500_000, "quantity": 1_200, "side": "sell"}
SUN = {"energy_wh": 800, "price_micro_per_kwh": 450_000, "energy_kind": "solar"}
ANY = {"energy_wh": 800, "price_micro_per_kwh": 400_000}


@pytest.mark.parametrize(
    ("fields", "counters", "parts"),
    [
        (BOTH_SIDES, 2, [BUYS, SELLS]),
        (BOTH_SIDES | ANYBODY, 2, [BUYS, SELLS]),
        (BOTH_SIDES | ANYBODY | {"kind": "solar"}, 2, [{"conditions": [SUN], "side": "buy"}, SELLS]),
        (
            BOTH_SIDES | {"kind": "solar", "seller": " H002 ", "other": "0.4"},
            3,
            [{"conditions": [SUN | {"seller": "H002"}, ANY], "side": "buy"}, SELLS],
        ),
        (BOTH_SIDES | ANYBODY | {"other": "0.4"}, None, None),
        (BOTH_SIDES | ANYBODY | {"kind": "solar", "other": "much"}, None, None),
        (BOTH_SIDES | ANYBODY | {"kind": "solar", "buy_quantity": "", "buy_price": ""}, None, None),
    ],
    ids=[
        "plain",
        "nothing preferred",
        "a kind",
        "a neighbour's sun, or anything",
        "else without a first",
        "no limit",
        "of selling",
    ],
)
def test_the_form_of_a_standing_rule_says_what_it_prefers_or_is_not_well_formed(
    fields: dict[str, str], counters: int | None, parts: list[dict[str, Any]] | None
) -> None:
    limits = {"quantityMax": "100000000", "priceMax": "1000000000", "daysMax": "31"}
    dataset = {"area": "a-1", "slot": "1800000000", "endMax": "1802678400", "day": "86400", **limits}
    form = {"dataset": dataset, "elements": {name: {"value": value} for name, value in fields.items()}}
    found = run("", form=form)
    assert (found["counters"], found.get("parts")) == (counters, parts)


def test_what_withdraws_an_order_and_ends_a_rule_is_what_we_read() -> None:
    fixed = {"area": "a-1", "slot_start_s": 1_800_000_000}
    cancel = signed_by_a_page(
        MarketCancel, kind="market/cancel", act={"fixed": fixed, "given": {"counter": "3"}, "validUntil": 1}
    )
    assert (cancel.area, cancel.counters, cancel.slot_start_s) == ("a-1", [3], 1_800_000_000)
    end = signed_by_a_page(
        ProfileEnd,
        kind="market/profile_end",
        act={"fixed": {"area": "a-1"}, "given": {"rule": "1800000000/2"}, "validUntil": 1},
    )
    assert (end.area, end.counter, end.slot_start_s) == ("a-1", 2, 1_800_000_000)


def test_a_wrong_password_is_one_word() -> None:
    assert {run(key_file(SigningKey.generate()), password=wrong)["word"] for wrong in ("", "pass", PASSWORD + " ")} == {
        "password"
    }


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "file"),
        ("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "file"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "file"),
        ("x" * 20_000, "file"),
    ],
    ids=["empty", "not encrypted", "damaged", "too long"],
)
def test_a_file_that_is_no_key_file_is_named_so(text: str, word: str) -> None:
    assert run(text)["word"] == word


def test_a_key_file_that_asks_for_more_rounds_than_a_browser_does_is_another_scheme() -> None:
    pem = encode_private_key(SigningKey.generate(), PASSWORD.encode(), iterations=1_000_001)
    assert run(pem)["word"] == "scheme"


def test_a_key_file_with_a_letter_altered_never_opens_as_another_key() -> None:
    key = SigningKey.generate()
    lines = key_file(key).decode("ascii").splitlines()
    body = "".join(lines[1:-1])
    for place in range(0, len(body) - 2, 23):
        other = "A" if body[place] != "A" else "B"
        altered = "\n".join((lines[0], body[:place] + other + body[place + 1 :], lines[-1], ""))
        found = run(altered)
        assert found.get("word") in (None, "file", "scheme", "password", "key"), (place, found)
        assert found.get("publicKey", key.public_key.hex()) == key.public_key.hex()


def test_an_order_without_an_answer_is_sent_again_byte_by_byte_and_one_with_an_answer_is_a_new_one() -> None:
    """Its answer may have been lost after it was taken: as another order under the next counter, it would count twice."""
    answers = [None, Code.NODE_BUSY, Code.ACCEPTED, Code.EXISTS, Code.ORDER_REUSED, Code.ACCEPTED]
    done = subprocess.run(
        ["node", str(SENDING)],
        input=json.dumps({"asks": [500, 500, 700, 500, 500], "answers": answers}),
        capture_output=True,
        text=True,
        check=True,
    )
    made = json.loads(done.stdout)
    assert made["codes"] == [None, Code.NODE_BUSY, Code.ACCEPTED, Code.EXISTS, Code.ACCEPTED]
    lost, again, other, once_more, reused, next_one = made["sent"]
    assert lost == again == once_more
    assert len({lost, other, reused, next_one}) == 4
    (wire,) = cbor.decode(bytes.fromhex(next_one))
    assert MarketOrder.decode(decode_transaction(wire)).counter == 2


WORDS = "We were away on that evening. 我们不在家"
DISPUTE = {"line_kind": "residual_import", "point": "P-2", "run": "correction-1", "slot_start_s": 1_800_000_900}


@pytest.mark.parametrize(
    ("content", "fixed", "given"),
    [
        (
            DisputeOpen(
                client_id=b"",
                valid_until_s=0,
                ground="reading",
                line_kind="residual_import",
                point="P-2",
                run="correction-1",
                slot_start_s=1_800_000_900,
                statement=sm3(WORDS.encode()),
            ),
            DISPUTE,
            {"ground": "reading", "statement": WORDS},
        ),
        (
            DisputeDocument(
                client_id=b"",
                valid_until_s=0,
                amount_nano=-(10**18),
                ground="tariff",
                line_kind="平 tariff · kW peak",
                month="2026-06",
                part="line",
                statement=sm3(WORDS.encode()),
            ),
            {"amount_nano": str(-(10**18)), "line_kind": "平 tariff · kW peak", "month": "2026-06", "part": "line"},
            {"ground": "tariff", "statement": WORDS},
        ),
        *(
            (
                kind(
                    client_id=b"", valid_until_s=0, dispute=b"\xab" * 32, outcome=outcome, statement=sm3(WORDS.encode())
                ),
                {"dispute": "ab" * 32},
                {"outcome": outcome, "statement": WORDS, "signer": "util"},
            )
            for kind in (DisputeAnswer, DisputeDecision, DisputeWithdrawal)
            for outcome in kind.outcomes
        ),
        (
            ApproveReading(
                client_id=b"",
                valid_until_s=0,
                boundary_s=1_800_000_900,
                installation=7,
                reason="read at the meter",
                registers=[12_340, 0],
            ),
            {"boundary_s": 1_800_000_900, "installation": 7},
            {"import": {"integer": 12_340}, "export": {"integer": 0}, "reason": "read at the meter"},
        ),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_an_act_that_the_browser_signs_is_the_transaction_that_we_read(
    content: Any, fixed: dict[str, Any], given: dict[str, Any]
) -> None:
    key = SigningKey.generate()
    act = {"fixed": fixed, "given": given, "validUntil": "1800001000"}
    (text,) = run(key_file(key), kind=content.kind, act=act, words=[WORDS])["wires"]
    wire, words = cbor.decode(bytes.fromhex(text))
    assert words == WORDS
    transaction = decode_transaction(wire)
    assert (transaction.chain, transaction.kind, transaction.signer) == ("c-1", content.kind, "home-1")
    assert is_valid_signature(key.public_key, transaction.signed, transaction.signature)
    made = type(content).decode(transaction)
    assert len(made.client_id) == 16
    assert made == replace(content, client_id=made.client_id, valid_until_s=1_800_001_000)
