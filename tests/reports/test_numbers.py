"""How numbers read, and when a metric is said not to beat its baselines."""

from __future__ import annotations

import math

import pytest

from maecli.reports.numbers import caution, format_baselines, format_metric, format_value, verdict
from maecli.results import Metric


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.9722, "share", "97.22%"),
        (0.0, "share", "0.00%"),
        (1.0, "share", "100.00%"),
        (1234567, "count", "1,234,567"),
        (12.5, "count", "12.5"),
        (19.0912, "dB", "19.09 dB"),
        (0.0123456, "squared", "0.01235"),
        (0.71234, "index", "0.7123"),
        (0.5, "", "0.5000"),
        (9.99996, "", "10.00"),
        (-3.14159, "", "-3.142"),
        (12345.6, "", "12,346"),
        (0.0, "", "0"),
        (55000, "", "55,000"),
        (1.5e-7, "", "1.500e-07"),
        (2.5e9, "", "2.500e+09"),
        (math.nan, "share", "n/a"),
        (math.inf, "dB", "inf"),
        (-math.inf, "", "-inf"),
    ],
)
def test_a_value_is_written_in_its_unit(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


@pytest.mark.parametrize(("share", "text"), [(0.99996, "99.996%"), (0.00002, "0.002%")])
def test_rounding_never_claims_a_perfect_or_an_absent_share(share: float, text: str) -> None:
    assert format_value(share, "share") == text


def top1(value: float, **changes: object) -> Metric:
    fields = {"name": "top1", "label": "top-1 accuracy", "value": value, "unit": "share"}
    return Metric.model_validate({**fields, "baselines": {"majority": 0.1135, "chance": 0.1}, **changes})


def test_a_metric_is_written_with_its_interval_if_it_has_one() -> None:
    assert format_metric(top1(0.9722, interval=(0.9688, 0.9753))) == "97.22% (96.88% to 97.53%)"
    assert format_metric(top1(0.9722)) == "97.22%"


def test_baselines_are_written_in_the_unit_of_their_metric() -> None:
    assert format_baselines(top1(0.9)) == ["majority 11.35%", "chance 10.00%"]
    assert format_baselines(top1(0.9, baselines={"mean_patch": 0.2})) == ["mean patch 20.00%"]


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        (top1(0.5), ""),
        (top1(0.5, baselines={}), ""),
        (top1(0.11), "Does not beat majority (11.35%)."),
        (top1(0.1135), "Does not beat majority (11.35%)."),
        (top1(0.09), "Does not beat majority (11.35%) or chance (10.00%)."),
        (top1(math.nan), "Does not beat majority (11.35%) or chance (10.00%)."),
        (top1(0.09, better="lower"), ""),
        (top1(0.105, better="lower"), "Does not beat chance (10.00%)."),
    ],
)
def test_the_verdict_names_the_baselines_that_were_not_beaten(metric: Metric, sentence: str) -> None:
    assert verdict(metric) == sentence


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        (top1(0.2, interval=(0.18, 0.22)), ""),
        (top1(0.12), ""),
        (top1(0.09, interval=(0.08, 0.12)), ""),
        (
            top1(0.12, interval=(0.11, 0.13)),
            "Not clearly better than majority (11.35%), which lies within its 95% interval.",
        ),
        (
            top1(0.095, interval=(0.09, 0.105), better="lower"),
            "Not clearly better than chance (10.00%), which lies within its 95% interval.",
        ),
    ],
)
def test_a_win_by_less_than_the_interval_is_called_unclear(metric: Metric, sentence: str) -> None:
    assert caution(metric) == sentence
