"""What a task makes of model input in an exported file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn


class Outputs(nn.Module, ABC):
    """Named answers from model input, by operations that `torch.export` can follow for batches of any size.

    Subclasses set these in `__init__`.
    """

    names: Mapping[str, str]
    """The outputs, in their order, and what each is, in words: shape, unit, range. `mae embed` takes `features`."""
    module_output: str = ""
    """The output that is what the task's module returns, so that a file stands in for it in evaluation and inference.

    Empty where none is: the task then asks a `FileModule` for others by name, or files are not measured.
    """
    can_be_measured: bool = True
    """Whether `mae eval` and `mae infer` can do the task by these outputs alone."""

    temperature: float = 1.0
    """What logits are divided by before they become probabilities."""

    @abstractmethod
    def forward(self, x: Tensor, valid: Tensor | None = None) -> dict[str, Tensor]:
        """Return the outputs of normalised samples x (B, C, *S), of cells that are `valid`; first axis the sample."""
