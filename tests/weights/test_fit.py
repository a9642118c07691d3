from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from reference_models import DEPTH, D, difference, inputs, timm_tokens, timm_vit

from maecli.errors import SpecError
from maecli.models.positions import interpolate_pos_embed
from maecli.models.vit import VisionTransformer
from maecli.weights.encoder_weights import EncoderWeights
from maecli.weights.files import WeightFile
from maecli.weights.fit import load_encoder_weights
from maecli.weights.formats import import_encoder

HEADS_TAKEN = "; the file does not record its attention heads, 4 are taken (--set model.num_heads=…)"


def new_encoder(img_size=(32, 32), patch_size=(8, 8), in_chans=3, depth=DEPTH, **settings):
    return VisionTransformer(img_size, patch_size, in_chans, D, depth, 4, 1.5, **settings).eval()


def of_timm(without=(), **settings):
    state = {name: tensor for name, tensor in timm_vit(**settings).state_dict().items() if name not in without}
    return import_encoder(WeightFile("vit.pth", "torch", state))


def of_run(encoder, **others):
    return EncoderWeights(
        source="runs/a",
        format="",
        tensors=encoder.state_dict() | others,
        patch_size=encoder.patch_size,
        in_chans=encoder.in_chans,
        grid=encoder.grid,
        num_heads=4,
        num_others=2,
    )


def test_all_is_told_when_all_fits():
    said = load_encoder_weights(new_encoder(), of_timm())
    assert said == (
        "encoder from vit.pth (timm or official MAE): 42 tensors matched, 0 adapted, 0 new, 2 left over (decoder or "
        f"head){HEADS_TAKEN}"
    )


def test_what_is_adapted_is_told():
    said = load_encoder_weights(new_encoder((28, 42), (2, 2), 1), of_run(new_encoder()))
    assert said == (
        "encoder from runs/a: 40 tensors matched, 2 adapted (pos_embed 4×4 to 14×21, patch_embed 8×8 to 2×2, 3 "
        "channels to 1), 0 new, 2 left over (decoder or head)"
    )


@torch.no_grad()
def test_positions_are_interpolated_to_another_size():
    weights, encoder = of_timm(), new_encoder((48, 24))
    said = load_encoder_weights(encoder, weights)
    assert "1 adapted (pos_embed 4×4 to 6×3)" in said
    assert encoder.pos_embed.equal(interpolate_pos_embed(weights.tensors["pos_embed"], (4, 4), (6, 3)))


@torch.no_grad()
def test_a_grid_of_as_many_patches_in_another_shape_is_interpolated_too():
    encoder = new_encoder((64, 16))
    assert "pos_embed 4×4 to 8×2" in load_encoder_weights(encoder, of_timm())


@torch.no_grad()
def test_patches_of_another_size_keep_their_tokens_when_each_is_resized():
    peer = timm_vit()
    x = inputs(32, 32)
    patches = x.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, 8, 8)
    grown = F.interpolate(patches, (12, 12), mode="bilinear").reshape(2, 4, 4, 3, 12, 12)
    grown = grown.permute(0, 3, 1, 4, 2, 5).reshape(2, 3, 48, 48)
    encoder = new_encoder((48, 48), (12, 12))
    load_encoder_weights(encoder, of_timm())
    assert difference(encoder(grown), timm_tokens(peer, x)) <= 1e-4


@torch.no_grad()
@pytest.mark.parametrize(("old", "new"), [(3, 1), (1, 3), (3, 5)])
def test_grey_pictures_keep_their_tokens_with_another_number_of_channels(old, new):
    grey = inputs(32, 32, channels=1)
    encoder = new_encoder(in_chans=new)
    said = load_encoder_weights(encoder, of_timm(in_chans=old))
    assert f"1 adapted ({old} channel{'' if old == 1 else 's'} to {new})" in said
    expected = timm_tokens(timm_vit(in_chans=old), grey.expand(-1, old, -1, -1))
    assert difference(encoder(grey.expand(-1, new, -1, -1)), expected) <= 1e-5


@torch.no_grad()
def test_swapped_channels_would_show():
    encoder, x = new_encoder(), inputs(32, 32)
    load_encoder_weights(encoder, of_timm())
    assert difference(encoder(x.flip(1)), timm_tokens(timm_vit(), x)) > 1e-2


def test_series_and_pictures_do_not_mix():
    series = VisionTransformer((32,), (8,), 3, D, DEPTH, 4, 1.5)
    with pytest.raises(SpecError, match="--init runs/a: 40 of 42 encoder tensors match, 2 do not, 2 are left over"):
        load_encoder_weights(new_encoder(), of_run(series))


@pytest.mark.parametrize("partial", [False, True])
def test_blocks_that_are_missing_start_anew_only_if_that_was_asked_for(partial):
    encoder, weights = new_encoder(depth=4), of_timm()
    fresh = encoder.blocks[3].mlp.fc1.weight.clone()
    if partial:
        said = load_encoder_weights(encoder, weights, partial=True)
        assert "42 tensors matched, 0 adapted, 12 new (blocks.3.norm1.weight, blocks.3.norm1.bias, " in said
        assert encoder.blocks[3].mlp.fc1.weight.equal(fresh)
        return
    with pytest.raises(SpecError) as caught:
        load_encoder_weights(encoder, weights)
    assert str(caught.value) == (
        "--init vit.pth: 42 of 54 encoder tensors match, 12 do not, 0 are left over (first: blocks.3.norm1.weight "
        "missing instead of 32); use the model of that file, or --init-partial to start the rest anew"
    )


@pytest.mark.parametrize("partial", [False, True])
def test_blocks_that_are_left_over_are_dropped_only_if_that_was_asked_for(partial):
    encoder, weights = new_encoder(depth=2), of_timm()
    if partial:
        said = load_encoder_weights(encoder, weights, partial=True)
        assert "30 tensors matched, 0 adapted, 0 new, 12 of the encoder left over (blocks.2.norm1.weight, " in said
        assert "2 left over (decoder or head)" in said
        return
    with pytest.raises(SpecError, match=r"30 of 30 .* match, 0 do not, 12 are left over \(first: blocks.2.norm1"):
        load_encoder_weights(encoder, weights)


def test_a_missing_tensor_is_named_and_the_encoder_stays_as_it_was():
    encoder = new_encoder()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with pytest.raises(SpecError, match=r"first: norm\.bias missing instead of 32"):
        load_encoder_weights(encoder, of_timm(without=("norm.bias",)))
    assert all(tensor.equal(before[name]) for name, tensor in encoder.state_dict().items())


def test_weights_of_another_width_fit_nowhere_even_partially():
    other = VisionTransformer((32, 32), (8, 8), 3, 16, DEPTH, 4, 1.5)
    with pytest.raises(SpecError) as caught:
        load_encoder_weights(new_encoder(), of_run(other), partial=True)
    assert str(caught.value) == (
        "--init runs/a: 0 of 42 encoder tensors match, 42 do not, 42 are left over (first: cls_token 1×1×16 instead of "
        "1×1×32); use the model of that run"
    )


def test_another_number_of_heads_is_refused_since_no_tensor_would_show_it():
    encoder = VisionTransformer((32, 32), (8, 8), 3, D, DEPTH, 2, 1.5)
    with pytest.raises(SpecError) as caught:
        load_encoder_weights(encoder, of_run(new_encoder()))
    assert str(caught.value) == (
        "model.num_heads (2) must be 4, as in runs/a: with another number its weights would fit and mean something else"
    )


@torch.no_grad()
def test_the_convolution_that_reads_the_picture_gets_other_channels():
    class Net(torch.nn.Module):
        img_size, patch_size, grid = (8, 8), (2, 2), (4, 4)

        def __init__(self, in_chans):
            super().__init__()
            self.in_chans = in_chans
            self.first, self.second = torch.nn.Conv2d(in_chans, 6, 3), torch.nn.Conv2d(6, in_chans, 3)

    colour, grey = Net(3), Net(1)
    with pytest.raises(SpecError, match=r"second\.weight 3×6×3×3 instead of 1×6×3×3"):
        load_encoder_weights(grey, of_run(colour))
    said = load_encoder_weights(grey, of_run(colour), partial=True)
    assert "1 adapted (3 channels to 1), 2 new (second.weight, second.bias)" in said
    assert grey.first.weight.equal(colour.first.weight.sum(1, keepdim=True))


@torch.no_grad()
def test_cells_with_names_get_the_positions_of_their_names():
    first = VisionTransformer((3,), (1,), 4, 8, 1, 2, learned_pos_embed=True)
    torch.nn.init.normal_(first.pos_embed)
    weights = replace(of_run(first), cells=("size", "rooms", "price"), num_heads=2)
    second = VisionTransformer((3,), (1,), 2, 8, 1, 2, learned_pos_embed=True)
    new = second.pos_embed[0, 1].clone()
    said = load_encoder_weights(second, weights, cells=("rooms", "street", "size"))
    torch.testing.assert_close(second.pos_embed[0, 0], first.pos_embed[0, 1])
    torch.testing.assert_close(second.pos_embed[0, 2], first.pos_embed[0, 0])
    torch.testing.assert_close(second.pos_embed[0, 1], new)
    torch.testing.assert_close(second.patch_embed.weight, first.patch_embed.weight[:, :2])
    assert "2 adapted (positions of 2 of 3 columns by name, the first 2 of 4 channels), 0 new" in said
    with pytest.raises(SpecError, match="from the columns size, rooms, price, and none of them is among a, b, c"):
        load_encoder_weights(second, weights, cells=("a", "b", "c"))


@torch.no_grad()
def test_a_category_that_the_weights_do_not_have_begins_at_nothing():
    first, second = (VisionTransformer((2,), (1,), channels, 8, 1, 2) for channels in (2, 3))
    weights = replace(of_run(first), cells=("size", "street"), num_heads=2)
    load_encoder_weights(second, weights, cells=("size", "street"))
    torch.testing.assert_close(second.patch_embed.weight[:, :2], first.patch_embed.weight)
    assert not second.patch_embed.weight[:, 2].any()
