"""Makes all digests of a changed bundle anew that need no key: what a forger can do who has none.

Digests are renamed. Every proof of the bundle is walked twice, as it was and as it is now; where a node came out as another one, the
old digest is replaced by the new one wherever it stands: beside a path, in a leaf, a header, a row, a signed map. That is done until
nothing changes any more. Lengths stay, so bytes that hold other bytes stay canonical. Genesis stays as it was: another one would
be another chain, of which no trust root says anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gridcore import cbor, merkle
from gridcore.header import data_leaf
from gridcore.sm3 import sm3

ROUNDS_MAX = 32
"""More than digests lie above one another: a reading's row below the certified header takes eight."""


class _Climb(NamedTuple):
    """A digest, and the sided path above it."""

    digest: bytes
    path: Sequence[bytes]


def remade(before: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """``changed``, parts of a bundle in which the digests are still those of ``before``, with all unkeyed digests anew."""
    renamed: dict[bytes, bytes] = {}
    for _ in range(ROUNDS_MAX):
        current = _replaced(changed, renamed)
        following = {
            old: new
            for was, now in zip(_climbs(before), _climbs(current), strict=True)
            for old, new in zip(_nodes(was), _nodes(now), strict=True)
            if old != new
        }
        if following == renamed:
            break
        renamed = following
    return dict(current)


def _nodes(climb: _Climb) -> Iterator[bytes]:
    """The digest and every node above it."""
    node = climb.digest
    yield node
    for item in climb.path:
        node = merkle.fold(node, [item])
        yield node


def _replaced(value: Any, renamed: Mapping[bytes, bytes]) -> Any:
    """A copy with other digests in all byte strings."""
    if isinstance(value, dict):
        return {key: _replaced_in_map(key, item, renamed) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, renamed) for item in value]
    if isinstance(value, bytes):
        for old, new in renamed.items():
            value = value.replace(old, new)
    return value


def _replaced_in_map(key: str, item: Any, renamed: Mapping[bytes, bytes]) -> Any:
    if key != "genesis":
        return _replaced(item, renamed)
    return {**item, "path": _replaced(item["path"], renamed)} if "header" in item else item


def _climbs(parts: Mapping[str, Any]) -> Iterator[_Climb]:
    """Every digest of the bundle and what lies above it, in an order that depends on the parts' keys alone."""
    header_digest = sm3(parts["header"])
    yield _Climb(header_digest, [])
    if "certified" in parts:
        certified = parts["certified"]
        yield _Climb(merkle.leaf_hash(header_digest), certified["path"])
        yield _Climb(sm3(certified["header"]), [])
    for key in sorted(parts.keys() - {"certified"}):
        yield from _climbs_inside(parts[key])


def _climbs_inside(value: Any) -> Iterator[_Climb]:
    if isinstance(value, dict):
        yield from _climbs_of_map(value)
        for key in sorted(value):
            yield from _climbs_inside(value[key])
    elif isinstance(value, list):
        for item in value:
            yield from _climbs_inside(item)


def _climbs_of_map(part: Mapping[str, Any]) -> Iterator[_Climb]:
    """Of one map: a transaction, a header, a leaf, a row."""
    if "header" in part:
        digest = sm3(part["header"])
        yield _Climb(digest, [])
        yield _Climb(merkle.leaf_hash(digest), part["history_path" if "signed" in part else "path"])
    if "signed" in part:
        transaction = sm3(cbor.encode([part["signed"], part["signature"], part["attachment_digest"]]))
        yield _Climb(sm3(part["signed"]), [])
        yield _Climb(merkle.leaf_hash(data_leaf(transaction, 0)), part["data_path"])
    if "leaf" in part:
        yield _Climb(merkle.leaf_hash(part["leaf"]), part["path"])
    if "row" in part:
        path = [] if "leaf" in part else part.get("enrolment", {}).get("row_path", part.get("path", []))
        yield _Climb(merkle.salted_leaf_hash(part["salt"], part["row"]), path)
