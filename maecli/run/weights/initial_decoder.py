"""The decoder that a pretraining may take over with the encoder that it starts from, so that it goes on where that was.

Shapes: N patches, P values per patch, C channels, E embed_dim of the decoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from maecli.models.encoder import Encoder
from maecli.models.mae import Decoder
from maecli.models.positions import interpolate_pos_embed
from maecli.run.weights.initial_head import KeptHead
from maecli.training.checkpoint import check_finite
from maecli.training.task import Task
from maecli.weights.decoder_weights import DecoderWeights

DECODER = "decoder."
"""What the names of a decoder's tensors begin with in our checkpoints."""


def recorded_decoder(
    metadata: Mapping[str, Any], tensors: Mapping[str, Tensor], encoder: Encoder, source: str, cells: tuple[str, ...]
) -> DecoderWeights | None:
    """Return the decoder of a pretrained run of ours, None where it has none."""
    own = {name.removeprefix(DECODER): tensor for name, tensor in tensors.items() if name.startswith(DECODER)}
    if metadata.get("verb") != "pretrain" or not own:
        return None
    try:
        options = metadata["spec"]["task"]
        return DecoderWeights(
            source, own, encoder.patch_size, encoder.in_chans, encoder.grid, options, len(own), options["name"], cells
        )
    except (KeyError, TypeError):
        return None


def keep_decoder(
    task: Task[Any], module: nn.Module, weights: DecoderWeights | None, cells: Sequence[str] = ()
) -> KeptHead:
    """Give a new module the decoder that came with an encoder, whole or not at all, and return what became of it.

    It stays new where it was trained for another task, or has another form. Positions of another grid are interpolated;
    of other channels each predicts their mean, as the encoder reads their sum. Empty for a module without a decoder.
    """
    decoder, encoder = getattr(module, "decoder", None), module.get_submodule("encoder")
    if not isinstance(decoder, Decoder) or not isinstance(encoder, Encoder):
        return KeptHead()
    if weights is None:
        return KeptHead("decoder: new, since the weights have none")
    if reason := _another(task, encoder, weights, cells):
        return KeptHead(f"decoder: new, since {reason}")
    own = decoder.state_dict()
    given, done = _adapted(weights, encoder)
    given = {"pos_embed": own["pos_embed"], **given}
    if {name: tensor.shape for name, tensor in own.items()} != {name: tensor.shape for name, tensor in given.items()}:
        return KeptHead(f"decoder: new, since that of {weights.source} has another form")
    check_finite(given, weights.source)
    decoder.load_state_dict(given)
    return KeptHead(f"decoder: all {len(own)} tensors{done}", weights.num_others)


def _another(task: Task[Any], encoder: Encoder, weights: DecoderWeights, cells: Sequence[str]) -> str:
    """Return in words why a decoder means something else here, empty where it does not."""
    if weights.task not in ("", task.name):
        return f"{weights.source} learnt the task {weights.task}"
    options = task.options.model_dump(mode="json")
    for name in task.head_options:
        if name in weights.options and options[name] != weights.options[name]:
            return f"task.{name} is {options[name]}, and was {weights.options[name]} in {weights.source}"
    if weights.cells != tuple(cells):
        return f"the columns are not those of {weights.source}"
    return "" if weights.patch_size == encoder.patch_size else "its patches have another size"


def _adapted(weights: DecoderWeights, encoder: Encoder) -> tuple[dict[str, Tensor], str]:
    """Return a decoder's tensors for the grid and the channels of an encoder, and what was done, in words."""
    tensors, done = dict(weights.tensors), []
    pos_embed = tensors.get("pos_embed")
    if pos_embed is not None and weights.grid != encoder.grid and len(weights.grid) == len(encoder.grid):
        tensors["pos_embed"] = interpolate_pos_embed(pos_embed, weights.grid, encoder.grid)
        done.append("positions interpolated")
    if weights.in_chans != encoder.in_chans:
        num = torch.Size(weights.patch_size).numel() * weights.in_chans
        for name in ("pred.weight", "pred.bias"):
            if name in tensors and len(tensors[name]) == num:
                tensors[name] = _change_channels(tensors[name], weights.in_chans, encoder.in_chans)
        done.append(f"predictions of {weights.in_chans} channels averaged")
    return tensors, f" ({', '.join(done)})" if done else ""


def _change_channels(tensor: Tensor, before: int, now: int) -> Tensor:
    """Return rows of patches, channel fastest (P, …), for other channels: each is the mean of those before."""
    apart = tensor.reshape(-1, before, *tensor.shape[1:]).mean(1, keepdim=True)
    return apart.expand(-1, now, *tensor.shape[1:]).reshape(-1, *tensor.shape[1:])
