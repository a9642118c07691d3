"""Copies are found whatever was done to their files; unlike pictures, and flat ones, are not taken for copies."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from maecli.data.card import DataCard
from maecli.data.sample import Split, TensorSplit
from maecli.eda import duplicates
from maecli.eda.duplicates import MAX_DISTANCE, find_duplicates, perceptual_hashes
from maecli.eda.findings import Duplicates
from maecli.eda.samples import scan_samples
from maecli.modalities.pictures.modality import Pictures
from maecli.modalities.series.modality import Series


def scene(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """Return (H, W, 3) uint8 of soft clouds: like a photograph, most of it is in the low frequencies."""
    clouds = np.random.default_rng(seed).normal(size=(height, width, 3))
    soft = gaussian_filter(clouds, (7, 7, 0)) + 0.3 * gaussian_filter(clouds, (2, 2, 0))
    return np.uint8(255 * (soft - soft.min()) / np.ptp(soft))


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))


EDITS = {
    "JPEG at quality 30": lambda pixels: jpeg(pixels, 30),
    "half the size": lambda pixels: np.asarray(Image.fromarray(pixels).resize((64, 48))),
    "a tenth lighter": lambda pixels: np.uint8(np.minimum(255, pixels * 1.1)),
    "less contrast": lambda pixels: np.uint8(40 + pixels * 0.7),
    "grey": lambda pixels: np.asarray(Image.fromarray(pixels).convert("L").convert("RGB")),
}


class Arrays(Split):
    """Pictures (H, W, 3) of any size."""

    def __init__(self, pictures: Sequence[np.ndarray], reduced: Mapping[int, np.ndarray] | None = None) -> None:
        self.pictures, self.reduced = pictures, reduced or {}

    @property
    def keys(self) -> Sequence[str]:
        return [str(i) for i in range(len(self.pictures))]

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {"image": self.pictures[index].transpose(2, 0, 1)}

    def small(self, index: int, at_least: int) -> np.ndarray:
        return self.reduced.get(index, self.pictures[index]).transpose(2, 0, 1)


CARD = DataCard(
    name="x",
    title="x",
    fields=("image",),
    channels=3,
    size=None,
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
    split_sizes={},
    split_origin="",
)


def found(card: DataCard = CARD, **splits: Split | Sequence[np.ndarray]) -> Duplicates:
    scans = {
        name: scan_samples(split if isinstance(split, Split) else Arrays(split), card, Pictures(), lambda: None)
        for name, split in splits.items()
    }
    compared = []
    result = find_duplicates(scans, compared.append)
    assert sum(compared) == sum(len(scan.looks) for scan in scans.values()), "the progress ends at all of them"
    return result


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_copy_is_a_near_copy(edit: str) -> None:
    scenes = [scene(seed) for seed in range(12)]
    result = found(train=scenes, test=[EDITS[edit](pixels) for pixels in scenes])

    assert {(pair.first.key, pair.second.key) for pair in result.pairs} == {(str(i), str(i)) for i in range(12)}
    assert {pair.kind for pair in result.pairs} == {"near"}
    assert all(pair.distance <= MAX_DISTANCE for pair in result.pairs)


@pytest.mark.slow
def test_unlike_pictures_are_no_copies() -> None:
    result = found(train=[scene(seed) for seed in range(150)])

    assert (result.num_compared, result.num_exact, result.num_near) == (150, 0, 0)


def test_half_of_the_bits_of_unlike_pictures_differ() -> None:
    thumbnails = np.stack([np.asarray(Image.fromarray(scene(i)).convert("L").resize((32, 32))) for i in range(80)])
    hashes = perceptual_hashes(thumbnails)
    distances = np.bitwise_count(hashes[:, None] ^ hashes)[np.triu_indices(80, 1)]

    assert distances.mean() == pytest.approx(31.5, abs=1)
    assert distances.min() > MAX_DISTANCE


def test_exact_copies_are_told_from_near_ones_and_where_they_are() -> None:
    a, b, c = scene(1), scene(2), scene(3)
    result = found(train=[a, b, a], val=[c], test=[b, jpeg(c, 40)])

    told = [(p.kind, p.first.split, p.first.key, p.second.split, p.second.key) for p in result.pairs]
    assert told == [
        ("exact", "train", "1", "test", "0"),
        ("near", "val", "0", "test", "1"),
        ("exact", "train", "0", "train", "2"),
    ]
    assert (result.num_exact, result.num_near) == (2, 1)
    overlaps = {(each.split, each.other): (each.exact, each.near) for each in result.overlaps}
    assert overlaps == {
        ("train", "train"): (2, 0),
        ("train", "test"): (1, 0),
        ("test", "train"): (1, 0),
        ("val", "test"): (0, 1),
        ("test", "val"): (0, 1),
    }


def test_flat_pictures_match_only_their_equals() -> None:
    flat = [np.full((40, 40, 3), level, np.uint8) for level in (0, 10, 10, 200, 255)]
    faint = [np.uint8(128 + np.random.default_rng(seed).integers(0, 2, (40, 40, 3))) for seed in range(5)]
    result = found(train=[*flat, *faint])

    assert result.num_compared == 0
    assert [(pair.first.key, pair.second.key) for pair in result.pairs] == [("1", "2")]


def test_pictures_that_only_look_equal_when_they_are_decoded_small_are_no_exact_copies() -> None:
    a = scene(1)
    b = a.copy()
    b[0, 0] ^= 1
    small = a[::2, ::2]
    result = found(train=Arrays([a, b, a], reduced={0: small, 1: small, 2: small}))

    assert [(p.kind, p.first.key, p.second.key) for p in result.pairs] == [("exact", "0", "2"), ("near", "0", "1")]


def test_pictures_of_other_sizes_are_no_exact_copies() -> None:
    plain = np.full((4, 6, 3), 9, np.uint8)

    assert found(train=[plain, plain.reshape(6, 4, 3)]).num_exact == 0


def test_a_crowd_of_alike_pictures_is_counted_in_full_and_named_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", 4)
    monkeypatch.setattr(duplicates, "KEPT_PAIRS", 20)
    monkeypatch.setattr(duplicates, "MAX_PAIRS", 7)
    base = scene(5)
    copies = [np.uint8(np.clip(base.astype(int) + shift, 0, 255)) for shift in range(12)]
    result = found(train=copies[:10], test=copies[10:])

    assert result.num_near == 12 * 11 // 2
    assert len(result.pairs) == 7
    assert all(pair.first.split != pair.second.split for pair in result.pairs), "those across splits come first"
    assert {(each.split, each.other): each.near for each in result.overlaps} == {
        ("train", "train"): 10,
        ("train", "test"): 10,
        ("test", "train"): 2,
        ("test", "test"): 2,
    }


def test_grey_pictures_in_memory_are_compared_too() -> None:
    images = torch.tensor(np.stack([scene(seed)[..., :1].transpose(2, 0, 1) for seed in (1, 2, 1)]))

    grey = CARD.model_copy(update={"channels": 1})
    assert found(grey, train=TensorSplit({"image": images})).num_exact == 1


@pytest.mark.slow
def test_seventeen_thousand_hashes_take_seconds() -> None:
    thumbnails = np.random.default_rng(0).integers(0, 256, (17_125, 32, 32), dtype=np.uint8)
    done = []
    pairs = sum(len(found.pairs) for found in duplicates._near_blocks(thumbnails, done.append))

    assert (pairs, sum(done)) == (0, 17_125)


def test_what_is_no_picture_has_only_a_digest() -> None:
    split = TensorSplit({"image": torch.arange(10.0)[None, None]})
    (look,) = scan_samples(split, CARD.model_copy(update={"channels": 1}), Series(), lambda: None).looks
    assert (look.size, look.thumbnail, look.flat, look.grey) == ((10,), None, False, False)
