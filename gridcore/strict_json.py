"""JSON that others wrote (a node's answers, a broker's payloads), read within bounds: EncodingError in one line for anything odd.

What RFC 8259 leaves open is refused: a key given twice, NaN and infinities, text that is no Unicode (a lone surrogate). Numbers
never become floats.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn

from gridcore.errors import EncodingError, excerpt

DEPTH_MAX: Final = 64
CONTAINERS_MAX: Final = 1_000_000
"""Arrays and objects in one text: an empty one takes two bytes there and seventy in memory."""
WHOLE_CHARACTERS_MAX: Final = 40
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def decode_json(data: bytes, bytes_max: int, number: Callable[[str], Any] | None = None) -> Any:
    """The value that ``data`` writes, at most ``bytes_max`` bytes of UTF-8.

    ``number`` reads a number, or raises EncodingError; without it numbers are whole, of at most WHOLE_CHARACTERS_MAX characters.
    """
    if len(data) > bytes_max:
        raise EncodingError(f"{len(data)} bytes; at most {bytes_max} are read")
    if data.count(b"[") + data.count(b"{") > CONTAINERS_MAX:
        raise EncodingError(f"more than {CONTAINERS_MAX} arrays and objects")
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_int=number or _whole_number,
            parse_float=number or _refuse_fraction,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise EncodingError(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise EncodingError("nested too deeply") from None
    except ValueError as error:
        raise EncodingError(f"not JSON: {error}") from None
    _check_depth(value)
    if _SURROGATE.search(data):
        _check_text(value)
    return value


def _check_depth(value: Any) -> None:
    """EncodingError for more than DEPTH_MAX arrays and objects inside one another."""
    level = _containers([value])
    for _ in range(DEPTH_MAX):
        if not level:
            return
        level = [
            found
            for container in level
            for found in _containers(container.values() if type(container) is dict else container)
        ]
    if level:
        raise EncodingError("nested too deeply")


def _containers(items: Iterable[Any]) -> list[Any]:
    return [item for item in items if type(item) is dict or type(item) is list]


def _check_text(value: Any) -> None:
    """EncodingError for half of a surrogate pair, which no output takes."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise EncodingError("a text with half of a surrogate pair") from None


def _whole_number(text: str) -> int:
    if len(text) > WHOLE_CHARACTERS_MAX:
        raise EncodingError(f"number {excerpt(text)} has more than {WHOLE_CHARACTERS_MAX} characters")
    return int(text)


def _refuse_fraction(text: str) -> NoReturn:
    raise EncodingError(f"number {excerpt(text)} is not written as a whole one")


def _refuse_constant(text: str) -> NoReturn:
    raise EncodingError(f"{text} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise EncodingError("a key is given twice")
    return found
