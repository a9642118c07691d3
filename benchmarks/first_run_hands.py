"""Settings made by hand, against which the plan is measured: at most six per set, each within the same five minutes.

Epochs are such that the three verbs end in time on two cores at rest, with about 480 seconds of one busy core for all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_HANDS = 6


@dataclass(frozen=True)
class Hand:
    """One setting, as what is typed behind `mae pretrain` and `mae finetune`."""

    name: str
    pretrain: Sequence[str] | None = ()
    """None: from scratch."""
    finetune: Sequence[str] = ()


Changes = Mapping[str, object]
"""Values by dotted key, for `--set`."""
PHOTOS: Changes = {"augment.crop": "random-resized", "augment.crop_scale": [0.3, 1.0], "augment.flip": True}
DIGITS: Changes = {
    "augment.crop": "none",
    "augment.flip": False,
    "augment.rotate": 10,
    "augment.translate": 2,
    "augment.zoom": [0.9, 1.1],
}
TUNED: Changes = {"train.layer_decay": 0.75, "train.ema_decay": 0.99}
SCRATCH: Changes = {"train.layer_decay": 1, "train.ema_decay": 0.99}


def words(model: str, size: int, patch: int, batch: int, rate: float, epochs: int, changes: Changes) -> list[str]:
    """Return what is typed for a run; `rate` is the learning rate itself, and a twelfth of the epochs is warm-up."""
    flags = {"model": model, "img-size": size, "patch-size": patch, "batch-size": batch, "epochs": epochs}
    usual = {
        "train.base_lr": round(rate * 256 / batch, 6),
        "train.warmup_epochs": round(epochs / 12, 2),
        "eval_every_epochs": max(1, epochs // 5),
        "checkpoint.every_epochs": max(1, epochs // 5),
    }
    typed = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    sets = (f"{key}={json.dumps(value)}" for key, value in {**usual, **changes}.items())
    return [*typed, *(word for each in sets for word in ("--set", each))]


def _hands(
    size: int, patch: int, epochs: tuple[int, int, int], changes: Changes = PHOTOS, batch: int = 32, rate: float = 1e-3
) -> tuple[Hand, Hand]:
    """Return the setting that did best on most sets, and the same model from scratch.

    `epochs` are those of pretraining, of fine-tuning after it, and of training from scratch for the whole time.
    """
    pretrain, finetune, scratch = (
        words("vit-lite", size, patch, batch, rate, num, {**changes, **own})
        for num, own in zip(epochs, ({}, TUNED, SCRATCH), strict=True)
    )
    return Hand("pretrained", pretrain, finetune), Hand("scratch", None, scratch)


HANDS: Mapping[str, Sequence[Hand]] = {
    "tin-3": _hands(64, 8, (240, 50, 250)),
    "tin-20": _hands(64, 8, (60, 25, 55)),
    "voc-40": _hands(64, 8, (1500, 150, 300), batch=8, rate=5e-4),
    "voc-151": _hands(64, 8, (500, 100, 150), batch=8, rate=5e-4),
    "cifar-500": _hands(32, 4, (350, 50, 200)),
    "cifar-5000": _hands(32, 4, (25, 9, 20)),
    "cifar-45000": _hands(32, 4, (3, 1, 2)),
    "mnist-200": _hands(28, 4, (600, 250, 500), DIGITS),
    "mnist-60000": _hands(28, 4, (2, 1, 2), DIGITS),
}
