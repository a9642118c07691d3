"""Starting an encoder from weights: what fits is taken, what can be adapted is adapted, the rest is told or refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from maecli.errors import SpecError
from maecli.models.encoder import Encoder
from maecli.models.lora import is_lora
from maecli.models.positions import interpolate_pos_embed
from maecli.text import number_of, some
from maecli.weights.adapt import (
    change_channels,
    describe_size,
    first_channels,
    kernel_of_linear,
    linear_of_kernel,
    resize_kernel,
)
from maecli.weights.encoder_weights import EncoderWeights, heads_of

MAX_NAMED = 3
"""Tensors that a message names of many."""


@dataclass
class _Adaptation:
    """Tensors brought to an encoder's shape, the names of the changed ones, and what was done, in words."""

    tensors: dict[str, Tensor]
    names: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    def change(self, name: str, tensor: Tensor, *done: str) -> None:
        self.tensors[name] = tensor
        self.names.add(name)
        self.done += [each for each in done if each not in self.done]


def load_encoder_weights(
    encoder: Encoder, weights: EncoderWeights, partial: bool = False, cells: Sequence[str] = ()
) -> str:
    """Start an encoder from weights; return a sentence with the numbers of tensors that matched or not.

    Positions of another grid are interpolated, or where `cells` and those of the weights have names taken by these;
    kernels of another patch size are resampled, those of another number of channels summed or shared out. Raises
    SpecError when a tensor of either side has no counterpart, unless `partial` allows it; when nothing fits; and when
    the attention heads, which no tensor shows, differ.
    """
    _check_heads(encoder, weights)
    _check_unseen(encoder, weights)
    own = {name: tensor for name, tensor in encoder.state_dict().items() if not is_lora(name)}
    adapted = _adapt(encoder, own, weights, cells)
    given = adapted.tensors
    fitting = {name for name in own.keys() & given.keys() if own[name].shape == given[name].shape}
    new, left_over = [name for name in own if name not in fitting], [name for name in given if name not in fitting]
    if not fitting or ((new or left_over) and not partial):
        raise SpecError(_mismatch(own, given, new, left_over, weights, partial))
    encoder.load_state_dict({name: given[name] for name in fitting}, strict=False)
    names = adapted.names & fitting
    source = f"{weights.source} ({weights.format})" if weights.format else weights.source
    done = f" ({', '.join(adapted.done)})" if names else ""
    sentence = (
        f"encoder from {source}: {number_of(len(fitting) - len(names), 'tensor')} matched, {len(names)} adapted{done}, "
        f"{_some(new, 'new')}, {_left_over(left_over, weights.num_others)}"
    )
    notes = _norms(encoder, weights)
    if weights.num_heads is None and (heads := heads_of(encoder)):
        notes.append(f"the file does not record its attention heads, {heads} are taken (--set model.num_heads=…)")
    return "; ".join([sentence, *notes])


def _check_heads(encoder: Encoder, weights: EncoderWeights) -> None:
    heads = heads_of(encoder)
    if heads and weights.num_heads and heads != weights.num_heads:
        raise SpecError(
            f"model.num_heads ({heads}) must be {weights.num_heads}, as in {weights.source}: with another number its "
            "weights would fit and mean something else"
        )


def _check_unseen(encoder: Encoder, weights: EncoderWeights) -> None:
    """Raise SpecError where an encoder computes otherwise than the weights were trained for, which no tensor shows."""
    unseen: dict[str, tuple[Any, Any]] = {"rotary": (getattr(encoder, "rotary", None), weights.rotary)}
    if weights.activation is not None and hasattr(encoder, "activation"):
        unseen["activation"] = (encoder.activation, weights.activation)
    for name, (here, there) in unseen.items():
        if here != there:
            raise SpecError(
                f"model.{name} ({here}) must be {there}, as in {weights.source}: with another its weights would fit "
                "and mean something else"
            )


def _norms(encoder: Encoder, weights: EncoderWeights) -> list[str]:
    """Return a sentence where layer norms add less to the variance than those that the weights were trained with."""
    own = next((module.eps for module in encoder.modules() if isinstance(module, nn.LayerNorm)), None)
    if own is None or weights.norm_eps in (None, own):
        return []
    return [f"its layer norms add {weights.norm_eps:g} to the variance, ours {own:g}"]


def _adapt(encoder: Encoder, own: dict[str, Tensor], weights: EncoderWeights, cells: Sequence[str]) -> _Adaptation:
    changed = {name for names in weights.changed.values() for name in names}
    adaptation = _Adaptation(dict(weights.tensors), changed, list(weights.changed))
    if cells and weights.cells and math.prod(encoder.grid) == len(cells):
        _adapt_to_cells(adaptation, encoder, own, weights, cells)
        return adaptation
    _adapt_positions(adaptation, encoder, own, weights)
    if weights.in_chans:
        _adapt_kernels(adaptation, encoder, own, weights)
    return adaptation


def _adapt_to_cells(
    adaptation: _Adaptation, encoder: Encoder, own: dict[str, Tensor], weights: EncoderWeights, cells: Sequence[str]
) -> None:
    """Give each cell the position of the cell of its name, and one that the weights do not know a new position.

    Channels mean the same in any table: the first ones are kept.
    """
    known = {name: place for place, name in enumerate(weights.cells)}
    if not known.keys() & set(cells):
        theirs, ours = some(weights.cells, MAX_NAMED), some(cells, MAX_NAMED)
        raise SpecError(
            f"--init {weights.source}: it learnt from the columns {theirs}, and none of them is among {ours}"
        )
    places = [(place, known[name]) for place, name in enumerate(cells) if name in known]
    by_name = f"positions of {len(places)} of {number_of(len(cells), 'column')} by name"
    for name in encoder.by_cell:
        tensor, new = adaptation.tensors.get(name), own.get(name)
        if tensor is None or new is None or (tuple(cells) == weights.cells and tensor.shape == new.shape):
            continue
        if (tensor.ndim, tensor.shape[-1]) == (new.ndim, new.shape[-1]):
            adaptation.change(name, _of_cells(tensor, new, places), by_name)
    kernel = None if "patch_embed.weight" in encoder.by_cell else adaptation.tensors.get("patch_embed.weight")
    if kernel is not None and weights.in_chans != encoder.in_chans and encoder.patch_size == weights.patch_size:
        first = first_channels(kernel_of_linear(kernel, weights.patch_size), encoder.in_chans)
        num = min(weights.in_chans, encoder.in_chans)
        words = f"the first {num} of {max(weights.in_chans, encoder.in_chans)} channels"
        adaptation.change("patch_embed.weight", linear_of_kernel(first), words)


def _of_cells(tensor: Tensor, own: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
    """Return a tensor (1, N', P', …) of cells, by pairs of a place and the one in `tensor` (1, N, P, …).

    Of each the first ones of P are kept, and zeros follow; a cell that is in no pair is as in `own`.
    """
    new, num = own.clone(), min(own.shape[2], tensor.shape[2])
    for place, before in places:
        new[:, place] = 0
        new[:, place, :num] = tensor[:, before, :num]
    return new


def _adapt_positions(
    adaptation: _Adaptation, encoder: Encoder, own: dict[str, Tensor], weights: EncoderWeights
) -> None:
    pos_embed = adaptation.tensors.get("pos_embed")
    if pos_embed is None or "pos_embed" not in own or pos_embed.shape[-1] != own["pos_embed"].shape[-1]:
        return
    if weights.grid != encoder.grid and len(weights.grid) == len(encoder.grid):
        resized = interpolate_pos_embed(pos_embed, weights.grid, encoder.grid)
        sizes = f"{describe_size(weights.grid)} to {describe_size(encoder.grid)}"
        adaptation.change("pos_embed", resized, f"pos_embed {sizes}")


def _adapt_kernels(adaptation: _Adaptation, encoder: Encoder, own: dict[str, Tensor], weights: EncoderWeights) -> None:
    """Adapt a linear layer over patches, and whatever convolution reads the picture's channels."""
    channels = f"{weights.in_chans} channel{'' if weights.in_chans == 1 else 's'} to {encoder.in_chans}"
    for name, tensor in list(adaptation.tensors.items()):
        wanted = own.get(name)
        if wanted is None or tensor.ndim != wanted.ndim or tensor.shape[:1] != wanted.shape[:1]:
            continue
        if name == "patch_embed.weight" and tensor.ndim == 2 and len(weights.patch_size) == len(encoder.patch_size):
            kernel, done = kernel_of_linear(tensor, weights.patch_size), []
            if weights.patch_size != encoder.patch_size:
                kernel = resize_kernel(kernel, encoder.patch_size)
                sizes = f"{describe_size(weights.patch_size)} to {describe_size(encoder.patch_size)}"
                done.append(f"patch_embed {sizes}")
            if weights.in_chans != encoder.in_chans:
                kernel = change_channels(kernel, encoder.in_chans)
                done.append(channels)
            if done:
                adaptation.change(name, linear_of_kernel(kernel), *done)
        elif (
            tensor.ndim > 2
            and weights.in_chans != encoder.in_chans
            and (tensor.shape[1], wanted.shape[1]) == (weights.in_chans, encoder.in_chans)
            and tensor.shape[2:] == wanted.shape[2:]
        ):
            adaptation.change(name, change_channels(tensor, encoder.in_chans), channels)


def _mismatch(
    own: dict[str, Tensor],
    given: dict[str, Tensor],
    new: Sequence[str],
    left_over: Sequence[str],
    weights: EncoderWeights,
    partial: bool,
) -> str:
    """Return why weights do not fit, with counts and the first tensor."""
    if new:
        stored = describe_size(given[new[0]].shape) if new[0] in given else "missing"
        detail = f"{new[0]} {stored} instead of {describe_size(own[new[0]].shape)}"
    else:
        detail = f"{left_over[0]} left over"
    num = len(own) - len(new)
    way = "" if partial else ", or --init-partial to start the rest anew"
    return (
        f"--init {weights.source}: {num} of {len(own)} encoder tensors match, {len(new)} do not, {len(left_over)} are "
        f"left over (first: {detail}); use the model of that {'file' if weights.format else 'run'}{way}"
    )


def _some(names: Sequence[str], what: str) -> str:
    if not names:
        return f"0 {what}"
    return f"{len(names)} {what} ({', '.join(names[:MAX_NAMED])}{', …' if len(names) > MAX_NAMED else ''})"


def _left_over(names: Sequence[str], num_others: int) -> str:
    parts = [_some(names, "of the encoder left over")] if names else []
    parts += [f"{num_others} left over (decoder or head)"] if num_others else []
    return ", ".join(parts) or "0 left over"
