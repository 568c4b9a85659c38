"""The pin of a contract: the same for the same code, another for any change that could change a result."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from settlement.catalogue import CATALOGUE, Entry, contract_pin
from settlement.errors import SettlementError

CONTRACT = "p2p_call_auction/1"
FOLDERS = ("contracts/p2p_call_auction_1", "contract_kit_1")


@pytest.fixture
def copy(tmp_path: Path, repository: Path) -> Path:
    for folder in FOLDERS:
        shutil.copytree(repository / "settlement" / folder, tmp_path / folder)
    return tmp_path


def test_copy_with_other_line_ends_and_caches_has_the_same_pin(copy: Path) -> None:
    for path in copy.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (copy / "contract_kit_1" / "notes.txt").write_text("not code")
    assert contract_pin(CONTRACT, copy) == contract_pin(CONTRACT)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("change", ["edited", "added", "renamed"])
def test_changed_code_has_another_pin(copy: Path, folder: str, change: str) -> None:
    path = copy / folder / "__init__.py"
    if change == "edited":
        path.write_bytes(path.read_bytes() + b"#")
    elif change == "added":
        (copy / folder / "more.py").write_bytes(b"")
    else:
        path.rename(copy / folder / "init.py")
    assert contract_pin(CONTRACT, copy) != contract_pin(CONTRACT)


@pytest.mark.parametrize("contract_id", ["p2p_call_auction/9", "p2p_call_auction_1", "../contract_kit_1"])
def test_unknown_contract_is_named_with_those_there_are(contract_id: str) -> None:
    with pytest.raises(SettlementError, match="p2p_call_auction/1"):
        contract_pin(contract_id)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_a_contract_imports_what_its_pin_covers_and_numpy_alone(entry: Entry, repository: Path) -> None:
    """What the pin does not cover cannot change a result: the standard library's pure helpers are all that is left."""
    allowed = {"numpy", "__future__", "collections", "dataclasses", "functools", "heapq", "itertools", "typing"}
    folders = [entry.folder.as_posix(), *entry.builds_on]
    covered = {"settlement." + folder.replace("/", ".") for folder in folders}
    for folder in folders:
        files = list((repository / "settlement" / folder).rglob("*.py"))
        assert files
        for path in files:
            for name in imported(ast.parse(path.read_text())):
                is_covered = any(name == of or name.startswith(f"{of}.") for of in covered)
                assert is_covered or name.split(".")[0] in allowed, f"{path} imports {name}"


def imported(tree: ast.AST) -> Iterator[str]:
    """Modules that are imported, those among them that are named behind ``from settlement.contracts import``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            is_package = module in ("settlement", "settlement.contracts")
            yield from (f"{module}.{alias.name}" for alias in node.names) if is_package else (module,)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
