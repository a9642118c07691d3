"""`mae eval --probe`: what a simple classifier makes of a run's frozen encoder, and of a random one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maecli.data.card import DataCard, SplitName
from maecli.data.labels import WHOLE
from maecli.data.sample import Split
from maecli.errors import DataError, SpecError, nearest
from maecli.hardware import keep_freed_memory
from maecli.loading.loader import Loader
from maecli.measures import wilson_interval
from maecli.models.encoder import Encoder
from maecli.outputs.faults import Faults
from maecli.parallel.lead import call, world
from maecli.parallel.world import World
from maecli.progress import Progress
from maecli.registry import Registry, registry
from maecli.results import Evaluation, Metric, Table
from maecli.run.data.begun import begun_with, check_form
from maecli.run.data.other_data import other_data
from maecli.run.directory import REPORT, Say
from maecli.run.evaluate import EvalResult, measured_run
from maecli.run.open import Data, check_split
from maecli.run.report import next_commands, write_run_report
from maecli.run.restore import RestoredEncoder, restore_encoder
from maecli.training.features import Tokens, check_tokens, extract
from maecli.training.probes import NEIGHBOURS, PENALTIES, TEMPERATURE, choose_linear, nearest_neighbours

KINDS = {"knn": "kNN probe", "linear": "linear probe"}
"""The probes, and what people call them."""
POOLS: tuple[Tokens, ...] = ("mean", "cls")
FIELDS = ("image", "label")
RANDOM = "random encoder"


@dataclass(frozen=True)
class Guess:
    """What a probe says of the asked split."""

    classes: Tensor
    labels: Tensor
    keys: Sequence[str]
    penalty: float | None = None
    """That of a linear probe."""

    def among(self, keys: Set[str]) -> Guess:
        """Return what it says of the samples of these keys."""
        kept = torch.tensor([key in keys for key in self.keys])
        names = [key for key in self.keys if key in keys]
        return replace(self, classes=self.classes[kept], labels=self.labels[kept], keys=names)

    @property
    def hits(self) -> int:
        return int((self.classes == self.labels).sum())

    def recall(self, q: int) -> float:
        """Return the share of the samples of class `q` that were found."""
        return float((self.classes[self.labels == q] == q).double().mean())


def probe(
    path: Path,
    registry: Registry,
    progress: Progress,
    kind: str,
    *,
    split: SplitName = "test",
    checkpoint: str = "last",
    base: Path | None = None,
    labels: str | None = None,
    pool: str = "mean",
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    root: Path | None = None,
) -> EvalResult:
    """Fit a probe to the features of a run's training split, measure it on `split`, and add it to the run's report.

    The features are those of the frozen encoder; beside them stand those of a random one. `labels` takes a part of
    the training samples, by default the part that the run itself learnt from.
    Raises SpecError for an unknown probe and for the split that it is fitted to, DataError where samples have no
    label, or several.
    """
    if kind not in KINDS:
        raise SpecError(f"--probe {kind!r} is none of {', '.join(KINDS)}{nearest(kind, KINDS)}")
    check_split(split)
    if split == "train":
        raise SpecError("--probe is fitted to train, where it would find what it has seen; give --split val or test")
    keep_freed_memory()
    run = measured_run(path, checkpoint)
    settings = {"device": device, "precision": precision, "dataset.root": root, "data.labels": labels, "init": base}
    restored = restore_encoder(path, registry, progress.say, checkpoint, settings)
    tokens = check_tokens(pool, restored.encoder, "--pool", POOLS)
    spec = restored.spec
    data = _data_of(restored, registry, kind, progress.say, elsewhere=root is not None)
    card = data.card
    check_labelled(card)
    check_form(card, restored.card)
    fields = registry.task(spec.task.name).fields
    held_out: tuple[SplitName, ...] = ("val", "test")  # of train a probe may take a part of its own
    compared: dict[SplitName, Split] = {name: data.dataset.split(name, fields) for name in held_out}
    other = other_data(run, restored.checkpoint, data, compared, card.reading, split, progress.say)
    names: list[SplitName] = list(dict.fromkeys(["train", split] if kind == "knn" else ["train", "val", split]))
    for name in ("train", split):
        data.samples(name)
    loaders = {name: data.loader(name, restored.preprocess, restored.device) for name in names}

    sizes = ", ".join(f"{len(data.split(name)):,} {name}" for name in names)
    size = batch_size or spec.train.batch_size
    processes = call(help_probe, path, checkpoint, settings, kind, names, size, tokens)
    guesses: list[Guess] = []
    for what, encoder in (("the run's encoder", restored.encoder), (f"a {RANDOM}", restored.untrained(registry))):
        progress.say(f"{what}: features of {sizes}")
        guesses.append(_guess(kind, encoder, loaders, split, card.num_classes, size, restored.dtype, tokens, processes))
    guesses = _of_both(guesses, split)
    evaluation = Evaluation(
        split=split,
        probe=_name(kind, tokens, spec.data.labels),
        num_samples=len(guesses[0].labels),
        one=restored.preprocess.modality.one,
        many=restored.preprocess.modality.unit,
        weights=f"{checkpoint} (step {restored.checkpoint.step})",
        metrics=(_top1(guesses, data.training.card, KINDS[kind]),),
        tables=(_per_class(guesses, card),),
        notes=(
            _method(kind, guesses, len(data.split("val")) if "val" in names else 0),
            _data(tokens, data.training.description),
            f"The {RANDOM} has the same architecture and the weights that seed {spec.seed} gives.",
            *([f"Measured on {other}."] if other else []),
        ),
        data=other,
    )
    run.write_evaluation(evaluation)
    write_run_report(run, registry, progress.say)
    following = next_commands(run, registry)
    return EvalResult(run.path, restored.checkpoint.path, run.path / REPORT, evaluation, data.faults, following)


def help_probe(
    path: Path,
    checkpoint: str,
    settings: Mapping[str, Any],
    kind: str,
    names: Sequence[SplitName],
    batch_size: int,
    tokens: Tokens,
) -> None:
    """Do the part of a process beside the first one: features of both encoders."""
    with world().together():
        restored = restore_encoder(path, registry(), lambda _: None, checkpoint, settings)
        elsewhere = settings["dataset.root"] is not None
        data = _data_of(restored, registry(), kind, lambda _: None, elsewhere)
        loaders = [data.loader(name, restored.preprocess, restored.device) for name in names]
    for encoder in (restored.encoder, restored.untrained(registry())):
        encoder.freeze()
        for loader in loaders:
            extract(encoder.to(loader.device), loader, batch_size, restored.dtype, tokens, world())


def _data_of(restored: RestoredEncoder, registry: Registry, kind: str, say: Say, elsewhere: bool) -> Data:
    """Return the labelled data of a run, or such that lie elsewhere."""
    spec = restored.spec
    begun = begun_with(restored.checkpoint, spec, registry, elsewhere=elsewhere)
    return Data(spec, registry, FIELDS, Faults(say, spec.data.strict), f"--probe {kind}", begun=begun)


def check_labelled(card: DataCard) -> None:
    """Raise DataError where samples have no label, or several."""
    if "label" not in card.fields or card.num_classes < 2:
        raise DataError(
            f"{card.name} has {card.num_classes} labelled classes, and --probe needs at least 2; without --probe mae "
            "eval measures what the run was trained for"
        )
    if card.multi_label:
        raise DataError(
            f"{card.name} has several labels per sample, and --probe takes one; probe it by mae finetune "
            "--freeze --head linear --init RUN"
        )


def _guess(
    kind: str,
    encoder: Encoder,
    loaders: Mapping[SplitName, Loader],
    split: SplitName,
    num_classes: int,
    batch_size: int,
    dtype: torch.dtype,
    tokens: Tokens,
    processes: World,
) -> Guess:
    """Return what a probe of a frozen encoder says of a split. Raises DataError where nothing of one can be used."""
    encoder.freeze()
    values: dict[SplitName, Tensor] = {}
    labels: dict[SplitName, Tensor] = {}
    keys: Sequence[str] = ()
    for name, loader in loaders.items():
        features = extract(encoder.to(loader.device), loader, batch_size, dtype, tokens, processes)
        if features.labels is None and len(loader.split):
            raise DataError(
                f"none of the {len(loader.split):,} {name} samples can be read and gives finite features, so --probe "
                "has nothing"
            )
        home = loader.device if loader.device.type == "cuda" else torch.device("cpu")  # mps has no float64
        values[name] = features.values.to(home)
        labels[name] = (torch.zeros(0) if features.labels is None else features.labels).long().to(home)
        keys = features.keys if name == split else keys
    if kind == "knn":
        classes = nearest_neighbours(values["train"], labels["train"], values[split], num_classes)
        return Guess(classes.cpu(), labels[split].cpu(), keys)
    fitted = choose_linear(values["train"], labels["train"], values["val"], labels["val"], num_classes)
    return Guess(fitted.predict(values[split]).cpu(), labels[split].cpu(), keys, fitted.penalty)


def _of_both(guesses: Sequence[Guess], split: str) -> list[Guess]:
    """Return guesses of the samples that both encoders give finite features of: metrics are of the same ones."""
    shared = set(guesses[0].keys).intersection(*(guess.keys for guess in guesses[1:]))
    if not shared:
        raise DataError(f"no {split} sample gives finite features with the run's encoder and with a random one")
    return [guess.among(shared) for guess in guesses]


def _name(kind: str, tokens: Tokens, part: str | int | None) -> str:
    """Return what tells the probes of one run apart: linear, knn-cls, linear-10pct, linear-4-per-class."""
    words = [kind] if tokens == "mean" else [kind, tokens]
    if part is not None and part != WHOLE:
        words.append(str(part).replace("%", "pct") if str(part).endswith("%") else f"{part}-per-class")
    return "-".join(words)


def _top1(guesses: Sequence[Guess], card: DataCard, what: str) -> Metric:
    own, random = guesses
    num, counts = len(own.labels), card.class_counts or torch.bincount(own.labels).tolist()
    majority = max(range(len(counts)), key=lambda q: (counts[q], -q))
    return Metric(
        name="top1",
        label=f"top-1 accuracy of a {what}",
        value=own.hits / num,
        unit="share",
        baselines={
            RANDOM: random.hits / num,
            f"majority ({card.classes[majority]})": float((own.labels == majority).double().mean()),
            "chance": 1 / card.num_classes,
        },
        interval=wilson_interval(own.hits, num),
    )


def _per_class(guesses: Sequence[Guess], card: DataCard) -> Table:
    own, random = guesses
    rows = []
    for q, name in enumerate(card.classes):
        num = int((own.labels == q).sum())
        rows.append((name, num, own.recall(q), random.recall(q)) if num else (name, 0, "n/a", "n/a"))
    return Table(title="Per class", columns=("class", "samples", "recall", f"recall of a {RANDOM}"), rows=tuple(rows))


def _data(tokens: Tokens, samples: str) -> str:
    pooled = "class token" if tokens == "cls" else "mean of the patch tokens"
    return (
        f"Features are the {pooled} after the last norm of the frozen encoder, of whole pictures without augmentation; "
        f"the probe is fitted to {samples}."
    )


def _method(kind: str, guesses: Sequence[Guess], num_val: int) -> str:
    if kind == "knn":
        return (
            f"kNN: the {NEIGHBOURS} nearest training samples by cosine similarity vote with weight exp(similarity / "
            f"{TEMPERATURE}), as in arXiv:1805.01978 and arXiv:2104.14294; nothing is chosen."
        )
    own, random = (guess.penalty for guess in guesses)
    how = "Linear: multinomial logistic regression on standardised features, fitted to the end by L-BFGS; the weight of"
    if not num_val:
        return f"{how} the squared norm is {own:g}, since there are no validation samples to choose it by."
    return (
        f"{how} the squared norm was chosen on validation alone from {len(PENALTIES)} between {min(PENALTIES):g} and "
        f"{max(PENALTIES):g}: {own:g} ({RANDOM}: {random:g})."
    )
