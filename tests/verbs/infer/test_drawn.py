"""The first predictions are drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from write_data import (
    write_picture,
    write_pictures,
)
from written import rows_of

from maecli.data.batch import Batch
from maecli.data.randomness import Draws
from maecli.run.inference.first_pictures import FirstPictures


def red(file):
    """Return the number of pixels in the colour of a wrong prediction's frame."""
    pixels = np.asarray(Image.open(file).convert("RGB")).astype(int)
    return int((np.abs(pixels - (0xB3, 0x26, 0x1E)).max(-1) < 8).sum())


@pytest.mark.slow
def test_the_first_predictions_are_drawn_and_marked_where_they_are_known_to_be_wrong(finetuned, tmp_path, mae):
    for i in range(40):
        write_picture(tmp_path / "in" / f"{i:03d}.png", np.full((8, 8), 6 * i, np.uint8))
    arguments = ("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0, "--overwrite")
    outcome = mae(*arguments, "--batch-size", 16, "--json")
    sheet = tmp_path / "out/predictions.png"
    assert outcome.json["pictures"] == [str(sheet)]
    assert red(sheet) == 0
    record = json.loads((tmp_path / "out/infer.json").read_text())
    assert record["pictures"] == [
        {
            "file": "predictions.png",
            "caption": "Predicted class and probability; predictions that are known to be wrong are marked.",
        }
    ]
    assert (record["task"], record["predicted"], record["skipped"]) == ("classify", 40, 0)
    guesses = {row["path"]: row["class"] for row in rows_of(tmp_path / "out")}
    other = {"cat": "dog", "dog": "cat"}
    for wrong, marked in ((set(), False), ({"039.png"}, False), ({"035.png"}, True)):
        labels = [f"{key},{other[guess] if key in wrong else guess}" for key, guess in guesses.items()]
        (tmp_path / "in/labels.csv").write_text("\n".join(["file,label", *labels]))
        outcome = mae(*arguments)
        assert f"the first of them, drawn: {sheet}" in outcome.stdout
        assert (red(sheet) > 0) == marked  # only the first 36 are drawn


def test_a_labels_file_that_cannot_be_used_is_named(finetuned, tmp_path, mae):
    write_pictures(tmp_path / "in", 1)
    (tmp_path / "in/labels.csv").write_text("picture,kind\n000.png,cat\n")
    outcome = mae("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 0
    assert f"no prediction is marked by labels.csv: {tmp_path / 'in/labels.csv'}, line 1: no column" in outcome.stderr


class Recorder:
    """A task that keeps what it is asked to draw."""

    def __init__(self, own_size):
        self.own_size, self.drawn = own_size, []

    def draw(self, module, batch):
        self.drawn.append(batch)
        return []


def some_pictures(first, num):
    ids = torch.arange(first, first + num)
    images = ids.float().reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()
    return Batch({"image": images}, Draws(0, -1, ids), [f"{i}.png" for i in ids.tolist()])


def test_the_first_36_samples_are_drawn_with_their_own_random_numbers():
    task = Recorder(own_size=False)
    first = FirstPictures(task, None)
    for start in (0, 20, 40):
        first.add(some_pictures(start, 20))
    first.draw(torch.nn.Identity())
    (batch,) = task.drawn
    assert batch["image"][:, 0, 0, 0].tolist() == list(range(36))
    assert batch.draws.ids.tolist() == list(range(36))
    assert list(batch.keys) == [f"{i}.png" for i in range(36)]
    assert "label" not in batch


def test_nothing_is_kept_of_pictures_at_their_own_size():
    task = Recorder(own_size=True)
    first = FirstPictures(task, None)
    first.add(some_pictures(0, 1))
    assert first.draw(torch.nn.Identity()) == []
    assert task.drawn == []
    assert first.tensors == []
