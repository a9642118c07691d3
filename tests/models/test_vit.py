from __future__ import annotations

import pytest
import torch
from torch import nn

from maecli.models.masking import random_masking
from maecli.models.positions import interpolate_pos_embed
from maecli.models.vit import VisionTransformer

SHAPES = [((12,), (3,)), ((8, 12), (4, 4)), ((12, 4), (4, 2)), ((4, 6, 4), (2, 3, 2))]


def tiny(size=(8, 8), patch_size=(2, 2), in_chans=3, **settings):
    torch.manual_seed(0)
    settings = {"embed_dim": 12, "depth": 2, "num_heads": 2} | settings
    return VisionTransformer(size, patch_size, in_chans, **settings).eval()


@pytest.mark.parametrize(("size", "patch_size"), SHAPES)
def test_an_encoder_serves_series_pictures_and_volumes(size, patch_size):
    encoder = tiny(size, patch_size)
    num_patches = torch.Size(encoder.grid).numel()
    x = torch.randn(2, 3, *size)
    assert encoder(x).shape == (2, 1 + num_patches, 12)
    masking = random_masking(torch.rand(2, num_patches), 0.5)
    assert encoder(x, masking.ids_keep).shape == (2, 1 + masking.ids_keep.shape[1], 12)


@torch.no_grad()
def test_a_change_to_a_masked_pixel_leaves_the_output_as_it_was():
    encoder, x = tiny(), torch.randn(1, 3, 8, 8)
    masking = random_masking(torch.rand(1, 16), 0.75)
    before = encoder(x, masking.ids_keep)
    pixels = masking.mask.reshape(1, 1, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)  # (1, 1, 8, 8)
    assert encoder(torch.where(pixels > 0, torch.full_like(x, 1e6), x), masking.ids_keep).equal(before)
    assert not encoder(torch.where(pixels > 0, x, x + 1), masking.ids_keep).equal(before)


@torch.no_grad()
def test_keeping_every_patch_in_order_is_the_same_as_not_masking():
    encoder, x = tiny(), torch.randn(2, 3, 8, 8)
    assert torch.allclose(encoder(x, torch.arange(16).expand(2, -1)), encoder(x), atol=1e-6)


@torch.no_grad()
def test_kept_tokens_come_in_the_order_of_the_ids():
    encoder, x = tiny(), torch.randn(1, 3, 8, 8)
    ids = torch.tensor([[3, 7, 1]])
    shuffled = encoder(x, ids[:, [2, 0, 1]])
    assert torch.allclose(encoder(x, ids)[:, [0, 3, 1, 2]], shuffled, atol=1e-6)


@torch.no_grad()
def test_another_size_uses_interpolated_positions():
    encoder, x = tiny(), torch.randn(2, 3, 12, 4)
    tokens = encoder(x)
    assert tokens.shape == (2, 1 + 6 * 2, 12)
    positions = interpolate_pos_embed(encoder.pos_embed, (4, 4), (6, 2))
    encoder.pos_embed = nn.Parameter(positions, requires_grad=False)
    encoder.img_size = (12, 4)
    assert encoder(x).equal(tokens)


def test_a_size_that_the_patches_do_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"img_size \(9\) must be a multiple of patch_size \(2\)"):
        tiny()(torch.zeros(1, 3, 8, 9))
    with pytest.raises(ValueError, match=r"img_size \(9\) must be a multiple of patch_size \(2\)"):
        tiny(size=(9, 8))


def test_an_encoder_starts_as_the_official_code_does():
    encoder = tiny(embed_dim=512, num_heads=8, depth=1)
    assert float(encoder.cls_token.detach().std()) == pytest.approx(0.02, rel=0.15)
    bound = (6 / (12 + 512)) ** 0.5
    weight = encoder.patch_embed.weight.detach()
    assert 0.99 * bound < float(weight.abs().max()) <= bound
    assert not encoder.patch_embed.bias.any()


def test_positions_are_fixed_unless_they_are_to_be_learned():
    assert not tiny().pos_embed.requires_grad
    assert tiny(learned_pos_embed=True).pos_embed.requires_grad
    assert tiny(learned_pos_embed=True).pos_embed.equal(tiny().pos_embed)


def test_stochastic_depth_rises_from_zero_to_the_last_block():
    encoder = tiny(depth=5, drop_path=0.4)
    assert [block.drop_path1.drop_prob for block in encoder.blocks] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_layer_scale_is_left_out_unless_it_is_asked_for():
    assert not any("gamma" in name for name in tiny().state_dict())
    assert tiny(layer_scale=0.1).blocks[1].ls2.gamma.tolist() == pytest.approx([0.1] * 12)


@torch.no_grad()
@pytest.mark.parametrize(("size", "patch_size"), SHAPES)
def test_features_are_maps_after_the_asked_blocks_in_the_asked_order(size, patch_size):
    encoder, x = tiny(size, patch_size), torch.randn(2, 3, *size)
    last, first = encoder.features(x, (2, 1))
    assert last.shape == first.shape == (2, 12, *encoder.grid)
    assert torch.allclose(last.flatten(2).transpose(1, 2), encoder(x)[:, 1:], atol=1e-6)
    tokens = encoder.blocks[0](encoder.embed(x, None))
    assert torch.allclose(first.flatten(2).transpose(1, 2), tokens[:, 1:], atol=1e-6)


def test_every_parameter_belongs_to_a_layer():
    encoder = tiny(depth=3, layer_scale=0.1)
    layers = {name: encoder.layer_of(name) for name, _ in encoder.named_parameters()}
    embeddings = {"cls_token", "pos_embed", "patch_embed.weight", "patch_embed.bias"}
    assert {name for name, layer in layers.items() if layer == 0} == embeddings
    assert {name for name, layer in layers.items() if layer == 4} == {"norm.weight", "norm.bias"}
    for name, layer in layers.items():
        if name.startswith("blocks."):
            assert layer == int(name.split(".")[1]) + 1


def test_an_encoder_tells_its_grid_and_its_decoder():
    encoder = tiny((8, 12), (4, 2), decoder=(8, 1, 2))
    assert encoder.grid == (2, 6)
    assert encoder.decoder_defaults == (8, 1, 2)
    assert encoder.num_prefix_tokens == 1


@torch.no_grad()
def test_without_the_last_norm_tokens_are_as_the_last_block_left_them():
    bare, whole, x = tiny(final_norm=False), tiny(), torch.randn(2, 3, 8, 8)
    bare.load_state_dict({name: tensor for name, tensor in whole.state_dict().items() if not name.startswith("norm.")})
    assert whole.norm(bare(x)).equal(whole(x))
    assert whole.norm(bare.features(x, [2])[0].movedim(1, -1)).movedim(-1, 1).allclose(whole.features(x, [2])[0])
