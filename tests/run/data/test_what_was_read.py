from __future__ import annotations

from cards import card

from maecli.run.data.what_was_read import what_was_read


def test_a_card_that_says_nothing_takes_no_line():
    assert what_was_read(card()) == []


def test_what_was_read_converted_and_left_out_is_told_once_per_kind_with_its_count():
    told = card().model_copy(
        update={
            "reading": "1,300 pictures in 2 classes",
            "converted": {"grey, given three equal channels": 1200, "turned": 0},
            "left_out": {"without a label": 4},
        }
    )
    assert what_was_read(told, 5, num_among=2)[0] == (
        "read: 1,300 pictures in 2 classes; 2 of these cannot be decoded; 5 files left out in all"
    )
    assert what_was_read(told, num_broken=2) == [
        "read: 1,300 pictures in 2 classes; 2 files left out",
        "converted: 1,200 grey, given three equal channels",
        "left out: 2 broken; 4 without a label",
    ]
