"""What `--init` names: a run of ours, one of its checkpoints, or a file of another implementation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from maecli.models.encoder import Encoder
from maecli.registry import Registry
from maecli.run.assemble import encoder_tensors, make_model
from maecli.run.directory import SPEC, find_checkpoint, read_checkpoint
from maecli.run.plugins_used import missing_packages, recorded_in, tell_changes
from maecli.run.recorded import parse_record, part_of, sizes_of
from maecli.schema import PluginSection
from maecli.training.checkpoint import MODEL, Checkpoint, check_finite, notes_on
from maecli.weights.encoder_weights import EncoderWeights, heads_of
from maecli.weights.files import find_weights, read_metadata, read_weights
from maecli.weights.formats import import_encoder


def weights_file(path: Path, which: str = "last") -> Path:
    """Return the file of weights that a path means: that of a run's checkpoint, of a folder, or the path itself."""
    path = path.expanduser()
    return find_checkpoint(path, which).path / MODEL if (path / SPEC).is_file() else find_weights(path)


def is_ours(file: Path) -> bool:
    """Whether a file of weights was written by mae, so that it says what its tensors are."""
    recorded = read_metadata(file).get("mae")
    return recorded is not None and "spec" in parse_record(recorded, file)


def offered_spec(path: Path) -> dict[str, Any]:
    """Return what `--init` says of the run to come: the spec of a run, or the model that a foreign file is for.

    Such a model has options and no name: any vision transformer that has these options will do.
    """
    file = weights_file(path)
    if is_ours(file):
        metadata = Checkpoint(file.parent).metadata(file.name)
        spec: dict[str, Any] = part_of(metadata, file, dict, "spec")
        part_of(metadata, file, dict, "spec", "data")
        for section in ("dataset", "model"):
            part_of(metadata, file, str, "spec", section, "name")
        return spec
    return {"model": import_encoder(read_weights(file)).model_options()}


def initial_weights(path: Path, registry: Registry, say: Callable[[str], None] | None = None) -> EncoderWeights:
    """Return the encoder that `--init` names, under our names.

    `say` is told of plugins of a run of ours that have another version now.
    """
    path = path.expanduser()
    if (path / SPEC).is_file():  # perhaps one that is being trained
        return read_checkpoint(path, "last", lambda found: _of_run(found.path / MODEL, registry, say))[1]
    file = weights_file(path)
    weights = _of_run(file, registry, say) if is_ours(file) else import_encoder(read_weights(file))
    check_finite(weights.tensors, weights.source)
    return weights


def _of_run(file: Path, registry: Registry, say: Callable[[str], None] | None) -> EncoderWeights:
    """Return the encoder of one of our checkpoints; its shape is that of the encoder that the metadata describe."""
    checkpoint = Checkpoint(file.parent)
    tensors = checkpoint.tensors(file.name)
    metadata = checkpoint.metadata(file.name)
    with missing_packages(recorded_in(metadata), file):
        encoder = _recorded_encoder(metadata, file, registry)
    tell_changes(metadata, registry, file, say)
    if say is not None:
        for note in notes_on(checkpoint) if file.name == MODEL else ():
            say(note)
    own = encoder_tensors(tensors)
    check_finite(own, file)
    return EncoderWeights(
        source=str(checkpoint.path if file.name == MODEL else file),
        format="",
        tensors=own,
        patch_size=encoder.patch_size,
        in_chans=encoder.in_chans,
        grid=encoder.grid,
        num_heads=heads_of(encoder),
        num_others=len(tensors) - len(own),
    )


def _recorded_encoder(metadata: dict[str, Any], file: Path, registry: Registry) -> Encoder:
    """Return an encoder as the metadata of a checkpoint describe it, with random weights. Raises DamagedFile.

    The random numbers of the process go on as if it had not been built.
    """
    section = part_of(metadata, file, dict, "spec", "model")
    part_of(section, file, str, "name")
    in_chans, img_size = sizes_of(metadata, file)
    model = make_model(PluginSection(**section), registry)
    with torch.random.fork_rng(devices=[]):
        return model.build(in_chans, img_size)
