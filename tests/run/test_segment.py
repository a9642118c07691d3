"""Segmentation by the commands that people type: fine-tuned, evaluated, and run on pictures of any size."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from write_data import noise, rotated_jpeg, write_picture
from written import rows_of

from maecli.modalities.pictures.read import read_picture
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.restore import restore

pytestmark = pytest.mark.charts

NAMES = ("background", "cat", "dog")
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0]
SIZES = {"ordinary.png": (20, 30), "flat.png": (1, 7), "deep/turned.jpg": (32, 16)}
"""(H, W) of the upright pictures."""


@pytest.mark.slow
def test_an_evaluation_tells_iou_per_class(segmented, mae):
    outcome = mae("eval", segmented, "--device", "cpu", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    found = json.loads((segmented / "evaluation/test.json").read_text())
    assert found["metrics"] == outcome.json["metrics"]
    miou = next(metric for metric in found["metrics"] if metric["name"] == "miou")
    [table] = found["tables"]
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    assert [(row["class"], row["pixels"]) for row in rows] == [("background", 2 * 60), ("cat", 16), ("dog", 16)]
    assert miou["value"] == pytest.approx(np.mean([row["IoU"] for row in rows]))
    assert miou["baselines"] == {"all-background": pytest.approx(120 / 152 / 3)}
    with Image.open(segmented / "pictures/test-iou-per-class.png") as chart:
        assert (0x00, 0x72, 0xB2) in {colour for _, colour in chart.convert("RGB").getcolors(1 << 24)}
    assert "IoU of each class of the split." in (segmented / "report.html").read_text()


def test_masks_of_pictures_of_any_size_are_the_predicted_classes(segmented, tmp_path, mae):
    pictures, out = tmp_path / "in", tmp_path / "out"
    for seed, name in enumerate(("ordinary.png", "flat.png")):
        write_picture(pictures / name, noise(seed, *SIZES[name], 3))
    (pictures / "deep").mkdir()
    (pictures / "deep/turned.jpg").write_bytes(rotated_jpeg(6))
    arguments = ("--device", "cpu", "--precision", "float32", "--workers", 0)
    outcome = mae("infer", pictures, "--task", "segment", "--run", segmented, "--out", out, *arguments)
    assert outcome.exit_code == 0, outcome.stderr
    rows = {row["path"]: row for row in rows_of(out)}
    assert rows.keys() == SIZES.keys()
    assert len({row["classes"] for row in rows.values()}) > 1, "or equal masks would show little"

    built = restore(segmented, Registry(), Progress().say)
    preprocess, module = built.preprocess, built.module.eval()
    for key, size in SIZES.items():
        with Image.open(out / f"files/{key}.mask.png") as image:
            assert (image.mode, image.size) == ("P", size[::-1])
            assert image.getpalette()[:9] == PALETTE
            mask = np.asarray(image)
        x = preprocess.normalize(
            preprocess.pixels(torch.from_numpy(read_picture(pictures / key, channels=3).copy())[None])
        )
        with torch.no_grad():
            expected = built.task.classes_of(module, x)[0].numpy()
        np.testing.assert_array_equal(mask, expected)
        for number, name in enumerate(NAMES):
            assert float(rows[key][f"share_{name}"]) == pytest.approx((mask == number).mean(), abs=1e-6)
        assert rows[key]["classes"] == ";".join(NAMES[i] for i in np.unique(mask) if i)
        with Image.open(out / f"files/{key}.overlay.png") as overlay:
            assert overlay.width >= size[1]
            assert overlay.height > size[0]
