"""`mae eda`: what is in a data set, as one page and as numbers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from maecli.data.card import DataCard
from maecli.data.dataset import Dataset
from maecli.data.views.sampled import SampledSplits
from maecli.eda import gallery
from maecli.eda.advice import HowFitted, advise
from maecli.eda.examples import Augmented, Example, Gallery
from maecli.eda.findings import Findings
from maecli.eda.survey import IMAGE, Survey, survey
from maecli.errors import DataError, SpecError
from maecli.modalities.preprocess import Preprocess
from maecli.outputs.folder import check_out, new_outputs
from maecli.plan import rules
from maecli.plan.make import BELOW, can_plan
from maecli.progress import Progress, duration
from maecli.registry import Registry
from maecli.reports.eda import describe, eda_sections
from maecli.reports.page import drawing_files, render_report
from maecli.run.begin.place import data_mark, eda_directory, run_directory
from maecli.run.data.what_was_read import what_was_read
from maecli.run.environment import describe_environment
from maecli.run.open import check_task, make_dataset, open_device, preprocess_for
from maecli.run.suited import shell, suited_tasks, target_follows
from maecli.schema import AugmentSpec, RunSpec
from maecli.spec.ask import Ask
from maecli.spec.layers import flatten
from maecli.spec.recipes import parse_yaml
from maecli.spec.resolve import resolve
from maecli.storage.documents import dump_yaml
from maecli.storage.files import write_bytes, write_json, write_text
from maecli.storage.shareable import shareable

REPORT, NUMBERS, PICTURES = "report.html", "eda.json", "pictures"
WRITER = "eda"
NUM_FIRST = 5
NUM_PER_CLASS = 6
MAX_CLASSES = 40
NUM_COPIES = 12
SEEN_BY = {"pretrain": "pretraining", "finetune": "fine-tuning"}
NAMED = 3
SIZES = ("img_size", "patch_size")
"""Options of a model that decide the size at which it sees pictures."""


@dataclass(frozen=True)
class EdaResult:
    """What was found, and where the page stands."""

    out: Path
    report: Path
    findings: Findings
    next_commands: Sequence[tuple[str, str]] = ()
    """What usually follows, with what it does."""


def resolve_eda(ask: Ask, registry: Registry) -> dict[str, RunSpec]:
    """Return the specs that training on this data would have: of each verb that resolves, pretraining first.

    A task, and what `--set` says of one, is fine-tuning's.
    Raises SpecError when neither verb resolves, which is then pretraining's, and fine-tuning's whenever a task or
    something of it is given.
    """
    sets = [assignment for assignment in ask.sets if assignment.partition("=")[0].strip().split(".")[0] != "task"]
    flags = dict(ask.flags)
    name = flags.pop("finetune.task.name", None)
    task = {"task.name": name} if name is not None else {}
    asks = (
        dataclasses.replace(ask, verb="pretrain", sets=sets, flags=flags),
        dataclasses.replace(ask, verb="finetune", flags=flags | task),
    )
    specs: dict[str, RunSpec] = {}
    errors: list[SpecError] = []
    for own in asks:
        try:
            spec = resolve(own, registry)
            check_task(spec, registry)
        except SpecError as error:
            if own.verb == "finetune" and (task or len(sets) < len(ask.sets)):
                raise
            errors.append(error)  # a data set need not have a recipe for both
        else:
            specs[spec.verb] = spec
    if not specs:
        raise errors[0]
    return specs


def eda(
    specs: Mapping[str, RunSpec],
    registry: Registry,
    progress: Progress,
    *,
    overwrite: bool = False,
    samples: int | None = None,
) -> EdaResult:
    """Go over the data set of the specs (by verb), and write the page and the numbers, all of them at the end.

    `samples`: how many of its samples stand for all of more.

    Raises DataError when the data cannot be used, naming files that break a rule, and SpecError when the output
    folder holds something else.
    """
    spec = next(iter(specs.values()))
    out = eda_directory(spec, registry)
    dataset = make_dataset(spec.dataset, registry, spec.paths, progress.say)
    needed = [("--root", dataset.root)]
    check_out(out, overwrite, WRITER, needed)
    masks_wanted = any("mask" in registry.task(one.task.name).fields for one in specs.values())
    with progress:
        try:
            if samples is not None:
                dataset = SampledSplits(dataset, samples)
            card = dataset.card(IMAGE)
            preprocess, *_ = [preprocess_for(one, card, registry) for one in specs.values()]
            surveyed = survey(dataset, preprocess.modality, progress.count, masks_wanted, progress.say)
        except DataError as error:
            progress.say("checking every file against its rules")
            raise _with_all_faults(error, dataset) from error
    findings = surveyed.findings
    specs = {verb: _with_planned_size(one, findings, preprocess, registry) for verb, one in specs.items()}
    preprocess, *_ = [preprocess_for(one, card, registry) for one in specs.values()]
    num_broken = sum(each.num_broken for each in findings.pictures.values())
    for line in what_was_read(findings.card, num_among=num_broken):
        progress.say(line)
    is_part = isinstance(dataset, SampledSplits) and dataset.is_part
    advice = advise(findings, preprocess.img_size, how_fitted(preprocess), is_part=is_part)
    findings = findings.model_copy(update={"advice": tuple(advice)})
    progress.say(f"looked at {findings.card.title} in {duration(findings.seconds)}; writing the page")

    sections = eda_sections(findings, make_gallery(surveyed, dataset, specs, registry))
    environment = describe_environment(spec, registry, torch.device("cpu"), torch.float32)
    commands = next_commands(specs, findings, registry)
    page = render_report(
        f"Data set: {findings.card.title}",
        describe(findings),
        sections,
        spec_yaml=dump_yaml(_data_spec(specs)),
        environment={key: value for key, value in environment.items() if key not in ("device", "precision")},
        next_commands=commands,
    )
    with new_outputs(out, overwrite, WRITER, needed, data=data_mark(spec, registry)) as folder:
        (folder / PICTURES).mkdir()
        for name, png in drawing_files(sections).items():
            write_bytes(folder / PICTURES / name, png)
        write_json(folder / NUMBERS, shareable(findings.model_dump(mode="json")))
        write_text(folder / REPORT, page)
    return EdaResult(out, out / REPORT, findings, commands)


def _with_planned_size(spec: RunSpec, findings: Findings, preprocess: Preprocess, registry: Registry) -> RunSpec:
    """Return a spec with the size of pictures that training plans, where nobody says one, nor how long it trains."""
    said = {key for key in SIZES if spec.sources.get(f"model.{key}", BELOW) != BELOW}
    train = findings.pictures.get("train")
    if said or not preprocess.modality.pictorial or train is None or train.sizes is None or not can_plan(spec, None):
        return spec
    usual = findings.card.size or tuple(map(int, train.sizes.median))
    device = open_device(spec)[0].type
    size = rules.picture_size(usual, device, registry.task(spec.task.name).own_size)
    planned = {"img_size": [*size], "patch_size": rules.patch_size(size, device)}
    known = registry.model(spec.model.name).Options.model_fields
    own = {name: value for name, value in planned.items() if name in known}
    return spec.model_copy(update={"model": spec.model.model_copy(update=own)})


def _with_all_faults(error: DataError, dataset: Dataset) -> DataError:
    """Return the error with all files that break a rule; its sentence names the first of them."""
    try:
        known = [*dataset.all_faults()]
    except DataError:
        known = []
    complete = DataError(str(error), dict.fromkeys([*known, *error.faults]))
    others = complete.unnamed_faults
    if not others:
        return complete
    first = "; ".join(map(str, others[:NAMED]))
    more = f"; and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
    return DataError(f"{error}; besides, {first}{more}", complete.faults)


def make_gallery(surveyed: Survey, dataset: Dataset, specs: Mapping[str, RunSpec], registry: Registry) -> Gallery:
    """Return the samples to draw."""
    duplicates, card, modality = surveyed.findings.duplicates, surveyed.findings.card, surveyed.modality
    first, augmented = _augmented(surveyed, dataset, specs, registry)
    splits = {name: scan.split for name, scan in surveyed.samples.items()}
    return Gallery(
        classes=_samples_per_class(surveyed, dataset),
        first=first.examples,
        augmented=augmented,
        copies=gallery.side_by_side(duplicates.pairs if duplicates else (), splits, card, modality, NUM_COPIES),
    )


def _samples_per_class(surveyed: Survey, dataset: Dataset) -> list[tuple[str, list[Example]]]:
    """Return rows of training samples: by label, else by what their masks show, else, untitled, as they come."""
    findings, card, modality = surveyed.findings, surveyed.findings.card, surveyed.modality
    labels, masks = surveyed.labels.get("train"), surveyed.masks.get("train")
    if labels is not None and labels.rows:
        names, showing, fields = card.classes, labels.showing, ("image", "label")
    elif masks is not None and masks.masks and findings.mask_card is not None:
        card = findings.mask_card
        names, showing, fields = card.mask_classes, masks.showing, ("image", "mask")
    else:
        split = dataset.split("train", IMAGE)
        samples = gallery.examples_of(split, card, modality, range(len(split)), 6 * NUM_PER_CLASS)
        return [("", samples[i : i + NUM_PER_CLASS]) for i in range(0, len(samples), NUM_PER_CLASS)]
    split = dataset.split("train", fields)
    members = {name: showing(number) for number, name in enumerate(names)}
    frequent = sorted(members, key=lambda name: -len(members[name]))[:MAX_CLASSES]
    rows = [
        (f"{name} ({len(ids):,})", gallery.examples_of(split, card, modality, ids, NUM_PER_CLASS))
        for name, ids in members.items()
        if name in frequent
    ]
    return [(title, samples) for title, samples in rows if samples]


def _augmented(
    surveyed: Survey, dataset: Dataset, specs: Mapping[str, RunSpec], registry: Registry
) -> tuple[gallery.FirstSamples, list[Augmented]]:
    """Return the first training samples, with masks where there are any, and what each verb makes of them.

    Masks are drawn as fine-tuning changes them, and samples that were made for masks to fine-tuning alone.
    """
    card: DataCard = surveyed.findings.card
    fields: tuple[str, ...] = IMAGE
    if surveyed.findings.mask_card is not None and "train" in surveyed.findings.masks:
        card, fields = surveyed.findings.mask_card, ("image", "mask")
    first = gallery.first_samples(dataset.split("train", fields), card, surveyed.modality, NUM_FIRST)
    in_pretraining = {sample.key for sample in first.examples} <= set(surveyed.samples["train"].split.keys)
    augmented = []
    for verb, spec in specs.items() if first.ids else ():
        if verb == "pretrain" and not in_pretraining:
            continue
        preprocess = preprocess_for(spec, card, registry)
        samples = gallery.after_augmentation(first, card, preprocess, spec.augment, spec.data, spec.seed)
        if verb == "pretrain":
            samples = [Example(sample.key, sample.image) for sample in samples]
        augmented.append(Augmented(SEEN_BY[verb], describe_augment(spec.augment, preprocess, card.size), samples))
    return first, augmented


def how_fitted(preprocess: Preprocess) -> HowFitted:
    if preprocess.how == "crop":
        return "cut"
    return "in proportion" if preprocess.modality.keeps_proportions else "stretched"


def describe_augment(spec: AugmentSpec, preprocess: Preprocess, size: Sequence[int] | None = None) -> str:
    """Return the augmentation, of samples that all have a size or differ, in words."""
    target = " × ".join(map(str, preprocess.img_size))
    pixels = f"{preprocess.modality.part}s"
    uncut = {
        "in proportion": f"the centred part in the model's proportions, resized to {target}",
        "stretched": f"all of it, resized to {target}",
        "cut": "all of it" if size == preprocess.img_size else f"{target} {pixels} of it, from a place by chance",
    }
    cuts = {
        "none": uncut[how_fitted(preprocess)],
        "pad": f"resized to {target} and shifted by up to {spec.crop_padding} {pixels}",
        "random-resized": f"a random part of {spec.crop_scale[0]:.0%} to {spec.crop_scale[1]:.0%} of its {pixels}, "
        f"resized to {target}",
        "scale-jitter": f"scaled by {spec.jitter_scale[0]:g} to {spec.jitter_scale[1]:g}, a random part of {target}",
    }
    parts = [f"changed by {' then '.join(each.name for each in spec.chain)}"] if spec.chain else []
    parts += [cuts[spec.crop]]
    parts += ["mirrored half of the time"] if spec.flip else []
    parts += [f"turned by up to {spec.rotate:g}°"] if spec.rotate else []
    parts += [f"shifted by up to {spec.translate:g} pixels"] if spec.translate else []
    parts += [f"zoomed by {spec.zoom[0]:g} to {spec.zoom[1]:g}"] if spec.zoom != (1.0, 1.0) else []
    parts += [f"brightness, contrast and saturation changed by up to {spec.color:.0%}"] if spec.color else []
    return ", ".join(parts)


def _data_spec(specs: Mapping[str, RunSpec]) -> dict[str, Any]:
    """Return what the specs say of data and of the size of samples."""
    keys = ("dataset", "data", "augment")
    dumped = {verb: spec.model_dump(mode="json") for verb, spec in specs.items()}
    return {
        verb: {key: spec[key] for key in keys} | {"model": {"img_size": spec["model"].get("img_size")}}
        for verb, spec in dumped.items()
    }


def next_commands(specs: Mapping[str, RunSpec], findings: Findings, registry: Registry) -> list[tuple[str, str]]:
    """Return the commands that usually follow: pretraining, and each task that these samples can serve."""
    spec = next(iter(specs.values()))
    fields = {*findings.card.fields, *(findings.mask_card.fields if findings.mask_card else ())}
    root = spec.dataset.options.get("root")
    data = ["--dataset", spec.dataset.name, *(["--root", root] if root else []), *_set_of_dataset(spec)]
    commands, init = [], []
    if "pretrain" in specs:
        run = run_directory(specs["pretrain"].model_copy(update={"out": None}), registry)
        commands = [(shell("mae", "pretrain", *data), f"learn from the {findings.words.many}, without labels")]
        init = ["--init", run]
    does = "learn the task, from that encoder" if init else "learn the task"
    return commands + [
        (shell("mae", "finetune", *data, "--task", task, *init), does)
        for task in suited_tasks(fields, registry, ahead=target_follows(findings.card.model_dump()))
    ]


def _set_of_dataset(spec: RunSpec) -> Iterator[str]:
    """Yield the words by which a person set options of the data set, other than the folder."""
    for key, value in flatten({"dataset": spec.dataset.options}).items():
        if spec.sources.get(key) == "--set":
            yield from ("--set", f"{key}={_as_word(value, key)}")


def _as_word(value: Any, key: str) -> str:
    """Return a value as --set reads it: text in quotes where it would be read as something else, or not at all."""
    try:
        plain = isinstance(value, str) and parse_yaml(value, key) == value
    except SpecError:
        plain = False
    return value if plain else json.dumps(value)
