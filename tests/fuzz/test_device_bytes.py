"""What devices send - registers, DL/T 645 frames, MQTT payloads - in 10^6 inputs of each over one `make fuzz`: refused, or read."""

from __future__ import annotations

import re
import secrets
from random import Random

import pytest

from tests.fuzz.decoders import DECODERS, ROOT
from tests.fuzz.mutants import mutants

INPUTS = 1_000_000
PER_ROUND = 50_000
"""Inputs of one decoder in a round: half of them mutants of examples, half of them noise."""
NOISE_BYTES_MAX = 64
BY_DEVICES = ("register", "dlt645_frame", "mqtt_payload")


def noise(seed: int, count: int) -> list[bytes]:
    draw = Random(seed)
    return [draw.randbytes(draw.randrange(NOISE_BYTES_MAX + 1)) for _ in range(count)]


@pytest.mark.fuzz
@pytest.mark.parametrize("name", BY_DEVICES)
def test_round_of_a_million_inputs_is_read_or_refused(name: str) -> None:
    decoder, seed = DECODERS[name], secrets.randbits(32)
    half = PER_ROUND // 2
    tried = 0
    for data in (*mutants(decoder.examples(), seed, half), *noise(seed, half)):
        try:
            decoder.try_one(data)
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}, input {tried}: {data.hex()}") from error
        tried += 1
    assert tried == PER_ROUND


def test_rounds_of_make_fuzz_come_to_a_million_inputs() -> None:
    rounds = re.search(r"^ROUNDS \?= (\d+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert rounds is not None
    assert int(rounds[1]) * PER_ROUND >= INPUTS
