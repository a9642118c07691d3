from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from maecli.data.card import DataCard
from maecli.eda import parallel
from maecli.eda.gallery import example_of
from maecli.eda.parallel import Room
from maecli.modalities.pictures.modality import Pictures
from maecli.modalities.pictures.survey import WHOLE_PIXELS


def test_no_more_pixels_are_worked_on_at_once_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(parallel, "MAX_PIXELS_AT_ONCE", 100)
    room, lock = Room(), threading.Lock()
    held, most = 0, 0

    def work(pixels: int) -> None:
        nonlocal held, most
        with room.taken((pixels, 1)):
            with lock:
                held += pixels
                most = max(most, held)
            threading.Event().wait(0.001)
            with lock:
                held -= pixels

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [30, 50, 10, 100, 60] * 10))
    assert most <= 100


def test_a_sample_larger_than_the_room_is_worked_on_alone(monkeypatch):
    monkeypatch.setattr(parallel, "MAX_PIXELS_AT_ONCE", 100)
    room = Room()
    with room.taken((1000, 1000)):
        pass
    with room.taken((10, 10)):
        pass


@pytest.fixture
def digits_card() -> DataCard:
    counts = {"mean": (0.5,), "std": (1.0,), "split_sizes": {}, "split_origin": ""}
    return DataCard(name="x", title="x", fields=("image",), channels=1, size=None, value_range=(0.0, 16.0), **counts)


def test_a_large_picture_is_shown_smaller_with_its_mask(digits_card):
    height, width = 2048, 4096
    image = np.zeros((1, height, width), np.uint8)
    image[:, :, width // 2 :] = 16
    mask = (image[0] > 8).astype(np.uint8)
    example = example_of("x", {"image": image, "mask": mask}, digits_card, Pictures())
    assert height * width > WHOLE_PIXELS
    assert example.image.shape[1:] == example.mask.shape
    assert example.mask.size < 2**21
    np.testing.assert_array_equal(example.image[0] > 0.5, example.mask == 1)
    part = {"image": image[:, :40, :40], "mask": mask[:40, :40]}
    small = example_of("x", part, digits_card, Pictures())
    assert (small.image.shape, small.mask.shape) == ((3, 40, 40), (40, 40))
