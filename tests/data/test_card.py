from __future__ import annotations

import pytest
from cards import card
from pydantic import ValidationError


def test_channels_and_cells_may_have_names():
    assert card(channels=2, channel_names=("left", "right")).channel_names == ("left", "right")
    assert card(size=(3,), cells=("age", "rooms", "income")).cells == ("age", "rooms", "income")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ({"channels": 2, "channel_names": ("left",)}, "1 channel_names for 2 channels"),
        ({"cells": ("age", "rooms"), "size": (3,)}, r"2 cells for samples of the size \(3,\)"),
        ({"cells": ("age",)}, "1 cells for samples of the size None"),
    ],
)
def test_there_is_a_name_for_each_or_none(names, reason):
    with pytest.raises(ValidationError, match=reason):
        card(**names)
