"""How the samples of a run are brought to its model, and how they are changed at random."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from maecli.schema.sections import Named, Positive, Section

Fit = Literal["resize", "crop"]
"""resize: all of a sample, or its largest centred part in the model's proportions, becomes the model's size; crop: a
part of that size is cut out, and what lies outside of a smaller sample is missing."""

_COUNT = re.compile(r"[0-9]{1,18}")

MAX_FOLDS = 100


class Transform(Named):
    """A transform of Albumentations by name, and its parameters beside the name."""


class DataSpec(Section):
    """How samples are brought to the model."""

    loading: Literal["auto", "resident", "streamed"] = Field(
        default="auto",
        description="resident: all in device memory; streamed: read by workers; auto: as the data set suggests",
    )
    workers: Annotated[int, Field(ge=0, le=1024)] | None = Field(
        default=None, description="worker processes of streamed loading; default: by the number of cores"
    )
    cache: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="GiB of decoded samples that are kept between epochs, for all workers together"
    )
    fit: Literal["auto"] | Fit = Field(
        default="auto",
        description="resize: bring samples to the model's size; crop: cut parts of that size out of them, at random in "
        "training; auto: crop windows of series, resize all others",
    )
    channels: Positive | None = Field(default=None, description="copy one grey channel to this many")
    mean: tuple[float, ...] | None = Field(
        default=None, description="per channel, in [0, 1] units; default: the data card's"
    )
    std: tuple[float, ...] | None = Field(
        default=None, description="per channel, in [0, 1] units; default: the data card's"
    )
    strict: bool = Field(default=False, description="stop at the first unreadable file instead of leaving it out")
    labels: str | int | None = Field(
        default=None,
        description="learn from a part of the training labels: a share such as 10%, or so many samples of each class; "
        "stratified, by the seed; default: all",
    )
    folds: Annotated[int, Field(ge=2, le=MAX_FOLDS)] | None = Field(
        default=None,
        description="cross-validation, of mae finetune: deal all samples, but those of a test split that is given, "
        "into so many parts; each is the test split of a run that learns from the others, and the run itself from all",
    )
    fold: Positive | None = Field(
        default=None, description="of a run of a cross-validation: the part, from 1, that is its test split"
    )

    @model_validator(mode="after")
    def _fold_is_one_of_the_folds(self) -> DataSpec:
        if self.fold is not None and self.fold > (self.folds or 0):
            raise ValueError(f"data.fold ({self.fold}) must be one of data.folds ({self.folds or 'not set'})")
        return self

    sampling: Literal["natural", "balanced", "sqrt"] = Field(
        default="natural",
        description="natural: each training sample once per epoch; balanced: as many draws of each class, sqrt: by the "
        "square root of its count, arXiv:1910.09217; of several classes (labels, masks) the rarest that is there "
        "decides; an epoch stays as long",
    )

    @field_validator("labels")
    @classmethod
    def _labels_are_a_part(cls, value: str | int | None) -> str | None:
        if value is None:
            return None
        text = str(value).replace(" ", "")
        share = re.fullmatch(r"(\d+(?:\.\d+)?)%", text)
        if not (0 < float(share[1]) <= 100 if share else _COUNT.fullmatch(text) and int(text) > 0):
            raise ValueError(
                f"data.labels {value!r} must be a share above 0% and up to 100%, such as 10%, or a number of samples "
                "per class, such as 4"
            )
        return text


class AugmentSpec(Section):
    """Random changes to training pictures; evaluation and inference never use them."""

    crop: Literal["none", "pad", "random-resized", "scale-jitter"] = Field(
        default="none",
        description=(
            "pad: shift by up to crop_padding pixels; random-resized: a random part, resized; scale-jitter: the whole "
            "picture times jitter_scale, then a random part of the model's size, padded where it is smaller"
        ),
    )
    crop_padding: Annotated[int, Field(ge=0)] = Field(default=4, description="pixels, for crop = pad")
    crop_scale: tuple[float, float] = Field(
        default=(0.2, 1.0), description="share of the area, for crop = random-resized"
    )
    crop_ratio: tuple[float, float] = Field(
        default=(0.75, 4 / 3), description="width / height, for crop = random-resized"
    )
    jitter_scale: tuple[float, float] = Field(
        default=(0.5, 2.0), description="for crop = scale-jitter; 1 just covers the model's size"
    )
    flip: bool = Field(default=False, description="mirror left to right for half of the samples")
    rotate: Annotated[float, Field(ge=0, le=180)] = Field(
        default=0.0, description="largest angle in degrees, either way"
    )
    translate: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="largest shift in pixels, either way on each axis"
    )
    zoom: tuple[float, float] = Field(default=(1.0, 1.0), description="range of magnification")
    color: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="brightness, contrast and saturation times 1 - color to 1 + color"
    )
    chain: tuple[Transform, ...] = Field(
        default=(),
        description="transforms of Albumentations, as in [{name: GaussianBlur, blur_limit: [3, 5], p: 0.3}, {name: "
        "CLAHE}], which workers apply to a picture and its mask before all other changes, at their own size",
    )

    @field_validator("chain", mode="before")
    @classmethod
    def _transforms_have_names(cls, value: Any) -> Any:
        named = isinstance(value, list | tuple) and all(
            isinstance(each, Transform) or (isinstance(each, dict) and isinstance(each.get("name"), str))
            for each in value
        )
        if not named:
            raise ValueError(
                f"augment.chain {value!r} must be a list of transforms, each with its name, as in [{{name: CLAHE}}]"
            )
        return value

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> AugmentSpec:
        for name in ("crop_scale", "crop_ratio", "jitter_scale", "zoom"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"augment.{name} ({low}, {high}) must be two rising numbers above 0")
        return self

    @property
    def changes_nothing(self) -> bool:
        """Whether pictures stay as they are."""
        return not (self.cuts or self.moves_pixels or self.flip or self.color or self.chain)

    @property
    def cuts(self) -> bool:
        """Whether a random part of each picture is cut out and resized."""
        return self.crop in ("random-resized", "scale-jitter")

    @property
    def moves_pixels(self) -> bool:
        """Whether pictures are shifted, turned or zoomed."""
        return self.crop == "pad" or self.rotate > 0 or self.translate > 0 or self.zoom != (1.0, 1.0)
