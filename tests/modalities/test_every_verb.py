"""Every verb, through the command line, on series, volumes and the rows of a table that a stranger's package reads."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from conftest import TOY_DECODER, TOY_RUN, Outcome, call
from grids import CELLS, CHANNELS
from installed import installed
from resumed_data import weights
from write_grids import blob, size_of, wave, write_blobs, write_houses, write_waves
from written import csv_rows

import maecli
from maecli.training.loop.trainer import Trainer

WIDTH = 16
TOY = (
    *("--model", "vit", "--set", f"model.embed_dim={WIDTH}", "--set", "model.depth=2", "--set", "model.num_heads=2"),
    *("--set", "model.mlp_ratio=2", *TOY_RUN, "--base-lr", "0.1"),
    *("--set", "checkpoint.every_epochs=100", "--set", "eval_every_epochs=100"),
)
SHORT = ("--epochs", "4")


@dataclass(frozen=True)
class Kind:
    """A data set, the model's size for it, and what is known of its files."""

    name: str
    unit: str
    size: tuple[str, ...]
    epochs: int
    write: Callable[[Path], None]
    source: str
    num_parts: int
    """Samples of all its files."""
    num_test: int

    def asked(self, root: Path) -> tuple[object, ...]:
        """Return the arguments that name the data and the model."""
        return (*TOY, *self.size, "--dataset", self.name, "--root", root)


KINDS = (
    Kind(
        *("waves", "windows", ("--img-size", "16", "--patch-size", "4"), 60, write_waves, "waves"),
        num_parts=2 * sum(-(-(17 + i) // 16) for i in range(24)),
        num_test=8,
    ),
    Kind("blobs", "volumes", ("--img-size", "8", "--patch-size", "4"), 60, write_blobs, "blobs", 36, 6),
    Kind("houses", "rows", ("--patch-size", "1"), 20, write_houses, "houses.csv", 180, 30),
)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture(scope="module", autouse=True)
def _package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Announce the data sets of `grids` as a package would."""
    names = {f"dataset.{kind.name}": "grids" for kind in KINDS}
    with installed(tmp_path_factory.mktemp("site"), "mae-grids", names):
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the data. Not to be changed."""
    folder = tmp_path_factory.mktemp("grids")
    for each in KINDS:
        each.write(folder)
    return folder


def done(*args: object) -> Outcome:
    outcome = call(*args)
    assert outcome.exit_code == 0, outcome.stderr
    return outcome


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory, kind: Kind, root: Path) -> Path:
    """Return a pretraining run that learnt something. Not to be changed."""
    out = tmp_path_factory.mktemp("runs") / f"pretrain-{kind.name}"
    how = (*TOY_DECODER, "--mask-ratio", "0.5", "--epochs", kind.epochs)
    done("pretrain", *kind.asked(root), *how, "--out", out)
    return out


@pytest.fixture(scope="module")
def classifier(pretrained: Path, kind: Kind, root: Path) -> Path:
    """Return a classifier that began with the pretrained encoder. Not to be changed."""
    out = pretrained.with_name(f"finetune-{kind.name}")
    outcome = done("finetune", "--task", "classify", *kind.asked(root), "--init", pretrained, "--out", out)
    assert "30 tensors matched, 0 adapted, 0 new" in outcome.stderr
    return out


def first_metric(run: Path, evaluation: str) -> tuple[float, dict[str, float]]:
    """Return the first metric of an evaluation, and its baselines."""
    metric = json.loads((run / "evaluation" / f"{evaluation}.json").read_text())["metrics"][0]
    return metric["value"], metric["baselines"]


def test_pretraining_beats_the_mean_of_the_samples_and_that_of_each_patch(pretrained, kind):
    error, baselines = first_metric(pretrained, "val")
    assert set(baselines) == {"mean patch", f"mean {kind.unit.removesuffix('s')}"}
    assert error < min(baselines.values())


def test_a_finetuned_encoder_tells_the_classes_apart(classifier):
    accuracy, baselines = first_metric(classifier, "val")
    trivial = [value for name, value in baselines.items() if name.startswith(("majority", "chance"))]
    assert accuracy > 0.8 > max(trivial)


@pytest.mark.usefixtures("without_charts")
def test_a_head_learns_on_a_frozen_encoder(pretrained, kind, root, tmp_path):
    how = ("--init", pretrained, "--freeze", "--epochs", kind.epochs, "--set", "data.loading=streamed")
    done("finetune", "--task", "classify", *kind.asked(root), *how, "--out", tmp_path / "frozen")
    accuracy, baselines = first_metric(tmp_path / "frozen", "val")
    assert accuracy > max(baselines.values())
    before, after = weights(pretrained), weights(tmp_path / "frozen")
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("encoder."))


def test_evaluation_measures_all_test_samples(pretrained, classifier, kind):
    for run in (pretrained, classifier):
        report = done("eval", run, "--json").json
        assert (report["split"], report["num_samples"]) == ("test", kind.num_test)
        assert (run / "report.html").exists()


@pytest.mark.usefixtures("without_charts")
@pytest.mark.parametrize("probe", ["knn", "linear"])
def test_probes_of_the_pretrained_encoder(pretrained, kind, probe):
    done("eval", pretrained, "--probe", probe)
    accuracy, baselines = first_metric(pretrained, f"probe-{probe}-test")
    assert accuracy > baselines["chance"]
    assert "random encoder" in baselines


def known_class(row: dict[str, str], table: list[dict[str, str]]) -> str:
    """Return the class of a predicted sample, by the folder of its file or by its row in the table."""
    folder, _, name = row["path"].rpartition("/")
    return folder or table[int(name.partition("#")[2]) - 1]["kind"]


def test_predictions_of_all_files_are_right_more_often_than_the_largest_class(classifier, kind, root, tmp_path):
    out = tmp_path / "out"
    report = done("infer", root / kind.source, "--run", classifier, "--out", out, "--json").json
    assert (report["predicted"], report["skipped"]) == (kind.num_parts, {})
    rows, table = csv_rows(out / "predictions.csv"), csv_rows(root / "houses.csv")
    assert len({row["path"] for row in rows}) == kind.num_parts
    right = [row["class"] == known_class(row, table) for row in rows]
    assert np.mean(right) > 0.8


def test_reconstructions_have_the_form_of_their_files(pretrained, kind, root, tmp_path):
    out = tmp_path / "out"
    outcome = done("infer", root / kind.source, "--run", pretrained, "--out", out)
    assert f"{kind.unit}: {kind.num_parts} of {kind.num_parts} " in outcome.stderr
    assert (out / "reconstructions.png").read_bytes().startswith(b"\x89PNG")
    files = {path.relative_to(out / "files").as_posix(): path for path in (out / "files").rglob("*.*")}
    assert len(files) == kind.num_parts
    if kind.name == "blobs":
        for key in ("cube/00.nii.gz", "rod/01.nii.gz"):
            source, made = nibabel.load(root / "blobs" / key), nibabel.load(files[key])
            np.testing.assert_allclose(corners(made), corners(source), atol=1e-4)
            assert -1200 < np.median(made.get_fdata()) < 0
        return
    header, length, low, high = (CHANNELS, 16, -150, 350) if kind.name == "waves" else (CELLS, 1, -11, 11)
    for path in files.values():
        lines = csv_rows(path)
        assert tuple(lines[0])[-len(header) :] == header
        assert len(lines) <= length
        numbers = [float(cell) for line in lines for cell in (line[name] for name in header) if cell]
        assert all(low < number < high for number in numbers)


def corners(image: nibabel.Nifti1Image) -> np.ndarray:
    """Return where the ends of a volume lie in space, sorted, whatever the order of its axes."""
    ends = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * image.shape - 0.5
    return np.unique(np.round(nibabel.affines.apply_affine(image.affine, ends), 3), axis=0)


def missing_in(kind: Kind) -> np.ndarray:
    """Return samples of one file, a third of whose cells are missing: (C, T), (D, H, W) or rows (N, F)."""
    if kind.name == "waves":
        values = wave(5, 40, 4.0)
    elif kind.name == "blobs":
        values = blob(5, size_of(5), rod=True)[0].astype(np.float32)
    else:
        values = np.random.default_rng(5).uniform(2, 8, (9, len(CELLS))).astype(np.float32)
    gaps = np.random.default_rng(6).random(values.shape) < 0.3
    values[gaps] = np.nan
    return values


def test_whatever_bits_a_missing_cell_has_the_output_is_the_same(classifier, kind, tmp_path):
    values = missing_in(kind)
    gaps = np.isnan(values)
    for name, bits in (("one", 0x7FC00001), ("two", 0xFFC12345)):
        with_bits = np.where(gaps, np.uint32(bits), values.view(np.uint32)).view(np.float32)
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", with_bits)
        done("infer", tmp_path / name, "--run", classifier, "--out", tmp_path / f"{name}-out")
        done("embed", tmp_path / name, "--run", classifier, "--out", tmp_path / f"{name}.npy")
    assert (tmp_path / "one/a.npy").read_bytes() != (tmp_path / "two/a.npy").read_bytes()
    for output in ("{}-out/predictions.csv", "{}.npy"):
        first, second = ((tmp_path / output.format(name)).read_bytes() for name in ("one", "two"))
        assert first == second
    found = csv_rows(tmp_path / "one-out/predictions.csv")
    assert len(found) == {"waves": 3, "blobs": 1, "houses": 9}[kind.name]


@pytest.mark.slow
@pytest.mark.usefixtures("without_charts")
@pytest.mark.parametrize("name", ["waves", "houses"])
def test_numbers_under_invalid_cells_change_no_bit_of_a_run(root, tmp_path, name):
    kind = next(kind for kind in KINDS if kind.name == name)
    for under in ("nan", "-1e6"):
        out = tmp_path / under
        told = () if under == "nan" else ("--set", f"dataset.under={under}")
        asked = (*kind.asked(root), *SHORT, *told)
        done("pretrain", *asked, *TOY_DECODER, "--out", out / "pretrained")
        done("finetune", "--task", "classify", *asked, "--init", out / "pretrained", "--out", out / "finetuned")
        for run in ("pretrained", "finetuned"):
            done("eval", out / run)
    for run in ("pretrained", "finetuned"):
        first, second = (tmp_path / under / run for under in ("nan", "-1e6"))
        one, two = weights(first), weights(second)
        assert all(torch.equal(one[name], two[name]) for name in one)
        one, two = (json.loads((run / "evaluation/test.json").read_text()) for run in (first, second))
        assert one["metrics"] == two["metrics"]


def test_features_of_files_are_those_of_the_data_set_and_of_load_encoder(pretrained, kind, root, tmp_path):
    embed = ("embed", "--run", pretrained, "--format", "npy", "--precision", "float32")
    done(*embed, root / kind.source, "--out", tmp_path / "files.npy")
    done(*embed, "--dataset", kind.name, "--root", root, "--split", "test", "--out", tmp_path / "set.npy")
    files, samples = np.load(tmp_path / "files.npy"), np.load(tmp_path / "set.npy")
    assert (files.shape, samples.shape) == ((kind.num_parts, WIDTH), (kind.num_test, WIDTH))
    keys = [row["path"] for row in csv_rows(tmp_path / "files.npy.csv")]
    rows = csv_rows(tmp_path / "set.npy.csv")
    assert all(row["label"] for row in rows)
    shared = [(keys.index(row["path"]), i) for i, row in enumerate(rows) if row["path"] in keys]
    assert len(shared) == (0 if kind.name == "waves" else kind.num_test)  # of which a window is cut out, not several
    for of_file, of_set in shared:
        np.testing.assert_allclose(files[of_file], samples[of_set], atol=1e-5)

    encoder = maecli.load_encoder(pretrained)
    given, expected = one_sample(kind, root, keys, files)
    with torch.no_grad():
        found = encoder(encoder.preprocess(given))[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def one_sample(kind: Kind, root: Path, keys: list[str], features: np.ndarray) -> tuple[object, np.ndarray]:
    """Return a sample as `load_encoder` takes it, and its features among those of all files."""
    if kind.name == "blobs":
        return root / "blobs" / keys[0], features[0]
    if kind.name == "waves":
        rows = csv_rows(root / "waves/fast/05.csv")[:16]
        values = np.array([[float(row[name] or "nan") for row in rows] for name in CHANNELS], np.float32)
        return values, features[keys.index("fast/05.csv#0")]
    row = csv_rows(root / "houses.csv")[7]
    values = np.array([[float(row[name] or "nan") for name in CELLS]], np.float32)
    return values, features[keys.index("houses.csv#8")]


def test_the_survey_counts_every_sample(kind, root, tmp_path):
    report = done("eda", *("--dataset", kind.name, "--root", root, "--out", tmp_path / "eda", "--json")).json
    assert report
    found = json.loads((tmp_path / "eda/eda.json").read_text())
    assert found["card"]["modality"] == {"waves": "series", "blobs": "volumes", "houses": "tables"}[kind.name]
    assert found["pictures"]["test"]["num"] == kind.num_test
    assert (tmp_path / "eda/report.html").exists()


def test_a_dry_run_says_what_a_run_would_take_and_writes_nothing(kind, root, tmp_path):
    report = done("pretrain", *kind.asked(root), *TOY_DECODER, "--dry-run", "--json", "--out", tmp_path / "out").json
    assert report["seconds_per_step"] > 0
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("without_charts")
def test_a_stopped_run_goes_on_to_the_same_bits(kind, root, tmp_path, monkeypatch):
    """It reads the samples with a worker, and changes them by chance where the kind knows how."""
    how = (*SHORT, "--set", "data.loading=streamed", "--workers", "1")
    how = how if kind.name == "houses" else (*how, "--set", "augment.flip=true", "--set", "augment.crop=random-resized")
    asked = ("pretrain", *kind.asked(root), *TOY_DECODER, *how)
    outcome = done(*asked, "--out", tmp_path / "whole")
    assert f" {kind.unit}/s " in outcome.stderr
    step = Trainer.train_step

    def stopping(self: Trainer, batch: object) -> None:
        step(self, batch)
        if self.step == 5:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Trainer, "train_step", stopping)
    stopped = call(*asked, "--out", tmp_path / "stopped")
    assert stopped.exit_code == 130, stopped.stderr
    monkeypatch.undo()
    outcome = done("pretrain", "--resume", "--out", tmp_path / "stopped")
    assert "resuming" in outcome.stderr
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "stopped")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
