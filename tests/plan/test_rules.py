"""What suits which data: the rules hold from 13 samples to a million, and from 8 × 8 pixels to 6,000 × 4,000."""

import itertools
import math

import pytest

from maecli.data.facts import Facts
from maecli.plan import rules

NUMBERS = (1, 2, 11, 13, 40, 240, 5_000, 60_000, 1_000_000)
SIZES = ((8, 8), (28, 28), (64, 84), (375, 500), (4000, 6000), (20, 2000), (3, 1))
DEVICES = ("cpu", "cuda", "mps")
VERBS = ("pretrain", "finetune")


@pytest.mark.parametrize(("num", "device"), list(itertools.product(NUMBERS, DEVICES)))
def test_a_batch_is_no_larger_than_the_data_and_leaves_several_in_an_epoch(num, device):
    batch = rules.batch_size(num, device)
    assert 1 <= batch <= num
    assert batch == 2 ** round(math.log2(batch))
    assert batch <= 8 or num // batch >= 8
    assert batch >= min(num, 8) // 2


def test_small_samples_come_in_larger_batches_on_a_cpu_alone():
    assert rules.batch_size(60_000, "cpu") < rules.batch_size(60_000, "cpu", 128) == 128
    assert rules.batch_size(60_000, "cuda", 128) == rules.batch_size(60_000, "cuda")
    assert rules.batch_size(100, "cpu", 128) == 8


@pytest.mark.parametrize(("size", "device", "dense"), list(itertools.product(SIZES, DEVICES, (False, True))))
def test_patches_divide_the_size_that_a_model_is_given(size, device, dense):
    given = rules.picture_size(size, device, dense)
    patch = rules.patch_size(given, device)
    assert all(length % patch == 0 for length in given)
    assert 1 <= math.prod(length // patch for length in given) <= 20**2
    assert all(mine <= max(theirs, patch) for mine, theirs in zip(given, size, strict=True))


def test_the_least_and_the_usual_sizes():
    assert rules.picture_size((8, 8), "cpu", dense=False) == (8, 8)
    assert rules.picture_size((28, 28), "cpu", dense=False) == (28, 28)
    assert rules.patch_size((28, 28), "cpu") == 4
    assert rules.picture_size((375, 500), "cpu", dense=False) == (64, 64)
    assert rules.picture_size((375, 500), "cuda", dense=False) == (224, 224)
    assert rules.patch_size((224, 224), "cuda") == 16


def test_samples_that_are_far_from_square_keep_their_proportions():
    height, width = rules.picture_size((100, 800), "cpu", dense=False)
    assert 6 <= width / height <= 10
    assert height * width <= 1.3 * 64**2


def test_a_patch_that_is_said_divides_the_planned_size():
    assert rules.picture_size((28, 28), "cpu", dense=False, patch=(16, 16)) == (16, 16)
    assert rules.picture_size((8, 8), "cpu", dense=False, patch=(16, 16)) == (16, 16)


@pytest.mark.parametrize(("batch", "width"), list(itertools.product((2, 16, 256, 1024), (64, 128, 768))))
def test_a_smaller_batch_learns_by_larger_steps_per_sample(batch, width):
    rate = rules.base_rate(batch, width) * batch / 256
    half = rules.base_rate(batch // 2, width) * (batch // 2) / 256
    assert half / rate == pytest.approx(math.sqrt(0.5), rel=0.1)
    assert rules.base_rate(batch, 2 * width) == pytest.approx(rules.base_rate(batch, width) / 2, rel=0.1)


@pytest.mark.parametrize(
    ("verb", "num", "step_s", "seconds"),
    list(itertools.product(VERBS, NUMBERS, (1e-4, 0.05, 30.0), (5.0, 100.0, 86400.0))),
)
def test_a_schedule_uses_the_time_or_says_why_not(verb, num, step_s, seconds):
    batch = rules.batch_size(num, "cpu")
    per_epoch = num // batch
    schedule = rules.schedule(verb, batch, per_epoch, step_s, seconds)
    settings = schedule.settings(validations=20)
    assert settings["train.epochs"] == schedule.epochs >= 1
    assert settings["train.warmup_epochs"] * per_epoch <= 0.3 * max(schedule.steps, 4)
    assert (settings["train.max_steps"] or schedule.epochs * per_epoch) == schedule.steps
    assert settings["eval_every_epochs"] > 0
    assert settings["checkpoint.every_epochs"] > 0
    if schedule.steps > rules.FEWEST_STEPS:
        assert schedule.steps * step_s <= seconds * 1.0001
    if schedule.steps * step_s < 0.5 * seconds:
        assert schedule.epochs >= rules.MOST_EPOCHS[verb] or schedule.steps >= rules.ENOUGH_STEPS


@pytest.mark.parametrize("steps", [1, 10, 900, 10**7])
def test_the_average_remembers_a_small_part_of_the_run(steps):
    assert 0.9 <= rules.average_decay(steps) < 1


def test_samples_are_mirrored_only_where_that_makes_samples():
    facts = Facts(100, 10, (32, 32), 3, 2, mirrors=True)
    known = frozenset({"crop", "crop_scale", "flip", "rotate", "color"})
    assert rules.augmentation("finetune", facts, known, dense=False, size=(32, 32))["augment.flip"]
    digits = Facts(100, 10, (32, 32), 1, 2, mirrors=False)
    changes = rules.augmentation("finetune", digits, known, dense=False, size=(32, 32))
    assert not {"augment.flip", "augment.crop"} & changes.keys()
    assert changes["augment.rotate"] > 0


def test_what_a_kind_of_samples_does_not_know_is_not_changed():
    assert rules.augmentation("pretrain", Facts(9, 1, (5,), 1), frozenset(), dense=False, size=(5,)) == {}
