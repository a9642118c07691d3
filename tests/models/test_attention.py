from __future__ import annotations

import math

import pytest
import torch

from maecli.models.attention import SHORT, Attention, attend
from maecli.models.kernels import amx


def test_attention_of_one_head_is_what_a_person_computes():
    q, k, v = [2.0, 0.0], [[1.0, 5.0], [0.0, -3.0]], [[10.0, 0.0], [0.0, 20.0]]
    qkv = torch.tensor([[q + k[0] + v[0], q + k[1] + v[1]]])
    weight = math.exp(2 / math.sqrt(2)) / (math.exp(2 / math.sqrt(2)) + 1)  # scores √2 and 0
    assert attend(qkv, 1)[0, 0].tolist() == pytest.approx([10 * weight, 20 * (1 - weight)], rel=1e-6)


@pytest.mark.parametrize("num_tokens", [1, 5, 65])
def test_both_ways_of_computing_attention_agree_and_so_do_their_gradients(monkeypatch, num_tokens):
    results = []
    for has_amx in (False, True):
        monkeypatch.setattr(amx, "AMX", has_amx)
        qkv = torch.randn(2, num_tokens, 48, generator=torch.Generator().manual_seed(0), requires_grad=True)
        out = attend(qkv, 2)
        out.square().sum().backward()
        results.append((out, qkv.grad))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)


def test_the_matrix_is_written_out_for_short_sequences_on_amx_only(monkeypatch):
    calls = []
    fused = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda *args, **kw: calls.append(1) or fused(*args, **kw)
    )
    for has_amx, num, expected in [(True, 4, 0), (True, SHORT + 1, 1), (False, 4, 1)]:
        calls.clear()
        monkeypatch.setattr(amx, "AMX", has_amx)
        attend(torch.zeros(1, num, 6), 1)
        assert len(calls) == expected


def test_attention_does_not_depend_on_the_order_of_the_other_tokens():
    torch.manual_seed(0)
    layer, x, order = Attention(16, 4), torch.randn(2, 7, 16), torch.randperm(7)
    assert torch.allclose(layer(x)[:, order], layer(x[:, order]), atol=1e-6)


def test_the_fused_projection_holds_queries_then_keys_then_values_head_by_head():
    torch.manual_seed(0)
    layer, x = Attention(8, 2), torch.randn(1, 3, 8)
    parts = zip(layer.qkv.weight.chunk(3), layer.qkv.bias.chunk(3), strict=True)
    q, k, v = (x @ weight.T + bias for weight, bias in parts)
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        scores = q[..., part] @ k[..., part].transpose(1, 2) / 2  # √4
        heads.append(scores.softmax(-1) @ v[..., part])
    assert torch.allclose(layer(x), layer.proj(torch.cat(heads, -1)), atol=1e-6)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match=r"embed_dim \(10\) must be a multiple of num_heads \(4\)"):
        Attention(10, 4)
