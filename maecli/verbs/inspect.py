"""`mae inspect`: what does a checkpoint contain? Nothing in it is run."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from maecli.errors import DamagedFile, MaeError, SpecError
from maecli.registry import registry
from maecli.run.checkpoint import read_checkpoint
from maecli.run.directory import SPEC
from maecli.run.exported.file import refuse_exported_file
from maecli.run.plugins_used import changes, missing
from maecli.run.weights.initial import weights_file
from maecli.run.weights.recorded import ENCODER, model_of, parse_record, part_of
from maecli.text import number_of
from maecli.training.base import BASE
from maecli.training.checkpoint import MODEL, Checkpoint, DamagedCheckpoint, notes_on
from maecli.weights.choose import choose, encoder_names, with_all_encoders
from maecli.weights.files import WeightFile, read_weights
from maecli.weights.formats import import_encoder
from maecli.weights.hub import told_by_name
from maecli.weights.implementations import recognise

_NUMBER = re.compile(r"((?:^|\.|layer_))\d+(?=\.)")
"""The number of a block or layer within a name; what ends a part, as in norm1, is none."""
_HEADS = ("head.weight", "heads.head.weight", "classifier.weight")
"""The last layers of other implementations' classifiers, (classes, D)."""


@dataclass(frozen=True)
class Group:
    """Tensors of one shape and dtype whose names differ in numbers only."""

    name: str
    """With * for the numbers."""
    num: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Inspection:
    """What a checkpoint contains."""

    path: Path
    format: str
    kind: str
    """How the file is written: safetensors or torch."""
    under: str
    """The entry that holds the tensors, where there are several."""
    encoders: tuple[str, ...]
    """What can be chosen by FILE#NAME: the encoders of another implementation."""
    num_tensors: int
    num_parameters: int
    num_bytes: int
    architecture: Mapping[str, Any]
    """What the tensors, or the metadata of a checkpoint of ours, tell of the model; empty if that is unknown."""
    notes: tuple[str, ...]
    groups: tuple[Group, ...]
    metadata: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"path": str(self.path)}


def inspect_weights(path: Path, checkpoint: str = "last") -> Inspection:
    """Describe a run's checkpoint, a folder or a file of weights, or one of the encoders in it.

    Raises SpecError, or MaeError if it is damaged.
    """
    refuse_exported_file(path, registry())
    if not (path / SPEC).is_file():
        file, choice = weights_file(path, checkpoint)
        with told_by_name(path):
            return _inspected(file, choice)

    def look(one: Checkpoint) -> Inspection:
        try:
            return _inspected(one.path / MODEL, "")
        except (MaeError, OSError) as error:
            if one.path.exists():
                raise
            raise DamagedCheckpoint(str(error)) from error  # it was removed, by a run that is being trained

    return read_checkpoint(path, checkpoint, look)


def _inspected(where: Path, choice: str) -> Inspection:
    file = read_weights(where)
    metadata = _metadata(file)
    notes: list[str] = []
    encoders: tuple[str, ...] = ()
    if "spec" in metadata:
        saved = Checkpoint(file.path.parent).tensors(file.path.name)  # raises where they are not what was saved
        file = dataclasses.replace(file, tensors=saved, parts={})
        notes += notes_on(Checkpoint(file.path.parent)) if file.path.name == MODEL else []
        form, architecture = f"mae, format {metadata.get('format_version')}", _recorded(metadata, file)
        if BASE in metadata:
            left_out = number_of(len(part_of(metadata, file.path, list, BASE, "tensors")), "tensor")
            source = part_of(metadata, file.path, str, BASE, "source")
            notes.append(f"leaves out {left_out} of the encoder, which are in {source}")
        notes += [f"made with {line}" for line in missing(metadata, registry())]
        notes += changes(metadata, registry(), "this checkpoint")
    else:
        encoders = encoder_names(file)
        file = _chosen(file, choice, notes)
        recognised = recognise(file.tensors)
        form = recognised.title if recognised else f"{len(encoders)} encoders" if encoders else "unknown"
        architecture = _deduced(file, notes) if recognised else {}
    tensors = file.tensors.values()
    return Inspection(
        path=file.path,
        format=form,
        kind=file.kind,
        under=file.under,
        encoders=encoders,
        num_tensors=len(file.tensors),
        num_parameters=sum(tensor.numel() for tensor in tensors),
        num_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        architecture=architecture,
        notes=tuple(notes),
        groups=group_tensors(file.tensors),
        metadata=metadata,
    )


def _chosen(file: WeightFile, choice: str, notes: list[str]) -> WeightFile:
    """Return the encoder that is meant, or, where none of several was named, all of them with a note."""
    try:
        return choose(file, choice)
    except SpecError as error:
        if choice:
            raise
        notes.append(str(error))
        return with_all_encoders(file)


def group_tensors(tensors: Mapping[str, Tensor]) -> tuple[Group, ...]:
    """Return the tensors with the numbers of blocks and layers left open, in the order of their first names."""
    numbers: dict[tuple[str, tuple[int, ...], str], int] = {}
    for name, tensor in tensors.items():
        key = (_NUMBER.sub(r"\1*", name), tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        numbers[key] = numbers.get(key, 0) + 1
    return tuple(Group(name, num, shape, dtype) for (name, shape, dtype), num in numbers.items())


def _metadata(file: WeightFile) -> dict[str, Any]:
    """Return what lies beside the tensors; of ours, parsed."""
    beside = dict(file.beside)
    ours = parse_record(beside.pop("mae"), file.path) if file.kind == "safetensors" and "mae" in beside else {}
    if not isinstance(ours.get("plugins") or [], list):
        raise DamagedFile(file.path, "has metadata of mae whose plugins are no list")
    config = {"config.json": file.config} if file.config else {}
    return beside | config | ours


def _recorded(metadata: Mapping[str, Any], file: WeightFile) -> dict[str, Any]:
    """Return the architecture that one of our checkpoints records. Raises DamagedFile."""
    model, in_chans, img_size = model_of(metadata, file.path)
    card = part_of(metadata, file.path, dict, "card")
    options = {key: value for key, value in model.items() if key not in ("name", "img_size")}
    has_head = any(name.startswith("head.") for name in file.tensors)
    classes = {key: part_of(card, file.path, list, key) for key in ("classes", "mask_classes")}
    return {
        "model": model["name"],
        **options,
        "img_size": list(img_size),
        "in_chans": in_chans,
        "task": part_of(metadata, file.path, str, "task"),
        **{key: (len(names) or None) if has_head else None for key, names in classes.items()},
        "encoder_parameters": sum(tensor.numel() for name, tensor in file.tensors.items() if name.startswith(ENCODER)),
        "decoder": any(name.startswith("decoder.") for name in file.tensors),
    }


def _deduced(file: WeightFile, notes: list[str]) -> dict[str, Any]:
    """Return the architecture of another implementation's vision transformer."""
    try:
        weights = import_encoder(file)
    except SpecError as error:
        notes.append(str(error))
        return {}
    if weights.num_heads is None:
        notes.append("num_heads is not recorded; what models of this width have is shown")
    notes += weights.changed
    if weights.pixels is not None:
        notes.append(f"its pixels were normalised by {weights.pixels}, which a run that starts from it does too")
    sizes = [cells * patch for cells, patch in zip(weights.grid, weights.patch_size, strict=False)]
    heads = [tensor for name, tensor in file.tensors.items() if name.endswith(_HEADS) and tensor.ndim == 2]
    return {
        **weights.model_options(),
        "img_size": sizes or None,
        "in_chans": weights.in_chans,
        "classes": heads[-1].shape[0] if heads else None,
        "encoder_parameters": sum(tensor.numel() for tensor in weights.tensors.values()),
        "decoder": any("decoder" in name for name in file.tensors),
    }
