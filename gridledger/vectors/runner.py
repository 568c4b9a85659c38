"""Walks a folder of cases, runs each, and compares what came out with what was expected."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gridcore.errors import EncodingError, InvariantError, UsageError
from gridledger.vectors.cases import CaseError, CaseInput, CaseRefusedError, check_int64
from gridledger.vectors.handlers import HANDLERS, Handler, Output
from settlement.contract_kit_1 import ContractError, ContractInvariantError
from settlement.errors import SettlementError

CASE_FILE = "case.toml"
REFUSED = "refused"
_REFUSALS = (CaseRefusedError, EncodingError, ContractError, SettlementError)
_TEXT_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """One case that failed: its folder (below the folder that was run), the field that differs, and how."""

    case: str
    field: str
    expected: object
    got: object

    def text(self) -> str:
        """One line: path, field, expected, got; long values are cut."""
        return f"{self.case}: {self.field}: expected {_shown(self.expected)}, got {_shown(self.got)}"


@dataclass(frozen=True, slots=True)
class VectorReport:
    """The outcome of a run."""

    passed: int
    failures: tuple[Failure, ...]

    @property
    def failed(self) -> int:
        """Number of cases that failed."""
        return len(self.failures)

    @property
    def is_conformant(self) -> bool:
        """Whether at least one case ran and none failed (exit status 0)."""
        return self.passed > 0 and not self.failures

    def text(self) -> str:
        """A line for each failure, then ``N passed, N failed``."""
        return "\n".join(
            [*(failure.text() for failure in self.failures), f"{self.passed} passed, {self.failed} failed"]
        )

    def as_json(self) -> dict[str, object]:
        """The object that ``vectors run --json`` prints."""
        return {
            "passed": self.passed,
            "failed": self.failed,
            "failures": [
                {
                    "case": failure.case,
                    "field": failure.field,
                    "expected": _plain(failure.expected),
                    "got": _plain(failure.got),
                }
                for failure in self.failures
            ],
        }


def run_vectors(folder: Path) -> VectorReport:
    """Run every case below ``folder``, in the order of their paths. UsageError where ``folder`` is none, or holds none."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; name one that holds <handler>/<case>/{CASE_FILE}")
    failures: list[Failure] = []
    passed = 0
    for case_folder in _case_folders(folder):
        failure = _run_case(case_folder, case_folder.relative_to(folder).as_posix())
        if failure is None:
            passed += 1
        else:
            failures.append(failure)
    if not passed and not failures:
        raise UsageError(f"{folder}: no case lies in it; a case is a folder <handler>/<case> with {CASE_FILE}")
    return VectorReport(passed, tuple(failures))


def _case_folders(folder: Path) -> Iterator[Path]:
    """The folders that hold a case, by path."""
    yield from sorted(path.parent for path in folder.rglob(CASE_FILE))


def _run_case(folder: Path, name: str) -> Failure | None:
    """Run one case; None when it passed."""
    try:
        case = _load_case(folder / CASE_FILE)
        handler, case_input, expect = _parts(case, folder)
        case_input.check_keys(handler.required, handler.optional)
    except CaseError as error:
        return Failure(name, error.field, error.expected, error.got)
    outcome = _outcome(handler, case_input)
    if isinstance(outcome, Mapping):
        if expect is None:
            return Failure(name, "expect", REFUSED, outcome)
        return _compare(name, expect, outcome)
    if expect is None and isinstance(outcome, _REFUSALS):
        return None
    if isinstance(outcome, CaseError):
        return Failure(name, outcome.field, outcome.expected, outcome.got)
    if isinstance(outcome, _REFUSALS):
        return Failure(name, "expect", expect, f"{REFUSED}: {outcome}")
    expected: object = REFUSED if expect is None else expect
    return Failure(name, "expect", expected, f"unexpected {type(outcome).__name__}: {outcome}")


def _outcome(handler: Handler, case_input: CaseInput) -> Output | BaseException:
    """What the handler yields, or the error it ends in.

    Every error is caught, a broken promise too: this process holds no state, and one case must not hide the others.
    """
    try:
        output = handler.run(case_input)
        _check_integers(output, "the result")
    except (Exception, InvariantError, ContractInvariantError) as error:  # noqa: BLE001 - reported as a failure
        return error
    return output


def _load_case(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise CaseError(CASE_FILE, "a TOML file in UTF-8", " ".join(str(error).split())) from error


def _parts(case: dict[str, object], folder: Path) -> tuple[Handler, CaseInput, dict[str, object] | None]:
    """Handler, input and expectation of a case; CaseError where one has the wrong shape."""
    name = case.get("handler")
    if not isinstance(name, str):
        raise CaseError("handler", "a string", name)
    handler = HANDLERS.get(name)
    if handler is None:
        raise CaseError("handler", f"one of {', '.join(HANDLERS)}", name)
    for key, value in case.items():
        # words about the case may be added; a table is part of it, and a misspelled [expect] must not pass for none
        if key not in ("input", "expect") and isinstance(value, dict):
            raise CaseError(key, "no tables but input and expect", "a table")
    values = case.get("input")
    if not isinstance(values, dict):
        raise CaseError("input", "a table", values)
    expect = case.get("expect")
    if expect is not None and not isinstance(expect, dict):
        raise CaseError("expect", "a table", expect)
    return handler, CaseInput(values, folder), expect


def _compare(name: str, expect: dict[str, object], output: Output) -> Failure | None:
    """The first difference between ``[expect]`` and the output, None where there is none."""
    for key, expected in expect.items():
        if key == "absent":
            continue
        if key not in output:
            return Failure(name, key, expected, "absent")
        if not _is_same(expected, output[key]):
            return Failure(name, key, *_narrowed(expected, output[key]))
    absent = expect.get("absent", [])
    if not isinstance(absent, list) or not all(isinstance(key, str) for key in absent):
        return Failure(name, "expect.absent", "a list of keys", absent)
    for key in absent:
        if key in output:
            return Failure(name, key, "absent", output[key])
    return None


def _is_same(expected: object, got: object) -> bool:
    """Equal in type and value, all the way down: true is not 1, and a table matches entirely or not at all."""
    if isinstance(expected, dict) and isinstance(got, dict):
        return expected.keys() == got.keys() and all(_is_same(expected[key], got[key]) for key in expected)
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(
            _is_same(left, right) for left, right in zip(expected, got, strict=True)
        )
    return type(expected) is type(got) and expected == got


def _narrowed(expected: object, got: object) -> tuple[object, object]:
    """Of two tables that differ only the entries that differ; anything else as it is."""
    if not isinstance(expected, dict) or not isinstance(got, dict):
        return expected, got
    differing = [
        key
        for key in {**expected, **got}
        if key not in expected or key not in got or not _is_same(expected[key], got[key])
    ]
    return (
        {key: expected[key] for key in differing if key in expected},
        {key: got[key] for key in differing if key in got},
    )


def _check_integers(value: object, field: str) -> None:
    """CaseRefusedError for an integer outside int64 anywhere in a result."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_integers(item, f"{field}.{key}")
    elif isinstance(value, list):
        for row, item in enumerate(value):
            _check_integers(item, f"{field}[{row}]")
    elif isinstance(value, int):
        check_int64(value, field)


def _plain(value: object) -> object:
    """A value as JSON can hold it: a date that a case holds by mistake becomes its text."""
    plain: object = json.loads(json.dumps(value, default=str))
    return plain


def _shown(value: object) -> str:
    """A value on one line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _TEXT_CHARACTERS_MAX else f"{text[:_TEXT_CHARACTERS_MAX]}..."
