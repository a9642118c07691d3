from __future__ import annotations

import pytest
import torch
from maecli_plugins.models.hybrid import HybridVisionTransformer, MaskedStem

from maecli.models.mae import Decoder, MaskedAutoencoder
from maecli.models.masking import random_masking


def tiny(size=(8, 8), patch_size=(4, 4), in_chans=3, **settings):
    torch.manual_seed(0)
    settings = {"embed_dim": 16, "depth": 2, "num_heads": 2} | settings
    return HybridVisionTransformer(size, patch_size, in_chans, **settings).eval()


@pytest.mark.parametrize(
    ("size", "patch_size"), [((8, 8), (2, 2)), ((8, 16), (4, 4)), ((16, 8), (8, 8)), ((8, 16), (2, 8))]
)
def test_tokens_are_those_of_the_patch_grid(size, patch_size):
    encoder = tiny(size, patch_size)
    num_patches = torch.Size(encoder.grid).numel()
    assert encoder(torch.randn(2, 3, *size)).shape == (2, 1 + num_patches, 16)
    assert encoder.features(torch.randn(2, 3, *size), (1, 2))[0].shape == (2, 16, *encoder.grid)


@pytest.mark.parametrize("patch_size", [(2, 2), (4, 4)])
@torch.no_grad()
def test_a_change_to_a_masked_pixel_leaves_the_output_as_it_was(patch_size):
    encoder, x = tiny((16, 16), patch_size), torch.randn(1, 3, 16, 16)
    h, w = encoder.grid
    masking = random_masking(torch.rand(1, h * w), 0.5)
    before = encoder(x, masking.ids_keep)
    pixels = masking.mask.reshape(1, 1, h, w).repeat_interleave(16 // h, 2).repeat_interleave(16 // w, 3)
    assert encoder(torch.where(pixels > 0, torch.full_like(x, 1e6), x), masking.ids_keep).equal(before)
    assert not encoder(torch.where(pixels > 0, x, x + 1), masking.ids_keep).equal(before)


@torch.no_grad()
def test_convolutions_join_visible_neighbours():
    encoder, x = tiny(), torch.randn(1, 3, 8, 8)
    other = x.clone()
    other[..., :4] += 1  # the left patches
    keep = torch.tensor([[1, 3]])  # the right ones
    assert encoder.embed(x, keep).equal(encoder.embed(other, keep))
    both = torch.arange(4).expand(1, -1)
    assert not encoder.embed(x, both)[:, 2].equal(encoder.embed(other, both)[:, 2])


@torch.no_grad()
def test_keeping_every_patch_in_order_is_the_same_as_not_masking():
    encoder, x = tiny(), torch.randn(2, 3, 8, 8)
    assert torch.allclose(encoder(x, torch.arange(4).expand(2, -1)), encoder(x), atol=1e-6)


def test_it_is_pretrained_by_masked_autoencoding():
    encoder = tiny().train()
    module = MaskedAutoencoder(encoder, Decoder(encoder, 8, 1, 2))
    module(torch.randn(2, 3, 8, 8), random_masking(torch.rand(2, 4), 0.5)).backward()
    assert all(p.grad is not None and p.grad.any() for p in encoder.patch_embed.parameters())


def test_the_stem_lies_in_the_layer_of_the_embeddings():
    encoder = tiny()
    names = [name for name, _ in encoder.named_parameters() if name.startswith("patch_embed.")]
    assert len(names) > 4
    assert {encoder.layer_of(name) for name in names} == {0}


@pytest.mark.parametrize("patch_size", [(3, 3), (1, 1), (6, 4), (4,)])
def test_patches_that_cannot_be_halved_are_refused(patch_size):
    with pytest.raises(ValueError, match=r"must be two powers of 2, .*use a plain ViT"):
        MaskedStem(patch_size, 3, 16)


def test_a_width_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match=r"embed_dim \(18\) must be a multiple of 4: the channels double 2 times"):
        MaskedStem((8, 8), 3, 18)


@pytest.mark.parametrize("keep", [False, True])
@torch.no_grad()
def test_convolutions_see_neither_missing_cells_nor_absent_patches(keep):
    """An absent patch is as a hidden one: its position, its bias and its norm reach no neighbour."""
    encoder, x = tiny((16, 16)), torch.randn(3, 3, 16, 16)
    present = torch.rand(3, 16) < torch.tensor([[0.5], [0.7], [0.0]])
    valid = present.reshape(3, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3).repeat(1, 3, 1, 1)
    ids_keep = torch.arange(8).expand(3, -1) if keep else None
    tokens = encoder(x, ids_keep, valid)
    assert encoder(torch.where(valid, x, torch.nan), ids_keep, valid).equal(tokens)
    seen = present[:, :8] if keep else present
    for i, here in enumerate(seen):
        alone = encoder(x[i : i + 1], here.nonzero().T)[0]
        assert torch.allclose(tokens[i][torch.cat([torch.tensor([True]), here])], alone, atol=1e-5)
