"""The weights that a checkpoint of adapters leaves out: what they are in a new run, and where they are found again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from maecli.errors import MaeError, SpecError
from maecli.models.encoder import Encoder
from maecli.run.data.paths import absolute
from maecli.run.weights.recorded import ENCODER, part_of
from maecli.storage.shareable import shareable
from maecli.training.base import BASE, Base, CheckpointOnBase
from maecli.training.checkpoint import MODEL, Checkpoint, checksum_of_tensors
from maecli.weights.encoder_weights import EncoderWeights
from maecli.weights.files import split_choice
from maecli.weights.hub_names import hub_name

WAY = "say where they are: --base PATH to use the run, --init PATH to resume it"
WAY_ON = (
    "put them back there, or write the whole of it with mae export and --base PATH, in a format of weights, and start "
    "from that"
)
"""For who starts another run from it."""


def base_of(encoder: Encoder, weights: EncoderWeights) -> Base:
    """Return what an encoder took from weights as it is, and does not change; what was adapted to it is its own."""
    kept = {
        ENCODER + name: weights.tensors[name]
        for name, own in encoder.named_parameters()
        if not own.requires_grad and name in weights.tensors
        if torch.equal(own.detach().cpu(), weights.tensors[name].to(own.dtype))
    }
    return Base(_source(weights), kept)


def on_base(
    checkpoint: Checkpoint,
    read: Callable[[Path], EncoderWeights],
    init: Path | None,
    file: str = MODEL,
    way: str = WAY,
) -> Checkpoint:
    """Return a checkpoint with the weights that it leaves out, if it does; `way` says what to do where they are gone.

    They are looked for in `init`, where that is another than the one which the run recorded, as when a person says
    where they are now; else where they were when it began. Raises SpecError in the first case and MaeError in the
    second, where they are not there or not the ones that the adapters belong to.
    """
    metadata = checkpoint.metadata(file)
    if BASE not in metadata:
        return checkpoint
    path = checkpoint.path / file
    source, checksum = (part_of(metadata, path, str, BASE, key) for key in ("source", "checksum"))
    names = part_of(metadata, path, list, BASE, "tensors")
    told = init is not None and str(shareable(str(init))) != metadata["spec"].get("init")
    place = init if told and init is not None else _place(source, init)
    kind = SpecError if told else MaeError
    if place is None:
        raise kind(f"{checkpoint.path} holds adapters alone, and the weights of {source} are not there; {way}")
    weights = read(place)
    tensors = {name: weights.tensors[own] for name in names if (own := name.removeprefix(ENCODER)) in weights.tensors}
    if len(tensors) < len(names) or checksum_of_tensors(tensors) != checksum:
        raise kind(
            f"{checkpoint.path} holds adapters of other weights than those of {place}: their checksum is not that of "
            f"{source}; {way}"
        )
    return CheckpointOnBase.of(checkpoint, Base(_source(weights), tensors))


def _source(weights: EncoderWeights) -> str:
    return str(shareable(str(absolute(Path(weights.source)))))


def _place(source: str, init: Path | None) -> Path | None:
    """Return where weights are: the very checkpoint or file of them, else what `--init` named; None for neither."""
    for place in (Path(source).expanduser(), init.expanduser() if init is not None else None):
        if place is not None and (hub_name(place) is not None or split_choice(place)[0].exists()):
            return place
    return None
