from __future__ import annotations

import pytest
import torch

from maecli.data import randomness
from maecli.data.randomness import Draws, derive_seed

MASK = (1 << 64) - 1


def draws(*ids, seed=0, epoch=0):
    return Draws(seed, epoch, torch.tensor(ids))


def splitmix(state):
    """The finaliser of SplitMix64 in Python's own integers."""
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK
    state = (state ^ state >> 27) * 0x94D049BB133111EB & MASK
    return state ^ state >> 31


def test_the_mixing_is_that_of_splitmix64():
    golden = torch.tensor(randomness._GOLDEN)
    outputs = [int(randomness._mix(1234567 + i * golden)) & MASK for i in (1, 2, 3)]
    # The first outputs of the published generator for the seed 1234567.
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("sample", [0, 1, 59_999, 2**40])
def test_a_draw_is_the_published_generator_keyed_by_run_and_sample(sample):
    key, golden = derive_seed(7, 3, "mask"), 0x9E3779B97F4A7C15
    base = splitmix(sample * golden + key & MASK)
    expected = [(splitmix(base + i * golden & MASK) >> 40) / 2**24 for i in (1, 2, 3)]
    assert draws(sample, seed=7, epoch=3).uniform("mask", 3)[0].tolist() == expected


def test_a_samples_draws_do_not_depend_on_its_batch():
    together = draws(5, 0, 9, 5).uniform("mask", 8)
    assert together[1:2].equal(draws(0).uniform("mask", 8))
    assert together[[2, 0]].equal(draws(9, 5).uniform("mask", 8))
    assert together[0].equal(together[3])
    assert together[1:3].equal(draws(5, 0, 9, 5).narrow(1, 3).uniform("mask", 8))


def test_drawing_more_numbers_leaves_the_first_ones_as_they_were():
    assert draws(3, 4).uniform("mask", 20)[:, :5].equal(draws(3, 4).uniform("mask", 5))


def test_torchs_own_generator_is_neither_used_nor_moved():
    torch.manual_seed(0)
    one = draws(3).uniform("mask", 4)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert draws(3).uniform("mask", 4).equal(one)
    assert torch.get_rng_state().equal(before)


def test_ids_of_any_integer_type_give_the_same_draws():
    short = Draws(0, 0, torch.tensor([1, 2], dtype=torch.int32))
    assert short.uniform("mask", 4).equal(draws(1, 2).uniform("mask", 4))


def test_purpose_epoch_seed_and_sample_each_change_the_draws():
    rows = [
        draws(1).uniform("mask", 16),
        draws(1).uniform("flip", 16),
        draws(1, epoch=1).uniform("mask", 16),
        draws(1, epoch=-1).uniform("mask", 16),
        draws(1, seed=1).uniform("mask", 16),
        draws(2).uniform("mask", 16),
    ]
    assert len(torch.cat(rows).unique()) == 6 * 16


def test_uniform_draws_fill_their_range_evenly():
    u = Draws(0, 0, torch.arange(2000)).uniform("mask", 50)  # 100 000 draws
    assert u.dtype == torch.float32
    assert 0 <= float(u.min()) < 1e-3
    assert 1 - 1e-3 < float(u.max()) < 1
    assert float(u.mean()) == pytest.approx(0.5, abs=5 * 12**-0.5 / 100_000**0.5)
    counts = torch.histc(u, bins=10, min=0, max=1)
    assert (counts - 10_000).abs().max() < 5 * (10_000 * 0.9) ** 0.5


def test_neighbouring_samples_and_draws_are_uncorrelated():
    u = Draws(0, 0, torch.arange(5000)).uniform("mask", 4) - 0.5
    bound = 5 / 12 / (5000 * 3) ** 0.5
    assert abs(float((u[:, 1:] * u[:, :-1]).mean())) < bound
    assert abs(float((u[1:] * u[:-1]).mean())) < bound


def test_normal_draws_have_mean_zero_and_variance_one():
    z = Draws(0, 0, torch.arange(2000)).normal("noise", 25)
    assert z.shape == (2000, 25)
    assert z.isfinite().all()
    assert float(z.mean()) == pytest.approx(0, abs=5 / 50_000**0.5)
    assert float(z.var()) == pytest.approx(1, abs=5 * (2 / 50_000) ** 0.5)
    assert float((z.abs() < 1).float().mean()) == pytest.approx(0.6827, abs=0.011)


def test_a_derived_seed_depends_on_every_part_and_fits_63_bits():
    seeds = [derive_seed(0), derive_seed(1), derive_seed(0, "order"), derive_seed(0, "order", 1), derive_seed(0, 1)]
    seeds += [derive_seed("0"), derive_seed(0, "order", 11), derive_seed(0, "order1", 1)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_length_of_draws_is_the_number_of_samples():
    assert len(draws(4, 5, 6)) == 3
    assert len(draws(4, 5, 6).narrow(1, 3)) == 2
