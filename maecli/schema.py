"""What a run is: one pydantic object per verb, written to the run directory and into every checkpoint.

A plugin's section holds its name and its options; the options are checked by the plugin's own model after look-up
(`maecli.spec.validate`), so that this module, and `mae --help`, load no plugin and no torch.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator, model_validator

FORMAT_VERSION = 2
"""Of checkpoints, the highest there is; raised when an older reader could misread them."""

Fit = Literal["resize", "crop"]
"""resize: all of a sample, or its largest centred part in the model's proportions, becomes the model's size; crop: a
part of that size is cut out, and what lies outside of a smaller sample is missing."""

AUTO = "auto"

_COUNT = re.compile(r"[0-9]{1,18}")

MAX_FOLDS = 100
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1, lt=2**31)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Named(BaseModel):
    """Something by name, and its options beside the name; whoever knows it checks them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class PluginSection(Named):
    """A plugin by name, and its options beside the name."""


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


class TrainSpec(Section):
    """Optimizer (AdamW) and schedule (cosine decay after linear warm-up)."""

    epochs: Positive = Field(default=100, description="passes over the training split")
    max_steps: Positive | None = Field(
        default=None, description="end after this many optimizer steps, the schedule fitted to them"
    )
    batch_size: Positive = Field(
        default=256, description="samples per optimizer step, over all processes; all of them where there are fewer"
    )
    last_batch: Literal["drop", "keep"] = Field(
        default="drop",
        description="of an epoch, where batch_size does not divide it. drop: leave out what is left over, other "
        "samples each time; keep: one batch more, all of an even size",
    )
    micro_batch_size: Positive | Literal["auto"] | None = Field(
        default=None,
        description="samples per forward pass; gradients are summed over them. auto: as many as fit into memory, the "
        "batch, its half, and so on, found before the first step and recorded; default: the batch",
    )
    base_lr: Annotated[float, Field(gt=0)] = Field(
        default=1.5e-4, description="learning rate per 256 samples: lr = base_lr * batch_size / 256"
    )
    min_lr: Annotated[float, Field(ge=0)] = Field(default=0.0, description="learning rate at the end")
    warmup_epochs: Annotated[float, Field(ge=0)] = Field(default=0.0, description="linear rise from 0")
    rewarm_share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5, description="of the learning rate, what a run with `extend` rises to before it decays again"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        default=0.05, description="not applied to biases, norms and tokens"
    )
    beta1: Share = 0.9
    beta2: Share = 0.95
    clip_grad: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="largest norm of all gradients together"
    )
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="factor on the learning rate per layer below the head"
    )
    ema_decay: Share | None = Field(
        default=None, description="keep an exponential moving average of the weights, and use it"
    )
    patience: Positive | None = Field(
        default=None,
        description="stop after so many validations in a row without a better monitored metric; default: never",
    )
    freeze: bool = Field(
        default=False,
        description="train the head alone: the encoder keeps its weights and works as in evaluation, without dropout",
    )
    freeze_blocks: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        default=0,
        description="keep the embedding and so many of the encoder's first blocks as they are, and train what follows",
    )

    @model_validator(mode="after")
    def _one_way_to_freeze(self) -> TrainSpec:
        if self.freeze and self.freeze_blocks:
            raise ValueError(
                f"train.freeze keeps the whole encoder, and train.freeze_blocks ({self.freeze_blocks}) a part of it; "
                "leave one of the two out"
            )
        return self


def _listed(names: object) -> object:
    """Return names that stand in one text, between commas, as several."""
    return tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else names


class AdaptSpec(Section):
    """What learns in an encoder that stays as it is: low-rank adapters (LoRA, arXiv:2106.09685)."""

    TIMES_RATE: ClassVar[float] = 4.0
    """How many times the rate that suits all weights is planned for adapters."""

    name: Literal["lora"] = "lora"
    rank: Positive = Field(default=8, description="r: of the matrices B A that are added to weights")
    alpha: Annotated[float, Field(gt=0)] = Field(default=16.0, description="B A counts alpha / rank times")
    layers: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=("qkv", "proj", "fc1", "fc2"),
        min_length=1,
        description="linear layers of the blocks that have adapters",
    )
    dropout: Share = Field(default=0.0, description="share of an adapter's inputs that is left out in training")


class CheckpointSpec(Section):
    """When the run saves itself."""

    every_epochs: Annotated[float, Field(gt=0)] = Field(default=1.0, description="and at the end")
    every_minutes: Annotated[float, Field(gt=0)] = Field(default=10.0, description="within a long epoch")
    keep: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        default=2, description="how many of the newest checkpoints stay, at least two; the best stays besides"
    )


class ResolvedPath(Section):
    """Where a path of the spec led when the run began."""

    key: str
    given: str | None = None
    """None is the default, MAE_DATA or ./data."""
    resolved: str


class RunSpec(Section):
    """What `mae pretrain` and `mae finetune` have in common."""

    version: Literal[1] = 1
    verb: Literal["pretrain", "finetune"]
    dataset: PluginSection
    task: PluginSection
    model: PluginSection
    data: DataSpec = DataSpec()
    augment: AugmentSpec = AugmentSpec()
    train: TrainSpec = TrainSpec()
    adapt: AdaptSpec | None = Field(
        default=None,
        description="let adapters, the layer norms and the head learn, and keep the encoder's other weights",
    )
    checkpoint: CheckpointSpec = CheckpointSpec()
    trackers: tuple[str, ...] = ()
    eval_every_epochs: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="how often the validation split is measured"
    )
    log_every_steps: Positive = 20
    init: Path | None = Field(
        default=None,
        description="start from this encoder: a run directory, a checkpoint folder, a file of weights (official MAE, "
        "Hugging Face, timm, torchvision), as FILE#teacher where it holds several, or a name of the Hugging Face hub, "
        "hf:OWNER/NAME or timm:NAME",
    )
    init_sha256: str = Field(
        default="", description="checksum of the weights of init, of the hub; recorded when it starts, not chosen"
    )
    init_partial: bool = Field(
        default=False, description="let tensors that init lacks start anew, and leave out those without a place"
    )
    extend: Path | None = Field(
        default=None,
        description="train on from the weights, the optimizer and the step of this finished run, with more epochs than "
        "it had; model, task and data stay its own",
    )
    fold_pretrain: bool = Field(
        default=False,
        description="with data.folds: pretrain anew for each fold, as the run of init was, without its test part",
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: str = Field(default="auto", description="auto, cpu, mps, cuda or cuda:N")
    precision: Literal["auto", "float32", "bf16"] = Field(
        default="auto", description="auto: bf16 where the hardware multiplies it natively"
    )
    compile: bool = Field(default=False, description="use torch.compile")
    parallel: Literal["auto", "ddp", "fsdp"] = Field(
        default="auto",
        description="of several processes: ddp, each has the whole model; fsdp, each has a part of it, for one that "
        "does not fit; auto: ddp",
    )
    out: Path | None = Field(
        default=None,
        description="run directory; default: runs/VERB-DATA[-TASK], named after the data set, or the folder of one's "
        "own files, with -2 behind it where that is the run of other data or of another spec",
    )
    plugins: tuple[str, ...] = Field(
        default=(),
        description="plugins of other packages that the run used, such as dataset.whatever from mae-whatever 1.2; "
        "recorded when it starts, not chosen",
    )
    paths: tuple[ResolvedPath, ...] = Field(
        default=(),
        description="where paths that were not given in full, such as dataset.root, led when the run began; recorded "
        "when it starts, not chosen",
    )
    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def sources(self) -> dict[str, str]:
        """Where each setting came from, by dotted key; what is not there is the plugin's default."""
        return self._sources

    def with_sources(self, sources: dict[str, str]) -> Self:
        """Return the same spec with where its settings came from."""
        spec = self.model_copy()
        spec._sources = sources
        return spec

    @field_validator("out")
    @classmethod
    def _out_of_a_home(cls, out: Path | None) -> Path | None:
        return out.expanduser() if out is not None else None

    @model_validator(mode="after")
    def _micro_batch_fits(self) -> RunSpec:
        micro = self.train.micro_batch_size
        if isinstance(micro, int) and micro > self.train.batch_size:
            raise ValueError(
                f"train.micro_batch_size ({micro}) must not be above train.batch_size ({self.train.batch_size})"
            )
        return self

    @model_validator(mode="after")
    def _workers_apply_the_chain(self) -> RunSpec:
        if self.augment.chain and self.data.loading == "resident":
            raise ValueError(
                "data.loading resident keeps samples at the model's size, and augment.chain changes them before they "
                "are brought to it; leave one of the two out"
            )
        return self

    @model_validator(mode="after")
    def _adapters_can_learn(self) -> RunSpec:
        if self.adapt is not None and self.train.freeze:
            raise ValueError(
                "train.freeze lets the head alone learn, and adapt lets adapters in the encoder learn; leave one of "
                "the two out"
            )
        if self.adapt is not None and self.parallel == "fsdp":
            raise ValueError(
                "parallel fsdp cuts up what learns, and with adapt that is small; leave it out: --devices N gives each "
                "process the whole model"
            )
        return self


class PretrainSpec(RunSpec):
    """One pretraining run."""

    verb: Literal["pretrain"] = "pretrain"

    @model_validator(mode="after")
    def _something_is_learnt(self) -> PretrainSpec:
        for name in ("freeze", "freeze_blocks"):
            if getattr(self.train, name):
                raise ValueError(f"train.{name} is for mae finetune: pretraining is what trains the encoder")
        if self.adapt is not None:
            raise ValueError("adapt is for mae finetune: pretraining trains the whole encoder")
        if self.fold_pretrain or (self.data.folds is not None and self.data.fold is None):
            raise ValueError(
                "data.folds and fold_pretrain are for mae finetune; a pretraining leaves out one data.fold"
            )
        return self


class FinetuneSpec(RunSpec):
    """One fine-tuning run."""

    verb: Literal["finetune"] = "finetune"

    @model_validator(mode="after")
    def _folds_have_a_pretraining(self) -> FinetuneSpec:
        if self.fold_pretrain and (self.init is None or self.data.folds is None):
            raise ValueError(
                "fold_pretrain pretrains for each of data.folds as the run of init was: give --folds and --init"
            )
        return self


PLUGIN_SECTIONS = ("dataset", "task", "model")
"""Sections of a spec that name a plugin, and hold its options."""
SPECS: dict[str, type[RunSpec]] = {"pretrain": PretrainSpec, "finetune": FinetuneSpec}

CHANGEABLE_ON_RESUME = frozenset(
    {
        "out",
        "device",
        "compile",
        "parallel",
        "trackers",
        "log_every_steps",
        "train.micro_batch_size",
        "checkpoint.keep",
        "data.workers",
        "data.cache",
        "data.loading",
        "data.strict",
        "dataset.root",
        "init",
        "init_sha256",
        "init_partial",
        "extend",
        "plugins",
        "paths",
    }
)
"""Keys, flattened with dots, that `--resume` may change: they say where and how, not what is computed."""

CHANGEABLE_ON_EXTEND = CHANGEABLE_ON_RESUME | {
    "precision",
    "eval_every_epochs",
    "checkpoint.every_epochs",
    "checkpoint.every_minutes",
    "train.epochs",
    "train.max_steps",
    "train.base_lr",
    "train.min_lr",
    "train.warmup_epochs",
    "train.rewarm_share",
    "train.weight_decay",
    "train.clip_grad",
    "train.patience",
}
"""Keys that may differ from those of the run that `extend` names: how long and how fast it goes on to learn."""
