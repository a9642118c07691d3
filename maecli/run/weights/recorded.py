"""What a file of weights of ours records beside its tensors, as far as it has the shape that it should have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from maecli.errors import DamagedFile, MaeError
from maecli.run.directory import CHECKPOINTS, RunDirectory
from maecli.storage.documents import parse_json
from maecli.training.checkpoint import Checkpoint
from maecli.weights.files import finite_json

T = TypeVar("T")
ENCODER = "encoder."
"""What the names of an encoder's tensors begin with in our checkpoints."""


def parse_record(text: object, path: Path) -> dict[str, Any]:
    """Return the object that a file's metadata hold under `mae`. Raises DamagedFile for what is none."""
    try:
        record = finite_json(parse_json(text)) if isinstance(text, str) else None
    except ValueError as error:
        raise DamagedFile(path, f"has metadata of mae that are no JSON ({str(error)[:120]})") from error
    if not isinstance(record, dict):
        raise DamagedFile(path, "has metadata of mae that are no JSON object")
    return record


def part_of(record: Mapping[str, Any], path: Path, kind: type[T], *keys: str) -> T:
    """Return what a record holds under `keys`, one in the other. Raises DamagedFile unless it is of that kind."""
    value: Any = record
    for number, key in enumerate(keys, 1):
        if not isinstance(value, Mapping) or key not in value:
            raise DamagedFile(path, f"has metadata of mae without {'.'.join(keys[:number])}")
        value = value[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise DamagedFile(path, f"has metadata of mae whose {'.'.join(keys)} is no {kind.__name__}")
    return value


def model_of(record: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], int, tuple[int, ...]]:
    """Return the name and options of a record's model, and the channels and size it works at. Raises DamagedFile."""
    model = part_of(record, path, dict, "spec", "model")
    part_of(model, path, str, "name")
    channels = part_of(record, path, int, "preprocess", "in_chans")
    size = part_of(record, path, list, "preprocess", "img_size")
    if channels < 1 or not size or not all(type(length) is int and length > 0 for length in size):
        raise DamagedFile(path, f"has metadata of mae with {channels} channels and the size {str(size)[:60]}")
    return model, channels, tuple(size)


def alpha_of(record: Mapping[str, Any], path: Path) -> float | None:
    """Return the scale of a record's adapters; None of a run without them. Raises DamagedFile."""
    adapted = part_of(record, path, dict, "spec").get("adapt") is not None
    return part_of(record, path, float, "spec", "adapt", "alpha") if adapted else None


def cells_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the cells of a record's rows; none of samples of another kind."""
    card = record.get("card")
    cells = card.get("cells") if isinstance(card, Mapping) else None
    return tuple(map(str, cells)) if isinstance(cells, list) else ()


def with_own_paths(spec: Mapping[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a recorded spec with the root of the data, and where its paths lead, as `spec.yaml` of its run has them.

    A checkpoint, which may be passed on, does not name a person's home; a run that stays where it is does.
    """
    try:
        own = RunDirectory(checkpoint.path.parent.parent).read_spec()
    except MaeError:
        return dict(spec)
    if own["dataset"]["name"] != spec["dataset"]["name"] or checkpoint.path.parent.name != CHECKPOINTS:
        return dict(spec)
    dataset = {**spec["dataset"], "root": own["dataset"].get("root")}
    return {**spec, "dataset": dataset, "paths": own.get("paths") or []}


def encoder_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's of a checkpoint's tensors, under their names in the encoder."""
    return {name.removeprefix(ENCODER): tensor for name, tensor in tensors.items() if name.startswith(ENCODER)}
