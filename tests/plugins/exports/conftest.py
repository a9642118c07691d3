from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from maecli.modalities.pictures.modality import Pictures
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


@pytest.fixture
def see_through(tmp_path, model):
    """Return a picture with alpha that is to be turned, and its pixels (C, H, W) as `mae infer` reads them."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned clockwise
    values = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    Image.fromarray(values, "RGBA").save(tmp_path / "picture.png", exif=exif)
    return tmp_path / "picture.png", Pictures().read(tmp_path / "picture.png", model.card)
