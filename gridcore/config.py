"""One TOML file per process, loaded into a frozen dataclass; what is not understood is refused.

Field types: ``int``, ``bool``, ``str``, ``Path``, a frozen dataclass (a table), ``tuple[T, ...]`` (an array),
``dict[str, T]`` (a table with free keys) and ``T | None`` (absent = None). A field without a default is required.
Field metadata (``dataclasses.field(metadata={...})``):

    min, max    allowed range: of an int, of a text's length, of an array's or free table's number of entries
    choices     the allowed values
    schemes     the text is a URI with one of these schemes, e.g. ("file", "tpm2")
    secret      True: the text is a reference to a secret (``gridcore.secrets``), never the secret

Relative paths, and those in URIs of keys and secrets that name a file, count from the folder of the configuration file.
"""

from __future__ import annotations

import codecs
import dataclasses
import difflib
import functools
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from gridcore.errors import UsageError, require
from gridcore.files import read_bounded
from gridcore.secrets import SCHEMES, SecretError, split_reference

T = TypeVar("T")

CONFIG_BYTES_MAX = 4 * 1024 * 1024
_TOML_NAMES = {int: "a whole number", bool: "true or false", str: "text in quotes", Path: "a path in quotes"}
_VALUE_SHOWN_MAX = 60
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal obeys, lines and tabs apart."""
_FILE_SCHEMES = ("file", "tpm2-sealed", "sdf")
"""Of keys, with a path after the colon; behind it some have options."""


class ConfigError(UsageError):
    """A configuration that cannot be used; the line names file, key and what would be right."""


def load_config(path: Path | str, kind: type[T]) -> T:
    """Read the TOML file at ``path`` into the frozen dataclass ``kind``; UsageError names file and key."""
    path = Path(path)
    return decode_config(read_config(path), kind, source=path)


def read_config(path: Path) -> bytes:
    """Return the bytes of a configuration file; UsageError when it is absent or too large."""
    return read_bounded(path, CONFIG_BYTES_MAX, "check the path of the configuration file")


def decode_config(data: bytes, kind: type[T], source: Path) -> T:
    """Turn the bytes of the TOML file ``source`` into ``kind``; ConfigError names file and key."""
    return parse_config(decode_toml(data, source), kind, source)


def decode_toml(data: bytes, source: Path) -> dict[str, Any]:
    """Return the TOML table in ``data``; ConfigError naming the file ``source`` when it is not UTF-8 or not TOML."""
    try:
        table = tomllib.loads(
            data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
        )  # the mark: editors on Windows write it
        str(table)  # a hexadecimal number of thousands of digits is read, but no line could show it
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from None
    except ValueError:  # int and str refuse longer ones, in words for programmers
        raise ConfigError(f"{source}: not valid TOML: a number has more than 4,300 digits") from None
    except RecursionError:
        raise ConfigError(f"{source}: not valid TOML: nested too deeply") from None
    return table


def parse_config(table: Mapping[str, Any], kind: type[T], source: Path) -> T:
    """Turn a parsed TOML ``table`` into ``kind``; ``source`` names the file in errors and anchors relative paths."""
    return typing.cast("T", _Reader(source).table(table, kind, ""))


def as_table(config: object) -> dict[str, Any]:
    """Return the plain table of a configuration object (paths as text, None left out): what ``config show`` prints.

    Secrets are references in a configuration, so nothing in the table is secret.
    """
    require(dataclasses.is_dataclass(config) and not isinstance(config, type), "config show gets a configuration")
    return typing.cast("dict[str, Any]", _plain(config))


def secret_references(config: object) -> Iterator[str]:
    """Yield every reference to a secret in a configuration, nested tables included."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if field.metadata.get("secret") and isinstance(value, str):
                yield value
            else:
                yield from secret_references(value)
    elif isinstance(config, tuple):
        for item in config:
            yield from secret_references(item)
    elif isinstance(config, Mapping):
        yield from secret_references(tuple(config.values()))


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: _plain(item) for name, item in fields if item is not None}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


@functools.cache
def _field_types(kind: type) -> dict[str, Any]:
    parameters = getattr(kind, "__dataclass_params__", None)
    require(parameters is not None and parameters.frozen, f"configuration type {kind.__name__} is a frozen dataclass")
    return typing.get_type_hints(kind)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _VALUE_SHOWN_MAX else text[:_VALUE_SHOWN_MAX] + "..."


class _Reader:
    """Walks a table beside the dataclass it should fit; knows the file for errors and relative paths."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._folder = source.parent

    def table(self, table: Mapping[str, Any], kind: type, where: str) -> object:
        fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
        hints = _field_types(kind)
        for key in table:
            if key not in fields:
                self._fail(where, key, self._unknown(key, list(fields)))
        values: dict[str, object] = {}
        for name, field in fields.items():
            if name in table:
                values[name] = self._value(table[name], hints[name], field.metadata, _join(where, name))
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                self._fail(where, name, "is missing; " + _expected(hints[name], field.metadata))
        try:
            return kind(**values)
        except ConfigError:
            raise
        except (UsageError, ValueError) as error:  # a rule over several fields, checked in __post_init__
            raise ConfigError(f"{self._source}: {where + ': ' if where else ''}{error}") from None

    def _value(self, value: object, hint: Any, metadata: Mapping[str, Any], where: str) -> object:
        hint = _without_none(hint)
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                self._fail_type(value, hint, metadata, where)
            return self.table(value, typing.cast("type", hint), where)
        if origin is tuple:
            if not isinstance(value, list):
                self._fail_type(value, hint, metadata, where)
            self._check_range(len(value), metadata, where, "entries")
            inner = {key: item for key, item in metadata.items() if key not in ("min", "max")}
            return tuple(self._value(item, arguments[0], inner, f"{where}[{i}]") for i, item in enumerate(value))
        if origin is dict:
            if not isinstance(value, dict):
                self._fail_type(value, hint, metadata, where)
            self._check_range(len(value), metadata, where, "entries")
            inner = {key: item for key, item in metadata.items() if key not in ("min", "max")}
            return {key: self._value(item, arguments[1], inner, _join(where, key)) for key, item in value.items()}
        return self._scalar(value, hint, metadata, where)

    def _scalar(self, value: object, hint: Any, metadata: Mapping[str, Any], where: str) -> object:
        require(hint in _TOML_NAMES, f"configuration field {where} has a supported type")
        wanted = str if hint is Path else hint
        if type(value) is not wanted:  # exact: a TOML true is no whole number
            self._fail_type(value, hint, metadata, where)
        if "choices" in metadata and value not in metadata["choices"]:
            self._fail("", where, f"= {_shown(value)} is not allowed; {_expected(hint, metadata)}")
        if isinstance(value, int) and hint is int:
            self._check_range(value, metadata, where, "")
        if isinstance(value, str):
            self._check_range(len(value), metadata, where, "characters")
            if _CONTROL.search(value):
                self._fail("", where, "holds a control character; write text")
            return self._text(value, hint, metadata, where)
        return value

    def _text(self, value: str, hint: Any, metadata: Mapping[str, Any], where: str) -> object:
        if hint is Path:
            return self._path(value, where)
        schemes = metadata.get("schemes", ())
        if metadata.get("secret"):
            schemes = schemes or SCHEMES
            try:
                split_reference(value)
            except SecretError as error:
                self._fail("", where, str(error))
        if schemes:
            scheme, colon, rest = value.partition(":")
            if not colon or scheme not in schemes or not rest:
                self._fail("", where, "is no usable reference; start it with " + _listed([f"{s}:" for s in schemes]))
            if scheme in _FILE_SCHEMES:
                place, mark, options = rest.partition("?") if scheme != "file" else (rest, "", "")
                return f"{scheme}:{self._path(place, where)}{mark}{options}"
        return value

    def _path(self, value: str, where: str) -> Path:
        if not value:
            self._fail("", where, "is empty; give a path")
        try:
            return self._folder / Path(value).expanduser()
        except RuntimeError:  # a user who is unknown, or has no home
            self._fail("", where, "begins with the home folder of a user who is not known here; write the path out")

    def _check_range(self, size: int, metadata: Mapping[str, Any], where: str, unit: str) -> None:
        low, high = metadata.get("min"), metadata.get("max")
        if (low is not None and size < low) or (high is not None and size > high):
            shown = f"{size} {unit}".strip()
            self._fail("", where, f"= {shown} is out of range; allowed: {_range(low, high)}")

    def _unknown(self, key: str, known: list[str]) -> str:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        if near:
            return f"is an unknown key; did you mean '{near[0]}'?"
        return f"is an unknown key; known here: {_listed(known)}" if known else "is an unknown key; none is known here"

    def _fail_type(self, value: object, hint: Any, metadata: Mapping[str, Any], where: str) -> typing.NoReturn:
        shown = "a value of another type" if metadata.get("secret") else _shown(value)
        self._fail("", where, f"= {shown} does not fit; {_expected(hint, metadata)}")

    def _fail(self, where: str, key: str, what: str) -> typing.NoReturn:
        raise ConfigError(f"{self._source}: {_join(where, key)} {what}")


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        require(len(members) == 1, "a configuration field is of one type, or of one type and None")
        return members[0]
    return hint


def _expected(hint: Any, metadata: Mapping[str, Any]) -> str:
    hint = _without_none(hint)
    if "choices" in metadata:
        return "choose " + _listed([_shown(choice) for choice in metadata["choices"]])
    if metadata.get("secret"):
        return "give a reference to a secret: 'file:PATH' or 'env:NAME'"
    if dataclasses.is_dataclass(hint) or typing.get_origin(hint) is dict:
        return "give a table"
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        return "give an array of tables" if dataclasses.is_dataclass(inner) else "give an array in [ ]"
    low, high = metadata.get("min"), metadata.get("max")
    bounds = f" ({_range(low, high)})" if hint is int and (low is not None or high is not None) else ""
    return "give " + _TOML_NAMES.get(hint, "a value") + bounds


def _range(low: int | None, high: int | None) -> str:
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"at least {low}" if low is not None else f"at most {high}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
