from __future__ import annotations

import math
import re

import pytest
import torch

from maecli.models.masking import (
    Lattice,
    block_masking,
    find_lattice,
    grid_masking,
    make_masking,
    mask_draws,
    num_kept,
    random_masking,
    take,
)

COUNTS = [10, 16, 49, 100]
GRIDS = [(10,), (4, 4), (7, 7), (3, 5), (6, 4), (2, 3, 4)]
MASKS = ["random", "grid", "block"]


def draw(num, batch=4, seed=0):
    return torch.rand(batch, num, generator=torch.Generator().manual_seed(seed))


def make(mask, grid, mask_ratio, batch=4, seed=0):
    return make_masking(mask, draw(mask_draws(mask, grid), batch, seed), grid, mask_ratio)


def realisable(mask, grid):
    """Return the numbers of hidden patches that a family can make."""
    N = math.prod(grid)
    if mask != "grid":
        return set(range(1, N))
    cells = {1}
    for size in grid:
        cells = {cell * side for cell in cells for side in range(1, size + 1) if size % side == 0}
    return {hidden for cell in cells - {1} for hidden in (N // cell, N - N // cell)}


@pytest.mark.parametrize("num_patches", COUNTS)
@pytest.mark.parametrize("percent", range(5, 100, 5))
def test_exactly_the_rounded_share_of_the_patches_is_hidden(num_patches, percent):
    hidden = round(num_patches * percent / 100)
    if hidden in (0, num_patches):
        with pytest.raises(ValueError, match=f"hides {hidden} of {num_patches} patches"):
            random_masking(draw(num_patches), percent / 100)
        return
    masking = random_masking(draw(num_patches), percent / 100)
    assert masking.ids_hide.shape == (4, hidden)
    assert masking.ids_keep.shape == (4, num_patches - hidden)
    assert masking.mask.sum(1).tolist() == [hidden] * 4


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("grid", GRIDS)
def test_every_family_hides_exactly_as_many_patches_in_every_sample(mask, grid):
    N = math.prod(grid)
    for hidden in realisable(mask, grid):
        masking = make(mask, grid, hidden / N)
        assert masking.mask.sum(1).tolist() == [hidden] * 4
        together = torch.cat([masking.ids_keep, masking.ids_hide], dim=1)
        assert together.sort(dim=1).values.equal(torch.arange(N).expand(4, -1))
        assert masking.ids_keep.shape == (4, N - hidden)
        assert masking.mask.gather(1, masking.ids_hide).eq(1).all()
        assert masking.mask.gather(1, masking.ids_keep).eq(0).all()
        assert (masking.mask.dtype, masking.ids_keep.dtype, masking.ids_hide.dtype) == (
            *(torch.float32, torch.int64, torch.int64),
        )


@pytest.mark.parametrize(
    ("num_patches", "mask_ratio", "hidden"), [(100, 0.29, 29), (10, 0.9, 9), (196, 0.75, 147), (49, 0.75, 37)]
)
def test_rounding_hides_what_a_person_would_count(num_patches, mask_ratio, hidden):
    assert int(100 * 0.29) == 28  # what truncating would do
    assert num_patches - num_kept(num_patches, mask_ratio) == hidden


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("mask_ratio", "hidden"), [(0.0, 0), (0.01, 0), (0.99, 16), (1.0, 16)])
def test_hiding_no_patch_or_every_patch_is_refused(mask, mask_ratio, hidden):
    with pytest.raises(ValueError, match=f"mask_ratio {mask_ratio} hides {hidden} of 16 patches"):
        make(mask, (4, 4), mask_ratio)


def test_the_highest_noise_is_hidden_and_one_means_hidden():
    masking = random_masking(torch.tensor([[0.9, 0.1, 0.5, 0.7], [0.2, 0.8, 0.3, 0.1]]), 0.5)
    assert masking.mask.tolist() == [[1, 0, 0, 1], [0, 1, 1, 0]]
    assert masking.ids_keep.tolist() == [[1, 2], [3, 0]]
    assert masking.ids_hide.tolist() == [[3, 0], [2, 1]]


def test_equal_noise_is_taken_by_position():
    assert random_masking(torch.full((1, 200), 0.5), 0.5).ids_keep.tolist() == [list(range(100))]


@pytest.mark.parametrize("mask", ["random", "grid"])
def test_every_patch_is_hidden_equally_often(mask):
    masking = make(mask, (4, 4), 0.75, batch=4000)
    assert (masking.mask.mean(0) - 0.75).abs().max() < 0.035  # five standard errors of 4000 draws


def test_blocks_hide_the_middle_oftener_than_the_corners_and_alike_from_all_sides():
    often = make("block", (8, 8), 0.5, batch=4000).mask.mean(0).reshape(8, 8)
    assert often[3:5, 3:5].min() > often[0, 0] + 0.2
    for turned in (often.flip(0, 1), often.flip(1), often.T):
        assert (turned - often).abs().max() < 0.06


@pytest.mark.parametrize("mask", MASKS)
def test_samples_are_masked_independently(mask):
    noise = draw(mask_draws(mask, (4, 4)), batch=8)
    masking = make_masking(mask, noise, (4, 4), 0.75)
    alone = make_masking(mask, noise[2:3], (4, 4), 0.75)
    assert masking.mask[2:3].equal(alone.mask)
    assert masking.ids_keep[2:3].equal(alone.ids_keep)
    assert len(masking.mask.unique(dim=0)) > 1


@pytest.mark.parametrize(
    ("grid", "mask_ratio", "place", "ids"),
    [
        ((4, 4), 0.75, (0.0, 0.6), [1, 3, 9, 11]),  # one of every 2×2: first row of each, second column
        ((4, 4), 0.75, (0.999, 0.499), [4, 6, 12, 14]),
        ((2, 6), 2 / 3, (0.9, 0.4), [1, 4, 7, 10]),  # one of every three in a row
        ((9,), 8 / 9, (0.5,), [4]),
        ((2, 2, 2), 7 / 8, (0.9, 0.1, 0.9), [5]),
    ],
)
def test_a_grid_keeps_one_patch_of_every_cell_at_the_place_that_was_drawn(grid, mask_ratio, place, ids):
    masking = grid_masking(torch.tensor([place]), grid, mask_ratio)
    assert masking.ids_keep.tolist() == [ids]
    complement = grid_masking(torch.tensor([place]), grid, 1 - mask_ratio)
    assert complement.ids_hide.tolist() == [ids]


def test_grids_lie_in_every_place_that_their_cell_has():
    kept = grid_masking(draw(2, batch=100), (4, 4), 0.75).ids_keep
    assert sorted(kept[:, 0].unique().tolist()) == [0, 1, 4, 5]


@pytest.mark.parametrize(
    ("grid", "mask_ratio", "cell", "hidden"),
    [
        ((16, 16), 0.75, (2, 2), False),
        ((16, 16), 0.5, (1, 2), False),
        ((16, 16), 0.25, (2, 2), True),
        ((16, 16), 15 / 16, (4, 4), False),
        ((12, 16), 11 / 12, (3, 4), False),
        ((9, 16), 0.75, (1, 4), False),  # 9 rows have no halves
        ((14, 14), 0.98, (7, 7), False),  # 192 of 196, as 48 of 49
    ],
)
def test_cells_are_as_square_as_the_grid_allows(grid, mask_ratio, cell, hidden):
    assert find_lattice(grid, mask_ratio) == Lattice(cell, hidden)


@pytest.mark.parametrize(
    ("grid", "mask_ratio", "patches", "below", "above"),
    [
        ((14, 14), 0.6, "14×14", "0.5", "0.75"),
        ((14, 14), 0.8, "14×14", "0.75", "0.857"),
        ((7, 7), 0.75, "7×7", "0.14", "0.86"),
        ((4, 6, 2), 0.7, "4×6×2", "0.67", "0.75"),
        ((5,), 0.5, "5", "0.2", "0.8"),
        ((8, 8), 0.96, "8×8", "0.94", "0.97"),
    ],
)
def test_a_ratio_that_no_grid_has_is_refused_with_the_nearest_ones(grid, mask_ratio, patches, below, above):
    text = (
        f"mask_ratio {mask_ratio} cannot be had from a grid mask on {patches} patches, which keeps or hides one patch "
        f"of every cell of equal size; take {below}, {above} or another mask"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        find_lattice(grid, mask_ratio)
    for ratio in (below, above):
        assert find_lattice(grid, float(ratio))


def test_a_grid_takes_every_ratio_that_one_of_its_lattices_rounds_to():
    for grid in GRIDS:
        N = math.prod(grid)
        for percent in range(1, 100):
            hidden = round(N * percent / 100)
            if hidden in realisable("grid", grid):
                assert find_lattice(grid, percent / 100)
            elif 0 < hidden < N:
                with pytest.raises(ValueError, match="cannot be had from a grid mask"):
                    find_lattice(grid, percent / 100)


def rectangles(*first, coin=0.0, axes=2):
    """Return the numbers of one sample: of its first rectangles (area, sides…, place…), all others being zero."""
    noise = torch.zeros(1, mask_draws("block", (1,) * axes))
    noise[0, 0] = coin
    numbers = [number for rectangle in first for number in rectangle]
    noise[0, 1 : 1 + len(numbers)] = torch.tensor(numbers)
    return noise


def hidden_by(noise, grid, mask_ratio):
    return block_masking(noise, grid, mask_ratio).ids_hide[0].sort().values.tolist()


@pytest.mark.parametrize(
    ("place", "ids"), [((0.0, 0.0), [0, 1, 4, 5]), ((0.0, 0.99), [2, 3, 6, 7]), ((0.5, 0.5), [5, 6, 9, 10])]
)
def test_a_block_lies_where_it_was_drawn(place, ids):
    assert hidden_by(rectangles((0.999, 0.5, 0.5, *place)), (4, 4), 0.25) == ids


def test_the_last_block_is_cut_to_its_first_rows_or_its_last():
    noise = (0.999, 0.5, 0.5, 0.0, 0.99)  # 2×2 in the upper right, of which three are wanted
    assert hidden_by(rectangles(noise), (4, 4), 3 / 16) == [2, 3, 6]
    assert hidden_by(rectangles(noise, coin=0.5), (4, 4), 3 / 16) == [3, 6, 7]


def test_blocks_come_one_after_the_other():
    """The first takes half of what is to be hidden, the second, which it partly covers, the half that is left."""
    area = (1 / 2 - 16 / 78) / (1 - 16 / 78)
    noise = rectangles((area, 0.5, 0.5, 0.0, 0.0), (0.999, 0.5, 0.5, 0.5, 0.5), (0.0, 0.5, 0.5, 0.99, 0.0))
    assert hidden_by(noise, (4, 4), 0.5) == [0, 1, 4, 5, 6, 9, 10, 12]


def test_what_no_block_reaches_is_hidden_row_by_row():
    assert hidden_by(rectangles(), (4, 4), 0.5) == list(range(8))
    assert hidden_by(rectangles(coin=0.9), (4, 4), 0.5) == [0, *range(9, 16)]


def test_a_block_is_at_most_about_three_times_as_long_as_wide_in_sides_of_the_grid():
    long = block_masking(rectangles((0.9999, 0.0, 0.9999, 0.0, 0.0)), (20, 40), 0.25).mask.reshape(20, 40)
    assert long[:5, :36].all()  # 20 · 0.5 · √0.3 = 5.5 to 40 · 0.5 / √0.3 = 36.5
    assert not long[6:, 1:].any()


def test_blocks_of_series_are_stretches_and_of_volumes_boxes():
    series = rectangles((0.9999, 0.2, 0.5), axes=1)
    assert hidden_by(series, (20,), 0.5) == list(range(5, 15))
    volume = block_masking(rectangles((0.9999, *(0.5,) * 3, *(0.99,) * 3), axes=3), (4, 4, 4), 1 / 8)
    assert volume.mask.reshape(4, 4, 4)[2:, 2:, 2:].all()


@pytest.mark.parametrize("mask_ratio", [0.4, 0.6, 0.75])
def test_blocks_hang_together(mask_ratio):
    """Of neighbouring patches most are alike, where of random ones it is p² + (1 - p)²."""
    for mask, least, most in (("block", 0.85, 1.0), ("random", 0.4, 0.67)):
        masks = make(mask, (14, 14), mask_ratio, batch=200).mask.reshape(-1, 14, 14)
        alike = torch.cat([(masks[:, 1:] == masks[:, :-1]).flatten(), (masks[..., 1:] == masks[..., :-1]).flatten()])
        assert least < alike.float().mean() < most


def test_take_picks_tokens_by_position_for_each_sample():
    tokens = torch.tensor([[[0.0, 0.1], [1.0, 1.1], [2.0, 2.1]], [[3.0, 3.1], [4.0, 4.1], [5.0, 5.1]]])
    picked = take(tokens, torch.tensor([[2, 0], [1, 1]]))
    assert picked.equal(torch.stack([tokens[0, [2, 0]], tokens[1, [1, 1]]]))


def test_take_from_one_table_serves_every_sample():
    table = torch.arange(8.0).reshape(1, 4, 2)
    picked = take(table, torch.tensor([[3], [0], [1]]))
    assert picked.flatten(1).tolist() == [[6, 7], [0, 1], [2, 3]]


def some_present(batch, N):
    present = torch.rand(batch, N, generator=torch.Generator().manual_seed(5)) < torch.linspace(0, 1, batch)[:, None]
    present[-1] = True
    return present


@pytest.mark.parametrize("mask_ratio", [0.1, 0.5, 0.75, 0.9])
def test_random_masks_hide_their_share_of_the_patches_that_are_present(mask_ratio):
    present, noise = some_present(40, 24), torch.rand(40, 24)
    masking = random_masking(noise, mask_ratio, present)
    assert masking.ids_keep.shape == (40, num_kept(24, mask_ratio))
    ids = torch.cat([masking.ids_keep, masking.ids_hide], 1)
    assert ids.sort(1).values.equal(torch.arange(24).expand(40, -1))
    for i, num in enumerate(present.sum(1).tolist()):
        seen = masking.ids_keep[i][present[i].gather(0, masking.ids_keep[i])].tolist()
        assert len(seen) == max(num_kept(num, mask_ratio), int(num > 1))
        lowest = noise[i].masked_fill(~present[i], 2).argsort()[: len(seen)].tolist()
        assert set(seen) == set(lowest)
        assert set((masking.mask[i] == 0).nonzero().flatten().tolist()) == set(seen)


@pytest.mark.parametrize("mask", ["random", "grid", "block"])
def test_a_sample_of_which_all_is_present_is_masked_as_ever(mask):
    noise = torch.rand(8, mask_draws(mask, (4, 6)))
    present = some_present(8, 24)
    present[3] = True
    as_ever, masking = make_masking(mask, noise, (4, 6), 0.75), make_masking(mask, noise, (4, 6), 0.75, present)
    for one, other in zip(masking, as_ever, strict=True):
        assert one[[3, 7]].equal(other[[3, 7]])
        assert one.dtype == other.dtype


@pytest.mark.parametrize("mask", ["grid", "block"])
def test_grids_and_blocks_lie_where_they_lie_and_what_is_absent_is_hidden(mask):
    noise, present = torch.rand(8, mask_draws(mask, (4, 6))), some_present(8, 24)
    as_ever, masking = make_masking(mask, noise, (4, 6), 0.75), make_masking(mask, noise, (4, 6), 0.75, present)
    assert masking.ids_keep.equal(as_ever.ids_keep)
    assert masking.ids_hide.equal(as_ever.ids_hide)
    assert (masking.mask == 0).equal((as_ever.mask == 0) & present)
