from __future__ import annotations

import math

import cards
import numpy as np
import pytest
import torch
from maecli_plugins.tasks.segment.cases import Cases, as_names, as_rows, class_means, dice, split_mean
from maecli_plugins.tasks.segment.task import Segment
from torch import nn

from maecli import api
from maecli.training.evaluator import add_states

SIZE = (8, 8, 4)
CLASSES = ("background", "liver", "spleen", "ghost")


def task(background=0, **options):
    data = cards.card(
        modality="volumes",
        fields=("image", "mask"),
        mean=(0.0,),
        std=(1.0,),
        mask_classes=CLASSES,
        mask_palette=api.pictures.class_palette(4),
        background=background,
        split_sizes={"train": 100},
    )
    preprocess = api.Preprocess.of(data, SIZE, modality=api.modalities.Volumes())
    return Segment(Segment.Options(**options), data, preprocess)


class Says(nn.Module):
    """Is sure of the classes that the volume's values name."""

    def __init__(self):
        super().__init__()
        self.encoder = api.nets.VisionTransformer(SIZE, (4, 4, 4), 1, 12, 2, 2)

    def forward(self, x, valid=None):
        return 20.0 * nn.functional.one_hot(x[:, 0].round().long().clamp(0, 3), 4).movedim(-1, 1).float()


def case(**boxes):
    """Return (1, 8, 8, 4) with each class from one row to another."""
    mask = torch.zeros(1, *SIZE, dtype=torch.uint8)
    for name, (first, last) in boxes.items():
        mask[:, first:last] = CLASSES.index(name)
    return mask


TRUTHS = [case(liver=(0, 4), spleen=(6, 8)), case(liver=(0, 2)), case()]
GUESSES = [case(liver=(0, 2), spleen=(6, 8)), case(liver=(0, 2), spleen=(6, 7)), case()]
# Dice: liver 2/3, 1, left out; spleen 1, 0, left out; ghost left out everywhere


def batch(truth, guess, first=0, **own):
    ids = torch.arange(first, first + len(truth))
    tensors = {"image": guess[:, None].float(), "mask": truth, **own}
    return api.Batch(tensors, api.Draws(0, 0, ids), [f"{i}.nii.gz" for i in ids.tolist()])


@torch.no_grad()
def measured(truths=TRUTHS, guesses=GUESSES, job=None, thorough=True, **own):
    evaluator = (job or task()).evaluator(thorough)
    for i, (truth, guess) in enumerate(zip(truths, guesses, strict=True)):
        evaluator.update(Says(), batch(truth, guess, i, **own))
    return evaluator


def metrics(evaluator):
    return {metric.name: metric for metric in evaluator.metrics()}


def test_dice_is_the_mean_over_cases_and_then_over_classes_without_the_background():
    assert task().monitor == next(iter(metrics(measured()))) == "dice"
    found = metrics(measured())["dice"]
    assert found.value == pytest.approx(((2 / 3 + 1) / 2 + (1 + 0) / 2) / 2)
    assert found.baselines == {"all-background": 0}
    assert found.note == "mean over cases, then over 2 classes"
    assert found.interval[0] < found.value < found.interval[1]


def test_what_is_in_neither_is_left_out_and_what_is_in_one_alone_has_no_distance():
    table = measured().tables()[0]
    assert table.columns[1:] == (*("Dice", "HD95 in mm", "cases in both", "in one", "in neither"),)
    liver, spleen, ghost = table.rows
    assert liver == ("liver", pytest.approx(5 / 6), pytest.approx(1.0), 2, 0, 1)
    assert spleen == ("spleen", 0.5, 0.0, 1, 1, 1)
    assert ghost == ("ghost", "n/a", "n/a", 0, 0, 3)
    assert "left out" in table.title
    assert "Dice 0" in table.title


def test_each_case_has_a_row_the_lowest_mean_first():
    table = measured().tables()[1]
    assert table.title == "Dice of each case, the lowest first"
    assert table.columns == ("case", "mean Dice", "liver", "spleen", "HD95 in mm")
    assert table.rows == (
        ("1.nii.gz", 0.5, 1.0, 0.0, 0.0),
        ("0.nii.gz", pytest.approx(5 / 6), pytest.approx(2 / 3), 1.0, 1.0),
        ("2.nii.gz", "n/a", "n/a", "n/a", "n/a"),
    )


def test_names_of_cases_are_kept_by_their_ends():
    names = ["a/ü.nii.gz", "x" * 300 + "/case.nii.gz", ""]
    short, long, empty = as_names(as_rows(names))
    assert (short, empty) == (names[0], "")
    assert names[1].endswith(long)
    assert len(long) == 120


def test_distances_are_in_mm_of_each_cases_own_voxels():
    spacing = torch.tensor([[2.5, 1.0, 1.0]])
    found = metrics(measured(own_spacing=spacing))["hd95"]
    assert (found.unit, found.better) == ("mm", "lower")
    assert found.value == pytest.approx((2.5 * 2 / 2 + 0) / 2), "of the liver 5 and 0 mm, of the spleen 0 mm"
    unknown = torch.full((1, 3), math.nan)
    assert metrics(measured(own_spacing=unknown))["hd95"].value == pytest.approx(0.5), "voxels of 1 mm"


def test_between_epochs_dice_alone_is_taken():
    found = metrics(measured(thorough=False))
    assert list(found)[:2] == ["dice", "miou"]
    assert found["dice"].value == metrics(measured())["dice"].value
    assert found["dice"].interval is None


def test_without_a_class_in_both_anywhere_there_is_no_distance():
    found = metrics(measured(TRUTHS, [case()] * 3))
    assert "hd95" not in found
    assert found["dice"].value == 0
    assert not found["dice"].beats_baselines
    assert measured(TRUTHS, [case()] * 3).finding() == "mean Dice is 0%: no class is found in any case"
    assert metrics(measured([case()], [case()]))["dice"].value == 0


def test_volumes_are_judged_in_the_voxels_of_their_files():
    image, own = case(liver=(0, 4)), torch.zeros(1, 16, 8, 2, dtype=torch.uint8)
    own[:, :8] = 1
    sample = batch(case(), image, own_mask=own, own_size=torch.tensor([[16, 8, 2]]), own_spacing=torch.ones(1, 3))
    evaluator = task().evaluator()
    with torch.no_grad():
        evaluator.update(Says(), sample)
        (found,) = task().predict(Says(), sample)
    assert metrics(evaluator)["dice"].value == pytest.approx(1, abs=0.07)
    assert int(evaluator.matrix.sum()) == own.numel()
    assert found.mask.shape == found.values[".mask"].shape[1:] == (16, 8, 2)


def test_rows_tell_ml_where_voxels_have_a_size():
    sample = batch(TRUTHS[0], TRUTHS[0], own_spacing=torch.tensor([[10.0, 5.0, 2.0]]))
    with torch.no_grad():
        (found,) = task().predict(Says(), sample)
        (bare,) = task().predict(Says(), batch(TRUTHS[0], TRUTHS[0]))
    per_row = 8 * 4 * 0.1
    assert found.row == {
        "classes": "liver;spleen",
        "ml_liver": pytest.approx(4 * per_row),
        "ml_spleen": pytest.approx(2 * per_row),
        "ml_ghost": 0,
    }
    assert bare.row["share_liver"] == 0.5
    assert found.files[".overlay.png"]().startswith(b"\x89PNG")


def test_two_runs_are_compared_on_resamples_of_the_same_cases():
    truths = [case(liver=(0, 4)), case(liver=(2, 4))] * 5
    right, wrong = measured(truths, truths), measured(truths, truths[::-1])
    difference = right.difference(wrong)
    assert difference.value == pytest.approx(1 - metrics(wrong)["dice"].value)
    assert (difference.num_samples, difference.is_told) == (10, True)
    assert right.difference(right).p_value == 1
    assert measured(truths[:1], truths[:1]).difference(right) is None
    assert measured([case()] * 3, [case()] * 3).difference(measured([case()] * 3, [case()] * 3)) is None


def test_states_add_up_over_parts_of_a_split():
    whole = measured()
    parts = [task().evaluator() for _ in range(2)]
    with torch.no_grad():
        for i in (2, 0, 1):
            parts[i % 2].update(Says(), batch(TRUTHS[i], GUESSES[i], i))
    joined = task().evaluator()
    joined.load_state(add_states(parts[0].state(), parts[1].state()))
    assert joined.metrics() == whole.metrics()
    assert joined.tables() == whole.tables()


def test_the_volumes_of_the_lowest_dice_are_drawn_in_slices():
    evaluator = measured()
    assert isinstance(evaluator, Cases)
    assert [shown.key for shown in evaluator.examples.worst.things] == ["1.nii.gz", "0.nii.gz"]
    assert [drawing.name for drawing in evaluator.drawings()] == ["worst", "dice-per-class", "confusion-matrix"]
    assert evaluator.finding() == "mean Dice is 67%: liver is drawn best (Dice 83%), spleen worst (50%)"


def test_without_a_background_the_baseline_says_the_most_frequent_class():
    found = metrics(measured(job=task(background=None)))["dice"]
    assert list(found.baselines) == ["all background"]
    assert 0 < found.baselines["all background"] < found.value


def test_means_by_hand():
    counts = np.array([[[2, 0], [4, 0], [2, 0]], [[0, 1], [1, 1], [0, 1]]])
    scores = dice(counts)
    np.testing.assert_array_equal(scores, [[2 / 3, np.nan], [0, 1]])
    means = class_means(scores, np.ones(2))
    np.testing.assert_allclose(means, [1 / 3, 1])
    assert split_mean(means) == pytest.approx(2 / 3)
    assert np.isnan(split_mean(np.full(2, np.nan)))
