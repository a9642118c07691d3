"""Masked autoencoding: predict the hidden patches from the visible ones.

Shapes: B batch, C channels, S spatial axes, N patches, M hidden, P values per patch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from maecli import api

from ..decoder import DecoderOptions
from .evaluator import MaskedErrors
from .exported import FeatureOutputs

NUM_PICTURES = 8
TITLES = ("original", "masked", "prediction", "with visible patches")


LEVELS = {"revin": "mean and deviation", "last": "last value"}
"""What `norm` takes from a window, in words."""
FLAT = 0.25
"""Where more parts of samples than these show nothing, patches are not normalised: there is nothing to divide by."""


class Reconstruct(api.Task[api.nets.MaskedAutoencoder]):
    """Mean squared error on hidden patches. Source: MAE, arXiv:2111.06377."""

    name = "reconstruct"
    hub_tasks: ClassVar[Mapping[str, str]] = {
        "pictures": "image-feature-extraction",
        "volumes": "image-feature-extraction",
    }
    verb = "pretrain"
    monitor = "mse"
    baseline_samples = 4096
    head_options = (*DecoderOptions.model_fields, "norm_pix_loss", "norm")

    class Options(DecoderOptions):
        mask_ratio: float = Field(default=0.75, gt=0, lt=1, description="share of the patches that is hidden")
        mask: api.nets.Mask = Field(
            default="random",
            description="random: any patches; grid: all but a regular grid of them; block: rectangles, best near 0.5",
        )
        norm_pix_loss: bool = Field(
            default=False, description="predict each patch normalised by its own mean and variance"
        )
        norm: api.nets.WindowNorm = Field(
            default="none",
            description="of series, what is taken from each channel of a window before it is masked: revin, its mean, "
            "and divided by its deviation; last, its last value",
        )

    @classmethod
    def suited(cls, facts: api.Facts) -> Mapping[str, Any]:
        return {"norm_pix_loss": len(facts.size) == 2 and facts.flat < FLAT}

    def __init__(self, options: Any, card: api.DataCard, preprocess: api.Preprocess) -> None:
        super().__init__(options, card, preprocess)
        self.mean_picture: Tensor | None = None  # (C, *S) in [0, 1]
        self.patch_size: tuple[int, ...] = ()
        self.per_channel = False
        axes = preprocess.modality.axes
        if options.norm != "none" and axes != 1:
            raise api.SpecError(
                f"task.norm {options.norm} is for windows of series, and {preprocess.modality.name} have {axes} axes; "
                "leave it out, or give --set task.norm_pix_loss=true"
            )

    def build(self, encoder: api.Encoder) -> api.nets.MaskedAutoencoder:
        if not encoder.can_mask:
            raise api.SpecError(
                f"reconstruct hides patches, and this model reads whole {self.preprocess.modality.unit}; pretrain a "
                "vision transformer, such as --model vit-small, or train this model from scratch with mae finetune"
            )
        self.patch_size, self.per_channel = encoder.patch_size, encoder.per_channel
        num_patches = math.prod(encoder.grid)
        kept = api.nets.num_kept(num_patches, self.options.mask_ratio)
        if not 0 < kept < num_patches:
            what = "every patch" if kept == 0 else "no patch"
            raise api.SpecError(
                f"task.mask_ratio {self.options.mask_ratio} hides {what} of {num_patches}; it must hide at least "
                "one and leave at least one, or use smaller patches"
            )
        if self.options.norm_pix_loss and math.prod(encoder.patch_size) * encoder.in_chans == 1:
            raise api.SpecError(
                "task.norm_pix_loss normalises each patch by its own deviation, and patches of one value have none; "
                "give --set task.norm_pix_loss=false, or larger patches"
            )
        if self.options.mask == "grid":
            try:
                api.nets.find_lattice(encoder.grid, self.options.mask_ratio)
            except ValueError as error:
                raise api.SpecError(f"task.{error}") from error
        decoder = self.options.decoder_of(encoder)
        return api.nets.MaskedAutoencoder(encoder, decoder, self.options.norm_pix_loss)

    def prepared(self, batch: api.Batch) -> api.Batch:
        """Return a batch as the encoder reads it, which is what all that takes a batch below this is given.

        Windows are less their level, as `norm` says. For an encoder that reads one channel at a time each channel is a
        sample, with a mask of its own.
        """
        if self.options.norm == "none" and not self.per_channel:
            return batch
        tensors = {name: batch[name] for name in ("image", "valid") if name in batch}
        if self.options.norm != "none":
            image = batch["image"].float()
            level, scale = api.nets.level_and_scale(image, self.options.norm, tensors.get("valid"))
            tensors |= {"image": (image - level) / scale, "level": level, "scale": scale}
        if not self.per_channel:
            return replace(batch, tensors=tensors)
        channels, draws = batch["image"].shape[1], batch.draws
        ids = draws.ids.unsqueeze(1) * channels + torch.arange(channels, device=draws.ids.device)
        return replace(
            batch,
            tensors={name: api.nets.split_channels(tensor) for name, tensor in tensors.items()},
            draws=api.Draws(draws.seed, draws.epoch, ids.flatten()),
            keys=[key for key in batch.keys for _ in range(channels)],
        )

    def together(self, x: Tensor) -> Tensor:
        """Return samples (B, C, *S) of those that an encoder reads."""
        return api.nets.join_channels(x, self.preprocess.in_chans) if self.per_channel else x

    def to_pixels(self, x: Tensor, batch: api.Batch) -> Tensor:
        """Return what an encoder reads of a prepared batch, or says of it, in pixel units."""
        if "level" in batch:
            x = x * batch["scale"] + batch["level"]
        pixels = self.preprocess.to_pixels(self.together(x))
        return api.nets.split_channels(pixels) if self.per_channel else pixels

    def masking(self, batch: api.Batch) -> api.nets.Masking:
        """Draw which patches of each sample are hidden."""
        mask, grid = self.options.mask, self.grid(batch)
        noise = batch.draws.uniform("mask", api.nets.mask_draws(mask, grid))
        valid = batch.tensors.get("valid")
        present = None if valid is None else api.nets.present_patches(valid, self.patch_size)
        return api.nets.make_masking(mask, noise, grid, self.options.mask_ratio, present)

    def judged(self, batch: api.Batch, masking: api.nets.Masking) -> Tensor:
        """Return which cells are judged, (B, N, P) or (B, N, 1) float32: 1 where they are hidden and not missing."""
        hidden, valid = masking.mask.unsqueeze(-1), batch.tensors.get("valid")
        return hidden if valid is None else hidden * api.nets.patchify(valid, self.patch_size)

    def grid(self, batch: api.Batch) -> list[int]:
        """Return how many patches lie along each axis of the batch's pictures."""
        return [size // patch for size, patch in zip(batch["image"].shape[2:], self.patch_size, strict=True)]

    def loss(self, module: api.nets.MaskedAutoencoder, batch: api.Batch) -> Tensor:
        batch = self.prepared(batch)
        loss: Tensor = module(batch["image"], self.masking(batch), batch.tensors.get("valid"))
        return loss

    def loss_weight(self, batch: api.Batch) -> Tensor | None:
        if "valid" not in batch:
            return None
        batch = self.prepared(batch)
        return self.judged(batch, self.masking(batch)).sum()

    def export(self, module: api.nets.MaskedAutoencoder) -> FeatureOutputs:
        return FeatureOutputs(module.encoder)

    def fit_baselines(self, batches: Iterable[api.Batch]) -> None:
        self.mean_picture = self.preprocess.mean_pixels(batches)

    def evaluator(self, thorough: bool = True) -> MaskedErrors:
        return MaskedErrors(self, thorough)

    def reconstruct(
        self, module: api.nets.MaskedAutoencoder, batch: api.Batch
    ) -> tuple[api.nets.Masking, Tensor, Tensor]:
        """Return the masking, true patches and predicted patches (B, N, P), in pixel units, of a prepared batch."""
        masking, valid, patch_size = self.masking(batch), batch.tensors.get("valid"), self.patch_size
        x = api.nets.zero_missing(batch["image"], valid)
        pred = module.reconstruct(x, masking.ids_keep, valid=valid).float()
        if self.options.norm_pix_loss:
            cells = None if valid is None else api.nets.patchify(valid, patch_size)
            pred = api.nets.denormalize_patches(pred, api.nets.patchify(x, patch_size), cells)
        pictures = (x, api.nets.unpatchify(pred, self.grid(batch), patch_size))
        truth, pixels = (api.nets.patchify(self.to_pixels(each, batch), patch_size) for each in pictures)
        return masking, truth, pixels

    def predict(self, module: api.nets.MaskedAutoencoder, batch: api.Batch) -> list[api.Prediction]:
        batch, num = self.prepared(batch), len(batch)
        masking, truth, pred = self.reconstruct(module, batch)
        judged = self.judged(batch, masking).expand_as(truth)
        squares, cells = (each.reshape(num, -1).sum(1) for each in ((pred - truth).square() * judged, judged))
        errors = squares / cells.clamp(min=1)
        rows = [{"masked_mse": error} for error in errors.tolist()]
        if self.preprocess.modality.pictorial:
            drawn = self._quadruplets(batch, masking, truth, pred)
            files = [{".png": partial(api.draw.picture_grid, [each], TITLES, max_px=900)} for each in drawn]
            return [api.Prediction(row, file) for row, file in zip(rows, files, strict=True)]
        values = self._values(batch, masking, truth, pred)
        return [api.Prediction(row, values={"": image}) for row, image in zip(rows, values, strict=True)]

    def _values(self, batch: api.Batch, masking: api.nets.Masking, truth: Tensor, pred: Tensor) -> NDArray[Any]:
        """Return samples (C, *S) in units of the data, predicted where they are hidden; NaN in gaps of what is not."""
        valid, hidden = batch.tensors.get("valid"), masking.mask.unsqueeze(-1) > 0
        if valid is not None:
            truth = truth.masked_fill(~api.nets.patchify(valid, self.patch_size), torch.nan)
        pasted = api.nets.unpatchify(torch.where(hidden, pred, truth), self.grid(batch), self.patch_size)
        return self.preprocess.to_samples(self.together(pasted), self.card)

    def draw(self, module: api.nets.MaskedAutoencoder, batch: api.Batch) -> list[api.Drawing]:
        rows = self._first_quadruplets(module, batch)
        if not rows:
            return []
        how = (
            "Trained with norm_pix_loss: predictions are brought back by each patch's true mean and variance."
            if self.options.norm_pix_loss
            else "Predictions are as the model makes them."
        )
        caption = self.preprocess.modality.keyed(f"Reconstructions with {self.hidden}. {how}", self.card)
        png = api.draw.picture_grid(rows, TITLES)
        return [api.Drawing(name="reconstructions", caption=caption, png=png)]

    def side_by_side(self, module: api.nets.MaskedAutoencoder, batch: api.Batch) -> api.SideBySide | None:
        rows = [] if self.per_channel else self._first_quadruplets(module, batch)
        if not rows:
            return None
        original, masked, _, pasted = zip(*rows, strict=True)
        return api.SideBySide({"original": original, "masked": masked}, pasted)

    @property
    def hidden(self) -> str:
        """Say how many of the patches are hidden, and how they are chosen."""
        return f"{self.options.mask_ratio:.0%} of the patches hidden ({self.options.mask} masks)"

    def _first_quadruplets(self, module: api.nets.MaskedAutoencoder, batch: api.Batch) -> list[list[Any]]:
        """Return those of the first samples, or of the channels of the first ones, where each is read by itself."""
        of_each = self.preprocess.in_chans if self.per_channel else 1
        batch = self.prepared(next(batch.micro_batches(max(1, NUM_PICTURES // of_each))))
        return self._quadruplets(batch, *self.reconstruct(module, batch))[:NUM_PICTURES]

    def _quadruplets(self, batch: api.Batch, masking: api.nets.Masking, truth: Tensor, pred: Tensor) -> list[list[Any]]:
        """Return the pictures (3, H, W) in [0, 1] under `TITLES`, of each sample of a batch that was reconstructed."""
        hidden, valid = masking.mask.unsqueeze(-1) > 0, batch.tensors.get("valid")
        original, prediction, pasted, cover = (
            api.nets.unpatchify(part, self.grid(batch), self.patch_size)
            for part in (truth, pred, torch.where(hidden, pred, truth), hidden.expand_as(truth))
        )
        columns = [
            self.preprocess.draw(original, valid),
            self.preprocess.draw(original, valid, cover[:, 0]),
            self.preprocess.draw(prediction, valid),
            self.preprocess.draw(pasted, valid),
        ]
        return [list(row) for row in zip(*columns, strict=True)]

    def describe(self) -> Sequence[str]:
        how = (
            f"Errors are of {self.preprocess.modality.part}s scaled to [0, 1], on hidden patches only "
            f"({self.options.mask_ratio:.0%}, by {self.options.mask} masks, the same ones in every evaluation)."
        )
        notes = [how]
        if self.options.norm_pix_loss:
            notes.append(
                "Patch means given: the model predicts normalised patches, so each hidden patch's true mean and "
                "variance are used to bring them back; its baseline is given each hidden patch's mean."
            )
        if self.options.norm != "none":
            notes.append(
                f"Levels given: the {LEVELS[self.options.norm]} of each channel of a window, hidden steps among it, is "
                "used to bring predictions back; the baseline of the own level is given it too."
            )
        if self.per_channel:
            notes.append("Each channel of a sample is read by itself, and has a mask of its own.")
        return notes


@api.hookimpl
def mae_tasks() -> list[type[api.Task[Any]]]:
    return [Reconstruct]
