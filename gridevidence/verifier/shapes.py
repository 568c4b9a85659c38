"""What a decoded value must look like; ``gridevidence.layout`` says how shapes are written."""

from __future__ import annotations

import re
from typing import Any

from gridevidence.layout import LIST_ITEMS_MAX, VERSION
from gridevidence.verifier.answers import CANNOT_BE_DECIDED, hold, plain


def conform(value: Any, shape: Any, where: str) -> None:
    """Halt, naming the place, unless ``value`` has this shape."""
    if isinstance(shape, dict):
        hold(isinstance(value, dict), f"{where} is not a map")
        unknown = [key for key in value if shape.keys().isdisjoint((key, f"{key}?", "*"))]
        hold(not unknown, f"{where} holds what does not belong there: {plain(', '.join(unknown))}")
        for key in shape:
            name = key.rstrip("?")
            hold(name in value or key != name or key == "*", f"{where} lacks {name}")
            if name in value:
                conform(value[name], shape[key], f"{where}.{name}")
    elif isinstance(shape, list | tuple):
        hold(isinstance(value, list) and len(value) <= LIST_ITEMS_MAX, f"{where} is not a list, or too long a one")
        shapes = shape if isinstance(shape, tuple) else shape * len(value)
        hold(len(value) == len(shapes), f"{where} has not {len(shapes)} items")
        for item, item_shape in zip(value, shapes, strict=True):
            conform(item, item_shape, where)
    elif isinstance(shape, int):
        hold(isinstance(value, bytes) and len(value) == shape, f"{where} is not {shape} bytes")
    elif isinstance(shape, range):
        hold(type(value) is int and value in shape, f"{where} is not an integer in its range")
    elif isinstance(shape, re.Pattern):
        hold(isinstance(value, str) and bool(shape.fullmatch(value)), f"{where} is not the text it should be")
    else:
        hold(type(value) is shape, f"{where} is of another type than it should be")


def known_version(value: Any, kind: str, what: str) -> dict[str, Any]:
    """A map of this ``type``; halts with "cannot be decided" where its ``version`` is not VERSION."""
    hold(isinstance(value, dict) and value.get("type") == kind, f"{what} is no {kind}")
    conform(value.get("version"), int, f"the version of {what}")
    known = f"{what} is of version {plain(value['version'])}; known is {VERSION}"
    hold(value["version"] == VERSION, known, CANNOT_BE_DECIDED)
    return dict(value)
