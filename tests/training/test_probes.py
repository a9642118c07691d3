from __future__ import annotations

import math

import pytest
import torch

from maecli.training import probes
from maecli.training.probes import choose_linear, fit_linear, nearest_neighbours

POINTS = torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [0.1, 3.0], [-1.0, 0.0]])
LABELS = torch.tensor([0, 0, 1, 1, 2])


def cosine(a, b):
    return (a @ b / (a.norm() * b.norm())).item()


@pytest.mark.parametrize(
    ("asked", "neighbours", "expected"),
    [
        ((5.0, 0.3), 1, 0),
        ((0.2, 1.0), 1, 1),
        ((-3.0, -0.1), 1, 2),
        ((-3.0, -0.1), 3, 2),  # the votes of the others are worth next to nothing
        ((0.6, 0.8), 2, 1),
        ((1.0, 1.0), 20, 0),  # more neighbours than points: all of them; (2, .1) is nearer than (.1, 3)
    ],
)
def test_the_nearest_by_angle_decide(asked, neighbours, expected):
    assert nearest_neighbours(POINTS, LABELS, torch.tensor([asked]), 3, neighbours).tolist() == [expected]


def test_votes_are_weighted_by_similarity_over_temperature():
    asked = torch.tensor([1.0, 0.9])
    for temperature in (0.01, 0.07, 1.0, 100.0):
        votes = [0.0, 0.0, 0.0]
        for point, label in zip(POINTS, LABELS, strict=True):
            votes[label] += math.exp(cosine(asked, point) / temperature)
        expected = max(range(3), key=votes.__getitem__)
        assert nearest_neighbours(POINTS, LABELS, asked[None], 3, 5, temperature).tolist() == [expected]


def test_two_far_votes_outweigh_a_near_one_only_when_it_is_hot():
    train = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, -0.8]])
    labels, asked = torch.tensor([0, 1, 1]), torch.tensor([[1.0, 0.0]])
    assert nearest_neighbours(train, labels, asked, 2, 3, temperature=0.07).tolist() == [0]
    assert nearest_neighbours(train, labels, asked, 2, 3, temperature=10.0).tolist() == [1]


def test_the_length_of_features_says_nothing():
    generator = torch.Generator().manual_seed(0)
    train, asked = torch.randn(50, 8, generator=generator), torch.randn(20, 8, generator=generator)
    labels = torch.arange(50) % 3
    scaled = train * torch.rand(50, 1, generator=generator).add(0.1)
    assert torch.equal(nearest_neighbours(train, labels, asked, 3), nearest_neighbours(scaled, labels, 1000 * asked, 3))


def test_blocks_change_no_vote(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    train, asked = torch.randn(50, 8, generator=generator), torch.randn(20, 8, generator=generator)
    labels = torch.arange(50) % 3
    whole = nearest_neighbours(train, labels, asked, 3)
    monkeypatch.setattr(probes, "BLOCK_CELLS", 150)
    assert torch.equal(nearest_neighbours(train, labels, asked, 3), whole)
    assert nearest_neighbours(train, labels, asked[:0], 3).tolist() == []


def clusters(num: int, spread: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points around three corners, one feature of a large scale and one that never changes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % 3
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    points = corners[labels] + spread * torch.randn(num, 2, generator=generator)
    return torch.cat([points[:, :1], 1000 * points[:, 1:] + 5e4, torch.full((num, 1), 7.0)], dim=1), labels


def test_a_linear_probe_separates_what_can_be_separated():
    train, labels = clusters(60, 0.05)
    probe = fit_linear(train, labels, 3, penalty=1e-4)
    assert probe.accuracy(train, labels) == 1.0
    asked, truth = clusters(300, 0.05, seed=1)
    assert torch.equal(probe.predict(asked), truth)


def test_the_fit_is_where_the_gradient_of_the_penalised_loss_vanishes():
    train, labels = clusters(90, 0.6)
    probe = fit_linear(train, labels, 3, penalty=0.01)
    x = (train.double() - probe.mean) / probe.std
    surplus = (x @ probe.weight.T + probe.bias).softmax(1) - torch.nn.functional.one_hot(labels, 3)
    assert surplus.mean(0).abs().max() < 1e-5
    assert (surplus.T @ x / len(x) + 0.01 * probe.weight).abs().max() < 1e-5
    assert not probe.weight[:, 2].any()  # a feature that never changes has no say


@pytest.mark.slow
def test_it_finds_what_scikit_learn_finds():
    from sklearn.linear_model import LogisticRegression

    train, labels = clusters(90, 0.6)
    mine = fit_linear(train, labels, 3, penalty=0.01)
    x = ((train.double() - mine.mean) / mine.std)[:, :2].numpy()
    theirs = LogisticRegression(C=1 / (0.01 * 90), tol=1e-8, max_iter=1000).fit(x, labels.numpy())
    torch.testing.assert_close(mine.weight[:, :2], torch.from_numpy(theirs.coef_), atol=1e-3, rtol=1e-3)


def test_where_the_search_starts_changes_nothing():
    train, labels = clusters(90, 0.6)
    cold = fit_linear(train, labels, 3, 0.01)
    warm = fit_linear(train, labels, 3, 0.01, fit_linear(train, labels, 3, 1.0))
    torch.testing.assert_close(cold.weight, warm.weight, atol=1e-4, rtol=1e-4)


def test_the_penalty_is_chosen_on_validation_and_the_strongest_of_equal_ones_wins():
    train, labels = clusters(60, 0.05)
    val, val_labels = clusters(60, 0.05, seed=1)
    easy = choose_linear(train, labels, val, val_labels, 3)
    assert easy.accuracy(val, val_labels) == 1.0
    assert easy.penalty == next(
        penalty
        for penalty in (1.0, 0.1, 0.01, 1e-3)
        if fit_linear(train, labels, 3, penalty).accuracy(val, val_labels) == 1.0
    )
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(60, 40, generator=generator)
    train, val = torch.cat([train, noise], 1), torch.cat([val, noise.flip(0)], 1)
    probe = choose_linear(train, labels, val, val_labels, 3, (10.0, 1e-3))
    accuracies = {penalty: fit_linear(train, labels, 3, penalty).accuracy(val, val_labels) for penalty in (10.0, 1e-3)}
    assert probe.penalty == max(accuracies, key=lambda penalty: (accuracies[penalty], penalty))


def test_without_validation_samples_the_penalty_is_fixed():
    train, labels = clusters(60, 0.05)
    assert choose_linear(train, labels, train[:0], labels[:0], 3).penalty == 1e-3


def test_a_class_without_training_samples_is_possible():
    train, labels = clusters(60, 0.05)
    probe = fit_linear(train, labels, 5, 1e-3)
    assert set(probe.predict(train).tolist()) == {0, 1, 2}
    assert nearest_neighbours(train, labels, train, 5).max() <= 2
