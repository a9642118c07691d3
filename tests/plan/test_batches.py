"""A batch that is changed by hand alone is told with the rate that becomes of it, and one that suits."""

import re

import pytest

DIGITS = ("pretrain", "--dataset", "digits", "--dry-run", "--epochs", 1)


@pytest.mark.parametrize("batch", [("--batch-size", 8), ("--set", "train.batch_size=8")])
def test_a_smaller_batch_is_told_with_a_rate_that_suits_it(mae, batch):
    outcome = mae(*DIGITS, *batch)
    assert outcome.exit_code == 0, outcome.stderr
    [line] = [line for line in outcome.stderr.splitlines() if line.startswith("batches of 8 instead of 32")]
    now, before, suits = (
        float(re.search(pattern, line)[1])
        for pattern in (r"rate is ([\d.e-]+) ", r"instead of ([\d.e-]+);", r"--base-lr ([\d.e-]+)")
    )
    assert now == pytest.approx(before / 4, rel=0.01)
    assert suits * 8 / 256 == pytest.approx(before / 2, rel=0.1)


@pytest.mark.parametrize("flags", [(), ("--batch-size", 32), ("--batch-size", 8, "--base-lr", 0.01)])
def test_nothing_is_told_where_nothing_is_amiss(mae, flags):
    assert "instead of" not in mae(*DIGITS, *flags).stderr
