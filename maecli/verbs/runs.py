"""`mae runs`: what run directories there are, and what two of them differ in."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from maecli.errors import DamagedFile, MaeError, SpecError
from maecli.registry import Registry
from maecli.reports.canvas import encode_png
from maecli.reports.numbers import format_metric
from maecli.reports.page import Points, Section, render_report
from maecli.results import Drawing, Metric, Table
from maecli.run.directory import RunDirectory
from maecli.run.pages.curves import by_epoch, history, learning_curves, metrics_of
from maecli.run.plugins_used import missing_packages
from maecli.spec.layers import difference
from maecli.spec.validate import validate
from maecli.storage.files import write_bytes
from maecli.storage.ledger import Ledger

ELSEWHERE = frozenset({"out", "trackers", "paths"})
"""Keys of a spec that say nothing about a run."""
SPLITS = ("test", "val", "train")


def whole_spec(run: RunDirectory, registry: Registry) -> dict[str, Any]:
    """Return the spec of a run with the keys that are newer than it, and no tracker, which need not be installed."""
    spec = run.spec(lambda _: None)
    with missing_packages(spec, run):
        return validate(spec | {"trackers": []}, spec["verb"], registry).model_dump(mode="json")


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side."""

    names: tuple[str, str]
    spec: Sequence[str]
    """`key: first -> second` for each key that differs."""
    environment: Sequence[str]
    metrics: Table
    curves: Sequence[Drawing]

    def as_json(self) -> dict[str, Any]:
        """Return everything but the drawings as plain values."""
        return {
            "runs": list(self.names),
            "spec": list(self.spec),
            "environment": list(self.environment),
            "metrics": [dict(zip(self.metrics.columns, row, strict=True)) for row in self.metrics.rows],
        }


def compare(first: Path, second: Path, registry: Registry, say: Callable[[str], None]) -> Comparison:
    """Return what two runs differ in; `say` is told of curves that cannot be had.

    Raises SpecError when one of the folders is no run.
    """
    runs = [RunDirectory(path) for path in (first, second)]
    for run in runs:
        if not run.is_run:
            raise SpecError(f"{run} is no run directory, so it cannot be laid beside another")
    names = _names(first, second)
    specs = [whole_spec(run, registry) for run in runs]
    first_environment, second_environment = (run.environment(say) for run in runs)
    logged = {name: by_epoch(history(run, registry, say)) for name, run in zip(names, runs, strict=True)}
    return Comparison(
        names=names,
        spec=difference(specs[0], specs[1], ELSEWHERE),
        environment=difference(
            _plugins_by_name(first_environment), _plugins_by_name(second_environment), frozenset({"command"})
        ),
        metrics=_metrics(names, runs, say),
        curves=learning_curves(logged, "epoch", metrics_of(runs)),
    )


def _plugins_by_name(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return an environment whose plugins are their packages by kind and name, so that those that differ stand out."""
    plugins = environment.get("plugins", ())
    packages = {f"{each['kind']} {each['name']}": f"{each['package']} {each['version']}" for each in plugins}
    return {**environment, "plugins": packages}


def _names(first: Path, second: Path) -> tuple[str, str]:
    """Return the names of two folders, with as many of their parents as it takes to tell them apart."""
    parts, others = first.resolve().parts, second.resolve().parts
    depth = next((i for i in range(1, max(len(parts), len(others))) if parts[-i:] != others[-i:]), 1)
    return str(Path(*parts[-depth:])), str(Path(*others[-depth:]))


def _metrics(names: tuple[str, str], runs: Sequence[RunDirectory], say: Callable[[str], None]) -> Table:
    """Return every metric that one of the runs has, test first."""
    measured: dict[tuple[str, str], dict[int, Metric]] = {}
    for number, run in enumerate(runs):
        for split in SPLITS:
            try:
                evaluation = run.evaluation(split)
            except DamagedFile as error:
                say(f"left out: {error}")
                continue
            for metric in evaluation.metrics if evaluation else ():
                measured.setdefault((split, metric.label), {})[number] = metric
    rows = tuple(
        (split, label, *(format_metric(metrics[i]) if i in metrics else "not measured" for i in (0, 1)))
        for (split, label), metrics in sorted(measured.items(), key=lambda item: SPLITS.index(item[0][0]))
    )
    return Table(title="Metrics (95% interval)", columns=("split", "metric", *names), rows=rows)


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Write the curves as one PNG, or everything as one HTML page: what the suffix of `out` says."""
    if out.suffix not in (".png", ".html", ".htm"):
        raise SpecError(f"--out {out} must end with .png for the curves, or with .html for a page")
    ledger = Ledger(out.parent, "runs")
    if out.exists() and not ledger.is_as_noted(out.name):
        raise SpecError(f"{out} is there and was not written by mae runs, so it stays; choose another --out")
    if out.suffix == ".png":
        if not comparison.curves:
            raise MaeError(
                f"{' and '.join(comparison.names)} have no curves: nothing was tracked that can be read back"
            )
        content = _stacked([drawing.png for drawing in comparison.curves])
    else:
        content = _page(comparison).encode("utf-8", errors="backslashreplace")
    if not ledger.began:
        ledger.begin(whole=False)
    ledger.claim(out.name)
    write_bytes(out, content)
    ledger.note(out.name)


def _page(comparison: Comparison) -> str:
    first, second = comparison.names
    sections = [
        Section("Spec", [Points(comparison.spec or ["No key differs."])]),
        Section("Metrics", [comparison.metrics]),
        Section("Curves", comparison.curves),
        Section("Environment", [Points(comparison.environment or ["Nothing differs."])]),
    ]
    return render_report(f"{first} and {second}", "Two runs side by side: first -> second.", sections)


def _stacked(pngs: Sequence[bytes]) -> bytes:
    """Return PNGs as one, each below the one before."""
    images = [Image.open(io.BytesIO(png)).convert("RGB") for png in pngs]
    whole = Image.new("RGB", (max(image.width for image in images), sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    return encode_png(whole, optimize=True)
