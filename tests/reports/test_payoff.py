from __future__ import annotations

from maecli.reports.payoff import Arm, Payoff, payoff_notes, payoff_sentences, payoff_table
from maecli.results import Difference, Metric


def metric(value: float, **facts) -> Metric:
    return Metric(**{"name": "top1", "label": "top-1 accuracy", "value": value, "unit": "share", **facts})


def difference(value: float, low: float, high: float, p_value: float, num: int = 150) -> Difference:
    return Difference(value=value, interval=(low, high), p_value=p_value, test="exact McNemar test", num_samples=num)


def payoff(apart: Difference | None, *longer: Arm, mine=0.813, other=0.71, **facts) -> Payoff:
    pretrained = Arm(title="after pretraining", folder="", metric=metric(mine), steps=900, seconds=60, before=120)
    scratch = Arm(
        title="from scratch",
        folder="compare-scratch",
        metric=metric(other),
        steps=900,
        seconds=61,
        difference=apart,
    )
    settings = {"split": "test", "num_samples": 150, "one": "picture", "many": "pictures", **facts}
    return Payoff(pretrained=pretrained, others=(scratch, *longer), **settings)


PAID = difference(0.103, 0.041, 0.165, 0.001)
NOT = difference(-0.05, -0.09, -0.01, 0.02)
UNKNOWN = difference(0.033, -0.08, 0.15, 0.7, num=30)


def test_where_pretraining_paid_it_is_said_by_how_much():
    told = payoff(PAID)
    assert told.paid is True
    (sentence,) = payoff_sentences(told)
    assert sentence == (
        "Pretraining paid: 81.3% against 71.0% from scratch (+10.3 points, 95% interval +4.1 to +16.5, paired on 150 "
        "pictures)."
    )


def test_where_it_did_not_what_may_help_is_said():
    told = payoff(NOT, mine=0.66)
    assert told.paid is False
    (sentence,) = payoff_sentences(told)
    assert sentence == (
        "Pretraining did not pay here: 66.0% against 71.0% from scratch (-5.0 points, 95% interval -9.0 to -1.0, "
        "paired on 150 pictures); more unlabelled pictures, a longer pretraining, or public weights (--init FILE) may."
    )
    (sentence,) = payoff_sentences(payoff(NOT, own_pretraining=False))
    assert sentence.endswith("; other weights, or pretraining on unlabelled pictures of your own (mae pretrain) may.")


def test_where_the_interval_alone_would_tell_a_difference_the_test_that_does_not_is_named():
    told = payoff(difference(-0.23, -0.42, -0.017, 0.0654, num=30))
    assert told.paid is None
    assert "95% interval -42.0 to -1.7, but p = 0.065 by the exact McNemar test" in payoff_sentences(told)[0]


def test_what_is_not_significant_is_no_difference():
    told = payoff(UNKNOWN)
    assert told.paid is None
    (sentence,) = payoff_sentences(told)
    assert sentence.startswith(
        "No difference can be told with 30 pictures: 81.3% after pretraining, 71.0% from scratch"
    )
    one = payoff(difference(0, -0.9, 0.9, 1.0, num=1))
    assert payoff_sentences(one)[0].startswith("No difference can be told with 1 picture: ")


def test_without_a_test_on_the_same_samples_nothing_is_claimed():
    told = payoff(None, remarks=("compare-scratch was measured on others",))
    assert told.paid is None
    assert payoff_sentences(told) == [
        "81.3% after pretraining and 71.0% from scratch, on 150 pictures; whether by chance is not known."
    ]
    assert payoff_notes(told) == ["Compare-scratch was measured on others."]


def test_a_lower_error_is_better():
    error = {"name": "mse", "label": "error", "unit": "", "better": "lower"}
    told = payoff(NOT)
    arms = [arm.model_copy(update={"metric": metric(0.2, **error)}) for arm in (told.pretrained, *told.others)]
    told = told.model_copy(update={"pretrained": arms[0], "others": tuple(arms[1:])})
    (sentence,) = payoff_sentences(told)
    assert sentence == (
        "Pretraining paid: 0.2000 against 0.2000 from scratch (-0.05000, 95% interval -0.09000 to -0.01000, paired on "
        "150 pictures)."
    )


def test_the_table_has_a_row_for_each_run_and_says_that_it_is_a_pair_or_more():
    longer = Arm(
        title="from scratch, total time",
        folder="compare-scratch-total-time",
        metric=metric(0.8),
        steps=2700,
        seconds=180,
        difference=difference(0.013, -0.05, 0.07, 0.6),
    )
    pair, triple = payoff_table(payoff(PAID)), payoff_table(payoff(PAID, longer))
    assert pair.title == "A pair on one schedule: test, 150 pictures"
    assert pair.rows == (
        ("after pretraining", "81.30%", "", "", "900", "2 min 00 s + 1 min 00 s"),
        ("from scratch", "71.00%", "+10.3 (+4.1 to +16.5)", "0.001", "900", "1 min 01 s"),
    )
    assert triple.title == "A pair on one schedule, and one with the time of both: test, 150 pictures"
    assert triple.rows[2][0] == "from scratch, total time"
    assert payoff_sentences(payoff(PAID, longer))[1] == (
        "From scratch, total time: 80.0%; no difference can be told (+1.3 points, 95% interval -5.0 to +7.0)."
    )


def test_what_the_time_of_both_does_better_from_scratch_is_said_first():
    arms = (payoff(PAID).pretrained.metric, difference(-0.08, -0.14, -0.02, 0.01))
    longer = Arm(title="from scratch, total time", folder="c", metric=arms[0], steps=9, seconds=9, difference=arms[1])
    told = payoff(PAID, longer)
    assert (told.paid, told.is_beaten, payoff(PAID).is_beaten) == (True, True, False)
    assert (told.comes_first, payoff(PAID).comes_first, payoff(UNKNOWN).comes_first) == (True, False, True)
    first, second = payoff_sentences(told)
    assert first.startswith("Pretraining paid on the same schedule, but not for its time: 81.3% against 71.0% from scr")
    assert "; the pretrained run is worse (-8.0 points" in second


def test_it_is_kept_as_plain_values_and_told_in_json_with_its_sentences():
    told = payoff(PAID)
    assert Payoff.model_validate(told.model_dump(mode="json")) == told
    assert (told.as_json()["paid"], told.as_json()["sentences"]) == (True, payoff_sentences(told))
