"""The encoder of a run for a person's own PyTorch code: `maecli.load_encoder`.

Shapes: B batch, C channels, H, W the model's own size, T prefix tokens, N patches, D embed_dim.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from maecli.data.card import DataCard
from maecli.data.preprocess import Preprocess
from maecli.errors import BrokenSample, DataError, SpecError
from maecli.modalities.pictures.fit import crop_and_resize
from maecli.modalities.pictures.read import picture_array, read_picture
from maecli.modalities.pictures.source import file_range
from maecli.models.encoder import Encoder
from maecli.models.heads import Pool, pool_tokens
from maecli.registry import registry
from maecli.run.restore import restore_encoder
from maecli.training.finite import TOO_LARGE, not_finite

Picture = str | PathLike[str] | Image.Image | np.ndarray
"""A path, an opened picture, or an array (H, W) or (H, W, C)."""


class PretrainedEncoder(nn.Module):
    """A run's encoder, and the preprocessing that it was trained with.

        encoder = maecli.load_encoder("runs/pretrain-mnist")
        x = encoder.preprocess(["one.png", "two.png"])  # (B, C, H, W)
        features = encoder(x)  # (B, D)

    An ordinary module: `encoder.to(device)`, and `encoder.train()` to train it on; it comes in evaluation mode, every
    parameter as trainable as the run had it.
    """

    def __init__(self, encoder: Encoder, preprocessing: Preprocess, card: DataCard, pool: Pool) -> None:
        super().__init__()
        if pool not in ("mean", "cls") or (pool == "cls" and encoder.num_prefix_tokens == 0):
            raise SpecError(f"pool {pool!r} must be mean, or cls where the encoder has a class token")
        self.encoder, self.card, self.pool = encoder, card, pool
        self.preprocessing = file_range(preprocessing, card)
        self.embed_dim = encoder.embed_dim

    def preprocess(self, pictures: Picture | Sequence[Picture]) -> Tensor:
        """Return a batch (B, C, H, W) float32 of one picture or several, where the encoder is.

        As `mae infer` sees files: upright, brought to the channels that the run was trained on, the largest centred
        part of the model's proportions, antialiased, normalised. Raises DataError for what cannot be read or
        converted, or holds values so large that normalised they are infinite. Features of extreme values may be NaN:
        nothing waits for the device to look at them.
        """
        several = list(pictures) if isinstance(pictures, (list, tuple)) else [cast(Picture, pictures)]
        size = self.preprocessing.img_size
        if len(size) != 2:
            raise SpecError(f"preprocess takes pictures; this encoder was trained on data of {len(size)} axes")
        if not several:
            raise DataError("there is no picture to preprocess")
        raw = torch.stack([crop_and_resize(self._read(each), size) for each in several])
        device = next(self.encoder.parameters()).device
        batch = self.preprocessing.normalize(self.preprocessing.pixels(raw.to(device)))
        for picture in (several[i] for i in not_finite(batch)):
            name = fspath(picture) if isinstance(picture, (str, PathLike)) else "a picture"
            raise DataError(f"{name} {TOO_LARGE}")
        return batch

    def _read(self, picture: Picture) -> np.ndarray:
        """Return a picture (C, h, w) with the channels and dtype of the run's data."""
        dtype = self.card.dtype if self.card.dtype in ("uint8", "uint16") else None
        try:
            if isinstance(picture, (Image.Image, np.ndarray)):
                return picture_array(picture, channels=self.card.channels, dtype=dtype)
            return read_picture(Path(fspath(picture)), channels=self.card.channels, dtype=dtype)
        except BrokenSample as error:
            raise DataError(str(error)) from error

    def tokens(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the normalised tokens (B, T + N, D) of x (B, C, H, W), the class token first if there is one.

        Cells that are not `valid` (B, C, H, W) have no say.
        """
        tokens: Tensor = self.encoder(x, valid=valid)
        return tokens

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return one vector (B, D) per picture: the mean of its patch tokens, or its class token, as `pool` says."""
        tokens, present = self.tokens(x, valid), self.encoder.present(valid)
        return pool_tokens(tokens, self.encoder.num_prefix_tokens, self.pool, present)


def load_encoder(
    run: str | PathLike[str], *, checkpoint: str = "last", pool: Pool | None = None, device: str = "cpu"
) -> PretrainedEncoder:
    """Return the encoder of a run or checkpoint, in evaluation mode; decoder and head are left behind.

    `checkpoint` is last or best. `pool` is mean or cls; by default as the run's task pools, else mean. `device` is
    auto, cpu, mps, cuda or cuda:N. Raises SpecError when there is no such run, MaeError when it cannot be read,
    PluginError naming the package to install when a plugin that it needs is missing; warns where its version changed.
    """
    restored = restore_encoder(Path(fspath(run)), registry(), warnings.warn, checkpoint, {"device": device})
    default = restored.spec.task.options.get("pool", "mean")
    pretrained = PretrainedEncoder(restored.encoder, restored.preprocess, restored.card, pool or default)
    return pretrained.eval()
