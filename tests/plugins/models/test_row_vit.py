from __future__ import annotations

import pytest
import torch
from maecli_plugins.models.row_vit import RowViT

from maecli.weights.encoder_weights import EncoderWeights
from maecli.weights.fit import load_encoder_weights


def build(channels=3, num_cells=4, **options):
    torch.manual_seed(0)
    return RowViT(RowViT.Options(embed_dim=8, **options)).build(channels, (num_cells,)).eval()


@torch.no_grad()
def test_a_missing_cell_has_no_say_and_each_other_is_read_by_weights_of_its_own():
    encoder, x = build(), torch.randn(2, 3, 4)
    valid = torch.ones_like(x, dtype=torch.bool)
    torch.testing.assert_close(encoder(x, valid=valid), encoder(x))
    valid[:, :, 1] = False
    tokens = encoder(x, valid=valid)
    torch.testing.assert_close(encoder(torch.where(valid, x, torch.nan), valid=valid), tokens)
    assert not tokens[:, 2].any()
    same = encoder.embed(torch.ones(1, 3, 4), None)[0, 1:] - encoder.pos_embed[0]
    assert len({tuple(token.tolist()) for token in same}) == 4


@torch.no_grad()
def test_cells_that_are_left_out_leave_the_tokens_of_the_others_as_they_are():
    encoder, x, ids = build(), torch.randn(2, 3, 4), torch.tensor([[2, 0], [1, 3]])
    whole, part = encoder.embed(x, None), encoder.embed(x, ids)
    torch.testing.assert_close(part[:, 1:], whole[:, 1:].gather(1, ids.unsqueeze(-1).expand(-1, -1, 8)))


@torch.no_grad()
def test_numbers_a_tenth_of_a_deviation_apart_are_told_apart_though_others_are_far_out():
    embed = build(channels=1).patch_embed
    near, also, far = (embed(torch.full((1, 4, 1), number)) for number in (0.0, 0.1, 50.0))
    assert (near - also).norm() > 0.005 * (near - far).norm() > 0


@torch.no_grad()
def test_columns_of_another_table_start_from_what_was_learnt_of_their_names():
    first, second = build(channels=3), build(channels=2)
    weights = EncoderWeights("a run", "", first.state_dict(), (1,), 3, (4,), ("a", "b", "c", "d"), num_heads=2)
    new = second.patch_embed.weight[0, 1].clone()
    said = load_encoder_weights(second, weights, cells=("d", "x", "a", "b"))
    assert "5 adapted (positions of 3 of 4 columns by name), 0 new" in said
    torch.testing.assert_close(second.patch_embed.weight[0, 0], first.patch_embed.weight[0, 3])
    torch.testing.assert_close(second.patch_embed.categories[0, 0], first.patch_embed.categories[0, 3, :-1])
    torch.testing.assert_close(second.patch_embed.weight[0, 1], new)
    torch.testing.assert_close(second.pos_embed[0, 2], first.pos_embed[0, 0])
    wider = build(channels=4)
    load_encoder_weights(wider, weights, cells=("a", "b", "c", "d"))
    torch.testing.assert_close(wider.patch_embed.categories[:, :, :-1], first.patch_embed.categories)
    assert not wider.patch_embed.categories[:, :, -1].any()
    assert " 0 adapted" in load_encoder_weights(build(channels=3), weights, cells=("a", "b", "c", "d"))


@pytest.mark.parametrize(("size", "options"), [((4, 4), {}), ((4,), {"patch_size": 2}), ((4,), {"per_channel": True})])
def test_what_is_no_row_of_cells_is_refused(size, options):
    with pytest.raises(ValueError, match="row-vit makes a token of each cell of a row"):
        RowViT(RowViT.Options(embed_dim=8, **options)).build(1, size)
