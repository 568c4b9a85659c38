"""The sentence about a market is true and whole whatever the sign of the saving."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore import headline
from gridcore.headline import Headline

AMOUNTS = st.integers(-(10**15), 10**15)


@pytest.mark.parametrize(
    ("pays", "alone", "charge", "said"),
    [
        (95_000, 100_000, 100_000, "12 homes traded 34.6 kWh; 5.0 % cheaper than supplier only"),
        (100_049, 100_000, 100_000, "12 homes traded 34.6 kWh; neither cheaper nor dearer than supplier only"),
        (100_050, 100_000, 100_000, "12 homes traded 34.6 kWh; 0.1 % dearer than supplier only"),
        (100_000, 100_000, 100_000, "12 homes traded 34.6 kWh; neither cheaper nor dearer than supplier only"),
        (123_456, 100_000, 100_000, "12 homes traded 34.6 kWh; 23.5 % dearer than supplier only"),
        # sellers among them: the balance may be small, or below zero, while the share stays one of what is charged
        (-50_000, 10_000, 400_000, "12 homes traded 34.6 kWh; 15.0 % cheaper than supplier only"),
        (-300_000, -400_000, 1_000_000, "12 homes traded 34.6 kWh; 10.0 % dearer than supplier only"),
        # nothing but sellers: there is nothing to be cheaper than
        (-7_500_000_000, -5_000_000_000, 0, "12 homes traded 34.6 kWh; 2.50 CNY better off than with supplier only"),
        (0, -5_000_000_000, 0, "12 homes traded 34.6 kWh; 5.00 CNY worse off than with supplier only"),
        (0, 0, 0, "12 homes traded 34.6 kWh; neither cheaper nor dearer than supplier only"),
    ],
)
def test_the_sentence_says_on_which_side_of_the_supplier_the_homes_are(
    pays: int, alone: int, charge: int, said: str
) -> None:
    assert Headline(12, 34_567, pays, alone, charge).in_english("CNY") == said


def test_one_home_is_not_homes() -> None:
    assert Headline(1, 34_567, 95, 100, 100).in_english("CNY").startswith("1 home traded 34.6 kWh; ")
    assert Headline(1_200, 34_567, 95, 100, 100).in_english("CNY").startswith("1,200 homes traded 34.6 kWh; ")


@given(AMOUNTS, AMOUNTS, st.integers(0, 10**15))
def test_a_share_is_said_where_its_base_is_to_be_said(pays: int, alone: int, charge: int) -> None:
    line = Headline(3, 1_000, pays, alone, charge)
    assert line.has_share == (" % " in line.in_english("CNY"))


def test_before_anything_is_traded_no_share_is_claimed() -> None:
    assert Headline(12, 0, 90, 100, 100).in_english("CNY") == "No trade yet"


@pytest.mark.parametrize(
    ("wh", "said"), [(49, "0.0"), (50, "0.1"), (1_049, "1.0"), (1_050, "1.1"), (1_234_567, "1,234.6")]
)
def test_energy_is_said_in_the_nearest_tenth_of_a_kilowatt_hour(wh: int, said: str) -> None:
    assert Headline(12, wh, 95, 100, 100).in_english("CNY").startswith(f"12 homes traded {said} kWh; ")


@given(AMOUNTS, AMOUNTS, st.integers(0, 10**15))
def test_the_share_is_the_nearest_tenth_of_a_per_cent_and_never_claims_more_than_rounding(
    pays: int, alone: int, charge: int
) -> None:
    share = Headline(1, 1, pays, alone, charge).share_per_mille
    if charge == 0:
        assert share is None
    else:
        assert share is not None
        assert abs(share - Fraction(1000 * abs(alone - pays), charge)) <= Fraction(1, 2)


@given(AMOUNTS, AMOUNTS, st.integers(0, 10**15), st.integers(0, 10**9))
def test_every_sentence_is_one_of_those_that_are_translated_and_is_filled_completely(
    pays: int, alone: int, charge: int, traded_wh: int
) -> None:
    line = Headline(3, traded_wh, pays, alone, charge)
    assert line.sentence in headline.SENTENCES
    assert not re.search(r"%\(|%%|  ", line.in_english("CNY"))
    opposite = Headline(3, traded_wh, 2 * alone - pays, alone, charge).sentence
    pairs = {headline.CHEAPER: headline.DEARER, headline.BETTER: headline.WORSE}
    pairs |= {other: one for one, other in pairs.items()}
    assert opposite == pairs.get(line.sentence, line.sentence)
