"""Names that mean harm, of classes, files and columns: harmless on pages, in tables and on a terminal."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from conftest import TOY_MODEL, TOY_RUN
from write_data import noise, write_picture
from write_volumes import RAS_3MM, scan

from maecli.storage.tables import cell_text
from maecli.text import printable

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_charts")]
NAMES = ("<img src=x onerror=alert(1)>", "=1+1", "[red]@SUM(A1)\x1b[31m", "-a\nmae: all is well")
SHORT = ("--device", "cpu", "--epochs", "1", "--workers", "0")


class Page(HTMLParser):
    """Whatever a page has that runs, loads or leads elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [tag] if tag in ("script", "iframe", "object", "embed", "b") else []
        for name, value in attrs:
            if name.startswith("on") or (name == "src" and not (value or "").startswith("data:")):
                self.found.append(f"{tag} {name}={value}")
            if name == "href" and re.match(r"\s*(javascript|data|vbscript):", value or "", re.IGNORECASE):
                self.found.append(f"{tag} {name}={value}")


def check(mae, out: Path, *args: object) -> None:
    """Call `mae` and look at what it printed, and at the pages and tables below a folder."""
    outcome = mae(*args)
    assert outcome.exit_code == 0, outcome.stderr
    for text in (outcome.stdout, outcome.stderr):
        assert printable(text) == text
        assert not re.search(r"(?m)^mae: all is well", text)
    for file in out.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        assert printable(text) == text
        assert Page(text).found == [], file
    for file in out.rglob("*.csv"):
        for line in file.read_text(encoding="utf-8").splitlines():
            begin = line.removeprefix('"')
            assert cell_text(begin) == begin or begin.endswith('"'), (file, line)


def test_pictures(tmp_path, mae):
    for number, label in enumerate(NAMES):
        for i in range(6):
            name = f"={i}!A0<b>\n\x1b[2J[bold].png" if i % 2 else f"+{i}.png"
            write_picture(tmp_path / "in" / label / name, noise(6 * number + i, 8, 8, 3))
    data = ("--dataset", "folder", "--root", tmp_path / "in")
    run, out = tmp_path / "run", tmp_path / "out"
    check(mae, run, "finetune", "--task", "classify", *TOY_MODEL, *TOY_RUN, *SHORT, *data, "--out", run)
    check(mae, out, "infer", tmp_path / "in", "--run", run, "--out", out, "--workers", 0)
    check(mae, tmp_path / "eda", "eda", *data, "--out", tmp_path / "eda")


def test_a_table(tmp_path, mae):
    rng = np.random.default_rng(0)
    rows = [[f"{x:.2f}", f"{y:.2f}", NAMES[i % 4]] for i, (x, y) in enumerate(rng.normal(size=(48, 2)))]
    names = ["=cmd|' /C calc'!A0", "<script>\n\x1b[2J", "@class[red]"]
    quoted = (",".join(f'"{cell}"' for cell in row) for row in [names, *rows])
    table = tmp_path / "=in<b>.csv"
    table.write_text("\n".join(quoted), encoding="utf-8")
    run, out = tmp_path / "run", tmp_path / "out"
    data = ("--dataset", "table", "--root", table, "--set", f"dataset.target='{names[2]}'")
    few = ("--set", "train.max_steps=2", "--set", "train.warmup_epochs=0", "--set", "trackers=[jsonl]")
    check(mae, run, "finetune", "--task", "classify", *data, *SHORT, *few, "--out", run)
    check(mae, out, "infer", table, "--run", run, "--out", out, "--workers", 0)
    check(mae, tmp_path / "eda", "eda", *data, "--out", tmp_path / "eda")


def test_volumes(tmp_path, mae):
    for i in range(6):
        values, mask = scan(i, (8, 8, 8))
        for folder, voxels in (("images", values), ("labels", mask)):
            path = tmp_path / "in" / folder / f"=v<b>\n\x1b[2J{i}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(voxels, RAS_3MM), path)
    (tmp_path / "in/classes.txt").write_text("background\n<img src=x onerror=alert(1)>\n=1+1[red]\x1b[31m\n")
    run, out = tmp_path / "run", tmp_path / "out"
    data = ("--dataset", "volumes", "--root", tmp_path / "in", "--img-size", "8", "--patch-size", "4")
    check(mae, run, "finetune", "--task", "segment", *TOY_MODEL, *TOY_RUN, *SHORT, *data, "--out", run)
    check(mae, out, "infer", tmp_path / "in/images", "--run", run, "--out", out, "--workers", 0)
    check(mae, tmp_path / "eda", "eda", *data[:4], "--out", tmp_path / "eda")


def test_a_sweep(tmp_path, mae):
    for number, label in enumerate(NAMES):
        for i in range(4):
            write_picture(tmp_path / "in" / label / f"={i}!A0<b>\n\x1b[2J[bold].png", noise(4 * number + i, 8, 8, 3))
    model = {"name": "vit", "img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 1, "num_heads": 1}
    train = {"max_steps": 1, "batch_size": 8, "warmup_epochs": 0}
    settings = {
        "dataset": {"name": "folder", "root": str(tmp_path / "in")},
        "task": {"name": "classify"},
        "model": model,
        "train": train,
        "trackers": ["jsonl"],
        "data": {"workers": 0},
        "device": "cpu",
        "precision": "float32",
    }
    grid = {f"={NAMES[0]}\x1b[2J": {"".join(NAMES[1:]): {"train.weight_decay": 0.1}}}
    file, out = tmp_path / "=sweep<b>\n[red]\x1b[31m.yaml", tmp_path / "=out<b>\n[red]\x1b[31m"
    sweep = {"pretrain": False, "finetune": settings, "grid": grid}
    file.write_text(yaml.safe_dump({"sweep": sweep}), encoding="utf-8")
    check(mae, out, "sweep", "--config", file, "--out", out)
    check(mae, out, "runs", out)
