"""From a run to what a format is handed of it, samples to try it on included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maecli.errors import MaeError
from maecli.exporting.model import ExportedModel, ExportSample
from maecli.exporting.raw import RawInput
from maecli.models.lora import merged
from maecli.registry import Registry
from maecli.run.begin.place import output_name
from maecli.run.exported.file import ROOT_LEFT_OUT
from maecli.run.restore import Restored, restore
from maecli.schema import FORMAT_VERSION
from maecli.storage.shareable import is_absolute, last_names
from maecli.text import number_of

RECORDED = ("verb", "task", "spec", "card", "preprocess", "plugins")
"""What a file records of a checkpoint; not by name what was learnt from."""
EXACT = {"device": "cpu", "precision": "float32"}
"""With which settings a run is restored to be exported."""


def exported_model(
    path: Path,
    registry: Registry,
    say: Callable[[str], None],
    checkpoint: str = "last",
    base: Path | None = None,
    num_samples: int = 32,
) -> ExportedModel:
    """Return a run's module in float32 on the CPU, with a few samples of validation, or made-up ones without data.

    `num_samples` may be 0, for whoever compares nothing: the data are not opened then.
    """
    restored = restore(path, registry, say, checkpoint, EXACT | {"init": base})
    return model_of(restored, output_name(path), say, num_samples)


def model_of(restored: Restored, name: str, say: Callable[[str], None], num_samples: int) -> ExportedModel:
    """Return what `exported_model` does, of a run that was restored with `EXACT`."""
    samples, samples_are = _samples(restored, num_samples, say) if num_samples else ([], "")
    module = restored.module if restored.spec.adapt is None else merged(restored.module)
    module = module.float().eval().requires_grad_(False)
    return ExportedModel(
        name,
        module,
        restored.task,
        restored.spec,
        restored.card,
        restored.preprocess,
        _record(restored),
        samples,
        samples_are,
    )


def _record(restored: Restored) -> Mapping[str, Any]:
    metadata = restored.checkpoint.metadata()
    calibration = {
        name: {"dtype": str(tensor.dtype).removeprefix("torch."), "values": tensor.tolist()}
        for name, tensor in restored.task.calibration.items()
    }
    told = {name: metadata[name] for name in RECORDED if name in metadata}
    root = told["spec"]["dataset"].get("root")
    told[ROOT_LEFT_OUT] = root is not None and is_absolute(root)
    told["spec"] = _given_away({**told["spec"], "adapt": None})  # adapters are in the weights
    return {"format_version": FORMAT_VERSION, **told, "calibration": calibration}


def _given_away(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec without where things lie on a person's machine; who measures a file says where the data are.

    A root that is not given in full stays, which leads there from the folder where the run began.
    """
    dataset, root = spec["dataset"], spec["dataset"].get("root")
    root = None if root is not None and is_absolute(root) else root
    return dict(
        last_names({**spec, "dataset": {**dataset, "root": root} if "root" in dataset else dataset, "paths": []})
    )


def _samples(restored: Restored, num: int, say: Callable[[str], None]) -> tuple[list[ExportSample], str]:
    """Return a few samples, evenly spaced, and what they are."""
    unit, card = restored.preprocess.modality, restored.card
    try:
        restored.data.samples("val")
        found = _both(restored, num)
        if found:
            return found, f"{number_of(len(found), unit.one, unit.unit)} of validation of {card.name}"
        reason = "none of its validation samples can be read"
    except MaeError as error:
        reason = str(error)
    say(f"made-up {unit.unit} are compared: {reason}")
    generator = torch.Generator().manual_seed(0)
    shape = (restored.preprocess.in_chans, *restored.preprocess.img_size)
    made = [torch.randn(shape, generator=generator) for _ in range(num)]
    return [_sample(restored, x, None, x, None) for x in made], f"{num} made-up {unit.unit}"


def _both(restored: Restored, num: int) -> list[ExportSample]:
    """Return validation samples at their own size, and as the run's evaluation has them."""
    views = [_loaded(restored, num, own_size) for own_size in (True, restored.task.own_size)]
    return [_sample(restored, *views[0][i], *views[1][i]) for i in views[0].keys() & views[1].keys()]


def _loaded(restored: Restored, num: int, own_size: bool) -> dict[int, tuple[Tensor, Tensor | None]]:
    """Return normalised samples, and which of their cells exist, by their place in the split."""
    own_size = own_size and restored.preprocess.modality.any_size
    loader = restored.data.loader("val", restored.preprocess, restored.device, own_size)
    found: dict[int, tuple[Tensor, Tensor | None]] = {}
    for batch in loader.eval_batches(num, limit=num):
        valid = batch.tensors.get("valid")
        for i, place in enumerate(batch.draws.ids.tolist()):
            found[place] = batch["image"][i], None if valid is None else valid[i]
    return found


def _sample(restored: Restored, whole: Tensor, there: Tensor | None, x: Tensor, valid: Tensor | None) -> ExportSample:
    """Return a sample of what the loader gives at its own size, and at the model's."""
    raw = RawInput.of(restored.preprocess, restored.card, restored.task.own_size)
    own = raw.from_model(whole[None], None if there is None else there[None])[0]
    return ExportSample(own, x, valid)
