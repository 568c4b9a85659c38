"""A rule for tests: none can pass without having checked anything.

A check is an ``assert`` or a ``with pytest.raises(…)``. At least one check of a test is certain to be reached: it stands neither
under an ``if`` without ``else``, nor in an ``except``, nor in a loop over what may be empty, nor after a ``return``. A test without any check
of its own calls something that checks, or shows that nothing is raised.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
OF_THE_SAME_SIZE = frozenset(["enumerate", "list", "reversed", "set", "sorted", "tuple"])
"""Calls that have as many items as their first argument."""


def vacuous_tests(path: Path, tree: ast.AST) -> Iterator[str]:
    """Tests that end early, or whose every check may be passed by."""
    for node in ast.walk(tree):
        if not isinstance(node, Function) or not node.name.startswith("test_"):
            continue
        yield from (
            f"{path}:{line}: {node.name} ends before its checks; use else, or a test for each case"
            for line in _early_ends(node.body)
        )
        certain = list(_checks(node.body, _literals(node), is_certain=True))
        if certain and not any(certain):
            yield f"{path}:{node.lineno}: {node.name} passes when nothing was checked; assert that there is something to check"


def _early_ends(body: Sequence[ast.stmt]) -> Iterator[int]:
    """The line of every ``return`` of the function itself."""
    for statement in body:
        if isinstance(statement, ast.Return):
            yield statement.lineno
        elif not isinstance(statement, Function | ast.ClassDef):
            for block in _blocks(statement):
                yield from _early_ends(block)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The statements inside a statement, block by block."""
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for handler in getattr(statement, "handlers", []):
        yield handler.body
    for case in getattr(statement, "cases", []):
        yield case.body


def _checks(body: Sequence[ast.stmt], literals: set[str], *, is_certain: bool) -> Iterator[bool]:
    """For each check in ``body``, whether it is certain to be reached."""
    for statement in body:
        if isinstance(statement, Function | ast.ClassDef):
            continue
        if isinstance(statement, ast.Assert):
            yield is_certain
        if isinstance(statement, ast.With | ast.AsyncWith):
            words = " ".join(ast.unparse(item.context_expr) for item in statement.items)
            if "raises(" in words:
                yield is_certain
            yield from _checks(statement.body, literals, is_certain=is_certain and "suppress(" not in words)
            continue
        inside = is_certain and _is_entered(statement, literals)
        for block in _blocks(statement):
            yield from _checks(block, literals, is_certain=inside)


def _is_entered(statement: ast.stmt, literals: set[str]) -> bool:
    """Whether what stands inside is reached whatever happens; of an ``if`` with ``else``, one of the two is."""
    match statement:
        case ast.If(orelse=otherwise):
            return bool(otherwise)
        case ast.For(iter=items) | ast.AsyncFor(iter=items):
            return _has_items(items, literals)
        case ast.Try(handlers=handlers):
            return not handlers
    return True


def _has_items(items: ast.expr, literals: set[str]) -> bool:
    """Whether it is plain to see that there is something to go through: a display, a range, a constant."""
    match items:
        case ast.Tuple() | ast.List() | ast.Set():
            return bool(items.elts)
        case ast.Dict():
            return bool(items.keys)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.isupper() or name in literals
        case ast.IfExp(body=first, orelse=second):
            return _has_items(first, literals) and _has_items(second, literals)
        case ast.Call(func=ast.Name(id="range")):
            return True
        case ast.Call(func=ast.Name(id="zip"), args=several):
            return any(_has_items(one, literals) for one in several)
        case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in OF_THE_SAME_SIZE:
            return _has_items(first, literals)
        case ast.Call(func=ast.Attribute(value=mapping, attr="items" | "values" | "keys"), args=[]):
            return _has_items(mapping, literals)
    return False


def _literals(function: Function) -> set[str]:
    """Names that the function gives to displays with items."""
    return {
        target.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and _has_items(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
