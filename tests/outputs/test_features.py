"""Tables of features: names are text, whatever they begin with, and numbers stay as they are."""

from __future__ import annotations

import numpy as np

from maecli.outputs.features import FeatureFiles, Labels


def test_names_that_look_like_formulas_are_marked_and_numbers_are_not(tmp_path):
    files = FeatureFiles(tmp_path / "x.csv", None, overwrite=False)
    features = np.array([[-0.5, 1.25], [0.1, -1e-7]], np.float32)
    files.write(features, ["=1+1.png", "-2.5"], Labels(["@cat", "dog"], np.array([0, -1])), {})
    assert (tmp_path / "x.csv").read_text() == (
        "path,label,f0,f1\n'=1+1.png,'@cat,-0.5,1.25\n-2.5,,0.100000001,-1.00000001e-07\n"
    )
