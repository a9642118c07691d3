"""The decoder of a masked autoencoder under our names, where weights come with one.

Hugging Face's ViTMAE and the official MAE have the decoder that we have. Theirs gives the class token a position, which
is zero; ours gives it none.

Shapes: D embed_dim of the encoder, E of the decoder, N patches, P values per patch, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from maecli.weights.decoder_weights import DecoderWeights
from maecli.weights.encoder_weights import BLOCK, mlp_ratio
from maecli.weights.files import WeightFile
from maecli.weights.implementations import HUGGING_FACE
from maecli.weights.qkv import join_qkv

FIRST = "decoder_embed.weight"
"""Whose name tells what stands before the names of a decoder."""
HEAD_WIDTH = 32
"""Of the official MAE's decoder, whose file does not record its heads."""


def import_decoder(
    file: WeightFile, embed_dim: int, patch_size: tuple[int, ...], in_chans: int, grid: tuple[int, ...]
) -> DecoderWeights | None:
    """Return the decoder beside an encoder of others, None where there is none, or not the whole of one like ours."""
    firsts = [name for name in file.tensors if name.endswith(FIRST)]
    if len(firsts) != 1:
        return None
    prefix = firsts[0].removesuffix(FIRST)
    theirs = {name: name.removeprefix(prefix) for name in file.tensors if name.startswith(prefix)}
    tensors = {
        HUGGING_FACE.canonical(name.removeprefix("decoder_")): file.tensors[own]
        for own, name in theirs.items()
        if name.startswith("decoder_") or name == "mask_token"
    }
    num_others = len(tensors)
    join_qkv(tensors)
    pos_embed = tensors.pop("pos_embed", None)
    num_values = in_chans * torch.Size(patch_size).numel()
    if not _is_whole(tensors, embed_dim, num_values):
        return None
    if pos_embed is not None:
        num_patches = torch.Size(grid).numel() if grid else -1
        if pos_embed.shape != (1, 1 + num_patches, tensors["mask_token"].shape[-1]) or bool(pos_embed[:, 0].any()):
            return None
        tensors["pos_embed"] = pos_embed[:, 1:]
    tensors = {name: tensor.float() for name, tensor in tensors.items()}
    options = _options(tensors, file.config)
    return DecoderWeights(file.source, tensors, patch_size, in_chans, grid, options, num_others)


def _is_whole(tensors: Mapping[str, Tensor], embed_dim: int, num_values: int) -> bool:
    """Whether these are all the tensors of a decoder, each of its shape."""
    known = [tensors[name].shape for name in ("embed.weight", "blocks.0.mlp.fc1.weight") if name in tensors]
    if len(known) != 2 or not all(known) or not all(tensor.is_floating_point() for tensor in tensors.values()):
        return False
    width, hidden = (shape[0] for shape in known)
    layers = {"embed": (width, embed_dim), "pred": (num_values, width)}
    norms = ["norm"]
    for number in range(_depth(tensors)):
        of_block = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        of_block |= {"mlp.fc1": (hidden, width), "mlp.fc2": (width, hidden)}
        layers |= {f"blocks.{number}.{layer}": shape for layer, shape in of_block.items()}
        norms += [f"blocks.{number}.norm1", f"blocks.{number}.norm2"]
    shapes: dict[str, tuple[int, ...]] = {"mask_token": (1, 1, width)}
    shapes |= {f"{layer}.weight": shape for layer, shape in layers.items()}
    shapes |= {f"{layer}.bias": shape[:1] for layer, shape in layers.items()}
    shapes |= {f"{norm}.{part}": (width,) for norm in norms for part in ("weight", "bias")}
    return width > 0 and hidden > 0 and shapes == {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _depth(tensors: Mapping[str, Tensor]) -> int:
    return len({match[1] for name in tensors if (match := BLOCK.match(name))})


def _options(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of pretraining by which such a decoder is built."""
    width = tensors["mask_token"].shape[-1]
    heads = config.get("decoder_num_attention_heads")
    if type(heads) is not int or heads < 1 or width % heads:
        heads = next(n for n in range(max(1, width // HEAD_WIDTH), 0, -1) if width % n == 0)
    options = {
        "decoder_embed_dim": width,
        "decoder_depth": _depth(tensors),
        "decoder_num_heads": heads,
        "decoder_mlp_ratio": mlp_ratio(width, tensors["blocks.0.mlp.fc1.weight"].shape[0]),
    }
    normalised = config.get("norm_pix_loss")
    return options | ({"norm_pix_loss": normalised} if isinstance(normalised, bool) else {})
