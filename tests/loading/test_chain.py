"""A chain of transforms is applied by whoever reads a sample: each of them does the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maecli.data.sample import Split, TensorSplit
from maecli.errors import BrokenSample, SpecError
from maecli.loading import make_loader
from maecli.loading.resident import ResidentLoader
from maecli.loading.streamed import StreamedLoader
from maecli.modalities.preprocess import Preprocess
from maecli.schema import AugmentSpec, DataSpec

CPU = torch.device("cpu")
CHAIN = [
    {"name": "Affine", "rotate": [-30, 30], "p": 0.7},
    {"name": "GaussianBlur", "blur_limit": [3, 5], "p": 0.5},
    {"name": "GaussNoise"},
]
SPEC = AugmentSpec(chain=CHAIN, crop="random-resized", flip=True)


class Files(Split):
    """Pictures of several sizes whose masks hold their upper bits; one cannot be read."""

    keys = tuple("abcdefghijk")

    def __getitem__(self, index):
        if index == 3:
            raise BrokenSample("d", "truncated file")
        image = np.random.default_rng(index).integers(0, 256, (3, 12 + index % 3, 14), dtype=np.uint8)
        return {"image": image, "mask": image[0] >> 6}


def batches(spec=SPEC, split=None, start=0, stop=6, **options):
    """Return what a streamed loader trains on: an epoch is two steps."""
    prepared = Preprocess((8, 8), 3, (0.0, 255.0), (0.4,) * 3, (0.3,) * 3)
    loader = StreamedLoader(split or Files(), prepared, CPU, 5, lambda fault: None, **options)
    return [batch.tensors for batch in loader.train_batches(spec, 5, start, stop)]


def assert_same(one, other):
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        assert all(a[name].equal(b[name]) for name in a)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gives_equal_bits_cached_or_not(workers):
    alone = batches(workers=0)
    assert_same(batches(workers=workers), alone)
    assert_same(batches(workers=workers, cache_bytes=10**6), alone)


def test_a_resumed_run_gets_what_it_would_have_got():
    assert_same(batches(workers=0, start=3), batches(workers=0)[3:])


def test_each_epoch_changes_a_sample_anew():
    noise = AugmentSpec(chain=[{"name": "GaussNoise", "p": 1.0}])
    epochs = [torch.cat([each["image"] for each in batches(noise, workers=0, start=i, stop=i + 2)]) for i in (0, 2)]
    values = [epoch.flatten(1).sum(1).sort().values for epoch in epochs]
    assert not torch.isin(values[0], values[1]).any()


def test_evaluation_knows_no_chain():
    prepared = Preprocess((8, 8), 3, (0.0, 255.0), (0.4,) * 3, (0.3,) * 3)
    loader = StreamedLoader(Files(), prepared, CPU, 5, lambda fault: None, workers=0)
    before = [batch.tensors for batch in loader.eval_batches(5)]
    next(loader.train_batches(SPEC, 5, 0, 1))
    assert_same([batch.tensors for batch in loader.eval_batches(5)], before)


def test_a_mask_is_where_its_picture_is():
    class OfTheModelsSize(Files):
        def __getitem__(self, index):
            image = np.random.default_rng(index).integers(0, 256, (3, 8, 8), dtype=np.uint8)
            return {"image": image, "mask": image[0] >> 6}

    turned = AugmentSpec(chain=[{"name": "D4", "p": 1.0}])
    made = batches(turned, OfTheModelsSize(), workers=0)
    for tensors in made:
        pixels = (tensors["image"][:, 0] * 0.3 + 0.4) * 255
        assert (pixels.round().to(torch.uint8) >> 6).equal(tensors["mask"])
    assert not made[0]["image"].equal(batches(AugmentSpec(), OfTheModelsSize(), workers=0)[0]["image"])


def test_a_sample_in_memory_is_streamed_for_the_chain_and_not_written_to():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (11, 3, 12, 14), dtype=np.uint8))
    split, before = TensorSplit({"image": images}), images.clone()
    prepared = Preprocess((8, 8), 3, (0.0, 255.0), (0.4,) * 3, (0.3,) * 3)
    assert type(make_loader(split, prepared, CPU, 5, DataSpec())) is ResidentLoader
    loader = make_loader(split, prepared, CPU, 5, DataSpec(workers=0), chain=True)
    assert type(loader) is StreamedLoader
    assert_same([batch.tensors for batch in loader.train_batches(SPEC, 5, 0, 6)], batches(split=split, workers=2))
    assert images.equal(before)


def test_what_a_transform_refuses_ends_the_run_from_a_worker_too():
    spec = AugmentSpec(chain=[{"name": "RandomCrop", "height": 64, "width": 64, "p": 1.0}])
    with pytest.raises(SpecError, match=r"augment\.chain: RandomCrop cannot change a picture"):
        batches(spec, workers=1)
