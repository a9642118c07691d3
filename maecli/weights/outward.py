"""Encoders and heads of ours as other implementations hold them: the inverse of `maecli.weights.formats`.

What differs is made exactly, or refused by name: a class token of theirs has a position of its own, which is zero; a
layer scale that a target has not is folded into the layer before it, and what a head standardises, and the temperature
that calibrates it, into its weights.

Shapes: D embed_dim, C channels, p patch sizes, N patches, Q classes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from maecli.errors import SpecError
from maecli.models.blocks import Block
from maecli.models.heads import Classifier, FeatureNorm
from maecli.models.mae import MaskedAutoencoder
from maecli.models.vit import VisionTransformer
from maecli.weights.adapt import describe_size, kernel_of_linear
from maecli.weights.implementations import NORM_EPS, TO_DINOV2, TO_VIT, TO_VIT_MAE_DECODER, renamed

VIT = "vit."
"""What stands before the names of a `ViTModel` in another; without the dot its type."""
_QKV = re.compile(r"(.*\.attn\.)qkv(\.\w+)")


@dataclass(frozen=True)
class Outward:
    """A model as another implementation holds it."""

    config: dict[str, Any]
    """What describes its architecture there."""
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class LinearHead:
    """From pooled tokens to classes: logits are those that become probabilities without a temperature."""

    weight: Tensor
    """(Q, D)"""
    bias: Tensor
    pool: str
    """mean or cls."""


def to_timm(module: nn.Module, temperature: float = 1.0) -> Outward:
    """Return a classifier, or the encoder of a masked autoencoder, as a model of timm's.

    Without a head it gives features: the mean of the patch tokens. Raises SpecError naming what timm cannot hold.
    """
    target = "models of timm"
    if isinstance(module, MaskedAutoencoder):
        return _for_timm(_vision_transformer(module.encoder, target), None)
    classifier = _classifier(module, target)
    encoder = _vision_transformer(classifier.encoder, target)
    return _for_timm(encoder, _linear_head(classifier, temperature, target))


def to_hugging_face(module: nn.Module, temperature: float = 1.0) -> Outward:
    """Return a classifier, or a masked autoencoder, as a model of transformers, under the names of its version 4.

    A masked autoencoder is `ViTMAEForPreTraining`, whose encoder `ViTModel` loads too. A classifier that reads the
    class token is `ViTForImageClassification`. The mean of the patch tokens is what the second half of the head of
    `Dinov2ForImageClassification` reads; the first half, of the class token, is zero then.
    Raises SpecError naming what transformers cannot hold.
    """
    target = "models of transformers"
    if isinstance(module, MaskedAutoencoder):
        return _masked_autoencoder(module)
    classifier = _classifier(module, target)
    encoder = _vision_transformer(classifier.encoder, target)
    head = _linear_head(classifier, temperature, target)
    return _vit_classifier(encoder, head) if head.pool == "cls" else _dinov2_classifier(encoder, head)


def _classifier(module: nn.Module, target: str) -> Classifier:
    if not isinstance(module, Classifier):
        raise SpecError(f"{target} have no counterpart of this run's {type(module).__name__}")
    return module


def _linear_head(classifier: Classifier, temperature: float, target: str) -> LinearHead:
    """Return a head as one linear layer, with what it standardises and its temperature in the weights.

    Raises SpecError for one that is more.
    """
    *before, last = classifier.head
    if not isinstance(last, nn.Linear) or any(not isinstance(layer, FeatureNorm) for layer in before):
        raise SpecError(f"{target} have a linear head, and this run's (task.head) has more layers")
    weight, bias = (tensor.detach().double() for tensor in (last.weight, last.bias))
    for norm in before:
        assert isinstance(norm, FeatureNorm)
        mean, variance = (norm.get_buffer(f"running_{name}").double() for name in ("mean", "var"))
        weight = weight / (variance + norm.eps).sqrt()
        bias = bias - weight @ mean
    return LinearHead((weight / temperature).float(), (bias / temperature).float(), classifier.pool)


def _vision_transformer(encoder: nn.Module, target: str) -> VisionTransformer:
    """Return an encoder that others can hold. Raises SpecError naming what they cannot."""
    if type(encoder) is not VisionTransformer:
        raise SpecError(f"{target} are plain vision transformers, and this run's encoder is a {type(encoder).__name__}")
    if len(encoder.grid) != 2:
        raise SpecError(f"{target} read pictures, and this run's encoder samples of the axes {encoder.grid}")
    if encoder.per_channel:
        raise SpecError(f"{target} read all channels together, and this run's encoder each by itself")
    if encoder.rotary is not None:
        raise SpecError(f"{target} get positions that are added to tokens, and this run's encoder has rotary ones")
    if encoder.activation != "gelu":
        raise SpecError(f"{target} get the activation gelu, and this run's encoder has {encoder.activation}")
    unknown = [name for name in encoder.state_dict() if not _KNOWN.fullmatch(name)]
    if unknown:
        raise SpecError(f"{target} have no place for {unknown[0]} of this run's encoder")
    return encoder


_KNOWN = re.compile(
    r"cls_token|pos_embed|(patch_embed|norm)\.(weight|bias)"
    r"|blocks\.\d+\.(ls[12]\.gamma|(norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.(weight|bias))"
)


def _timm_tensors(encoder: VisionTransformer) -> dict[str, Tensor]:
    """Return an encoder's tensors under timm's names."""
    tensors = {name: tensor.detach().float() for name, tensor in encoder.state_dict().items()}
    tensors["patch_embed.proj.weight"] = kernel_of_linear(tensors.pop("patch_embed.weight"), encoder.patch_size)
    tensors["patch_embed.proj.bias"] = tensors.pop("patch_embed.bias")
    tensors["pos_embed"] = _with_row(tensors["pos_embed"])
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _for_timm(encoder: VisionTransformer, head: LinearHead | None) -> Outward:
    if (eps := _eps(encoder)) != NORM_EPS:
        raise SpecError(
            f"models of timm add {NORM_EPS:g} to the variance of layer norms, and this run's encoder {eps:g}"
        )
    tensors = _timm_tensors(encoder)
    if head is not None:
        tensors |= {"head.weight": head.weight, "head.bias": head.bias}
    pool = "token" if head is not None and head.pool == "cls" else "avg"
    args = {
        "img_size": list(encoder.img_size),
        "patch_size": list(encoder.patch_size),
        "in_chans": encoder.in_chans,
        "embed_dim": encoder.embed_dim,
        "depth": encoder.depth,
        "num_heads": _num_heads(encoder.blocks),
        "mlp_ratio": _mlp_ratio(encoder.blocks, encoder.embed_dim),
        "init_values": 1e-5 if "blocks.0.ls1.gamma" in tensors else None,  # overwritten
        "fc_norm": False,  # ours stands before the pooling
        "final_norm": isinstance(encoder.norm, nn.LayerNorm),
        "global_pool": pool,
    }
    config = {
        "architecture": "vit_base_patch16_224",
        "num_classes": 0 if head is None else len(head.weight),
        "num_features": encoder.embed_dim,
        "global_pool": pool,
        "model_args": args,
    }
    return Outward(config, tensors)


def _vit_classifier(encoder: VisionTransformer, head: LinearHead) -> Outward:
    _check_norm(encoder, target := "ViTForImageClassification")
    tensors = _rewritten(_without_scale(_separate(_timm_tensors(encoder))), TO_VIT, VIT)
    config = {**_hugging_face_config(encoder), "architectures": [target], "model_type": VIT.removesuffix(".")}
    return Outward(config, {**tensors, "classifier.weight": head.weight, "classifier.bias": head.bias})


def _dinov2_classifier(encoder: VisionTransformer, head: LinearHead) -> Outward:
    _check_norm(encoder, target := "Dinov2ForImageClassification")
    _check_square(encoder, f"{target}, which reads the mean of patches,")
    ratio, rest = divmod(_hidden(encoder.blocks), encoder.embed_dim)
    if rest:
        exact = _hidden(encoder.blocks) / encoder.embed_dim
        raise SpecError(
            f"{target}, which reads the mean of patches, has a whole mlp_ratio, and this run's is {exact:g}"
        )
    tensors = _separate(_timm_tensors(encoder))
    for number in range(encoder.depth):
        for scale in ("ls1", "ls2"):
            tensors.setdefault(f"blocks.{number}.{scale}.gamma", torch.ones(encoder.embed_dim))
    weight = torch.cat([torch.zeros_like(head.weight), head.weight], dim=1)  # (Q, 2 D)
    config = {
        **_hugging_face_config(encoder),
        "architectures": [target],
        "model_type": "dinov2",
        "mlp_ratio": ratio,
        "use_mask_token": False,
        "use_swiglu_ffn": False,
        "drop_path_rate": 0.0,
    }
    tensors = _rewritten(tensors, TO_DINOV2, "dinov2.")
    return Outward(config, {**tensors, "classifier.weight": weight, "classifier.bias": head.bias})


def _masked_autoencoder(module: MaskedAutoencoder) -> Outward:
    target = "ViTMAEForPreTraining"
    encoder, decoder = _vision_transformer(module.encoder, target), module.decoder
    _check_square(encoder, target)
    _check_norm(encoder, target)
    if decoder.norm.eps != _eps(encoder):
        raise SpecError(f"{target} has one layer_norm_eps, and this run's decoder another than its encoder")
    theirs = {name: tensor.detach().float() for name, tensor in decoder.state_dict().items()}
    theirs["pos_embed"] = _with_row(theirs["pos_embed"])
    encoder_part = _rewritten(_without_scale(_separate(_timm_tensors(encoder))), TO_VIT, VIT)
    decoder_part = _rewritten(_separate(theirs), TO_VIT_MAE_DECODER, "decoder.")
    config = {
        **_hugging_face_config(encoder),
        "architectures": [target],
        "model_type": "vit_mae",
        "decoder_hidden_size": decoder.embed.out_features,
        "decoder_num_hidden_layers": len(decoder.blocks),
        "decoder_num_attention_heads": _num_heads(decoder.blocks),
        "decoder_intermediate_size": _hidden(decoder.blocks),
        "norm_pix_loss": module.norm_pix_loss,
    }
    return Outward(config, encoder_part | decoder_part)


def _check_norm(encoder: VisionTransformer, target: str) -> None:
    if not isinstance(encoder.norm, nn.LayerNorm):
        raise SpecError(f"{target} normalises the tokens last, and this run's encoder (model.final_norm) does not")


def _hugging_face_config(encoder: VisionTransformer) -> dict[str, Any]:
    patch, size = encoder.patch_size, list(encoder.img_size)
    return {
        "hidden_size": encoder.embed_dim,
        "num_hidden_layers": encoder.depth,
        "num_attention_heads": _num_heads(encoder.blocks),
        "intermediate_size": _hidden(encoder.blocks),
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": _eps(encoder),
        "image_size": size[0] if len(set(size)) == 1 else size,
        "patch_size": patch[0] if len(set(patch)) == 1 else list(patch),
        "num_channels": encoder.in_chans,
        "qkv_bias": True,
        "torch_dtype": "float32",
    }


def _check_square(encoder: VisionTransformer, target: str) -> None:
    size = list(encoder.img_size)
    if len(set(size)) > 1 or len(set(encoder.patch_size)) > 1:
        raise SpecError(
            f"{target} reads square pictures in square patches, and this run's are {describe_size(size)} in patches of "
            f"{describe_size(encoder.patch_size)}"
        )


def _with_row(pos_embed: Tensor) -> Tensor:
    """Return positions (1, 1 + N, D) for (1, N, D): that of the class token is zero."""
    return torch.cat([torch.zeros_like(pos_embed[:, :1]), pos_embed], dim=1)


def _separate(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors in which queries, keys and values have layers of their own."""
    apart: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if match := _QKV.fullmatch(name):
            parts = zip("qkv", tensor.chunk(3), strict=True)
            apart |= {f"{match[1]}{part}{match[2]}": each.contiguous() for part, each in parts}
        else:
            apart[name] = tensor
    return apart


def _without_scale(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors in which each layer scale is part of the layer before it: γ (W x + b) = (γ W) x + γ b."""
    folded = {name: tensor for name, tensor in tensors.items() if not name.endswith(".gamma")}
    for name, gamma in tensors.items():
        if name.endswith(".gamma"):
            layer = name.replace("ls1.gamma", "attn.proj").replace("ls2.gamma", "mlp.fc2")
            folded[f"{layer}.weight"] = gamma[:, None] * folded[f"{layer}.weight"]
            folded[f"{layer}.bias"] = gamma * folded[f"{layer}.bias"]
    return folded


def _rewritten(tensors: dict[str, Tensor], rewrites: tuple[tuple[str, str], ...], prefix: str) -> dict[str, Tensor]:
    return {prefix + renamed(name, rewrites): tensor for name, tensor in tensors.items()}


def _first_block(blocks: nn.ModuleList) -> Block:
    block = blocks[0]
    assert isinstance(block, Block)
    return block


def _num_heads(blocks: nn.ModuleList) -> int:
    return _first_block(blocks).attn.num_heads


def _hidden(blocks: nn.ModuleList) -> int:
    return _first_block(blocks).mlp.fc1.out_features


def _mlp_ratio(blocks: nn.ModuleList, embed_dim: int) -> float:
    """Return the ratio that gives the hidden width when its product with the other is rounded down."""
    ratio = _hidden(blocks) / embed_dim
    return ratio if int(embed_dim * ratio) == _hidden(blocks) else math.nextafter(ratio, math.inf)


def _eps(encoder: VisionTransformer) -> float:
    return _first_block(encoder.blocks).norm1.eps
