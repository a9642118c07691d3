"""The run directory: everything that came out of a run, in one place.

spec.yaml  splits.csv  environment.json  summary.json  metrics.jsonl  checkpoints/  evaluation/  pictures/  report.html
README.md
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maecli.data.card import SPLIT_NAMES
from maecli.errors import DamagedFile, MaeError, SpecError
from maecli.outputs.faults import SKIPPED
from maecli.registry import Registry
from maecli.results import Counted, Drawing, Evaluation
from maecli.schema import SPECS
from maecli.storage.documents import dump_yaml, read_json_object, read_yaml
from maecli.storage.files import (
    check_links,
    disk_errors,
    replace_files,
    temporary_name,
    write_json,
    write_parts,
    write_text,
)
from maecli.storage.ledger import HERE, Ledger, is_bare
from maecli.storage.lock import locked
from maecli.storage.shareable import shareable
from maecli.training.checkpoint_folder import CheckpointFolder

SPEC, SUMMARY, ENVIRONMENT, REPORT = "spec.yaml", "summary.json", "environment.json", "report.html"
SPLITS = "splits.csv"
EVALUATION, PICTURES, CHECKPOINTS = "evaluation", "pictures", "checkpoints"
OWN_NAMES = (SPEC, SPLITS, ENVIRONMENT, SUMMARY, REPORT, SKIPPED, CHECKPOINTS, EVALUATION)
"""What a run needs to have for itself in its directory."""
RESULTS_LOCK, RESULTS_WAIT_S = "results.lock", 60.0
"""Held for the moment in which metrics are written: a training run and `mae eval` may both have some."""
MAX_TIME = 2.5e11
"""Seconds since 1970; calendars end with the year 9999."""
Say = Callable[[str], None]
T = TypeVar("T")


def runs_dir() -> Path:
    """Return the folder that run directories go to: `MAE_RUNS`, else `./runs`."""
    return Path(os.environ.get("MAE_RUNS") or "runs").expanduser()


class Summary(BaseModel):
    """What a finished run says of itself in `summary.json`."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    verb: str
    task: str
    dataset: str
    steps: int
    seconds: float
    device: str
    precision: str
    init: str
    train_samples: int = 0
    trained_parameters: int = 0
    """How many numbers of the module learn; 0 where that was not recorded."""
    peak_memory: int = 0
    """The most memory in bytes that training took, or its last part where it was resumed: on a GPU all that was
    allocated there, else what the process held beyond what it held before, whatever ran in it earlier; 0 where that was
    not measured, as where a system keeps the peak of the whole process."""
    parent: str = ""
    """The run that it goes on from; empty for one that began anew."""
    ending: str = ""
    """Why it stopped before its last step; empty where it did not."""
    finished_at: float = Field(ge=0, le=MAX_TIME)


class RunDirectory:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger(path, "run")
        self.checkpoints = CheckpointFolder(path / CHECKPOINTS, self.ledger)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def is_run(self) -> bool:
        """Whether a run was started here: it is marked as one, or, from before there were marks, has a spec of ours."""
        return self.ledger.began or self._looks_like_one

    @property
    def _looks_like_one(self) -> bool:
        """Whether there is a spec, or a checkpoint of ours if the spec is damaged."""
        with contextlib.suppress(MaeError):
            return bool((self.path / SPEC).exists() and self.spec(lambda _: None))
        return False

    @property
    def is_older(self) -> bool:
        """Whether it is a run of before it was noted what mae writes."""
        return "adopted" in self.ledger.about if self.ledger.began else self._looks_like_one

    @property
    def id(self) -> str:
        """What the run's checkpoints record too; empty for older runs."""
        return str(self.ledger.about.get("id", ""))

    def check_free(self, overwrite: bool, needed: Mapping[str, Path] | None = None) -> None:
        """Raise SpecError when no new run may start here: the directory is not empty; MaeError for a link to nothing.

        With `overwrite` what an earlier run wrote here may be removed, and nothing else: what was not written by mae
        stays, beside the new run. `needed` are paths of the new run, by flag, which must not be what is removed.
        """
        check_links(self.path)
        if self.path.exists() and not self.path.is_dir():
            raise SpecError(f"{self.path} is a file; choose another --out")
        if self.is_free:
            return
        if not overwrite:
            if not self.is_run:
                raise SpecError(f"{self.path} is not empty and holds no run of mae, so it stays; use another --out")
            way = f"--extend {self.path} to train its finished run longer" if self.is_finished else "--resume to go on"
            raise SpecError(f"run directory {self.path} is not empty; use {way}, or another --out")
        for flag, path in (needed or {}).items():
            if _resolved(path).is_relative_to(_resolved(self.path)):
                raise SpecError(
                    f"{flag} {path} lies in --out {self.path}, where --overwrite removes what mae wrote; use another "
                    "--out"
                )
        if self.is_older:
            there = [name for name in (*OWN_NAMES, PICTURES) if os.path.lexists(self.path / name)]
            raise SpecError(
                f"{self.path} holds a run without a ledger of what mae wrote, as older versions kept none, so "
                f"--overwrite removes nothing there; remove its {', '.join(there)} and what its trackers wrote by "
                "hand, or use another --out"
            )
        if links := self.ledger.links():
            raise SpecError(
                f"{self.path / links[0]} is a link to elsewhere, where --overwrite removes nothing; remove "
                "the run by hand, or use another --out"
            )
        drawings = [f"{PICTURES}/{split}-*.png" for split in SPLIT_NAMES]
        in_the_way = sorted(set(self.ledger.foreign()) & set(OWN_NAMES)) + self.foreign_files(drawings)
        if in_the_way:
            raise SpecError(
                f"{self.path / in_the_way[0]} was not written by mae and has the name of what a run writes, so it "
                "stays; use another --out"
            )

    @property
    def is_free(self) -> bool:
        """Whether there is nothing here, or the traces of a run that was killed before it wrote anything."""
        if not self.path.is_dir():
            return not os.path.lexists(self.path)
        if is_bare(self.path):
            return True
        leftover = temporary_name(self.path / SPEC).name
        foreign = [name for name in self.ledger.foreign() if name != leftover]
        return not foreign and not any((self.path / path).is_file() for path in self.ledger.paths)

    @property
    def planned(self) -> Collection[str]:
        """The keys of the spec that were planned when the run began."""
        return tuple(self.ledger.about.get("planned", ()))

    @property
    def time_s(self) -> float | None:
        """The time that a person gave for that plan, in seconds."""
        return self.ledger.about.get("time_s")

    def start(
        self,
        spec: Mapping[str, Any],
        overwrite: bool,
        needed: Mapping[str, Path] | None = None,
        planned: Collection[str] = (),
        time_s: float | None = None,
    ) -> None:
        """Make the directory for a new run and write its spec; what `overwrite` replaces goes first.

        Notes the keys of the spec that were `planned`, and the time that was given for that.
        From the first moment on it is a run that can be resumed or overwritten, whenever the process is killed.
        Raises like `check_free`.
        """
        self.check_free(overwrite, needed)
        clear_runs(self.ledger)  # its companions, and itself
        self.ledger.begin(id=_identity(spec), planned=sorted(planned), time_s=time_s)
        self.write_spec(spec)

    def adopt(self) -> None:
        """Mark an older run that goes on, so that what is written from now on is noted."""
        if self.ledger.began:
            return
        self.ledger.begin(adopted=True)
        for checkpoint in self.checkpoints.steps():
            place = f"{CHECKPOINTS}/{checkpoint.path.name}/"
            self.ledger.own(place, *(f"{place}{file.name}" for file in checkpoint.path.iterdir()))

    def files(self, patterns: Iterable[str]) -> set[str]:
        """Return the files and folders that are there and fit one of the patterns, as the ledger writes them."""
        names: set[str] = set()
        for pattern in patterns:
            for path in self.path.glob(pattern):
                name = path.relative_to(self.path)
                names.add(f"{name.as_posix()}/" if path.is_dir() else name.as_posix())
                names |= {f"{parent.as_posix()}/" for parent in name.parents if parent != Path()}
        return names

    def foreign_files(self, patterns: Iterable[str]) -> list[str]:
        """Return the files among them that mae did not write."""
        return sorted(path for path in self.files(patterns) - self.ledger.paths if not path.endswith("/"))

    def write(self, name: str, text: str) -> None:
        """Write a text file of the run, by its path in the directory."""
        self.ledger.claim(name)
        write_text(self.path / name, text)

    def write_parts(self, name: str, parts: Iterable[str]) -> None:
        """Write a text file of the run, of which a part is held at a time."""
        self.ledger.claim(name)
        write_parts(self.path / name, parts)

    def write_json(self, name: str, value: Any) -> None:
        self.ledger.claim(name)
        write_json(self.path / name, value)

    def write_spec(self, spec: Mapping[str, Any]) -> None:
        self.write(SPEC, dump_yaml(dict(spec)))

    def read_spec(self) -> dict[str, Any]:
        """Return the resolved spec. Raises SpecError when there is none, DamagedFile for what is no spec."""
        try:
            spec = read_yaml(self.path / SPEC)
        except FileNotFoundError:
            raise SpecError(f"{self.path} is not a run directory: it has no {SPEC}") from None
        if not is_spec(spec):
            raise DamagedFile(self.path / SPEC, "holds no spec of mae")
        return dict(spec)

    def spec(self, say: Say) -> dict[str, Any]:
        """Return the spec, that of the last checkpoint where `spec.yaml` is damaged; `say` is told then."""
        try:
            return self.read_spec()
        except MaeError as error:
            try:
                checkpoint = self.checkpoints.current("last")
                recorded = dict(checkpoint.metadata()["spec"])
            except (MaeError, KeyError):
                raise error from None
            say(f"{error}; the spec in {checkpoint.path} is taken")
            return recorded

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Keep the metrics as JSON, the drawings as PNG and what was counted, at one stroke.

        They take the place of earlier ones of that name.
        """
        files = {f"{PICTURES}/{evaluation.name}-{drawing.name}.png": drawing.png for drawing in evaluation.drawings}
        record = evaluation.as_json() | {
            "drawings": [
                {"name": drawing.name, "caption": drawing.caption, "checksum": _checksum(drawing.png)}
                for drawing in evaluation.drawings
            ]
        }
        if (counted := evaluation.counted) is not None:
            files[f"{EVALUATION}/{evaluation.name}.safetensors"] = counted.tensors
            record["counted"] = {"samples": counted.samples, "checksum": _checksum(counted.tensors)}
        text = json.dumps(shareable(record), indent=2, ensure_ascii=False) + "\n"
        files[f"{EVALUATION}/{evaluation.name}.json"] = text.encode("utf-8", errors="backslashreplace")
        with locked(self.path, RESULTS_LOCK, RESULTS_WAIT_S):
            self.ledger.claim(f"{EVALUATION}/", f"{PICTURES}/", *files)
            for folder in (EVALUATION, PICTURES):
                with disk_errors(self.path):
                    (self.path / folder).mkdir(exist_ok=True)
            replace_files(self.path, files)

    def evaluations(self, say: Say) -> Iterator[Evaluation]:
        """Yield the evaluations and probes made so far, with their drawings; `say` is told of damaged ones."""
        for file in sorted((self.path / EVALUATION).glob("*.json")):
            try:
                yield self._read_evaluation(file, say)
            except (DamagedFile, FileNotFoundError) as error:
                say(f"left out: {error}")

    def _read_evaluation(self, file: Path, say: Say | None) -> Evaluation:
        """Return an evaluation, without drawings where nobody is told of those that are missing."""
        record = read_json_object(file)
        older = record.pop("pictures", ())  # what drawings were once called
        entries = record.pop("drawings", older) or ()
        record.pop("counted", None)  # see `counted`
        drawings = [] if say is None else [self._read_drawing(file, entry, say) for entry in entries]
        try:
            return Evaluation.model_validate(record | {"drawings": list(filter(None, drawings))})
        except ValidationError as error:
            raise DamagedFile(file, f"is no evaluation that this mae can read ({_first(error)})") from error

    def _read_drawing(self, evaluation: Path, entry: Any, say: Say) -> Drawing | None:
        """Return a drawing, None where it is not there or not the one that was written with the evaluation."""
        try:
            name, caption = str(entry["name"]), str(entry.get("caption", ""))
            if "/" not in name:
                png = (self.path / PICTURES / f"{evaluation.stem}-{name}.png").read_bytes()
                if entry.get("checksum", _checksum(png)) == _checksum(png):
                    return Drawing(name=name, caption=caption, png=png)
        except (OSError, KeyError, TypeError, ValueError, AttributeError):  # a NUL in its name is a ValueError
            pass
        say(f"left out: a drawing of {evaluation} is not there or belongs to another evaluation")
        return None

    def evaluation(self, split: str) -> Evaluation | None:
        """Return what the run's own task found on a split, without drawings; None where it was not measured.

        Raises DamagedFile for a record that this version cannot read.
        """
        try:
            return self._read_evaluation(self.path / EVALUATION / f"{split}.json", None)
        except FileNotFoundError:
            return None

    def counted(self, name: str) -> Counted | None:
        """Return what an evaluation of this name counted of each sample; None where that is not kept, or damaged."""
        try:
            record = read_json_object(self.path / EVALUATION / f"{name}.json")["counted"]
            tensors = (self.path / EVALUATION / f"{name}.safetensors").read_bytes()
            samples, checksum = str(record["samples"]), record["checksum"]
        except (DamagedFile, OSError, KeyError, TypeError):
            return None
        return Counted(samples=samples, tensors=tensors) if checksum == _checksum(tensors) else None

    def write_summary(self, summary: Summary) -> None:
        """Mark the run as finished."""
        self.write_json(SUMMARY, summary.model_dump())

    def summary(self) -> Summary | None:
        """Return what a finished run says of itself, None for one that is not finished. Raises DamagedFile."""
        try:
            return Summary.model_validate(read_json_object(self.path / SUMMARY))
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise DamagedFile(self.path / SUMMARY, f"is no summary of a run ({_first(error)})") from error

    def finished(self) -> Summary:
        """Return what the run says of itself. Raises MaeError where it is not finished."""
        summary = self.summary()
        if summary is None:
            raise MaeError(f"{self} is not finished")
        return summary

    @property
    def is_finished(self) -> bool:
        return (self.path / SUMMARY).is_file()

    def environment(self, say: Say) -> dict[str, Any]:
        """Return where the run happened; nothing where that is not known, or damaged, which `say` is told."""
        try:
            return read_json_object(self.path / ENVIRONMENT)
        except FileNotFoundError:
            return {}
        except DamagedFile as error:
            say(f"left out: {error}")
            return {}


def clear_runs(ledger: Ledger) -> None:
    """Remove what a writer wrote into its folder, the runs in it and their outputs included.

    What mae did not write stays. Raises Locked where another process writes one of the runs.
    """
    for path in sorted(path for path in ledger.paths - {HERE} if path.endswith("/")):
        for writer in ("run", "infer", "sweep"):
            below = Ledger(ledger.folder / path, writer)
            if below.began:
                with locked(below.folder):
                    clear_runs(below)
                with contextlib.suppress(OSError):  # another writer's lines are there
                    below.file.parent.rmdir()
    ledger.remove()


def is_spec(value: Any) -> bool:
    """Whether a value has the outline of a spec: a verb, and a name in each section of a plugin."""
    return (
        isinstance(value, dict)
        and value.get("verb") in SPECS
        and all(
            isinstance(value.get(section), dict) and isinstance(value[section].get("name"), str)
            for section in ("dataset", "task", "model")
        )
    )


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _checksum(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _identity(spec: Mapping[str, Any]) -> str:
    """Return what tells a run's checkpoints from those of others: a digest of its spec, wherever it is written."""
    text = json.dumps({key: value for key, value in spec.items() if key != "out"}, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _resolved(path: Path) -> Path:
    return path.expanduser().resolve()


def data_in_words(run: RunDirectory) -> str:
    """Return on which data a run was trained: the folder, where one was named, and the data set."""
    try:
        spec = run.spec(lambda _: None)
    except MaeError:
        return "unknown data, since its spec is damaged"
    root = spec["dataset"].get("root")
    if root is None:
        return f"data set {spec['dataset']['name']}"
    return f"{shareable(recorded_path(spec, 'dataset.root') or str(root))} (data set {spec['dataset']['name']})"


def data_called(spec: Mapping[str, Any], registry: Registry) -> str:
    """Return what the data of a recorded spec are called: as the data set, or as the folder where it reads anyone's."""
    name = str(spec["dataset"]["name"])
    try:
        named_by_root = registry.dataset(name).named_by_root
    except MaeError:  # it is not installed any more
        return name
    root = recorded_path(spec, "dataset.root") or str(spec["dataset"].get("root") or "")
    return Path(root).name or name if named_by_root else name


def recorded_path(spec: Mapping[str, Any], key: str) -> str:
    """Return where a path led when a run began; empty where that was not recorded, as of one that was given in full."""
    paths = spec.get("paths")
    entries = [path for path in paths if isinstance(path, dict)] if isinstance(paths, (list, tuple)) else []
    return next((str(path["resolved"]) for path in entries if path.get("key") == key and path.get("resolved")), "")
