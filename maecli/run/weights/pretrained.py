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
from maecli.data.sample import Sample
from maecli.errors import BrokenSample, DataError, SpecError
from maecli.modalities.preprocess import Preprocess
from maecli.models.encoder import Encoder
from maecli.models.heads import Pool, pool_tokens
from maecli.registry import registry
from maecli.run.restore import restore_encoder
from maecli.training.finite import TOO_LARGE, not_finite

Given = str | PathLike[str] | Image.Image | np.ndarray
"""A path, an opened picture, or an array: (H, W) or (H, W, C) of a picture, (C, *S) or (*S) of other samples."""


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
        self.preprocessing = preprocessing.for_files(card)
        self.embed_dim = encoder.embed_dim

    def preprocess(self, samples: Given | Sequence[Given]) -> Tensor:
        """Return a batch (B, C, *S) float32 of one sample or several, where the encoder is; NaN is a missing cell.

        As `mae infer` sees files: pictures upright, brought to the channels that the run was trained on, the largest
        centred part of the model's proportions, antialiased, normalised. Raises DataError for what cannot be read or
        converted, or holds values so large that normalised they are infinite. Features of extreme values may be NaN:
        nothing waits for the device to look at them.
        """
        several = list(samples) if isinstance(samples, (list, tuple)) else [cast(Given, samples)]
        if not several:
            raise DataError("there is nothing to preprocess")
        fitted = [self.preprocessing.fit(self._sample(each)) for each in several]
        device = next(self.encoder.parameters()).device
        batch = {name: torch.stack([one[name] for one in fitted]).to(device) for name in fitted[0]}
        if "valid" in batch:
            batch = self.preprocessing.where_valid(batch)
        x = self.preprocessing.normalize(self.preprocessing.pixels(batch["image"]), batch.get("valid"))
        for sample in (several[i] for i in not_finite(x)):
            name = fspath(sample) if isinstance(sample, (str, PathLike)) else "a sample"
            raise DataError(f"{name} {TOO_LARGE}")
        return torch.where(batch["valid"], x, torch.nan) if "valid" in batch else x

    def _sample(self, given: Given) -> Sample:
        """Return a sample, its image (C, *S) with the channels and dtype of the run's data."""
        modality = self.preprocessing.modality
        try:
            if isinstance(given, (Image.Image, np.ndarray)):
                return {"image": modality.convert(given, self.card)}
            return modality.read_sample(Path(fspath(given)), self.card)
        except BrokenSample as error:
            raise DataError(str(error)) from error

    def tokens(self, x: Tensor) -> Tensor:
        """Return the normalised tokens (B, T + N, D) of x (B, C, *S), the class token first if there is one."""
        x, valid = self._cells(x)
        tokens: Tensor = self.encoder(x, valid=valid)
        return tokens

    def forward(self, x: Tensor) -> Tensor:
        """Return one vector (B, D) per sample: the mean of its patch tokens, or its class token, as `pool` says."""
        present = self.encoder.present(self._cells(x)[1])
        return pool_tokens(self.tokens(x), self.encoder.num_prefix_tokens, self.pool, present)

    def _cells(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return x with 0 for NaN and, where the data can lack cells, which of them exist (B, C, *S)."""
        if not self.preprocessing.missing:
            return x, None
        valid = ~x.isnan()
        return torch.where(valid, x, 0.0), valid


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
