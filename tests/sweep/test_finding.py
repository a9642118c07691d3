"""The first sentences about a sweep: which setting was best, by how much, and how surely."""

from __future__ import annotations

import pytest
from sweep_outcomes import RATIO, outcome, row

from maecli.results import Difference
from maecli.sweep.finding import finding, folds_finding
from maecli.sweep.outcome import Outcome
from maecli.sweep.plan import Axis, Choice


def half(value: float, *more: float, **changes: object):
    return row({"mask_ratio": "0.5"}, value, *more, **changes)


def most(value: float, *more: float, **changes: object):
    return row({"mask_ratio": "0.75"}, value, *more, **changes)


def told(*rows, between=lambda one, other: None) -> list[str]:
    return finding(outcome(*rows), between)


def test_the_best_setting_is_named_with_the_next_and_what_seeds_say():
    best, *others = told(half(0.60, 0.61, 0.62), most(0.70, 0.72, 0.71))
    assert best.startswith("The best of 2 settings is mask ratio 0.75: top-1 accuracy of 71.00 ± 1.00% on test; ")
    assert best.endswith("the next is mask ratio 0.5, with 61.00 ± 1.00%.")
    assert others == [
        "3 seeds tell the two apart (paired t-test, p = 0.0033).",
        "The best was chosen on test, so its own figure there is rather too good.",
    ]
    assert told(half(0.60, 0.70), most(0.65, 0.66))[1].startswith("2 seeds do not tell the two apart (paired t-test, ")
    assert "(paired t-test, p below 0.001)" in told(half(0.6, 0.7), most(0.7, 0.8))[1], "as much for every seed"


@pytest.mark.parametrize(("p", "words"), [(0.01, "lie more than chance"), (0.4, "lie no more than chance")])
def test_of_one_seed_the_same_samples_say_whether_it_is_chance(p, words):
    asked = []

    def between(*runs):
        asked.append(runs)
        return Difference(
            value=0.1, interval=(0.05 if p < 0.05 else -0.1, 0.2), p_value=p, test="a test", num_samples=9
        )

    rows = (half(0.6, interval=(0.5, 0.7), runs=("a",)), most(0.7, interval=(0.6, 0.8), runs=("b",)))
    first, second, third, _ = told(*rows, between=between)
    assert "70.00% (60 to 80%) on test" in first
    assert second == f"The two {words} may make apart (p = {p}, a test on 9 samples)."
    assert third == "With one seed each, what another seed would change is not known."
    assert asked == [("b", "a")]
    assert told(*rows)[1] == "Nothing tells whether the two lie apart by chance."


def third(value: float, *more: float, **changes: object):
    return row({"mask_ratio": "0.9"}, value, *more, **changes)


def test_the_best_is_compared_with_the_default_before_the_next():
    found = told(half(0.70, 0.72, 0.71), most(0.60, 0.61, 0.62, usual=True), third(0.69, 0.72, 0.705))
    assert found[0].startswith("The best of 3 settings is mask ratio 0.5: top-1 accuracy of 71.00 ± 1.00% on test; ")
    assert "; the default, mask ratio 0.75, has 61.00 ± 1.00%; the next is mask ratio 0.9, with 70.5" in found[0]
    assert found[1].startswith("3 seeds tell it and the default apart (")
    assert found[2].startswith("3 seeds do not tell it and the next apart (")


def test_the_default_is_named_where_it_is_the_best_or_the_next():
    best = told(half(0.70, usual=True), most(0.60), third(0.50))[0]
    assert best.startswith("The best of 3 settings is the default, mask ratio 0.5: ")
    assert best.endswith("; the next is mask ratio 0.75, with 60.00%.")
    after = told(half(0.70), most(0.60, usual=True), third(0.50))
    assert after[0].endswith(" on test; the next is the default, mask ratio 0.75, with 60.00%.")
    assert "the two" in after[1]
    equal = told(half(0.70), most(0.70), third(0.50, usual=True))[0]
    assert equal.endswith("; the default, mask ratio 0.9, has 50.00%.")


def test_lower_is_better_where_it_is():
    first = told(half(0.1, better="lower", baselines={}), most(0.2, better="lower", baselines={}))[0]
    assert "is mask ratio 0.5: " in first


def test_a_best_that_is_trivial_is_said_to_be():
    assert told(half(0.05, 0.06), most(0.04, 0.03))[1] == "Even the best does not beat chance (10.00%)."


def test_equals_are_equals():
    first = told(half(0.5), most(0.5), row({}, 0.4, arm="scratch"))[0]
    assert first.startswith("The best of 3 settings are equally good, mask ratio 0.5, mask ratio 0.75: top-1")


def test_each_other_arm_has_its_best():
    rows = [half(0.5, arm="probe"), most(0.6, arm="probe"), half(0.8, arm="tuned"), most(0.7, arm="tuned")]
    found = told(*rows)
    assert found[0].startswith("The best of 4 settings is mask ratio 0.5, tuned: ")
    assert found[1] == "Of probe, the best is mask ratio 0.75, with 60.00%."


def test_settings_whose_baselines_differ_are_not_compared():
    (sentence,) = told(half(0.5), most(0.6, baselines={"chance": 0.2}))
    assert sentence.startswith("No setting is called best: what was measured differs")


def test_one_setting_says_what_it_got_and_none_says_so():
    assert told(half(0.5, 0.6)) == ["Top-1 accuracy is 55.00 ± 7.07% on test, over 2 seeds."]
    assert told(half(0.05))[1] == "Does not beat chance (10.00%)."
    assert finding(Outcome("tiny", (RATIO,), (0,), ("test",), (), {}), lambda one, other: None) == [
        "No run of it was measured."
    ]


def test_folds_are_not_settings():
    axis = Axis("fold", tuple(Choice(str(i), {}) for i in (1, 2, 3)))
    rows = tuple(row({"fold": str(i)}, value) for i, value in ((1, 0.5), (2, 0.7), (3, 0.6)))
    found = folds_finding(Outcome("folds", (axis,), (0,), ("test",), rows, {}))
    assert found[0] == "Over 3 folds, top-1 accuracy lies between 50.00% in fold 1 and 70.00% in fold 2."
