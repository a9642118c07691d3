from __future__ import annotations

import numpy as np
import pytest
from cards import card

from maecli.outputs.mask_totals import MaskTotals
from maecli.outputs.sentences import Unit, findings, warning
from maecli.outputs.summary import Summary
from maecli.training.task import Answer

PICTURES = Unit("picture", "pictures")


def summed(num, in_training=(), answer=Answer("class"), truth="cat"):  # noqa: B008
    summary = Summary(answer, in_training)
    for i in range(num):
        known = {"truth": truth if i else "dog"} if truth else {}
        summary.add({"path": str(i), "class": "cat", **known})
    return summary


def test_how_many_are_right_stands_beside_the_majority():
    (sentence,) = findings(summed(4), None, PICTURES)
    assert sentence.startswith("right: 3 of the 4 pictures whose truth is known, 75.0% (95% interval: 30.1% to 95.4%)")
    assert sentence.endswith("; always saying 'cat': 75.0%")


def test_masks_stand_beside_all_background():
    palette = {"mask_classes": ("background", "cat"), "mask_palette": ((0, 0, 0), (1, 1, 1)), "background": 0}
    masks = MaskTotals(card(**palette))
    masks.add(np.array([0, 1], np.uint8), np.array([0, 1], np.uint8))
    summary = summed(1, answer=None)
    assert list(findings(summary, masks, PICTURES)) == [
        "mean IoU: 100.0% over the 2 classes that occur in the 1 picture whose mask is known; all background: 25.0%",
        "pixel accuracy: 100.0%; all background: 50.0%",
    ]
    masks.add(np.array([0, 1], np.uint8), np.array([0, 0], np.uint8))
    assert next(findings(summary, masks, PICTURES)).startswith("mean IoU: 58.3% (95% interval: ")


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        pytest.param(summed(3), "", id="none"),
        pytest.param(
            summed(3, {"0", "1", "2"}),
            "3 of these 3 pictures were in training: the accuracy says nothing of new ones",
            id="all",
        ),
        pytest.param(
            summed(3, {"0"}),
            "1 of these 3 pictures was in training: the accuracy says nothing of new ones; of the 2 others 2 are "
            "right, 100.0% (95% interval: 34.2% to 100.0%)",
            id="some",
        ),
        pytest.param(summed(2, {"0"}, truth=""), "1 of these 2 pictures was in training", id="no-truth"),
        pytest.param(
            summed(1, {"0"}), "this one was in training: its answer says nothing of new ones", id="a-single-one"
        ),
    ],
)
def test_what_was_in_training_is_told(summary, words):
    assert warning(summary, None, PICTURES) == words
