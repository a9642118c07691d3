"""Features of samples with missing cells."""

from __future__ import annotations

import pytest
import torch

from maecli.data.batch import Batch
from maecli.data.randomness import Draws
from maecli.models.vit import VisionTransformer
from maecli.training.features import extract


class Rows:
    """Gives samples and where they are valid, as a loader does."""

    device, on_fault = torch.device("cpu"), staticmethod(lambda fault: None)

    def __init__(self, image, valid):
        self.tensors = {"image": image, "valid": valid}

    def eval_batches(self, batch_size, limit=None, part=(0, 1)):
        num = len(self.tensors["image"])
        yield from Batch(self.tensors, Draws(0, -1, torch.arange(num)), list(map(str, range(num)))).micro_batches(2)


@pytest.mark.parametrize("tokens", ["mean", "cls", "patches"])
def test_the_value_of_a_missing_cell_changes_no_feature(tokens):
    torch.manual_seed(0)
    encoder, image = VisionTransformer((1, 6), (1, 1), 1, 12, 1, 2), torch.randn(3, 1, 1, 6)
    valid = torch.tensor([[True] * 6, [True, False] * 3, [False] * 6]).reshape(3, 1, 1, 6)
    one, other = (
        extract(encoder, Rows(each, valid), 2, torch.float32, tokens).values
        for each in (image, torch.where(valid, image, torch.nan))
    )
    assert len(one) == 3
    assert one.equal(other)
    if tokens == "mean":
        patches = extract(encoder, Rows(image, valid), 2, torch.float32, "patches").values
        assert torch.allclose(one[1], patches[1, ::2].mean(0), atol=1e-6)
        assert not one[2].any()
