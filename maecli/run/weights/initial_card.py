"""What the run of `--init` recorded of its data, before its weights are read."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from maecli.data.card import DataCard
from maecli.errors import MaeError
from maecli.run.checkpoint import find_checkpoint, read_checkpoint
from maecli.run.data.paths import INIT, place_of
from maecli.run.directory import SPEC
from maecli.schema import RunSpec
from maecli.training.checkpoint import MODEL, Checkpoint
from maecli.weights.files import find_weights, split_choice


def file_of(path: Path, checkpoint: str = "last") -> Path:
    """Return the file of weights that a path means: that of a run's checkpoint, of a folder, or the path itself."""
    return find_checkpoint(path, checkpoint).path / MODEL if (path / SPEC).is_file() else find_weights(path)


def initial_card(spec: RunSpec) -> DataCard | None:
    """Return the card of the run that a run starts from; None without one, and where others made the weights.

    What is wrong with a file of weights is told when they are read.
    """
    if spec.init is None:
        return None
    path, _ = split_choice(place_of(INIT, spec.init, spec.paths) or spec.init)
    try:
        if (path / SPEC).is_file():  # perhaps one that is being trained
            return read_checkpoint(path, "last", lambda checkpoint: _card(checkpoint, MODEL))
        file = file_of(path)
        return _card(Checkpoint(file.parent), file.name)
    except (MaeError, OSError, KeyError, TypeError, ValidationError):
        return None


def _card(checkpoint: Checkpoint, name: str) -> DataCard:
    return DataCard.model_validate(checkpoint.metadata(name)["card"])
