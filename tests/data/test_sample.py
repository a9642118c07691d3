"""Parts of splits."""

from __future__ import annotations

import numpy as np
from toy_dataset import shapes

from maecli.data.sample import Split
from maecli.data.views.keys import Keys


class Numbered(Split):
    """Samples whose image is their position, with keys in little memory."""

    def __init__(self, num: int) -> None:
        self._keys = Keys.of(map(str, range(num)))

    @property
    def keys(self) -> Keys:
        return self._keys

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {"image": np.full((1, 2, 2), index)}


def test_a_view_of_one_split_takes_positions_alone():
    view = Numbered(10).view([7, 2, 2])
    assert list(view.keys) == ["7", "2", "2"]
    assert isinstance(view.keys, Keys)
    assert [int(view[i]["image"][0, 0, 0]) for i in range(3)] == [7, 2, 2]
    assert list(view.view([1]).keys) == ["2"]
    assert view.size(0) == (2, 2)
    assert list(view.notes()) == []


def test_a_view_of_tensors_stays_in_memory():
    split = shapes(8).split("train")
    assert list(split.view([1, 0]).keys) == [split.keys[1], split.keys[0]]
