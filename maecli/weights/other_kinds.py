"""Vision transformers that compute something else than ours, told by name with what ours lacks."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from maecli.errors import SpecError
from maecli.weights.files import WeightFile

EVA = "blocks of EVA, as DINOv3 and EVA-02 have in timm; of DINOv3 take the same model in Hugging Face's form"
GATED = "gated MLPs (SwiGLU), as DINOv2's and DINOv3's largest have; an encoder of mae has plain ones"
BEIT = (
    "blocks of BEiT, which know places by biases within attention and have none in their tokens; an encoder of mae "
    "adds positions to tokens, or turns by them"
)
DISTILLED = (
    "the distillation token of DeiT, which all its patches attend to; an encoder of mae has no such token; take DeiT "
    "that was trained without distillation"
)
OTHERS = (
    (r".*\brelative_position_bias(_table|\.)", BEIT),
    (r"(.*\.)?(distillation_token|dist_token)$", DISTILLED),
    (r".*\bblocks\.0\.gamma_1", EVA),
    (r"(.*\.)?rope_embed\.", "the names of DINOv3's own code; take the same model in Hugging Face's form"),
    (r".*\b(blocks|layers?)\.0\.(\d+\.)?mlp\.(weights_in|gate_proj|w1|w12|fc1_g)\.", GATED),
    (
        r".*\bresblocks\.0\.attn\.in_proj_weight",
        "the names of open_clip; take the same model in Hugging Face's or timm's form",
    ),
)
"""Patterns of the names of tensors, and what a model with one has."""
OF_EVA = ("dinov3", "eva02")
"""What an `architecture` of timm's has in it where its blocks are those of EVA."""
OF_BEIT = ("beit", "data2vec-vision")
"""What a `model_type` of Hugging Face's is where its blocks are those of BEiT."""
FC1, FC2 = "blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc2.weight"


def check_kind(file: WeightFile) -> None:
    """Raise SpecError for a transformer whose tensors or config name what ours cannot compute."""
    if reason := _by_config(file.config) or _by_names(file.tensors.keys()):
        raise SpecError(f"{file.path} has {reason}")


def check_plain_mlp(tensors: Mapping[str, Tensor], file: WeightFile) -> None:
    """Raise SpecError for MLPs whose first layer makes a gate beside the values, as timm packs them."""
    shapes = [tensors[name].shape for name in (FC1, FC2) if name in tensors and tensors[name].ndim == 2]
    if len(shapes) == 2 and shapes[0][0] == 2 * shapes[1][1]:
        raise SpecError(f"{file.path} has {GATED}")


def _by_config(config: Mapping[str, Any]) -> str:
    if config.get("model_type") in OF_BEIT:
        return BEIT
    return EVA if any(name in str(config.get("architecture")) for name in OF_EVA) else ""


def _by_names(names: Collection[str]) -> str:
    return next((reason for pattern, reason in OTHERS if any(re.match(pattern, name) for name in names)), "")
