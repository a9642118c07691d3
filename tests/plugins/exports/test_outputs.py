"""What tasks make of model input in exported files is what they say themselves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from maecli_plugins.tasks.forecast.exported import ForecastOutputs
from maecli_plugins.tasks.reconstruct.exported import FeatureOutputs
from maecli_plugins.tasks.regress.exported import RegressOutputs
from maecli_plugins.tasks.segment.exported import SegmentOutputs, working_lengths
from maecli_plugins.tasks.segment.tiling import predict_classes, working_size
from torch import nn

from maecli.models.vit import VisionTransformer


class Bright(nn.Module):
    """Class 1 the more, the brighter a cell is."""

    def __init__(self):
        super().__init__()
        self.encoder = SimpleNamespace(patch_size=(4, 4))

    def forward(self, x, valid=None):
        return torch.cat([-x, x], dim=1)


SIZES = [(8, 8), (16, 24), (24, 16), (9, 31), (33, 10), (5, 5), (7, 3)]


@pytest.mark.parametrize("size", SIZES)
def test_pictures_are_read_at_the_size_at_which_evaluation_reads_them(size):
    assert working_lengths(size, (8, 12)) == working_size(size, (8, 12))


@pytest.mark.parametrize("mirror", [None, -1])
@pytest.mark.parametrize("size", SIZES)
def test_masks_are_those_of_evaluation(size, mirror):
    x = torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(0))
    made = SegmentOutputs(Bright(), (8, 8), True, mirror)(x)
    ours = predict_classes(Bright(), x, (8, 8), mirror=mirror)
    assert (made["mask"] != ours).double().mean() < 0.01
    assert torch.allclose(made["probabilities"].sum(1), torch.ones(()))


def test_numbers_are_given_in_their_unit():
    made = RegressOutputs(lambda x, valid: x[:, 0], 100.0, 20.0, "price")(torch.tensor([[[0.5]], [[-1.0]]]))
    assert made["value"].tolist() == [110.0, 80.0]
    assert made["standardised"].tolist() == [[0.5], [-1.0]]


def test_forecasts_are_given_in_their_units_and_quantiles_in_order():
    outputs = ForecastOutputs(SimpleModule(), [2.0, 10.0], [1.0, 0.0], 1, (0.1, 0.5, 0.9), ("a", "b"))
    made = outputs(torch.tensor([[[[3.0, 1.0, 2.0]], [[1.0, 2.0, 3.0]]]]))
    assert made["forecast"].tolist() == [[[5.0], [20.0]]]
    assert made["quantiles"][0, 0, 0].tolist() == [3.0, 5.0, 7.0]


class SimpleModule(nn.Module):
    horizon = 1

    def forward(self, x, valid=None):
        return x


def test_features_are_the_mean_of_the_patch_tokens():
    encoder = VisionTransformer((8, 8), (4, 4), 1, 8, 1, 2).eval()
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        made = FeatureOutputs(encoder)(x)["features"]
        assert torch.allclose(made, encoder(x)[:, 1:].mean(1))
