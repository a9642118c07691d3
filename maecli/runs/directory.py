"""The run directory: everything that came out of a run, in one place.

spec.yaml  environment.json  summary.json  metrics.jsonl  checkpoints/  evaluation/  pictures/  report.html
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from maecli.errors import MaeError, SpecError, nearest
from maecli.results import Evaluation, Picture
from maecli.specs import SPECS
from maecli.storage.files import disk_errors, temporary_name, write_bytes, write_json, write_text
from maecli.training.checkpoint import MODEL, Checkpoint, CheckpointFolder

SPEC, SUMMARY = "spec.yaml", "summary.json"
POINTERS = ("last", "best")


def runs_dir() -> Path:
    """Return the folder that run directories go to: `MAE_RUNS`, else `./runs`."""
    return Path(os.environ.get("MAE_RUNS") or "runs").expanduser()


class RunDirectory:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = CheckpointFolder(path / "checkpoints")

    def __str__(self) -> str:
        return str(self.path)

    @property
    def is_run(self) -> bool:
        """Whether a run was started here: there is a spec, and it is one of ours."""
        try:
            spec = yaml.safe_load((self.path / SPEC).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            return False
        return isinstance(spec, dict) and spec.get("verb") in SPECS

    def check_free(self, overwrite: bool) -> None:
        """Raise SpecError when no new run may start here: the directory is not empty.

        With `overwrite` the run in it may be replaced; a folder that holds no run is never emptied.
        """
        if self.path.exists() and not self.path.is_dir():
            raise SpecError(f"{self.path} is a file; choose another --out")
        leftover = temporary_name(self.path / SPEC)
        if not self.path.is_dir() or all(entry == leftover for entry in self.path.iterdir()):
            return
        if not self.is_run:
            raise SpecError(f"{self.path} is not empty and holds no run of mae, so it stays; use another --out")
        if not overwrite:
            raise SpecError(
                f"run directory {self.path} is not empty; use --resume to go on, --overwrite to replace it, or "
                "another --out"
            )

    def start(self, spec: Mapping[str, Any], overwrite: bool) -> None:
        """Make the directory for a new run and write its spec; what `overwrite` replaces goes first.

        From the first moment on it is a run that can be resumed or overwritten, whenever the process is killed.
        Raises like `check_free`.
        """
        self.check_free(overwrite)
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for entry in self.path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                elif entry.name != SPEC:
                    entry.unlink()
        self.write_spec(spec)

    def write_spec(self, spec: Mapping[str, Any]) -> None:
        write_text(self.path / SPEC, yaml.safe_dump(dict(spec), sort_keys=False, allow_unicode=True))

    def read_spec(self) -> dict[str, Any]:
        """Return the resolved spec. Raises SpecError when there is none."""
        try:
            spec: dict[str, Any] = yaml.safe_load((self.path / SPEC).read_text(encoding="utf-8"))
        except OSError as error:
            raise SpecError(f"{self.path} is not a run directory: it has no {SPEC}") from error
        except yaml.YAMLError as error:
            raise SpecError(f"{self.path / SPEC} is not valid YAML: {error}") from error
        return spec

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Keep the figures as JSON and the pictures as PNG."""
        for folder in ("evaluation", "pictures"):
            with disk_errors(self.path):
                (self.path / folder).mkdir(exist_ok=True)
        for picture in evaluation.pictures:
            write_bytes(self.path / "pictures" / f"{evaluation.name}-{picture.name}.png", picture.png)
        record = evaluation.as_json() | {
            "pictures": [{"name": picture.name, "caption": picture.caption} for picture in evaluation.pictures]
        }
        write_json(self.path / "evaluation" / f"{evaluation.name}.json", record)

    def evaluations(self) -> Iterator[Evaluation]:
        """Yield the evaluations and probes made so far, with their pictures."""
        for file in sorted((self.path / "evaluation").glob("*.json")):
            record = json.loads(file.read_text(encoding="utf-8"))
            record["pictures"] = [
                Picture(png=(self.path / "pictures" / f"{file.stem}-{each['name']}.png").read_bytes(), **each)
                for each in record["pictures"]
            ]
            yield Evaluation.model_validate(record)

    def evaluation(self, split: str) -> Evaluation | None:
        """Return what the run's own task found on a split, without pictures; None where it was not measured.

        Raises MaeError for a record that this version cannot read.
        """
        record = self.read_json(f"evaluation/{split}.json")
        if record is None:
            return None
        try:
            return Evaluation.model_validate(record | {"pictures": ()})
        except ValueError as error:
            raise MaeError(f"{self.path}/evaluation/{split}.json is no evaluation that this mae can read") from error

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Mark the run as finished."""
        write_json(self.path / SUMMARY, summary)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return a JSON file of the run, or None if it is not there."""
        try:
            value: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return value


def find_checkpoint(path: Path, which: str = "last") -> Checkpoint:
    """Return the checkpoint that a path means: a run directory, a checkpoint folder, or its model file.

    Raises SpecError when the path is none of these, MaeError when the run has no such checkpoint yet.
    """
    if which not in POINTERS:
        raise SpecError(f"checkpoint {which!r} is none of {', '.join(POINTERS)}{nearest(which, POINTERS)}")
    path = path.expanduser()
    if path.name == MODEL:
        path = path.parent
    if (path / MODEL).is_file():
        return Checkpoint(path)
    if not path.exists():
        raise SpecError(f"{path} does not exist; give a run directory or a checkpoint folder")
    if not (path / SPEC).is_file():
        raise SpecError(f"{path} is neither a run directory nor a checkpoint: it has no {SPEC} and no {MODEL}")
    checkpoint = CheckpointFolder(path / "checkpoints").pointed(which)
    if checkpoint is None:
        raise MaeError(f"{path} has no {which} checkpoint yet")
    return checkpoint


def newest_finished_run(task: str, root: Path) -> RunDirectory:
    """Return the run of `task` under `root` that finished last. Raises MaeError when there is none."""
    found: list[tuple[float, RunDirectory]] = []
    for file in root.glob(f"**/{SUMMARY}"):
        run = RunDirectory(file.parent)
        summary = run.read_json(SUMMARY) or {}
        if summary.get("task") == task:
            found.append((float(summary.get("finished_at", 0.0)), run))
    if not found:
        raise MaeError(
            f"no finished run of task {task!r} under {root}; train one with `mae finetune --task {task}`, or name "
            "one with --run"
        )
    return max(found, key=lambda pair: pair[0])[1]
