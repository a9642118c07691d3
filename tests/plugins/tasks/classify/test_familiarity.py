from __future__ import annotations

import pytest
import torch
from maecli_plugins.tasks.classify.familiarity import Familiarity, sample_statistics


def fitted(num, seed=0):
    """Return what is fitted on 200 training samples and `num` of validation, and a function that draws others."""
    torch.manual_seed(seed)

    def draw(count):
        return torch.randn(count, 3), torch.randn(count, 5, dtype=torch.float64)

    return Familiarity.fit(draw(200)[1], *draw(num)), draw


def test_statistics_are_mean_deviation_and_steps_along_each_axis_of_each_channel():
    image = torch.tensor([[[[0.0, 1.0], [0.0, 3.0]], [[5.0, 5.0], [5.0, 5.0]]]])
    found = sample_statistics(image)
    assert found.tolist() == [[1.0, 5.0, pytest.approx(1.5**0.5), 0.0, 1.0, 0.0, 2.0, 0.0]]


@pytest.mark.parametrize(("size", "num"), [((8,), 3), ((1, 8), 3), ((4, 5, 6), 5)])
def test_samples_of_any_axes_have_statistics(size, num):
    assert sample_statistics(torch.randn(2, 3, *size)).shape == (2, 3 * num)


def test_as_few_of_samples_like_those_of_validation_are_unsure_as_is_said():
    costs = []
    for seed in range(150):
        familiarity, draw = fitted(30, seed)
        costs.append(float(familiarity.unsure(*draw(2_000), 0.05).double().mean()))
    mean = sum(costs) / len(costs)
    cost, low, high = familiarity.lost(0.05)
    assert cost == 1 / 31
    assert mean == pytest.approx(cost, abs=0.01)
    assert sum(low <= each <= high for each in costs) / len(costs) > 0.9


def test_a_greater_share_marks_more_and_none_marks_nothing():
    familiarity, draw = fitted(99)
    samples = draw(500)
    marked = [int(familiarity.unsure(*samples, share).sum()) for share in (0.0, 0.05, 0.2, 0.5)]
    assert marked[0] == 0
    assert marked == sorted(set(marked))


def test_below_nineteen_samples_there_is_no_threshold_at_five_percent():
    assert [fitted(num)[0].num_unsure(0.05) for num in (2, 18, 19, 38, 39)] == [0, 0, 1, 1, 2]


def test_logits_that_are_rounded_otherwise_mark_the_same_samples():
    torch.manual_seed(0)
    logits, statistics = torch.randn(60, 3), torch.randn(60, 5, dtype=torch.float64)
    familiarity = Familiarity.fit(torch.randn(200, 5, dtype=torch.float64), logits, statistics)
    marked = familiarity.unsure(logits, statistics, 0.05)
    assert int(marked.sum()) == 2
    for difference in (-1e-6, 1e-6):
        assert torch.equal(familiarity.unsure(logits + difference, statistics, 0.05), marked)


def test_what_looks_like_nothing_in_training_is_unsure_however_certain_the_network():
    familiarity, draw = fitted(30)
    logits, statistics = draw(3)
    assert familiarity.unsure(logits + 3, statistics + 20, 0.05).all()
    assert not familiarity.unsure(logits + 3, torch.zeros_like(statistics), 0.05).any()


def test_what_gives_no_class_a_large_logit_is_unsure():
    familiarity, _ = fitted(30)
    assert familiarity.unsure(torch.full((2, 3), -9.0), torch.zeros(2, 5, dtype=torch.float64), 0.05).all()


def test_statistics_that_never_vary_do_no_harm():
    training = torch.cat([torch.randn(50, 2), torch.ones(50, 1)], dim=1).double()
    familiarity = Familiarity.fit(training, torch.randn(30, 3), training[:30])
    assert familiarity.scores.isfinite().all()
    assert familiarity.precision.isfinite().all()


def test_it_is_kept_as_tensors():
    familiarity, draw = fitted(30)
    kept = Familiarity.of_tensors(familiarity.tensors())
    assert kept is not None
    samples = draw(50)
    assert torch.equal(kept.score(*samples), familiarity.score(*samples))
    assert Familiarity.of_tensors({"temperature": torch.ones(())}) is None
