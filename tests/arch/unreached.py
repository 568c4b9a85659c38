"""A rule against code that only tests reach: every name that a module defines is used by the product, or a page tells people of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.arch.rules import parse

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def unreached_names(root: Path, files: list[Path], mentions: str) -> Iterator[str]:
    """Functions, classes and constants of modules that no code of ``files`` uses outside of them, and no word of ``mentions`` is.

    What is decorated counts as used by its decorator. Methods are not looked at: interfaces of others call many of them.
    """
    used = set(re.findall(r"\w+", mentions))
    for path in files:
        used |= _names_used(parse(root, path))
    for path in files:
        for name, line in _names_defined(parse(root, path)):
            if name not in used and not name.startswith("__"):
                yield f"{path}:{line}: only tests reach {name}, if anything does"


def _names_defined(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if not node.decorator_list or isinstance(node, ast.ClassDef):
                    yield node.name, node.lineno
            case ast.Assign(targets=targets):
                yield from ((target.id, node.lineno) for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, node.lineno


def _names_used(tree: ast.Module) -> set[str]:
    """Names read, attributes, and words of strings that are no docstrings: some modules load by name."""
    used: set[str] = set()
    pending: list[tuple[ast.AST, frozenset[str]]] = [(tree, frozenset())]
    while pending:
        node, inside = pending.pop()
        if isinstance(node, Definition):
            inside |= {node.name}
        match node:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name):
                used |= {name} - inside
            case ast.Constant(value=str(text)):
                used |= set(re.findall(r"\w+", text))
        pending += [(child, inside) for child in ast.iter_child_nodes(node)]
    return used
