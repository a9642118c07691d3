"""The packages under `plugins/packages` are strangers that happen to live here."""

from __future__ import annotations

import ast
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from fake_packages import install, run_mae, run_pytest
from PIL import Image
from write_data import encoded, noise, write_pictures

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in (ROOT / "plugins/packages").glob("*/pyproject.toml"))
ENTRY_POINTS = {
    "mae-denoise": {"task.denoise"},
    "mae-webdataset": {"dataset.webdataset", "recipes"},
}
TOY = (
    *("--model", "vit", "--img-size", "16", "--patch-size", "4", "--device", "cpu", "--workers", "0"),
    *("--set", "model.embed_dim=16", "--set", "model.depth=1", "--set", "model.num_heads=2"),
    *("--set", "train.max_steps=2", "--batch-size", "4", "--set", "trackers=[jsonl]"),
)

each_package = pytest.mark.parametrize("project", PACKAGES, ids=lambda project: project.name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which all of the packages are installed."""
    site = tmp_path_factory.mktemp("site")
    for project in PACKAGES:
        install(project, site)
    return site


def about(project: Path) -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


@pytest.mark.slow
def test_their_own_tests_pass(site):
    told = run_pytest(site, *(project / "tests" for project in PACKAGES))
    assert re.search(r"^\d+ passed", told, re.MULTILINE)


@each_package
def test_it_adds_what_it_says(project):
    declared = about(project)["entry-points"]["mae"]
    assert set(declared) == ENTRY_POINTS[about(project)["name"]]
    for module in declared.values():
        path = project / "src" / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file()


@each_package
def test_it_imports_nothing_of_us_but_the_api(project):
    names = set()
    for path in (project / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name for name in names if name.split(".")[0] in ("maecli", "maecli_plugins")}
    assert ours == {"maecli.api"}


@each_package
def test_it_is_a_whole_package(project):
    facts = about(project)
    assert facts["name"] == project.name
    assert facts["license"] == "MIT"
    assert (project / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert f"pip install maecli {project.name}" in (project / "README.md").read_text(encoding="utf-8")
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    major, minor, _ = ours.split(".")
    assert f"maecli>={major}.{minor},<{major}.{int(minor) + 2}" in facts["dependencies"]


@pytest.mark.slow
def test_our_wheel_holds_neither(tmp_path):
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for tree in ("maecli", "plugins"):
        shutil.copytree(ROOT / tree, tmp_path / tree, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "maecli_plugins/tasks/classify/task.py" in names
    assert [name for name in names if "packages" in name or "denoise" in name or "webdataset" in name] == []


def write_shards(root: Path) -> None:
    """Write a WebDataset: ten pictures for train and two for test, of two classes."""
    root.mkdir(parents=True)
    for split, num in (("train", 20), ("test", 2)):
        with tarfile.open(root / f"toys-{split}-000000.tar", "w") as shard:
            for i in range(num):
                picture = encoded(Image.fromarray(noise(i, 16, 16, 3)), "PNG")
                for extension, data in (("png", picture), ("cls", str(i % 2).encode())):
                    member = tarfile.TarInfo(f"{i:06d}.{extension}")
                    member.size = len(data)
                    shard.addfile(member, io.BytesIO(data))


@pytest.mark.slow
def test_they_work_with_every_verb(site, tmp_path):
    write_shards(tmp_path / "data")
    write_pictures(tmp_path / "new", 3, (16, 16))
    data = ("--dataset", "webdataset", "--root", "data")
    printed = run_mae(
        site,
        tmp_path,
        [
            ("pretrain", *data, *TOY),
            ("finetune", *data, "--task", "classify", "--init", "runs/pretrain-webdataset", *TOY),
            ("finetune", *data, "--task", "denoise", "--init", "runs/pretrain-webdataset", *TOY),
            ("eval", "runs/finetune-webdataset-denoise", "--json", "--device", "cpu"),
            ("infer", "new", "--task", "denoise", "--device", "cpu"),
        ],
    )
    [line] = [line for line in printed.splitlines() if line.startswith("{")]
    evaluation = json.loads(line)
    assert evaluation["num_samples"] == 2
    assert [metric["name"] for metric in evaluation["metrics"]] == ["psnr", "mse"]
    baselines = {"noisy picture", "mean of 3 pixels each way", "mean picture"}
    assert all(set(metric["baselines"]) == baselines for metric in evaluation["metrics"])
    out = tmp_path / "runs/infer-finetune-webdataset-denoise"
    assert sorted(path.name for path in (out / "files").iterdir()) == [f"00{i}.png.denoised.png" for i in range(3)]
    assert (out / "predictions.csv").read_text().splitlines()[0] == "path,removed_rms"
