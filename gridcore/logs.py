"""Structured logs on stderr: a constant event name, facts as keys, and one processor that takes secrets out.

Modules call ``get_logger(__name__)``; only a process's entry point calls ``configure_logs``. Lines of third-party
libraries that use ``logging`` take the same way. Standard output stays free for results.

A value is replaced by REDACTED when its key names a secret (key material, PIN, password, token) or a person (name, address,
account number), at any depth; private-key blocks, ``password=...`` and ``user:password@`` are cut out of every text.
Technical names therefore get a word of their own: ``backend=``, ``host=``, ``file=``, never ``name=``.
"""

from __future__ import annotations

import dataclasses
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from itertools import islice
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger, Processor

REDACTED = "[redacted]"
LEVELS = ("debug", "info", "warning", "error")
SILENCED = ("pymodbus.logging", "amqtt", "transitions")
"""Other people's loggers that say nothing our own events do not say, with names a person knows."""
DEPTH_MAX = 8
BYTES_SHOWN_MAX = 64
TEXT_CHARACTERS_MAX = 16_384
"""Of one text in a line, a traceback too: what comes from outside does not fill a disk."""
ITEMS_SHOWN_MAX = 256
"""Of one list or map in a line."""

_SECRET_WORDS = frozenset(
    "password passwd passphrase pwd pin secret secrets token cookie authorization credential credentials scalar pem".split()
)
_SECRET_KEYS = frozenset(
    "key private_key signing_key secret_key session_key api_key encryption_key sm4_key key_bytes key_material "
    "salt_seed nonce_k d".split()
)
_PERSON_KEYS = frozenset(
    "name full_name first_name last_name family_name given_name customer customer_name owner_name person_name "
    "contact_name household_name user_name username address postal_address street email phone phone_number "
    "account_number bank_account iban id_card".split()
)
_TEXT_PATTERNS = (
    (
        re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        REDACTED,
    ),
    (
        re.compile(
            r"(?i)\b((?:pass(?:word|wd|phrase)|pwd|pin|pin-value|secret|token)[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&]+)"
        ),
        rf"\g<1>{REDACTED}",
    ),
    (re.compile(r"(?i)(\bauthorization\s*:\s*)[^\r\n]+"), rf"\g<1>{REDACTED}"),
    (re.compile(r"(\w://[^\s/:@]*:)[^\s/@]+(@)"), rf"\g<1>{REDACTED}\g<2>"),
)


def get_logger(module: str) -> FilteringBoundLogger:
    """Return the logger of ``module`` (pass ``__name__``); its lines carry it under the key ``module``."""
    logger: FilteringBoundLogger = structlog.get_logger(module=module)
    return logger


def configure_logs(json: bool, level: str = "info") -> None:
    """Send logs to stderr, as JSON lines or for a person, from ``level`` (one of LEVELS) upwards.

    Called once by a process's entry point; calling it again replaces the former configuration.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    render = _renderer(json)
    structlog.configure(
        processors=[*_shared(), redact, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_stderr_logger,
        cache_logger_on_first_use=False,
    )
    handler = _StderrHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_add_module, *_shared()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, render],
        )
    )
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(number, logging.WARNING))  # other people's libraries: warnings only
    for name in SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take out of ``event`` (a structlog processor) what must not be in a log, at any depth (deeper than DEPTH_MAX: all of it)."""
    return {key: _clean(key, value, 0) for key, value in event.items()}


def is_secret_key(key: str) -> bool:
    """Return whether the values under ``key`` are kept out of logs (see the module's docstring)."""
    plain = key.lower().replace("-", "_")
    return plain in _SECRET_KEYS or plain in _PERSON_KEYS or not _SECRET_WORDS.isdisjoint(plain.split("_"))


def clean_text(text: str) -> str:
    """Return ``text``, cut at TEXT_CHARACTERS_MAX, without private-key blocks, ``password=...`` values and passwords in addresses."""
    if len(text) > TEXT_CHARACTERS_MAX:
        text = f"{text[:TEXT_CHARACTERS_MAX]}... ({len(text)} characters)"
    for pattern, replacement in _TEXT_PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _clean(key: str, value: object, depth: int) -> object:
    if is_secret_key(key):
        return REDACTED
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _clean_bytes(bytes(value))
    if depth >= DEPTH_MAX:
        return REDACTED
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        shown = islice(value.items(), ITEMS_SHOWN_MAX)
        return {clean_text(str(inner)): _clean(str(inner), item, depth + 1) for inner, item in shown}
    if isinstance(value, list | tuple | set | frozenset):
        items = [_clean("", item, depth + 1) for item in islice(value, ITEMS_SHOWN_MAX)]
        return items if len(value) <= ITEMS_SHOWN_MAX else [*items, f"... ({len(value)} items)"]
    return clean_text(str(value) if isinstance(value, BaseException) else repr(value))


def _clean_bytes(data: bytes) -> str:
    if b"PRIVATE KEY" in data:
        return REDACTED
    shown = data[:BYTES_SHOWN_MAX].hex()
    return shown if len(data) <= BYTES_SHOWN_MAX else f"{shown}... ({len(data)} bytes)"


class _StderrHandler(logging.Handler):
    """Writes to whatever ``sys.stderr`` is at that moment; a closed terminal loses lines, never the process."""

    def emit(self, record: logging.LogRecord) -> None:
        _write(self.format(record))


class _StderrLogger:
    """The bottom of a structlog logger: one line on the present stderr."""

    def msg(self, message: str) -> None:
        _write(message)

    debug = info = warning = warn = error = exception = critical = fatal = log = msg


def _stderr_logger(*_: object) -> _StderrLogger:
    return _StderrLogger()


def _write(line: str) -> None:
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # the reader of our logs is gone
        return


def _add_module(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["module"] = event["_record"].name
    return event


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]


def _renderer(json: bool) -> Processor:
    if json:
        return structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=False, default=str)
    return structlog.processors.KeyValueRenderer(key_order=["at", "level", "event"], drop_missing=True)


if not structlog.is_configured():  # before an entry point has spoken: warnings on stderr, never on stdout
    structlog.configure(
        processors=[*_shared(), redact, _renderer(json=False)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=_stderr_logger,
        cache_logger_on_first_use=False,
    )
