from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from maecli.data.randomness import Draws
from maecli.models.blocks import Block, DropPath, LayerScale, Mlp, drawing_from, init_weights


def test_drop_path_drops_whole_samples_and_scales_the_others_up():
    torch.manual_seed(0)
    out = DropPath(0.2).train()(torch.ones(20_000, 2, 3))
    assert out.flatten(1).std(dim=1).max() == 0
    assert sorted(out.unique().tolist()) == pytest.approx([0, 1.25])


def test_drop_path_keeps_the_expectation():
    torch.manual_seed(0)
    out = DropPath(0.2).train()(torch.ones(20_000, 1))
    assert float(out.mean()) == pytest.approx(1, abs=5 * 0.5 / math.sqrt(20_000))  # five standard errors


def test_drop_path_changes_nothing_in_evaluation_or_at_rate_zero():
    x = torch.randn(4, 3)
    assert DropPath(0.5).eval()(x) is x
    assert DropPath(0.0).train()(x) is x


@pytest.mark.parametrize("rows", [1, 3], ids=["a row each", "a row for each channel"])
def test_what_is_dropped_is_the_samples_own_whatever_batch_it_is_in(rows):
    module, x = nn.Sequential(Block(8, 2, drop_path=0.5), Block(8, 2, drop_path=0.5)).train(), torch.randn(40, 3, 8)

    def dropped(start: int, stop: int) -> torch.Tensor:
        with drawing_from(module, Draws(0, 0, torch.arange(40 // rows)[start // rows : stop // rows])):
            return module(x[start:stop])

    num = 39 if rows == 3 else 40
    parts = [dropped(0, 12), dropped(12, 15), dropped(15, num)]
    torch.testing.assert_close(torch.cat(parts), dropped(0, num))
    assert not torch.allclose(dropped(0, num), module(x[:num]))  # outside it is torch's generator


def test_the_branches_of_a_module_are_dropped_independently_of_each_other():
    drops = nn.Sequential(*(DropPath(0.5) for _ in range(2))).train()
    with drawing_from(drops, Draws(0, 0, torch.arange(2000))):
        one, other = (drop(torch.ones(2000)) > 0 for drop in drops)
    assert abs(float((one == other).float().mean()) - 0.5) < 0.06


def test_layer_scale_multiplies_each_channel_by_its_own_factor():
    scale = LayerScale(3, 0.5)
    assert scale(torch.tensor([2.0, 4.0, 6.0])).tolist() == [1, 2, 3]
    with torch.no_grad():
        scale.gamma.copy_(torch.tensor([0.0, 1.0, 10.0]))
    assert scale(torch.tensor([[2.0, 4.0, 6.0]])).tolist() == [[0, 4, 60]]


def test_the_mlp_is_two_linear_layers_around_the_exact_gelu():
    torch.manual_seed(0)
    mlp, x = Mlp(3, 5), torch.randn(2, 3)
    hidden = mlp.fc1(x)
    gelu = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
    assert torch.allclose(mlp(x), mlp.fc2(gelu), atol=1e-6)


def test_a_block_adds_attention_and_then_the_mlp_of_normalised_tokens():
    torch.manual_seed(0)
    block, x = Block(8, 2), torch.randn(2, 4, 8)
    middle = x + block.attn(block.norm1(x))
    assert torch.allclose(block(x), middle + block.mlp(block.norm2(middle)), atol=1e-6)


def test_a_block_whose_layer_scale_is_zero_is_the_identity():
    block, x = Block(8, 2, layer_scale=0.1), torch.randn(2, 4, 8)
    with torch.no_grad():
        block.ls1.gamma.zero_()
        block.ls2.gamma.zero_()
    assert block(x).equal(x)


def test_a_dropped_block_leaves_its_sample_as_it_was():
    torch.manual_seed(0)
    block, x = Block(8, 2, drop_path=0.5).train(), torch.randn(64, 4, 8)
    untouched = (block(x) == x).flatten(1).all(1).float().mean()
    assert 0.05 < untouched < 0.5  # both branches are dropped for a quarter of the samples


def test_linear_layers_start_xavier_uniform_with_zero_bias():
    torch.manual_seed(0)
    block = Block(64, 4)
    block.apply(init_weights)
    for layer in (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2):
        bound = math.sqrt(6 / (layer.in_features + layer.out_features))
        largest = float(layer.weight.detach().abs().max())
        assert 0.98 * bound < largest <= bound
        assert float(layer.weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert not layer.bias.any()


def test_layer_norms_start_with_ones_and_zeros():
    block = Block(8, 2, norm_eps=1e-3)
    block.apply(init_weights)
    assert block.norm1.weight.eq(1).all()
    assert not block.norm1.bias.any()
    assert (block.norm1.eps, block.norm2.eps) == (1e-3, 1e-3)


def test_a_linear_layer_without_bias_can_be_initialised():
    layer = nn.Linear(4, 4, bias=False)
    init_weights(layer)
    assert layer.weight.abs().max() <= math.sqrt(6 / 8)
