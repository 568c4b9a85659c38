"""The checks themselves are checked: each planted violation is found, and its harmless neighbour is not."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.arch import rules
from tests.arch.unreached import unreached_names
from tests.arch.vacuous import vacuous_tests

pytestmark = pytest.mark.arch
ROOT = Path(__file__).resolve().parents[2]
TreeRule = Callable[[Path, ast.AST], Iterator[str]]


@pytest.mark.parametrize(
    ("rule", "place", "bad", "good"),
    [
        (rules.floats, "ledger/state/x.py", "a = 0.5", "a = 5"),
        (rules.floats, "ledger/state/x.py", "a = b / c", "a = b // c"),
        (rules.floats, "ledger/state/x.py", "a /= 2", "a //= 2"),
        (rules.floats, "ledger/state/x.py", "a = float(b)", "a = int(b)"),
        (rules.floats, "ledger/state/x.py", "a = np.float64(1)", "a = np.int64(1)"),
        (rules.floats, "ledger/state/x.py", "a = b.mean()", "a = b.sum()"),
        (rules.unstable_sorts, "ledger/x.py", "np.argsort(a)", "np.argsort(a, kind='stable')"),
        (rules.unstable_sorts, "ledger/x.py", "a.argsort(kind='quicksort')", "a.argsort(axis=0, kind='stable')"),
        (rules.unstable_sorts, "ledger/x.py", "a.argsort(kind=k)", "np.lexsort(a)"),
        (rules.unstable_sorts, "ledger/x.py", "np.argpartition(a, 3)", "np.sort(a)"),
        (rules.asserts, "edge/x.py", "def f():\n    assert a", "require(a, 'a holds')"),
        (rules.milli_or_mega, "edge/x.py", "power_mw = 1", "power_mega_w = 1"),
        (rules.milli_or_mega, "edge/x.py", "def f(energy_mwh): ...", "def f(energy_milli_wh): ..."),
        (rules.milli_or_mega, "edge/x.py", "self.p_mw = 1", "net.load.p_mw"),
        (rules.milli_or_mega, "edge/x.py", "for loss_MW in a: ...", "for loss_w in a: ..."),
        (rules.rooms, "edge/agent.py", "import pymodbus", "import json"),
        (rules.rooms, "edge/agent.py", "def f():\n    from quart import Quart", "from edge import decode"),
        (rules.rooms, "ledger/state/x.py", "from cryptography.hazmat import x", "import numpy as np"),
        (rules.rooms, "gridcore/x.py", "import cbor2", "if TYPE_CHECKING:\n    import numpy"),
        (rules.rooms, "gridcore/x.py", "import structlog", "from gridcore.logs import get_logger"),
        (rules.contract_imports, "settlement/contracts/a_1/x.py", "import time", "from typing import NamedTuple"),
        (rules.contract_imports, "settlement/contracts/a_1/x.py", "from gridcore import cbor", "from settlement.contract_kit_1 import x"),
        (rules.contract_imports, "settlement/contracts/a_1/x.py", "import settlement.contracts.b_1", "import settlement.contracts.a_1.y"),
        (rules.contract_imports, "settlement/contracts/a_2/x.py", "import settlement.pin", "import settlement.contracts.a_1.y"),
        (rules.contract_imports, "settlement/contract_kit_1/x.py", "from settlement.contracts.a_1 import y", "import numpy as np"),
        (rules.contract_imports, "settlement/contract_kit_2/x.py", "import settlement.contracts", "import settlement.contract_kit_1"),
        (rules.contract_imports, "settlement/contract_kit_1/x.py", "import settlement.contract_kit_2", "from settlement.contract_kit_1.y import z"),
        (rules.client_imports, "ledger/client.py", "from ledger.state import x", "from gridcore import cbor"),
        (rules.client_imports, "ledger/client/http.py", "import numpy.typing", "from ledger.client.receipts import check"),
        (rules.leaf_keys, "ledger/x.py", "key = f'party/{name}'", "key = PARTY.key(name)"),
        (rules.leaf_keys, "ledger/x.py", "prefix = 'signer/'", "url = f'{API}/areas'"),
        (rules.verifier_imports, "gridcore/verify.py", "from gridcore import cbor", "import hashlib"),
        (rules.ways_into_ledger, "edge/x.py", "from ledger.state import State", "from ledger.client import Client"),
        (rules.ways_into_ledger, "gridweb/x.py", "from ledger import engines", "import ledger.client.http"),
        (rules.ways_into_ledger, "gridweb/x.py", "import ledger.clientele", "import gridcore.cbor"),
    ],
)  # fmt: skip
def test_planted_violation_is_found_and_its_neighbour_is_not(rule: TreeRule, place: str, bad: str, good: str) -> None:
    assert len(list(rule(Path(place), ast.parse(bad)))) >= 1
    assert list(rule(Path(place), ast.parse(good))) == []


def test_long_file_and_long_function_are_found_at_their_limits() -> None:
    def found(path: str, text: str) -> int:
        return len(list(rules.sizes(Path(path), text, ast.parse(text))))

    assert found("edge/x.py", "a = 1\n" * 500) == 0
    assert found("edge/x.py", "a = 1\n" * 501) == 1
    assert found("tests/twin/x.py", "a = 1\n" * 700) == 0
    assert found("tests/twin/x.py", "a = 1\n" * 701) == 1
    assert found("gridcore/verify.py", "a = 1\n" * 2_000) == 0
    assert found("gridcore/verify.py", "def f():\n" + "    a = 1\n" * 60) == 1
    assert found("edge/x.py", "def f():\n" + "    a = 1\n" * 59) == 0
    assert found("edge/x.py", "async def f():\n" + "    a = 1\n" * 60) == 1


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("if a:\n        assert b", "if a:\n        assert b\n    else:\n        assert c"),
        ("for a in b:\n        assert a", "for a in (1, 2):\n        assert a"),
        ("for a in b:\n        assert a", "assert b\n    for a in b:\n        assert a"),
        ("for a in f():\n        assert a", "b = [1]\n    for a in enumerate(b):\n        assert a"),
        ("for a, b in c.items():\n        assert a", "for a, b in CASES.items():\n        assert a"),
        ("try:\n        f()\n    except E:\n        assert a", "with pytest.raises(E):\n        f()"),
        ("with suppress(E):\n        assert a", "with opened() as a:\n        assert a"),
        ("if a:\n        return\n    assert b", "def f():\n        return\n    assert b"),
        ("if a:\n        with pytest.raises(E):\n            f()", "f()"),
    ],
)
def test_a_test_that_may_check_nothing_is_found_and_its_neighbour_is_not(bad: str, good: str) -> None:
    assert len(list(vacuous_tests(Path("x.py"), ast.parse(f"def test_x():\n    {bad}\n")))) == 1
    assert list(vacuous_tests(Path("x.py"), ast.parse(f"def test_x():\n    {good}\n"))) == []
    assert list(vacuous_tests(Path("x.py"), ast.parse(f"def helper():\n    {bad}\n"))) == []


def test_nameless_modules_bare_ignores_and_places_are_found() -> None:
    assert list(rules.nameless(Path("edge/utils.py")))
    assert list(rules.nameless(Path("edge/common/x.py")))
    assert not list(rules.nameless(Path("edge/blocks.py")))
    mark = "# type:" + " ignore"
    for line in (mark, f"{mark}[arg-type]", f"{mark}  # because"):
        assert list(rules.bare_ignores(Path("x.py"), f"a = 1  {line}"))
    assert not list(rules.bare_ignores(Path("x.py"), f"a = 1  {mark}[arg-type]  # numpy's stubs are wrong here"))
    for word in (*rules._HOSTS, *rules._PATHS):
        assert list(rules.places(Path("x"), f"see {word}x"))
    assert not list(rules.places(Path("x"), "https://www.apache.org/licenses/ and /var/lib/gridledger"))


def test_dead_module_is_found_and_lazily_named_ones_are_not(tmp_path: Path) -> None:
    sources = {
        "edge/__init__.py": "",
        "edge/agent.py": "from edge import outbox\nLAZY = 'edge.config:EdgeConfig'",
        "edge/outbox.py": "",
        "edge/config.py": "",
        "edge/script.py": "if __name__ == '__main__':\n    pass",
        "edge/forgotten.py": "import edge.forgotten",
    }
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    found = list(rules.dead_modules(tmp_path, [Path(name) for name in sources], mentions="edge.agent:main"))
    assert found == ["edge/forgotten.py:1: nothing imports edge.forgotten"]


def test_a_name_that_nothing_uses_is_found_and_used_ones_are_not(tmp_path: Path) -> None:
    sources = {
        "a.py": """def used(): ...
def by_tests_alone(): return by_tests_alone()
def of_a_page(): ...
@registered
def handler(): ...
class Unused: ...
LIMIT, SPARE = 1, 2
SPARE: int = 3
""",
        "b.py": "from a import used, LIMIT\nused(LIMIT)\nLAZY = 'a:by_name'\nprint(LAZY)",
        "c.py": "def by_name(): ...",
    }
    for name, source in sources.items():
        (tmp_path / name).write_text(source)
    found = list(unreached_names(tmp_path, [Path(name) for name in sources], "See `of_a_page`."))
    assert [line.split()[4].rstrip(",") for line in found] == ["by_tests_alone", "Unused", "SPARE"]


@pytest.fixture(scope="module")
def planted_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages with one import of each forbidden kind."""
    tree = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", tree)
    for package in rules.PACKAGES:
        shutil.copytree(
            ROOT / package,
            tree / package,
            ignore=lambda folder, names: [
                n for n in names if Path(folder, n).suffix not in ("", ".py") or n == "__pycache__"
            ],
        )
    plants = {
        "gridcore/errors.py": "import time",
        "gridcore/cbor.py": "import edge.blocks",
        "settlement/__init__.py": "import edge",
        "edge/__init__.py": "import ledger.state",
        "ledger/contract.py": "import numpy, ledger.store",
        "edge/blocks.py": "import numpy",
        "ledger/http/app.py": "import ledger.client",
        "gridweb/app.py": "import gridseries.stores",
    }
    for name, line in plants.items():
        with (tree / name).open("a") as file:
            file.write(f"\n{line}\n")
    return tree


def test_import_contracts_break_on_planted_imports(planted_tree: Path) -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=planted_tree, capture_output=True, text=True, check=False)
    report = " ".join(done.stdout.split()).replace("- ", "")
    assert done.returncode == 1
    assert "Contracts: 0 kept" in report
    for line in (
        "gridcore is not allowed to import edge",
        "settlement is not allowed to import edge",
        "edge is not allowed to import ledger.state",
        "ledger.contract is not allowed to import numpy",
        "edge is not allowed to import numpy",
        "ledger.http is not allowed to import ledger.client",
        "gridweb is not allowed to import gridseries.stores",
        "ledger.state is not allowed to import time",
    ):
        assert line in report
