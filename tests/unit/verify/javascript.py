"""The verifier in JavaScript, asked from Python: one process of Node.js, a question a line; and compared with the one in Python."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gridcore import verify
from tests.unit.verify.mutants import Mutant, save

INSTALL: Final = "apt-get install nodejs"
PROGRAM: Final = Path(__file__).with_name("javascript_answers.mjs")
STACK_KIB: Final = 4_000
"""One vector nests thousands of arrays; a bundle nests eight."""
HANDLERS: Final = (
    "bundle_verify/1",
    "cbor_canonical/1",
    "merkle_consistency/1",
    "merkle_inclusion/1",
    "merkle_root/1",
    "salted_root/1",
    "sm2_verify/1",
    "sm3/1",
)
"""Vectors that it is asked."""


class JavaScript:
    """A process that answers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def send(self, handler: str, question: Mapping[str, object]) -> None:
        """Ask a handler of the vectors; bytes in the question are given as hex."""
        shown = {key: value.hex() if isinstance(value, bytes) else value for key, value in question.items()}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"handler": handler, "input": shown}) + "\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The answer to the question that was sent last."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the verifier in JavaScript ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def send_bundle(self, bundle: bytes, trust: bytes | None, book: bytes | None) -> None:
        """Ask about a bundle: the answer is the verdict as ``json`` and as ``text``."""
        given = {"bundle": bundle, "trust": trust, "book": book}
        self.send("bundle_verify/1", {name: data for name, data in given.items() if data is not None})


@contextmanager
def javascript() -> Iterator[JavaScript]:
    """One process, ended with the block."""
    command = [shutil.which("node") or "node", f"--stack-size={STACK_KIB}", str(PROGRAM)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield JavaScript(process)
        finally:
            process.kill()


def in_python(bundle: bytes, trust: bytes | None, book: bytes | None) -> tuple[dict[str, Any], list[str]]:
    """What gridcore/verify.py says of the same: its JSON but the reason, and its text but the first line, which holds the reason."""
    try:
        root = None if trust is None else verify.decode_trust(trust)
        verdict = verify.verify_bundle(bundle, root, book)
    except verify.Halt as why:
        unread = (*verify.CLAIMS.values(), *verify.NEVER_CHECKED)
        verdict = verify.Verdict(why.args[0], "", None, {}, unread, {})
    found: dict[str, Any] = json.loads(verify.render(verdict, as_json=True))
    del found["reason"]
    return found, verify.render(verdict, as_json=False).splitlines()[1:]


def check_agreement(in_javascript: JavaScript, asked: Iterable[Mutant], folder: Path) -> Counter[str]:
    """Ask both, at the same time; how often which claim failed, or which answer was given. AssertionError where they differ: the files
    of that question stay in ``folder``.
    """
    said: Counter[str] = Counter()
    for one in asked:
        in_javascript.send_bundle(one.bundle, one.trust, one.book)
        due, due_lines = in_python(one.bundle, one.trust, one.book)
        answer = in_javascript.receive()
        found, lines = json.loads(answer["json"]), answer["text"].splitlines()[1:]
        reason = found.pop("reason")
        if (found, lines) != (due, due_lines):
            save(one, folder)
            raise AssertionError(f"{one.what}, kept in {folder}: {found} ({reason}), not {due}")
        said[due["claim"]["word"] if due["claim"] else due["answer"]] += 1
    return said
