"""Builds the native kernels, of SM3 rows and of the SM2 curve, into this interpreter's environment: ``python -m gridledger.build_row_kernel`` (``make setup`` does it).

Exit status 0 also where one cannot be built: everything works without it, only slower, and one line on stderr says so.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gridcore.errors import GridError
from gridcore.sm import native as sm2_native
from gridcore.sm.backend import check_known_answers
from gridcore.sm3 import native

OPTIONS = ("-std=c11", "-O2", "-funroll-loops", "-g0", "-fPIC", "-shared", "-fvisibility=hidden")
ZIG = "zig"
ADVICE = (
    "install a C compiler (Debian: apt-get install gcc libc6-dev) "
    f"and say 'make setup' again or '{sys.executable} -m gridledger.build_row_kernel'; a checkout's make setup NATIVE=zig brings one"
)


class Kernel(NamedTuple):
    """What is built. ``describe``: loads a library and says what it is, GridError or OSError where it is not right; ``without``: what is slower then."""

    name: str
    source: Path
    library: Path
    describe: Callable[[Path], str]
    without: str


def describe_rows(library: Path) -> str:
    """The width of the SM3 kernel. GridError where its digests are wrong."""
    kernel = native.NativeKernel(library)
    if not native.is_right(kernel):
        raise GridError("wrong digests")
    return kernel.description


def describe_curve(library: Path) -> str:
    """What the SM2 kernel computes with. SmBackendError where its answers are wrong."""
    backend = sm2_native.NativeBackend(library)
    check_known_answers(backend)
    return backend.version


def kernels() -> tuple[Kernel, ...]:
    """All of them, and where they belong."""
    slow_rows, slow_curve = (
        "rows are hashed one at a time, 5 to 15 times slower",
        "signatures are checked by libcrypto, 3 times slower",
    )
    return (
        Kernel("SM3 row kernel", native.SOURCE, native.LIBRARY, describe_rows, slow_rows),
        Kernel("SM2 kernel", sm2_native.SOURCE, sm2_native.LIBRARY, describe_curve, slow_curve),
    )


def find_compiler(wanted: str = "") -> list[str]:
    """The compiler's command: ``wanted``, else $CC, else cc, gcc or clang on PATH, else the ``ziglang`` package.

    ``wanted`` = "zig" means that package. GridError where there is none.
    """
    for name in (wanted,) if wanted else (os.environ.get("CC", ""), "cc", "gcc", "clang", ZIG):
        words = shlex.split(name)
        if name == ZIG and importlib.util.find_spec("ziglang") is not None:
            # Its default is the instructions of the building machine; the kernel chooses its own at run time.
            return [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]
        if words and name != ZIG and shutil.which(words[0]):
            return words
    raise GridError(f"no compiler {wanted!r}" if wanted else "no C compiler")


def build(compiler: list[str], kernel: Kernel) -> str:
    """Compile a kernel into its library; what it describes itself as. GridError where that fails or its answers are wrong."""
    library = kernel.library
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        fresh = Path(folder) / library.name
        command = [*compiler, *OPTIONS, str(kernel.source), "-o", str(fresh)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[0]
            raise GridError(f"{shlex.join(compiler)} cannot compile {kernel.source.name}: {said}")
        try:
            description = kernel.describe(fresh)
        except (GridError, OSError, AttributeError) as error:
            raise GridError(f"what {shlex.join(compiler)} made of {kernel.source.name} is not right: {error}") from None
        fresh.replace(library)  # whole or not at all, and never under a process that has the old one loaded
    return description


def main(wanted: str = "") -> int:
    """Build each, say in one line what came of it, and return the exit status."""
    for kernel in kernels():
        try:
            compiler = find_compiler(wanted)
            description = build(compiler, kernel)
        except (GridError, OSError) as error:
            print(f"gridledger: no native {kernel.name} ({error}): {kernel.without}; {ADVICE}", file=sys.stderr)
            continue
        print(f"gridledger: {kernel.name} built by {shlex.join(compiler)}: {description}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
