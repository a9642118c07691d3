"""Missing cells: whatever they hold, and however many a sample has, they change nothing."""

from __future__ import annotations

import math

import pytest
import torch

from maecli.models.heads import Classifier, ClassifierHead, pool_tokens
from maecli.models.mae import (
    Decoder,
    MaskedAutoencoder,
    denormalize_patches,
    normalize_patches,
    patch_moments,
)
from maecli.models.masking import make_masking, mask_draws
from maecli.models.missing import present_patches
from maecli.models.patches import patchify, unpatchify
from maecli.models.vit import VisionTransformer

SHAPES = {
    "table": ((1, 12), (1, 1), 1),
    "series": ((16,), (2,), 3),
    "picture": ((8, 8), (2, 2), 3),
    "volume": ((4, 4, 4), (2, 2, 2), 2),
}
every_shape = pytest.mark.parametrize("kind", SHAPES)


def encoder_of(kind, **settings):
    size, patch_size, in_chans = SHAPES[kind]
    torch.manual_seed(0)
    return VisionTransformer(size, patch_size, in_chans, **({"embed_dim": 12, "depth": 2, "num_heads": 2} | settings))


def autoencoder_of(kind, norm_pix_loss=False):
    encoder = encoder_of(kind)
    return MaskedAutoencoder(encoder, Decoder(encoder, 8, 2, 2), norm_pix_loss)


def patches_that_exist(kind, num):
    """Return `num` samples (num, N) bool: of the first nothing is there, of the second one patch, of the last all."""
    N = math.prod(encoder_of(kind).grid)
    present = torch.rand(num, N, generator=torch.Generator().manual_seed(2)) < 0.6
    present[0], present[1], present[-1] = False, torch.arange(N) == 3, True
    return present


def data_of(kind, num=6):
    """Return x (num, C, *S) and where it is valid, from nowhere in the first sample to everywhere in the last.

    Whole patches are missing, and single cells of others.
    """
    size, patch_size, in_chans = SHAPES[kind]
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(num, in_chans, *size, generator=generator)
    present = patches_that_exist(kind, num)
    cells = present.unsqueeze(-1).expand(-1, -1, math.prod(patch_size) * in_chans).clone()
    if cells.shape[-1] > 1:
        cells[2:-1, :, 1:] &= torch.rand(cells[2:-1, :, 1:].shape, generator=generator) < 0.7
    return x, unpatchify(cells, encoder_of(kind).grid, patch_size)


def spoilt(x, valid):
    """Return x with what no reader may look at in the missing cells."""
    other = torch.where(torch.arange(x[0].numel()).reshape(x.shape[1:]) % 2 == 0, torch.nan, 1e6)
    return torch.where(valid, x, other)


def masking_of(kind, valid, mask="random", ratio=0.5):
    encoder = encoder_of(kind)
    noise = torch.rand(len(valid), mask_draws(mask, encoder.grid), generator=torch.Generator().manual_seed(3))
    return make_masking(mask, noise, encoder.grid, ratio, present_patches(valid, encoder.patch_size))


@every_shape
def test_a_patch_is_present_where_one_of_its_cells_is_valid(kind):
    _, valid = data_of(kind)
    assert present_patches(valid, SHAPES[kind][1]).equal(patches_that_exist(kind, 6))


@every_shape
@torch.no_grad()
def test_the_value_of_a_missing_cell_changes_no_token_and_no_map(kind):
    encoder, (x, valid) = encoder_of(kind).eval(), data_of(kind)
    ids_keep = masking_of(kind, valid).ids_keep
    assert encoder(spoilt(x, valid), None, valid).equal(encoder(x, None, valid))
    assert encoder(spoilt(x, valid), ids_keep, valid).equal(encoder(x, ids_keep, valid))
    for one, other in zip(
        encoder.features(spoilt(x, valid), (1, 2), valid), encoder.features(x, (1, 2), valid), strict=True
    ):
        assert one.equal(other)
    assert not encoder(x + 0.1, None, valid)[1:].equal(encoder(x, None, valid)[1:])


@every_shape
@torch.no_grad()
def test_absent_patches_are_as_if_they_had_been_left_out(kind):
    encoder, (x, valid) = encoder_of(kind).eval(), data_of(kind)
    present = present_patches(valid, encoder.patch_size)
    tokens, zeroed = encoder(x, None, valid), torch.where(valid, x, 0.0)
    assert tokens.isfinite().all()
    for i, here in enumerate(present):
        alone = encoder(zeroed[i : i + 1], here.nonzero().T)[0]
        assert torch.allclose(tokens[i][torch.cat([torch.ones(1, dtype=torch.bool), here])], alone, atol=1e-5)
    assert not tokens[:, 1:][~present].any()


@every_shape
@torch.no_grad()
def test_kept_patches_that_are_absent_are_attended_by_nobody(kind):
    encoder, (x, valid) = encoder_of(kind).eval(), data_of(kind)
    present = present_patches(valid, encoder.patch_size)
    num_present = int(present[3].sum())
    order = present[3].int().argsort(descending=True, stable=True)[None]  # the present ones first
    fewer, more = (encoder(x[3:4], order[:, :num], valid[3:4]) for num in (num_present, order.shape[1]))
    assert num_present < order.shape[1]
    assert torch.allclose(more[:, : 1 + num_present], fewer, atol=1e-5)
    assert not more[:, 1 + num_present :].any()


@every_shape
@torch.no_grad()
def test_where_every_cell_is_valid_nothing_is_different(kind):
    (x, _), encoder = data_of(kind), encoder_of(kind).eval()
    everything = torch.ones_like(x, dtype=torch.bool)
    module, masking = autoencoder_of(kind).eval(), masking_of(kind, everything)
    assert torch.allclose(encoder(x, None, everything), encoder(x), atol=1e-5)
    assert torch.allclose(encoder.features(x, (2,), everything)[0], encoder.features(x, (2,))[0], atol=1e-5)
    assert float(module(x, masking, everything)) == pytest.approx(float(module(x, masking)), rel=1e-5)


@torch.no_grad()
def test_a_sample_is_the_same_whatever_its_neighbours_lack():
    encoder, (x, valid) = encoder_of("series").eval(), data_of("series")
    assert torch.allclose(encoder(x[2:3], None, valid[2:3]), encoder(x, None, valid)[2:3], atol=1e-6)


@every_shape
@pytest.mark.parametrize("norm_pix_loss", [False, True])
@pytest.mark.parametrize("mask", ["random", "grid", "block"])
def test_the_value_of_a_missing_cell_changes_neither_loss_nor_gradients(kind, mask, norm_pix_loss):
    x, valid = data_of(kind)
    masking = masking_of(kind, valid, mask)

    def step(image):
        module = autoencoder_of(kind, norm_pix_loss)
        loss = module(image, masking, valid)
        loss.backward()
        return loss.detach(), [p.grad for p in module.parameters() if p.grad is not None]

    (one, grads), (other, others) = step(x), step(spoilt(x, valid))
    assert one.isfinite()
    assert one.equal(other)
    assert all(a.isfinite().all() and a.equal(b) for a, b in zip(grads, others, strict=True))


@every_shape
@torch.no_grad()
def test_the_loss_is_the_mean_over_cells_that_are_hidden_and_valid(kind):
    module, (x, valid) = autoencoder_of(kind).eval(), data_of(kind)
    masking = masking_of(kind, valid)
    pred = module.reconstruct(x, masking.ids_keep, valid=valid)
    judged = (masking.mask.unsqueeze(-1) > 0) & patchify(valid, module.encoder.patch_size)
    expected = (pred - patchify(x, module.encoder.patch_size))[judged].square().mean()
    assert float(module(x, masking, valid)) == pytest.approx(float(expected), rel=1e-5)


@torch.no_grad()
def test_the_decoder_predicts_the_hidden_as_if_the_absent_had_no_place():
    """Without the absent ones, a decoder of the same weights on a shorter series says the same."""
    module = autoencoder_of("series").eval()
    x = torch.randn(1, 3, 16)
    valid = (torch.arange(16) < 12).expand(1, 3, 16)
    ids_keep, ids_hide = torch.tensor([[4, 1, 7]]), torch.tensor([[0, 2, 3, 5, 6]])
    pred = module.reconstruct(x, ids_keep, ids_hide, valid)
    latent = module.encoder(x, ids_keep[:, :2])
    module.decoder.grid, module.decoder.pos_embed.data = (6,), module.decoder.pos_embed[:, :6]
    shorter = module.decoder(latent, ids_keep[:, :2], (6,), ids_hide[:, :4])
    assert torch.allclose(pred[:, :4], shorter, atol=1e-5)


@pytest.mark.parametrize("num_prefix_tokens", [0, 1])
def test_a_batch_of_which_nothing_exists_has_a_loss_of_zero_and_finite_gradients(num_prefix_tokens):
    class Prefixed(VisionTransformer):
        def forward(self, x, ids_keep=None, valid=None):
            return super().forward(x, ids_keep, valid)[:, 1 - num_prefix_tokens :]

    encoder = Prefixed((16,), (2,), 3, 12, 1, 2)
    encoder.num_prefix_tokens = 1
    decoder = Decoder(encoder, 8, 1, 2)
    decoder.num_prefix_tokens = num_prefix_tokens
    module, x = MaskedAutoencoder(encoder, decoder, norm_pix_loss=True), torch.full((2, 3, 16), torch.nan)
    nothing = torch.zeros_like(x, dtype=torch.bool)
    loss = module(x, masking_of("series", nothing), nothing)
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())


def test_moments_are_of_valid_cells():
    patches = torch.tensor([[[1.0, 2.0, 3.0, 6.0], [5.0, torch.nan, 7.0, 7.0], [1.0, 2.0, 3.0, 4.0]]])
    valid = torch.tensor([[[True, True, False, True], [True, False, False, False], [False] * 4]])
    mean, variance = patch_moments(patches, valid)
    assert mean.flatten().tolist() == [3.0, 5.0, 0.0]
    assert variance.flatten().tolist() == [7.0, 0.0, 0.0]
    normal = normalize_patches(patches, valid)
    assert normal[0, 0, [0, 1, 3]].tolist() == pytest.approx([-2 / 7**0.5, -1 / 7**0.5, 3 / 7**0.5])
    assert torch.allclose(denormalize_patches(normal, patches, valid)[valid], patches[valid])


def test_moments_of_whole_patches_are_those_without_a_word_of_missing_cells():
    patches = torch.randn(2, 5, 12) * 3 + 1
    for one, other in zip(patch_moments(patches, torch.ones_like(patches) > 0), patch_moments(patches), strict=True):
        assert torch.allclose(one, other, rtol=1e-5)


def test_pooling_takes_the_mean_of_patches_that_are_there():
    tokens = torch.tensor([[[9.0], [1.0], [2.0], [torch.nan]], [[9.0], [1.0], [2.0], [3.0]]])
    present = torch.tensor([[True, True, False], [False, False, False]])
    assert pool_tokens(tokens, 1, "mean", present).tolist() == [[1.5], [0.0]]
    assert pool_tokens(tokens, 1, "cls", present).tolist() == [[9.0], [9.0]]


@every_shape
@pytest.mark.parametrize("pool", ["mean", "cls"])
@pytest.mark.parametrize("drop", [False, True])
def test_the_value_of_a_missing_cell_changes_nothing_that_a_classifier_says_or_learns(kind, pool, drop):
    x, valid = data_of(kind)
    ids_keep = masking_of(kind, valid).ids_keep if drop else None

    def step(image):
        encoder = encoder_of(kind)
        module = Classifier(encoder, ClassifierHead(12, 4), pool)
        logits = module(image, ids_keep, valid)
        logits.square().sum().backward()
        pooled = module.pooled(image, ids_keep, valid).detach()
        return [logits.detach(), pooled, *(p.grad for p in module.parameters() if p.grad is not None)]

    for one, other in zip(step(x), step(spoilt(x, valid)), strict=True):
        assert one.isfinite().all()
        assert one.equal(other)


@pytest.mark.slow
def test_a_graph_of_the_step_needs_no_look_at_the_data():
    module, (x, valid) = autoencoder_of("series"), data_of("series")
    masking = masking_of("series", valid)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.allclose(compiled(x, masking, valid), module(x, masking, valid), rtol=1e-5)
    assert torch.allclose(compiled(x, masking), module(x, masking), rtol=1e-5)
