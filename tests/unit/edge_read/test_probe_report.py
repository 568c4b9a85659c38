"""What the probe tells a person and a program: exact numbers, and one line when nothing answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.probe_trouble import UNANSWERED_MAX
from edge.probed import ProbedPoint, ProbeReport, exact_text
from edge.readers import NoAnswerError
from edge.readers.modbus import ModbusLine
from gridledger.cli import main
from gridledger.gateway.probing import report_text


def point(obis: str, value: Fraction, unit: str) -> ProbedPoint:
    """A point that is in order."""
    return ProbedPoint(obis, "4:0x0048", b"\0\1\0\2", value, unit, "ok", True, 1.5)


def test_billing_register_is_shown_to_the_last_digit_with_kwh_beside() -> None:
    points = (point("1.8.0", Fraction(3_682_937), "Wh"), point("32.7.0", Fraction(2301, 10), "V"))
    report = ProbeReport("h:502", "1", "p", (), points, "ok")
    energy, voltage = report_text(report).splitlines()[2:4]
    assert energy.split() == ["1.8.0", "4:0x0048", "3682937", "Wh", "3682.937", "ok", "1.5", "0001", "0002"]
    assert voltage.split() == ["32.7.0", "4:0x0048", "230.1", "V", "ok", "1.5", "0001", "0002"]
    rows = json.loads(json.dumps(report.as_table()))["points"]
    assert [(row["decimal"], row["kwh"]) for row in rows] == [("3682937", "3682.937"), ("230.1", None)]


@settings(max_examples=60, deadline=None)
@given(st.integers(-(10**20), 10**20), st.integers(0, 40), st.integers(0, 12))
def test_decimal_text_is_exact(numerator: int, twos: int, fives: int) -> None:
    value = Fraction(numerator, 2**twos * 5**fives)
    text = exact_text(value)
    assert Fraction(text) == value
    assert "e" not in text


def test_fraction_without_exact_decimal_stays_a_fraction() -> None:
    assert exact_text(Fraction(-2, 3)) == "-2/3"


def test_meter_out_of_reach_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[int] = []

    async def silent(
        self: ModbusLine, unit_id: int, function_code: int, address: int, count: int, **limits: int
    ) -> Sequence[int]:
        asked.append(address)
        raise NoAnswerError(f"{self.config.line}: unit {unit_id}: no answer within 1000 ms")

    monkeypatch.setattr(ModbusLine, "read_words", silent)
    assert main(["edge", "probe", "tcp://127.0.0.1:1", "--unit", "5", "--profile", "eastron_sdm630"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("127.0.0.1:1: unit 5: no answer within 1000 ms; ")
    assert len(asked) == UNANSWERED_MAX
