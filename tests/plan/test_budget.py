"""How much time a run may take."""

import pytest

from maecli.errors import SpecError
from maecli.plan.budget import default_time, parse_time, written_time
from maecli.plan.words import flag


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("10min", 600), ("1h", 3600), ("1h30m", 5400), ("1.5h", 5400), ("2 h 5 m", 7500)],
)
def test_times_as_people_write_them(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "h", "ten minutes", "1h-3m", "1m x", "0s", "-5m", "1e9h", "400d", "nan"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(SpecError, match="--time"):
        parse_time(text)


@pytest.mark.parametrize("seconds", [20, 90, 150, 300, 600, 3600, 5400, 86400])
def test_a_time_is_written_as_it_is_read(seconds):
    assert parse_time(flag(seconds)) == seconds


@pytest.mark.parametrize(("seconds", "written"), [(31.2, 35), (121, 150), (572, 600), (622, 660), (600, 600)])
def test_a_time_is_rounded_up_to_what_people_write(seconds, written):
    assert written_time(seconds) == written
    assert parse_time(flag(written)) == written


def test_all_verbs_together_take_less_than_five_minutes_on_a_processor():
    assert sum(default_time("cpu", verb) for verb in ("pretrain", "finetune")) < 5 * 60
    assert default_time("another", "pretrain") == default_time("cpu", "pretrain")
