"""`mae export`: a run as a file of another tool, checked before it is called done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from maecli.errors import SpecError
from maecli.exporting.compare import Agreement, check_agreements
from maecli.exporting.edge import LABELS, MODEL, PROGRAM, check_edge, write_beside
from maecli.exporting.format import FLOAT32, ExportFormat
from maecli.exporting.model import ExportedModel
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.begin.place import output_name
from maecli.run.begin.start import paths_needed
from maecli.run.card.facts import Use
from maecli.run.card.write import CARD, is_card, renewed_card
from maecli.run.checkpoint import find_checkpoint
from maecli.run.directory import Say, runs_dir
from maecli.run.exported.file import refuse_exported_file
from maecli.run.exported.model import EXACT, model_of
from maecli.run.restore import Restored, restore
from maecli.run.suited import shell
from maecli.speed.lowered import Lowered, lower
from maecli.storage.files import check_links, new_file, new_folder, write_text
from maecli.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class ExportResult:
    """What was written."""

    out: Path
    run: Path
    format: str
    samples_are: str
    """What it was compared on, in words."""
    graph: Sequence[Agreement]
    """How far the graph is from the run's own evaluation; nothing of a format without one."""
    agreements: Sequence[Agreement]
    """How far the file, loaded by the library that reads it, is from ours."""
    num_bytes: int
    can_be_measured: bool = False
    """Whether `mae eval` and `mae infer` can run it."""
    lowered: Lowered | None = None
    """What a precision below float32 costs, and gains."""

    @property
    def next_commands(self) -> Sequence[tuple[str, str]]:
        """What usually follows, with what it does."""
        if not self.can_be_measured:
            return []
        return [(shell("mae", "infer", "DIR", "--run", self.out), "run it on files")]

    def as_json(self) -> dict[str, Any]:
        return {
            "out": str(self.out),
            "run": str(self.run),
            "format": self.format,
            "bytes": self.num_bytes,
            "compared_on": self.samples_are,
            "differences": [asdict(one) for one in self.agreements],
            "graph_differences": [asdict(one) for one in self.graph],
            "lowered": self.lowered.as_json() if self.lowered is not None else None,
        }


def export(
    run: Path,
    registry: Registry,
    progress: Progress,
    *,
    format_name: str | None = None,
    out: Path | None = None,
    checkpoint: str = "last",
    base: Path | None = None,
    overwrite: bool = False,
    num_samples: int = 32,
    precision: str = FLOAT32,
    max_drop: float = 1.0,
) -> ExportResult:
    """Write a run in a format, load that by the library that reads it, and compare its answers with the run's.

    The format is that of the name, else the one that `out` ends as. Raises SpecError for what the format cannot hold
    and where something is in the way, MaeError where answers differ by more than the format's tolerance: then nothing
    is left behind. `base` is where the weights are now that a run of adapters began with. In a lower `precision` the
    file is made of the checked one in float32, and refused where it loses more than `max_drop` points on the run's
    validation data.
    """
    plugin = registry.export(format_name or _format_of(out, registry))
    plugin.check_precision(precision)
    plugin.check_modules()
    out = (out or runs_dir() / f"export-{output_name(run)}{plugin.suffix or f'-{plugin.name}'}").expanduser()
    _check_free(out, plugin, overwrite)
    restored, model = _restored(run, registry, progress, checkpoint, base, num_samples)
    if not plugin.suffix:
        _check_yours(out, [CARD], restored, registry)
    result = _export(plugin, restored, model, run, out, progress, precision, max_drop)
    use = _use(plugin(), model, result.lowered, out.name)
    path = out / CARD if out.is_dir() else out.with_name(f"{out.name}.{CARD}")
    _write_card(path, path, use, restored.checkpoint, registry, progress.say)
    return result


def export_edge(
    run: Path,
    registry: Registry,
    progress: Progress,
    folder: Path,
    *,
    checkpoint: str = "last",
    base: Path | None = None,
    overwrite: bool = False,
    num_samples: int = 32,
    precision: str = "int8",
    max_drop: float = 1.0,
) -> ExportResult:
    """Write a folder for a small machine: see `maecli.exporting.edge`; raises as `export` does."""
    plugin = registry.export(_default_format(registry))
    plugin.check_precision(precision)
    plugin.check_modules()
    folder = folder.expanduser()
    check_links(folder.parent)
    if folder.exists() and not (folder.is_dir() and (overwrite or not any(folder.iterdir()))):
        raise SpecError(f"{folder} exists already; replace what it holds by --overwrite, or give another --edge")
    restored, model = _restored(run, registry, progress, checkpoint, base, num_samples)
    check_edge(model)
    _check_yours(folder, [CARD, MODEL, LABELS, PROGRAM], restored, registry)
    with new_folder(folder) as temporary:
        result = _export(plugin, restored, model, run, temporary / MODEL, progress, precision, max_drop)
        write_beside(model, temporary)
        use = replace(_use(plugin(), model, result.lowered, MODEL), code=f"python {PROGRAM} FOLDER", language="sh")
        _write_card(temporary / CARD, folder / CARD, use, restored.checkpoint, registry, progress.say)
    return replace(result, out=folder, can_be_measured=False)


def _restored(
    run: Path, registry: Registry, progress: Progress, checkpoint: str, base: Path | None, num_samples: int
) -> tuple[Restored, ExportedModel]:
    refuse_exported_file(run, registry, "run")
    find_checkpoint(run, checkpoint)  # which says that a run is wanted where nothing is
    restored = restore(run, registry, progress.say, checkpoint, EXACT | {"init": base})
    return restored, model_of(restored, output_name(run), progress.say, num_samples)


def _export(
    plugin: type[ExportFormat],
    restored: Restored,
    model: ExportedModel,
    run: Path,
    out: Path,
    progress: Progress,
    precision: str,
    max_drop: float,
) -> ExportResult:
    """Write a model under a temporary name, which becomes `out` once its answers agree."""
    new: Callable[[Path], AbstractContextManager[Path]] = new_file if plugin.suffix else new_folder
    out.parent.mkdir(parents=True, exist_ok=True)
    exporter, lowered = plugin(), None
    with progress.working(f"writing {out.name}"), new(out) as temporary, TemporaryDirectory() as folder:
        graph = model.compare_graph() if plugin.holds_graph else []
        check_agreements(graph, "the graph")
        exact = temporary if precision == FLOAT32 else Path(folder) / f"{FLOAT32}{plugin.suffix}"
        exporter.write(model, exact)
        if not plugin.suffix:
            _check_free_of(out, [file.name for file in temporary.iterdir()])
        agreements = exporter.check(model, exact)
        check_agreements(agreements, out.name)
        if exact != temporary:
            lowered = lower(exporter, restored, model, exact, temporary, precision, max_drop)
        files = temporary.rglob("*") if temporary.is_dir() else [temporary]
        num_bytes = sum(file.stat().st_size for file in files if file.is_file())
    measured = plugin.can_be_run and model.graph.outputs.can_be_measured
    return ExportResult(out, run, plugin.name, model.samples_are, graph, agreements, num_bytes, measured, lowered)


def _use(exporter: ExportFormat, model: ExportedModel, lowered: Lowered | None, name: str) -> Use:
    """Return what the model card tells of a file, or folder, of that name."""
    rows = {"Input": model.raw.describe()} if exporter.holds_graph else {}
    if lowered is not None:
        rows["Precision"] = lowered.precision
    cost = f"{lowered.comparison} What stands below was measured of the run in float32." if lowered is not None else ""
    code = exporter.usage(model).replace("FILE", name)
    return Use(exporter.library, about=_first_line(exporter), code=code, rows=rows, cost=cost)


def _write_card(path: Path, earlier: Path, use: Use, checkpoint: Checkpoint, registry: Registry, say: Say) -> None:
    """Write the model card; what a person wrote into an earlier one stays."""
    text = renewed_card(earlier, checkpoint, registry, use, say)
    if text is not None:
        write_text(path, text)


def _first_line(exporter: ExportFormat) -> str:
    return (exporter.__doc__ or "").strip().split("\n", 1)[0]


def _default_format(registry: Registry) -> str:
    """Return the name of the first format whose files mae can run again. Raises SpecError where none is installed."""
    for name in registry.names("export"):
        if registry.export(name).can_be_run:
            return name
    raise SpecError("no installed format holds preprocessing and network in one file; name one by --format")


def _format_of(out: Path | None, registry: Registry) -> str:
    """Return the name of the format that a file ends as."""
    if out is None:
        return _default_format(registry)
    for name in registry.names("export"):
        if (suffix := registry.export(name).suffix) and out.name.endswith(suffix):
            return name
    known = ", ".join(registry.names("export"))
    raise SpecError(f"--out {out} ends as no format does; name one by --format: {known}")


def _check_free(out: Path, plugin: type[ExportFormat], overwrite: bool) -> None:
    """Raise SpecError where something is in the way of what is to be written, MaeError for a link to nothing."""
    check_links(out.parent)
    if not out.exists():
        return
    if bool(plugin.suffix) == out.is_dir():
        what = "a folder" if out.is_dir() else "a file"
        raise SpecError(f"{out} is {what}, and --format {plugin.name} writes the other; give another --out")
    if not overwrite and (out.is_file() or any(out.iterdir())):
        raise SpecError(f"{out} exists already; replace it by --overwrite, or give another --out")


def _check_yours(folder: Path, names: Sequence[str], restored: Restored, registry: Registry) -> None:
    """Raise SpecError where a folder to write is that of the run's data, holds it, or has files of a person's own."""
    root, own = paths_needed(restored.spec, registry)["--root"].resolve(), folder.resolve()
    there = own.is_relative_to(root) and folder.exists() and any(folder.iterdir()) and not is_card(folder / CARD)
    if root.is_relative_to(own) or there:
        raise SpecError(
            f"{folder} is where the run's data lie ({root}), so nothing is written there; give another folder"
        )
    _check_free_of(folder, names)


def _check_free_of(folder: Path, names: Sequence[str]) -> None:
    """Raise SpecError for files of these names that mae did not write: those without a model card of its own."""
    theirs = [] if is_card(folder / CARD) else sorted(name for name in names if (folder / name).exists())
    if theirs:
        raise SpecError(
            f"{folder} holds {', '.join(theirs)}, and no model card that mae wrote there, so these stay; move them "
            "away, or give another folder"
        )
