"""A whole masked autoencoder of Hugging Face, encoder and decoder, as a state dict of ours: for measuring against it.

Every tensor that is expected is named, so that nothing is lost or made up in silence.

Shapes: C channels, p patch sizes, P values per patch, N patches, D embed_dim, E embed_dim of the decoder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from maecli.weights.adapt import linear_of_kernel

_HF_BLOCK = {
    "layernorm_before": "norm1",
    "attention.o_proj": "attn.proj",
    "layernorm_after": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_HF_QKV = ("attention.q_proj", "attention.k_proj", "attention.v_proj")

_HF_FILE_NAMES = (
    (r"^vit\.encoder\.layer\.", "vit.layers."),
    (r"^decoder\.decoder_encoder\.layer\.", "decoder.decoder_layers."),
    (r"\.attention\.attention\.query\.", ".attention.q_proj."),
    (r"\.attention\.attention\.key\.", ".attention.k_proj."),
    (r"\.attention\.attention\.value\.", ".attention.v_proj."),
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
)
"""What files, and transformers before 5, call the tensors, and what a module of transformers 5 calls them."""


def from_hf_vit_mae(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of our MaskedAutoencoder for one of Hugging Face's `ViTMAEForPreTraining`.

    Takes the names of the module and those of published files. Their class token has a row of its own in the position
    table, which is added to our `cls_token`; the decoder's has no counterpart and must be zero, as theirs is. Build
    ours with their `layer_norm_eps` (1e-12 by default) as `norm_eps`.
    Raises ValueError when tensors are missing or left over, or that row is not zero.
    """
    state = {_hf_module_name(name): tensor for name, tensor in state.items()}
    encoder_blocks = _hf_blocks(state, "vit.layers.", "encoder.blocks.")
    decoder_blocks = _hf_blocks(state, "decoder.decoder_layers.", "decoder.blocks.")
    renamed = {
        "vit.embeddings.patch_embeddings.projection.bias": "encoder.patch_embed.bias",
        "decoder.mask_token": "decoder.mask_token",
        **_both("vit.layernorm", "encoder.norm"),
        **_both("decoder.decoder_embed", "decoder.embed"),
        **_both("decoder.decoder_norm", "decoder.norm"),
        **_both("decoder.decoder_pred", "decoder.pred"),
    }
    fused: dict[str, tuple[str, ...]] = {}
    for theirs, ours in (encoder_blocks | decoder_blocks).items():
        for part, name in _HF_BLOCK.items():
            renamed |= _both(f"{theirs}.{part}", f"{ours}.{name}")
        for kind in ("weight", "bias"):
            fused[f"{ours}.attn.qkv.{kind}"] = tuple(f"{theirs}.{part}.{kind}" for part in _HF_QKV)
    special = {
        "cls_token": "vit.embeddings.cls_token",
        "pos_embed": "vit.embeddings.position_embeddings",
        "kernel": "vit.embeddings.patch_embeddings.projection.weight",
        "decoder_pos_embed": "decoder.decoder_pos_embed",
    }
    expected = {*renamed, *special.values(), *(name for names in fused.values() for name in names)}
    if wrong := expected ^ set(state):
        raise ValueError(f"not the weights of a ViTMAEForPreTraining: {', '.join(sorted(wrong))}")

    pos_embed, decoder_pos_embed = state[special["pos_embed"]], state[special["decoder_pos_embed"]]
    if decoder_pos_embed[:, 0].any():
        raise ValueError(f"{special['decoder_pos_embed']} gives the class token a position; ours has none there")
    return {
        "encoder.cls_token": state[special["cls_token"]] + pos_embed[:, :1],
        "encoder.pos_embed": pos_embed[:, 1:],
        "encoder.patch_embed.weight": linear_of_kernel(state[special["kernel"]]),
        "decoder.pos_embed": decoder_pos_embed[:, 1:],
        **{ours: state[theirs] for theirs, ours in renamed.items()},
        **{ours: torch.cat([state[name] for name in names]) for ours, names in fused.items()},
    }


def _hf_module_name(name: str) -> str:
    for pattern, replacement in _HF_FILE_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _hf_blocks(state: Iterable[str], theirs: str, ours: str) -> dict[str, str]:
    """Return their prefix → our prefix of every block, up to the highest number that occurs."""
    numbers = [int(match[1]) for name in state if (match := re.match(re.escape(theirs) + r"(\d+)\.", name))]
    return {f"{theirs}{i}": f"{ours}{i}" for i in range(max(numbers, default=-1) + 1)}


def _both(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}.{kind}": f"{ours}.{kind}" for kind in ("weight", "bias")}
