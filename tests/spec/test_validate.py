from __future__ import annotations

import pytest

from maecli.errors import SpecError
from maecli.plugin_options import Options
from maecli.spec.validate import validate_options


def test_options_that_a_plugin_requires_are_asked_for():
    class Needy(Options):
        key: str

    with pytest.raises(SpecError) as caught:
        validate_options("dataset", "needy", {}, Needy)
    assert str(caught.value) == (
        "dataset.key is not set: give --set dataset.key=…, a --recipe or a --config file (options of needy)"
    )
