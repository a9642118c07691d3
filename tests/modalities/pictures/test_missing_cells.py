"""Every verb on pictures that lack cells, and by runs whose data lacked none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from conftest import TOY_DECODER, TOY_MODEL, TOY_RUN
from maecli_plugins.datasets.folder.dataset import Folder
from PIL import Image
from write_data import encoded, noise

import maecli
from maecli.loading.streamed import StreamedLoader
from maecli.modalities.pictures.modality import file_reading
from maecli.modalities.pictures.source import PictureSource
from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.restore import restore

NODATA = 7
CPU = torch.device("cpu")


def write_scenes(folder: Path, num: int = 20) -> None:
    """Write pictures (8, 8, 3) of values from 100 on, the upper two rows of which hold nothing."""
    folder.mkdir(parents=True)
    for i in range(num):
        pixels = 100 + noise(i, 8, 8, 3) // 2
        pixels[:2] = NODATA
        tifffile.imwrite(folder / f"{i}.tif", pixels, photometric="rgb", extratags=[(42113, "s", 0, str(NODATA), True)])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    write_scenes(root / "images")
    (root / "masks").mkdir()
    for i in range(20):
        (root / f"masks/{i}.png").write_bytes(encoded(Image.fromarray(noise(i, 8, 8) % 2), "PNG"))
    (root / "classes.txt").write_text("background\nthing\n")
    return root


@pytest.mark.slow
def test_a_run_on_pictures_that_lack_cells_serves_files_that_do(scenes, tmp_path, mae):
    out = tmp_path / "run"
    arguments = (*TOY_MODEL, *TOY_DECODER, *TOY_RUN, "--dataset", "folder", "--root", scenes / "images")
    outcome = mae("pretrain", *arguments, "--out", out)
    assert outcome.exit_code == 0, outcome.stderr
    assert "20 naming a nodata value, whose cells are missing" in outcome.stderr
    built = restore(out, registry(), Progress().say)
    assert (built.preprocess.missing, built.card.value_range) == (True, (0.0, 255.0))
    assert min(built.card.mean) > 100 / 255
    outcome = mae("infer", scenes / "images", "--run", out, "--out", tmp_path / "made", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr

    encoder = maecli.load_encoder(out)
    x = encoder.preprocess(scenes / "images/0.tif")
    source = PictureSource(scenes / "images", ["0.tif"], file_reading(built.card))
    [batch] = StreamedLoader(source, built.preprocess.for_files(built.card), CPU, 0, workers=0).eval_batches(1)
    assert x.isnan().equal(~batch.tensors["valid"])
    assert torch.nan_to_num(x).equal(batch["image"])
    assert x.isnan().any()
    assert encoder(x).isfinite().all()


@pytest.mark.slow
def test_a_run_whose_data_lacked_none_leaves_out_files_that_lack_cells(scenes, pretrained, tmp_path, mae):
    outcome = mae("infer", scenes / "images", "--run", pretrained, "--out", tmp_path / "made", "--device", "cpu")
    assert outcome.exit_code == 3
    reason = "lacks cells, those of its nodata value 7, and the data set has none that may: train with dataset.nodata=7"
    assert (tmp_path / "made/skipped.csv").read_text().count(reason) == 20


@pytest.mark.slow
def test_where_nothing_is_known_no_mask_is_judged(scenes, tmp_path, mae):
    out = tmp_path / "run"
    outcome = mae(
        *("finetune", "--task", "segment", *TOY_MODEL, *TOY_RUN, "--dataset", "folder", "--root", scenes),
        *("--out", out),
    )
    assert outcome.exit_code == 0, outcome.stderr
    found = mae("eval", out, "--json", "--device", "cpu").json
    assert sum(row[1] for row in found["tables"][0]["rows"]) == 2 * 6 * 8  # two test pictures, six rows of each


@pytest.mark.slow
def test_a_survey_leaves_out_what_is_missing(scenes, tmp_path, mae):
    outcome = mae("eda", "--dataset", "folder", "--root", scenes / "images", "--out", tmp_path / "eda", "--json")
    values = outcome.json["values"]["train"]
    assert min(each["min"] for each in values) >= 100
    assert {each["missing"] for each in values} == {0.25}


def test_nothing_is_mixed_into_the_statistics(tmp_path):
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", np.full((4, 4), np.nan if i == 1 else i / 2, np.float32))
    card = Folder(Folder.Options(root=tmp_path, val_share=0, test_share=0)).card()
    assert (card.missing, card.value_range, card.mean, card.std) == (True, (0.0, 1.0), (0.5,), (0.5,))
