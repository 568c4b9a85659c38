"""Makes the stand-alone verifier ``gridcore/verify.py`` of the parts in ``gridevidence``: one file, standard library alone.

    python -m gridevidence.build_verifier

Each part's body is taken as it is, after the parts that it imports; imports of the standard library come first, imports of
parts fall away. So a part imports names of other parts one by one, without ``as``, and no name stands in two parts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridcore.errors import require

REPOSITORY: Final = Path(__file__).resolve().parents[1]
VERIFIER: Final = REPOSITORY / "gridcore" / "verify.py"
LAST_PART: Final = "gridevidence.verifier.command"
PACKAGE: Final = "gridevidence"
FUTURE: Final = "__future__"
LINE_LENGTH: Final = 120

DOCSTRING: Final = """Check an electricity bill, offline, with nothing but Python 3.11 and this file.

    python -I -S verify.py BUNDLE --trust FILE [--with-book FILE] [--json]

BUNDLE (`.evd`) is the evidence for what one metering point was billed in one slot. FILE (`trust.json`) says whose signatures
count; get it from somewhere you trust, never from the sender of the bundle. A bundle that is *verified* proves, by SM2
signatures and SM3 digests alone, that
  * every amount follows from energies and from the prices of the recorded rules, or of the market's clearing;
  * the energies follow from register readings within the meter's limits, and from the orders that were filled;
  * the meter's gateway signed both readings, the party itself each order, for this slot and this chain, with keys that were in
    force and are tied to the chain's genesis as the answer says;
  * all of it lies in a ledger whose signers (more than two thirds of their power) certified exactly this state.

Records are leaves of hash trees (RFC 9162 with SM3): a *path* leads from a leaf to its tree's root, a *header* holds the roots,
its digest is what the signers sign. Claims are checked in a fixed order, trust last: a function `check_...` for each.
docs/spec/bundle.md defines every byte. Exit status: 0 verified, 1 not verified, 3 cannot be decided; 2 no answer (bad file, full output).

Generated from gridevidence/layout.py and gridevidence/verifier/; do not edit: change the parts, then
`python -m gridevidence.build_verifier`.
"""


@dataclass(frozen=True)
class Part:
    """One module, read. ``parts``: the modules of ours that it imports, in that order."""

    name: str
    docstring: str
    body: str
    """Its text after the imports."""
    parts: tuple[str, ...]
    imports: frozenset[str]
    """Whole modules of the standard library."""
    names: frozenset[tuple[str, str]]
    """(module, name) imported from the standard library."""
    defined: frozenset[str]
    """Names that it defines for others or itself."""


def build_verifier() -> str:
    """The text of the verifier, from the parts as they lie on the disk; blank lines as the formatter wants them."""
    parts = list(_in_order(LAST_PART, set()))
    defined = [name for part in parts for name in part.defined]
    twice = sorted({name for name in defined if defined.count(name) > 1})
    require(not twice, f"each name stands in one part of the verifier, not in two: {', '.join(twice)}")
    head = f'#!/usr/bin/env python3\n"""{DOCSTRING}"""\n\n{_imports(parts)}\n'
    sections = [text for part in parts for text in (_heading(part), part.body)]
    tail = 'if __name__ == "__main__":\n    sys.exit(main())\n'
    return head + "\n" + "\n\n\n".join([*sections, tail])


def _in_order(name: str, seen: set[str]) -> Iterator[Part]:
    """A part after all that it imports, each once."""
    seen.add(name)
    part = _read(name)
    for other in part.parts:
        if other not in seen:
            yield from _in_order(other, seen)
    yield part


def _read(name: str) -> Part:
    place = REPOSITORY.joinpath(*name.split("."))
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    ours: list[str] = []
    imports: set[str] = set()
    names: set[tuple[str, str]] = set()
    last_line = 1
    for node in tree.body:
        if isinstance(node, ast.Import):
            require(all(alias.asname is None for alias in node.names), f"{path}: imports without 'as'")
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            require(all(alias.asname is None for alias in node.names), f"{path}: imports without 'as'")
            module = str(node.module)
            if module.partition(".")[0] == PACKAGE:
                ours.append(module)
            elif module != FUTURE:
                names |= {(module, alias.name) for alias in node.names}
        elif not _is_docstring(node):
            break
        last_line = int(node.end_lineno or 0)
    return Part(
        name=name,
        docstring=ast.get_docstring(tree) or "",
        body="\n".join(text.splitlines()[last_line:]).strip("\n"),
        parts=tuple(ours),
        imports=frozenset(imports),
        names=frozenset(names),
        defined=frozenset(_defined(tree)),
    )


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module defines at its top level."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.Try):
            yield from (
                inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
            )


def _heading(part: Part) -> str:
    """Where the part comes from, and what its docstring says."""
    path = part.name.replace(".", "/")
    lines = [f"{'=' * (LINE_LENGTH - 3 - len(path))} {path}", *part.docstring.splitlines()]
    return "\n".join(f"# {line}".rstrip() for line in lines)


def _imports(parts: list[Part]) -> str:
    """All imports of the standard library, in the linter's order."""
    lines = [f"from {FUTURE} import annotations", ""]
    lines += [f"import {name}" for name in sorted({name for part in parts for name in part.imports})]
    names = {pair for part in parts for pair in part.names}
    for module in sorted({module for module, _ in names}):
        ordered = sorted((name for of, name in names if of == module), key=_import_order)
        lines.append(f"from {module} import {', '.join(ordered)}")
    return "\n".join(lines)


def _import_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name


if __name__ == "__main__":
    VERIFIER.write_text(build_verifier(), encoding="utf-8")
