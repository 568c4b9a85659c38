"""Transactions: what a record says comes back from what was signed, and nothing of another form does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from gridcore.envelope import Transaction, decode_transaction, encode_signed, encode_transaction
from gridcore.errors import EncodingError
from gridcore.forms import TIME_S_MAX
from gridcore.governance.table import ACTION_BYTES_MAX
from gridcore.transactions.approve_reading import ApproveReading
from gridcore.transactions.clock_accept import ClockAccept
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import Content, sign_content
from gridcore.transactions.dispute_document import DisputeDocument
from gridcore.transactions.dispute_open import DisputeOpen
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision, DisputeWithdrawal
from gridcore.transactions.governance_propose import GovernancePropose
from gridcore.transactions.governance_vote import GovernanceVote
from gridcore.transactions.interval_import import ImportedFile, IntervalImport
from gridcore.transactions.market_cancel import MarketCancel
from gridcore.transactions.market_order import Condition, MarketOrder
from gridcore.transactions.market_profile import MarketProfile, ProfileBid, ProfileCondition, ProfileEnd, ProfilePart
from gridcore.transactions.open_epoch import OpenEpoch
from gridcore.transactions.order_batch import OrderBatch
from gridcore.transactions.payment import Payment
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, ClockState, ReadingBatch, VerifiedHeader
from gridcore.transactions.registry_approve import RegistryApprove
from gridcore.transactions.registry_register import RegistryRegister
from ledger.kinds.table import KINDS

ADVANCE = ClockAdvance(client_id=bytes(16), valid_until_s=900, to_s=0)
ACCEPT = ClockAccept(client_id=bytes(16), valid_until_s=900, to_s=900)
EPOCH = OpenEpoch(client_id=bytes(16), valid_until_s=-1, epoch=2, gateway="gw-1", reason="outbox lost")
APPROVAL = ApproveReading(
    client_id=bytes(16),
    valid_until_s=0,
    boundary_s=900,
    installation=2**32 - 1,
    reason="read there",
    registers=[10**13, 0],
)
ORDER = MarketOrder(
    area="A",
    counter=0,
    nonce=bytes(16),
    price_micro_per_kwh=-5,
    quantity_wh=2**63 - 1,
    side="sell",
    slot_start_s=-900,
)
BATCH = ReadingBatch(
    agent="",
    boundary_s=900,
    clock=ClockState(-3, "holdover"),
    configuration=bytes(32),
    counter=1,
    epoch=1,
    previous=FIRST_PREVIOUS,
    profiles=bytes(32),
    rows=4096,
    rows_root=bytes(32),
)
FULL_BATCH = replace(BATCH, observations=b"o" * 32, receipt=VerifiedHeader(7, b"h" * 32))
REGISTRATION = RegistryRegister(client_id=bytes(16), valid_until_s=0, rows=4096, rows_root=bytes(32))
CHANGED = replace(ORDER, replaces=[1, 16])
WHOLE = replace(ORDER, all_or_none=True)
WANTED = (Condition(5, -5, "H-1", "solar"), Condition(7, -6, energy_kind="renewable"), Condition(2, -9))
PREFERRING = replace(ORDER, side="buy", quantity_wh=7, conditions=WANTED)
RAMP = replace(ORDER, last_price_micro_per_kwh=7, steps=16)
PROFILE = MarketProfile(
    area="A",
    counter=1,
    end_s=1_800,
    nonce=bytes(16),
    parts=[ProfilePart("buy", 5, [1, 0, 2**32 - 1]), ProfilePart("sell", 6, [7])],
    slot_start_s=0,
)
STANDING_BID = replace(
    PROFILE,
    parts=[
        ProfileBid([ProfileCondition(5, [1], "H-1", "solar"), ProfileCondition(-6, [0, 2**32 - 1])]),
        *PROFILE.parts,
    ],
)
SAID = {"price_micro_per_kwh": 1, "quantities_wh": bytes([1, 0, 0, 0])}
NO_PARTS: Final = (
    {"conditions": [], "side": "buy"},
    {"conditions": [SAID] * 5, "side": "buy"},
    {"conditions": [SAID], "side": "sell"},
    {"conditions": [SAID], "side": "buy", "price_micro_per_kwh": 1},
    {"conditions": [{**SAID, "quantities_wh": bytes(4)}], "side": "buy"},
    {"conditions": [{**SAID, "energy_kind": "moon"}], "side": "buy"},
    {"conditions": [{**SAID, "energy_wh": 1}], "side": "buy"},
    {"conditions": [[]], "side": "buy"},
)
"""What is no part with conditions."""
PROFILE_END = ProfileEnd(area="A", counter=1, nonce=bytes(16), slot_start_s=0)
CANCEL = MarketCancel(area="A", counters=[1, 2, 16], nonce=bytes(16), slot_start_s=-900)
PLACED = OrderBatch(
    client_id=bytes(16), valid_until_s=0, rows=16_384, rows_root=bytes(32), slot_start_s=-900, zone="z-1"
)
AGREED = RegistryApprove(client_id=bytes(16), valid_until_s=0, transaction=bytes(32))
PROPOSAL = GovernancePropose(client_id=bytes(16), valid_until_s=0, action=b"a", open_until_s=900)
VOTE = GovernanceVote(client_id=bytes(16), valid_until_s=0, in_favour=False, proposal=bytes(32))
IMPORT = IntervalImport(
    client_id=bytes(16), valid_until_s=0, agent="a", estimates="", files=[ImportedFile("f.csv", bytes(32))], first_slot_s=0,
    meters=2, rows_root=bytes(32), slot_s=900, slots=96,
)  # fmt: skip
DISPUTE = DisputeOpen(
    client_id=bytes(16),
    valid_until_s=0,
    ground="tariff",
    line_kind="",
    point="P-1",
    run="correction-1",
    slot_start_s=TIME_S_MAX,
    statement=bytes(32),
)
DOCUMENT = DisputeDocument(
    client_id=bytes(16),
    valid_until_s=0,
    amount_nano=-(10**18),
    ground="tariff",
    line_kind="kW peak",
    month="2026-06",
    part="line",
    statement=bytes(32),
)
STEPS = [
    kind(client_id=bytes(16), valid_until_s=0, dispute=bytes(32), outcome=kind.outcomes[0], statement=bytes(32))
    for kind in (DisputeAnswer, DisputeDecision, DisputeWithdrawal)
]
PAYMENT = Payment(
    client_id=bytes(16), valid_until_s=0, amount_nano=5, ground="received", party="p", point="P", reference=bytes(32)
)
CONTENTS = [
    DISPUTE,
    DOCUMENT,
    replace(DOCUMENT, part="tax", line_kind=""),
    *STEPS,
    PAYMENT,
    IMPORT,
    ADVANCE,
    ACCEPT,
    EPOCH,
    APPROVAL,
    ORDER,
    PREFERRING,
    CHANGED,
    CANCEL,
    WHOLE,
    RAMP,
    PROFILE,
    STANDING_BID,
    PROFILE_END,
    BATCH,
    FULL_BATCH,
    REGISTRATION,
    AGREED,
    PLACED,
    PROPOSAL,
    VOTE,
]


def transaction_of(content: Content, changes: Mapping[str, Any] | None = None, attachment: bytes = b"") -> Transaction:
    """The transaction of a content; ``changes``: another identity or body."""
    parts: dict[str, Any] = {"identity": content.identity(), "body": content.body(), **(changes or {})}
    signed = encode_signed(chain="c", kind=content.kind, signer="s", **parts)
    return decode_transaction(encode_transaction(signed, bytes(64), attachment))


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: type(content).__name__)
def test_a_record_comes_back_from_what_was_signed(content: Content) -> None:
    signed = sign_content(content, chain="c", signer="s", sign=lambda message: bytes(64))
    transaction = decode_transaction(signed.wire)
    assert type(content).decode(transaction) == content
    assert (transaction.id, transaction.kind, transaction.signer) == (signed.id, content.kind, "s")


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: type(content).__name__)
@pytest.mark.parametrize("part", ["identity", "body"])
def test_a_field_too_many_or_too_few_is_refused(content: Content, part: str) -> None:
    fields = dict(getattr(content, part)())
    decode = type(content).decode
    with pytest.raises(EncodingError, match="its fields are"):
        decode(transaction_of(content, {part: fields | {"more": 1}}))
    for name in fields.keys() - {"observations", "receipt", "replaces", "condition", "conditions"}:
        less = {key: value for key, value in fields.items() if key != name}
        with pytest.raises(EncodingError, match=r"its fields are|a ramp has"):
            decode(transaction_of(content, {part: less}))


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: type(content).__name__)
@pytest.mark.parametrize("value", [None, True, [], {}, 2**63, -(2**63) - 1], ids=repr)
def test_no_field_takes_a_value_of_another_form(content: Content, value: Any) -> None:
    value = "x" * 201 if value is None else value
    fields = [(part, name) for part in ("identity", "body") for name in getattr(content, part)()]
    assert len(fields) > 2
    for part, name in fields:
        if isinstance(getattr(content, part)()[name], bool) and isinstance(value, bool):
            continue
        changes = {part: {**getattr(content, part)(), name: value}}
        with pytest.raises(EncodingError, match=f"{name} is|clock: its fields"):
            type(content).decode(transaction_of(content, changes))


@pytest.mark.parametrize(
    ("content", "name", "value"),
    [
        (ADVANCE, "to_s", -1),
        (ADVANCE, "to_s", TIME_S_MAX + 1),
        (EPOCH, "reason", ""),
        (ORDER, "side", "hold"),
        (ORDER, "area", ""),
        (CHANGED, "replaces", [0]),
        (WHOLE, "condition", "half"),
        (RAMP, "steps", 1),
        (RAMP, "steps", 17),
        (PROFILE, "end_s", -1),
        (PROFILE, "parts", []),
        (PROFILE, "parts", [{"price_micro_per_kwh": 1, "quantities_wh": bytes([1, 0, 0, 0]), "side": "buy"}] * 17),
        (CANCEL, "counters", []),
        (CANCEL, "counters", [2, 1]),
        (CANCEL, "counters", [1, 1]),
        (CANCEL, "counters", [17]),
        (CANCEL, "counters", [True]),
        (BATCH, "rows", 0),
        (BATCH, "rows", 4097),
        (BATCH, "registers", ["1-0:2.8.0", "1-0:1.8.0"]),
        (BATCH, "clock", {"offset_ms": 0, "state": "wrong"}),
        (BATCH, "clock", {"offset_ms": 0}),
        (BATCH, "receipt", [1]),
        (BATCH, "receipt", [1, bytes(31)]),
        (BATCH, "observations", b""),
        (REGISTRATION, "rows", 0),
        (REGISTRATION, "rows", 4_097),
        (REGISTRATION, "rows_root", bytes(31)),
        (PLACED, "rows", 16_385),
        (PROPOSAL, "action", b""),
        (PROPOSAL, "action", bytes(ACTION_BYTES_MAX + 1)),
        (PROPOSAL, "open_until_s", -1),
        (VOTE, "in_favour", 1),
        (VOTE, "proposal", bytes(31)),
        (PLACED, "zone", ""),
        (DOCUMENT, "month", "2026-13"),
        (DOCUMENT, "month", "1969-12"),
        (DOCUMENT, "part", "half"),
        (DOCUMENT, "line_kind", "x" * 65),
        (DOCUMENT, "line_kind", ""),
        (DOCUMENT, "amount_nano", 10**18 + 1),
        (DOCUMENT, "amount_nano", -(10**18) - 1),
    ],
)
def test_a_value_out_of_bounds_is_refused(content: Content, name: str, value: Any) -> None:
    with pytest.raises(EncodingError, match=name if name != "clock" else "clock: "):
        type(content).decode(transaction_of(content, {"body": {**content.body(), name: value}}))


@pytest.mark.parametrize("part", NO_PARTS)
def test_a_part_of_a_profile_that_has_no_conditions_of_a_bid_is_refused(part: Mapping[str, Any]) -> None:
    with pytest.raises(EncodingError, match="market/profile: a part: "):
        MarketProfile.decode(transaction_of(STANDING_BID, {"body": {**STANDING_BID.body(), "parts": [part]}}))


@pytest.mark.parametrize("content", [ADVANCE, EPOCH, ORDER, PROPOSAL, VOTE], ids=lambda content: type(content).__name__)
def test_an_attachment_is_refused_where_a_kind_has_none(content: Content) -> None:
    with pytest.raises(EncodingError, match="no attachment"):
        type(content).decode(transaction_of(content, attachment=b"x"))


def test_the_table_of_kinds_names_each_record_by_its_kind() -> None:
    assert {kind: entry.content.kind for kind, entry in KINDS.items()} == {kind: kind for kind in KINDS}
    assert {type(content) for content in CONTENTS} == {entry.content for entry in KINDS.values()}


@pytest.mark.parametrize(
    "changes",
    [
        {"side": "sell"},
        {"quantity_wh": 8},
        {"price_micro_per_kwh": -6},
        {"condition": "all_or_none"},
        {"last_price_micro_per_kwh": 5, "steps": 2},
        {"conditions": []},
        {"conditions": [WANTED[0].value] * 5},
        {"conditions": [{**WANTED[1].value, "energy_kind": "sun"}, *(one.value for one in WANTED)]},
        {"conditions": [{**WANTED[1].value, "seller": ""}]},
        {"conditions": [7]},
    ],
    ids=str,
)
def test_an_order_that_is_no_bid_with_conditions_has_no_form(changes: dict[str, Any]) -> None:
    with pytest.raises(EncodingError, match="condition"):
        MarketOrder.decode(transaction_of(PREFERRING, {"body": {**PREFERRING.body(), **changes}}))
