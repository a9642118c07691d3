"""What a task promises of its loss and of what learns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from maecli.data.batch import Batch
from maecli.testing.finding import NotLookedAt, describe_error, expect, must_work
from maecli.testing.gradients import check_step
from maecli.testing.small import small_encoder
from maecli.testing.tasks.subject import TaskSubject
from maecli.text import some


def class_rows(subject: TaskSubject) -> None:
    """Tensors that are said to have a row for each class have so many rows, and are not the encoder's."""
    tensors, card = subject.module.state_dict(), subject.card
    classes = {"label": card.classes, "mask": card.mask_classes}
    for name, field in subject.task.class_rows(subject.module).items():
        expect(
            name in tensors and not name.startswith("encoder."),
            f"class_rows() names {name!r}, which is no tensor of the module beside its encoder; it has "
            f"{some(other for other in tensors if not other.startswith('encoder.'))}",
        )
        expect(field in classes, f'class_rows() says {field!r} of {name!r}; say "label" or "mask"')
        shape, num = tuple(tensors[name].shape), len(classes[field])
        expect(
            shape[:1] == (num,),
            f"class_rows(): {name!r} has the shape {shape} for {num} classes of the field {field}; name only tensors "
            "whose first axis is the classes",
        )


def training(subject: TaskSubject) -> None:
    """One step has a finite loss, and its gradients reach every parameter that learns."""
    batch, module = subject.train_batch(), subject.build().train()
    check_step(subject.plugin.name, module, lambda: subject.task.loss(module, batch))


def repeatable(subject: TaskSubject) -> None:
    """The loss of one batch is the same when the same step is done again."""
    batch, module, losses = subject.train_batch(), subject.build().train(), []
    for _ in range(2):
        torch.manual_seed(0)
        losses.append(float(subject.task.loss(module, batch).detach()))
    expect(
        losses[0] == losses[1],
        f"the loss of one batch is {losses[0]:.6g} and then {losses[1]:.6g}; take random numbers from batch.draws or "
        "from torch's generator, which is seeded for every step, so that a resumed run goes on as it would have",
    )


@torch.no_grad()
def parted(subject: TaskSubject) -> None:
    """The losses of the parts of a batch, summed as `loss_weight` says, are that of the batch."""
    task, batch, module = subject.task, subject.train_batch(), subject.build().eval()
    parts = [part for part in (batch.narrow(0, 2), batch.narrow(2, len(batch))) if len(part)]
    losses = [float(task.loss(module, part)) for part in parts]
    weights = [float(len(part) if (weight := task.loss_weight(part)) is None else weight) for part in parts]
    whole, together = float(task.loss(module, batch)), float(np.average(losses, weights=weights))
    expect(
        math.isclose(whole, together, rel_tol=1e-4, abs_tol=1e-6),
        f"the loss of a batch is {whole:.6g}, and that of its first two samples and the others together "
        f"{together:.6g}, so micro-batches and several processes would learn something else; divide by what "
        "loss_weight() returns",
    )


class Shell(nn.Module):
    """Hands on what it is called with, and has no attribute of what it holds: so do wrappers of several processes."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.calls = module, 0

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.module(*args, **kwargs)


def wrapped(subject: TaskSubject) -> None:
    """The loss calls its module once, and takes nothing else of it."""
    name, batch, shell = subject.plugin.name, subject.train_batch(), Shell(subject.build().train())
    with must_work(
        f"the loss of {name} must do with calling its module, which may be wrapped",
        "keep in build() what it has to know of the encoder",
    ):
        subject.task.loss(shell, batch)
    expect(
        shell.calls == 1,
        f"the loss of {name} calls its module {shell.calls} times; call it once, with all that it needs: a wrapper of "
        "several processes counts on that",
    )


def frozen(subject: TaskSubject) -> None:
    """Features that a frozen encoder computed before teach a head what pictures teach it."""
    task, batch = subject.task, subject.train_batch()
    encoder = small_encoder(subject.preprocess, 0)
    encoder.freeze()
    try:
        module: nn.Module = task.build(encoder)
    except Exception as error:
        raise NotLookedAt(f"{subject.plugin.name} takes no frozen encoder: {describe_error(error)}") from error
    with torch.no_grad():
        features = task.frozen_features(module.eval(), batch)
    if features is None:
        return
    others = {name: tensor for name, tensor in batch.tensors.items() if name != "image"}
    learning = {name: value for name, value in module.train().named_parameters() if value.requires_grad}
    slopes = []
    for example in (batch, Batch({**others, "features": features}, batch.draws)):
        torch.manual_seed(0)
        slopes.append(torch.autograd.grad(task.loss(module, example), list(learning.values())))
    apart = [
        name
        for name, one, other in zip(learning, *slopes, strict=True)
        if float((one - other).norm()) > 1e-3 * float(one.norm()) + 1e-6
    ]
    expect(
        not apart,
        f"{some(apart)} learns one thing from pictures and another from what frozen_features() returns; return all "
        "that the loss needs of a picture, or None where it needs the picture itself",
    )
