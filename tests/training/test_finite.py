from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from maecli import api
from maecli.data.sample import TensorSplit
from maecli.errors import DataError, Fault
from maecli.loading.resident import ResidentLoader
from maecli.modalities.preprocess import Preprocess
from maecli.parallel.world import World
from maecli.training import finite
from maecli.training.evaluation import IN_ONE, evaluate
from maecli.training.features import blocks, extract
from maecli.training.finite import NOT_FINITE, NotFiniteOutput, OutputWatch, not_finite, try_samples, without

BAD = 9.0
"""What a picture holds for which the modules below answer NaN."""


class Root(nn.Module):
    """Returns the square root of BAD - x, less 1: NaN above BAD."""

    def forward(self, x):
        return (BAD - x).sqrt() - 1


class Hidden(nn.Module):
    """Holds the part that goes wrong where its own output does not show it."""

    def __init__(self, part):
        super().__init__()
        self.parts = nn.ModuleList([part])

    def forward(self, x):
        return self.parts[0](x).argmax(1)


def batch(*values):
    image = torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    draws = api.Draws(0, -1, torch.arange(len(values)))
    return api.Batch({"image": image}, draws, [f"{value:g}" for value in values])


def test_an_output_that_is_no_number_is_seen_though_the_answer_hides_it():
    module = Hidden(Root())
    with OutputWatch(module) as watch:
        assert watch.run(lambda: module(torch.ones(1, 2))).tolist() == [0]
        for bad in (10.0, math.inf, math.nan):
            with pytest.raises(NotFiniteOutput, match=r"^the model's output is not finite"):
                watch.run(lambda bad=bad: module(torch.tensor([[1.0, bad]])))
        assert watch.run(lambda: module(torch.ones(1, 2))).tolist() == [0]
    assert module(torch.full((1, 2), 10.0)).tolist() == [0]
    assert not module.parts[0]._forward_hooks


@pytest.mark.parametrize("wrap", [lambda x: (x, 1), lambda x: {"out": [x]}, lambda x: x.bfloat16()])
def test_outputs_are_looked_at_wherever_they_are_held(wrap):
    class Wrapping(nn.Module):
        def forward(self, x):
            return wrap(x / 0)

    module = Wrapping()
    with OutputWatch(module) as watch, pytest.raises(NotFiniteOutput):
        watch.run(lambda: module(torch.ones(2)))


def test_a_step_that_stumbles_over_no_number_is_no_bug_of_its_own():
    module = Root()
    with OutputWatch(module) as watch:
        with pytest.raises(NotFiniteOutput):
            watch.run(lambda: int(module(torch.tensor(10.0))))
        with pytest.raises(ZeroDivisionError):
            watch.run(lambda: 1 // int(module(torch.tensor(8.0))))


def test_only_a_batch_with_such_a_sample_is_taken_apart():
    module, sizes = Root(), []

    def step(part):
        sizes.append(len(part))
        return module(part["image"])

    with OutputWatch(module) as watch:
        [(whole, _)], faults = try_samples(watch, batch(1, 2, 3), step)
        assert (list(whole.keys), faults, sizes) == (["1", "2", "3"], {}, [3])
        made, faults = try_samples(watch, batch(1, 10, 3), step)
        assert ([list(part.keys) for part, _ in made], faults) == ([["1"], ["3"]], {1: Fault("10", NOT_FINITE)})
        assert sizes == [3, 3, 1, 1, 1]
        assert try_samples(watch, batch(10), step) == ([], {0: Fault("10", NOT_FINITE)})


def test_finite_values_are_finite_however_large():
    rows = torch.tensor([[3e38, 2e38], [-3e38, 3e38], [1.0, math.nan], [math.inf, 1.0], [-math.inf, math.inf]])
    assert not_finite(rows) == [2, 3, 4]
    assert not_finite(rows[:2]) == []


def test_a_batch_without_some_samples_keeps_the_draws_of_the_others():
    whole = batch(1, 2, 3)
    part = without(whole, [1])
    assert (list(part.keys), part["image"][:, 0, 0, 0].tolist()) == (["1", "3"], [1, 3])
    assert torch.equal(part.draws.uniform("mask", 2), whole.draws.uniform("mask", 2)[[0, 2]])
    assert len(without(whole, range(3))) == 0


class Mean(api.Evaluator):
    """The mean of what the module says of each sample."""

    def __init__(self):
        self.said = []

    def update(self, module, batch):
        self.said += module(batch["image"]).mean((1, 2, 3)).tolist()

    def metrics(self):
        return [api.Metric(name="mean", label="mean", value=sum(self.said) / len(self.said))]


class Stranger(api.Task):
    """A task that knows nothing of numbers that are not finite."""

    name, monitor = "stranger", "mean"

    def __init__(self):
        self.drawn = []

    def build(self, encoder):
        raise NotImplementedError

    def loss(self, module, batch):
        raise NotImplementedError

    def evaluator(self, thorough=True):
        return Mean()

    def predict(self, module, batch):
        raise NotImplementedError

    def draw(self, module, batch):
        self.drawn.append(list(batch.keys))
        return []


def loader(values, told):
    image = torch.tensor(values).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    split = TensorSplit({"image": image}, [f"{value:g}" for value in values])
    preprocess = Preprocess((2, 2), 1, (0.0, 1.0), (0.0,), (1.0,))
    return ResidentLoader(split, preprocess, torch.device("cpu"), 0, told.append)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_an_evaluation_leaves_such_samples_out_and_tells_of_each(batch_size):
    told, task = [], Stranger()
    found = evaluate(task, Root(), loader([8.0, 10.0, 5.0, 0.0, 99.0], told), "test", batch_size, torch.float32)
    assert (found.num_samples, found.metrics[0].value) == (3, (0 + 1 + 2) / 3)
    assert told == [Fault("10", NOT_FINITE), Fault("99", NOT_FINITE)]
    assert task.drawn == [["8", "5", "0"]]


def test_a_split_without_such_samples_is_measured_once():
    module, calls = Root(), []
    module.register_forward_hook(lambda *_: calls.append(1))
    assert evaluate(Stranger(), module, loader([8.0, 5.0], []), "test", 1, torch.float32).num_samples == 2
    assert len(calls) == 2


class Two(World):
    """The first of two processes, which see as much."""

    size = 2

    def gathered(self, value, only_first=False):
        return [value, value]


def test_an_evaluator_that_counts_nothing_sees_all_in_the_first_process_which_is_told():
    found = evaluate(Stranger(), Root(), loader([8.0, 5.0, 0.0, 8.0], []), "test", 2, torch.float32, Two())
    assert (found.num_samples, found.metrics[0].value) == (4, 3 / 4)
    assert found.notes[-1] == IN_ONE


class Inverse(Stranger):
    """Measures 1 / x, which is infinite where the module, rightly, says 0."""

    def evaluator(self, thorough=True):
        evaluator = Mean()
        evaluator.update = lambda module, batch: evaluator.said.extend((1 / batch["image"].amax((1, 2, 3))).tolist())
        return evaluator


@pytest.mark.parametrize("batch_size", [1, 64])
def test_a_sample_that_spoils_a_metric_is_left_out_though_its_output_is_finite(batch_size):
    told = []
    found = evaluate(Inverse(), Root(), loader([1.0, 0.0, 2.0], told), "test", batch_size, torch.float32)
    assert (found.num_samples, found.metrics[0].value) == (2, 0.75)
    assert told == [Fault("0", f"{NOT_FINITE}: its mean is inf")]
    found = evaluate(Inverse(), Root(), loader([0.0, 0.0], []), "test", batch_size, torch.float32)
    assert (found.num_samples, found.metrics[0].value) == (2, math.inf)


def test_where_no_sample_is_left_there_is_no_metric():
    told = []
    with pytest.raises(DataError, match="is not finite for any of the 2 samples that can be read, so there is nothing"):
        evaluate(Stranger(), Root(), loader([10.0, 99.0], told), "test", 64, torch.float32)
    assert len(told) == 2


class Encoder(api.nets.VisionTransformer):
    """Answers NaN for a picture of values above BAD."""

    def forward(self, x, ids_keep=None, valid=None):
        return super().forward(x) + Root()(x.amax((1, 2, 3)))[:, None, None] * 0


@pytest.mark.parametrize("tokens", ["mean", "cls", "patches"])
def test_features_that_are_no_numbers_are_left_out(tokens):
    torch.manual_seed(0)
    encoder, told = Encoder((2, 2), (1, 1), 1, 12, 1, 2), []
    found = extract(encoder, loader([1.0, 10.0, 2.0], told), 64, torch.float32, tokens)
    assert (list(found.keys), len(found.values), told) == (["1", "2"], 2, [Fault("10", NOT_FINITE)])
    assert bool(found.values.isfinite().all())
    assert extract(encoder, loader([10.0], []), 64, torch.float32, tokens).values.shape == (0, 12)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_features_keep_their_labels_and_keys_whatever_is_left_out_of_their_batch(batch_size):
    torch.manual_seed(0)
    encoder, told = Encoder((2, 2), (1, 1), 1, 12, 1, 2), []
    samples = loader([1.0, 10.0, 2.0, 3.0, 99.0], told)
    samples.split.tensors["label"] = torch.tensor([1, 10, 2, 3, 99])
    found = extract(encoder, samples, batch_size, torch.float32)
    assert (list(found.keys), found.labels.tolist()) == (["1", "2", "3"], [1, 2, 3])
    assert [fault.path for fault in told] == ["10", "99"]


def test_features_are_read_when_the_next_batch_was_given_to_the_device():
    encoder, events = Encoder((2, 2), (1, 1), 1, 12, 1, 2), []
    encoder.register_forward_hook(lambda *_: events.append("given"))
    for block in blocks(encoder, loader([1.0, 2.0, 3.0], []), 1, torch.float32):
        events.append(block.keys[0])
    assert events == ["given", "given", "1", "given", "2", "3"]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_one_bad_output_is_seen_among_thousands(bad, monkeypatch):
    monkeypatch.setattr(finite, "MOST_EXTREMES", 6)
    module = nn.Identity()
    with OutputWatch(module) as watch:
        for place in (0, 5, 19):
            values = [1.0] * 20
            assert watch.run(lambda values=values: sum(module(torch.tensor([value])) for value in values)) == 20
            values[place] = bad
            with pytest.raises(NotFiniteOutput):
                watch.run(lambda values=values: [module(torch.tensor([value])) for value in values])
