"""Coverage-guided fuzzing of one decoder: ``python -m tests.fuzz.guided NAME --seconds 20`` (make fuzz; needs atheris, ADR 0046).

Inputs that reach new branches are kept in the user's cache folder, so that each run goes on where the last one ended. A finding ends
the run with its bytes in hexadecimal; it becomes a named test.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

import atheris

PACKAGES: Final = (
    "gridcore",
    "gridevidence",
    "ledger",
    "edge",
    "firmware_profiles",
    "gridledger.founding",
    "json",
    "tomllib",
)
BYTES_MAX: Final = 16_384
TIMEOUT_S: Final = 5
"""No input of BYTES_MAX bytes may take longer."""
MEMORY_MB_MAX: Final = 2_048


def corpus_of(name: str) -> Path:
    """Where the inputs of a decoder are kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "gridledger" / "fuzz" / name


def main() -> None:
    """Fuzz one decoder; never returns: the library ends the process, with 0 where nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    with atheris.instrument_imports(include=list(PACKAGES)):
        decoder = importlib.import_module("tests.fuzz.decoders").DECODERS[args.name]
    corpus = corpus_of(args.name)
    corpus.mkdir(parents=True, exist_ok=True)
    for example in decoder.examples():
        (corpus / sha256(example).hexdigest()).write_bytes(example)  # a file's name, as the library makes them

    def try_one(data: bytes) -> None:
        try:
            decoder.try_one(data)
        except BaseException:
            print(f"fuzz: {args.name}: {data.hex()}", file=sys.stderr, flush=True)
            raise

    limits = [f"-max_len={BYTES_MAX}", f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MB_MAX}"]
    quiet = ["-verbosity=0", "-print_final_stats=1", f"-artifact_prefix={corpus}-"]
    atheris.Setup([sys.argv[0], str(corpus), f"-max_total_time={args.seconds}", *limits, *quiet], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
