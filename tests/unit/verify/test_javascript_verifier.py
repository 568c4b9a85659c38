"""The verifier in JavaScript says what the one in Python says, of every vector and of whatever was done to a bundle."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridcore import verify
from ledger.evidence import build_book, build_bundle
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.conftest import REPOSITORY
from tests.external import needs
from tests.second_verifier.story import SUBSTITUTED
from tests.unit.verify.honest import HONEST, TRADE, evidence
from tests.unit.verify.javascript import HANDLERS, INSTALL, JavaScript, check_agreement, javascript
from tests.unit.verify.mutants import Mutant, mutants
from tests.unit.verify.test_verifiers_agree import SEED
from tests.worlds.consortium import FIRST_S
from tests.worlds.ledgers import ledger_with
from tests.worlds.placed import PLACED, one_placed_slot
from tests.worlds.price_terms import PRICE_TERMS, clear_by_other_terms
from tests.worlds.wanted import POOLED, WANTED, one_pooled_slot, one_ramped_slot, one_wanted_slot

pytestmark = needs("node", INSTALL)
VECTORS = REPOSITORY / "tests" / "vectors"
COMMAND = REPOSITORY / "gridweb" / "static" / "verify" / "cli.mjs"
REFUSED = {"error": True}


@pytest.fixture(scope="module")
def in_javascript() -> Iterator[JavaScript]:
    """The verifier in JavaScript."""
    with javascript() as found:
        yield found


def case_input(handler: str, folder: Path, case: dict[str, Any]) -> dict[str, Any]:
    """What a case asks; of a bundle the files that it names."""
    given: dict[str, Any] = case["input"]
    if handler != "bundle_verify/1":
        return given
    return {name: (folder / file).read_bytes() for name, file in given.items()}


@pytest.mark.parametrize("handler", HANDLERS)
def test_it_answers_every_vector_as_the_vector_expects(handler: str, in_javascript: JavaScript) -> None:
    folders = sorted((VECTORS / handler.partition("/")[0]).iterdir())
    for folder in folders:
        case = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))
        in_javascript.send(handler, case_input(handler, folder, case))
        answer = in_javascript.receive()
        expected = case.get("expect", REFUSED)
        found = {key: answer.get(key) for key in expected}
        if handler == "bundle_verify/1":
            found["answer"] = str(found["answer"]).replace(" ", "_")
        assert found == expected, folder.name
    assert len(folders) > 3


def good_bundles() -> Iterator[Mutant]:
    """Honest bundles, each with its book and without, and one of a register that nobody read."""
    unread = evidence(SUBSTITUTED)
    yield Mutant("a register that nobody read", unread.bundle_bytes, unread.trust_bytes, None, is_unkeyed=True)
    for name, world in HONEST.items():
        for book in (None, world.book_bytes):
            yield Mutant(name, world.bundle_bytes, world.trust_bytes, book, is_unkeyed=True)


def test_both_say_the_same_of_good_bundles(in_javascript: JavaScript, tmp_path: Path) -> None:
    said = check_agreement(in_javascript, good_bundles(), tmp_path)
    assert said.keys() == {verify.VERIFIED, verify.CANNOT_BE_DECIDED}


def test_both_say_the_same_of_300_mutants(in_javascript: JavaScript, tmp_path: Path) -> None:
    said = check_agreement(in_javascript, mutants(SEED, 300), tmp_path)
    assert said.keys() >= {*verify.CLAIMS, verify.VERIFIED, verify.CANNOT_BE_DECIDED}


WORLDS = {
    "preferences": (WANTED, one_wanted_slot),
    "preferences in a batch": (POOLED, one_pooled_slot),
    "a ramp": (WANTED, one_ramped_slot),
    "fees along a grid": (PLACED, one_placed_slot),
    **{name: (told.world, told.slot) for name, told in PRICE_TERMS.items()},
}
LINES = (("shop", "trade_buy"), ("house", "trade_buy"), ("roof", "trade_sell"), ("house", "levy"))


@pytest.mark.parametrize("name", WORLDS)
def test_both_say_the_same_of_what_orders_are_asked_for(name: str, in_javascript: JavaScript, tmp_path: Path) -> None:
    world, slot = WORLDS[name]
    trust = json.dumps(trust_of(world.genesis)).encode()
    with ledger_with(tmp_path, world, slot(world.sender())) as ledger:
        book = build_book(ledger, "a-1", FIRST_S)
        bundles = [
            build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind) for party, kind in LINES
        ]
    asked = [Mutant(name, data, trust, shown, is_unkeyed=True) for data in bundles for shown in (None, book)]
    assert check_agreement(in_javascript, asked, tmp_path) == {verify.VERIFIED: len(asked)}
    flips = [bytes([*data[:at], data[at] ^ 1, *data[at + 1 :]]) for data in bundles for at in range(0, len(data), 997)]
    said = check_agreement(
        in_javascript, [Mutant(name, data, trust, book, is_unkeyed=True) for data in flips], tmp_path
    )
    assert verify.VERIFIED not in said


@pytest.mark.parametrize("name", PRICE_TERMS)
def test_it_too_refuses_lines_of_a_gate_that_was_cleared_by_other_terms(
    name: str, in_javascript: JavaScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = PRICE_TERMS[name]
    clear_by_other_terms(monkeypatch, told)
    trust = json.dumps(trust_of(told.world.genesis)).encode()
    with ledger_with(tmp_path, told.world, told.slot(told.world.sender())) as ledger:
        book = build_book(ledger, "a-1", FIRST_S)
        bundles = [
            build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind)
            for party, kind in told.lines
        ]
    asked = [Mutant(name, data, trust, book, is_unkeyed=True) for data in bundles]
    assert check_agreement(in_javascript, asked, tmp_path) == {"book": len(asked)}


# -------------------------------------------------------------------------------------------------------- as a command


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command of Node.js in a folder."""
    command = ["node", str(COMMAND), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good bundle, its trust root and its book."""
    (tmp_path / "line.evd").write_bytes(TRADE.bundle_bytes)
    (tmp_path / "trust.json").write_bytes(TRADE.trust_bytes)
    (tmp_path / "slot.book").write_bytes(TRADE.book_bytes)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("line.evd", "--trust", "trust.json"),
        ("line.evd", "--trust", "trust.json", "--with-book", "slot.book"),
        ("line.evd", "--trust", "trust.json", "--json"),
        ("line.evd",),
        ("slot.book", "--trust", "trust.json"),
    ],
)
def test_the_command_prints_what_the_command_in_python_prints(arguments: tuple[str, ...], folder: Path) -> None:
    found = run(*arguments, folder=folder)
    due = subprocess.run(
        [sys.executable, "-I", "-S", verify.__file__, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (found.returncode, found.stderr) == (due.returncode, "")
    if "--json" in arguments:
        assert json.loads(found.stdout) == json.loads(due.stdout)
    else:
        assert found.stdout == due.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.evd", "--trust", "trust.json"), "cannot read gone.evd"),
        (("line.evd", "--trust", "line.evd"), "line.evd: the trust file is malformed"),
        ((), "one bundle"),
        (("line.evd", "--trsut", "trust.json"), "--trsut"),
    ],
)
def test_a_command_that_cannot_be_answered_is_one_line_and_exit_2(
    arguments: tuple[str, ...], said: str, folder: Path
) -> None:
    found = run(*arguments, folder=folder)
    assert (found.returncode, found.stdout) == (2, "")
    assert said in found.stderr
    assert found.stderr.count("\n") == 1
