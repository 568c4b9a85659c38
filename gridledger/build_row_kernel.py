"""Builds the native row kernel into this interpreter's environment: ``python -m gridledger.build_row_kernel`` (``make setup`` does it).

Exit status 0 also where it cannot be built: everything works without it, only slower, and one line on stderr says so.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gridcore.errors import GridError
from gridcore.sm3 import native

OPTIONS = ("-std=c11", "-O2", "-g0", "-fPIC", "-shared", "-fvisibility=hidden")
ZIG = "zig"
ADVICE = (
    "rows are hashed one at a time, 5 to 15 times slower; install a C compiler (Debian: apt-get install gcc libc6-dev) "
    f"and say 'make setup' again or '{sys.executable} -m gridledger.build_row_kernel'; a checkout's make setup NATIVE=zig brings one"
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


def build(compiler: list[str], library: Path) -> native.NativeKernel:
    """Compile the kernel into ``library`` and return it. GridError where that fails or its digests are wrong."""
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        fresh = Path(folder) / library.name
        command = [*compiler, *OPTIONS, str(native.SOURCE), "-o", str(fresh)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[0]
            raise GridError(f"{shlex.join(compiler)} cannot compile {native.SOURCE.name}: {said}")
        kernel = native.NativeKernel(fresh)
        if not native.is_right(kernel):
            raise GridError(f"what {shlex.join(compiler)} made of {native.SOURCE.name} gives wrong digests")
        fresh.replace(library)  # whole or not at all, and never under a process that has the old one loaded
    return kernel


def main(wanted: str = "") -> int:
    """Build, say in one line what came of it, and return the exit status."""
    try:
        compiler = find_compiler(wanted)
        kernel = build(compiler, native.LIBRARY)
    except (GridError, OSError) as error:
        print(f"gridledger: no native SM3 row kernel ({error}): {ADVICE}", file=sys.stderr)
        return 0
    print(f"gridledger: SM3 row kernel built by {shlex.join(compiler)}: {kernel.description}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
