from __future__ import annotations

import torch

from maecli.models.channels import join_channels, split_channels
from maecli.models.masking import random_masking
from maecli.models.vit import VisionTransformer


def tiny(**settings):
    torch.manual_seed(0)
    return VisionTransformer((12,), (3,), 5, 12, 2, 2, per_channel=True, **settings).eval()


def test_channels_are_split_and_joined():
    x = torch.randn(2, 3, 4)
    assert split_channels(x).shape == (6, 1, 4)
    assert split_channels(x)[4, 0].equal(x[1, 1])
    assert join_channels(split_channels(x), 3).equal(x)


@torch.no_grad()
def test_several_channels_give_the_mean_of_what_each_gives():
    encoder, x = tiny(), torch.randn(2, 5, 12)
    assert encoder.in_chans == 1
    each = torch.stack([encoder(x[:, [c]]) for c in range(5)])
    torch.testing.assert_close(encoder(x), each.mean(0))
    ids = random_masking(torch.rand(2, 4), 0.5).ids_keep
    each = torch.stack([encoder(x[:, [c]], ids) for c in range(5)])
    torch.testing.assert_close(encoder(x, ids), each.mean(0))
    maps = torch.stack([encoder.features(x[:, [c]], [2])[0] for c in range(5)])
    torch.testing.assert_close(encoder.features(x, [2])[0], maps.mean(0))


@torch.no_grad()
def test_channels_in_which_a_patch_is_missing_are_left_out_of_the_mean():
    encoder, x = tiny(), torch.randn(1, 2, 12)
    valid = torch.ones(1, 2, 12, dtype=torch.bool)
    valid[0, 1, :3] = False
    tokens, apart = encoder(x, valid=valid), [encoder(x[:, [c]], valid=valid[:, [c]]) for c in range(2)]
    torch.testing.assert_close(tokens[:, 1], apart[0][:, 1])  # its first patch is in the first channel alone
    torch.testing.assert_close(tokens[:, 2], (apart[0][:, 2] + apart[1][:, 2]) / 2)
