"""A bundle for whoever helps from afar: what a gateway is made of and how it stands, and nothing that is secret or personal.

What leaves is named, not what stays: numbers and choices of known keys, words that this program itself can say, and short numbers.
So a key, a PIN, a password or a person's name does not leave wherever it was written: in a key that does not exist, a comment, a host, a
meter's name or a line of the log. What was left out is marked "#" or "(given)".
"""

from __future__ import annotations

import dataclasses
import io
import ipaddress
import json
import re
import types
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import edge
import firmware_profiles
import gridcore
from edge.config import EdgeConfig
from edge.outbox_file import OutboxState
from firmware_profiles import profile_ids
from gridcore.config import decode_toml, read_config
from gridcore.envelope import NAME
from gridcore.errors import UsageError

LOG_LINES_MAX: Final = 2_000
"""The newest lines of a log that go into a bundle."""
LOG_LINE_CHARACTERS_MAX: Final = 4_096
GIVEN: Final = "(given)"
LEFT_OUT: Final = "#"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_]+|[^A-Za-z0-9_]")
_WORD: Final = re.compile(r"[a-z]+")
_SHORT_NUMBER: Final = re.compile(r"[0-9]{1,3}|0x[0-9a-f]{1,4}")
"""No PIN is so short, no register is longer."""
_RUN: Final = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?P<place>0x[0-9a-f]{1,4}\+[0-9]{1,3}|[0-9]{1,3}-[0-9]{1,3}:[0-9]{1,3}(?:\.[0-9]{1,3}){2}|[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\.[0-9]))"
    r"|(?:0x[0-9a-f]+|[0-9]+)(?:[^A-Za-z0-9_]+(?:0x[0-9a-f]+|[0-9]+))+"
    r")(?![A-Za-z0-9_])"
)
"""Numbers with no word between them. ``place``: registers (0x48+4), an OBIS code, an address."""
_DIGITS: Final = re.compile(r"0x[0-9a-f]+|[0-9]+")
_RUN_DIGITS_MAX: Final = 4
"""Of the numbers of a run together: a PIN may be written in groups."""
_SIGNS: Final = frozenset(" .,:;()/+-%'\"=<>[]{}|?!*")
_TIMES: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z")
_NUMBERS_SUFFIXES: Final = ("_s", "_ms", "_w", "_wh")
_NUMBERS: Final = frozenset(
    "absent ahead_s attempts batch batches bytes code count counter depth devices epoch failures first height last meters number "
    "percent readings rounds rows samples samples_in_memory signers size status times waiting without".split()
)
"""Fields of log lines whose number is kept."""


def make_bundle(config: Path, version: str, found: str, state: OutboxState | None, log: Sequence[str]) -> bytes:
    """A ZIP of text files. ``found``: what the check of the configuration said; ``state``: what stands in the outbox, if it
    can be read; ``log``: lines of the service's log. Nothing of it is changed. UsageError when the configuration cannot be read.
    """
    data = read_config(config)
    try:
        table = decode_toml(data, config)
    except UsageError:
        table = {}
    words = Vocabulary(_texts(table))
    newest = [line[:LOG_LINE_CHARACTERS_MAX] for line in log[-LOG_LINES_MAX:]]
    files = {
        "versions.json": _json(_versions(version)),
        "check.txt": words.clean(found) + "\n",
        "config.json": _json({"bytes": len(data), **_shown_table(table, EdgeConfig)}),
        "outbox.json": _json({} if state is None else _outbox(state, words)),
        "log.txt": "".join(f"{words.clean_line(line)}\n" for line in newest),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in files.items():
            bundle.writestr(zipfile.ZipInfo(name), text)
    return out.getvalue()


class Vocabulary:
    """The words that may leave: those of this program's own source, without any of ``names`` (what the configuration calls things)."""

    def __init__(self, names: Iterable[str]) -> None:
        own = {word for name in names for word in _WORD.findall(name.lower())}
        self._words = _program_words() - own

    def clean(self, text: str) -> str:
        """``text`` with everything else left out."""
        kept = "".join(
            token if token in _SIGNS or _SHORT_NUMBER.fullmatch(token) or self._is_known(token) else LEFT_OUT
            for token in _TOKEN.findall(text)
        )
        return _RUN.sub(_without_secret, kept)

    def clean_line(self, line: str) -> str:
        """A line of the log: of JSON the known fields, of anything else its words."""
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            return self.clean(line)
        if not isinstance(fields, dict):
            return LEFT_OUT
        return json.dumps({key: self._field(key, value) for key, value in fields.items() if self._is_known(key)})

    def _field(self, key: str, value: Any) -> object:
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if key in _NUMBERS or key.endswith(_NUMBERS_SUFFIXES) else LEFT_OUT
        if isinstance(value, str):
            return value if key == "timestamp" and _TIMES.fullmatch(value) else self.clean(value)
        return LEFT_OUT

    def _is_known(self, token: str) -> bool:
        return all(word in self._words for word in token.lower().split("_") if word)


def _without_secret(run: re.Match[str]) -> str:
    """A run of numbers, without them where they may be a secret in groups."""
    digits = sum(len(number.removeprefix("0x")) for number in _DIGITS.findall(run[0]))
    is_kept = run["place"] is not None or digits <= _RUN_DIGITS_MAX
    return run[0] if is_kept else _DIGITS.sub(LEFT_OUT, run[0])


def _program_words() -> frozenset[str]:
    """Every word of the source of what runs on a gateway; none where the source is not there."""
    words: set[str] = set()
    for package in (edge, firmware_profiles, gridcore):
        for path in Path(package.__file__ or "").parent.rglob("*.py"):
            words.update(_WORD.findall(path.read_text("utf-8").lower()))
    return frozenset(words)


def _texts(value: object) -> list[str]:
    """Names in a configuration: what a person chose to call a meter, a line, a device, a broker, a user."""
    if isinstance(value, dict):
        chosen = [value[key] for key in ("meter", "line", "device", "broker", "user", "client_id") if key in value]
        return [text for text in chosen if isinstance(text, str)] + [
            text for part in value.values() for text in _texts(part)
        ]
    return [text for part in value for text in _texts(part)] if isinstance(value, list) else []


def _versions(version: str) -> dict[str, object]:
    import platform
    import sqlite3
    import ssl
    import sys

    return {
        "gridledger": version,
        "python": platform.python_version(),
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "sqlite": sqlite3.sqlite_version,
        "openssl": ssl.OPENSSL_VERSION,
        "pointer_bits": 64 if sys.maxsize > 2**32 else 32,
        "shipped_profiles": len(profile_ids()),
    }


def _outbox(state: OutboxState, words: Vocabulary) -> dict[str, object]:
    progress = state.progress
    return {
        "batches": state.depth,
        "bytes": state.size,
        "age_s": state.age_s,
        "receipts_kept": state.receipts,
        "epoch": progress.epoch,
        "counter": progress.counter,
        "last_boundary_s": progress.last_boundary_s,
        "acknowledged_s": progress.acknowledged_s,
        "absent_meters": list(progress.absent),
        "gaps": [list(gap) for gap in progress.gaps],
        "lacks": [list(lack) for lack in progress.lacks],
        "refused_rows": [list(row) for row in progress.refused],
        "receipt_height": None if progress.receipt is None else progress.receipt.height,
        "brokers": [words.clean(state) for _, state in progress.seen.brokers],
        "alarm": words.clean(progress.alarm),
    }


def _shown_table(table: Mapping[str, Any], kind: type) -> dict[str, object]:
    """The known keys of a table, each as far as it may leave; how many others there are."""
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    shown = {
        name: _shown(table[name], hints[name], field.metadata, name) for name, field in fields.items() if name in table
    }
    unknown = len(set(table) - set(fields))
    return {**shown, **({"unknown_keys": unknown} if unknown else {})}


def _shown(value: Any, hint: Any, metadata: Mapping[str, Any], name: str) -> object:
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = [part for part in get_args(hint) if part is not type(None)]
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return [_shown(part, inner, metadata, name) for part in value] if isinstance(value, list) else GIVEN
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _shown_table(value, hint) if isinstance(value, dict) else GIVEN
    if hint in (int, bool):
        return value if isinstance(value, int) else GIVEN
    if not isinstance(value, str):
        return GIVEN
    return _shown_text(value, metadata, name)


def _shown_text(value: str, metadata: Mapping[str, Any], name: str) -> str:
    if value in metadata.get("choices", ()):
        return value
    if name in ("gateway", "chain") and NAME.fullmatch(value):
        return value
    if name == "profile" and value in profile_ids():
        return value
    if name == "key" and "schemes" in metadata:
        scheme = value.partition(":")[0]
        return f"{scheme}:{GIVEN}" if scheme in metadata["schemes"] else GIVEN
    if name == "host":
        return _address(value) or GIVEN
    if name in ("node", "more_nodes"):
        return _shown_url(value)
    return GIVEN


def _shown_url(value: str) -> str:
    """Scheme, address and port of a URL; of a name only that there is one."""
    try:
        parts = urlsplit(value)
        scheme = parts.scheme if parts.scheme in ("http", "https") else GIVEN
        return f"{scheme}://{_address(parts.hostname or '') or GIVEN}:{parts.port}"
    except ValueError:
        return GIVEN


def _address(host: str) -> str:
    """An address of the Internet protocol as it is; "" for a name, which may be a person's."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return ""


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
