"""Segmentation: a class for every cell, the pixels of a picture, the steps of a series, the voxels of a volume.

Shapes: B batch, C channels, S spatial axes, H, W height and width of a picture, Q classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from maecli import api

from .cases import Cases
from .evaluator import Overlap
from .exported import SegmentOutputs
from .heads import SegmentationKind, Segmenter, segmentation_head, why_not
from .layers import CONVOLUTIONS
from .losses import cross_entropy, dice_loss, judged
from .tiling import Inference, predict_classes
from .windows import WindowWeights

MOST_AXES = len(CONVOLUTIONS)
CELLS_AT_ONCE = 1 << 22
MM3_PER_ML = 1000
BY_CASE = (
    "Dice and 95% Hausdorff distance are of each class and case, in the voxels of the case's own file, against masks "
    "that nobody resampled; the background does not count."
)


class Segment(api.Task[Segmenter]):
    """Cross-entropy and Dice per pixel; IoU over a whole split, beside always saying background.

    Of volumes Dice and surface distances of each class and case, in the voxels of their files. Cells of the card's
    number `void` are neither learnt nor judged.
    """

    name = "segment"
    hub_tasks: ClassVar[Mapping[str, str]] = {"pictures": "image-segmentation", "volumes": "image-segmentation"}
    fields = ("image", "mask")
    monitor = "miou"
    own_size = True
    answer = api.Answer("classes", several=True)

    class Options(api.Options):
        head: SegmentationKind = Field(
            default="conv",
            description="conv: 1×1 convolution on the token grid, bilinear up; shuffle: each token becomes its patch's "
            "pixels, then a 3×3 convolution of these and the picture; upernet: UPerNet on a feature pyramid; light: "
            "transposed convolutions double the token grid up to cells, for small patches, arXiv:2503.01835; unetr: "
            "that with maps of several depths and the sample joined on the way, arXiv:2103.10504. Series and volumes "
            "take conv, light and unetr",
        )
        head_channels: int | None = Field(
            default=None,
            ge=1,
            description="width before the last layer of shuffle (default: the number of classes), upernet (256), light "
            "(32) and unetr (16); of the last two each coarser level has twice that of the finer one",
        )
        head_drop: float = Field(
            default=0.0, ge=0, lt=1, description="share of channels left out before the last layer in training"
        )
        dice: float = Field(
            default=0.0, ge=0, description="weight of the Dice loss beside cross-entropy, arXiv:1606.04797; 0: off"
        )
        class_weights: api.measure.ClassWeights = Field(
            default="none",
            description="weight of each class in cross-entropy, background included: balanced, inversely to its share "
            "of the pixels; effective, arXiv:1901.05555; or by name, such as {cat: 2}, others 1",
        )
        inference: Literal["auto"] | Inference = Field(
            default="auto",
            description="whole: read a picture at once; slide: in windows of the model's size; auto: in windows where "
            "training cuts parts out (data.fit: crop), as of volumes, else at once",
        )
        stride: float = Field(
            default=2 / 3, gt=0, le=1, description="distance between windows, as a share of the window"
        )
        window_weights: Literal["auto"] | WindowWeights = Field(
            default="auto",
            description="how much a window's cells count where windows overlap: even, or gaussian, most at its centre, "
            "with a standard deviation of an eighth of it; auto: gaussian where training cuts parts out, else even",
        )
        flip: bool = Field(
            default=False, description="average with the prediction of the mirror image, of volumes left to right"
        )

    def __init__(self, options: Any, card: api.DataCard, preprocess: api.Preprocess) -> None:
        super().__init__(options, card, preprocess)
        num = len(card.mask_classes)
        if num < 2:
            raise api.DataError(
                f"{card.name} has {num} mask classes; segment needs at least 2: give a data set whose masks name their "
                "classes"
            )
        if 0 <= card.void < num:
            raise api.DataError(
                f"{card.name} says void of cells with the number {card.void}, which one of its {num} mask classes has; "
                "its card needs another number, such as 65535"
            )
        counts, pictures = card.mask_counts, max(card.split_sizes.get("train", 1), 1)
        self.weights = api.measure.class_weights(
            options.class_weights, card.mask_classes, counts, per_sample=sum(counts) / pictures or 1.0
        )
        self.class_weights = dict(zip(card.mask_classes, self.weights or (), strict=False))
        self.style = api.draw.ClassStyle(card.mask_classes, card.mask_palette, card.background, card.void)
        self.by_case = preprocess.modality.by_case
        if self.by_case:
            self.monitor = "dice"

    @classmethod
    def counted(cls, options: Any) -> Literal["mask"] | None:
        return "mask" if options.class_weights in api.measure.COUNTED else None

    def build(self, encoder: api.Encoder) -> Segmenter:
        axes = len(encoder.img_size)
        if axes > MOST_AXES:
            raise api.SpecError(
                f"segment works on data of up to {MOST_AXES} axes, not of {axes} as {self.card.name} has"
            )
        if why := why_not(self.options.head, encoder, self.preprocess.in_chans, self.card.name):
            raise api.SpecError(f"task.head {self.options.head!r} {why}")
        options, num = self.options, len(self.card.mask_classes)
        head = segmentation_head(options.head, encoder, num, options.head_channels, options.head_drop)
        return Segmenter(encoder, head)

    def class_rows(self, module: Segmenter) -> Mapping[str, Literal["mask"]]:
        return {"head.classify.weight": "mask", "head.classify.bias": "mask"}

    def loss(self, module: Segmenter, batch: api.Batch) -> Tensor:
        logits, mask = module(batch["image"], batch.tensors.get("valid")), batch["mask"].long()
        loss = cross_entropy(logits, mask, self.weights, self.card.void)
        if self.options.dice:
            loss = loss + self.options.dice * dice_loss(logits, mask, self.weights, self.card.void)
        return loss

    def loss_weight(self, batch: api.Batch) -> Tensor:
        return judged(batch["mask"].long(), len(self.card.mask_classes), self.weights, self.card.void).sum()

    def classes_of(
        self,
        module: Segmenter,
        image: Tensor,
        valid: Tensor | None = None,
        out_size: Sequence[int] | None = None,
    ) -> Tensor:
        """Return the predicted classes of samples (B, C, *S), at `out_size` or (B, *S): uint8, of over 255 int32."""
        if isinstance(module, api.export.FileModule) and self.preprocess.modality.any_size:
            return module.answers(image, valid)["mask"]
        return predict_classes(
            module,
            image,
            self.preprocess.img_size,
            self._inference,
            self.options.stride,
            self._mirror,
            valid,
            out_size,
            resize=not self._cuts,
            weights=self._weights,
        )

    def export(self, module: Segmenter) -> SegmentOutputs:
        any_size, img_size = self.preprocess.modality.any_size, tuple(self.preprocess.img_size)
        unit, weights = self.preprocess.modality.unit, "--format safetensors writes the weights"
        if any_size and self._inference == "slide":
            raise api.SpecError(
                f"{unit} are read in windows here (task.inference slide, or data.fit crop), and an exported file reads "
                f"each at once; {weights}"
            )
        if not any_size and self._inference == "whole" and self.card.size != img_size:
            raise api.SpecError(
                f"{unit} are read at once here, each at a size of its own (task.inference whole), and an exported file "
                f"reads windows of the model's size; {weights}"
            )
        return SegmentOutputs(module, img_size, any_size, self._mirror)

    @property
    def _mirror(self) -> int | None:
        """The axis along which the mirror image is read too, counted from the end."""
        return self.preprocess.modality.mirror_axis if self.options.flip else None

    @property
    def _cuts(self) -> bool:
        """Whether training sees parts of samples, at their own resolution."""
        return self.preprocess.how == "crop"

    @property
    def _inference(self) -> Inference:
        if self.options.inference != "auto":
            return self.options.inference
        return "slide" if self._cuts else "whole"

    @property
    def _weights(self) -> WindowWeights:
        if self.options.window_weights != "auto":
            return self.options.window_weights
        return "gaussian" if self._cuts else "even"

    def evaluator(self, thorough: bool = True) -> Overlap:
        return Cases(self, thorough) if self.by_case else Overlap(self, thorough)

    def predict(self, module: Segmenter, batch: api.Batch) -> list[api.Prediction]:
        own_size = tuple(batch["own_size"][0].tolist()) if "own_size" in batch else None
        masks = self.classes_of(module, batch["image"], batch.tensors.get("valid"), own_size).cpu().numpy()
        if self.by_case:
            return [self._case(batch, i, mask) for i, mask in enumerate(masks)]
        rows = [self._row(mask) for mask in masks]
        if not self.preprocess.modality.pictorial:
            both = zip(rows, masks, strict=True)
            return [api.Prediction(row, values={".mask": mask[None]}, mask=mask) for row, mask in both]
        pictures = self.drawable(batch["image"])
        files = [self._files(picture, mask) for picture, mask in zip(pictures, masks, strict=True)]
        every = zip(rows, files, masks, strict=True)
        return [api.Prediction(row, file, mask=mask) for row, file, mask in every]

    def _case(self, batch: api.Batch, i: int, mask: np.ndarray) -> api.Prediction:
        """Return what is written of the i-th volume of a batch, whose mask is (D, H, W)."""
        spacing = batch["own_spacing"][i].tolist() if "own_spacing" in batch else [math.nan]
        ml = None if any(map(math.isnan, spacing)) else math.prod(spacing) / MM3_PER_ML
        picture, (shown,) = self.slices(batch, i, [mask])
        counts = self._counts(mask)
        sizes = {
            q: f"{ml * counts[q]:,.4g} ml" for q in np.flatnonzero(counts).tolist() if ml and q != self.card.background
        }
        written = mask if mask.dtype == np.uint8 else mask.astype(np.int16)
        return api.Prediction(
            self._row(mask, ml),
            {".overlay.png": partial(api.draw.overlay, picture, shown, self.style, sizes)},
            {".mask": written[None]},
            mask,
        )

    def slices(self, batch: api.Batch, i: int, masks: Sequence[np.ndarray]) -> tuple[np.ndarray, Sequence[np.ndarray]]:
        """Return a drawing (3, h, w) of slices of a batch's i-th volume, and its masks (D, H, W) on it (h, w).

        They go through the middle of what the first of the masks shows besides background.
        """
        image, tensors = self.preprocess.to_pixels(batch["image"][i : i + 1])[0], batch.tensors
        lengths = np.array(masks[0].shape, float)
        if "own_spacing" in tensors:
            lengths = lengths * tensors["own_spacing"][i].nan_to_num(1.0).cpu().numpy()
        shows = (masks[0] != self.card.background) & (masks[0] != self.card.void)
        fill = self.card.void if self.card.background is None else self.card.background
        return self.preprocess.modality.slices(image.float().cpu().numpy(), masks, fill, lengths.tolist(), shows)

    def _row(self, mask: np.ndarray, ml: float | None = None) -> dict[str, str | int | float]:
        """Return which classes a mask (*S) has, and the share of each, or its volume where a cell has so many `ml`."""
        names = self.card.mask_classes
        counts = self._counts(mask)
        present = [name for i, name in enumerate(names) if counts[i] and i != self.card.background]
        if ml is None:
            return {"classes": ";".join(present), **self.class_columns(names, counts / mask.size, "share_", "area")}
        judged = [i for i in range(len(names)) if i != self.card.background]
        volumes = self.class_columns([names[i] for i in judged], counts[judged] * ml, "ml_", "volume_ml")
        return {"classes": ";".join(present), **volumes}

    def _counts(self, mask: np.ndarray) -> np.ndarray:
        """Return how many cells of a predicted mask (*S) each class has, (Q,) int64."""
        parts = np.array_split(mask.ravel(), 1 + mask.size // CELLS_AT_ONCE)  # they are counted as int64
        return np.sum([np.bincount(part, minlength=len(self.card.mask_classes)) for part in parts], axis=0)

    def _files(self, picture: np.ndarray, mask: np.ndarray) -> dict[str, Callable[[], bytes]]:
        """Return what encodes a picture's mask (H, W): by itself, and over the picture."""
        return {
            ".mask.png": partial(api.pictures.mask_png, mask, self.card.mask_palette, self.card.files.mask_first),
            ".overlay.png": partial(api.draw.overlay, picture, mask, self.style),
        }

    def drawable(self, image: Tensor) -> np.ndarray:
        """Return normalised samples (B, C, *S) as uint8."""
        pixels = self.preprocess.to_pixels(image).clamp_(0, 1).mul_(255).round_()
        return pixels.to(torch.uint8).cpu().numpy()

    def describe(self) -> Sequence[str]:
        modality = self.preprocess.modality
        counted = f"IoU comes from one confusion matrix over the whole split; void {modality.part}s are not judged."
        by_case = [BY_CASE] if self.by_case else []
        return [
            f"{modality.unit.capitalize()} are {self._read_how()}.",
            *by_case,
            f"{counted} 95% intervals are of {api.measure.RESAMPLES:,} resamples of whole {modality.unit}.",
        ]

    def _read_how(self) -> str:
        """Return at which resolution samples are read, and in which parts."""
        size = "×".join(map(str, self.preprocess.img_size))
        way = "at once, very long ones in windows"
        if self._inference == "slide":
            way = f"in windows of {size if self._cuts else 'that size'}"
        if self._weights == "gaussian":
            way += ", whose centres count most where they overlap"
        if self.options.flip:
            way += ", averaged with their mirror image"
        if self._cuts:
            return f"read at their own resolution, as in training, {way}"
        return (
            f"resized to cover {size} at their own aspect ratio, up to 8 times its length, and read {way}; "
            "probabilities are brought back to their own size, where they are compared with masks that nobody resized"
        )


@api.hookimpl
def mae_tasks() -> list[type[api.Task[Any]]]:
    return [Segment]
