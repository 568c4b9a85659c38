"""One bundle under examination: its bytes, what was found in them so far, and how its parts are looked at."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from gridevidence.layout import STATE_ROOT
from gridevidence.verifier.answers import CANNOT_BE_DECIDED, Halt, hold, plain, same
from gridevidence.verifier.cbor import decode
from gridevidence.verifier.contract import Contract, Slot
from gridevidence.verifier.contracts import CONTRACTS
from gridevidence.verifier.trees import root_of_path
from gridevidence.verifier.trust import Trust


class SignedPart(NamedTuple):
    """A transaction of the bundle: what it is, which leaf has its signer's key, and its proof."""

    what: str
    signer: str
    part: dict[str, Any]


class Examination:
    """What the claims are checked on, in their order: each finds here what those before it have found."""

    def __init__(self, data: bytes, trust: Trust | None, book: bytes | None) -> None:
        self.data, self.trust, self.book_data = data, trust, book
        self.facts: dict[str, Any] = {}
        self.bundle: dict[str, Any] = {}
        self.head: list[Any] = []  # the certified header's items
        self.value: dict[str, dict[str, Any]] = {"clearing": {}}  # values of the leaves run, rules, meter, clearing ...
        self.fills: list[tuple[int, ...]] = []  # rows of the party's filled orders

    def leaf(self, part: dict[str, Any], shape: Any, name: str, key: str = "") -> str:
        """Key of a state proof that lies under the header's state root (and is ``key``); its value is kept under ``name``."""
        leaf = decode(part["leaf"], f"the {name} leaf", (str, shape))
        is_in_state = root_of_path(part["leaf"], part["path"]) == self.head[STATE_ROOT]
        hold(is_in_state, f"the {name} leaf is not in the header's state")
        same(f"the key of the {name} leaf", leaf[0], key or leaf[0])
        self.value[name] = leaf[1]
        return str(leaf[0])

    def row(self, part: dict[str, Any], layout: struct.Struct, root: bytes, what: str) -> tuple[int, ...]:
        """The integers of a salted row that lies under ``root``."""
        same(f"the length of the {what} row", len(part["row"]), layout.size)
        hold(root_of_path(part["salt"] + part["row"], part["path"]) == root, f"the {what} row is not under its root")
        return layout.unpack(part["row"])

    def signed(self, part: dict[str, Any], shape: Any, kind: str, what: str) -> dict[str, Any]:
        """The signed map of a transaction of this chain and this kind."""
        signed: dict[str, Any] = decode(part["signed"], what, shape)
        same(f"kind and chain of {what}", (signed["kind"], signed["chain"]), (kind, self.head[1]))
        return signed

    def batches(self) -> list[SignedPart]:
        """The batches of the slot's end and start."""
        return [
            SignedPart(f"the {when} batch", f"{when} signer", part) for when, part in self.bundle["batches"].items()
        ]

    def orders(self) -> list[SignedPart]:
        """The party's filled orders."""
        return [
            SignedPart(f"order {number}", "party signer", part) for number, part in enumerate(self.bundle["orders"], 1)
        ]

    def contract(self) -> Contract:
        """The arithmetic of the run's contract; halts where it is unknown here."""
        contract_id = self.value["run"]["contract"]
        if contract_id not in CONTRACTS:
            raise Halt(CANNOT_BE_DECIDED, f"the contract {plain(contract_id)} is unknown here")
        return CONTRACTS[contract_id]

    def slot(self) -> Slot:
        """What all lines of the slot rest on."""
        return Slot(self.value["run"], self.value["rules"]["prices"])
