"""Denoising: predict the clean picture from a noisy one.

Shapes: B batch, C channels, S spatial axes, N patches, T prefix tokens, D embed_dim, P values per patch.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from maecli import api

MAE_API_VERSION = 1
NUM_DRAWN = 6
NUM_AVERAGED = 4096
AVERAGE: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
"""Mean of neighbours, by number of spatial axes."""


class Denoiser(nn.Module):
    """An encoder, and a linear layer from each token to what is to be added to its patch.

    The layer starts at zero, so an untrained denoiser gives the noisy picture back.
    Source of predicting the noise rather than the picture: DnCNN, arXiv:1608.03981, section III.
    """

    def __init__(self, encoder: api.Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.embed_dim, math.prod(encoder.patch_size) * encoder.in_chans)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the denoised pictures (B, C, *S) float32 of noisy ones, both normalised, of the encoder's size."""
        tokens = self.encoder(x)[:, self.encoder.num_prefix_tokens :]  # (B, N, D)
        patches = self.head(tokens).float()  # (B, N, P)
        return x + api.nets.unpatchify(patches, self.encoder.grid, self.encoder.patch_size)


class Denoise(api.Task[Denoiser]):
    """Mean squared error against the clean picture; PSNR beside the noisy picture, its blur and the mean picture."""

    name = "denoise"
    monitor = "psnr"
    baseline_samples = NUM_AVERAGED

    class Options(api.Options):
        sigma: float = Field(
            default=0.1, gt=0, le=1, description="standard deviation of the noise, in pixel units of [0, 1]"
        )

    def __init__(self, options: Any, card: api.DataCard, preprocess: api.Preprocess) -> None:
        super().__init__(options, card, preprocess)
        self.mean_picture: Tensor | None = None  # (C, *S) in [0, 1]

    def build(self, encoder: api.Encoder) -> Denoiser:
        covered = tuple(cells * patch for cells, patch in zip(encoder.grid, encoder.patch_size, strict=True))
        if covered != encoder.img_size:
            raise api.SpecError(
                f"denoise predicts whole patches, and those of this model cover {covered} of model.img_size "
                f"{encoder.img_size}; give an img_size that is a multiple of {encoder.patch_size}"
            )
        return Denoiser(encoder)

    def add_noise(self, batch: api.Batch) -> Tensor:
        """Return the batch's pictures (B, C, *S) in pixel units of [0, 1] with noise, which may leave that range."""
        clean = self.preprocess.to_pixels(batch["image"])
        noise = batch.draws.normal("noise", clean[0].numel()).reshape(clean.shape)
        return clean + self.options.sigma * noise

    def denoise(self, module: Denoiser, noisy: Tensor) -> Tensor:
        """Return what the module makes of pictures in pixel units of [0, 1], in these units, not clipped."""
        return self.preprocess.to_pixels(module(self.preprocess.normalize(noisy)))

    def loss(self, module: Denoiser, batch: api.Batch) -> Tensor:
        clean = self.preprocess.to_pixels(batch["image"])
        return F.mse_loss(self.denoise(module, self.add_noise(batch)), clean)

    def fit_baselines(self, batches: Iterable[api.Batch]) -> None:
        self.mean_picture = self.preprocess.mean_pixels(batches)

    def evaluator(self, thorough: bool = True) -> Errors:
        return Errors(self)

    def predict(self, module: Denoiser, batch: api.Batch) -> list[api.Prediction]:
        """Denoise the pictures as they are: nothing is added to them."""
        given = self.preprocess.to_pixels(batch["image"])
        made = self.denoise(module, given).clamp(0, 1)
        removed = (given - made).square().flatten(1).mean(1).sqrt()
        return [
            api.Prediction({"removed_rms": round(rms, 6)}, _file(pixels))
            for rms, pixels in zip(removed.tolist(), made.cpu().numpy(), strict=True)
        ]

    def triplets(self, module: Denoiser, batch: api.Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Return clean, noisy and denoised pictures (B, C, H, W) in [0, 1] of a few samples; None for other data."""
        if batch["image"].ndim != 4:
            return None
        batch = next(batch.micro_batches(NUM_DRAWN))
        noisy = self.add_noise(batch)
        shown = (self.preprocess.to_pixels(batch["image"]), noisy, self.denoise(module, noisy))
        clean, given, made = (pixels.clamp(0, 1).float().cpu().numpy() for pixels in shown)
        return clean, given, made

    def draw(self, module: Denoiser, batch: api.Batch) -> list[api.Drawing]:
        if (pictures := self.triplets(module, batch)) is None:
            return []
        rows = [list(row) for row in zip(*pictures, strict=True)]
        png = api.draw.picture_grid(rows, ["as given", "noise added", "denoised"])
        caption = (
            f"Pictures as given, with noise of standard deviation {self.options.sigma:g} added, and what the model "
            "makes of these."
        )
        return [api.Drawing(name="denoised", caption=caption, png=png)]

    def side_by_side(self, module: Denoiser, batch: api.Batch) -> api.SideBySide | None:
        if (pictures := self.triplets(module, batch)) is None:
            return None
        clean, noisy, made = pictures
        return api.SideBySide({"as given": [*clean], "noise added": [*noisy]}, [*made])

    def describe(self) -> Sequence[str]:
        size = "×".join(map(str, self.preprocess.img_size))
        noise = (
            f"Gaussian noise of standard deviation {self.options.sigma:g} in pixel units of [0, 1], the same in every "
            f"evaluation, is added to pictures of {size}."
        )
        taken = (
            "Predictions, noisy pictures and their blur are clipped to [0, 1]; PSNR is that of the mean squared error "
            "over the whole split."
        )
        return [noise, taken]


class Errors(api.Evaluator[Denoiser]):
    """Squared errors over all pixels, of the model and of its baselines."""

    def __init__(self, task: Denoise) -> None:
        self.task = task

    def update(self, module: Denoiser, batch: api.Batch) -> None:
        clean = self.task.preprocess.to_pixels(batch["image"])
        noisy = self.task.add_noise(batch)
        guesses = {
            "": self.task.denoise(module, noisy),
            "noisy picture": noisy,
            "mean of 3 pixels each way": blur(noisy.clamp(0, 1)),
        }
        if self.task.mean_picture is not None:
            guesses["mean picture"] = self.task.mean_picture.to(clean.device).expand_as(clean)
        errors = {name: (guess.clamp(0, 1) - clean).square() for name, guess in guesses.items()}
        self.add({name: error.sum(dtype=torch.float64) for name, error in errors.items()})
        self.add({"pixels": torch.ones_like(clean).sum(dtype=torch.float64)})

    def metrics(self) -> Sequence[api.Metric]:
        sums = {name: float(total) for name, total in self.state().items()}
        num = sums.pop("pixels")
        mse = {name: total / num for name, total in sums.items()}
        psnr = {name: api.measure.psnr(value) for name, value in mse.items()}
        return [
            _metric("psnr", "PSNR", psnr, unit="dB"),
            _metric("mse", "MSE", mse, unit="squared", better="lower"),
        ]


def blur(pixels: Tensor) -> Tensor:
    """Return each pixel's mean with its neighbours, 3 along each axis, fewer at the border; any (B, C, *S)."""
    return AVERAGE[pixels.ndim - 2](pixels, 3, stride=1, padding=1, count_include_pad=False)


def _metric(name: str, label: str, values: dict[str, float], **kind: Any) -> api.Metric:
    baselines = {baseline: value for baseline, value in values.items() if baseline}
    return api.Metric(name=name, label=label, value=values[""], baselines=baselines, **kind)


def _file(pixels: np.ndarray) -> dict[str, Callable[[], bytes]]:
    """Return what encodes pixels (C, *S) in [0, 1]: as a PNG pictures of 1 or 3 channels, else as an array."""
    if pixels.ndim != 3 or len(pixels) not in (1, 3):
        return {".denoised.npy": partial(_npy, pixels)}
    return {".denoised.png": partial(_png, pixels)}


def _npy(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, pixels.astype(np.float32))
    return buffer.getvalue()


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    levels = np.rint(pixels * 255).astype(np.uint8)
    Image.fromarray(levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0)).save(buffer, "PNG")
    return buffer.getvalue()


@api.hookimpl
def mae_tasks() -> list[type[api.Task[Any]]]:
    return [Denoise]
