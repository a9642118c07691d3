"""What samples carry beside their image: masks of 300 classes with -1 for void, and numbers to predict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from conftest import TOY_DECODER, TOY_RUN, call
from grids import NUM_MASK_CLASSES, VOID
from installed import installed
from write_grids import write_beats, write_houses, write_organs, write_waves
from written import csv_rows

from maecli.data.batch import Batch
from maecli.loading import make_loader
from maecli.modalities.preprocess import Preprocess
from maecli.registry import registry
from maecli.run.open import make_modality
from maecli.schema import DataSpec
from maecli.testing import check_dataset

TOY = (
    *("--model", "vit", "--set", "model.embed_dim=16", "--set", "model.depth=1", "--set", "model.num_heads=2"),
    *(*TOY_RUN, "--base-lr", "0.3", "--set", "checkpoint.every_epochs=100", "--set", "eval_every_epochs=100"),
)
SIZES = {
    "beats": ("--img-size", "28", "--patch-size", "4", "--epochs", "40"),
    "organs": ("--img-size", "8", "--patch-size", "2", "--epochs", "120"),
}
PARTS = {"beats": "step", "organs": "voxel"}


@pytest.fixture(scope="module", autouse=True)
def _package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Announce the data sets of `grids` as a package would."""
    names = {f"dataset.{name}": "grids" for name in ("waves", "beats", "organs", "houses")}
    with installed(tmp_path_factory.mktemp("site"), "mae-grids", names):
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the data. Not to be changed."""
    folder = tmp_path_factory.mktemp("grids")
    for write in (write_waves, write_beats, write_organs, write_houses):
        write(folder)
    return folder


@pytest.fixture(scope="module", params=["beats", "organs"])
def segmenter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """Return a segmentation run that began with an encoder pretrained on the same samples. Not to be changed."""
    out = tmp_path_factory.mktemp("runs") / request.param
    asked = (*TOY, *SIZES[request.param], "--dataset", request.param, "--root", root)
    for how in (
        ("pretrain", *asked, *TOY_DECODER, "--epochs", 4, "--out", out / "pretrained"),
        ("finetune", "--task", "segment", *asked, "--init", out / "pretrained", "--out", out / "run"),
    ):
        outcome = call(*how)
        assert outcome.exit_code == 0, outcome.stderr
    return out / "run"


@pytest.mark.usefixtures("without_charts")
def test_two_of_300_classes_are_told_apart_and_void_is_not_judged(segmenter):
    outcome = call("eval", segmenter, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    evaluation = json.loads((segmenter / "evaluation/test.json").read_text())
    (miou,) = [metric for metric in evaluation["metrics"] if metric["name"] == "miou"]
    assert miou["value"] > 0.6 > max(miou["baselines"].values())
    absent = ", ".join(f"part {number}" for number in range(1, 9))
    part = PARTS[segmenter.parent.name]
    assert miou["note"] == f"mean of 2 classes; no {part} here of {absent} and 290 more"
    (of_classes,) = [table for table in evaluation["tables"] if table["title"].startswith("Per class, shares")]
    assert of_classes["columns"][1:3] == [f"{part}s", f"share of {part}s"]
    cells = {row[0]: row[1] for table in evaluation["tables"] for row in table["rows"]}
    assert set(cells) >= {"nothing", "part 299"}


def test_a_mask_of_each_file_has_its_size_and_the_numbers_of_its_classes(segmenter, root, tmp_path):
    name = segmenter.parent.name
    source, suffix = {"beats": ("series", ".csv"), "organs": ("volumes", ".nii.gz")}[name]
    out = tmp_path / "out"
    outcome = call("infer", root / name / source, "--run", segmenter, "--out", out, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    files = sorted((root / name / source).glob(f"*{suffix}"))
    assert outcome.json["predicted"] == len(files)
    for file in files:
        stem = file.name.removesuffix(suffix) if name == "organs" else file.name
        mask = read_mask(out / "files" / f"{stem}.mask{suffix}")
        truth = np.load(root / name / "masks" / f"{file.name.partition('.')[0]}.npy")
        assert mask.shape == truth.shape
        assert set(np.unique(mask)) <= set(range(NUM_MASK_CLASSES))


def read_mask(path: Path) -> np.ndarray:
    """Return the classes of a CSV file, one line each, or of a volume."""
    if path.suffix == ".csv":
        return np.array([int(row["class"]) for row in csv_rows(path)])
    return np.asarray(nibabel.load(path).dataobj)


def batch_of(
    name: str, root: Path, fields: tuple[str, ...], loading: str, img_size: tuple[int, ...]
) -> tuple[Batch, Preprocess]:
    """Return the whole test split of a data set as one batch, and how it was made."""
    plugin = registry().dataset(name)
    dataset = plugin(plugin.Options(root=root))
    card = dataset.card(fields)
    preprocess = Preprocess.of(card, img_size, modality=make_modality(card, registry()))
    spec = DataSpec(loading=loading, workers=0)
    loader = make_loader(dataset.split("test", fields), preprocess, torch.device("cpu"), 0, spec)
    (batch,) = loader.eval_batches(1000)
    return batch, preprocess


@pytest.mark.parametrize("loading", ["resident", "streamed"])
def test_targets_reach_a_batch_as_they_are_and_unknown_ones_as_nan(root, loading):
    batch, _ = batch_of("houses", root, ("image", "target"), loading, (6,))
    table = csv_rows(root / "houses.csv")
    prices = [float(row["price"] or "nan") for number, row in enumerate(table) if number % 6 == 5]
    assert np.isnan(prices).any()
    assert batch["target"].dtype == torch.float32
    np.testing.assert_array_equal(batch["target"].numpy(), np.array(prices, np.float32)[:, None])


@pytest.mark.parametrize("loading", ["resident", "streamed"])
def test_masks_reach_a_batch_with_every_number(root, loading):
    batch, _ = batch_of("organs", root, ("image", "mask"), loading, (8, 9, 9))
    assert batch["mask"].dtype == torch.int32
    assert batch["mask"].unique().tolist() == [VOID, 0, NUM_MASK_CLASSES - 1]


def test_each_channel_of_a_batch_goes_back_to_its_own_units(root):
    """The first wave of the test split has its 22 steps at the model's size, so nothing was cut or resized."""
    batch, preprocess = batch_of("waves", root, ("image",), "streamed", (22,))
    table = csv_rows(root / "waves/fast/05.csv")
    rows = [[float(row[name] or "nan") for name in ("left", "right")] for row in table]
    truth = np.array(rows, np.float32).T
    values = preprocess.to_values(preprocess.to_pixels(batch["image"][:1]))[0].numpy()
    there = batch["valid"][0].numpy()
    np.testing.assert_array_equal(there, ~np.isnan(truth))
    np.testing.assert_allclose(values[there], truth[there], rtol=1e-4, atol=1e-3)
    assert preprocess.to_pixels(batch["image"])[:, 1].max() < 1.2


@pytest.mark.usefixtures("told_costs")
@pytest.mark.parametrize("name", ["waves", "beats", "organs", "houses"])
def test_the_conformance_kit_finds_nothing_to_say(root, name):
    plugin = registry().dataset(name)
    told = {"under": 1e9} if name in ("waves", "houses") else {}
    found = check_dataset(plugin(plugin.Options(root=root, **told)))
    assert [(each.check, each.problem) for each in found if each.problem] == []


@pytest.mark.usefixtures("told_costs")
def test_the_kit_tells_of_a_cell_outside_of_its_own_range(root, tmp_path):
    """The age, of -10 to 10, is 25; the rooms, of 0 to 10, are 9."""
    lines = (root / "houses.csv").read_text(encoding="utf-8").splitlines()
    lines[1] = ",".join(["9", "25", *lines[1].split(",")[2:]])
    (tmp_path / "houses.csv").write_text("\n".join(lines), encoding="utf-8")
    plugin = registry().dataset("houses")
    found = {each.check: each.problem for each in check_dataset(plugin(plugin.Options(root=tmp_path))) if each.problem}
    assert "image goes from 25.0 to 25.0, outside the card's value_range -10 to 10" in found["values"]
