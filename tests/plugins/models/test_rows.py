from __future__ import annotations

import pytest
import torch
from maecli_plugins.models.rows import RowMLP


def build(**options):
    torch.manual_seed(0)
    return RowMLP(RowMLP.Options(embed_dim=8, **options)).build(2, (5,)).eval()


@torch.no_grad()
def test_a_missing_cell_has_no_value_but_that_it_is_missing_is_seen():
    encoder, x = build(depth=2), torch.randn(3, 2, 5)
    valid = torch.ones_like(x, dtype=torch.bool)
    torch.testing.assert_close(encoder(x), encoder(x, valid=valid))
    valid[:, :, 1] = False
    token = encoder(x, valid=valid)
    assert token.shape == (3, 1, 8)
    torch.testing.assert_close(encoder(torch.where(valid, x, torch.nan), valid=valid), token)
    assert not torch.allclose(encoder(torch.where(valid, x, 0.0)), token)


@torch.no_grad()
def test_features_are_those_of_each_layer_and_the_last_ones_are_the_token():
    encoder, x = build(depth=3), torch.randn(3, 2, 5)
    first, last = encoder.features(x, [1, 3])
    assert first.shape == last.shape == (3, 8, 1)
    torch.testing.assert_close(last[:, :, 0], encoder(x)[:, 0])
    assert {encoder.layer_of(name) for name, _ in encoder.named_parameters()} == {1, 2, 3, 4}


def test_no_cell_can_be_left_out():
    with pytest.raises(ValueError, match="reads whole rows"):
        build()(torch.randn(1, 2, 5), torch.zeros(1, 1, dtype=torch.int64))
