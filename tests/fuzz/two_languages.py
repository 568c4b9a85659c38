"""The verifiers in Python and in JavaScript on mutated bundles, each in one process: ``python -m tests.fuzz.two_languages`` (make fuzz).

They must give the same verdict on each: answer, exit status, first claim that fails, claims that hold, facts. The files of one on which
they differ are kept, and named with its seed and number.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
import time
from pathlib import Path

from gridcore import verify
from tests.external import find_program
from tests.unit.verify.javascript import INSTALL, check_agreement, javascript
from tests.unit.verify.mutants import mutants


def main() -> int:
    """Compare them; 0 where they agree, 1 where not, 2 without Node.js."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    args = parser.parse_args()
    if find_program("node") is None:
        print(f"fuzz: node is missing: {INSTALL}", file=sys.stderr)
        return 2
    print(f"fuzz: {args.mutants} mutants for the verifiers in Python and JavaScript, --seed={args.seed}", flush=True)
    verify.is_valid_signature = functools.cache(verify.is_valid_signature)  # most mutants leave most signatures
    start_s, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="two-languages-"))
    try:
        with javascript() as in_javascript:
            said = check_agreement(in_javascript, mutants(args.seed, args.mutants), folder)
    except AssertionError as difference:
        print(f"fuzz: {difference}", file=sys.stderr)
        return 1
    folder.rmdir()
    print(f"fuzz: the same of each in {time.monotonic() - start_s:.0f} s: {dict(said.most_common())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
