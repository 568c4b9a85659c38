"""Mutated bytes from outside are read or refused by every decoder, and nothing else: a short look at each, longer ones in `make fuzz`."""

from __future__ import annotations

import re
import secrets

import pytest

from tests.fuzz.decoders import DECODERS, ROOT
from tests.fuzz.mutants import mutants

MUTANTS = 250
"""Of each decoder in every test run: the same ones. `make fuzz` draws its own in each round."""
MUTANTS_LONG = 2_000

each = pytest.mark.parametrize("name", DECODERS)


@each
def test_every_example_is_taken(name: str) -> None:
    decoder = DECODERS[name]
    assert all(decoder.try_one(example) for example in decoder.examples())


@each
def test_mutants_are_read_or_refused(name: str) -> None:
    decoder = DECODERS[name]
    taken = [decoder.try_one(data) for data in mutants(decoder.examples(), 1, MUTANTS)]
    assert len(taken) == MUTANTS


@pytest.mark.fuzz
@each
def test_many_mutants_are_read_or_refused(name: str) -> None:
    decoder, seed = DECODERS[name], secrets.randbits(32)
    for number, data in enumerate(mutants(decoder.examples(), seed, MUTANTS_LONG)):
        try:
            decoder.try_one(data)
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}, mutant {number}: {data.hex()}") from error


def test_make_fuzz_runs_every_decoder_by_coverage() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"-m tests\.fuzz\.guided ", text)
