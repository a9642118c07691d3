from __future__ import annotations

import pytest
import torch
from maecli_plugins.tasks.segment.heads import Segmenter, segmentation_head, why_not
from maecli_plugins.tasks.segment.layers import doublings
from torch import nn

from maecli.models.vit import VisionTransformer

KINDS = ("conv", "shuffle", "upernet")
DOUBLING = ("light", "unetr")
ANY_AXES = [((16,), (8,)), ((16, 24), (8, 4)), ((16, 8, 16), (8, 8, 4)), ((16, 16, 16), (16, 16, 16))]
"""Sizes of a sample and of its patches."""


def encoder(size=(16, 24), patch=(4, 6), depth=2):
    torch.manual_seed(0)
    return VisionTransformer(size, patch, 3, 16, depth, 2)


def segmenter(kind, channels=8, num_classes=5, **options):
    made = encoder(**options)
    return Segmenter(made, segmentation_head(kind, made, num_classes, channels)).eval()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(16, 24), (32, 12), (4, 6)])
@torch.no_grad()
def test_logits_have_the_pictures_size_whatever_it_is(kind, size):
    logits = segmenter(kind)(torch.randn(2, 3, *size))
    assert logits.shape == (2, 5, *size)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_of_the_head_learns_also_from_a_single_picture(kind):
    module = segmenter(kind).train()
    module(torch.randn(1, 3, 16, 24)).square().mean().backward()
    for name, parameter in module.head.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_new_head_holds_all_classes_for_nearly_alike(kind):
    probability = segmenter(kind)(torch.randn(2, 3, 16, 24)).softmax(1)
    assert (probability - 0.2).abs().max() < 0.1


@torch.no_grad()
def test_the_conv_head_is_a_linear_layer_per_token_brought_up_bilinearly():
    module, x = segmenter("conv"), torch.randn(2, 3, 16, 24)
    (tokens,) = module.encoder.features(x, (2,))
    coarse = torch.einsum("qd,bdhw->bqhw", module.head.classify.weight[:, :, 0, 0], tokens)
    expected = nn.functional.interpolate(coarse, (16, 24), mode="bilinear")
    assert torch.allclose(module(x), expected, atol=1e-6)


@torch.no_grad()
def test_the_shuffle_head_gives_each_token_the_pixels_of_its_own_patch():
    module = segmenter("shuffle", channels=1, num_classes=1)
    head = module.head
    values = torch.arange(24.0) + 1  # a patch of 4 × 6 pixels, row by row
    head.expand.weight.zero_()
    head.expand.weight[:, 0, 0, 0] = values
    head.expand.bias.zero_()
    head.classify.weight.zero_()
    head.classify.weight[0, 0, 1, 1] = 1  # the 3 × 3 convolution hands on its centre
    tokens = torch.zeros(1, 16, 4, 4)
    tokens[0, 0, 1, 2] = 1
    expected = torch.zeros(16, 24)
    expected[4:8, 12:18] = nn.functional.gelu(values).reshape(4, 6)
    picture = torch.randn(1, 3, 16, 24)
    assert torch.allclose(head([tokens], picture)[0, 0], expected)
    head.classify.weight[0, 2, 1, 1] = 1  # and adds the second channel of the picture
    assert torch.allclose(head([tokens], picture)[0, 0], expected + picture[0, 1])


@pytest.mark.parametrize(
    ("depth", "depths"), [(1, (1, 1, 1, 1)), (2, (1, 1, 2, 2)), (6, (2, 3, 5, 6)), (12, (3, 6, 9, 12))]
)
def test_upernet_takes_maps_at_a_quarter_half_three_quarters_and_all_of_the_depth(depth, depths):
    assert segmentation_head("upernet", encoder(depth=depth), 5, 8).depths == depths


@torch.no_grad()
def test_the_pyramid_is_four_two_one_and_half_times_the_token_grid():
    module = segmenter("upernet")
    maps = module.encoder.features(torch.randn(1, 3, 16, 30), module.head.depths)
    assert [tuple(x.shape[2:]) for x in module.head.pyramid(maps)] == [(16, 20), (8, 10), (4, 5), (2, 3)]


def test_widths_default_to_the_classes_and_to_256():
    made = encoder()
    assert segmentation_head("shuffle", made, 5).classify.in_channels == 5 + 3  # and the picture's
    assert segmentation_head("upernet", made, 5).classify.in_channels == 256


@pytest.mark.parametrize("kind", KINDS)
def test_dropped_channels_change_training_only(kind):
    made = encoder()
    module = Segmenter(made, segmentation_head(kind, made, 5, 8, drop=0.5))
    x = torch.randn(1, 3, 16, 24)
    with torch.no_grad():
        assert not torch.equal(module.train()(x), module(x))
        assert torch.equal(module.eval()(x), module(x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(16, 24), (18, 25)])
@torch.no_grad()
def test_the_value_of_a_missing_cell_changes_no_logit(kind, size):
    module, x = segmenter(kind), torch.randn(3, 3, *size)
    valid = torch.rand(3, 1, *size).expand(-1, 3, -1, -1) < torch.tensor([1.0, 0.5, 0.0]).reshape(-1, 1, 1, 1)
    valid[1, :, :, :12] = False
    logits = module(x, valid)
    assert logits.isfinite().all()
    assert module(torch.where(valid, x, torch.nan), valid).equal(logits)
    assert not module(x + 1, valid)[:2].equal(logits[:2])


def doubling(kind, size, patch, channels=8, depth=4, num_classes=3):
    torch.manual_seed(0)
    made = VisionTransformer(size, patch, 2, 24, depth, 2)
    return Segmenter(made, segmentation_head(kind, made, num_classes, channels)).eval()


@pytest.mark.parametrize("kind", DOUBLING)
@pytest.mark.parametrize(("size", "patch"), ANY_AXES)
@torch.no_grad()
def test_tokens_are_doubled_up_to_cells_along_one_to_three_axes(kind, size, patch):
    module, x = doubling(kind, size, patch), torch.randn(2, 2, *size)
    maps = module.encoder.features(x, module.head.depths)
    assert module.head(maps, x).shape == (2, 3, *size)
    larger = [length + 3 for length in size]
    assert module(torch.randn(1, 2, *larger)).shape == (1, 3, *larger)
    assert (module(x).softmax(1) - 1 / 3).abs().max() < 0.1, "all classes are nearly alike at first"


@pytest.mark.parametrize("kind", DOUBLING)
@pytest.mark.parametrize(("size", "patch"), ANY_AXES)
def test_every_parameter_of_a_doubling_head_learns_also_from_a_single_sample(kind, size, patch):
    module = doubling(kind, size, patch).train()
    module(torch.randn(1, 2, *size)).square().mean().backward()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().sum() > 0, name


def test_each_side_of_a_patch_is_doubled_as_often_as_it_takes():
    assert doublings((8, 8, 8)) == [(2, 2, 2)] * 3
    assert doublings((16, 4, 1)) == [(2, 1, 1), (2, 1, 1), (2, 2, 1), (2, 2, 1)]


@pytest.mark.parametrize(("patch", "depths"), [(16, (3, 6, 9, 12)), (8, (4, 8, 12)), (2, (12,))])
def test_unetr_takes_as_many_evenly_spaced_maps_as_a_patch_halves(patch, depths):
    made = VisionTransformer((16,) * 3, (patch,) * 3, 1, 24, 12, 2)
    assert segmentation_head("unetr", made, 5, 4).depths == depths


def test_unetr_sees_each_of_its_maps_and_the_sample():
    module, x = doubling("unetr", (16, 16), (16, 16)), torch.randn(1, 2, 16, 16, requires_grad=True)
    maps = [torch.randn(1, 24, 1, 1, requires_grad=True) for _ in module.head.depths]
    module.head(maps, x).square().sum().backward()
    assert len(maps) == 4
    assert all(each.grad.abs().sum() > 0 for each in [*maps, x])


@torch.no_grad()
def test_the_light_head_gives_each_token_the_cells_of_its_own_patch():
    module = doubling("light", (16, 8, 8), (8, 8, 8))
    one, other = torch.randn(2, 1, 24, 2, 1, 1)
    other[:, :, 1] = one[:, :, 1]
    differs = module.head([one], None) != module.head([other], None)
    assert differs[:, :, :8].all()
    assert not differs[:, :, 8:].any()


def test_doubling_heads_have_widths_of_their_own():
    made = VisionTransformer((16,) * 3, (8,) * 3, 1, 24, 2, 2)
    assert segmentation_head("light", made, 5).classify.in_channels == 32
    assert segmentation_head("unetr", made, 5).classify.in_channels == 16


@pytest.mark.parametrize(
    ("kind", "patch", "facts", "why"),
    [
        ("light", (6, 8), {}, "needs patches whose sides are powers of two, and they are 6×8"),
        ("unetr", (1, 1), {}, "needs patches whose sides are powers of two, and they are 1×1"),
        ("unetr", (8, 8), {"pyramid": (8, 24)}, "needs a model whose maps are all alike"),
        ("unetr", (8, 8), {"per_channel": True}, "reads all 2 channels at once, and the model one at a time"),
        ("shuffle", (8, 8), {"per_channel": True}, "reads all 2 channels at once, and the model one at a time"),
        ("light", (8, 8), {"pyramid": (8, 24), "per_channel": True}, ""),
        ("conv", (6, 8), {"per_channel": True}, ""),
    ],
)
def test_a_head_says_why_it_cannot_stand_on_an_encoder(kind, patch, facts, why):
    made = VisionTransformer((24, 24), patch, 1, 24, 1, 2)
    for name, value in facts.items():
        setattr(made, name, value)
    assert why_not(kind, made, 2, "tiny").startswith(why)
    assert bool(why_not(kind, made, 2, "tiny")) == bool(why)
