"""Records of runs, and the one table that is made of them, in Markdown.

A record holds all that the table needs, so that it can be made again when the run directories are gone.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from maecli.progress import duration
from maecli.reports.numbers import format_baselines, format_mean
from maecli.results import Metric, mean_metric
from maecli.text import bytes_in_words

MARK = "<!-- Made by `mae results`"
"""What a table of ours begins with."""
MAX_DIFFERENCES = 8
COLUMNS = ("data", "task", "run", "metric", "value", "baselines", "seeds", "cost", "device", "weights")
EXPLANATION = (
    "Each metric stands beside what trivial predictors get on the same samples. Of several seeds it is the mean ± the "
    "sample standard deviation, of one seed the value with its 95% interval over the samples. The cost is the time of "
    "training, validation included, with that of the pretraining that the run started from before it, then how many "
    "parameters learnt and the most memory that training took beyond what the process held before, where that was "
    "recorded. Patch means given: the model predicts normalised patches, which are brought back by each hidden patch's "
    "true mean and variance."
)


class Record(BaseModel):
    """What a finished run found, with what it takes to tell it from others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    """Of this very run: its spec, seed, start and device."""
    group: str
    """Of all runs that differ from it in their seed only."""
    run: str
    """Name of its directory."""
    verb: Literal["pretrain", "finetune"]
    dataset: str
    task: str
    model: str
    recipe: str
    """The one that it differs from in the fewest keys; empty for a run of a sweep, which tells its settings."""
    differences: tuple[str, ...]
    """`key: recipe's value -> the run's value`."""
    sweep: str
    arm: str
    point: dict[str, str]
    init: str
    """Where it started: from scratch, the name of a run, or of a file."""
    seed: int
    split: str
    probe: str = ""
    """What probed the frozen encoder, such as knn; empty: the metrics are those of the run's task."""
    num_samples: int
    weights: str
    ema: bool
    metrics: tuple[Metric, ...] = Field(validation_alias=AliasChoices("metrics", "figures"))
    """The first one is the headline."""
    seconds: float
    pretrain_seconds: float
    """Of the run that it started from; 0 from scratch, or where that is not known."""
    trained_parameters: int = 0
    """How many learnt; 0, as for the memory, of runs that did not record it."""
    peak_memory: int = 0
    """In bytes."""
    device: str
    precision: str
    version: str
    revision: str | None
    finished: str


def results_table(records: Sequence[Record], source: str) -> str:
    """Return the Markdown of all records: a row for each group, mean ± standard deviation over its seeds."""
    groups: dict[str, list[Record]] = {}
    for record in sorted(records, key=_order):
        groups.setdefault(record.group, []).append(record)
    lines = [
        f"{MARK} from {source}, which has a record of each run; not written by hand. -->",
        "# Results",
        "",
        EXPLANATION,
        "",
        _line(COLUMNS),
        _line(["---"] * len(COLUMNS)),
        *(_line(_row(group)) for group in groups.values()),
    ]
    return "\n".join(lines) + "\n"


def _order(record: Record) -> tuple[str | int, ...]:
    verb = 0 if record.verb == "finetune" else 1
    point = "|".join(f"{key} {value}" for key, value in record.point.items())
    return (
        record.dataset,
        verb,
        record.task,
        record.recipe,
        record.probe,
        record.sweep,
        point,
        record.arm,
        record.group,
        record.seed,
    )


def _row(group: Sequence[Record]) -> list[str]:
    first = group[0]
    metric, sd = mean_metric([record.metrics[0] for record in group])
    seeds = [record.seed for record in group]
    return [
        first.dataset,
        f"{first.probe} probe" if first.probe else first.task,
        _what(first),
        f"{metric.label}{f' ({metric.note})' if metric.note else ''}, {_split(first)}",
        format_mean(metric, sd),
        ", ".join(format_baselines(metric)) or "none",
        f"one seed ({seeds[0]})" if len(seeds) == 1 else f"{len(seeds)} ({', '.join(map(str, seeds))})",
        _cost(group),
        f"{first.device}, {first.precision}",
        _weights(group),
    ]


def _what(record: Record) -> str:
    """Return where the run's settings are to be found, and where it started."""
    if record.sweep:
        settings = [f"{key.replace('_', ' ')} {value}" for key, value in record.point.items()]
        parts = [f"`mae sweep` {record.sweep}", *settings, *([f"arm {record.arm}"] if record.arm else [])]
    else:
        differences = [f"`{line}`" for line in record.differences[:MAX_DIFFERENCES]]
        more = len(record.differences) - len(differences)
        parts = [f"recipe {record.recipe}", record.model, *differences, *([f"{more} more keys"] if more else [])]
    return ", ".join(filter(None, [*parts, record.init]))


def _split(record: Record) -> str:
    return f"{'validation' if record.split == 'val' else record.split} ({record.num_samples:,})"


def _cost(group: Sequence[Record]) -> str:
    own = duration(statistics.fmean(record.seconds for record in group))
    before = statistics.fmean(record.pretrain_seconds for record in group)
    times = f"{duration(before)} + {own}" if before else own
    first, memory = group[0], max(record.peak_memory for record in group)
    trained = [f"{first.trained_parameters:,} parameters"] if first.trained_parameters else []
    return "; ".join([times, *trained, *([bytes_in_words(memory)] if memory else [])])


def _weights(group: Sequence[Record]) -> str:
    rules = {_rule(record.weights) + (", EMA" if record.ema else "") for record in group}
    return "; ".join(sorted(rules))


def _rule(weights: str) -> str:
    rules: Mapping[str, str] = {"last": "last epoch", "best": "best on validation"}
    return rules.get(weights.partition(" ")[0], "not recorded")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
