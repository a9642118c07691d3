"""What a step does follows from its samples: micro-batches, and the parts of several processes, change nothing."""

from __future__ import annotations

import torch

from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.begin.request import request
from maecli.run.open import open_run
from maecli.run.together import make_trainer
from maecli.spec.ask import Ask

SETS = (
    *("model.embed_dim=32", "model.depth=3", "model.num_heads=2", "model.drop_path=0.5", "train.batch_size=15"),
    *("task.mixup=0.8", "task.cutmix=1.0", "task.patch_drop=0.25", "augment.flip=true", "augment.crop=pad"),
)


def test_dropped_branches_and_mixed_samples_do_not_depend_on_micro_batches():
    found = []
    for micro in (15, 4, 5):
        sets = (*SETS, f"train.micro_batch_size={micro}")
        ask = Ask("finetune", flags={"dataset.name": "digits", "task.name": "classify", "device": "cpu"}, sets=sets)
        built = open_run(request(ask, registry()), registry(), Progress().say)
        trainer = make_trainer(built, None, Progress())
        for batch in trainer.train_loader.train_batches(built.spec.augment, 15, 0, 3):
            trainer.train_step(batch)
            trainer.step += 1
        found.append((trainer.loss_sum, *(each.detach() for each in trainer.module.parameters())))
    for others in zip(*found, strict=True):
        for other in others[1:]:
            torch.testing.assert_close(other, others[0], rtol=1e-4, atol=2e-5)
