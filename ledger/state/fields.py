"""Body and identity of each transaction kind: which fields there are and what form they have (docs/spec/envelope.md).

Form only: a value that has a refusal code of its own is judged where the kind is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gridcore import batch
from gridcore.column import I64_MAX, I64_MIN
from gridcore.envelope import Transaction

CLOCK_ADVANCE: Final = "clock/advance"
OPEN_EPOCH: Final = "metering/open_epoch"
READING_BATCH: Final = batch.KIND
ORDER: Final = "market/order"
SIDES: Final = ("buy", "sell")
CLOCK_STATES: Final = ("synced", "holdover", "unsynced", "simulated")
TIME_S_MAX: Final = 253_402_300_799
"""The last second of the year 9999: a clock that is set beyond it was mistyped."""

Check = Callable[[Any], bool]


def _integer(value: Any) -> bool:
    return type(value) is int and I64_MIN <= value <= I64_MAX


def _instant(value: Any) -> bool:
    return _integer(value) and 0 <= value <= TIME_S_MAX


def _positive(value: Any) -> bool:
    return _integer(value) and value >= 1


def _text(low: int, high: int) -> Check:
    return lambda value: isinstance(value, str) and low <= len(value) <= high


def _octets(count: int) -> Check:
    return lambda value: isinstance(value, bytes) and len(value) == count


def _receipt(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _integer(value[0]) and _octets(32)(value[1])


def _clock(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"offset_ms", "state"}
        and _integer(value["offset_ms"])
        and value["state"] in CLOCK_STATES
    )


_CLIENT_ID: Final[Mapping[str, Check]] = {"client_id": _octets(16), "valid_until_s": _integer}
_NAME: Final = _text(1, 64)

_IDENTITY: Final[Mapping[str, Mapping[str, Check]]] = {
    CLOCK_ADVANCE: _CLIENT_ID,
    OPEN_EPOCH: _CLIENT_ID,
    READING_BATCH: {"counter": _positive, "epoch": _positive},
    ORDER: {"counter": _integer, "slot_start_s": _integer},
}
_BODY: Final[Mapping[str, Mapping[str, Check]]] = {
    CLOCK_ADVANCE: {"to_s": _instant},
    OPEN_EPOCH: {"epoch": _integer, "gateway": _NAME, "reason": _text(1, 200)},
    READING_BATCH: {
        "agent": _text(0, 64),
        "boundary_s": _integer,
        "clock": _clock,
        "configuration": _octets(32),
        "observations": _octets(32),
        "previous": _octets(32),
        "profiles": _octets(32),
        "receipt": _receipt,
        "registers": lambda value: value == list(batch.REGISTERS),
        "rows": lambda value: _positive(value) and value <= batch.ROWS_MAX,
        "rows_root": _octets(32),
    },
    ORDER: {
        "area": _NAME,
        "price_micro_per_kwh": _integer,
        "quantity_wh": _integer,
        "side": lambda value: value in SIDES,
    },
}
_OPTIONAL: Final = frozenset({"observations", "receipt"})
_ATTACHMENT: Final[Mapping[str, Check]] = {
    CLOCK_ADVANCE: lambda data: not data,
    OPEN_EPOCH: lambda data: not data,
    READING_BATCH: lambda _: True,
    ORDER: lambda data: not data,
}


def is_known(kind: str) -> bool:
    """Whether the ledger has such a transaction kind."""
    return kind in _BODY


def is_well_formed(transaction: Transaction) -> bool:
    """Whether body, identity and attachment of a known kind have the stated keys and forms."""
    return (
        _fits(transaction.identity, _IDENTITY[transaction.kind])
        and _fits(transaction.body, _BODY[transaction.kind])
        and _ATTACHMENT[transaction.kind](transaction.attachment)
    )


def _fits(value: Mapping[str, Any], fields: Mapping[str, Check]) -> bool:
    if not set(fields) - _OPTIONAL <= set(value) <= set(fields):
        return False
    return all(fields[key](item) for key, item in value.items())
