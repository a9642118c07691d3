from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from maecli.reports.bars import class_bars


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def blue(page):
    """Return how many pixels of each row a bar covers."""
    return (page == (0x00, 0x72, 0xB2)).all(-1).sum(1)


def test_bars_are_as_long_as_their_shares_the_longest_first():
    lengths = blue(pixels(class_bars({"cat": 0.2, "dog": 0.8, "emu": 0.4}, "IoU")))
    runs = [run for run in np.split(lengths, np.flatnonzero(np.diff((lengths > 0).astype(int))) + 1) if run[0]]
    dog, emu, cat = (int(np.median(run)) for run in runs)
    assert dog / cat == pytest.approx(4, rel=0.05)
    assert emu / cat == pytest.approx(2, rel=0.05)


def test_marks_are_drawn_and_explained():
    plain, marked = (pixels(class_bars({"cat": 0.2}, "IoU", marks, "twin")) for marks in ({}, {"cat": 0.7}))
    orange = (0xD5, 0x5E, 0x00)
    assert not (plain == orange).all(-1).any()
    assert (marked == orange).all(-1).any()


def test_more_classes_make_a_taller_chart():
    few, many = (pixels(class_bars({f"class {i}": i / 60 for i in range(n)}, "IoU")) for n in (3, 60))
    assert len(many) > 3 * len(few)


def test_no_class_is_refused():
    with pytest.raises(ValueError, match="a bar chart needs at least one class"):
        class_bars({}, "IoU")
