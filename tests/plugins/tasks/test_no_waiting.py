"""Training steps and measurements never read a number from the device, which would have to be waited for.

Tensors on the device `meta` have no values, so that reading one, or a shape that depends on them, is an error.
"""

from __future__ import annotations

import pytest
import torch
from maecli_plugins.tasks.classify.task import Classify
from maecli_plugins.tasks.reconstruct.task import Reconstruct
from maecli_plugins.tasks.segment.task import Segment

from maecli import api
from maecli.testing.small import small_encoder, small_preprocess
from maecli.testing.synthetic import Synthetic

META = torch.device("meta")
TASKS = [
    (Reconstruct, {}, {}),
    (Reconstruct, {"mask": "grid", "norm_pix_loss": True}, {}),
    (Reconstruct, {"mask": "block"}, {}),
    (Classify, {"mixup": 1.0}, {}),
    (Classify, {"cutmix": 1.0, "patch_drop": 0.5, "label_smoothing": 0.1}, {}),
    (Classify, {"mixup": 1.0, "cutmix": 1.0}, {"multi_label": True}),
    (Segment, {"dice": 1.0, "class_weights": (1.0, 2.0, 3.0, 4.0), "head": "upernet"}, {}),
]


def made(case, device):
    """Return a task, its module, and a batch of everything that a sample has."""
    plugin, options, data = case
    dataset = Synthetic(Synthetic.Options(**data))
    card = dataset.card()
    preprocess = small_preprocess(card)
    task = plugin(plugin.Options(**options), card, preprocess)
    module = task.build(small_encoder(preprocess)).to(device)
    if card.multi_label and device == META:
        module.head.__class__ = api.nets.ClassifierHead  # its own class switches autocast off, which knows no `meta`
    tensors = {name: tensor[:4].to(device) for name, tensor in dataset.split("train").tensors.items()}
    tensors["image"] = tensors["image"].float()
    return task, module, api.Batch(tensors, api.Draws(0, 0, torch.arange(4, device=device)), list("abcd"))


def test_a_number_cannot_be_read():
    with pytest.raises((RuntimeError, NotImplementedError)):
        float(torch.ones((), device=META))


@pytest.mark.parametrize("case", TASKS)
def test_the_loss_reads_no_number(case):
    task, module, batch = made(case, META)
    loss = task.loss(module, batch)
    loss.backward()
    assert loss.shape == ()


@pytest.mark.parametrize("case", TASKS)
@torch.no_grad()
def test_counting_reads_no_number(case):
    task, module, batch = made(case, META)
    evaluator = task.evaluator(thorough=False)
    for _ in range(2):
        evaluator.update(module.eval(), batch)
    with pytest.raises((RuntimeError, NotImplementedError)):
        evaluator.metrics()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
@pytest.mark.parametrize("case", TASKS)
def test_a_loss_on_cuda_waits_for_nothing(case):
    task, module, batch = made(case, torch.device("cuda"))
    task.loss(module, batch).backward()  # makes what is made once
    torch.cuda.set_sync_debug_mode("error")
    try:
        task.loss(module, batch).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
