"""The prices and terms of a contract, as an area's rules give them. A fault is said in words, "" where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def fault_of_keys(given: Mapping[str, object], keys: Sequence[str], what: str) -> str:
    """What ``given`` lacks of ``keys``, or holds beside them; ``what``: the name of the map."""
    for key in keys:
        if key not in given:
            return f"{what} lacks the field {key}"
    unknown = sorted(set(given) - set(keys))
    return (
        f"{what} holds the unknown field {unknown[0]!r}; its fields are {', '.join(keys) or 'none'}" if unknown else ""
    )
