"""The bodies of benchmarks/phantom_volumes.py."""

from __future__ import annotations

import numpy as np
import pytest
from maecli_plugins.datasets.volumes.dataset import Volumes
from phantom_volumes import BONE, ORGANS, SIDE_MM, make_set, make_volume

SIDE = 16


@pytest.fixture(scope="module")
def bodies() -> list[tuple[np.ndarray, np.ndarray]]:
    return [make_volume(seed, SIDE) for seed in range(6)]


def middles(classes: np.ndarray) -> np.ndarray:
    """Return the mean place of each organ (5, 3) as a share of the volume's side."""
    return np.stack([np.argwhere(classes == number).mean(0) for number in range(1, len(ORGANS) + 1)]) / SIDE


def test_a_seed_is_a_body_and_another_one_is_another_body(bodies):
    again = make_volume(0, SIDE)
    assert all(np.array_equal(one, other) for one, other in zip(bodies[0], again, strict=True))
    assert not np.array_equal(bodies[0][1], bodies[1][1])


def test_organs_are_all_there_on_their_sides(bodies):
    names = [organ.name for organ in ORGANS]
    for values, classes in bodies:
        assert set(np.unique(classes)) == set(range(len(ORGANS) + 1))
        right = dict(zip(names, middles(classes)[:, 0], strict=True))
        assert right["right kidney"] > 0.5 > right["left kidney"]
        assert right["liver"] > 0.5 > right["spleen"]
        assert values.max() < BONE + 150
        assert values.min() < -900


def test_organs_cannot_be_told_by_their_values_alone(bodies):
    values, classes = (np.stack(each) for each in zip(*bodies, strict=True))
    organs, rest = values[classes > 0], values[(classes == 0) & (values > -50) & (values < 150)]
    assert abs(organs.mean() - rest.mean()) < 2 * rest.std()


def test_the_set_is_read_as_nnunets(tmp_path):
    make_set(tmp_path, 3, 2, SIDE)
    written = sorted(tmp_path.rglob("*.nii.gz"))
    make_set(tmp_path, 3, 2, SIDE)  # what is there stays
    assert sorted(tmp_path.rglob("*.nii.gz")) == written
    card = Volumes(Volumes.Options(root=tmp_path, val_share=0.34)).card(("image", "mask"))
    assert card.mask_classes == ("background", *(organ.name for organ in ORGANS))
    assert card.split_sizes == {"train": 2, "val": 1, "test": 2}
    assert card.volumes.spacing == (SIDE_MM / SIDE,) * 3
