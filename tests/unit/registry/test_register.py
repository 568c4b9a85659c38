"""registry/register: which rows an administrator may record, when they count, and that all are recorded or none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gridcore import cbor, merkle
from gridcore.codes import Code
from gridcore.registry.row import Row, rows_root
from gridcore.sm3 import sm3
from gridcore.transactions.registry_register import RegistryRegister, decode_attached_rows
from ledger.leaves.family import Value
from ledger.leaves.seen import SEEN, SeenLeaf
from ledger.registry import entries
from ledger.state import client_ids, seen_ids
from tests.worlds.consortium import FIRST_S, START_S, Consortium, feeder, gateway, household
from tests.worlds.keys import is_cheaply_signed, key, sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender

WORLD = Consortium(
    gateways=[gateway("gw-1"), gateway("gw-2", organisation="dso")],
    meters=[household(1, "p-1"), feeder(2)],
    roles={"admin": ["administrator"], "dso-admin": ["administrator"]},
    organisations={"dso-admin": "dso"},
)


class Chain:
    """A chain in memory whose signers sign cheaply, with whatever key they have by now."""

    def __init__(self) -> None:
        self.hands: dict[str, str] = {}
        self.sender = Sender(WORLD.chain, START_S, self.sign)
        self.ledger = MemoryLedger(WORLD.genesis, is_cheaply_signed)

    def sign(self, name: str, signed: bytes) -> bytes:
        return sign_cheaply(self.hands.get(name, name), signed)

    def decide(self, *wires: bytes) -> list[int]:
        """The codes of the next block."""
        return [int(result.code) for result in self.ledger.apply(wires).results]

    def register(self, *rows: Row, signer: str = "admin") -> int:
        """The code of a block that registers these rows."""
        return self.decide(self.sender.register(rows, signer=signer))[0]


@pytest.fixture
def chain() -> Chain:
    return Chain()


def new_key(name: str, from_s: int = START_S, **changes: Any) -> Row:
    """Another key of a signer."""
    value = {"organisation": "util", "public_key": key(f"{name}+").public_key, "roles": ["gateway"], **changes}
    return Row(f"signer/{name}", from_s, value)


def revoked(name: str, from_s: int = START_S, organisation: str = "util") -> Row:
    return Row(f"signer/{name}", from_s, {"organisation": organisation, "revoked": True})


def test_a_new_key_counts_from_the_block_after_and_the_old_one_no_longer(chain: Chain) -> None:
    batch = chain.sender.batch("gw-1", FIRST_S, [(1, 0, 0)])
    assert chain.decide(chain.sender.register([new_key("gw-1")]), batch) == [0, Code.FUTURE_BOUNDARY]
    assert chain.decide(batch) == [Code.WRONG_SIGNATURE]
    chain.hands["gw-1"] = "gw-1+"
    assert chain.decide(chain.sender.batch("gw-1", FIRST_S, [(1, 0, 0)], counter=1, previous=bytes(32))) == [
        Code.FUTURE_BOUNDARY
    ]


def test_a_key_that_begins_later_counts_from_its_instant_on_even_within_a_block(chain: Chain) -> None:
    assert chain.register(new_key("clock", START_S + 10, roles=["clock"])) == 0
    assert chain.decide(chain.sender.clock(START_S + 5)) == [0]
    first = chain.sender.clock(START_S + 10)
    assert chain.decide(first, chain.sender.clock(START_S + 11)) == [0, Code.WRONG_SIGNATURE]
    chain.hands["clock"] = "clock+"
    assert chain.decide(chain.sender.clock(START_S + 12)) == [0]


def test_a_revoked_signer_is_refused_until_it_is_enrolled_again(chain: Chain) -> None:
    assert chain.register(revoked("util")) == 0
    order = chain.sender.order("p-1", "a-1", "buy", 1, 1, FIRST_S)
    assert chain.register(revoked("p-1")) == 0
    assert chain.decide(order) == [Code.REVOKED]
    assert chain.register(new_key("p-1", roles=["prosumer"])) == 0
    chain.hands["p-1"] = "p-1+"
    assert chain.decide(chain.sender.order("p-1", "a-1", "buy", 1, 1, FIRST_S)) == [0]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (Row("gateway/gw-9", START_S, {"organisation": "util"}), Code.REGISTRY_FORM),
        (Row("signer/a b", START_S, {"organisation": "util", "revoked": True}), Code.REGISTRY_FORM),
        (new_key("gw-1", public_key=bytes(65)), Code.REGISTRY_FORM),
        (new_key("gw-1", roles=["king"]), Code.REGISTRY_FORM),
        (new_key("gw-1", roles=[]), Code.REGISTRY_FORM),
        (Row("signer/x", START_S, {"organisation": "util", "revoked": False}), Code.REGISTRY_FORM),
        (Row("signer/x", START_S, {"revoked": True}), Code.REGISTRY_FORM),
        (new_key("x", organisation="dso"), Code.NOT_PERMITTED),
        (new_key("gw-2"), Code.NOT_PERMITTED),
        (revoked("dso-admin"), Code.NOT_PERMITTED),
        (new_key("gw-1", START_S - 1), Code.REGISTRY_NOT_AHEAD),
    ],
)
def test_a_row_that_is_not_the_administrators_to_record_is_refused(chain: Chain, row: Row, code: Code) -> None:
    root = chain.ledger.state.root()
    assert chain.register(new_key("new"), row) == code
    assert chain.ledger.state.root() == root, "nothing is recorded unless every row may be"
    assert chain.ledger.state.get("signer/new") is None


@pytest.mark.parametrize("signer", ["dso-admin", "util", "gw-1"])
def test_only_an_administrator_of_the_organisation_registers(chain: Chain, signer: str) -> None:
    assert chain.register(new_key("gw-1"), signer=signer) == Code.NOT_PERMITTED


def test_another_organisation_enrols_its_own_gateway(chain: Chain) -> None:
    assert chain.register(new_key("gw-2", organisation="dso"), signer="dso-admin") == 0


def test_rows_are_judged_one_after_the_other(chain: Chain) -> None:
    assert chain.register(new_key("gw-1"), new_key("gw-1")) == Code.REGISTRY_NOT_AHEAD
    assert chain.register(new_key("gw-1"), new_key("gw-1", START_S + 1)) == 0
    leaf = chain.ledger.state.get("signer/gw-1") or {}
    assert [entry[:2] for entry in leaf["entries"]] == [[0, 0], [START_S, 2], [START_S + 1, 2]]


def test_more_entries_than_a_leaf_holds_fold_the_oldest(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "ENTRIES_MAX", 2)
    assert chain.register(new_key("gw-1", START_S + 5), new_key("gw-1", START_S + 6)) == Code.REGISTRY_CONFLICT
    assert chain.register(new_key("gw-1", START_S + 5)) == 0
    assert chain.decide(chain.sender.clock(START_S + 5)) == [0]
    assert chain.register(new_key("gw-1", START_S + 6)) == 0
    leaf = chain.ledger.state.get("signer/gw-1") or {}
    assert (len(leaf["entries"]), leaf["folded_to_s"]) == (2, 0)
    assert chain.register(revoked("gw-1", START_S + 5)) == Code.REGISTRY_NOT_AHEAD
    assert chain.register(new_key("gw-1", START_S + 7)) == Code.REGISTRY_CONFLICT, "the one in force would be folded"
    assert chain.decide(chain.sender.clock(START_S + 6)) == [0]
    assert chain.register(revoked("gw-1", START_S + 7)) == 0
    assert chain.register(revoked("gw-1", START_S + 6)) == Code.REGISTRY_NOT_AHEAD


def test_the_entry_opens_to_the_row_under_the_signed_root(chain: Chain) -> None:
    row = new_key("gw-1")
    wire = chain.sender.register([new_key("x"), row])
    assert chain.decide(wire) == [0]
    attached = decode_attached_rows(cbor.decode(wire)[2])
    digest = (chain.ledger.state.get("signer/gw-1") or {})["entries"][-1][2]
    assert chain.ledger.state.body(digest) == bytes(merkle.salt_at(attached.seed, 1)) + row.encode()
    body = cbor.decode(cbor.decode(wire)[0])["body"]
    assert body == {"rows": 2, "rows_root": rows_root(attached.seed, attached.rows)}


GOOD = [new_key("x").encode()]


@pytest.mark.parametrize(
    "attachment",
    [
        b"",
        cbor.encode({"rows": GOOD, "seed": bytes(31)}),
        cbor.encode({"rows": GOOD, "seed": bytes(32), "more": 1}),
        cbor.encode({"rows": [*GOOD, *GOOD], "seed": bytes(32)}),
        cbor.encode({"rows": [], "seed": bytes(32)}),
        cbor.encode({"rows": [new_key("y").encode()], "seed": bytes(32)}),
        cbor.encode({"rows": GOOD, "seed": b"x" * 32}),
    ],
)
def test_an_attachment_that_is_not_what_was_signed_is_refused(chain: Chain, attachment: bytes) -> None:
    content = RegistryRegister(client_id=bytes(16), valid_until_s=START_S, rows=1, rows_root=rows_root(bytes(32), GOOD))
    assert chain.decide(chain.sender.signed("admin", content, attachment)) == [Code.ROWS_MISMATCH]
    whole = cbor.encode({"rows": GOOD, "seed": bytes(32)})
    assert chain.decide(chain.sender.signed("admin", content, whole)) == [0], (
        "the same signed bytes with their own rows"
    )


@pytest.mark.parametrize(
    "row", [b"", b"\x80", cbor.encode(["signer/x", 0]), cbor.encode(["weather/x", 0, {}]), bytes(4_097)]
)
def test_bytes_that_are_no_row_of_a_known_entity_refuse_the_attachment(chain: Chain, row: bytes) -> None:
    rows = [*GOOD, row]
    content = RegistryRegister(client_id=bytes(16), valid_until_s=START_S, rows=2, rows_root=rows_root(bytes(32), rows))
    attachment = cbor.encode({"rows": rows, "seed": bytes(32)})
    assert chain.decide(chain.sender.signed("admin", content, attachment)) == [Code.ROWS_MISMATCH]


def test_a_client_id_counts_once(chain: Chain) -> None:
    wire = chain.sender.register([new_key("x")])
    assert chain.decide(wire, wire) == [0, Code.EXISTS]
    content = RegistryRegister(
        client_id=sm3(new_key("x").encode())[:16], valid_until_s=START_S + 3_600, rows=1, rows_root=bytes(32)
    )
    assert chain.decide(chain.sender.signed("admin", content)) == [Code.ID_REUSED]


def test_a_block_full_of_client_ids_reads_and_writes_their_hour_once(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All signers' ids of an hour stand in one leaf: to go through it for each would be slow for everybody."""
    decoded: list[int] = []
    written: list[SeenLeaf] = []

    def decode(**value: Any) -> SeenLeaf:
        decoded.append(value["hour"])
        return SEEN.decode(**value)

    def encode(leaf: SeenLeaf) -> Value:
        written.append(leaf)
        return SEEN.encode(leaf)

    counted = replace(SEEN, decode=decode, encode=encode)
    monkeypatch.setattr(client_ids, "SEEN", counted)
    monkeypatch.setattr(seen_ids, "SEEN", counted)
    wires = [chain.sender.register([new_key("gw-1", START_S + 100 + number)], signer="admin") for number in range(20)]
    assert chain.decide(wires[0]) == [0]
    assert chain.decide(*wires, wires[3]) == [Code.EXISTS, *[0] * 19, Code.EXISTS]
    assert (len(decoded), [len(leaf.ids) for leaf in written]) == (1, [1, 20])
