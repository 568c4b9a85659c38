"""The leaves of a genesis: which there are, what form they have, and that they fit together (docs/spec/state.md).

``gridcore.genesis.decode_genesis`` checks the frame of the file; this module checks what the state machine relies on
without looking again, and what the stand-alone verifier of evidence (``gridcore.verify``) expects of names, times and the signer
set: whatever passes here can be verified there. The first thing that is wrong ends in one line that names the leaf, the field and what would be right.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from itertools import pairwise
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

from gridcore.errors import UsageError, excerpt
from gridcore.forms import INSTANT, NAME, integer
from gridcore.sm.curve import parse_public_key
from ledger.contract import Contract
from ledger.leaves.area import AREA, AreaLeaf
from ledger.leaves.calendar import CALENDAR, CalendarLeaf
from ledger.leaves.chain import CHAIN, CHAIN_NAME
from ledger.leaves.families import GENESIS_FAMILIES
from ledger.leaves.family import Family, Value
from ledger.leaves.gateway import GATEWAY
from ledger.leaves.installation import INSTALLATION, PRIMARY_LIMIT_WH_MAX, InstallationLeaf
from ledger.leaves.ledger_time import TIME
from ledger.leaves.party import PARTY, PartyLeaf
from ledger.leaves.progress import PROGRESS
from ledger.leaves.rules import RULES
from ledger.leaves.signer import PUBLIC_KEY_WORDS, SIGNER

PRICE_MICRO_PER_KWH_MAX: Final = 10**8
POWER_MAX: Final = 2**31
SIGNERS_MAX: Final = 256
"""As many as one evidence bundle's certificate may hold."""

_PRICE: Final = integer(-PRICE_MICRO_PER_KWH_MAX, PRICE_MICRO_PER_KWH_MAX)
_POWER: Final = integer(1, POWER_MAX)
_SINGLE: Final = (CHAIN.name, TIME.name)
"""Families of one leaf: its key is the family's name."""

P = ParamSpec("P")
R = TypeVar("R")


class _Leaves:
    """The leaves of a genesis whose forms were checked: records by what names them."""

    def __init__(self, values: Mapping[str, Mapping[str, Value]]) -> None:
        self._records: dict[str, dict[str, Any]] = {
            kind: {name: GENESIS_FAMILIES[kind].decode(**value) for name, value in members.items()}
            for kind, members in values.items()
        }

    def of(self, family: Family[P, R]) -> Mapping[str, R]:
        """The records of one family; the name of a family's only leaf is empty."""
        return self._records[family.name]


def check_genesis(
    genesis: Mapping[str, Any], contracts: Mapping[str, Contract] | None = None, pins: Mapping[str, bytes] | None = None
) -> None:
    """Raise UsageError unless every leaf has its form and all references between leaves hold.

    genesis: as ``decode_genesis`` returns it, or as it will be encoded. contracts: those that this node has, by id; None leaves
    unchecked what areas and parties owe to their contract. pins: of their code, 32 bytes, by id; None: unchecked.
    """
    _check_frame(genesis)
    values = _values_by_kind(genesis)
    for kind, members in values.items():
        for name, value in members.items():
            _check_fields(f"{kind}/{name}" if name else kind, value, GENESIS_FAMILIES[kind])
    leaves = _Leaves(values)
    _check_chain(genesis, leaves)
    for area, terms in leaves.of(AREA).items():
        _check_area(area, terms, leaves, genesis["slot_s"])
    for calendar, days in leaves.of(CALENDAR).items():
        _check_calendar(CALENDAR.key(calendar), days, genesis["slot_s"])
    for rules, market in leaves.of(RULES).items():
        if market.open_before_start_s <= market.gate_before_start_s:
            _fail(RULES.key(rules), "open_before_start_s is more than gate_before_start_s, else nobody can ever order")
    _check_signers(leaves)
    _check_gateways(leaves)
    for number, installation in leaves.of(INSTALLATION).items():
        _check_installation(number, installation, leaves)
    for party, billed in leaves.of(PARTY).items():
        _check_party(party, billed, leaves)
    if contracts is not None:
        _check_contracts(leaves, contracts)
    if pins is not None:
        _check_pins(leaves, pins)


def signer_set(genesis: Mapping[str, Any]) -> list[tuple[bytes, int]]:
    """The set that certifies header 1: (public key, power), ascending by key."""
    return [(key, power) for key, power in genesis["signers"]]


# ------------------------------------------------------------------------------------------------- forms and frame


def _check_fields(key: str, value: Any, family: Family[Any, Any]) -> None:
    """The leaf is a map of exactly its family's fields, each of its form; what an open family holds beside is not looked at."""
    _check_keys(key, value, family)
    for name, form in family.forms.items():
        if name in value and not form.holds(value[name]):
            _fail(key, f"{name} is {form.words}, not {_shown(value[name])}")
    if family is RULES:
        for name, item in value["prices"].items():
            if not _PRICE.holds(item):
                _fail(key, f"prices.{name} is {_PRICE.words}, not {_shown(item)}")


def _check_keys(key: str, value: Any, family: Family[Any, Any]) -> None:
    forms = family.forms
    if not isinstance(value, dict):
        _fail(key, "its value is a map")
    for name in value:
        if name not in forms and not family.is_open:
            _fail(key, f"unknown field {_shown(name)}; its fields are {', '.join(forms)}")
    for name in forms:
        if name not in value and name not in family.optional:
            _fail(key, f"lacks the field {name}: {forms[name].words}")


def _check_frame(genesis: Mapping[str, Any]) -> None:
    if not CHAIN_NAME.holds(genesis["name"]):
        raise UsageError(f"genesis: name is {CHAIN_NAME.words}, not {_shown(genesis['name'])}")
    currency = genesis["currency"]
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha() or not currency.isupper():
        raise UsageError(f"genesis: currency is an ISO 4217 code such as CNY, not {_shown(currency)}")
    if not INSTANT.holds(genesis["ledger_time_s"]):
        raise UsageError(f"genesis: ledger_time_s is {INSTANT.words}, not {_shown(genesis['ledger_time_s'])}")
    signers = genesis["signers"]
    if not 1 <= len(signers) <= SIGNERS_MAX:
        raise UsageError(f"genesis: signers holds 1 to {SIGNERS_MAX} entries, not {len(signers)}")
    for index, signer in enumerate(signers):
        if not isinstance(signer, list | tuple) or len(signer) != 2:
            raise UsageError(f"genesis: signers[{index}] is an array of public key and power")
        if not _is_public_key(signer[0]):
            raise UsageError(f"genesis: signers[{index}]: the public key is {PUBLIC_KEY_WORDS}")
        if not _POWER.holds(signer[1]):
            raise UsageError(f"genesis: signers[{index}]: the power is 1 to {POWER_MAX}, not {_shown(signer[1])}")
    if any(first[0] >= second[0] for first, second in pairwise(signers)):
        raise UsageError("genesis: signers ascend by public key, each key once")


def _is_public_key(value: Any) -> bool:
    return isinstance(value, bytes) and parse_public_key(value) is not None


def _values_by_kind(genesis: Mapping[str, Any]) -> dict[str, dict[str, Value]]:
    """Leaves by family and name, none twice and none of an unknown family."""
    values: dict[str, dict[str, Value]] = {kind: {} for kind in GENESIS_FAMILIES}
    for index, leaf in enumerate(genesis["leaves"]):
        if not isinstance(leaf, list | tuple) or len(leaf) != 2 or not isinstance(leaf[0], str):
            raise UsageError(f"genesis: leaves[{index}] is an array of a text key and a map")
        key, value = leaf
        kind, slash, name = key.partition("/")
        if kind not in values or bool(slash) == (kind in _SINGLE):
            _fail(key, f"no leaf of genesis; they are {', '.join(k if k in _SINGLE else f'{k}/…' for k in values)}")
        if slash and not NAME.holds(name):
            _fail(key, f"the name after the slash has {NAME.words}")
        if name in values[kind]:
            _fail(key, "stands twice")
        values[kind][name] = value
    return values


# ------------------------------------------------------------------------------------------- leaves beside one another


def _check_chain(genesis: Mapping[str, Any], leaves: _Leaves) -> None:
    """The chain and time leaves repeat the frame."""
    chain, time = leaves.of(CHAIN).get(""), leaves.of(TIME).get("")
    if chain is None:
        raise UsageError("genesis: the leaf chain is missing")
    for name, found in chain._asdict().items():
        if found != genesis[name]:
            _fail(CHAIN.key(), f"{name} is {_shown(genesis[name])} as in the frame, not {_shown(found)}")
    if chain.is_simulated != (time is not None):
        raise UsageError("genesis: the leaf time stands in a chain with clock 'simulated', and in no other")
    if time is not None and time.ledger_time_s != genesis["ledger_time_s"]:
        _fail(TIME.key(), f"ledger_time_s is {genesis['ledger_time_s']} as in the frame")


def _check_area(area: str, terms: AreaLeaf, leaves: _Leaves, slot_s: int) -> None:
    key, first_s = AREA.key(area), terms.first_slot_start_s
    _check_reference(key, "calendar", terms.calendar, leaves.of(CALENDAR))
    _check_reference(key, "rules", terms.rules, leaves.of(RULES))
    if first_s % slot_s:
        _fail(key, f"first_slot_start_s is a multiple of the slot length {slot_s}, not {first_s}")
    progress = leaves.of(PROGRESS).get(area)
    if progress is None:
        _fail(key, f"the leaf {PROGRESS.key(area)} is missing")
    for name, start_s in (
        ("gate_slot_start_s", progress.gate_slot_start_s),
        ("run_slot_start_s", progress.run_slot_start_s),
    ):
        if start_s != first_s:
            _fail(PROGRESS.key(area), f"{name} is the area's first_slot_start_s {first_s}, not {start_s}")


def _check_calendar(key: str, calendar: CalendarLeaf, slot_s: int) -> None:
    for name, instants in (("days", calendar.days), ("months", calendar.months)):
        if any(instant % slot_s for instant in instants):
            _fail(key, f"{name}: a local day begins with a slot; choose a shorter slot_s than {slot_s}")


def _check_signers(leaves: _Leaves) -> None:
    """A key is a point of the curve, and a signer of role gateway is a gateway; progress belongs to an area."""
    for signer_id, signer in leaves.of(SIGNER).items():
        key = SIGNER.key(signer_id)
        if not _is_public_key(signer.public_key):
            _fail(key, f"public_key is {PUBLIC_KEY_WORDS}, not {_shown(signer.public_key)}")
        if "gateway" in signer.roles and signer_id not in leaves.of(GATEWAY):
            _fail(key, f"has the role gateway, but the leaf {GATEWAY.key(signer_id)} is missing")
    for area in leaves.of(PROGRESS):
        if area not in leaves.of(AREA):
            _fail(PROGRESS.key(area), f"the leaf {AREA.key(area)} is missing")


def _check_gateways(leaves: _Leaves) -> None:
    """A gateway signs for itself, and an organisation answers for it."""
    for gateway_id, gateway in leaves.of(GATEWAY).items():
        for field, signer_id, role in (
            ("", gateway_id, "gateway"),
            ("organisation: ", gateway.organisation, "utility"),
        ):
            signer = leaves.of(SIGNER).get(signer_id)
            if signer is None or role not in signer.roles:
                missing = f"the leaf {SIGNER.key(signer_id)} with the role {role} is missing"
                _fail(GATEWAY.key(gateway_id), field + missing)


def _check_installation(number: str, installation: InstallationLeaf, leaves: _Leaves) -> None:
    key = INSTALLATION.key(installation.number)
    if number != str(installation.number):
        _fail(f"{INSTALLATION.prefix}{number}", f"its key ends with its number {installation.number}")
    _check_reference(key, "area", installation.area, leaves.of(AREA))
    _check_reference(key, "gateway", installation.gateway, leaves.of(GATEWAY))
    primary_limit_wh = installation.limit_wh * installation.ratio
    if primary_limit_wh > PRIMARY_LIMIT_WH_MAX:
        _fail(key, f"limit_wh x ratio is at most {PRIMARY_LIMIT_WH_MAX} Wh, not {primary_limit_wh}")
    first_s = leaves.of(AREA)[installation.area].first_slot_start_s
    if installation.from_s > first_s:
        _fail(key, f"from_s is at most {first_s}, where its area's slots begin, not {installation.from_s}")
    if 0 < installation.modulus_wh <= 2 * installation.limit_wh:
        least = f"modulus_wh is 0 or more than twice limit_wh {installation.limit_wh}"
        _fail(key, f"{least}, else a roll-over cannot be told")
    if (installation.role == "feeder") != (installation.party is None):
        _fail(key, "a feeder has no party, every other installation has one")
    if installation.party is not None:
        _check_reference(key, "party", installation.party, leaves.of(PARTY))
        party = leaves.of(PARTY)[installation.party]
        if party.meter != installation.number:
            _fail(
                key,
                f"party {installation.party} settles by meter {party.meter}; a party has one settlement meter",
            )


def _check_party(party: str, billed: PartyLeaf, leaves: _Leaves) -> None:
    key, meter = PARTY.key(party), INSTALLATION.key(billed.meter)
    _check_reference(key, "area", billed.area, leaves.of(AREA))
    installation = leaves.of(INSTALLATION).get(str(billed.meter))
    if installation is None:
        _fail(key, f"meter: the leaf {meter} is missing")
    if installation.party != party or installation.area != billed.area:
        _fail(key, f"meter: {meter} names another party or area")
    signer = leaves.of(SIGNER).get(party)
    if billed.trades and (signer is None or "prosumer" not in signer.roles):
        _fail(key, f"trades, but the leaf {SIGNER.key(party)} with the role prosumer is missing")


def _check_contracts(leaves: _Leaves, contracts: Mapping[str, Contract]) -> None:
    """Each area's contract is one that this node has, and finds no fault with the area's rules and parties."""
    for area, named in leaves.of(AREA).items():
        key, known = AREA.key(area), contracts.get(named.contract)
        if known is None:
            _fail(
                key, f"contract {named.contract!r} is not in this node; it has {', '.join(sorted(contracts)) or 'none'}"
            )
        fault = known.fault_of(leaves.of(RULES)[named.rules].terms)
        if fault:
            _fail(RULES.key(named.rules), f"under {named.contract}: {fault}")
    for party, billed in leaves.of(PARTY).items():
        contract = contracts[leaves.of(AREA)[billed.area].contract]
        if party in contract.accounts:
            taken = ", ".join(contract.accounts)
            _fail(PARTY.key(party), f"has the name of a counter-account; {taken} are taken")
        if billed.trades and not contract.takes_orders:
            _fail(PARTY.key(party), f"trades, but {contract.contract_id} takes no orders")


def _check_pins(leaves: _Leaves, pins: Mapping[str, bytes]) -> None:
    for area, named in leaves.of(AREA).items():
        ours, theirs = pins.get(named.contract, b"").hex(), named.contract_pin.hex()
        if ours != theirs:
            _fail(AREA.key(area), f"contract_pin of {named.contract} is {ours} in this node, not {theirs}")


def _check_reference(key: str, field: str, name: str, targets: Container[str]) -> None:
    if name not in targets:
        _fail(key, f"{field}: the leaf {field}/{name} is missing")


def _fail(key: str, what: str) -> NoReturn:
    raise UsageError(f"genesis: leaf {key if len(key) <= 80 and key.isprintable() else excerpt(key)}: {what}")


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return excerpt(value)
    text = value[:31].hex() if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
