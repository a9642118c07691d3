from __future__ import annotations

import pytest
import torch
from maecli_plugins.models import vit
from pydantic import ValidationError

OFFICIAL = {  # patch_size, embed_dim, depth, num_heads: arXiv:2111.06377 and its released code
    vit.ViTBase: (16, 768, 12, 12),
    vit.ViTLarge: (16, 1024, 24, 16),
    vit.ViTHuge: (14, 1280, 32, 16),
}


def build(plugin, in_chans=3, img_size=(224, 224), **options):
    """Build without memory for the weights."""
    with torch.device("meta"):
        return plugin(plugin.Options(**options)).build(in_chans, img_size)


def num_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def parameters_by_formula(patch_size, dim, depth, img_size=224, in_chans=3, mlp_ratio=4):
    positions = (img_size // patch_size) ** 2 * dim
    embedding = (patch_size**2 * in_chans + 1) * dim + dim  # and the class token
    attention = 4 * (dim**2 + dim)
    mlp = 2 * mlp_ratio * dim**2 + (mlp_ratio + 1) * dim
    return positions + embedding + depth * (attention + mlp + 4 * dim) + 2 * dim


@pytest.mark.parametrize(("plugin", "settings"), OFFICIAL.items(), ids=lambda value: getattr(value, "name", ""))
def test_the_large_presets_are_those_of_the_paper(plugin, settings):
    patch_size, embed_dim, depth, num_heads = settings
    encoder = build(plugin)
    assert encoder.patch_size == (patch_size, patch_size)
    assert encoder.embed_dim == embed_dim
    assert len(encoder.blocks) == encoder.depth == depth
    assert {block.attn.num_heads for block in encoder.blocks} == {num_heads}
    assert encoder.blocks[0].mlp.fc1.out_features == 4 * embed_dim
    assert encoder.decoder_defaults == (512, 8, 16)
    assert num_parameters(encoder) == parameters_by_formula(patch_size, embed_dim, depth)


@pytest.mark.parametrize(
    ("plugin", "millions"),
    [(vit.ViTTiny, 5.5), (vit.ViTSmall, 21.7), (vit.ViTBase, 85.8), (vit.ViTLarge, 303.3), (vit.ViTHuge, 630.8)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_presets_have_their_well_known_numbers_of_parameters(plugin, millions):
    assert num_parameters(build(plugin)) / 1e6 == pytest.approx(millions, abs=0.05)


def test_vit_lite_is_small_enough_for_two_cores():
    encoder = build(vit.ViTLite, 1, (28, 28))
    assert encoder.grid == (7, 7)
    assert (encoder.embed_dim, encoder.depth) == (128, 6)
    assert encoder.decoder_defaults == (64, 2, 4)
    assert num_parameters(encoder) < 1e6


def test_every_preset_is_named_and_registered_once():
    plugins = vit.mae_models()
    assert [plugin.name for plugin in plugins] == [
        "vit",
        "vit-lite",
        "vit-tiny",
        "vit-small",
        "vit-base",
        "vit-large",
        "vit-huge",
        "hybrid",
        "hybrid-lite",
        "hybrid-small",
    ]


@pytest.mark.parametrize("plugin", [vit.Hybrid, vit.HybridLite, vit.HybridSmall])
def test_hybrids_have_convolutions_before_the_blocks(plugin):
    encoder = build(plugin)
    assert encoder.grid == (224 // encoder.patch_size[0],) * 2
    assert len(encoder.patch_embed.units) == encoder.patch_size[0].bit_length() - 1  # one stage per halving
    assert {len(units) for units in build(plugin, stem_units=2).patch_embed.units} == {2}


def test_every_option_reaches_the_encoder():
    encoder = build(
        vit.ViT,
        1,
        (8, 12),
        patch_size=(4, 2),
        embed_dim=24,
        depth=3,
        num_heads=4,
        mlp_ratio=1.5,
        drop_path=0.2,
        layer_scale=0.1,
        learned_pos_embed=True,
    )
    assert (encoder.img_size, encoder.patch_size, encoder.grid) == ((8, 12), (4, 2), (2, 6))
    assert (encoder.in_chans, encoder.embed_dim, encoder.depth) == (1, 24, 3)
    last = encoder.blocks[-1]
    assert (last.attn.num_heads, last.mlp.fc1.out_features) == (4, 36)
    assert last.drop_path1.drop_prob == last.drop_path2.drop_prob == pytest.approx(0.2)
    assert last.ls1.gamma.shape == (24,)
    assert encoder.pos_embed.requires_grad


@pytest.mark.parametrize("size", [(16,), (8, 16), (8, 4, 12)])
def test_one_patch_size_serves_any_number_of_axes(size):
    encoder = build(vit.ViT, 2, size, patch_size=4, embed_dim=24, depth=1, num_heads=2)
    assert encoder.patch_size == (4,) * len(size)


@pytest.mark.parametrize(
    ("options", "size", "text"),
    [
        ({"patch_size": 16}, (225, 224), r"img_size \(225\) must be a multiple of patch_size \(16\)"),
        ({"patch_size": (16, 16, 16)}, (224, 224), r"and patch_size \(16, 16, 16\) differ in axes"),
        ({"embed_dim": 100, "num_heads": 3}, (224, 224), r"embed_dim \(100\) must be a multiple of num_heads \(3\)"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, size, text):
    with pytest.raises(ValueError, match=text):
        build(vit.ViT, 3, size, **options)


@pytest.mark.parametrize("options", [{"depth": 0}, {"drop_path": 1.0}, {"layer_scale": 0.0}, {"width": 3}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValidationError, match=next(iter(options))):
        vit.ViT.Options(**options)
