"""Small vision transformers of other implementations, with random weights in every tensor.

The implementations are imported when they are used, since they take seconds.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

D, DEPTH, HEADS, HIDDEN, SIZE, PATCH = 32, 3, 4, 48, 32, 8
"""Of every model here: embed_dim, depth, num_heads, width of the MLP, img_size, patch_size."""


def randomise(module: nn.Module) -> nn.Module:
    """Give every parameter, biases, norms and positions included, values of its own, so that no swap can hide."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            values = torch.randn(parameter.shape, generator=generator)
            is_norm_scale = name.endswith("weight") and ("norm" in name or ".ln" in name)
            parameter.copy_(1 + 0.3 * values if is_norm_scale else 0.15 * values)
    return module.eval()


def timm_vit(**settings: Any) -> nn.Module:
    import timm

    options: dict[str, Any] = {"img_size": SIZE, "patch_size": PATCH, "embed_dim": D, "depth": DEPTH}
    options |= {"num_heads": HEADS, "mlp_ratio": HIDDEN / D, "num_classes": 5}
    return randomise(timm.models.VisionTransformer(**(options | settings)))


def timm_tokens(model: nn.Module, x: Tensor) -> Tensor:
    return model.forward_features(x)  # type: ignore[operator]


def torchvision_vit() -> nn.Module:
    from torchvision.models import VisionTransformer

    return randomise(VisionTransformer(SIZE, PATCH, DEPTH, HEADS, D, HIDDEN, num_classes=5))


def torchvision_tokens(model: nn.Module, x: Tensor) -> Tensor:
    patches = model._process_input(x)  # type: ignore[operator]
    return model.encoder(torch.cat([model.class_token.expand(len(x), -1, -1), patches], dim=1))  # type: ignore[operator]


def _sizes() -> dict[str, Any]:
    return {
        "image_size": SIZE,
        "patch_size": PATCH,
        "hidden_size": D,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": HEADS,
        "intermediate_size": HIDDEN,
        "attn_implementation": "eager",
    }


def hf_vit(**settings: Any) -> nn.Module:
    from transformers import ViTConfig, ViTModel

    return randomise(ViTModel(ViTConfig(**(_sizes() | settings))))


def hf_vit_mae() -> nn.Module:
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    decoder = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    config = ViTMAEConfig(**_sizes(), **{f"decoder_{key}": value for key, value in decoder.items()}, mask_ratio=0.0)
    return randomise(ViTMAEForPreTraining(config))


def hf_tokens(model: nn.Module, x: Tensor) -> Tensor:
    return model(x).last_hidden_state


def hf_mae_tokens(model: nn.Module, x: Tensor) -> Tensor:
    noise = torch.arange(float((SIZE // PATCH) ** 2)).expand(len(x), -1)  # keeps every patch, in order
    return model.vit(x, noise=noise).last_hidden_state  # type: ignore[operator]


def official_mae() -> dict[str, Tensor]:
    """Return the state dict of an official MAE with its decoder: timm's names, and those of `models_mae.py`."""
    state = dict(timm_vit(num_classes=0).state_dict())
    generator = torch.Generator().manual_seed(2)
    decoder = {
        "mask_token": (1, 1, 16),
        "decoder_pos_embed": (1, 17, 16),
        "decoder_embed.weight": (16, D),
        "decoder_embed.bias": (16,),
        "decoder_blocks.0.norm1.weight": (16,),
        "decoder_blocks.0.attn.qkv.weight": (48, 16),
        "decoder_norm.weight": (16,),
        "decoder_pred.weight": (192, 16),
    }
    return state | {name: torch.randn(shape, generator=generator) for name, shape in decoder.items()}


def inputs(*size: int, channels: int = 3) -> Tensor:
    """Return two pictures of noise (2, channels, *size)."""
    return torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(3))


def difference(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max())
