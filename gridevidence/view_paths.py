"""The paths of a bundle as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridcore import merkle


@dataclass(frozen=True)
class PathView:
    """A way from a leaf up to a root: how many siblings it takes, and the root that it leads to."""

    siblings: int
    root: bytes


def path_of_row(part: Mapping[str, Any]) -> PathView:
    """That of a salted row."""
    return _path(part["salt"] + part["row"], part["path"])


def path_of_leaf(part: Mapping[str, Any]) -> PathView:
    """That of a state leaf."""
    return _path(part["leaf"], part["path"])


def _path(leaf: bytes, path: Sequence[bytes]) -> PathView:
    return PathView(len(path), merkle.fold(merkle.leaf_hash(leaf), path))
