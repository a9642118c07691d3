"""Errors on what is hidden, beside those of trivial predictors.

Shapes: B batch, N patches, P values per patch, H, W of the patch grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from maecli import api

from .masks import drawn_masks, mask_strip
from .ssim import ssim_map

if TYPE_CHECKING:
    from .task import Reconstruct

NUM_MASKS = 5


class FirstMasks:
    """The masks of the first few samples of the split, in whatever order they come."""

    def __init__(self) -> None:
        self.ids: Tensor | None = None  # (n,)
        self.masks: Tensor | None = None  # (n, H, W)

    def add(self, ids: Tensor, masks: Tensor) -> None:
        """Add the masks (B, H, W) of samples at the positions `ids` (B,)."""
        if self.ids is not None and self.masks is not None:
            ids, masks = torch.cat([self.ids, ids]), torch.cat([self.masks, masks])
        first = ids.argsort()[:NUM_MASKS]
        self.ids, self.masks = ids[first], masks[first]


class MaskedErrors(api.Evaluator[api.nets.MaskedAutoencoder]):
    """Error sums over hidden cells, of the model and of its baselines; SSIM and masks where it is thorough."""

    def __init__(self, task: Reconstruct, thorough: bool = True) -> None:
        self.task, self.thorough = task, thorough
        self.first = FirstMasks()

    def _baselines(self, truth: Tensor, batch: api.Batch) -> dict[str, Tensor]:
        """Return the patches (B, N, P) of trivial predictors, in pixel units, by name."""
        valid = batch.tensors.get("valid")
        if self.task.options.norm_pix_loss:
            cells = None if valid is None else api.nets.patchify(valid, self.task.patch_size)
            return {"own mean of each patch": api.nets.patch_moments(truth, cells)[0].expand_as(truth)}
        if self.task.mean_picture is None:
            return {}
        picture = self.task.mean_picture.to(truth.device)
        samples = picture.unsqueeze(1 if self.task.per_channel else 0)
        patches = api.nets.patchify(samples, self.task.patch_size).repeat(len(truth) // len(samples), 1, 1)
        made = {
            "mean patch": patches.mean(1, keepdim=True).expand_as(truth),
            f"mean {self.task.preprocess.modality.one}": patches,
        }
        if "level" in batch:
            level = self.task.to_pixels(torch.zeros_like(batch["image"]), batch)
            made["own level of each window"] = api.nets.patchify(level, self.task.patch_size)
        return made

    def update(self, module: api.nets.MaskedAutoencoder, batch: api.Batch) -> None:
        batch = self.task.prepared(batch)
        masking, truth, pred = self.task.reconstruct(module, batch)
        hidden = self.task.judged(batch, masking).expand_as(truth)
        sums = {"hidden": hidden.sum(dtype=torch.float64)}
        shape = batch["image"].shape[2:]
        for name, guess in {"": pred, **self._baselines(truth, batch)}.items():
            error = (guess - truth).float()
            sums[f"mse {name}"] = (error.square() * hidden).sum(dtype=torch.float64)
            sums[f"atol {name}"] = ((error.abs() <= 0.1) * hidden).sum(dtype=torch.float64)
            if self.thorough and len(shape) == 2 and min(shape) > 5:
                pasted = torch.where(hidden > 0, guess, truth)
                x, y, mask = (
                    api.nets.unpatchify(patches, self.task.grid(batch), self.task.patch_size)
                    for patches in (truth, pasted, hidden)
                )
                sums[f"ssim {name}"] = (ssim_map(x.float(), y.float()) * mask).sum(dtype=torch.float64)
        if self.thorough:
            masks = masking.mask.reshape(-1, *self.task.grid(batch))
            self.first.add(batch.draws.ids, masks)
            sums |= {"masks": masks.sum(0), "samples": torch.ones_like(batch.draws.ids).sum()}
        self.add(sums)

    def metrics(self) -> Sequence[api.Metric]:
        sums = {name: float(total) for name, total in self.state().items() if total.ndim == 0}

        def shares(key: str) -> dict[str, float]:
            """Return a mean over hidden cells, by whose guess it is of; the module's has no name."""
            names = [name for name in sums if name.startswith(f"{key} ")]
            return {name.removeprefix(f"{key} "): sums[name] / max(sums["hidden"], 1.0) for name in names}

        note = "patch means given" if self.task.options.norm_pix_loss else ""
        mse, ssim = shares("mse"), shares("ssim")
        decibels = {name: api.measure.psnr(value) for name, value in mse.items()}
        metrics = [
            _metric("mse", "masked MSE", mse, note, unit="squared", better="lower"),
            _metric("psnr", "masked PSNR", decibels, note, unit="dB"),
        ]
        if ssim:
            metrics.append(_metric("ssim", "masked SSIM", ssim, note, unit="index"))
        within = f"masked {self.task.preprocess.modality.part}s within 0.1"
        metrics.append(_metric("atol", within, shares("atol"), note, unit="share"))
        return metrics

    def finding(self) -> str:
        """Return how far the error on hidden patches lies below that of the best trivial predictor."""
        saved = self.metrics()[0].error_saved
        if saved is None:
            return ""
        share, name = saved
        return f"what is hidden is filled in with {share:.0%} less error than by the {name}"

    def drawings(self) -> Sequence[api.Drawing]:
        total, num = self.total("masks"), self.total("samples")
        if total is None or num is None or self.first.masks is None:
            return []
        first, mean, preprocess = self.first.masks.cpu(), total / num, self.task.preprocess
        if preprocess.modality.pictorial:
            colours = "blue patches are seen by the encoder, grey ones are not."
            png = mask_strip(first.numpy(), mean.numpy(), self.task.patch_size)
        else:
            colours = "what is grey is not seen by the encoder. The mean goes from 0, never hidden, to 1, always."
            png = drawn_masks(preprocess, first, mean, self.task.patch_size)
        one, many = (
            ("channel", "channels") if self.task.per_channel else (preprocess.modality.one, preprocess.modality.unit)
        )
        some = f"{len(first)} {one if len(first) == 1 else many}"
        what = f"The masks of {some}, with {self.task.hidden}, and the mean over all {int(num):,}"
        caption = f"{what}: {colours}"
        return [api.Drawing(name="masks", caption=caption, png=png)]


def _metric(name: str, label: str, values: dict[str, float], note: str, **kind: Any) -> api.Metric:
    baselines = {baseline: value for baseline, value in values.items() if baseline}
    return api.Metric(name=name, label=label, value=values[""], baselines=baselines, note=note, **kind)
