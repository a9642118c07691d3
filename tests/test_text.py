"""Words of what mae says: numbers of things, and numbers of bytes."""

from __future__ import annotations

import pytest

from maecli.text import bytes_in_words, capitalised, number_of


@pytest.mark.parametrize(
    ("num", "words", "told"),
    [
        pytest.param(0, ("file",), "0 files", id="none"),
        pytest.param(1, ("file",), "1 file", id="one"),
        pytest.param(2000, ("file",), "2,000 files", id="many"),
        pytest.param(1, ("class", "classes"), "1 class", id="one-odd"),
        pytest.param(3, ("class", "classes"), "3 classes", id="many-odd"),
    ],
)
def test_one_thing_is_singular(num, words, told):
    assert number_of(num, *words) == told


@pytest.mark.parametrize(("text", "begins"), [("cat is best", "Cat is best"), ("mIoU is 3", "mIoU is 3"), ("", "")])
def test_a_sentence_begins_with_a_capital_but_for_names(text, begins):
    assert capitalised(text) == begins


@pytest.mark.parametrize(
    ("num", "told"),
    [
        pytest.param(1, "1 byte", id="byte"),
        pytest.param(999, "999 bytes", id="bytes"),
        pytest.param(1000, "1.0 kB", id="kilobytes"),
        pytest.param(999_949, "999.9 kB", id="below-a-megabyte"),
        pytest.param(999_950, "1.0 MB", id="rounded-up-to-a-megabyte"),
        pytest.param(5_371_424_768, "5.4 GB", id="gigabytes"),
        pytest.param(7_000_000_000_000_000, "7,000.0 TB", id="terabytes"),
    ],
)
def test_bytes_are_told_in_units_of_a_thousand(num, told):
    assert bytes_in_words(num) == told
