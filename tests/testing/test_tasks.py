from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
import torch
from maecli_plugins.tasks.classify.one import Accuracy
from maecli_plugins.tasks.classify.task import Classify
from pydantic import Field, PlainSerializer
from torch import nn

from maecli import api
from maecli.testing import Synthetic, check_task, tasks
from maecli.testing.finding import names

pytestmark = pytest.mark.usefixtures("told_costs")


class Nameless(Classify):
    """Classes."""

    name = ""


class OtherVerb(Classify):
    """Classes."""

    verb = "learn"


class ListedFields(Classify):
    """Classes."""

    fields = ["image", "label"]  # noqa: RUF012


class Unknown(Classify):
    """Classes."""

    on_whole_pictures: ClassVar[dict[str, Any]] = {"patch_dropp": 0.0}


class OfBoxes(Classify):
    """Classes."""

    fields = ("image", "boxes")


class Refusing(Classify):
    """Classes."""

    def build(self, encoder):
        raise api.SpecError("task.size 3 does not fit")


class Hidden(Classify):
    """Classes."""

    def build(self, encoder):
        return nn.Sequential(encoder, nn.Linear(16, 3))


class Owning(Classify):
    """Classes."""

    def build(self, encoder):
        self.extra = nn.Linear(3, 3)
        return super().build(encoder)


class Forgetful(Classify):
    """Classes."""

    def frozen_features(self, module, batch):
        return super().frozen_features(module, batch).detach() * 0


class UnknownHead(Classify):
    """Classes."""

    head_options = ("pooling",)


def rows(found):
    """Return a task that says these tensors have a row for each class."""

    class Rows(Classify):
        """Classes."""

        def class_rows(self, module):
            return found

    return Rows


class PerSample(Classify):
    """Classes."""

    def loss(self, module, batch):
        return super().loss(module, batch).expand(len(batch))


class Infinite(Classify):
    """Classes."""

    def loss(self, module, batch):
        return super().loss(module, batch) / 0


class Detached(Classify):
    """Classes."""

    def loss(self, module, batch):
        return super().loss(module, batch).detach()


class Unused(Classify):
    """Classes."""

    def build(self, encoder):
        module = super().build(encoder)
        module.spare = nn.Linear(3, 3)
        return module


class Constant(Classify):
    """Classes."""

    def loss(self, module, batch):
        return sum(parameter.sum() for parameter in module.parameters()) * 0


class Unseeded(Classify):
    """Classes."""

    def loss(self, module, batch):
        return super().loss(module, batch) * np.random.uniform(1, 2)


class OwnCount(Classify):
    """Classes."""

    def loss(self, module, batch):
        images = batch["image"].flatten(1)
        return super().loss(module, batch) * images.abs().sum() / (1 + images.abs().amax(1).sum())


class Touching(Classify):
    """Classes."""

    def loss(self, module, batch):
        return super().loss(module, batch) + 0 * module.head[-1].bias.sum()


class CalledTwice(Classify):
    """Classes."""

    def loss(self, module, batch):
        return (super().loss(module, batch) + super().loss(module, batch)) / 2


class Private(Accuracy):
    def state(self):
        return {}


class NotAdding(Classify):
    """Classes."""

    def evaluator(self, thorough=True):
        return Private(self.card)


class Boasts(Accuracy):
    def difference(self, other):
        return super().difference(other).model_copy(update={"value": 0.99})


class Boasting(Classify):
    """Classes."""

    def evaluator(self, thorough=True):
        return Boasts(self.card)


class Unmonitored(Classify):
    """Classes."""

    def __init__(self, *args):
        super().__init__(*args)
        self.monitor = "iou"


class Alone(Accuracy):
    def metrics(self):
        return [metric.model_copy(update={"baselines": {}}) for metric in super().metrics()]


class NotANumber(Accuracy):
    def metrics(self):
        return [metric.model_copy(update={"value": float("nan")}) for metric in super().metrics()]


class Without(Classify):
    """Classes."""

    def evaluator(self, thorough=True):
        return Alone(self.card)


class Undefined(Classify):
    """Classes."""

    def evaluator(self, thorough=True):
        return NotANumber(self.card)


class NeedsLabels(Classify):
    """Classes."""

    def predict(self, module, batch):
        return super().predict(module, batch)[: len(batch["label"])]


class Short(Classify):
    """Classes."""

    def predict(self, module, batch):
        return super().predict(module, batch)[:-1]


def predicting(row=(), files=()):
    class Changed(Classify):
        """Classes."""

        def predict(self, module, batch):
            made = super().predict(module, batch)
            return [api.Prediction({**each.row, **dict(row)}, dict(files)) for each in made]

    return Changed


def answering(**columns):
    class Changed(Classify):
        """Classes."""

        def __init__(self, *args):
            super().__init__(*args)
            self.answer = api.Answer(**{"column": "class", **columns})

    return Changed


class Ragged(Classify):
    """Classes."""

    def predict(self, module, batch):
        first, *rest = super().predict(module, batch)
        return [api.Prediction({**first.row, "first": 1}), *rest]


class OfBatch(Classify):
    """Classes."""

    def predict(self, module, batch):
        made = super().predict(module, batch)
        return [api.Prediction({**each.row, "share": 1 / len(batch)}) for each in made]


class Remembering(Classify):
    """Classes."""

    def build(self, encoder):
        module = super().build(encoder)
        module.factor = float(torch.rand(()))
        return module

    def predict(self, module, batch):
        return [api.Prediction({**each.row, "factor": module.factor}) for each in super().predict(module, batch)]


class Tied(Classify):
    """Classes."""

    def build(self, encoder):
        module = super().build(encoder)
        module.encoder.blocks[1] = module.encoder.blocks[0]
        return module


class NoPng(Classify):
    """Classes."""

    def draw(self, module, batch):
        return [api.Drawing(name="drawn", caption="What is seen.", png=b"GIF89a")]


class NoCaption(Classify):
    """Classes."""

    def draw(self, module, batch):
        return [picture.model_copy(update={"caption": ""}) for picture in super().draw(module, batch)]


class DrawsLabels(Classify):
    """Classes."""

    def draw(self, module, batch):
        return super().draw(module, batch)[: len(batch["label"])]


class Loud(Classify):
    """Classes."""

    def side_by_side(self, module, batch):
        return api.SideBySide({"given": [np.full((3, 4, 4), 255.0)]}, [np.zeros((3, 4, 4))])


class Rounding(Classify):
    """Classes."""

    class Options(Classify.Options):
        sigma: Annotated[float, PlainSerializer(round)] = Field(default=0.5, description="noise")


class Fragile(Classify):
    """Classes."""

    def loss(self, module, batch):
        raise ZeroDivisionError


class Miscalibrated(Classify):
    """Classes."""

    def calibrate(self, module, train, val):
        return {"temperature": torch.tensor(float("nan"))}


WRONG = [
    (Miscalibrated, "calibration", "calibrate(): 'temperature' is tensor(nan); it is kept beside the weights"),
    (Nameless, "options", 'Nameless has no name; write name = "…" in the class, as the entry point has it'),
    (OtherVerb, "options", "OtherVerb.verb is 'learn'; write one of pretrain, finetune, the verb that trains it"),
    (ListedFields, "options", "ListedFields.fields is ['image', 'label']; write a tuple with \"image\" and what else"),
    (Unknown, "options", "Unknown.on_whole_pictures names patch_dropp, which is none of its options"),
    (UnknownHead, "options", "UnknownHead.head_options names pooling, which is none of its options"),
    (
        rows({"head.weight": "label"}),
        "class_rows",
        "class_rows() names 'head.weight', which is no tensor of the module beside its encoder; it has head.0.weight",
    ),
    (rows({"encoder.norm.bias": "label"}), "class_rows", "class_rows() names 'encoder.norm.bias', which is no tensor"),
    (rows({"head.0.bias": "labels"}), "class_rows", "class_rows() says 'labels' of 'head.0.bias'; say"),
    (rows({"head.0.bias": "mask"}), "class_rows", "class_rows(): 'head.0.bias' has the shape"),
    (
        OfBoxes,
        "build",
        "override dataset(self, tmp_path), or write `mae plugins check task.classify --dataset NAME`",
    ),
    (Rounding, "spec", "the options sigma come back from a spec file as another value, such as 0.0 for 0.5; use types"),
    (
        Refusing,
        "build",
        "classify cannot be built for synthetic with its defaults: task.size 3 does not fit; build a module for any",
    ),
    (Hidden, "build", "the module of classify has no attribute `encoder`; keep the encoder there"),
    (Owning, "build", "the task itself holds extra; put what learns into the module"),
    (
        Fragile,
        "training",
        "and its gradients reach every parameter that learns; this fails: ZeroDivisionError",
    ),
    (PerSample, "training", "the loss of classify is a tensor of shape (6,); return one number"),
    (Infinite, "training", "the loss of classify is inf on the first batch; look for a division by zero"),
    (Detached, "training", "the loss of classify has no gradient; compute it from the module's outputs"),
    (Unused, "training", "no gradient reaches spare.weight, spare.bias of classify; use it in the loss, leave it out"),
    (Constant, "training", "a step changes no parameter of classify: all its gradients are 0"),
    (Unseeded, "repeatable", "take random numbers from batch.draws or from torch's generator"),
    (
        Touching,
        "wrapped",
        "the loss of classify must do with calling its module, which may be wrapped: AttributeError: 'Shell' object",
    ),
    (CalledTwice, "wrapped", "the loss of classify calls its module 2 times; call it once, with all that it needs"),
    (
        NotAdding,
        "adding",
        "top1, macro_f1, cross_entropy of evaluator(thorough=True) is another when the states of two are added than",
    ),
    (Boasting, "comparing", "difference() says 0.99 of two modules whose top1 is"),
    (
        Forgetful,
        "frozen",
        "head.1.weight learns one thing from pictures and another from what frozen_features() returns; return",
    ),
    (
        Unmonitored,
        "evaluation",
        "monitor is 'iou', and evaluator(thorough=True) has top1, macro_f1, cross_entropy; name",
    ),
    (
        Without,
        "evaluation",
        "metric 'top1' of evaluator(thorough=True) stands alone; put beside the headline, as baselines",
    ),
    (Undefined, "evaluation", "metric 'top1' of evaluator(thorough=True) is nan; a metric is a finite number"),
    (NeedsLabels, "prediction", "predict() wants 'label' of the batch; inference has pictures and nothing else"),
    (Short, "prediction", "predict() returns 5 predictions for 6 samples; return a list with one per sample, in order"),
    (predicting({"p": torch.tensor(1.0)}), "prediction", "predict(): 'p' of 'train-0' is Tensor; rows are written as"),
    (predicting({"p": np.float64(1.0)}), "prediction", "predict(): 'p' of 'train-0' is float64; rows are written as"),
    (predicting({"p": float("inf")}), "prediction", "predict(): 'p' of 'train-0' is inf; give a finite number"),
    (predicting({"path": "here"}), "prediction", "has a column 'path', which is where the picture's own path goes"),
    (
        predicting({"truth": "cat"}),
        "prediction",
        "has a column 'truth', which is where what is known of it goes; rename",
    ),
    (
        answering(column="kind"),
        "prediction",
        "answer.column is 'kind', and the row of 'train-0' has None there; name the column in which predict() writes",
    ),
    (answering(margin="class"), "prediction", "answer.margin is 'class', and the row of 'train-0' has '"),
    (
        answering(probability="p"),
        "prediction",
        "answer.probability is 'p', and the row of 'train-0' has None there; name",
    ),
    (answering(unsure="class"), "prediction", "answer.unsure is 'class', and the row of 'train-0' has '"),
    (predicting(files={".png": b"GIF"}), "prediction", "predict(): file '.png' of 'train-0' is no PNG; write one, or"),
    (predicting(files={"mask": b""}), "prediction", "predict(): file 'mask' of 'train-0' is bytes; give bytes under a"),
    (Ragged, "prediction", "predict() gives other columns for 'train-0' than for another sample of the batch"),
    (OfBatch, "alone", "predict(): share of 'train-0' is 0.16666666666666666 in a batch and 1.0 alone; work on each"),
    (Remembering, "saving", "factor of 'train-0' differs after saving and loading; keep all that predictions depend"),
    (Tied, "saving", "the module of classify cannot be saved and loaded: "),
    (NoPng, "drawing", "draw(): picture 'drawn' is no PNG; encode it as one"),
    (NoCaption, "drawing", "draw(): picture 'predictions' has no caption; say in a sentence what it shows"),
    (
        DrawsLabels,
        "drawing",
        "draw() fails on pictures alone, as inference has: KeyError: 'label' (test_tasks.py, line",
    ),
    (DrawsLabels, "drawing", "); draw what the batch has, or return []"),
    (OwnCount, "parted", "so micro-batches and several processes would learn something else; divide by what"),
    (Loud, "drawing", "side_by_side(): a picture of 'given' has the shape (3, 4, 4) and goes from 255 to 255; give (C"),
]


def test_each_check_has_a_task_that_fails_it():
    assert {check for _, check, _ in WRONG} == {*names(tasks.STAGES)} - {"imports"}


@pytest.mark.slow
@pytest.mark.parametrize(("wrong", "check", "sentence"), WRONG)
@pytest.mark.usefixtures("without_charts")
def test_a_wrong_task_fails_that_check_alone_with_a_sentence(wrong, check, sentence):
    problems = {finding.check: finding.problem for finding in check_task(wrong) if finding.problem}
    assert list(problems) == [check]
    assert sentence in problems[check]


@pytest.mark.slow
def test_a_task_is_tried_on_the_authors_own_data():
    findings = check_task(Classify, Synthetic(Synthetic.Options(num_classes=5, channels=1)), {"head": "mlp"})
    assert [finding for finding in findings if finding.problem] == []
