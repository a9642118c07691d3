from __future__ import annotations

import pytest
import torch
from torch import nn

from maecli.models.attention import Attention
from maecli.models.kernels import amx
from maecli.models.kernels.amx import Linear

needs_amx = pytest.mark.skipif(not amx.AMX, reason="no AMX on this machine")


def test_gradients_of_attention_are_those_of_finite_differences():
    qkv = torch.randn(2, 3, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: amx.attend(x, 2), qkv)


@needs_amx
@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 8), (2, 1, 4, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_linear_layer_gives_what_that_of_torch_gives(monkeypatch, shape, dtype):
    monkeypatch.setattr(amx, "LARGE", 0)
    torch.manual_seed(0)
    ours, theirs = Linear(8, 6), nn.Linear(8, 6)
    theirs.load_state_dict(ours.state_dict())
    x, weights = torch.randn(shape).to(dtype), torch.randn(*shape[:-1], 6)
    results = []
    for layer in (ours, theirs):
        given = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(given)
        (out * weights).sum().backward()
        results.append((out, given.grad, layer.weight.grad, layer.bias.grad))
    for one, other in zip(*results, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.02)  # bf16 rounds sums in another order


def test_only_large_inputs_under_bf16_autocast_take_the_other_way(monkeypatch):
    calls = []
    monkeypatch.setattr(amx._Linear, "apply", lambda x, weight, bias: calls.append(1) or x)
    monkeypatch.setattr(amx, "AMX", True)
    monkeypatch.setattr(amx, "LARGE", 8)
    layer, large = Linear(4, 4), torch.randn(2, 4)
    layer(large)
    with torch.autocast("cpu", torch.float16):
        layer(large)
    with torch.autocast("cpu", torch.bfloat16):
        layer(large[:1])
        Linear(4, 4, bias=False)(large)
        assert not calls
        layer(large)
    assert calls


@pytest.mark.slow
def test_torch_compile_sees_one_graph():
    layer = nn.Sequential(Linear(8, 24), Attention(24, 2))
    with torch.autocast("cpu", torch.bfloat16):
        seen = torch._dynamo.explain(layer)(torch.randn(2, 5, 8))
    assert seen.graph_break_count == 0


@needs_amx
def test_frozen_weights_and_given_inputs_get_no_gradient(monkeypatch):
    monkeypatch.setattr(amx, "LARGE", 0)
    layer = Linear(4, 4)
    layer.weight.requires_grad_(False)
    x = torch.randn(2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is None
    assert layer.bias.grad is not None
    assert layer.bias.grad.tolist() == [2.0] * 4
