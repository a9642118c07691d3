"""What `mae pretrain` and `mae finetune` do: model, training, checkpoints, and the whole of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator

from maecli.schema.samples import AugmentSpec, DataSpec
from maecli.schema.sections import PluginSection, Positive, Section, Share

FORMAT_VERSION = 2
"""Of checkpoints, the highest there is; raised when an older reader could misread them."""

AUTO = "auto"


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
