"""The leaves of a genesis: which there are, what form they have, and that they fit together (docs/spec/state.md).

``gridcore.genesis.decode_genesis`` checks the frame of the file; this module checks what the state machine relies on
without looking again, and what the stand-alone verifier of evidence (``gridcore.verify``) expects of names, times and the signer
set: whatever passes here can be verified there. The first thing that is wrong ends in one line that names the leaf, the field and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple, NoReturn

from gridcore.batch import FIRST_PREVIOUS
from gridcore.envelope import NAME
from gridcore.errors import UsageError, excerpt
from gridcore.sm.curve import parse_public_key
from ledger.state.fields import TIME_S_MAX

ROLES: Final = ("administrator", "clock", "gateway", "prosumer", "regulator", "utility")
ACCOUNTS: Final = ("balance", "clearing", "levy", "network", "offtaker", "supplier")
PRICES: Final = (
    "feed_in_price",
    "levy",
    "network_residual",
    "network_traded",
    "residual_price",
    "shortfall_price",
    "surplus_price",
)
RATIO_MAX: Final = 10_000
PRIMARY_LIMIT_WH_MAX: Final = 10**9
"""Most primary energy in one slot of one meter: limit_wh x ratio."""
MODULUS_WH_MAX: Final = 2**53
PRICE_MICRO_PER_KWH_MAX: Final = 10**8
REFERENCE_MICRO_PER_KWH_MAX: Final = 10**9
RULE_S_MAX: Final = 366 * 86_400
"""Longest span of a rule: opening, gate, metering deadline."""
POWER_MAX: Final = 2**31
SIGNERS_MAX: Final = 256
"""As many as one evidence bundle's certificate may hold."""
CHAIN_NAME: Final = re.compile(r"[^/\x00-\x1f\x7f]{1,40}")
"""The chain's name, which begins the chain id; it is printable as well."""
CALENDAR_ENTRIES_MAX: Final = 40_000
_U32_MAX: Final = 2**32 - 1

Value = Mapping[str, Any]


class _Form(NamedTuple):
    """What a field holds: the words for a person, and the test."""

    words: str
    holds: Callable[[Any], bool]


def check_genesis(genesis: Mapping[str, Any], pins: Mapping[str, bytes] | None = None) -> None:
    """Raise UsageError unless every leaf has its form and all references between leaves hold.

    genesis: as ``decode_genesis`` returns it, or as it will be encoded. pins: contract id -> pin (32 bytes) of the contracts
    that this node has; None leaves contracts unchecked.
    """
    _check_frame(genesis)
    leaves = _leaves_by_kind(genesis)
    for kind, members in leaves.items():
        for name, value in members.items():
            _check_fields(f"{kind}/{name}" if name else kind, value, kind)
    _check_chain(genesis, leaves)
    for area, value in leaves["area"].items():
        _check_area(area, value, leaves, genesis["slot_s"], pins)
    for calendar, value in leaves["calendar"].items():
        _check_calendar(calendar, value, genesis["slot_s"])
    for rules, value in leaves["rules"].items():
        if value["open_before_start_s"] <= value["gate_before_start_s"]:
            _fail(f"rules/{rules}", "open_before_start_s is more than gate_before_start_s, else nobody can ever order")
    _check_signers(leaves)
    for number, value in leaves["installation"].items():
        _check_installation(number, value, leaves)
    for party, value in leaves["party"].items():
        _check_party(party, value, leaves)


def signer_set(genesis: Mapping[str, Any]) -> list[tuple[bytes, int]]:
    """The set that certifies header 1: (public key, power), ascending by key."""
    return [(key, power) for key, power in genesis["signers"]]


# ------------------------------------------------------------------------------------------------------------- forms


def _integer(low: int, high: int) -> _Form:
    return _Form(f"a whole number, {low} to {high}", lambda value: type(value) is int and low <= value <= high)


def _text(low: int, high: int) -> _Form:
    return _Form(f"a text of {low} to {high} characters", lambda v: isinstance(v, str) and low <= len(v) <= high)


def _exactly(constant: Any, words: str) -> _Form:
    return _Form(words, lambda value: type(value) is type(constant) and value == constant)


def _choice(*choices: str) -> _Form:
    return _Form(f"one of {', '.join(choices)}", lambda value: isinstance(value, str) and value in choices)


def _is_ascending(value: Any) -> bool:
    """Whether ``value`` is an array of instants, one or more, each after the one before."""
    if not isinstance(value, list) or not 1 <= len(value) <= CALENDAR_ENTRIES_MAX:
        return False
    if not all(type(item) is int and 0 <= item <= TIME_S_MAX for item in value):
        return False
    return all(first < second for first, second in pairwise(value))


def _is_roles(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(v in ROLES for v in value) and value == sorted(set(value))


_NAME: Final = _Form("1 to 64 of A-Z a-z 0-9 . _ -", lambda v: isinstance(v, str) and NAME.fullmatch(v) is not None)
_CHAIN_NAME: Final = _Form(
    "a printable text of 1 to 40 characters without a slash",
    lambda v: isinstance(v, str) and v.isprintable() and CHAIN_NAME.fullmatch(v) is not None,
)
_DIGEST: Final = _Form("32 bytes", lambda value: isinstance(value, bytes) and len(value) == 32)
_POINT: Final = _Form(
    "65 bytes 04||x||y, a point of the SM2 curve", lambda v: isinstance(v, bytes) and parse_public_key(v) is not None
)
_BOOL: Final = _Form("true or false", lambda value: isinstance(value, bool))
_INSTANT: Final = _integer(0, TIME_S_MAX)
_INSTANTS: Final = _Form(f"1 to {CALENDAR_ENTRIES_MAX} instants, UTC seconds, ascending", _is_ascending)
_ROLES: Final = _Form(f"an ascending array of {', '.join(ROLES)}", _is_roles)
_PRICE: Final = _integer(-PRICE_MICRO_PER_KWH_MAX, PRICE_MICRO_PER_KWH_MAX)
_PRICE_FORMS: Final = {f"{name}_micro_per_kwh": _PRICE for name in PRICES}
_TITLE: Final = _text(1, 200)

_FORMS: Final[Mapping[str, Mapping[str, _Form]]] = {
    "chain": {
        "clock": _choice("block", "simulated"),
        "currency": _text(3, 3),
        "name": _CHAIN_NAME,
        "slot_s": _INSTANT,
    },
    "time": {"ledger_time_s": _INSTANT},
    "signer": {"public_key": _POINT, "roles": _ROLES},
    "gateway": {
        "counter": _exactly(0, "0 at genesis"),
        "epoch": _integer(1, _U32_MAX),
        "last": _exactly(FIRST_PREVIOUS, "32 zero bytes at genesis"),
        "last_boundary_s": _exactly(-1, "-1 at genesis"),
        "organisation": _TITLE,
        "protection": _NAME,
    },
    "party": {"area": _NAME, "meter": _integer(0, _U32_MAX), "trades": _BOOL},
    "area": {
        "calendar": _NAME,
        "contract": _text(1, 64),
        "contract_pin": _DIGEST,
        "first_slot_start_s": _INSTANT,
        "rules": _NAME,
    },
    "calendar": {"days": _INSTANTS, "months": _INSTANTS, "tz": _text(1, 64), "tz_version": _text(1, 64)},
    "rules": {
        "gate_before_start_s": _integer(0, RULE_S_MAX),
        "metering_deadline_s": _integer(0, RULE_S_MAX),
        "open_before_start_s": _integer(1, RULE_S_MAX),
        "prices": _Form("a map", lambda value: isinstance(value, dict)),
        "rationing": _choice("pro_rata"),
        "reference_price_micro_per_kwh": _integer(-REFERENCE_MICRO_PER_KWH_MAX, REFERENCE_MICRO_PER_KWH_MAX),
    },
    "installation": {
        "area": _NAME,
        "from_s": _INSTANT,
        "gateway": _NAME,
        "limit_wh": _integer(1, PRIMARY_LIMIT_WH_MAX),
        "meter": _NAME,
        "modulus_wh": _integer(0, MODULUS_WH_MAX),
        "number": _integer(0, _U32_MAX),
        "party": _NAME,
        "point": _NAME,
        "profile": _NAME,
        "ratio": _integer(1, RATIO_MAX),
        "role": _choice("household", "load", "feeder"),
    },
    "progress": {
        "gate_slot_start_s": _INSTANT,
        "run_slot_start_s": _INSTANT,
        "untried": _exactly([], "an empty array at genesis"),
        "waiting": _exactly([], "an empty array at genesis"),
    },
}
_SINGLE: Final = ("chain", "time")
_OPTIONAL: Final = frozenset({("installation", "party")})


def _check_fields(key: str, value: Any, kind: str) -> None:
    """The leaf is a map of exactly its kind's fields, each of its form."""
    forms = _FORMS[kind]
    _check_keys(key, value, forms, frozenset(name for owner, name in _OPTIONAL if owner == kind))
    for name, item in value.items():
        if not forms[name].holds(item):
            _fail(key, f"{name} is {forms[name].words}, not {_shown(item)}")
    if kind == "rules":
        _check_keys(f"{key}: prices", value["prices"], _PRICE_FORMS, frozenset())
        for name, item in value["prices"].items():
            if not _PRICE.holds(item):
                _fail(key, f"prices.{name} is {_PRICE.words}, not {_shown(item)}")


def _check_keys(key: str, value: Any, forms: Mapping[str, _Form], optional: frozenset[str]) -> None:
    if not isinstance(value, dict):
        _fail(key, "its value is a map")
    for name in value:
        if name not in forms:
            _fail(key, f"unknown field {_shown(name)}; its fields are {', '.join(forms)}")
    for name in forms:
        if name not in value and name not in optional:
            _fail(key, f"lacks the field {name}: {forms[name].words}")


# ------------------------------------------------------------------------------------------------- frame and leaves


def _check_frame(genesis: Mapping[str, Any]) -> None:
    if not _CHAIN_NAME.holds(genesis["name"]):
        raise UsageError(f"genesis: name is {_CHAIN_NAME.words}, not {_shown(genesis['name'])}")
    currency = genesis["currency"]
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha() or not currency.isupper():
        raise UsageError(f"genesis: currency is an ISO 4217 code such as CNY, not {_shown(currency)}")
    if not _INSTANT.holds(genesis["ledger_time_s"]):
        raise UsageError(f"genesis: ledger_time_s is {_INSTANT.words}, not {_shown(genesis['ledger_time_s'])}")
    signers = genesis["signers"]
    if not 1 <= len(signers) <= SIGNERS_MAX:
        raise UsageError(f"genesis: signers holds 1 to {SIGNERS_MAX} entries, not {len(signers)}")
    for index, signer in enumerate(signers):
        if not isinstance(signer, list | tuple) or len(signer) != 2:
            raise UsageError(f"genesis: signers[{index}] is an array of public key and power")
        if not _POINT.holds(signer[0]):
            raise UsageError(f"genesis: signers[{index}]: the public key is {_POINT.words}")
        if not _integer(1, POWER_MAX).holds(signer[1]):
            raise UsageError(f"genesis: signers[{index}]: the power is 1 to {POWER_MAX}, not {_shown(signer[1])}")
    if any(first[0] >= second[0] for first, second in pairwise(signers)):
        raise UsageError("genesis: signers ascend by public key, each key once")


def _leaves_by_kind(genesis: Mapping[str, Any]) -> dict[str, dict[str, Value]]:
    """Leaves by kind and name, none twice and none of an unknown kind."""
    leaves: dict[str, dict[str, Value]] = {kind: {} for kind in _FORMS}
    for index, leaf in enumerate(genesis["leaves"]):
        if not isinstance(leaf, list | tuple) or len(leaf) != 2 or not isinstance(leaf[0], str):
            raise UsageError(f"genesis: leaves[{index}] is an array of a text key and a map")
        key, value = leaf
        kind, slash, name = key.partition("/")
        if kind not in _FORMS or bool(slash) == (kind in _SINGLE):
            _fail(key, f"no leaf of genesis; they are {', '.join(k if k in _SINGLE else f'{k}/…' for k in _FORMS)}")
        if slash and not _NAME.holds(name):
            _fail(key, f"the name after the slash has {_NAME.words}")
        if name in leaves[kind]:
            _fail(key, "stands twice")
        leaves[kind][name] = value
    return leaves


def _check_chain(genesis: Mapping[str, Any], leaves: Mapping[str, Mapping[str, Value]]) -> None:
    """The chain and time leaves repeat the frame."""
    chain = leaves["chain"].get("")
    if chain is None:
        raise UsageError("genesis: the leaf chain is missing")
    for name in ("clock", "currency", "name", "slot_s"):
        if chain[name] != genesis[name]:
            _fail("chain", f"{name} is {_shown(genesis[name])} as in the frame, not {_shown(chain[name])}")
    if (genesis["clock"] == "simulated") != ("" in leaves["time"]):
        raise UsageError("genesis: the leaf time stands in a chain with clock 'simulated', and in no other")
    if "" in leaves["time"] and leaves["time"][""]["ledger_time_s"] != genesis["ledger_time_s"]:
        _fail("time", f"ledger_time_s is {genesis['ledger_time_s']} as in the frame")


def _check_area(
    area: str, value: Value, leaves: Mapping[str, Mapping[str, Value]], slot_s: int, pins: Mapping[str, bytes] | None
) -> None:
    key = f"area/{area}"
    _check_reference(key, "calendar", value["calendar"], leaves["calendar"])
    _check_reference(key, "rules", value["rules"], leaves["rules"])
    first_s = value["first_slot_start_s"]
    if first_s % slot_s:
        _fail(key, f"first_slot_start_s is a multiple of the slot length {slot_s}, not {first_s}")
    progress = leaves["progress"].get(area)
    if progress is None:
        _fail(key, f"the leaf progress/{area} is missing")
    for name in ("gate_slot_start_s", "run_slot_start_s"):
        if progress[name] != first_s:
            _fail(f"progress/{area}", f"{name} is the area's first_slot_start_s {first_s}, not {progress[name]}")
    if pins is None:
        return
    pin = pins.get(value["contract"])
    if pin is None:
        _fail(key, f"contract {value['contract']!r} is not in this node; it has {', '.join(sorted(pins)) or 'none'}")
    if pin != value["contract_pin"]:
        _fail(
            key, f"contract_pin of {value['contract']} is {pin.hex()} in this node, not {value['contract_pin'].hex()}"
        )


def _check_calendar(calendar: str, value: Value, slot_s: int) -> None:
    for name in ("days", "months"):
        if any(instant % slot_s for instant in value[name]):
            _fail(
                f"calendar/{calendar}", f"{name}: a local day begins with a slot; choose a shorter slot_s than {slot_s}"
            )


def _check_signers(leaves: Mapping[str, Mapping[str, Value]]) -> None:
    """A gateway's signer and its leaf need each other; progress belongs to an area."""
    for gateway in leaves["gateway"]:
        signer = leaves["signer"].get(gateway)
        if signer is None or "gateway" not in signer["roles"]:
            _fail(f"gateway/{gateway}", f"the leaf signer/{gateway} with the role gateway is missing")
        organisation = leaves["gateway"][gateway]["organisation"]
        owner = leaves["signer"].get(organisation)
        if owner is None or "utility" not in owner["roles"]:
            _fail(
                f"gateway/{gateway}", f"organisation: the leaf signer/{organisation} with the role utility is missing"
            )
    for signer_id, signer in leaves["signer"].items():
        if "gateway" in signer["roles"] and signer_id not in leaves["gateway"]:
            _fail(f"signer/{signer_id}", f"has the role gateway, but the leaf gateway/{signer_id} is missing")
    for area in leaves["progress"]:
        if area not in leaves["area"]:
            _fail(f"progress/{area}", f"the leaf area/{area} is missing")


def _check_installation(number: str, value: Value, leaves: Mapping[str, Mapping[str, Value]]) -> None:
    key = f"installation/{number}"
    if number != str(value["number"]):
        _fail(key, f"its key ends with its number {value['number']}")
    _check_reference(key, "area", value["area"], leaves["area"])
    _check_reference(key, "gateway", value["gateway"], leaves["gateway"])
    if value["limit_wh"] * value["ratio"] > PRIMARY_LIMIT_WH_MAX:
        _fail(key, f"limit_wh x ratio is at most {PRIMARY_LIMIT_WH_MAX} Wh, not {value['limit_wh'] * value['ratio']}")
    first_s = leaves["area"][value["area"]]["first_slot_start_s"]
    if value["from_s"] > first_s:
        _fail(key, f"from_s is at most {first_s}, where its area's slots begin, not {value['from_s']}")
    if 0 < value["modulus_wh"] <= 2 * value["limit_wh"]:
        _fail(key, f"modulus_wh is 0 or more than twice limit_wh {value['limit_wh']}, else a roll-over cannot be told")
    if (value["role"] == "feeder") == ("party" in value):
        _fail(key, "a feeder has no party, every other installation has one")
    if "party" in value:
        _check_reference(key, "party", value["party"], leaves["party"])
        party = leaves["party"][value["party"]]
        if party["meter"] != value["number"]:
            _fail(key, f"party {value['party']} settles by meter {party['meter']}; a party has one settlement meter")


def _check_party(party: str, value: Value, leaves: Mapping[str, Mapping[str, Value]]) -> None:
    key = f"party/{party}"
    if party in ACCOUNTS:
        _fail(key, f"has the name of a counter-account; {', '.join(ACCOUNTS)} are taken")
    _check_reference(key, "area", value["area"], leaves["area"])
    installation = leaves["installation"].get(str(value["meter"]))
    if installation is None:
        _fail(key, f"meter: the leaf installation/{value['meter']} is missing")
    if installation.get("party") != party or installation["area"] != value["area"]:
        _fail(key, f"meter: installation/{value['meter']} names another party or area")
    signer = leaves["signer"].get(party)
    if value["trades"] and (signer is None or "prosumer" not in signer["roles"]):
        _fail(key, f"trades, but the leaf signer/{party} with the role prosumer is missing")


def _check_reference(key: str, field: str, name: str, targets: Mapping[str, object]) -> None:
    if name not in targets:
        _fail(key, f"{field}: the leaf {field}/{name} is missing")


def _fail(key: str, what: str) -> NoReturn:
    raise UsageError(f"genesis: leaf {key if len(key) <= 80 and key.isprintable() else excerpt(key)}: {what}")


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return excerpt(value)
    text = value[:31].hex() if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
