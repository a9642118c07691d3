from __future__ import annotations

import re
import shutil
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from written import rows_of

from maecli.data.card import DataCard
from maecli.data.files.finding import find_files
from maecli.data.sample import TensorSplit
from maecli.errors import SpecError
from maecli.modalities.fit import as_tensor
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.storage.ledger import Ledger
from maecli.verbs import demo as module
from maecli.verbs.demo import NUM_PICTURES, demo, write_pictures

SHORT = """
about: the demo, in a second
pretrain: &short
  dataset: {name: digits}
  model: {name: vit-lite, patch_size: 4, embed_dim: 16, depth: 1, num_heads: 2}
  train: {epochs: 1, batch_size: 128, warmup_epochs: 0, micro_batch_size: null}
  trackers: [jsonl]
  log_every_steps: 1
finetune:
  <<: *short
  task: {name: classify}
"""


@pytest.fixture
def registry(tmp_path, monkeypatch) -> Registry:
    """Everything installed, with a shorter recipe for the demo."""
    shutil.copytree(Path(__file__).parents[2] / "plugins/recipes", tmp_path / "mae_short")
    (tmp_path / "mae_short/demo.yaml").write_text(SHORT)
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [point for point in entry_points(group="mae") if point.name != "recipes"]
    return Registry([*points, EntryPoint("recipes", "mae_short", "mae")])


@pytest.mark.slow
def test_the_demo_goes_the_whole_way_and_does_not_replace_itself(registry, tmp_path):
    result = demo(registry, Progress(), device="cpu")
    assert result.out == tmp_path / "runs/demo"
    assert {entry.name for entry in result.out.iterdir()} == {
        "pretrain",
        "finetune",
        "pictures",
        "infer",
        "report.html",
        ".mae",
    }
    shutil.copytree(result.out, tmp_path / "data/demo", ignore=shutil.ignore_patterns(".*"))
    assert find_files(tmp_path / "data") == [], "it is known without its ledger"
    assert (result.evaluation.split, result.evaluation.num_samples) == ("test", 360)
    assert all(
        metric.baselines or metric.name in ("unsure", "calibration_error") for metric in result.evaluation.metrics
    )
    assert len(rows_of(result.out / "infer")) == NUM_PICTURES
    assert (result.out / "infer/skipped.csv").read_text() == "path,reason\n"
    page = result.report.read_text(encoding="utf-8")
    first, *others = re.findall('<p class="lead">(.*?)</p>', page)
    assert "measured on 360 pictures" in page
    assert re.match("Top-1 accuracy of|[0-9]+ of 360 are named right|All 360 are taken for", first)
    assert others[-1].startswith("All of that was with 1,797 pictures (scikit-learn&#39;s handwritten digits, 8x8): it")
    assert others[-1].count("8") == 2, "the size is said once"
    for word in ("Classification, on held-out samples", "Reconstruction, on held-out samples", "majority", "Inference"):
        assert word in page
    assert f"encoder from {result.out / 'pretrain'}" in (result.out / "finetune/summary.json").read_text()
    assert result.seconds > 0
    with pytest.raises(SpecError) as caught:
        demo(registry, Progress(), device="cpu")
    assert str(caught.value) == (
        f"{result.out} holds a demo already; use another --out, or --overwrite to run it again"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("without_charts")
def test_the_verb_shows_metrics_and_what_to_do_next(registry, tmp_path, mae, monkeypatch):
    monkeypatch.setattr("maecli.registry.registry", lambda: registry)
    outcome = mae("demo", "--out", tmp_path / "there", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    for word in (
        "top-1 accuracy",
        "majority",
        f"open {tmp_path / 'there/report.html'}",
        "mae pretrain --root",
    ):
        assert word in outcome.stdout
    again = mae("demo", "--out", tmp_path / "there", "--json")
    assert again.exit_code == 2
    assert again.json["exit_code"] == 2


def card_of(value_range):
    numbers = {"mean": (0.5,), "std": (0.5,), "split_sizes": {}, "split_origin": ""}
    return DataCard(name="x", title="x", fields=("image",), channels=1, size=None, value_range=value_range, **numbers)


def test_pictures_are_written_in_full_range_and_evenly_spaced(tmp_path):
    values = np.arange(72, dtype=np.uint8).reshape(72, 1, 1, 1).repeat(2, 2).repeat(2, 3) // 18 * 4  # 0, 4, 8, 12
    write_pictures(
        TensorSplit({"image": as_tensor(values)}), card_of((0.0, 16.0)), tmp_path / "pictures", Ledger(tmp_path, "demo")
    )
    files = sorted((tmp_path / "pictures").iterdir())
    assert [file.name for file in files] == [f"{i:04d}.png" for i in range(0, 72, 2)]
    assert [np.asarray(Image.open(file)).max() for file in files[::9]] == [0, 64, 128, 191]


def test_a_small_split_writes_each_picture_once(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "NUM_PICTURES", 3)
    images = as_tensor(np.zeros((3, 3, 2, 2), np.uint8))
    write_pictures(TensorSplit({"image": images}), card_of((0.0, 255.0)), tmp_path, Ledger(tmp_path.parent, "demo"))
    assert len(list(tmp_path.glob("*.png"))) == 3
