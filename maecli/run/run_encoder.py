"""The encoder of a run by itself: frozen, with what it needs to see pictures, and its random baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from maecli.data.card import DataCard
from maecli.data.preprocess import Preprocess
from maecli.data.randomness import derive_seed
from maecli.models.encoder import Encoder
from maecli.registry import Registry
from maecli.run.assemble import build_encoder, encoder_tensors, load_exactly, make_model, read_recorded
from maecli.run.directory import read_checkpoint
from maecli.schema import RunSpec
from maecli.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class RunEncoder:
    """A run's encoder, and what its checkpoint says of it."""

    checkpoint: Checkpoint
    spec: RunSpec
    card: DataCard
    preprocess: Preprocess
    encoder: Encoder
    baseline: Encoder
    """The same architecture with the random weights of the run's seed: what the run itself started from, or would."""


def load_run_encoder(
    path: Path, which: str, registry: Registry, say: Callable[[str], None] | None = None
) -> RunEncoder:
    """Return the frozen encoder of a run or checkpoint; decoder and head need not be there, nor the data.

    `say` is told of plugins that have another version now. Raises MaeError when tensors of the encoder are missing or
    left over.
    """
    return read_checkpoint(path, which, lambda found: _load(found, registry, say))[1]


def _load(checkpoint: Checkpoint, registry: Registry, say: Callable[[str], None] | None) -> RunEncoder:
    spec, card, preprocess = read_recorded(checkpoint, registry, say)
    model = make_model(spec.model, registry)
    torch.manual_seed(derive_seed(spec.seed, "weights"))
    baseline = build_encoder(model, preprocess)
    encoder = build_encoder(model, preprocess)
    load_exactly(encoder, encoder_tensors(checkpoint.tensors()), str(checkpoint.path))
    for each in (encoder, baseline):
        each.freeze()
    return RunEncoder(checkpoint, spec, card, preprocess, encoder, baseline)
