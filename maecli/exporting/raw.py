"""Samples as an exported file takes them: raw, preprocessing being inside the file.

Shapes: B batch, C channels, S spatial axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from maecli.data.card import DataCard
from maecli.errors import SpecError
from maecli.modalities.preprocess import Preprocess
from maecli.text import number_of

BYTES = (0.0, 255.0)


@dataclass(frozen=True)
class RawInput:
    """What goes into a file: pictures of 8 bits as uint8, all else as float32 in the units of a person's own files.

    NaN says that nothing is known of a cell.
    """

    preprocess: Preprocess
    """As for a person's own files."""
    channels: int
    dtype: torch.dtype
    size: tuple[int, ...] | None
    """None: samples of any size."""
    is_part: bool = False
    """Whether it is a part of a sample: who runs the file cuts samples, as evaluation and inference do."""

    @classmethod
    def of(cls, preprocess: Preprocess, card: DataCard, own_size: bool = False) -> Self:
        """Return it for a model that sees samples at its own size, or at theirs, or parts of them.

        Raises SpecError for samples that a file cannot bring to the model.
        """
        files, modality = preprocess.for_files(card), preprocess.modality
        is_bytes = card.dtype == "uint8" and files.value_range == BYTES == card.value_range and not files.missing
        dtype = torch.uint8 if is_bytes else torch.float32
        if modality.any_size and (own_size or preprocess.how == "resize"):
            if files.missing:
                raise SpecError(f"{modality.unit} with missing {modality.part}s cannot be resized in a file yet")
            return cls(files, card.channels, dtype, None)
        own, size = card.size or preprocess.img_size, preprocess.img_size
        if preprocess.how == "crop":
            padded = files.missing and all(a <= b for a, b in zip(own, size, strict=True))
            is_part = card.size is None or not (padded or own == size)
            return cls(files, card.channels, dtype, tuple(own if padded else size), is_part)
        if own != size:
            raise SpecError(
                f"{modality.unit} of {card.name} have the size {own}, and the model {size}; a file cannot cut or "
                "resize them as the run does yet"
            )
        return cls(files, card.channels, dtype, tuple(own))

    def describe(self) -> str:
        """Return what goes in, in words."""
        modality = self.preprocess.modality
        sizes = "of any size" if self.size is None else "of " + " × ".join(map(str, self.size))
        sizes = f"in parts {sizes}" if self.is_part else sizes
        values = "uint8, 0 to 255" if self.dtype == torch.uint8 else "float32, in the units of files"
        gaps = ", NaN where nothing is known" if self.preprocess.missing else ""
        axes = ", ".join(modality.axis_names or (modality.part,) * modality.axes)
        channels = number_of(self.channels, "channel")
        return f"{modality.unit} (batch, {channels}, {axes}) {sizes}; {values}{gaps}"

    def from_model(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return raw samples of what a model sees (B, in_chans, *S): the inverse of preprocessing, but for resizing."""
        values = self.preprocess.to_values(self.preprocess.to_pixels(x.float())[:, : self.channels])
        if self.size is not None:
            inside = tuple(map(slice, self.size))
            values, valid = values[:, :, *inside], None if valid is None else valid[:, :, *inside]
        if self.dtype == torch.uint8:
            return values.round().clamp(0, 255).to(torch.uint8)
        return values if valid is None else values.masked_fill(~valid[:, : self.channels], torch.nan)
