"""What is known of samples before training: how many there are and what they are like, which a plan goes by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """What a plan knows of the data that a task learns from; S spatial axes."""

    num_train: int
    """Samples that are learnt from."""
    num_val: int
    size: tuple[int, ...]
    """The usual size (S,) of a sample: the median along each axis."""
    channels: int
    num_classes: int = 0
    """Classes of labels or masks that the task learns; 0 where it needs none."""
    mirrors: bool = False
    """Whether a mirror image, left to right, is as good a sample as the original, as far as samples tell."""
    flat: float = 0.0
    """Share of the parts of samples in which nothing varies, as far as samples were looked at."""
    unit: str = "samples"
    """What samples are called when they are counted, as `Modality.unit`."""
    num_test: int = 0

    def __post_init__(self) -> None:
        if self.num_train < 1 or min(self.size, default=1) < 1:
            raise ValueError(f"{self.num_train} samples of size {self.size} are nothing to plan for")
