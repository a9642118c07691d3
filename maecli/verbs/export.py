"""`mae export`: a run as a file of another tool, checked before it is called done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maecli.errors import SpecError
from maecli.exporting.compare import Agreement, check_agreements
from maecli.exporting.format import ExportFormat
from maecli.exporting.model import ExportedModel
from maecli.progress import Progress
from maecli.registry import Registry
from maecli.run.begin.place import output_name
from maecli.run.card.facts import Use
from maecli.run.card.write import CARD, renewed_card
from maecli.run.checkpoint import find_checkpoint
from maecli.run.directory import Say, runs_dir
from maecli.run.export import exported_model
from maecli.run.suited import shell
from maecli.storage.files import new_file, new_folder, write_text
from maecli.training.checkpoint import Checkpoint

DEFAULT_FORMAT = "onnx"


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
        }


def export(
    run: Path,
    registry: Registry,
    progress: Progress,
    *,
    format_name: str | None = None,
    out: Path | None = None,
    checkpoint: str = "last",
    overwrite: bool = False,
    num_samples: int = 32,
) -> ExportResult:
    """Write a run in a format, load that by the library that reads it, and compare its answers with the run's.

    The format is that of the name, else the one that `out` ends as. Raises SpecError for what the format cannot hold
    and where something is in the way, MaeError where answers differ by more than the format's tolerance: then nothing
    is left behind.
    """
    plugin = registry.export(format_name or _format_of(out, registry))
    plugin.check_modules()
    out = (out or runs_dir() / f"export-{output_name(run)}{plugin.suffix or f'-{plugin.name}'}").expanduser()
    _check_free(out, plugin, overwrite)
    model = exported_model(run, registry, progress.say, checkpoint, num_samples)
    with progress.working(f"writing {out.name}"):
        graph = model.compare_graph() if plugin.holds_graph else []
        check_agreements(graph, "the graph")
        agreements, num_bytes = _write(plugin(), model, out)
    _write_card(out, plugin(), model, find_checkpoint(run, checkpoint), registry, progress.say)
    measured = plugin.can_be_run and model.graph.outputs.can_be_measured
    return ExportResult(out, run, plugin.name, model.samples_are, graph, agreements, num_bytes, measured)


def _write(exporter: ExportFormat, model: ExportedModel, out: Path) -> tuple[Sequence[Agreement], int]:
    """Write a model under a temporary name, which becomes `out` once answers agree; return how far, and its size."""
    new: Callable[[Path], AbstractContextManager[Path]] = new_file if exporter.suffix else new_folder
    out.parent.mkdir(parents=True, exist_ok=True)
    with new(out) as temporary:
        exporter.write(model, temporary)
        agreements = exporter.check(model, temporary)
        check_agreements(agreements, out.name)
        files = temporary.rglob("*") if temporary.is_dir() else [temporary]
        return agreements, sum(file.stat().st_size for file in files if file.is_file())


def _write_card(
    out: Path, exporter: ExportFormat, model: ExportedModel, checkpoint: Checkpoint, registry: Registry, say: Say
) -> None:
    """Write the model card into a folder, or beside a file; what a person wrote into an earlier one stays."""
    use = Use(exporter.library, about=_first_line(exporter), code=exporter.usage(model))
    path = out / CARD if out.is_dir() else out.with_name(f"{out.name}.{CARD}")
    text = renewed_card(path, checkpoint, registry, use, say)
    if text is not None:
        write_text(path, text)


def _first_line(exporter: ExportFormat) -> str:
    return (exporter.__doc__ or "").strip().split("\n", 1)[0]


def _format_of(out: Path | None, registry: Registry) -> str:
    """Return the name of the format that a file ends as."""
    if out is None:
        return DEFAULT_FORMAT
    for name in registry.names("export"):
        if (suffix := registry.export(name).suffix) and out.name.endswith(suffix):
            return name
    known = ", ".join(registry.names("export"))
    raise SpecError(f"--out {out} ends as no format does; name one by --format: {known}")


def _check_free(out: Path, plugin: type[ExportFormat], overwrite: bool) -> None:
    """Raise SpecError where something is in the way of what is to be written."""
    if not out.exists():
        return
    if bool(plugin.suffix) == out.is_dir():
        what = "a folder" if out.is_dir() else "a file"
        raise SpecError(f"{out} is {what}, and --format {plugin.name} writes the other; give another --out")
    if not overwrite and (out.is_file() or any(out.iterdir())):
        raise SpecError(f"{out} exists already; replace it by --overwrite, or give another --out")
