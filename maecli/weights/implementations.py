"""How other implementations name the tensors of a vision transformer, and how an encoder is recognised by them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

KERNEL = "patch_embed.proj.weight"
"""The kernel of the patch embedding, as timm names it."""
NORM_EPS = 1e-6
"""Of our layer norms, and of the official MAE, timm and torchvision. Hugging Face writes 1e-12 into the files of models
that were trained with 1e-6, so neither is wrong there."""


@dataclass(frozen=True)
class Format:
    """The names of one implementation."""

    title: str
    block: str
    """A pattern of a tensor that every encoder of this kind has, less what stands before all its names."""
    kernel: str
    """What it calls the kernel of the patch embedding."""
    rewrites: tuple[tuple[str, str], ...] = ()
    """Patterns and replacements that lead to timm's names, the patch embedding's apart, applied in turn."""
    activation: str = "gelu"
    """Of its MLPs, where no file says another."""
    norm_eps: float | None = None
    """What its layer norms add to the variance, where no file says it and it is not what all others add."""
    rotary: float | None = None
    """The base of its rotary positions, where no file says another; None where positions are added to the tokens."""

    @property
    def beginning(self) -> re.Pattern[str]:
        return re.compile(rf"((?:.*\.)?){self.block}")

    def canonical(self, name: str) -> str:
        patches = (rf"^{re.escape(self.kernel.removesuffix('weight'))}", KERNEL.removesuffix("weight"))
        return renamed(name, (patches, *self.rewrites))


TIMM = Format("timm or official MAE", r"blocks\.0\.attn\.qkv\.weight", KERNEL)
_COMMON_TO_HUGGING_FACE = (
    (r"^embeddings\.(cls_token|mask_token)$", r"\1"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^(?:encoder\.layer|layers)\.(\d+)\.", r"blocks.\1."),
    (r"^(blocks\.\d+)\.attention\.attention\.(q|k|v)(?:uery|ey|alue)\.", r"\1.attn.\2."),
    (r"^(blocks\.\d+)\.attention\.(q|k|v)_proj\.", r"\1.attn.\2."),
    (r"^(blocks\.\d+)\.attention\.(?:output\.dense|o_proj)\.", r"\1.attn.proj."),
    (r"^layernorm\.", "norm."),
)
HUGGING_FACE = Format(
    "Hugging Face",
    r"(encoder\.layer|layers)\.0\.layernorm_before\.weight",
    "embeddings.patch_embeddings.projection.weight",
    (
        *_COMMON_TO_HUGGING_FACE,
        (r"^(blocks\.\d+)\.intermediate\.dense\.", r"\1.mlp.fc1."),
        (r"^(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
        (r"^(blocks\.\d+)\.layernorm_before\.", r"\1.norm1."),
        (r"^(blocks\.\d+)\.layernorm_after\.", r"\1.norm2."),
    ),
)
DINOV2 = Format(
    "Hugging Face DINOv2",
    r"(encoder\.layer|layers)\.0\.layer_scale1\.lambda1",
    HUGGING_FACE.kernel,
    (
        *_COMMON_TO_HUGGING_FACE,
        (r"^embeddings\.register_tokens$", "reg_token"),
        (r"^(blocks\.\d+)\.layer_scale([12])\.lambda1$", r"\1.ls\2.gamma"),
    ),
)
DINOV3 = Format(
    "Hugging Face DINOv3",
    r"layer\.0\.layer_scale1\.lambda1",
    "embeddings.patch_embeddings.weight",
    (
        (r"^layer\.", "layers."),
        (r"^(layers\.\d+\.mlp)\.up_proj\.", r"\1.fc1."),
        (r"^(layers\.\d+\.mlp)\.down_proj\.", r"\1.fc2."),
        *DINOV2.rewrites,
    ),
    norm_eps=1e-5,
    rotary=100.0,
)
DINOV3_IN_MEMORY = replace(
    DINOV3, block=r"model\.layer\.0\.layer_scale1\.lambda1", rewrites=((r"^model\.layer\.", "layer."), *DINOV3.rewrites)
)
"""As the `state_dict` of transformers 5 has them, which writes and reads those of 4 in its folders."""
CLIP = Format(
    "Hugging Face CLIP",
    r"encoder\.layers\.0\.layer_norm1\.weight",
    "embeddings.patch_embedding.weight",
    (
        (r"^embeddings\.class_embedding$", "cls_token"),
        (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
        (r"^encoder\.layers\.(\d+)\.", r"blocks.\1."),
        (r"^(blocks\.\d+)\.self_attn\.(q|k|v)_proj\.", r"\1.attn.\2."),
        (r"^(blocks\.\d+)\.self_attn\.out_proj\.", r"\1.attn.proj."),
        (r"^(blocks\.\d+)\.layer_norm([12])\.", r"\1.norm\2."),
        (r"^pre_layrnorm\.", "norm_pre."),
        (r"^post_layernorm\.", "norm."),
    ),
    activation="quick_gelu",
    norm_eps=1e-5,
)
TORCHVISION = Format(
    "torchvision",
    r"encoder\.layers\.encoder_layer_0\.self_attention\.in_proj_weight",
    "conv_proj.weight",
    (
        (r"^class_token$", "cls_token"),
        (r"^encoder\.pos_embedding$", "pos_embed"),
        (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
        (r"^(blocks\.\d+)\.self_attention\.in_proj_", r"\1.attn.qkv."),
        (r"^(blocks\.\d+)\.self_attention\.out_proj\.", r"\1.attn.proj."),
        (r"^(blocks\.\d+)\.ln_([12])\.", r"\1.norm\2."),
        (r"^(blocks\.\d+)\.mlp\.(?:0|linear_1)\.", r"\1.mlp.fc1."),
        (r"^(blocks\.\d+)\.mlp\.(?:3|linear_2)\.", r"\1.mlp.fc2."),
        (r"^encoder\.ln\.", "norm."),
    ),
)
FORMATS = (TIMM, HUGGING_FACE, DINOV2, DINOV3, DINOV3_IN_MEMORY, CLIP, TORCHVISION)


@dataclass(frozen=True)
class Recognised:
    """Whose names a file has."""

    format: Format
    prefix: str
    """What stands before every name of the encoder, such as `vit.`."""
    title: str


def encoders_in(names: Iterable[str]) -> list[tuple[Format, str]]:
    """Return whose vision transformers stand in tensors of these names, each with what stands before its names."""
    names = list(names)
    known = set(names)
    found = []
    for form in FORMATS:
        beginning = form.beginning
        prefixes = dict.fromkeys(match[1] for name in names if (match := beginning.fullmatch(name)))
        found += [(form, prefix) for prefix in prefixes if prefix + form.kernel in known]
    return found


def recognise(names: Iterable[str]) -> Recognised | None:
    """Return whose vision transformer tensors of these names are, None if they are no or several such encoders'."""
    names = list(names)
    found = encoders_in(names)
    if len(found) != 1:
        return None
    ((form, prefix),) = found
    has_decoder = any(name.removeprefix(prefix).startswith("decoder") for name in names)
    if form is TIMM:
        title = "official MAE" if has_decoder else form.title
    elif form in (HUGGING_FACE, TORCHVISION):
        title = f"{form.title} ViT{'MAE' if has_decoder else ''}"
    else:
        title = form.title
    return Recognised(form, prefix, title)


_HUGGING_FACE_BLOCK = (
    (r"\.attn\.q\.", ".attention.attention.query."),
    (r"\.attn\.k\.", ".attention.attention.key."),
    (r"\.attn\.v\.", ".attention.attention.value."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
)
_HUGGING_FACE_ENCODER = (
    (r"^(cls_token)$", r"embeddings.\1"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^norm\.", "layernorm."),
    (r"^blocks\.", "encoder.layer."),
)
_VIT_BLOCK = (
    *_HUGGING_FACE_BLOCK,
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"(\d)\.norm1\.", r"\1.layernorm_before."),
    (r"(\d)\.norm2\.", r"\1.layernorm_after."),
)
TO_VIT = (*_VIT_BLOCK, *_HUGGING_FACE_ENCODER)
"""Patterns and replacements, applied in turn, from timm's names to those of `ViTModel` on the hub.

They are the names that transformers 4 has in memory; 5 has others, and reads and writes these.
"""
TO_VIT_MAE_DECODER = (
    *_VIT_BLOCK,
    (r"^blocks\.", "decoder_layers."),
    (r"^(embed|norm|pred)\.", r"decoder_\1."),
    (r"^pos_embed$", "decoder_pos_embed"),
)
"""Likewise, from our decoder's names to those of `ViTMAEDecoder`."""
TO_DINOV2 = (*_HUGGING_FACE_BLOCK, (r"\.ls([12])\.gamma$", r".layer_scale\1.lambda1"), *_HUGGING_FACE_ENCODER)
"""Likewise, to those of `Dinov2Model`."""


def renamed(name: str, rewrites: Iterable[tuple[str, str]]) -> str:
    """Return a name after patterns and replacements, applied in turn."""
    for pattern, replacement in rewrites:
        name = re.sub(pattern, replacement, name)
    return name
