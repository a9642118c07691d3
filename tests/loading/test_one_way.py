"""One way for a sample: whatever reads it, however it is kept, the same draw gives the same numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from maecli.data.sample import Split, TensorSplit
from maecli.errors import BrokenSample
from maecli.loading.loader import refuse
from maecli.loading.resident import ResidentLoader
from maecli.loading.streamed import StreamedLoader
from maecli.modalities import fit as fits
from maecli.modalities.modality import Modality
from maecli.modalities.pictures.modality import Pictures
from maecli.modalities.preprocess import Preprocess
from maecli.schema import AugmentSpec

CPU = torch.device("cpu")
AUGMENTS = {
    "nothing": AugmentSpec(),
    "pad": AugmentSpec(crop="pad", crop_padding=2),
    "random-resized": AugmentSpec(crop="random-resized"),
    "scale-jitter": AugmentSpec(crop="scale-jitter"),
    "flip": AugmentSpec(flip=True),
    "rotate": AugmentSpec(rotate=30),
    "translate": AugmentSpec(translate=2),
    "zoom": AugmentSpec(zoom=(0.8, 1.2)),
    "color": AugmentSpec(color=0.4),
    "all": AugmentSpec(crop="random-resized", flip=True, rotate=10, translate=1, zoom=(0.9, 1.1), color=0.4),
}


class Lines(Pictures):
    """Series, as far as a loader goes."""

    name, axes, keeps_proportions, default_fit = "lines", 1, False, "crop"
    augment = Modality.augment


class Blocks(Pictures):
    """Volumes, as far as a loader goes."""

    name, axes, keeps_proportions = "blocks", 3, False
    augment = Modality.augment


class Made(Split):
    """Samples by number, of one size or of several, some of which cannot be read."""

    def __init__(self, shape: Sequence[int], alike: bool = True, broken: Sequence[int] = (), missing: bool = False):
        self.shape, self.alike, self.broken, self.missing = shape, alike, broken, missing

    @property
    def keys(self):
        return [str(i) for i in range(13)]

    def size(self, index):
        return tuple(length + (0 if self.alike else index % 3) for length in self.shape)

    def __getitem__(self, index):
        if index in self.broken:
            raise BrokenSample(str(index), "truncated file")
        rng = np.random.default_rng(index)
        shape = self.size(index)
        image = rng.integers(0, 256, (3, *shape)).astype(np.float32 if self.missing else np.uint8)
        if self.missing:
            image[rng.random(image.shape) < 0.3] = np.nan
        return {"image": image, "mask": rng.integers(0, 5, shape, dtype=np.uint8), "label": np.int64(index)}

    def in_memory(self):
        names = self[0]
        return TensorSplit({name: torch.from_numpy(np.stack([self[i][name] for i in range(13)])) for name in names})


def preprocess(size, modality=Pictures, how=None, missing=False):
    kind = modality()
    return Preprocess(size, 3, (0.0, 255.0), (0.4,) * 3, (0.3,) * 3, kind, how or kind.default_fit, missing)


def batches(make, split, prepared, spec, **options):
    loader = make(split, prepared, CPU, 5, lambda fault: None, **options)
    made = loader.eval_batches(4) if spec is None else loader.train_batches(spec, 4, 0, 7)
    return [batch.tensors for batch in made]


def assert_same(one, other):
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert a[name].equal(b[name]), name


@pytest.mark.parametrize("spec", [None, *AUGMENTS.values()], ids=["evaluation", *AUGMENTS])
@pytest.mark.parametrize("alike", [True, False])
def test_resident_and_streamed_samples_have_equal_bits(spec, alike):
    split, prepared = Made((10, 12), alike, broken=(3, 4)), preprocess((8, 8))
    streamed = batches(StreamedLoader, split, prepared, spec, workers=0)
    assert_same(batches(ResidentLoader, split, prepared, spec), streamed)
    if alike:
        whole = Made((10, 12))
        assert_same(
            batches(ResidentLoader, whole.in_memory(), prepared, spec),
            batches(StreamedLoader, whole, prepared, spec, workers=0),
        )


@pytest.mark.slow
@pytest.mark.parametrize("workers", range(1, 9))
def test_any_number_of_workers_gives_equal_bits(workers):
    split, prepared = Made((10, 12), alike=False, broken=(3,)), preprocess((8, 8))
    for spec in (None, AUGMENTS["all"]):
        alone = batches(StreamedLoader, split, prepared, spec, workers=0)
        assert_same(batches(StreamedLoader, split, prepared, spec, workers=workers, cache_bytes=2000), alone)


@pytest.mark.parametrize(
    ("shape", "size", "modality"), [((40,), (16,), Lines), ((6, 7, 8), (4, 4, 4), Blocks), ((10, 12), (8, 8), Pictures)]
)
@pytest.mark.parametrize("how", ["crop", "resize"])
@pytest.mark.parametrize("missing", [False, True])
def test_samples_of_any_axes_with_cells_missing_or_not(shape, size, modality, how, missing):
    split, prepared = Made(shape, alike=False, missing=missing), preprocess(size, modality, how, missing)
    for spec in (None, AugmentSpec(flip=True), AugmentSpec(crop="random-resized")):
        streamed = batches(StreamedLoader, split, prepared, spec, workers=0)
        assert_same(batches(ResidentLoader, split, prepared, spec), streamed)
        assert all(tensors["image"].shape[1:] == (3, *size) for tensors in streamed)
        for tensors in streamed:
            assert ("valid" in tensors) == missing
            if missing:
                assert tensors["valid"].shape == tensors["image"].shape
                assert not tensors["image"][~tensors["valid"]].any()
                assert (tensors["mask"] == 255).equal(~tensors["valid"].any(1))


def test_windows_of_a_longer_sample_are_drawn_anew_in_each_epoch_of_training():
    prepared = preprocess((16,), Lines)
    loader = StreamedLoader(Made((40,)), prepared, CPU, 5, refuse, workers=0)
    starts = {
        tuple(row[0].tolist()) for batch in loader.train_batches(AugmentSpec(), 13, 0, 6) for row in batch["image"]
    }
    assert len(starts) > 60
    (one,) = loader.eval_batches(13)
    middle = torch.from_numpy(np.stack([Made((40,))[i]["image"][:, 12:28] for i in range(13)]))
    assert one["image"].equal(prepared.normalize(prepared.pixels(middle)))


@pytest.mark.parametrize("name", AUGMENTS)
def test_what_a_device_makes_lies_within_one_level_of_what_workers_make(name, monkeypatch):
    """On a device, alike samples in memory are cut by matrices, a batch at a time; here the device is the CPU."""
    prepared, spec = preprocess((8, 8)), AUGMENTS[name]
    split = Made((10, 12))
    loader = ResidentLoader(split.in_memory(), prepared, CPU, 5)
    streamed = StreamedLoader(split, prepared, CPU, 5, refuse, workers=0)
    calls = []
    monkeypatch.setattr("maecli.loading.resident.IN_BATCHES", ("cpu",))
    monkeypatch.setattr("maecli.loading.resident.fit_batch", lambda *args: calls.append(1) or fits.fit_batch(*args))
    for one, other in zip(loader.train_batches(spec, 4, 0, 7), streamed.train_batches(spec, 4, 0, 7), strict=True):
        levels = (prepared.to_pixels(one["image"]) - prepared.to_pixels(other["image"])).abs().max() * 255
        assert levels <= 1.001
        assert one["mask"].equal(other["mask"])
    assert bool(calls) == spec.cuts


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("name", AUGMENTS)
def test_cuda_lies_within_one_level_of_the_cpu(name):
    prepared, split = preprocess((8, 8)), Made((10, 12)).in_memory()
    loaders = [ResidentLoader(split, prepared, torch.device(device), 5) for device in ("cpu", "cuda")]
    for one, other in zip(*(loader.train_batches(AUGMENTS[name], 4, 0, 7) for loader in loaders), strict=True):
        apart = prepared.to_pixels(one["image"]) - prepared.to_pixels(other["image"].cpu())
        assert float(apart.abs().max()) * 255 <= 1.001


def test_a_missing_cells_value_changes_nothing_that_a_model_sees():
    split = Made((10, 12), missing=True)
    prepared = preprocess((10, 12), missing=True)

    class Filled(Made):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            valid = ~np.isnan(sample["image"])
            return {**sample, "image": np.where(valid, sample["image"], 1e9).astype(np.float32), "valid": valid}

    filled = Filled((10, 12), missing=True)
    for spec in (None, AUGMENTS["flip"], AUGMENTS["random-resized"]):
        assert_same(
            batches(StreamedLoader, split, prepared, spec, workers=0),
            batches(StreamedLoader, filled, prepared, spec, workers=0),
        )
