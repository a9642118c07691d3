from __future__ import annotations

import numpy as np
import pytest

from maecli.outputs.chosen import MASK_SIDE, NUM_MISTAKES, NUM_OF_CLASS, NUM_UNCERTAIN, Choice
from maecli.training.task import Answer, Prediction

ONE = Answer("class", probability="probability", margin="margin")


def predicted(name, probability, truth=None, **more):
    row = {"class": name, "probability": probability, "margin": 2 * probability - 1, **more, "p_cat": 0.5}
    return Prediction(row if truth is None else row | {"truth": truth})


def test_mistakes_are_those_whose_truth_is_another_the_most_certain_first():
    choice = Choice(ONE)
    for i in range(100):
        choice.add(i, f"{i:03d}.png", predicted("cat", 0.5 + i / 200, "cat" if i % 2 else "dog"))
    choice.add(100, "unknown.png", predicted("dog", 0.99, unsure=False))
    assert [each.key for each in choice.mistakes.things][:2] == ["098.png", "096.png"]
    assert (len(choice.mistakes.things), choice.mistakes.num) == (NUM_MISTAKES, 50)
    assert [each.key for each in choice.uncertain.things][:2] == ["000.png", "001.png"]
    assert len(choice.uncertain.things) == NUM_UNCERTAIN
    assert {name: len(least.things) for name, least in choice.by_class.items()} == {"cat": NUM_OF_CLASS, "dog": 1}
    assert "p_cat" not in choice.mistakes.things[0].row, "columns of classes are not held"


def test_samples_of_a_class_do_not_depend_on_the_order():
    shown = []
    for order in (range(50), reversed(range(50))):
        choice = Choice(ONE)
        for i in order:
            choice.add(i, f"{i}.png", predicted("cat", 0.9))
        shown.append([each.key for each in choice.by_class["cat"].things])
    assert shown[0] == shown[1]


def test_of_several_classes_a_sample_is_one_of_each():
    choice = Choice(Answer("classes", margin="margin", several=True))
    choice.add(0, "a.png", Prediction({"classes": "cat;dog", "margin": 0.5}))
    assert set(choice.by_class) == {"cat", "dog"}


def test_masks_that_agree_least_come_first_and_of_large_ones_some_cells_are_kept():
    choice = Choice(Answer("classes", several=True))
    for i, iou in enumerate((0.9, 0.1)):
        choice.add(i, f"{i}.png", Prediction({"classes": "cat", "iou": iou}, mask=np.zeros((4, 6), np.uint8)))
    large = np.zeros((4 * MASK_SIDE, 100), np.uint8)
    choice.add(2, "2.png", Prediction({"classes": ""}, mask=large))
    assert [each.key for each in choice.disagreements.things] == ["1.png", "0.png"]
    (other,) = choice.masks.things
    assert max(other.mask.shape) <= 2 * MASK_SIDE
    assert other.mask.base is None, "the whole mask is not held"


@pytest.mark.parametrize("mask", [np.zeros((2, 4, 6), np.uint8), np.zeros(5, np.uint8)], ids=["volume", "series"])
def test_masks_that_lie_on_no_picture_are_not_kept(mask):
    choice = Choice(None, pictorial=False)
    choice.add(0, "a", Prediction({"iou": 0.5}, mask=mask))
    assert choice.disagreements.things[0].mask is None


@pytest.mark.parametrize("contents", [b"png", lambda: b"png"])
def test_how_a_prediction_was_drawn_is_kept_where_its_sample_is_no_picture(contents):
    mask, files = np.zeros((2, 4, 6), np.uint8), {".overlay.png": contents}
    for pictorial in (False, True):
        choice = Choice(None, pictorial)
        choice.add(0, "a", Prediction({"iou": 0.5}, files, mask=mask if not pictorial else mask[0]))
        assert choice.disagreements.things[0].drawing == (None if pictorial else b"png")
