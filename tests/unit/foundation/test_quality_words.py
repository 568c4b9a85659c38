"""A quality byte in words."""

from __future__ import annotations

from gridcore.quality import quality_words


def test_a_quality_byte_has_one_word_and_the_flags_that_are_set() -> None:
    assert quality_words(0xFF) == ("missing", ())
    assert quality_words(0) == ("measured", ())
    assert quality_words(0x31) == ("estimated", ("late", "interpolated"))
    assert quality_words(0xC3) == ("suspect", ("frozen", "rollover"))
    assert quality_words(0x18) == ("measured", ("late", "stuck"))
    assert quality_words(0x32) == ("substituted", ("late",))
