from __future__ import annotations

import math

import pytest
import torch

from maecli.models.positions import interpolate_pos_embed, sincos_pos_embed


def test_positions_of_a_series_are_sines_then_cosines():
    embed = sincos_pos_embed((3,), 4)
    for position in range(3):  # two frequencies: 1 and 10000^(-1/2) = 0.01
        expected = [math.sin(position), math.sin(position / 100), math.cos(position), math.cos(position / 100)]
        assert embed[position].tolist() == pytest.approx(expected, abs=1e-6)


def test_the_first_half_of_a_pictures_positions_tells_the_column_and_the_second_the_row():
    embed = sincos_pos_embed((2, 3), 8).reshape(2, 3, 8)
    column, row = sincos_pos_embed((3,), 4), sincos_pos_embed((2,), 4)
    for i in range(2):
        for j in range(3):
            assert embed[i, j].equal(torch.cat([column[j], row[i]]))


def test_a_volume_gives_each_axis_an_equal_share_the_last_axis_first():
    embed = sincos_pos_embed((2, 3, 4), 12).reshape(2, 3, 4, 12)
    shares = [sincos_pos_embed((cells,), 4) for cells in (4, 3, 2)]
    assert embed[1, 2, 3].equal(torch.cat([shares[0][3], shares[1][2], shares[2][1]]))


def test_swapping_two_axes_swaps_their_shares():
    embed = sincos_pos_embed((3, 5), 8).reshape(3, 5, 8)
    swapped = sincos_pos_embed((5, 3), 8).reshape(5, 3, 8).transpose(0, 1)
    assert embed[..., :4].equal(swapped[..., 4:])
    assert embed[..., 4:].equal(swapped[..., :4])


def test_dimensions_that_do_not_divide_by_the_axes_stay_zero():
    embed = sincos_pos_embed((2, 2, 2), 16)  # two frequencies for each of three axes: 12 of 16
    assert embed.shape == (8, 16)
    assert embed.dtype == torch.float32
    assert not embed[:, 12:].any()


@pytest.mark.parametrize("grid", [(9,), (3, 5), (2, 3, 4)])
def test_no_two_positions_are_alike(grid):
    embed = sincos_pos_embed(grid, 32)
    distances = torch.cdist(embed, embed) + torch.eye(len(embed))
    assert distances.min() > 0.1


def test_too_few_dimensions_are_refused():
    with pytest.raises(ValueError, match=r"embed_dim \(3\) is too small for positions on 2 axes"):
        sincos_pos_embed((2, 2), 3)


def test_positions_of_the_same_grid_are_returned_untouched():
    embed = torch.randn(1, 6, 8)
    assert interpolate_pos_embed(embed, (2, 3), (2, 3)) is embed


def table(values, dim=3):
    """Return positions (1, N, dim) whose every dimension is the given values, over any number of axes."""
    return values.reshape(1, -1, 1).expand(-1, -1, dim)


@pytest.mark.parametrize(("grid", "new_grid"), [((4,), (7,)), ((3, 5), (6, 4)), ((2, 3, 4), (4, 3, 5))])
def test_constant_positions_stay_constant(grid, new_grid):
    embed = interpolate_pos_embed(table(torch.full(grid, 0.7)), grid, new_grid)
    assert embed.shape == (1, math.prod(new_grid), 3)
    assert embed.sub(0.7).abs().max() < 1e-6


def test_positions_are_stretched_in_two_dimensions_and_not_along_the_flattened_grid():
    rows = torch.arange(8.0)[:, None].expand(8, 8)  # tells the row, whatever the column
    tall = interpolate_pos_embed(table(rows), (8, 8), (16, 8)).reshape(16, 8, 3)
    assert tall.std(dim=1).max() < 1e-6
    inner = tall[6:10, 0, 0]  # away from the border a ramp stays a ramp, up to the ripple of the bicubic kernel
    assert inner.tolist() == pytest.approx([2.75, 3.25, 3.75, 4.25], abs=0.05)
    wide = interpolate_pos_embed(table(rows), (8, 8), (8, 16)).reshape(8, 16, 3)
    assert (wide - torch.arange(8.0)[:, None, None]).abs().max() < 1e-5


def test_a_series_of_positions_is_interpolated_linearly():
    embed = interpolate_pos_embed(table(torch.tensor([0.0, 4.0])), (2,), (4,))
    assert embed[0, :, 0].tolist() == pytest.approx([0, 1, 3, 4])


def test_dtype_survives_interpolation():
    assert interpolate_pos_embed(torch.ones(1, 4, 2, dtype=torch.bfloat16), (2, 2), (3, 3)).dtype == torch.bfloat16


def test_another_number_of_axes_is_refused():
    with pytest.raises(ValueError, match="cannot interpolate positions of 2 axes to 3"):
        interpolate_pos_embed(torch.zeros(1, 4, 6), (2, 2), (1, 2, 2))
