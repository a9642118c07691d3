"""What one label per sample and several do differently.

Shapes: B batch, Q classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from torch import Tensor

from maecli import api

from ..pooled.boosted_trees import BoostedTrees

if TYPE_CHECKING:
    from .calibration import Calibration


class Labels(ABC):
    """What one label per sample and several do differently. Probabilities are (B, Q), or (Q,) of one sample."""

    monitor: ClassVar[str]
    columns: ClassVar[api.Answer]
    """Those of `answer`."""
    drawn: ClassVar[str]
    """The sentence under drawn predictions."""
    note: ClassVar[str] = ""
    """How the metrics were taken, where that needs saying."""

    def __init__(self, card: api.DataCard, weights: tuple[float, ...] | None = None) -> None:
        """Take what each class (Q,) weighs in the loss; None: all the same."""
        self.card, self.weights = card, weights

    def head(self, embed_dim: int, kind: Literal["linear", "mlp"], norm: api.nets.HeadNorm) -> api.nets.ClassifierHead:
        """Return a new head."""
        return api.nets.ClassifierHead(embed_dim, self.card.num_classes, kind, norm)

    @abstractmethod
    def evaluator(
        self,
        thorough: bool,
        preprocess: api.Preprocess,
        calibration: Calibration | None,
        unsure_share: float,
        trees: BoostedTrees | None = None,
    ) -> api.Evaluator[api.nets.Classifier]:
        """Return a fresh evaluator; `preprocess` draws what it keeps, `trees` stand beside it where there are any."""

    def calibrate(
        self, module: api.nets.Classifier, train: Iterable[api.Batch], val: Iterable[api.Batch]
    ) -> Calibration | None:
        """Return how far a classifier is to be believed; None where that is not learnt."""
        return None

    @abstractmethod
    def target(self, label: Tensor) -> Tensor:
        """Return float targets (B, Q), NaN where nothing is judged."""

    @abstractmethod
    def loss(self, logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """Return the mean loss () of logits and targets (B, Q)."""

    def loss_weight(self, target: Tensor) -> Tensor | None:
        """Return of how many cells of targets (B, Q) that is the mean; None: of samples."""
        return None

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor: ...

    @abstractmethod
    def answer(self, probabilities: np.ndarray) -> dict[str, str | int | float]:
        """Return the predicted class or classes (Q,) of one sample, and how clear that is."""

    @abstractmethod
    def caption(self, probabilities: np.ndarray) -> str:
        """Return classes (Q,) with their probabilities, in few words."""

    @abstractmethod
    def wrong(self, probabilities: np.ndarray, label: np.ndarray) -> list[bool | None]:
        """Return whether each sample's prediction is wrong; None where no label is known, which is -1."""
