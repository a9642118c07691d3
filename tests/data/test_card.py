from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from maecli.data.card import DataCard


def card(**facts: Any) -> DataCard:
    basics = {"name": "toy", "title": "toy", "fields": ("image",), "channels": 2, "size": (3,), "mean": (0.0,) * 2}
    return DataCard(**{**basics, "std": (1.0,) * 2, "split_sizes": {"train": 1}, "split_origin": "all", **facts})


def test_channels_and_cells_may_have_names():
    assert card(channel_names=("left", "right")).channel_names == ("left", "right")
    assert card(cells=("age", "rooms", "income")).cells == ("age", "rooms", "income")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ({"channel_names": ("left",)}, "1 channel_names for 2 channels"),
        ({"cells": ("age", "rooms")}, r"2 cells for samples of the size \(3,\)"),
        ({"cells": ("age",), "size": None}, "1 cells for samples of the size None"),
    ],
)
def test_there_is_a_name_for_each_or_none(names, reason):
    with pytest.raises(ValidationError, match=reason):
        card(**names)
