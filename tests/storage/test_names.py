from __future__ import annotations

import pytest

from maecli.storage.names import LONGEST_BYTES, file_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("finetune 64 × 3/1%", "finetune-64-3-1pct"),
        (" my  pictures (2026) ", "my-pictures-2026"),
        (".hidden", "hidden"),
        ("..", ""),
        ("a:b*c?", "a-b-c"),
        ("Vögel", "Vögel"),
        ("Vo\u0308gel", "Vögel"),
        ("हिन्दी", "हिन्दी"),
        ("猫", "猫"),
        ("cats \N{CAT FACE}\n\x1b[1m", "cats-1m"),
        ("half\udcff", "half"),
        ("\N{CAT FACE}", ""),
        ("--", ""),
        ("runs", "runs"),
        ("v1.2_final+", "v1.2_final+"),
    ],
)
def test_a_name_keeps_letters_and_digits_and_little_else(text, name):
    assert file_name(text) == name


@pytest.mark.parametrize("letter", ["a", "猫", "\N{GOTHIC LETTER AHSA}"])
def test_long_names_are_cut_and_stay_different(letter):
    first, second = (file_name(letter * 100 + end) for end in "bc")
    assert first != second
    assert first[:20] == letter * 20
    assert len(first) <= 80
    assert len(first.encode()) <= LONGEST_BYTES
