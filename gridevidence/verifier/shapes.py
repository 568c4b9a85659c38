"""What a decoded value must look like; ``gridevidence.layout`` says how shapes are written."""

from __future__ import annotations

import re
from typing import Any

from gridevidence.layout import VERSION
from gridevidence.verifier.answers import CANNOT_BE_DECIDED, Halt, hold, plain


def conform(value: Any, shape: Any, where: str) -> None:
    """Halt, naming the place, unless ``value`` has this shape."""
    if isinstance(shape, dict):
        hold(isinstance(value, dict), f"{where} is not a map")
        unknown = [key for key in value if key.endswith("?") or shape.keys().isdisjoint((key, f"{key}?"))]
        hold(not unknown, f"{where} holds what does not belong there: {plain(', '.join(unknown))}")
        for key, inner in shape.items():
            name = key.rstrip("?")
            hold(name in value or key != name, f"{where} lacks {name}")
            if name in value:
                conform(value[name], inner, f"{where}.{name}")
    elif isinstance(shape, list | tuple):
        hold(isinstance(value, list), f"{where} is not an array")
        least, most = (len(shape), len(shape)) if isinstance(shape, tuple) else shape[1:]
        hold(least <= len(value) <= most, f"{where} has {len(value)} items")
        shapes = shape if isinstance(shape, tuple) else shape[:1] * len(value)
        for item, item_shape in zip(value, shapes, strict=True):
            conform(item, item_shape, where)
    else:
        conform_scalar(value, shape, where)


def conform_scalar(value: Any, shape: Any, where: str) -> None:
    """The same for what is no map and no array."""
    if isinstance(shape, int):
        hold(isinstance(value, bytes) and len(value) == shape, f"{where} is not {shape} bytes")
    elif isinstance(shape, range):
        hold(type(value) is int and value in shape, f"{where} is not an integer in its range")
    elif isinstance(shape, re.Pattern):
        is_such = type(value) is type(shape.pattern) and shape.fullmatch(value)
        hold(bool(is_such), f"{where} is not what it should be")
    elif isinstance(shape, type):
        hold(type(value) is shape, f"{where} is of another type than it should be")
    else:
        hold(isinstance(value, bytes) and shape(value), f"{where} is not a public key")


def known_version(value: Any, kind: str, what: str) -> dict[str, Any]:
    """A map of this ``type``; halts with "cannot be decided" where its ``version`` is not VERSION."""
    hold(isinstance(value, dict) and value.get("type") == kind, f"{what} is no {kind}")
    version = value.get("version")
    hold(type(version) is int, f"the version of {what} is not an integer")
    if version != VERSION:
        who = "; release 0.1 of GridLedger knows it" if version == 1 else ""
        raise Halt(CANNOT_BE_DECIDED, f"{what} is of version {plain(version)}, known here is {VERSION}{who}")
    return dict(value)
