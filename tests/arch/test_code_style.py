"""The rules of tests/arch/rules.py hold for the whole repository."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.arch import rules
from tests.arch.references import lost_references
from tests.arch.unreached import unreached_names
from tests.arch.vacuous import vacuous_tests

pytestmark = pytest.mark.arch
ROOT = Path(__file__).resolve().parents[2]
FILES = rules.package_files(ROOT, "benchmarks")
TEST_FILES = rules.package_files(ROOT, "tests")
CONSENSUS_FILES = [path for path in FILES if rules.is_within(path, rules.CONSENSUS)]
CONTRACT_FILES = [
    path for path in FILES if rules.is_within(path, ("settlement/contracts/", "settlement/contract_kit_"))
]


def text_of(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_rules_see_the_code() -> None:
    assert len(FILES) > 50
    assert len(CONSENSUS_FILES) > 15
    assert len(CONTRACT_FILES) > 5


def test_consensus_code_has_no_floats() -> None:
    assert [finding for path in CONSENSUS_FILES for finding in rules.floats(path, rules.parse(ROOT, path))] == []


def test_every_argsort_is_stable() -> None:
    files = sorted({*FILES, *TEST_FILES})
    assert [finding for path in files for finding in rules.unstable_sorts(path, rules.parse(ROOT, path))] == []


def test_no_assert_outside_tests() -> None:
    assert [finding for path in FILES for finding in rules.asserts(path, rules.parse(ROOT, path))] == []


def test_no_test_passes_without_having_checked_anything() -> None:
    assert [finding for path in TEST_FILES for finding in vacuous_tests(path, rules.parse(ROOT, path))] == []


def test_files_and_functions_keep_their_size() -> None:
    files = sorted({*FILES, *TEST_FILES})
    assert [f for path in files for f in rules.sizes(path, text_of(path), rules.parse(ROOT, path))] == []


def test_no_name_leaves_milli_and_mega_open() -> None:
    files = sorted({*FILES, *TEST_FILES})
    assert [finding for path in files for finding in rules.milli_or_mega(path, rules.parse(ROOT, path))] == []


def test_third_party_libraries_stay_in_their_rooms() -> None:
    assert [finding for path in FILES for finding in rules.rooms(path, rules.parse(ROOT, path))] == []


def test_contracts_import_only_their_kit_and_numpy() -> None:
    assert [
        finding for path in CONTRACT_FILES for finding in rules.contract_imports(path, rules.parse(ROOT, path))
    ] == []


def test_edge_web_and_series_reach_the_ledger_through_its_client() -> None:
    files = [path for path in FILES if path.parts[0] in ("edge", "gridseries", "gridweb")]
    assert [finding for path in files for finding in rules.ways_into_ledger(path, rules.parse(ROOT, path))] == []


def test_what_a_gateway_loads_of_the_ledger_imports_gridcore_only() -> None:
    files = [path for path in FILES if rules.is_within(path, ("ledger/client", "ledger/contract.py"))]
    assert [finding for path in files for finding in rules.client_imports(path, rules.parse(ROOT, path))] == []


def test_the_verifier_needs_the_standard_library_only() -> None:
    path = Path("gridcore/verify.py")
    assert list(rules.verifier_imports(path, rules.parse(ROOT, path))) == []


def test_keys_of_leaves_are_written_by_their_families_alone() -> None:
    files = [path for path in FILES if path.parts[0] in ("ledger", "gridledger", "settlement", "benchmarks")]
    files = [path for path in files if not rules.is_within(path, ("ledger/leaves/",))]
    assert [finding for path in files for finding in rules.leaf_keys(path, rules.parse(ROOT, path))] == []


def test_module_names_say_something() -> None:
    assert [finding for path in FILES for finding in rules.nameless(path)] == []


def test_docstrings_refer_to_modules_that_are_there() -> None:
    assert [finding for path in FILES for finding in lost_references(ROOT, path, text_of(path))] == []


def test_a_reference_to_a_module_that_moved_is_found(tmp_path: Path) -> None:
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "__init__.py").write_text('"""What is named here only in words: decode."""\n')
    (tmp_path / "edge" / "agent.py").write_text("class Agent:\n    pass\n")
    text = "``edge.agent`` ``edge.agent.Agent.run`` ``edge.toml``\n``edge.decode`` ``edge.agent.Line``\n"
    found = ["x.py:2: ``edge.decode`` is not there", "x.py:2: ``edge.agent.Line`` is not there"]
    assert list(lost_references(tmp_path, Path("x.py"), text)) == found


def test_every_ignored_type_error_has_code_and_reason() -> None:
    assert [finding for path in FILES for finding in rules.bare_ignores(path, text_of(path))] == []


def test_no_file_names_a_machine_or_a_registry() -> None:
    findings: list[str] = []
    for path in rules.repository_files(ROOT):
        try:
            findings += rules.places(path, text_of(path))
        except UnicodeDecodeError:
            continue  # data
    assert findings == []


def test_no_module_is_dead() -> None:
    pages = [path for path in rules.repository_files(ROOT) if path.suffix == ".md" and path.parts[0] == "docs"]
    # what a page has its readers import in an example is there for them
    examples = (
        block
        for path in pages
        for block in re.findall(r"^```python$(.*?)^```$", text_of(path), re.MULTILINE | re.DOTALL)
    )
    mentions = "\n".join((*examples, text_of(Path("pyproject.toml")), text_of(Path("Makefile"))))
    assert list(rules.dead_modules(ROOT, FILES, mentions)) == []


def test_nothing_is_there_for_tests_alone() -> None:
    people_read = [
        path for path in rules.repository_files(ROOT) if path.suffix == ".md" or path.parts[0] in (".ci", "deploy")
    ]
    mentions = "\n".join(text_of(path) for path in (*people_read, Path("pyproject.toml"), Path("Makefile")))
    assert list(unreached_names(ROOT, FILES, mentions)) == []


def test_test_modules_have_names_of_their_own() -> None:
    names = Counter(path.name for path in TEST_FILES if path.name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_the_linter_still_checks_what_we_rely_on() -> None:
    lint = tomllib.loads(text_of(Path("pyproject.toml")))["tool"]["ruff"]["lint"]
    assert {"D", "T20", "G", "S", "PGH", "TID", "BLE", "DTZ"} <= set(lint["select"])
    assert {"S101", "PGH003", "TID251", "T201", "G004"}.isdisjoint(lint["ignore"])
    assert all("use " in ban["msg"] for ban in lint["flake8-tidy-imports"]["banned-api"].values())
