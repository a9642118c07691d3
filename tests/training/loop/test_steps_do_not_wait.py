"""Training steps never wait for the device: what is copied there is there in time, and nothing is read back."""

from __future__ import annotations

import pytest
import torch

from maecli.progress import Progress
from maecli.registry import registry
from maecli.run.begin.request import request
from maecli.run.open import open_run
from maecli.run.together import make_trainer
from maecli.spec.ask import Ask

SMALL = ("model.embed_dim=32", "model.depth=2", "model.num_heads=2", "train.batch_size=16", "train.micro_batch_size=8")
STEADY = ("train.clip_grad=1", "train.ema_decay=0.9", "log_every_steps=1000")
MOVES = ("augment.flip=true", "augment.rotate=10", "augment.translate=1", "augment.zoom=[0.9,1.1]", "augment.color=0.2")
RUNS = {
    "pretrain": ("pretrain", "reconstruct", (*MOVES, "augment.crop=pad")),
    "pretrain on random parts": ("pretrain", "reconstruct", (*MOVES, "augment.crop=random-resized")),
    "pretrain with block masks": ("pretrain", "reconstruct", ("task.mask=block", "task.mask_ratio=0.5")),
    "pretrain on patches of their own mean": ("pretrain", "reconstruct", ("task.norm_pix_loss=true",)),
    "classify": ("finetune", "classify", ("task.label_smoothing=0.1", "model.drop_path=0.1", "task.patch_drop=0.25")),
    "classify mixed samples": ("finetune", "classify", ("task.mixup=0.8", "task.cutmix=1.0")),
    "segment": ("finetune", "segment", ("task.dice=1.0",)),
}
WARM_UP, STEPS = 2, 3


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("loading", ["resident", "streamed"])
@pytest.mark.parametrize("name", RUNS)
def test_steps_run_without_a_wait(name, loading, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    verb, task, sets = RUNS[name]
    if task == "segment" and loading == "streamed":
        pytest.skip("the canvases are in memory")
    flags = {"dataset.name": "digits", "task.name": task, "device": device}
    sets = (*SMALL, *STEADY, *sets, f"data.loading={loading}", "data.workers=1")
    built = open_run(request(Ask(verb, flags=flags, sets=sets), registry()), registry(), Progress().say)
    trainer = make_trainer(built, None, Progress())
    spec = built.spec
    batches = trainer.train_loader.train_batches(spec.augment, spec.train.batch_size, 0, WARM_UP + STEPS)
    try:
        for step, batch in enumerate(batches):
            trainer.train_step(batch)
            trainer.step += 1
            if device == "cuda" and step == WARM_UP - 1:  # what is made once may wait
                torch.cuda.set_sync_debug_mode("error")
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert trainer.step == WARM_UP + STEPS
    trainer.check_finite()
