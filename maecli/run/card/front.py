"""The head of a model card: what the Hugging Face hub reads of it, as YAML.

Source: https://huggingface.co/docs/hub/model-cards, "Model card metadata"; results as in its `model-index`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from maecli.results import Evaluation, Metric
from maecli.run.card.facts import CardFacts
from maecli.weights.hub_names import hub_name

TAGS = ("masked-autoencoder", "mae")


def front(facts: CardFacts) -> dict[str, Any]:
    """Return the entries, without a licence: nobody but the person can give it."""
    init = facts.spec.get("init")
    name = hub_name(init) if init else None
    pipeline = hub_task(facts)
    of_the_run = () if facts.use.cost else facts.own
    results = [_result(facts, one, metrics) for one in of_the_run if (metrics := [*_finite(one)])]
    entries = {
        "library_name": facts.use.library,
        "pipeline_tag": pipeline,
        "tags": list(dict.fromkeys([*TAGS, facts.spec["task"]["name"], *facts.use.tags])),
        "datasets": None if _is_of_a_person(facts) else [facts.spec["dataset"]["name"]],
        "base_model": name.repo if name is not None else None,
        "model-index": [{"name": facts.name, "results": results}] if results else None,
    }
    return {key: value for key, value in entries.items() if value}


def hub_task(facts: CardFacts) -> str:
    """Return what the hub calls the task on such samples; empty where it has no word for it."""
    return facts.task.hub_tasks.get(facts.data.modality, "") if facts.task is not None else ""


def _is_of_a_person(facts: CardFacts) -> bool:
    """Whether the data are a person's own files, which the hub does not know by name."""
    return facts.data_name != facts.spec["dataset"]["name"] or bool(facts.spec["dataset"].get("root"))


def _finite(evaluation: Evaluation) -> Iterator[Metric]:
    yield from (metric for metric in evaluation.metrics if math.isfinite(metric.value))


def _result(facts: CardFacts, evaluation: Evaluation, metrics: list[Metric]) -> dict[str, Any]:
    return {
        "task": {"type": hub_task(facts) or facts.spec["task"]["name"], "name": facts.spec["task"]["name"]},
        "dataset": {
            "type": facts.spec["dataset"]["name"],
            "name": facts.told(facts.data_name),
            "split": evaluation.split,
        },
        "metrics": [{"type": one.name, "value": round(one.value, 6), "name": one.label} for one in metrics],
    }
