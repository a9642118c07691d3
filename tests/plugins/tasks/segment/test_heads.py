from __future__ import annotations

import pytest
import torch
from maecli_plugins.tasks.segment.heads import Segmenter, segmentation_head
from torch import nn

from maecli.models.vit import VisionTransformer

KINDS = ("conv", "shuffle", "upernet")


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
