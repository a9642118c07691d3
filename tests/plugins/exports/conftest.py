from __future__ import annotations

import pytest

from maecli.registry import registry
from maecli.run.exported.model import exported_model


@pytest.fixture(scope="package")
def model(finetuned):
    """Return what a format is handed of a classifier of pictures in colour, 16 x 16."""
    return exported_model(finetuned, registry(), print, num_samples=2)


@pytest.fixture(scope="package")
def onnx_file(model, tmp_path_factory):
    """Return the classifier as ONNX. Not to be changed."""
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    registry().export("onnx")().write(model, path)
    return path
