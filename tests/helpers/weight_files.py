"""Files of weights as other implementations write them, made without importing these, which takes seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

D, DEPTH, HEADS, HIDDEN, GRID, PATCH = 8, 1, 2, 12, 2, 4


def randoms(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def block(prefix: str, width: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a block's tensors under timm's names."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, size in (("attn.qkv", (3 * width, width)), ("attn.proj", (width, width))):
        shapes |= {f"{prefix}.{layer}.weight": size, f"{prefix}.{layer}.bias": size[:1]}
    for layer, size in (("mlp.fc1", (hidden, width)), ("mlp.fc2", (width, hidden))):
        shapes |= {f"{prefix}.{layer}.weight": size, f"{prefix}.{layer}.bias": size[:1]}
    norms = {f"{prefix}.norm{number}.{part}": (width,) for number in (1, 2) for part in ("weight", "bias")}
    return shapes | norms


def timm_state(in_chans: int = 3) -> dict[str, Tensor]:
    """Return a small vision transformer under timm's names: 8×8 pixels, patches of 4."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, D),
        "pos_embed": (1, 1 + GRID**2, D),
        "patch_embed.proj.weight": (D, in_chans, PATCH, PATCH),
        "patch_embed.proj.bias": (D,),
        **block("blocks.0", D, HIDDEN),
        "norm.weight": (D,),
        "norm.bias": (D,),
    }
    return randoms(shapes)


def timm_folder(folder: Path, **pretrained_cfg: Any) -> Path:
    """Write a repository as timm writes them, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(timm_state(), folder / "model.safetensors")
    size = GRID * PATCH
    about = {"input_size": [3, size, size], "num_classes": 0, "first_conv": "patch_embed.proj", "classifier": "head"}
    config = {"architecture": "vit_tiny_test", "num_classes": 0, "num_features": D, "global_pool": "token"}
    (folder / "config.json").write_text(json.dumps(config | {"pretrained_cfg": about | pretrained_cfg}))
    return folder


def mae_state(width: int = 8) -> dict[str, Tensor]:
    """Return the same encoder with a decoder of one block behind it, under the official MAE's names."""
    shapes: dict[str, tuple[int, ...]] = {
        "decoder_embed.weight": (width, D),
        "decoder_embed.bias": (width,),
        "mask_token": (1, 1, width),
        **block("decoder_blocks.0", width, 2 * width),
        "decoder_norm.weight": (width,),
        "decoder_norm.bias": (width,),
        "decoder_pred.weight": (3 * PATCH**2, width),
        "decoder_pred.bias": (3 * PATCH**2,),
    }
    pos_embed = torch.cat([torch.zeros(1, 1, width), torch.ones(1, GRID**2, width)], 1)
    return timm_state() | randoms(shapes) | {"decoder_pos_embed": pos_embed}
