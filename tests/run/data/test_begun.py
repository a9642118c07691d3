"""Whether data have the form that a run learnt."""

from __future__ import annotations

import pytest
from cards import card

from maecli.errors import DataError
from maecli.run.data.begun import check_form

NAMED = {"size": (3,), "modality": "tables", "cells": ("a", "b", "c")}


@pytest.mark.parametrize(
    ("now", "recorded", "words"),
    [
        pytest.param(
            {"dtype": "uint8"},
            {"channels": 3},
            "tiny are read as 1 channel of uint8, and those that the run began with as 3 channels of float32; take out",
            id="channels and type",
        ),
        pytest.param({"modality": "series"}, {}, "tiny are series, and the run learnt pictures", id="modality"),
        pytest.param(
            NAMED | {"cells": ("b", "a", "c")},
            NAMED,
            "tiny have the cells b, a, c, and the run knows a, b, c: their numbers would mean something else; give",
            id="cells in another order",
        ),
        pytest.param(NAMED | {"cells": ()}, NAMED, "tiny have the cells without names, and the run", id="no names"),
        pytest.param(
            {"channel_names": ("y",)},
            {"channel_names": ("x",)},
            "tiny have the channels y, and the run knows x",
            id="series",
        ),
        pytest.param(
            {"targets": ("y",)}, {"targets": ("x",)}, "tiny have the targets y, and the run knows x", id="targets"
        ),
    ],
)
def test_data_of_another_form_are_refused(now, recorded, words):
    with pytest.raises(DataError) as error:
        check_form(card(**now), card(**recorded))
    assert str(error.value).startswith(words)


@pytest.mark.parametrize("facts", [{}, NAMED, {"channel_names": ("x",)}], ids=["none", "cells", "channels"])
def test_data_of_the_same_form_are_taken(facts):
    check_form(card(**facts), card(**facts | {"classes": ("cat",)}))
