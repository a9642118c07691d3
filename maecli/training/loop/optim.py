"""AdamW with layer-wise rates, and the schedule of the learning rate."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from maecli.models import lora
from maecli.models.encoder import Encoder
from maecli.parallel.wrap import own_parts, placed_like
from maecli.schema import TrainSpec

NOT_DECAYED = ("cls_token", "reg_token", "mask_token", "pos_embed", "layer_scale", lora.A, lora.B)
"""Tokens, and what scales a residual branch, by name: vectors that have more than one axis in some models. And
adapters: what is added to a weight that stays as it is has no size of its own to keep small."""
AS_PARAMETERS = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps of each parameter in the parameter's own shape."""


def parameter_groups(module: nn.Module, spec: TrainSpec) -> list[dict[str, object]]:
    """Return AdamW groups with their own `lr_scale` and `weight_decay`.

    Biases, norms, tokens and scales are not decayed. With `layer_decay` below 1 a layer's rate is layer_decay to the
    number of layers above it: BEiT, arXiv:2106.08254, section 2.5.
    """
    encoder = getattr(module, "encoder", None)
    groups: dict[tuple[float, float], dict[str, object]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        scale = 1.0
        if isinstance(encoder, Encoder) and name.startswith("encoder."):
            layer = encoder.layer_of(name.removeprefix("encoder."))
            scale = spec.layer_decay ** (encoder.depth + 1 - layer)
        plain = parameter.ndim <= 1 or name.rpartition(".")[2] in NOT_DECAYED
        decay = 0.0 if plain else spec.weight_decay
        group = groups.setdefault((scale, decay), {"params": [], "names": [], "lr_scale": scale, "weight_decay": decay})
        group["params"].append(parameter)  # type: ignore[attr-defined]
        group["names"].append(name)  # type: ignore[attr-defined]
    return list(groups.values())


def make_optimizer(module: nn.Module, spec: TrainSpec) -> torch.optim.AdamW:
    """Return a fused AdamW over the trainable parameters; `set_rate` gives it its learning rates."""
    fused = next(module.parameters()).device.type in ("cpu", "cuda")
    groups = parameter_groups(module, spec)
    # A rate that is a tensor would let torch.compile keep one graph; plain AdamW needs none.
    return torch.optim.AdamW(groups, lr=0.0, betas=(spec.beta1, spec.beta2), fused=fused)


def peak_rate(spec: TrainSpec) -> float:
    """Return the effective learning rate, base_lr * batch_size / 256: arXiv:1706.02677, section 2.1."""
    return spec.base_lr * spec.batch_size / 256


def rate_at(step: int, total_steps: int, steps_per_epoch: int, spec: TrainSpec, begin: int = 0) -> float:
    """Return the learning rate of step 0 … total_steps - 1: linear warm-up, then half a cosine to min_lr.

    A run that goes on where another one ended, at step `begin`, warms up again, from min_lr to `rewarm_share` of the
    peak, in at most half of its steps: that helps it on, arXiv:2308.04014, section 4.
    Source: SGDR, arXiv:1608.03983, equation 5.
    """
    peak, start, num, at = peak_rate(spec), 0.0, total_steps - begin, step - begin
    warmup = min(round(spec.warmup_epochs * steps_per_epoch), num)
    if begin:
        start, peak, warmup = spec.min_lr, max(spec.min_lr, spec.rewarm_share * peak), min(warmup, num // 2)
    if at < warmup:
        return start + (peak - start) * (at + 1) / warmup
    share = (at - warmup) / max(1, num - warmup)
    return spec.min_lr + (peak - spec.min_lr) * 0.5 * (1.0 + math.cos(math.pi * share))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set each group's learning rate to `rate` times its scale."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's state as named tensors: `exp_avg.<parameter>`, `step.<parameter>`, …"""
    tensors = {}
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{key}.{name}"] = value
    return tensors


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give the optimizer the state that `optimizer_tensors` returned. Raises KeyError if one is missing."""
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            if f"step.{name}" not in tensors:
                continue  # it never had a gradient
            moments = {key: placed_like(tensors[f"{key}.{name}"], parameter) for key in AS_PARAMETERS}
            step = tensors[f"step.{name}"].to(parameter.device if group["fused"] else "cpu")
            optimizer.state[parameter] = {"step": step, **moments}


class WeightAverage:
    """Exponential moving average of a module's weights, as a second module in eval mode.

    The decay starts low, min(decay, (1 + t) / (10 + t)), so that the random start is soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.fixed = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
        self.module = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards `module` after optimizer step `step`, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        mine, theirs = own_parts(self.module.state_dict()), own_parts(module.state_dict())
        floats = [name for name, value in mine.items() if value.is_floating_point() and name not in self.fixed]
        torch._foreach_lerp_([mine[name] for name in floats], [theirs[name] for name in floats], 1.0 - decay)
        for name in mine.keys() - self.fixed - set(floats):
            mine[name].copy_(theirs[name])
