from __future__ import annotations

import pytest
import torch

from maecli.models.levels import last_value, level_and_scale

X = torch.tensor([[[1.0, 3.0, 5.0, 7.0], [2.0, 2.0, 2.0, 2.0]]])
VALID = torch.tensor([[[True, True, True, False], [False, False, False, False]]])


def test_a_window_less_its_level_has_mean_0_and_deviation_1():
    level, scale = level_and_scale(X, "revin")
    assert level.flatten().tolist() == [4.0, 2.0]
    normed = (X - level) / scale
    torch.testing.assert_close(normed[0, 0].square().mean(), torch.tensor(1.0), atol=1e-4, rtol=0)
    assert normed[0, 1].tolist() == [0.0] * 4


def test_missing_cells_have_no_say_in_a_level():
    changed = torch.where(VALID, X, torch.nan)
    level, scale = level_and_scale(changed, "revin", VALID)
    assert level.flatten().tolist() == [3.0, 0.0]
    assert scale[0, 0].item() == pytest.approx((8 / 3) ** 0.5, rel=1e-4)
    assert last_value(changed, VALID).flatten().tolist() == [5.0, 0.0]


def test_the_last_value_and_nothing_are_levels_too():
    level, scale = level_and_scale(X, "last")
    assert (level.flatten().tolist(), scale.flatten().tolist()) == ([7.0, 2.0], [1.0, 1.0])
    level, scale = level_and_scale(X, "none")
    assert (level.flatten().tolist(), scale.flatten().tolist()) == ([0.0, 0.0], [1.0, 1.0])
