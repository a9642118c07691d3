from __future__ import annotations

import pytest
import torch

from maecli.models.mae import (
    Decoder,
    MaskedAutoencoder,
    denormalize_patches,
    normalize_patches,
    patch_moments,
)
from maecli.models.masking import Masking, make_masking, mask_draws
from maecli.models.patches import patchify
from maecli.models.vit import VisionTransformer


def tiny(size=(8, 8), patch_size=(2, 2), in_chans=3, norm_pix_loss=False):
    torch.manual_seed(0)
    encoder = VisionTransformer(size, patch_size, in_chans, embed_dim=12, depth=2, num_heads=2)
    return MaskedAutoencoder(encoder, Decoder(encoder, 8, 1, 2), norm_pix_loss).eval()


def masked(grid=(4, 4), batch=2, mask_ratio=0.75, mask="random"):
    generator = torch.Generator().manual_seed(1)
    return make_masking(mask, torch.rand(batch, mask_draws(mask, grid), generator=generator), grid, mask_ratio)


every_mask = pytest.mark.parametrize("mask", ["random", "grid", "block"])


@pytest.mark.parametrize(
    ("size", "patch_size"), [((12,), (3,)), ((8, 12), (4, 4)), ((12, 4), (4, 2)), ((4, 6, 4), (2, 3, 2))]
)
def test_series_pictures_and_volumes_are_reconstructed_whole(size, patch_size):
    module, x = tiny(size, patch_size), torch.randn(2, 3, *size)
    masking = masked(module.encoder.grid, mask_ratio=0.5)
    pred = module.reconstruct(x, masking.ids_keep)
    assert pred.shape == patchify(x, patch_size).shape
    assert module(x, masking).shape == ()


@torch.no_grad()
@pytest.mark.parametrize("norm_pix_loss", [False, True])
def test_the_loss_is_the_masked_mean_over_hidden_patches(norm_pix_loss):
    module, x, masking = tiny(norm_pix_loss=norm_pix_loss), torch.randn(2, 3, 8, 8), masked()
    errors = (module.reconstruct(x, masking.ids_keep) - module.target(x)).square().mean(-1)  # (B, N)
    expected = (errors * masking.mask).sum() / masking.mask.sum()
    assert float(module(x, masking)) == pytest.approx(float(expected), rel=1e-5)


@torch.no_grad()
def test_the_loss_ignores_the_predictions_of_visible_patches(monkeypatch):
    module, x, masking = tiny(), torch.randn(2, 3, 8, 8), masked()
    visible_ones_spoilt = module.target(x) + (1 - masking.mask.unsqueeze(-1)) * 1e6
    hidden_ones_off_by_two = visible_ones_spoilt + masking.mask.unsqueeze(-1) * 2

    def predict(patches):
        def forward(latent, ids_keep, grid, ids_pred=None, present=None):
            if ids_pred is None:
                return patches
            return patches.gather(1, ids_pred.unsqueeze(-1).expand(-1, -1, patches.shape[-1]))

        return forward

    monkeypatch.setattr(module.decoder, "forward", predict(visible_ones_spoilt))
    assert float(module(x, masking)) == 0
    monkeypatch.setattr(module.decoder, "forward", predict(hidden_ones_off_by_two))
    assert float(module(x, masking)) == pytest.approx(4, rel=1e-5)


@torch.no_grad()
@every_mask
def test_the_prediction_depends_on_visible_pixels_and_not_on_hidden_ones(mask):
    module, x, masking = tiny(), torch.randn(2, 3, 8, 8), masked(mask=mask)
    pixels = masking.mask.reshape(2, 1, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
    hidden_ones_changed = torch.where(pixels > 0, x + 5, x)
    latent = module.encoder(x, masking.ids_keep)
    assert module.encoder(hidden_ones_changed, masking.ids_keep).equal(latent)
    before = module.reconstruct(x, masking.ids_keep)
    assert module.reconstruct(hidden_ones_changed, masking.ids_keep).equal(before)
    assert not module.reconstruct(torch.where(pixels > 0, x, x + 5), masking.ids_keep).equal(before)


@torch.no_grad()
@every_mask
def test_the_decoder_puts_visible_tokens_at_their_patches_and_mask_tokens_at_the_others(mask):
    """Without blocks no token hears of another, so that each prediction tells whose token lies there."""
    encoder = VisionTransformer((8, 16), (2, 4), 3, embed_dim=12, depth=0, num_heads=2)
    module, x = MaskedAutoencoder(encoder, Decoder(encoder, 8, 0, 2)).eval(), torch.randn(2, 3, 8, 16)
    masking = masked(mask=mask)
    everything = module.reconstruct(x, torch.arange(16).expand(2, -1))
    no_token = module.decoder.pred(module.decoder.norm(module.decoder.mask_token + module.decoder.pos_embed))
    expected = torch.where(masking.mask.unsqueeze(-1) > 0, no_token, everything)
    assert torch.allclose(module.reconstruct(x, masking.ids_keep), expected, atol=1e-6)


@torch.no_grad()
@every_mask
def test_the_decoder_puts_tokens_back_in_their_places_whatever_the_order_of_the_noise(mask):
    module, x, masking = tiny(), torch.randn(2, 3, 8, 8), masked(mask_ratio=0.5, mask=mask)
    reordered = masking.ids_keep.flip(1)
    pred = module.reconstruct(x, masking.ids_keep)
    assert torch.allclose(module.reconstruct(x, reordered), pred, atol=1e-6)
    shuffled = Masking(reordered, masking.ids_hide.roll(3, 1), masking.mask)
    assert float(module(x, shuffled)) == pytest.approx(float(module(x, masking)), rel=1e-5)


@torch.no_grad()
def test_asking_for_some_predictions_gives_those_of_the_whole():
    module, x, masking = tiny(), torch.randn(2, 3, 8, 8), masked()
    whole = module.reconstruct(x, masking.ids_keep)
    some = module.reconstruct(x, masking.ids_keep, masking.ids_hide)
    rows = torch.arange(2).unsqueeze(1)
    assert torch.allclose(some, whole[rows, masking.ids_hide], atol=1e-6)


@torch.no_grad()
def test_a_sample_is_reconstructed_alike_alone_and_in_a_batch():
    module, x, masking = tiny(), torch.randn(2, 3, 8, 8), masked()
    alone = module.reconstruct(x[1:], masking.ids_keep[1:])
    assert torch.allclose(module.reconstruct(x, masking.ids_keep)[1:], alone, atol=1e-6)


def test_every_trained_parameter_gets_a_gradient():
    module, masking = tiny(), masked()
    module(torch.randn(2, 3, 8, 8), masking).backward()
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert {name for name, parameter in trained.items() if parameter.grad is None} == set()
    still = {name for name, parameter in trained.items() if not parameter.grad.any()}
    assert still == set()


def test_mask_tokens_start_small_and_normal():
    torch.manual_seed(0)
    encoder = VisionTransformer((8, 8), (2, 2), 3, embed_dim=12, depth=1, num_heads=2)
    decoder = Decoder(encoder, 1024, 1, 2)
    assert float(decoder.mask_token.detach().std()) == pytest.approx(0.02, rel=0.15)
    assert not decoder.embed.bias.any()
    assert not decoder.pos_embed.requires_grad


def test_patches_are_normalised_by_their_own_mean_and_unbiased_variance():
    patches = torch.tensor([[[1.0, 2.0, 3.0, 6.0]]])
    mean, variance = patch_moments(patches)
    assert (mean.item(), variance.item()) == (3.0, pytest.approx(14 / 3))
    expected = [(value - 3) / (14 / 3 + 1e-6) ** 0.5 for value in (1, 2, 3, 6)]
    assert normalize_patches(patches).flatten().tolist() == pytest.approx(expected, rel=1e-6)


def test_denormalising_is_the_inverse_of_normalising():
    patches = torch.randn(2, 5, 12) * 3 + 1
    assert torch.allclose(denormalize_patches(normalize_patches(patches), patches), patches, atol=1e-5)


def test_a_flat_patch_normalises_to_zero():
    assert not normalize_patches(torch.full((1, 1, 8), 0.25)).any()
