"""Genesis: what a chain starts from, and its name that follows from its digest (docs/spec/header.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, NamedTuple

from gridcore import cbor
from gridcore.errors import EncodingError, UsageError, excerpt
from gridcore.forms import INSTANT, Form, choice, exactly, integer, octets
from gridcore.sm3 import sm3
from gridcore.validator import VALIDATOR_SET, Validator, decode_validators, encode_validators, powers_of

VERSION: Final = 2
SLOT_S_CHOICES: Final = (300, 900, 1800, 3600)
BLOCK_TIME: Final = "block"
"""The clock of a chain whose ledger time is the time of its blocks; with every other one it is moved by clock/advance."""
HEARTBEAT_S: Final = 600
"""How far a chain with block time lets ledger time fall behind before it makes a block for nothing else."""
IMPORTED: Final = "imported"
"""The clock of a chain whose energies come out of files."""
CLOCKS: Final = (BLOCK_TIME, "simulated", IMPORTED)
GENESIS_BYTES_MAX: Final = 1 << 30
GENESIS_ITEMS_MAX: Final = (1 << 25) + (1 << 21)
"""CBOR items of a genesis: its registry rows, and what stands around them."""
ROWS_MAX: Final = 1 << 25
PROTOCOL_FIRST: Final = 2
CHAIN_NAME_PATTERN: Final = re.compile(r"[^/\x00-\x1f\x7f]{1,40}")


class Thresholds(NamedTuple):
    """How many organisations approve a change: of a contract, the protocol, the registry, the signers."""

    contract: int = 1
    protocol: int = 1
    registry: int = 1
    signers: int = 1


ONE_DECIDES: Final = Thresholds()
"""One organisation decides."""


class Activation(NamedTuple):
    """From ``height`` on, blocks are applied by the rules of ``version``."""

    version: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Genesis:
    """What a chain starts from.

    clock: one of ``CLOCKS``, what moves ledger time; currency: ISO 4217; ledger_time_s: before
    the first block, UTC seconds; protocol: ascending, the first (2, 0); registry: encoded rows
    (``gridcore.registry.row``); salt_seed: 32 bytes, of the salts of ``registry``; slot_s: length of a slot;
    validators: those who certify header 1, ascending by public key.
    """

    name: str
    clock: str
    currency: str
    ledger_time_s: int
    slot_s: int
    validators: Sequence[Validator]
    registry: Sequence[bytes]
    salt_seed: bytes
    thresholds: Thresholds = ONE_DECIDES
    protocol: Sequence[Activation] = (Activation(PROTOCOL_FIRST, 0),)

    @cached_property
    def chain(self) -> str:
        """The chain id: the name followed by the first 16 hex digits of SM3 of the genesis without it."""
        return chain_id(self._fields())

    @property
    def signers(self) -> tuple[tuple[bytes, int], ...]:
        """(public key, power) of each validator."""
        return powers_of(self.validators)

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode({**self._fields(), "chain": self.chain})

    @property
    def has_consensus(self) -> bool:
        """Whether a consensus engine decides the blocks of this chain; else one node does."""
        return self.validators[0].consensus_key != b""

    @cached_property
    def digest(self) -> bytes:
        """SM3 of the canonical bytes."""
        return sm3(self.encode())

    def _fields(self) -> dict[str, Any]:
        return {
            "clock": self.clock,
            "currency": self.currency,
            "ledger_time_s": self.ledger_time_s,
            "name": self.name,
            "protocol": [list(activation) for activation in self.protocol],
            "registry": list(self.registry),
            "salt_seed": self.salt_seed,
            "slot_s": self.slot_s,
            "thresholds": self.thresholds._asdict(),
            "type": "genesis",
            "validators": encode_validators(self.validators),
            "version": VERSION,
        }


def chain_id(fields: Mapping[str, Any]) -> str:
    """Name followed by the first 16 hex digits of SM3 of the genesis map without ``chain``."""
    without = {key: value for key, value in fields.items() if key != "chain"}
    return str(fields["name"]) + sm3(cbor.encode(without)).hex()[:16]


def decode_genesis(data: bytes) -> Genesis:
    """Decode a genesis file and check everything but its registry (``ledger.genesis_check``). UsageError naming the key at fault."""
    if len(data) > GENESIS_BYTES_MAX:
        raise UsageError(f"genesis: at most {GENESIS_BYTES_MAX} bytes")
    try:
        fields = cbor.decode(data, items_max=GENESIS_ITEMS_MAX)
    except EncodingError as error:
        raise UsageError(f"genesis: {error}") from None
    if not isinstance(fields, dict) or fields.get("type") != "genesis":
        raise UsageError("genesis: a map of type 'genesis'")
    if type(fields.get("version")) is int and fields["version"] == 1:
        raise UsageError(
            "genesis: of version 1, which release 0.1 reads; this release reads version 2: make a new chain"
        )
    if set(fields) != set(_FORMS):
        raise UsageError(f"genesis: has exactly the keys {', '.join(_FORMS)}")
    for key, form in _FORMS.items():
        if not form.holds(fields[key]):
            raise UsageError(f"genesis: {key} is {form.words}")
    if fields["chain"] != chain_id(fields):
        due, found = excerpt(chain_id(fields)), excerpt(fields["chain"])
        raise UsageError(f"genesis: chain is {due} for this content, not {found}")
    return Genesis(
        name=fields["name"],
        clock=fields["clock"],
        currency=fields["currency"],
        ledger_time_s=fields["ledger_time_s"],
        slot_s=fields["slot_s"],
        validators=decode_validators(fields["validators"]),
        registry=tuple(fields["registry"]),
        salt_seed=fields["salt_seed"],
        thresholds=Thresholds(**fields["thresholds"]),
        protocol=tuple(Activation(*activation) for activation in fields["protocol"]),
    )


def _are_activations(value: Any) -> bool:
    if not isinstance(value, list) or value[:1] != [[PROTOCOL_FIRST, 0]]:
        return False
    if not all(isinstance(pair, list) and len(pair) == 2 and all(type(n) is int for n in pair) for pair in value):
        return False
    return all(before[0] < after[0] and before[1] < after[1] for before, after in pairwise(value))


def _are_thresholds(value: Any) -> bool:
    count = integer(1)
    return isinstance(value, dict) and set(value) == set(Thresholds._fields) and all(map(count.holds, value.values()))


CURRENCY: Final = Form(
    "three capital letters, ISO 4217",
    lambda value: isinstance(value, str) and re.fullmatch("[A-Z]{3}", value) is not None,
)
_FORMS: Final[Mapping[str, Form]] = {
    "chain": Form("a text", lambda value: isinstance(value, str)),
    "clock": choice(*CLOCKS),
    "currency": CURRENCY,
    "ledger_time_s": INSTANT,
    "name": Form(
        "a printable text of 1 to 40 characters without a slash",
        lambda value: (
            isinstance(value, str) and value.isprintable() and CHAIN_NAME_PATTERN.fullmatch(value) is not None
        ),
    ),
    "protocol": Form("an array of [version, height], both ascending, the first [2, 0]", _are_activations),
    "registry": Form(
        f"an array of at most {ROWS_MAX} registry rows, each as bytes",
        lambda value: (
            isinstance(value, list) and len(value) <= ROWS_MAX and all(isinstance(row, bytes) for row in value)
        ),
    ),
    "salt_seed": octets(32),
    "slot_s": Form(f"one of {', '.join(map(str, SLOT_S_CHOICES))}", lambda v: type(v) is int and v in SLOT_S_CHOICES),
    "thresholds": Form(f"a map of {', '.join(Thresholds._fields)}, each at least 1", _are_thresholds),
    "type": exactly("genesis", "'genesis'"),
    "validators": VALIDATOR_SET,
    "version": exactly(VERSION, f"{VERSION}"),
}
