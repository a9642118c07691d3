"""Linear layers and attention for CPUs with AMX, whose products are so fast that the copies around them are what costs.

Both do what torch's own operations do, in fewer passes over memory, with backward passes written by hand.

Shapes: B batch, N tokens, D embed_dim, H heads, d = D / H, T rows, I inputs, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from maecli.hardware import has_amx

AMX = has_amx()
"""Whether this machine has it: a constant, which torch.compile takes as it is."""
LARGE = 2**19
"""Inputs of a linear layer with fewer numbers than this gain less than the call of a Python function costs."""


def suits(x: Tensor) -> bool:
    """Return whether this module's ways of computing are meant for x: on a CPU with AMX."""
    return x.device.type == "cpu" and AMX


class Linear(nn.Linear):
    """`nn.Linear` that adds its bias within the product where x is large, under bf16 autocast on a CPU with AMX."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling() or self.bias is None or x.numel() < LARGE or not suits(x):
            return super().forward(x)
        if not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
            return super().forward(x)
        rows: Tensor = _Linear.apply(x.reshape(-1, x.shape[-1]), self.weight, self.bias)
        return rows.view(*x.shape[:-1], -1)


class _Linear(torch.autograd.Function):
    """x (T, I), weight (O, I) and bias (O,), of any floating-point dtype, to x weightᵀ + bias (T, O) in bf16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.dtypes = x.dtype, weight.dtype, bias.dtype
        x, weight = x.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(x, weight)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias.bfloat16(), "none", [], "")
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        dtypes, grad = ctx.dtypes, grad.bfloat16()
        return (
            (grad @ weight).to(dtypes[0]) if needs_x else None,
            (grad.t() @ x).to(dtypes[1]) if needs_weight else None,
            # A product with ones: summing over rows takes twice as long.
            torch.mv(grad.t(), grad.new_ones(len(grad))).to(dtypes[2]) if needs_bias else None,
        )


def attend(qkv: Tensor, num_heads: int) -> Tensor:
    """Return softmax(q kᵀ / √d) v of qkv (B, N, 3D) as (B, N, D), with the (N, N) matrix of each head written out."""
    out: Tensor = _Attend.apply(qkv, num_heads)
    return out


class _Attend(torch.autograd.Function):
    """One copy to gather the heads and one to scatter them, each way; what lies between is kept for both."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, num_heads: int) -> Tensor:
        B, N, _ = qkv.shape
        packed = qkv.reshape(B, N, 3, num_heads, -1).permute(2, 0, 3, 1, 4).reshape(3, B * num_heads, N, -1)
        q, k, v = packed
        weights = _product(q, k.transpose(1, 2), q.shape[-1] ** -0.5).softmax(-1)  # (B·H, N, N)
        ctx.save_for_backward(packed, weights)
        ctx.num_heads = num_heads
        return (weights @ v).reshape(B, num_heads, N, -1).transpose(1, 2).reshape(B, N, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        packed, weights = ctx.saved_tensors
        q, k, v = packed
        B, N, _ = grad.shape
        grad = grad.reshape(B, N, ctx.num_heads, -1).transpose(1, 2).reshape(v.shape)
        scores = torch.ops.aten._softmax_backward_data(grad @ v.transpose(1, 2), weights, -1, weights.dtype)
        grads, scale = torch.empty_like(packed), q.shape[-1] ** -0.5
        _product(scores, k, scale, out=grads[0])
        _product(scores.transpose(1, 2), q, scale, out=grads[1])
        torch.bmm(weights.transpose(1, 2), grad, out=grads[2])
        return grads.reshape(3, B, ctx.num_heads, N, -1).permute(1, 3, 0, 2, 4).reshape(B, N, -1), None


def _product(a: Tensor, b: Tensor, scale: float, out: Tensor | None = None) -> Tensor:
    """Return scale · a b of (B, N, K) and (B, K, M)."""
    return torch.baddbmm(a.new_empty(()), a, b, beta=0, alpha=scale, out=out)
