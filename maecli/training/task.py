"""The interface of a task: all that the trainer, evaluation and inference know of what is learnt.

Pretraining is a task too. A task builds a module around an encoder, gives a loss, measures, predicts and draws; it
holds no parameters itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from maecli import plugin_options
from maecli.data.batch import Batch
from maecli.data.card import DataCard
from maecli.data.facts import Facts
from maecli.errors import SpecError
from maecli.modalities.preprocess import Preprocess
from maecli.models.encoder import Encoder
from maecli.results import Drawing
from maecli.training.evaluator import Evaluator, M
from maecli.training.outputs import Outputs

MOST_COLUMNS = 100
"""Classes that get a column each; of more, the most likely are named."""
NUM_NAMED = 5
UNSURE_SHARE = 0.05
"""Of samples like those of validation, what share may be called unsure unless asked otherwise."""


ClassField = Literal["label", "mask"]
"""The field of a sample whose numbers are classes."""
FileContents = bytes | Callable[[], bytes]
"""What a file holds, or what encodes it, which is called on another thread while the device does the next batch."""


@dataclass(frozen=True)
class Prediction:
    """What inference writes for one sample: a row of plain values, files by suffix (such as `.png`), and arrays."""

    row: dict[str, str | int | float]
    files: Mapping[str, FileContents] = field(default_factory=dict)
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Arrays (C, *S) in units of the data, of integers where these are classes.

    The modality writes each in the form of the sample's own file, such as `.csv`. Its name, such as `.mask` or nothing,
    stands before that suffix.
    """
    mask: NDArray[np.integer[Any]] | None = None
    """The class of each cell (*S), by its number among the card's `mask_classes`, at the sample's own size.

    It is not written: inference counts it, compares it with the true mask where there is one, and shows it.
    """
    filled: NDArray[Any] | None = None
    """The sample (C, *S) as the card has samples, with what is missing in it filled in.

    The modality writes it into a copy of the sample's own file, which is otherwise as it was: one for all its samples.
    """


@dataclass(frozen=True)
class Answer:
    """Which columns of a task's rows say what it answers, and how sure it is; so others can sum up its predictions."""

    column: str
    """The name of a class, or, with `several`, of all that are there, joined by ;."""
    probability: str = ""
    """That of the answer, in [0, 1]; empty where rows have none."""
    margin: str = ""
    """How far the answer lies from another one, in [0, 1], by which samples are ranked; empty where rows have none."""
    several: bool = False
    unsure: str = ""
    """Whether the sample is like none of the classes, true or false; empty where no row says so.

    The column may be missing: where a task has no `calibration` it cannot tell.
    """


@dataclass(frozen=True)
class SideBySide:
    """Pictures of a few samples, each (C, H, W) in [0, 1]: a list has one per sample."""

    given: Mapping[str, Sequence[NDArray[Any]]]
    """What the module does not decide, such as the original and the masked picture, by title."""
    made: Sequence[NDArray[Any]]
    """What the module made of it."""


class Task(ABC, Generic[M]):
    """Base of a task plugin; M is the class of the module that it builds."""

    name: ClassVar[str]
    verb: ClassVar[Literal["pretrain", "finetune"]] = "finetune"
    fields: ClassVar[tuple[str, ...]] = ("image",)
    """What a sample must carry."""
    looks_ahead: ClassVar[bool] = False
    """Whether `target` must be what follows a window, of a card with a `horizon`; else it must not be."""
    monitor: str
    """Name of the metric on validation data that decides which checkpoint is `best`."""
    answer: Answer | None = None
    """Where rows of `predict` say it, for tasks that answer with names of classes."""
    own_size: ClassVar[bool] = False
    """Whether evaluation and inference get each picture (and mask) at its own size, instead of the model's.

    Batches then hold pictures of one size: single ones, unless all of a set are alike.
    """
    on_whole_pictures: ClassVar[Mapping[str, Any]] = {}
    """Options to take where a recipe leaves patches out and the encoder cannot: it is frozen, or convolutional."""
    fills: ClassVar[bool] = False
    """Whether predictions are samples `filled` in, so that inference hands a person's files back."""
    hub_tasks: ClassVar[Mapping[str, str]] = {}
    """What the Hugging Face hub calls this task, by the modality: {"pictures": "image-classification"}."""
    head_options: ClassVar[tuple[str, ...]] = ()
    """Options without which a head of the same shape means something else, such as what it stands on."""
    all_classes: bool = False
    """Whether rows of inference get a column for each class, however many there are; see `class_columns`."""
    class_weights: Mapping[str, float] = {}
    """What each class weighs in the loss, by its name, told before training; empty: all the same. Metrics are not
    weighted."""
    baseline_samples: int = 0
    """How many training samples `fit_baselines` wants to see."""
    calibration: Mapping[str, Tensor] = {}
    """What `calibrate` returned of the weights in use, on the CPU; empty where there is none, as of older runs."""
    unsure_share: float = UNSURE_SHARE
    """The share of samples of known classes that may be called unsure, in [0, 1); at 0 no row says so."""

    Options: ClassVar[type[plugin_options.Options]] = plugin_options.Options

    @classmethod
    def suited(cls, facts: Facts) -> Mapping[str, Any]:
        """Return options that suit data of which these facts are known; a plan takes those that nobody set."""
        return {}

    def __init__(self, options: Any, card: DataCard, preprocess: Preprocess) -> None:
        """Keep what is needed. Raise SpecError or DataError when the data do not suit the task."""
        self.options, self.card, self.preprocess = options, card, preprocess

    @classmethod
    def counted(cls, options: Any) -> ClassField | None:
        """Return the field whose classes must be counted in what is learnt from; None: the task needs no counts.

        The card that `__init__` gets then has `class_counts` of "label", `mask_counts` of "mask", those of the part
        that `data.labels` leaves; a run that goes on has the numbers that it began with.
        """
        return None

    @abstractmethod
    def build(self, encoder: Encoder) -> M:
        """Return the module to train: it holds the encoder as its attribute `encoder`.

        Raises SpecError for options that do not fit the encoder.
        """

    def class_rows(self, module: M) -> Mapping[str, ClassField]:
        """Return the tensors of the module that have a row for each class, their first axis, and of which classes.

        "label" are the card's `classes`, "mask" its `mask_classes`. `--init` from another run of the task keeps the
        rows of the classes that both know by name, with all else that is not the encoder's; none: the head is new.
        """
        return {}

    @abstractmethod
    def loss(self, module: M, batch: Batch) -> Tensor:
        """Return the training loss () of one micro-batch, a mean: of its samples, or as `loss_weight` says.

        It calls `module(...)` once, and takes nothing else of it: what runs may be a wrapper that has no attributes of
        the module, compiled or of several processes. What the loss needs to know of the encoder `build` keeps.
        Nothing in it waits for the device: numbers are not read back, and constants are made once.
        Per-sample randomness comes from `batch.draws`; torch's own generator is seeded for every step.
        """

    def loss_weight(self, batch: Batch) -> Tensor | None:
        """Return of how much the loss of a batch is a mean, () float32: how many cells it judges, for example.

        A batch in parts, of one process or several, has the loss and the gradients of the whole: its parts are summed
        by this. None, of all batches of a data set alike: a mean of samples. Nothing in it waits for the device.
        """
        return None

    def frozen_features(self, module: M, batch: Batch) -> Tensor | None:
        """Return all (B, ...) that the loss and the evaluator need of `image`, made by a frozen encoder.

        Where nothing is augmented they are computed once, in eval mode and without gradients, and batches of training
        and of validation between epochs then hold them as `features`, in place of `image`. None: pictures are needed.
        """
        return None

    @abstractmethod
    def evaluator(self, thorough: bool = True) -> Evaluator[M]:
        """Return a fresh evaluator.

        Validation between epochs is not `thorough`: metrics that cost much and are not the monitored one may be left
        out there.
        """

    def fit_baselines(self, batches: Iterable[Batch]) -> None:
        """Learn from training samples what the trivial predictors need; called once, before `evaluator`."""
        for _ in batches:
            return

    def calibrate(self, module: M, train: Iterable[Batch], val: Iterable[Batch]) -> Mapping[str, Tensor]:
        """Return what tells how far the module's outputs are to be believed; empty where that cannot be told.

        Called once for the weights that a run ends with, in eval mode, without gradients. `val` are samples that were
        not learnt from, `train` evenly spaced ones that were; both are unchanged by augmentation, and are read when
        they are iterated. It is kept beside the weights, and `calibration` holds it in evaluation and inference.
        """
        return {}

    def hold_out(self) -> Evaluator[M] | None:
        """Return a fresh evaluator that hides a part of what samples hold and measures how well it is told.

        Inference measures some of a person's own samples with it before it predicts, and says what came out, of
        metrics that it has. `fit_baselines` has seen others of them before, if there are any. None: samples hold
        nothing that could be hidden.
        """
        return None

    def reliability(self) -> Sequence[str]:
        """Return sentences about how far predictions are to be believed: on what `calibration` rests.

        Without any there is nothing to say; inference then tells so of a task whose answers can be unsure.
        """
        return ()

    @abstractmethod
    def predict(self, module: M, batch: Batch) -> list[Prediction]:
        """Return one prediction per sample of the batch, for inference.

        What is to be said of each class goes through `class_columns`. A sample for which the module returns NaN or
        infinity, or whose row holds them, is left out.
        """

    def class_columns(
        self, names: Sequence[str], values: NDArray[Any], prefix: str, ranked: str
    ) -> dict[str, str | int | float]:
        """Return what a row says of a number (Q,) for each class, rounded to 6 digits.

        Up to 100 classes, or with `all_classes`, a column for each: `prefix` and its name. Of more the 5 highest, in
        order: class_1 and `ranked`_1, class_2 …, so `prefix` must not be the beginning of `ranked`_. 5,000 columns
        would be 150 KB for each picture.
        """
        if len(names) <= MOST_COLUMNS or self.all_classes:
            return {f"{prefix}{name}": round(value, 6) for name, value in zip(names, values.tolist(), strict=True)}
        candidates = np.flatnonzero(values >= np.partition(values, -NUM_NAMED)[-NUM_NAMED])
        order = candidates[np.argsort(-values[candidates], kind="stable")][:NUM_NAMED].tolist()
        columns: dict[str, str | int | float] = {}
        for place, q in enumerate(order, start=1):
            columns |= {f"class_{place}": names[q], f"{ranked}_{place}": round(float(values[q]), 6)}
        return columns

    def export(self, module: M) -> Outputs:
        """Return what a file for other tools computes of model input, as inference answers.

        Raises SpecError where the task, or these options, cannot be written as a graph, saying what cannot.
        """
        raise SpecError(f"task {self.name} has no graph to export; --format safetensors writes its weights")

    def draw(self, module: M, batch: Batch) -> list[Drawing]:
        """Return pictures of what the module does with a few samples."""
        return []

    def side_by_side(self, module: M, batch: Batch) -> SideBySide | None:
        """Return what the module makes of a few samples, to stand beside what other runs make of them.

        Called in eval mode, without gradients. None: there is nothing to see.
        """
        return None

    def describe(self) -> Sequence[str]:
        """Return sentences about how the metrics were taken, for the report."""
        return ()
