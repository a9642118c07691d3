"""Errors on hidden pixels, beside those of trivial predictors.

Shapes: B batch, N patches, P values per patch, H, W of the patch grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from maecli import api

from .masks import mask_strip
from .ssim import ssim_map

if TYPE_CHECKING:
    from .task import Reconstruct

NUM_MASKS = 5


class SeenMasks:
    """The masks that an evaluation has used: the first few, and how often each patch was hidden."""

    def __init__(self) -> None:
        self.first: list[Tensor] = []  # (H, W) each
        self.sum: Tensor | None = None  # (H, W)
        self.num = 0

    def add(self, masks: Tensor) -> None:
        """Add masks (B, H, W)."""
        self.first += masks[: NUM_MASKS - len(self.first)]
        self.sum = masks.sum(0) if self.sum is None else self.sum + masks.sum(0)
        self.num += len(masks)

    def draw(self, task: Reconstruct) -> list[api.Drawing]:
        if self.sum is None:
            return []
        first, mean = torch.stack(self.first).cpu().numpy(), (self.sum / self.num).cpu().numpy()
        caption = (
            f"The masks of {len(first)} samples, with {task.hidden}, and the mean over all {self.num:,}: blue patches "
            "are seen by the encoder, grey ones are not."
        )
        return [api.Drawing(name="masks", caption=caption, png=mask_strip(first, mean, task.patch_size))]


class MaskedErrors(api.Evaluator[api.nets.MaskedAutoencoder]):
    """Error sums over hidden pixels, of the model and of its baselines; SSIM and masks where it is thorough."""

    def __init__(self, task: Reconstruct, thorough: bool = True) -> None:
        self.task, self.thorough = task, thorough
        self.sums: dict[str, dict[str, float]] = {}
        self.pixels = 0.0
        self.masks = SeenMasks()

    def _baselines(self, truth: Tensor) -> dict[str, Tensor]:
        if self.task.options.norm_pix_loss:
            return {"own mean of each patch": truth.mean(-1, keepdim=True).expand_as(truth)}
        if self.task.mean_picture is None:
            return {}
        patches = api.nets.patchify(self.task.mean_picture.to(truth.device).unsqueeze(0), self.task.patch_size)
        return {
            "mean patch": patches.mean(1, keepdim=True).expand_as(truth),
            "mean picture": patches.expand_as(truth),
        }

    def update(self, module: api.nets.MaskedAutoencoder, batch: api.Batch) -> None:
        masking, truth, pred = self.task.reconstruct(module, batch)
        hidden = masking.mask.unsqueeze(-1).expand_as(truth)
        self.pixels += float(hidden.sum())
        shape = batch["image"].shape[2:]
        for name, guess in {"": pred, **self._baselines(truth)}.items():
            error = (guess - truth).float()
            sums = {
                "mse": float((error.square() * hidden).sum(dtype=torch.float64)),
                "atol": float(((error.abs() <= 0.1) * hidden).sum()),
            }
            if self.thorough and len(shape) == 2 and min(shape) > 5:
                pasted = torch.where(hidden > 0, guess, truth)
                x, y, mask = (
                    api.nets.unpatchify(patches, self.task.grid(batch), self.task.patch_size)
                    for patches in (truth, pasted, hidden)
                )
                sums["ssim"] = float((ssim_map(x.float(), y.float()) * mask).sum(dtype=torch.float64))
            total = self.sums.setdefault(name, {})
            for key, value in sums.items():
                total[key] = total.get(key, 0.0) + value
        if self.thorough and len(shape) == 2:
            self.masks.add(masking.mask.reshape(-1, *self.task.grid(batch)))

    def metrics(self) -> Sequence[api.Metric]:
        def shares(key: str) -> dict[str, float]:
            return {name: sums[key] / max(self.pixels, 1.0) for name, sums in self.sums.items()}

        note = "oracle" if self.task.options.norm_pix_loss else ""
        mse = shares("mse")
        decibels = {name: api.measure.psnr(value) for name, value in mse.items()}
        metrics = [
            _metric("mse", "masked MSE", mse, note, unit="squared", better="lower"),
            _metric("psnr", "masked PSNR", decibels, note, unit="dB"),
        ]
        if "ssim" in self.sums[""]:
            metrics.append(_metric("ssim", "masked SSIM", shares("ssim"), note, unit="index"))
        metrics.append(_metric("atol", "masked pixels within 0.1", shares("atol"), note, unit="share"))
        return metrics

    def drawings(self) -> Sequence[api.Drawing]:
        return self.masks.draw(self.task)


def _metric(name: str, label: str, values: dict[str, float], note: str, **kind: Any) -> api.Metric:
    baselines = {baseline: value for baseline, value in values.items() if baseline}
    return api.Metric(name=name, label=label, value=values[""], baselines=baselines, note=note, **kind)
