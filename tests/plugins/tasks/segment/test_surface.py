from __future__ import annotations

import math

import numpy as np
import pytest
from maecli_plugins.tasks.segment.surface import hausdorff95


def box(*corners, size=(12, 10, 8)):
    mask = np.zeros(size, bool)
    mask[tuple(slice(*corner) for corner in corners)] = True
    return mask


TRUTH = box((2, 8), (2, 7), (1, 6))
# truth, prediction, spacing, and what MONAI's compute_hausdorff_distance(percentile=95) says of them
SHARED = [
    (TRUTH, box((4, 10), (2, 7), (1, 6)), (1.0, 1.0, 1.0), 2),
    (TRUTH, box((3, 8), (1, 7), (2, 8)), (0.75, 1.5, 3.0), 6),
    (TRUTH, TRUTH | box((11, 12), (9, 10), (7, 8)), (1.0, 2.0, 5.0), 0),
    (box((0, 12), (0, 10), (0, 8)), box((5, 6), (5, 6), (4, 5)), (2.0, 1.0, 4.0), 18.8984),
]


@pytest.mark.parametrize(("truth", "guess", "spacing", "distance"), SHARED)
def test_distances_are_those_of_monai_whichever_mask_is_the_truth(truth, guess, spacing, distance):
    assert hausdorff95(truth, guess, spacing) == pytest.approx(distance, rel=1e-5)
    assert hausdorff95(guess, truth, spacing) == pytest.approx(distance, rel=1e-5)


def test_a_box_moved_along_an_axis_is_as_far_away_as_it_was_moved():
    moved = box((4, 10), (2, 7), (1, 6))
    for spacing in (1.0, 2.5):
        assert hausdorff95(TRUTH, moved, (spacing, 9.0, 9.0)) == pytest.approx(2 * spacing)


def test_one_voxel_far_away_does_not_count():
    assert hausdorff95(TRUTH, TRUTH | box((11, 12), (9, 10), (7, 8)), (1, 1, 1)) == 0


def test_without_a_surface_there_is_no_distance():
    nothing = np.zeros_like(TRUTH)
    for pair in ((TRUTH, nothing), (nothing, TRUTH), (nothing, nothing)):
        assert math.isnan(hausdorff95(*pair, (1, 1, 1)))
