from __future__ import annotations

import pytest
import torch

from maecli.models.masking import num_kept, random_masking, take

COUNTS = [10, 16, 49, 100]


def draw(num_patches, batch=4, seed=0):
    return torch.rand(batch, num_patches, generator=torch.Generator().manual_seed(seed))


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


@pytest.mark.parametrize(
    ("num_patches", "mask_ratio", "hidden"), [(100, 0.29, 29), (10, 0.9, 9), (196, 0.75, 147), (49, 0.75, 37)]
)
def test_rounding_hides_what_a_person_would_count(num_patches, mask_ratio, hidden):
    assert int(100 * 0.29) == 28  # what truncating would do
    assert num_patches - num_kept(num_patches, mask_ratio) == hidden


@pytest.mark.parametrize(("mask_ratio", "hidden"), [(0.0, 0), (0.01, 0), (0.99, 16), (1.0, 16)])
def test_hiding_no_patch_or_every_patch_is_refused(mask_ratio, hidden):
    with pytest.raises(ValueError, match=f"mask_ratio {mask_ratio} hides {hidden} of 16 patches"):
        random_masking(draw(16), mask_ratio)


def test_the_highest_noise_is_hidden_and_one_means_hidden():
    masking = random_masking(torch.tensor([[0.9, 0.1, 0.5, 0.7], [0.2, 0.8, 0.3, 0.1]]), 0.5)
    assert masking.mask.tolist() == [[1, 0, 0, 1], [0, 1, 1, 0]]
    assert masking.mask.dtype == torch.float32
    assert masking.ids_keep.tolist() == [[1, 2], [3, 0]]
    assert masking.ids_hide.tolist() == [[3, 0], [2, 1]]


def test_kept_and_hidden_patches_are_a_permutation_of_all():
    masking = random_masking(draw(49), 0.6)
    together = torch.cat([masking.ids_keep, masking.ids_hide], dim=1).sort(dim=1).values
    assert together.equal(torch.arange(49).expand(4, -1))


def test_the_mask_is_one_at_the_hidden_patches_and_zero_at_the_kept_ones():
    masking = random_masking(draw(49), 0.6)
    assert masking.mask.gather(1, masking.ids_hide).eq(1).all()
    assert masking.mask.gather(1, masking.ids_keep).eq(0).all()


def test_every_patch_is_hidden_equally_often():
    masking = random_masking(draw(16, batch=4000), 0.75)
    assert (masking.mask.mean(0) - 0.75).abs().max() < 0.035  # five standard errors of 4000 draws


def test_samples_are_masked_independently():
    noise = draw(16)
    masking = random_masking(noise, 0.5)
    alone = random_masking(noise[2:3], 0.5)
    assert masking.mask[2:3].equal(alone.mask)
    assert masking.ids_keep[2:3].equal(alone.ids_keep)
    assert len(masking.mask.unique(dim=0)) > 1


def test_take_picks_tokens_by_position_for_each_sample():
    tokens = torch.tensor([[[0.0, 0.1], [1.0, 1.1], [2.0, 2.1]], [[3.0, 3.1], [4.0, 4.1], [5.0, 5.1]]])
    picked = take(tokens, torch.tensor([[2, 0], [1, 1]]))
    assert picked.equal(torch.stack([tokens[0, [2, 0]], tokens[1, [1, 1]]]))


def test_take_from_one_table_serves_every_sample():
    table = torch.arange(8.0).reshape(1, 4, 2)
    picked = take(table, torch.tensor([[3], [0], [1]]))
    assert picked.flatten(1).tolist() == [[6, 7], [0, 1], [2, 3]]
