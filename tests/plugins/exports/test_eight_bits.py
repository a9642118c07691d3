from __future__ import annotations

import csv
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from PIL import Image

from maecli.errors import MaeError, SpecError
from maecli.exporting.edge import predict
from maecli.modalities.pictures.modality import Pictures
from maecli.progress import Progress
from maecli.registry import registry
from maecli.results import Evaluation, Metric
from maecli.run.exported.model import EXACT
from maecli.run.restore import restore
from maecli.speed import lowered, turns
from maecli.verbs.export import export_edge

EDGE = ["README.md", "labels.txt", "model.onnx", "predict.py"]
ALONE = """
import runpy, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {"numpy", "PIL", "onnxruntime", *sys.stdlib_module_names}:
            raise ImportError(f"{name} is not on a small machine")
sys.meta_path.insert(0, Nothing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a program as if nothing of mae, nor torch, were installed."""


@pytest.fixture(scope="module")
def restored(finetuned):
    return restore(finetuned, registry(), print, settings=EXACT)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(lowered, "SECONDS", 0)
    monkeypatch.setattr(turns, "TURN_S", 0.001)


def lower(restored, model, onnx_file, path, max_drop):
    return lowered.lower(registry().export("onnx")(), restored, model, onnx_file, path, "int8", max_drop)


def test_products_within_blocks_have_8_bits_and_what_it_costs_is_told(restored, model, onnx_file, tmp_path):
    told = lower(restored, model, onnx_file, tmp_path / "int8.onnx", 100)
    kinds = [node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node]
    assert kinds.count("MatMulInteger") == 2 * 4  # of 2 blocks: qkv, proj, fc1, fc2; patch embedding and head are not
    assert registry().export("onnx").metadata(tmp_path / "int8.onnx")["precision"] == "int8"
    assert told.loss == pytest.approx(100 * (told.exact - told.value))
    assert told.speedup > 0
    assert "top-1 accuracy" in told.sentences[0]
    assert "times as fast as float32" in told.sentences[1]


def test_a_speed_that_was_measured_on_a_busy_machine_is_told_as_such(restored, model, onnx_file, tmp_path, monkeypatch):
    steady, busy = (turns.Timing(1, [[one] for one in each]) for each in ([1.0, 1.0, 1.0], [1.0, 1.5, 3.0]))
    monkeypatch.setattr(lowered, "_in_turn", lambda *_: (steady, busy))
    told = lower(restored, model, onnx_file, tmp_path / "int8.onnx", 100)
    assert told.sentences[2:] == [told.note]
    assert "not at rest: the middle half of the turns lies up to 67% apart; neither times nor ratios can" in told.note
    monkeypatch.setattr(lowered, "_in_turn", lambda *_: (steady, steady))
    assert len(lower(restored, model, onnx_file, tmp_path / "int8.onnx", 100).sentences) == 2


def test_a_file_that_loses_more_than_it_may_is_refused(restored, model, onnx_file, tmp_path):
    with pytest.raises(MaeError, match=r"int8 loses .* --max-drop -200, .* --precision float32 keeps them"):
        lower(restored, model, onnx_file, tmp_path / "int8.onnx", -200)


def test_a_loss_of_a_few_samples_is_said_to_be_what_chance_may_give():
    metric = Metric(name="top1", label="top-1", value=0.9, unit="share")
    exact = Evaluation(split="val", num_samples=60, one="picture", many="pictures", metrics=(metric,))
    assert lowered._in_samples(exact, 100 / 60) == " (1 of 60 pictures, no more than chance may give)"
    assert lowered._in_samples(exact, 1000 / 60) == ""
    assert lowered._in_samples(exact.model_copy(update={"num_samples": 59}), 2.0) == ""  # no count of samples


@pytest.mark.parametrize(
    ("metric", "after", "points"),
    [
        (Metric(name="top1", label="top-1", value=0.9, unit="share"), 0.88, 2),
        (Metric(name="mae", label="error", value=4.0, better="lower"), 5.0, 25),
    ],
)
def test_points_are_of_shares_and_per_cent_of_errors(metric, after, points):
    assert lowered.points_lost(metric, metric.model_copy(update={"value": after})) == pytest.approx(points)


def test_a_network_without_blocks_has_nothing_to_lower(onnx_file, tmp_path):
    bare = onnx.load(onnx_file)
    for node in bare.graph.node:
        node.op_type = "Identity" if node.op_type == "LayerNormalization" else node.op_type
    onnx.save(bare, tmp_path / "bare.onnx")
    with pytest.raises(SpecError, match="no matrix products between layer norms"):
        registry().export("onnx")().lower(tmp_path / "bare.onnx", tmp_path / "out.onnx", "int8")


def test_precisions_that_a_format_does_not_hold_are_refused_in_a_sentence(mae, finetuned, tmp_path):
    for precision, name in (("bf16", "onnx"), ("int8", "safetensors")):
        outcome = mae("export", finetuned, "--format", name, "--precision", precision, "--out", tmp_path / "x")
        assert outcome.exit_code == 2
        assert f"--precision {precision} is not for --format {name}, which is written in float32" in outcome.stderr


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_a_folder_for_a_small_machine_runs_without_mae_and_torch(
    finetuned, pictures, onnx_file, tmp_path, monkeypatch, mae
):
    plugin = registry().export("onnx")
    monkeypatch.setattr(plugin, "write", lambda self, model, path: shutil.copyfile(onnx_file, path))
    monkeypatch.setattr(lowered, "points_lost", lambda onnx_file, lowered: 0.0)
    outcome = mae("export", finetuned, "--edge", tmp_path / "edge", "--samples", 1)
    assert outcome.exit_code == 0, outcome.stderr
    assert sorted(path.name for path in (tmp_path / "edge").iterdir()) == EDGE
    assert "exists already" in mae("export", finetuned, "--edge", tmp_path / "edge").stderr
    program = [sys.executable, "-c", ALONE, tmp_path / "edge/predict.py", pictures, "--out", tmp_path / "p.csv"]
    done = subprocess.run([*program, "--threads", "1"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert mae("infer", pictures, "--run", finetuned, "--out", tmp_path / "inferred").exit_code == 0
    card = (tmp_path / "edge/README.md").read_text()
    for told in ("python predict.py FOLDER", "| Precision | int8 |", "In int8 the top-1 accuracy", "uint8, 0 to 255"):
        assert told in card
    assert "less the mean" not in card
    assert "model-index" not in card  # figures of float32
    edge, ours = rows(tmp_path / "p.csv"), rows(tmp_path / "inferred/predictions.csv")
    assert edge.keys() == ours.keys()
    for path, row in edge.items():
        assert float(row["p_cat"]) == pytest.approx(float(ours[path]["p_cat"]), abs=0.02)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1"])
def test_the_program_reads_pictures_as_mae_does(mode, tmp_path, restored):
    values = np.random.default_rng(0).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    picture = Image.fromarray(values, "RGBA").convert(mode)
    picture.save(tmp_path / "a.png", exif=_turned())
    ours = Pictures().read(tmp_path / "a.png", restored.card)
    assert np.array_equal(predict.read_picture(tmp_path / "a.png", 3)[0], ours)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_the_program_scales_grey_of_16_bits_as_mae_does(suffix, tmp_path, restored):
    Image.fromarray(np.random.default_rng(0).integers(0, 65536, (9, 7), dtype=np.uint16)).save(tmp_path / f"a{suffix}")
    ours = Pictures().read(tmp_path / f"a{suffix}", restored.card)
    assert np.array_equal(predict.read_picture(tmp_path / f"a{suffix}", 3)[0], ours)
    with pytest.raises(ValueError, match="are no grey of 12 bits; save it with 8 bits"):
        predict.read_picture(tmp_path / f"a{suffix}", 3, bits=12)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_the_program_cuts_off_no_values(dtype, tmp_path):
    Image.fromarray(np.full((9, 7), 300, dtype)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"its pixels \([IF]\) are no grey of 16 bits"):
        predict.read_picture(tmp_path / "a.tif", 1)


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned clockwise
    return exif


def test_a_folder_for_a_small_machine_is_for_classifiers_of_pictures(segmented, tmp_path):
    with pytest.raises(SpecError, match="--edge is for classifiers of grey or colour pictures"):
        export_edge(segmented, registry(), Progress(), tmp_path / "edge", num_samples=1)
    assert list(tmp_path.iterdir()) == []
