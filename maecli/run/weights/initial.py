"""What `--init` names: a run of ours, one of its checkpoints, or a file of another implementation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from maecli.errors import SpecError
from maecli.models.encoder import Encoder
from maecli.models.lora import merged_tensors
from maecli.registry import Registry
from maecli.run.checkpoint import read_checkpoint
from maecli.run.data.paths import INIT, place_of
from maecli.run.directory import SPEC, Say
from maecli.run.exported.file import refuse_exported_file
from maecli.run.open import Built, make_model
from maecli.run.plugins_used import missing_packages, tell_changes
from maecli.run.weights.base import WAY, WAY_ON, base_of, on_base
from maecli.run.weights.from_hub import check_unchanged, hub_lines
from maecli.run.weights.initial_card import file_of
from maecli.run.weights.initial_decoder import keep_decoder, recorded_decoder
from maecli.run.weights.initial_head import RecordedHead, keep_head
from maecli.run.weights.pixels import normalised_as
from maecli.run.weights.recorded import (
    ENCODER,
    alpha_of,
    cells_of,
    encoder_tensors,
    model_of,
    parse_record,
    part_of,
    with_own_paths,
)
from maecli.schema import PluginSection
from maecli.spec.recipes import UNCHOSEN
from maecli.training.checkpoint import MODEL, Checkpoint, check_finite, notes_on
from maecli.weights.decoder_weights import DecoderWeights
from maecli.weights.encoder_weights import EncoderWeights, heads_of
from maecli.weights.files import read_metadata, read_weights, split_choice
from maecli.weights.fit import load_encoder_weights
from maecli.weights.formats import import_encoder
from maecli.weights.hub import told_by_name

Behind = RecordedHead | DecoderWeights | None
"""What weights hold behind the encoder: the head of a fine-tuned run of ours, the decoder of a masked autoencoder."""

GOES_ON = (
    "weights that were learnt before are trained on at the rate of a training from nothing; a lower train.base_lr and "
    "a shorter warm-up, or a recipe that goes on with weights (mae recipes), keep more of them"
)
"""Of a pretraining whose rate neither a person nor a recipe says."""


def weights_file(path: Path, checkpoint: str = "last") -> tuple[Path, str]:
    """Return the file of weights that a path means, and which of its encoders: `FILE#teacher` has its teacher's.

    The file is that of a run's checkpoint, of a folder, or the path itself.
    """
    with told_by_name(path):
        path, choice = split_choice(path)
        file = file_of(path, checkpoint)
        if is_ours(file):
            _check_one_encoder(path, choice)
        return file, choice


def _check_one_encoder(path: Path, choice: str) -> None:
    if choice not in ("", ENCODER.removesuffix(".")):
        raise SpecError(f"{path} was written by mae and holds one encoder; give it without #{choice}")


def is_ours(file: Path) -> bool:
    """Whether a file of weights was written by mae, so that it says what its tensors are."""
    recorded = read_metadata(file).get("mae")
    return recorded is not None and "spec" in parse_record(recorded, file)


def offered_spec(path: Path) -> dict[str, Any]:
    """Return what `--init` says of the run to come: the spec of a run, or the model that a foreign file is for.

    Such a model has options and no name: any vision transformer that has these options will do.
    """
    file, choice = weights_file(path)
    if is_ours(file):
        metadata = Checkpoint(file.parent).metadata(file.name)
        spec: dict[str, Any] = part_of(metadata, file, dict, "spec")
        part_of(metadata, file, dict, "spec", "data")
        for section in ("dataset", "model"):
            part_of(metadata, file, str, "spec", section, "name")
        return with_own_paths(spec, Checkpoint(file.parent))
    with told_by_name(path):
        return import_encoder(read_weights(file), choice).offer()


def start_encoder(built: Built, say: Say, resuming: bool = False) -> str:
    """Give the encoder of a new run the weights of `--init`, and return in words what it starts from.

    Of a run of the same task it gets the rows of the head, too, whose classes are known by name; to pretrain on, the
    decoder that came with the weights.
    To resume they need not be there. `say` is told of plugins of a run of ours that have another version now.
    """
    spec, start, behind = built.spec, "from scratch", ""
    if spec.init is not None and resuming:
        start = f"encoder from {spec.init}"
    elif spec.init is not None:
        check_unchanged(spec)
        start, behind = _take_over(built, place_of(INIT, spec.init, spec.paths, say) or spec.init, say)
    if spec.train.freeze:
        start = "random encoder, frozen" if spec.init is None else f"{start}, frozen"
    if num := spec.train.freeze_blocks:
        start += f", frozen up to block {num}"
    if spec.adapt is not None:
        start += f", adapted by LoRA of rank {spec.adapt.rank}"
    return "; ".join(filter(None, (start, behind)))


def _take_over(built: Built, path: Path, say: Say) -> tuple[str, str]:
    """Give a new module the weights that a path names; return in words what became of its encoder and of the rest."""
    for line in hub_lines(path):
        say(line)
    if built.spec.verb == "pretrain" and built.spec.sources.get("train.base_lr") in UNCHOSEN:
        say(GOES_ON)
    spec, cells = built.spec, built.card.cells
    weights, recorded = initial_weights(path, built.data.registry, say)
    if isinstance(recorded, RecordedHead):
        kept = keep_head(built.task, built.module, recorded)
    else:
        kept = keep_decoder(built.task, built.module, recorded, cells)
    weights = replace(weights, num_others=weights.num_others - kept.num_tensors)
    encoder = cast(Encoder, built.module.get_submodule("encoder"))
    start = load_encoder_weights(encoder, weights, spec.init_partial, cells)
    if spec.adapt is not None:
        built.base = base_of(encoder, weights)
    return "; ".join(filter(None, (start, normalised_as(weights.pixels, built.preprocess)))), kept.words


def initial_weights(path: Path, registry: Registry, say: Say) -> tuple[EncoderWeights, Behind]:
    """Return the encoder that `--init` names, under our names, and what stood behind it."""
    run, choice = split_choice(path)
    refuse_exported_file(run, registry)
    if (run / SPEC).is_file():  # perhaps one that is being trained
        _check_one_encoder(run, choice)
        return read_checkpoint(run, "last", lambda checkpoint: _of_run(checkpoint.path / MODEL, registry, say))
    file, choice = weights_file(path)
    if is_ours(file):
        return _of_run(file, registry, say)
    with told_by_name(path):
        weights = import_encoder(read_weights(file), choice)
        check_finite(weights.tensors, weights.source)
    return weights, weights.decoder


def whole(
    checkpoint: Checkpoint, init: Path | None, registry: Registry, say: Say, file: str = MODEL, way: str = WAY
) -> Checkpoint:
    """Return a checkpoint with the weights that it leaves out, if it does, of what `--init` names; see `on_base`."""
    return on_base(checkpoint, lambda path: initial_weights(path, registry, say)[0], init, file, way)


def _of_run(file: Path, registry: Registry, say: Say) -> tuple[EncoderWeights, Behind]:
    """Return the encoder of one of our checkpoints, and what stands behind it; it may have been copied elsewhere.

    Of the plugins that the run used, its model alone has to be installed: the new run has a task and data of its own.
    """
    checkpoint = Checkpoint(file.parent)
    metadata = checkpoint.metadata(file.name)
    init = part_of(metadata, file, dict, "spec").get("init")
    place = Path(init) if init else None
    tensors = whole(checkpoint, place, registry, say, file.name, WAY_ON).tensors(file.name)
    with missing_packages(metadata, file):
        model, in_chans, img_size = model_of(metadata, file)
        with torch.random.fork_rng(devices=[]):  # the random numbers of the process go on as if it had not been built
            encoder = make_model(PluginSection(**model), registry).build(in_chans, img_size)
    tell_changes(metadata, registry, file, say)
    for note in notes_on(checkpoint) if file.name == MODEL else ():
        say(note)
    own = encoder_tensors(tensors)
    if (alpha := alpha_of(metadata, file)) is not None:
        own = merged_tensors(own, alpha)
    check_finite(own, file)
    source = str(checkpoint.path if file.name == MODEL else file)
    weights = EncoderWeights(
        source=source,
        format="",
        tensors=own,
        patch_size=encoder.patch_size,
        in_chans=encoder.in_chans,
        grid=encoder.grid,
        num_heads=heads_of(encoder),
        activation=getattr(encoder, "activation", None),
        rotary=getattr(encoder, "rotary", None),
        cells=cells_of(metadata),
        num_others=len(tensors) - len(own),
    )
    behind = RecordedHead.read(metadata, tensors, source)
    return weights, behind or recorded_decoder(metadata, tensors, encoder, source, weights.cells)
