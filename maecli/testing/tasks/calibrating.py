"""What a task promises of what it learns of its outputs."""

from __future__ import annotations

import torch

from maecli.testing.finding import expect, must_work
from maecli.testing.tasks.measuring import evaluation
from maecli.testing.tasks.predicting import prediction
from maecli.testing.tasks.subject import BATCH, TaskSubject
from maecli.text import brief


def calibration(subject: TaskSubject) -> None:
    """What a task learns of its outputs are finite tensors, and with them it predicts and measures as it promises."""
    task, name = subject.task, subject.plugin.name
    batches = (subject.loader(split).eval_batches(BATCH) for split in ("train", "val"))
    with torch.no_grad(), must_work(f"calibrate() of {name} fails", "return {} where nothing can be learnt"):
        kept = task.calibrate(subject.module.eval(), *batches)
    for key, tensor in kept.items():
        expect(
            isinstance(tensor, torch.Tensor) and bool(torch.isfinite(tensor).all()),
            f"calibrate(): {key!r} is {brief(tensor)}; it is kept beside the weights: return finite tensors by name",
        )
    task.calibration = {key: tensor.cpu() for key, tensor in kept.items()}
    try:
        evaluation(subject)
        prediction(subject)
    finally:
        task.calibration = {}
