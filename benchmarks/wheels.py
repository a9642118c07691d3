"""Wheels in an empty environment: what a stranger gets who installs mae, packages of plugins, and broken ones.

    uv run python benchmarks/wheels.py             about two minutes on two cores
    uv run python benchmarks/wheels.py --keep DIR  leaves the environment and the runs there

Builds our wheel and those of `plugins/packages`, and installs them, with the versions of all else that this environment
has, into a new one. There the packages' own tests have to pass, and a package is made by `mae plugins new`, built,
installed and tested by its own tests. Beside it come one package whose module fails and two that claim one name.
Listing, pretraining, fine-tuning, evaluating and predicting have to work with the good ones, the bad ones have to be
named in one line each, and nothing of them may be left when they are uninstalled. With twenty more packages
`mae --help` has to answer in 0.7 s. Stops at the first step that goes another way, with exit code 1.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
QUICK = (
    *("--device", "cpu", "--precision", "float32", "--workers", "0", "--batch-size", "8", "--set", "train.max_steps=2"),
    *("--set", "trackers=[jsonl]", "--model", "vit", "--img-size", "16", "--patch-size", "4"),
    *("--set", "model.embed_dim=16", "--set", "model.depth=1", "--set", "model.num_heads=2"),
)
MANY, TIMES = 20, 10
HELP_SECONDS = 0.7
NOTHING = """
from maecli import api

class Nothing(api.Dataset):
    \"\"\"No data.\"\"\"

    name = "twice"

    def card(self, fields=("image",)):
        raise api.DataError("there are none")

    def split(self, name, fields=("image",)):
        raise api.DataError("there are none")

@api.hookimpl
def mae_datasets():
    return [Nothing]
"""


class Failed(Exception):
    """A step went another way than it has to."""


def write_wheel(folder: Path, package: str, entry_points: Mapping[str, str], text: str) -> Path:
    """Write the wheel of a package with one module, as a build back end would, and return its path."""
    module, info = package.replace("-", "_"), f"{package.replace('-', '_')}-0.1.dist-info"
    points = "\n".join(["[mae]", *(f"{name} = {target}" for name, target in entry_points.items()), ""])
    files = {
        f"{module}.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: wheels\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": points,
    }
    path = folder / f"{module}-0.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        rows = []
        for name, content in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
            rows.append(f"{name},sha256={digest},{len(content.encode())}\n")
            wheel.writestr(name, content)
        wheel.writestr(f"{info}/RECORD", "".join([*rows, f"{info}/RECORD,,\n"]))
    return path


class Stranger:
    """A new environment, and a folder in which its `mae` runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wheels, self.environment = folder, folder / "wheels", folder / "environment"
        self.python = self.environment / ("Scripts" if os.name == "nt" else "bin") / "python"
        self.wheels.mkdir()
        self.settings = {name: value for name, value in os.environ.items() if not name.startswith(("MAE_", "PYTHON"))}
        self.settings |= {"MAE_CONFIG": str(folder / "config"), "MAE_DATA": str(folder / "data"), "NO_COLOR": "1"}

    def call(self, *command: object, code: int = 0, quiet: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder; raises Failed when it ends with another exit code."""
        words = [str(word) for word in command]
        settings = {name: value for name, value in self.settings.items() if name != "VIRTUAL_ENV"}
        done = subprocess.run(words, cwd=self.folder, env=settings, capture_output=True, text=True, check=False)
        if done.returncode != code:
            raise Failed(f"{' '.join(words)}\nexit code {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}")
        if not quiet:
            print(done.stdout, end="")
        return done

    def uv(self, *command: object) -> None:
        """Run uv with what its cache has; with the package index where that is not enough."""
        try:
            self.call("uv", *command, "--offline")
        except Failed:
            self.call("uv", *command)

    def build(self, project: Path) -> Path:
        """Build the wheel of a project, and return it."""
        before = set(self.wheels.glob("*.whl"))
        copy = self.folder / "build" / project.name  # building leaves files behind
        shutil.copytree(project, copy, ignore=lambda folder, names: _left_out(Path(folder) == project, names))
        self.uv("build", "--wheel", "--out-dir", self.wheels, copy)
        [wheel] = set(self.wheels.glob("*.whl")) - before
        return wheel

    def install(self, *what: object) -> None:
        self.uv("pip", "install", "--python", self.python, "--constraints", self.constraints(), *what)

    def constraints(self) -> Path:
        """Return a file with the versions that this environment has, which uv need not fetch again."""
        path = self.folder / "constraints.txt"
        if not path.exists():
            frozen = self.call("uv", "pip", "freeze", "--python", sys.executable, "--exclude-editable").stdout
            path.write_text(frozen)
        return path

    def mae(self, *command: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        return self.call(self.python, "-m", "maecli", *command, code=code)

    def pytest(self, *folders: Path) -> str:
        """Run tests, which have to pass; return what pytest says of them."""
        ours = ("-c", os.devnull, "-p", "no:cacheprovider")  # no settings of this project
        passed = self.call(self.python, "-m", "pytest", "-q", *ours, *folders)
        return str(passed.stdout.strip().splitlines()[-1])

    def listed(self) -> dict[str, dict[str, Any]]:
        """Return what `mae plugins list` says of the things of other packages, by package."""
        told = json.loads(self.mae("plugins", "list", "--json").stdout)["plugins"]
        return {
            f"{each['package']}:{each['kind']}.{each['name']}": each for each in told if each["package"] != "maecli"
        }


def _left_out(at_the_top: bool, names: Sequence[str]) -> set[str]:
    """Return which names are no part of a project's sources, but what tools and runs put beside them."""
    beside = {"build", "data", "dist", "runs", "tests"} if at_the_top else set()
    return {name for name in names if name in beside | {"__pycache__"} or name.endswith(".egg-info") or name[0] == "."}


def expect(right: bool, sentence: str) -> None:
    if not right:
        raise Failed(sentence)


def write_shards(root: Path) -> None:
    """Write a WebDataset in two shards: two classes of noise, 64 × 64."""
    random = np.random.default_rng(0)
    root.mkdir(parents=True)
    for part in ("train", "test"):
        with tarfile.open(root / f"noise-{part}-000000.tar", "w") as shard:
            for i in range(40 if part == "train" else 6):
                picture = io.BytesIO()
                Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(picture, "JPEG")
                for extension, data in (("jpg", picture.getvalue()), ("cls", str(i % 2).encode())):
                    member = tarfile.TarInfo(f"{i:06d}.{extension}")
                    member.size = len(data)
                    shard.addfile(member, io.BytesIO(data))


def good_and_new(stranger: Stranger) -> None:
    """Install ours, the two packages and a new one, and use them."""
    wheels = [stranger.build(ROOT), *(stranger.build(path.parent) for path in packages())]
    step("wheels", ", ".join(wheel.name for wheel in wheels))
    stranger.uv("venv", "--python", sys.executable, stranger.environment)
    stranger.install(*wheels, "pytest")
    step("environment", str(stranger.environment))
    step("the packages' own tests", stranger.pytest(*(path.parent / "tests" for path in packages())))

    stranger.mae("plugins", "new", "mae-fresh", "--dataset", "fresh", "--task", "glow")
    stranger.install(stranger.build(stranger.folder / "mae-fresh"))
    where = stranger.call(stranger.python, "-c", "import maecli, mae_fresh; print(maecli.__file__, mae_fresh.__file__)")
    expect(where.stdout.count(str(stranger.environment)) == 2, f"not the wheels are imported: {where.stdout}")
    step("the new package's own tests", stranger.pytest(stranger.folder / "mae-fresh/tests"))
    for name in ("dataset.fresh", "task.glow"):
        stranger.mae("plugins", "check", name)
    statuses = {name: each["status"] for name, each in stranger.listed().items()}
    expect(set(statuses.values()) == {"ok"} and len(statuses) == 6, f"mae plugins list: {statuses}")
    step("mae plugins list", f"{len(statuses)} things of 3 packages, all ok")


def run_everything(stranger: Stranger) -> None:
    """Pretrain, fine-tune, evaluate and predict with data sets and tasks of the packages."""
    root = stranger.folder / "data/shards"
    write_shards(root)
    for i in range(6):
        Image.new("RGB", (64, 64), (40 * i, 0, 0)).save(stranger.folder / f"data/new-{i}.png")
    finetune = ("finetune", *QUICK, "--init", "runs/pretrain-webdataset", "--set", "train.layer_decay=1")
    stranger.mae("pretrain", "--dataset", "fresh", "--device", "cpu", "--set", "train.max_steps=2")
    stranger.mae("finetune", "--dataset", "fresh", "--device", "cpu", "--set", "train.max_steps=2")
    stranger.mae("pretrain", "--dataset", "webdataset", "--root", root, *QUICK)
    stranger.mae(*finetune, "--task", "denoise")
    told = stranger.mae("eval", "runs/finetune-webdataset-denoise", "--json")
    metrics = [metric["name"] for metric in json.loads(told.stdout)["metrics"]]
    expect(metrics == ["psnr", "mse"], f"mae eval measured {metrics}")
    new = sorted((stranger.folder / "data").glob("new-*.png"))
    stranger.mae("infer", *new, "--run", "runs/finetune-webdataset-denoise", "--out", "denoised")
    made = list((stranger.folder / "denoised").rglob("*.denoised.png"))
    expect(len(made) == 6, f"mae infer wrote {len(made)} pictures for 6")
    recorded = (stranger.folder / "runs/finetune-webdataset-denoise/environment.json").read_text()
    expect("mae-denoise" in recorded and "mae-webdataset" in recorded, "environment.json names no packages")
    step("pretrain, finetune, eval, infer", "two data sets, two tasks")


def many(stranger: Stranger) -> None:
    """Time `mae --help` beside many packages, and take them away again."""
    names = [f"mae-many{number}" for number in range(MANY)]
    stranger.install(*(_many_wheel(stranger, name) for name in names))
    seconds = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        stranger.mae("--help")
        seconds.append(time.perf_counter() - begin)
    expect(min(seconds) < HELP_SECONDS, f"mae --help takes {min(seconds):.2f} s with {MANY} packages")
    step(f"mae --help with {MANY} packages", f"{min(seconds):.2f} s, the least of {TIMES} times")
    stranger.call("uv", "pip", "uninstall", "--python", stranger.python, *names)


def _many_wheel(stranger: Stranger, name: str) -> Path:
    module = name.replace("-", "_")
    points = {f"{kind}.{module}": module for kind in ("dataset", "task")}
    return write_wheel(stranger.wheels, name, points, "raise RuntimeError('imported')")


def broken_and_gone(stranger: Stranger) -> None:
    """Add packages that fail or clash, then take everything away again."""
    before = installed(stranger)
    bad = {
        "mae-broken": ({"dataset.shattered": "mae_broken"}, "raise RuntimeError('no such device')\n"),
        "mae-one": ({"dataset.twice": "mae_one"}, NOTHING),
        "mae-two": ({"dataset.twice": "mae_two"}, NOTHING),
    }
    stranger.install(*(write_wheel(stranger.wheels, name, *parts) for name, parts in bad.items()))
    found = stranger.listed()
    reasons = {name: each["reason"] for name, each in found.items() if each["status"] != "ok"}
    expect(
        set(reasons) == {"mae-broken:dataset.shattered", "mae-one:dataset.twice", "mae-two:dataset.twice"},
        f"mae plugins list refuses {reasons}",
    )
    expect("no such device" in reasons["mae-broken:dataset.shattered"], f"no cause is named: {reasons}")
    for name, reason in reasons.items():
        expect("\n" not in reason, f"{name} is told in more than one line: {reason}")
        print(f"    {found[name]['package']} {found[name]['version']}: {reason}")
    told = stranger.mae("pretrain", "--dataset", "shattered", code=4).stderr.strip().splitlines()
    expect(any("mae-broken 0.1" in line for line in told), f"mae pretrain --dataset shattered: {told}")
    stranger.mae("pretrain", "--dataset", "fresh", *QUICK, "--out", "runs/beside-the-broken")
    step("a broken and two clashing packages", "named, the others work")

    stranger.call("uv", "pip", "uninstall", "--python", stranger.python, *bad)
    expect(installed(stranger) == before, "uninstalling leaves files of the broken packages behind")
    expect(not {name.split(":")[0] for name in stranger.listed()} & set(bad), "uninstalled packages are still listed")
    stranger.call("uv", "pip", "uninstall", "--python", stranger.python, "mae-fresh")
    told = stranger.mae("pretrain", "--dataset", "fresh", code=2).stderr
    expect("unknown dataset 'fresh'" in told, f"mae pretrain --dataset fresh, uninstalled: {told}")
    told = stranger.mae("eval", "runs/pretrain-fresh", code=4).stderr
    expect("mae-fresh" in told, f"a run of an uninstalled package does not name it: {told}")
    step("uninstalled", "no trace is left; a run that needs a package names it")


def installed(stranger: Stranger) -> set[str]:
    """Return the files that packages and `mae` keep, less what Python compiles."""
    places = (stranger.environment, stranger.folder / "config")
    files = (file for place in places for file in place.rglob("*") if "__pycache__" not in file.parts)
    return {str(file) for file in files if file.is_file()}


def packages() -> Sequence[Path]:
    return sorted((ROOT / "plugins/packages").glob("*/pyproject.toml"))


_began = time.monotonic()


def step(what: str, told: str) -> None:
    print(f"{time.monotonic() - _began:5.0f} s  {what}: {told}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--keep", type=Path, help="a new folder for the environment and the runs")
    keep = parser.parse_args().keep
    if shutil.which("uv") is None:
        print("this needs uv: python -m pip install uv", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = (keep or Path(temporary) / "stranger").resolve()
        folder.mkdir(parents=True)
        stranger = Stranger(folder)
        try:
            good_and_new(stranger)
            run_everything(stranger)
            many(stranger)
            broken_and_gone(stranger)
        except Failed as failed:
            print(failed, file=sys.stderr)
            return 1
    step("done", "everything went as it has to")
    return 0


if __name__ == "__main__":
    sys.exit(main())
