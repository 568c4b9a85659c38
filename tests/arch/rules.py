"""The rules of the code base that no linter knows. Each takes a file and yields findings, ``path:line: what is wrong``.

The rules look at syntax trees, not at running code: a file is judged wherever it lies, so the tests plant violations in
temporary folders and see them found.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGES = (
    "gridcore",
    "firmware_profiles",
    "gridevidence",
    "edge",
    "ledger",
    "settlement",
    "gridseries",
    "gridwatch",
    "gridweb",
    "simulators",
    "gridledger",
)

FILE_LINES_MAX = 500
LONG_FILE_LINES_MAX = 700
LONG_FILES = ("tests/twin",)
GENERATED_FILES = ("gridcore/verify.py",)  # of parts that keep the limit
FUNCTION_LINES_MAX = 60

CONSENSUS = (
    "ledger/kinds/",
    "ledger/leaves/",
    "ledger/state/",
    "settlement/contracts/",
    "settlement/contract_kit_1/",
    "settlement/contract_kit_2/",
    "gridcore/sm3/",
    "gridcore/transactions/",
    *(
        f"gridcore/{name}.py"
        for name in "cbor codes column envelope errors forms genesis header merkle quality rows".split()
    ),
)

# Third-party libraries and the rooms they stay in (path prefixes). A library without a room may not be imported.
ROOMS: dict[str, tuple[str, ...]] = {
    "cryptography": (
        "gridcore/sm/",
        "gridcore/tls_certificates.py",
        "gridcore/tpm/attestation.py",
        "gridcore/sm3/hashers.py",
        "gridcore/ed25519.py",
    ),
    "gmssl": ("gridcore/sm/",),
    "structlog": ("gridcore/logs.py",),
    "pymodbus": ("simulators/", "benchmarks/edge_reads.py", "benchmarks/modbus_fleet.py"),
    "paho": ("edge/links/broker.py", "simulators/", "benchmarks/mqtt_fleet.py"),
    "httpx": ("ledger/client", "ledger/engines/cometbft/rpc.py", "gridledger/"),
    "google": ("ledger/engines/cometbft/",),  # protobuf
    "grpc_tools": ("ledger/engines/cometbft/build_stubs.py",),
    "quart": ("gridweb/", "ledger/http"),
    "hypercorn": ("gridcore/serving/asgi.py",),
    "jinja2": ("gridweb/",),
    "markupsafe": ("gridweb/",),
    "babel": ("gridweb/",),
    "typst": ("gridweb/exports/pdf_file.py",),
    "xlsxwriter": ("gridweb/exports/xlsx_file.py",),
    "pyarrow": ("gridweb/exports/parquet_file.py", "gridledger/tables/parquet_file.py"),
    "argon2": ("gridweb/",),
    "amqtt": ("simulators/",),
    "influxdb_client": ("gridseries/influx.py", "benchmarks/timeseries.py"),
    "urllib3": ("gridseries/influx.py",),  # what the vendor's client raises when nobody answers
    "numpy": ("ledger/", "settlement/", "simulators/", "gridledger/", "gridweb/", "gridwatch/", "benchmarks/"),
    "pytest": ("gridledger/simulating/pytest_plugin.py",),
    "power_grid_model": ("simulators/grid/",),
    "pandapower": ("simulators/grid/make_oracle.py",),
    "simbench": ("simulators/grid/extract_simbench.py", "simulators/grid/make_oracle.py"),
    "pandas": ("simulators/grid/extract_simbench.py", "simulators/grid/make_oracle.py"),
}

# What a contract may import besides its own folder, its kit and numpy: nothing that reads the world.
CONTRACT_STANDARD_LIBRARY = frozenset(
    [
        "__future__",
        "collections",
        "collections.abc",
        "dataclasses",
        "enum",
        "functools",
        "heapq",
        "itertools",
        "operator",
        "typing",
    ]
)

NAMELESS_MODULES = frozenset(["utils", "util", "helpers", "helper", "common", "misc", "tools"])
MEGA_OR_MILLI = re.compile(r"_(mw|mwh)$", re.IGNORECASE)

# How the keys of the families in ledger/leaves begin.
LEAF_KEY = re.compile(
    r"(account|area|balance|book|calendar|clearing|exception|fills|gateway|installation|latest|party|positions|progress"
    r"|registers|rules|run|seen|signer)/"
)

# In pieces, so that this file does not break its own rule.
_HOSTS = ("pypi" + ".org", "python" + "hosted.org", "registry." + "npmjs", "proxy." + "golang.org", "deb." + "debian.org",
          "crates" + ".io", "repo1." + "maven", "repo.maven" + ".apache")  # fmt: skip
_PATHS = (
    "/wo" + "rk/",
    "/ro" + "ot/",
    "/fa" + "rm/",
    "/ho" + "me/",
    "../sha" + "red",
    "." + "library/",
    "/tmp/" + "plan",
)


def repository_files(root: Path) -> list[Path]:
    """Return the tracked and the new, not ignored files of the checkout, as paths relative to ``root``."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    names = {name.decode() for name in listed.stdout.split(b"\0") if name}
    return sorted(path for path in map(Path, names) if (root / path).is_file())


def package_files(root: Path, *extra: str) -> list[Path]:
    """Return the Python files of our packages and of the ``extra`` folders, relative to ``root``."""
    folders = (*PACKAGES, *extra)
    files = [path for path in repository_files(root) if path.suffix == ".py" and path.parts[0] in folders]
    return [path for path in files if not path.name.endswith("_pb2.py")]  # made by another program


def is_within(path: Path, prefixes: tuple[str, ...]) -> bool:
    """Return whether ``path`` starts with one of the ``prefixes`` (a folder ends in a slash)."""
    return path.as_posix().startswith(prefixes)


@cache
def parse(root: Path, path: Path) -> ast.Module:
    """Return the syntax tree of the file; nobody changes it."""
    return ast.parse((root / path).read_text(encoding="utf-8"), filename=str(path))


def floats(path: Path, tree: ast.AST) -> Iterator[str]:
    """Floats of any kind in consensus code: literals, true division, ``float``, numpy's float types and means."""
    for node in ast.walk(tree):
        what = None
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            what = f"float literal {node.value}"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            what = "true division; use // or a checked helper"
        elif isinstance(node, ast.Name) and node.id in ("float", "complex"):
            what = f"the type {node.id}"
        elif isinstance(node, ast.Attribute) and re.fullmatch(
            r"float(\d+|ing)?|double|true_divide|divide|mean|average|std|linspace|truediv", node.attr
        ):
            what = f"float arithmetic through .{node.attr}"
        if what:
            yield f"{path}:{node.lineno}: consensus code: {what}"  # type: ignore[attr-defined]  # the four kinds have a line


def unstable_sorts(path: Path, tree: ast.AST) -> Iterator[str]:
    """``argsort`` without ``kind="stable"``, and partial sorts: their order of equals differs between processors."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == "argsort":
            kinds = [keyword.value for keyword in node.keywords if keyword.arg == "kind"]
            if not (kinds and isinstance(kinds[0], ast.Constant) and kinds[0].value == "stable"):
                yield f'{path}:{node.lineno}: argsort without kind="stable"'
        elif node.func.attr == "argpartition":
            yield f"{path}:{node.lineno}: argpartition leaves equals in an order of the processor's choice; use a stable argsort"


def asserts(path: Path, tree: ast.AST) -> Iterator[str]:
    """``assert`` outside tests: it disappears under ``python -O``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"{path}:{node.lineno}: assert; use gridcore.errors.require"


def sizes(path: Path, text: str, tree: ast.AST) -> Iterator[str]:
    """Files and functions that are too long to be read at once."""
    lines = 0 if is_within(path, GENERATED_FILES) else text.count("\n")
    limit = LONG_FILE_LINES_MAX if is_within(path, LONG_FILES) else FILE_LINES_MAX
    if lines > limit:
        yield f"{path}:1: {lines} lines; at most {limit}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{path}:{node.lineno}: function {node.name} has {length} lines; at most {FUNCTION_LINES_MAX}"


def names_given(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of everything that the code itself names; names of other people's libraries are only used."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name


def milli_or_mega(path: Path, tree: ast.AST) -> Iterator[str]:
    """Names that end in ``_mw`` or ``_mwh``: milli or mega?"""
    for line, name in names_given(tree):
        if MEGA_OR_MILLI.search(name):
            yield f"{path}:{line}: {name}: milli or mega? spell _milli_ or _mega_"


def imports(path: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of every import outside ``if TYPE_CHECKING:``; ``from a import b`` yields ``a`` and ``a.b``."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def rooms(path: Path, tree: ast.AST) -> Iterator[str]:
    """Third-party libraries outside their rooms."""
    for line, name in imports(path, tree):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in PACKAGES or top == "benchmarks":
            continue
        room = ROOMS.get(top, ())
        if not is_within(path, room):
            yield f"{path}:{line}: {top} stays in {', '.join(room) or 'no room at all'}"


def contract_imports(path: Path, tree: ast.AST) -> Iterator[str]:
    """A contract imports its own folder, kits, numpy and harmless standard library; a later version other contracts too; a kit earlier kits.

    That all of it is in its pin, is a test of the catalogue.
    """
    parts = path.with_suffix("").parts
    own = ".".join(parts[:3] if parts[1] == "contracts" else parts[:2])
    numbered = re.search(r"_(\d+)$", own)
    version = int(numbered[1]) if numbered else 0
    for line, name in imports(path, tree):
        kit = re.match(r"settlement\.contract_kit_(\d+)(\.|$)", name)
        is_kit = kit is not None and (parts[1] == "contracts" or int(kit[1]) < version)
        is_other = (
            parts[1] == "contracts" and version > 1 and re.match(r"settlement\.contracts(\.|$)", name) is not None
        )
        is_own = name == own or name.startswith(f"{own}.")
        is_harmless = name in CONTRACT_STANDARD_LIBRARY or name.rpartition(".")[0] in CONTRACT_STANDARD_LIBRARY
        if not (is_own or is_kit or is_other or is_harmless or name.partition(".")[0] == "numpy"):
            yield f"{path}:{line}: a contract or kit may not import {name}"


def ways_into_ledger(path: Path, tree: ast.AST) -> Iterator[str]:
    """``edge``, ``gridseries`` and ``gridweb`` know of the ledger only its client."""
    for line, name in imports(path, tree):
        if name == "ledger" or (name.startswith("ledger.") and not re.match(r"ledger\.client(\.|$)", name)):
            yield f"{path}:{line}: {path.parts[0]} reaches the ledger through ledger.client alone, not {name}"


def client_imports(path: Path, tree: ast.AST) -> Iterator[str]:
    """``ledger.client`` and ``ledger.contract`` import of ours only gridcore and themselves, and no numpy: gateways load them."""
    for line, name in imports(path, tree):
        is_ours = name.partition(".")[0] in PACKAGES
        is_allowed = re.match(r"(gridcore|ledger\.(client|contract))(\.|$)", name) is not None
        if (is_ours and not is_allowed) or name.partition(".")[0] == "numpy":
            yield f"{path}:{line}: a gateway loads this module; it may not import {name}"


def verifier_imports(path: Path, tree: ast.AST) -> Iterator[str]:
    """The stand-alone verifier runs on a bare Python: standard library only, nothing of ours."""
    for line, name in imports(path, tree):
        if name.partition(".")[0] not in sys.stdlib_module_names:
            yield f"{path}:{line}: the verifier imports {name}; only the standard library is there"


def leaf_keys(path: Path, tree: ast.Module) -> Iterator[str]:
    """Find keys of state leaves that are written outside ``ledger/leaves``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and LEAF_KEY.match(node.value):
            yield f"{path}:{node.lineno}: {node.value!r} begins a leaf's key; take it from its family in ledger/leaves"


def nameless(path: Path) -> Iterator[str]:
    """Modules whose name says nothing."""
    if NAMELESS_MODULES & {part.removesuffix(".py") for part in path.parts}:
        yield f"{path}:1: name the module after what is in it"


def bare_ignores(path: Path, text: str) -> Iterator[str]:
    """``type: ignore`` without a code or without a reason after it."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"#\s*type:\s*ignore", line) and not re.search(r"#\s*type:\s*ignore\[[\w, -]+\]\s+#\s*\w", line):
            yield f"{path}:{number}: write '# type: ignore[code]  # reason'"


def places(path: Path, text: str) -> Iterator[str]:
    """Paths of one machine and hosts of package registries: both stop being true elsewhere."""
    for number, line in enumerate(text.splitlines(), 1):
        for word in (*_HOSTS, *_PATHS):
            if word in line:
                yield f"{path}:{number}: names {word}"


def module_name(path: Path) -> str:
    """Return the dotted name of the module in the file ``path``."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def dead_modules(root: Path, files: list[Path], mentions: str) -> Iterator[str]:
    """Modules that nothing but tests reaches: not imported, not named in ``mentions``, no program of their own.

    ``files`` are the files of all packages; ``mentions`` is text in which lazily loaded modules are named (``a.b:C``).
    """
    used: set[str] = set()
    programs: set[str] = set()
    for path in files:
        tree = parse(root, path)
        own = module_name(path)
        used |= {name for _, name in imports(path, tree) if name != own}
        strings = (
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        used |= {text.partition(":")[0] for text in strings if re.fullmatch(r"[a-z_]\w*(\.\w+)+(:\w+)?", text)}
        if any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body):
            programs.add(own)
    for path in files:
        name = module_name(path)
        is_entry = name in programs or path.name in ("__init__.py", "__main__.py") or path.parts[0] == "benchmarks"
        if (
            not is_entry
            and name not in used
            and name not in mentions
            and not is_within(path, ("gridledger/commands/",))
        ):
            yield f"{path}:1: nothing imports {name}"
