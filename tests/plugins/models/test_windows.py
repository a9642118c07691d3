from __future__ import annotations

import pytest
import torch
from maecli_plugins.models import windows
from pydantic import ValidationError

RECURRENT = [windows.RNN, windows.LSTM, windows.GRU]


def build(plugin, channels=3, steps=12, **options):
    torch.manual_seed(0)
    return plugin(plugin.Options(**options)).build(channels, (steps,)).eval()


def test_nlinear_gives_the_window_itself_and_has_no_parameters():
    encoder, x = build(windows.NLinear), torch.randn(2, 1, 12)
    assert list(encoder.parameters()) == []
    assert encoder(x).equal(x)
    together = build(windows.NLinear, per_channel=False)
    assert together(torch.randn(2, 3, 12)).shape == (2, 1, 36)


@pytest.mark.parametrize("plugin", RECURRENT)
def test_the_last_state_has_seen_every_step_in_order(plugin):
    encoder, x = build(plugin, embed_dim=8, depth=2), torch.randn(2, 1, 12)
    token = encoder(x)
    assert token.shape == (2, 1, 8)
    for step in (0, 11):
        changed = x.clone()
        changed[0, 0, step] += 1
        assert not encoder(changed)[0].equal(token[0])
        torch.testing.assert_close(encoder(changed)[1], token[1])
    assert not torch.allclose(encoder(x.flip(-1)), token)


def test_several_steps_are_read_at_once():
    encoder = build(windows.GRU, embed_dim=8, patch_size=4)
    assert encoder.layers[0].input_size == 4
    assert encoder(torch.randn(2, 1, 12)).shape == (2, 1, 8)
    with pytest.raises(ValueError, match=r"img_size \(12\) must be a multiple of patch_size \(5\)"):
        build(windows.GRU, patch_size=5)
    with pytest.raises(ValidationError):
        windows.GRU.Options(patch_size=0)


@pytest.mark.parametrize("plugin", [windows.NLinear, windows.GRU])
@torch.no_grad()
def test_each_channel_is_read_by_the_same_weights(plugin):
    encoder, x = build(plugin), torch.randn(2, 3, 12)
    each = torch.stack([encoder(x[:, [c]]) for c in range(3)])
    torch.testing.assert_close(encoder(x), each.mean(0))
    torch.testing.assert_close(encoder.features(x, [1])[0].flatten(1), each.mean(0)[:, 0])


def test_layers_are_told_for_rates_that_fall_with_depth():
    encoder = build(windows.LSTM, depth=2)
    assert {encoder.layer_of(name) for name, _ in encoder.named_parameters()} == {1, 2}
