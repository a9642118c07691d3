"""`mae finetune`."""

from __future__ import annotations

from typing import Any

from maecli.cli.application import app
from maecli.cli.help_options import HELP_OPTIONS
from maecli.cli.options import run_options
from maecli.cli.train import OF_TRAINING, train_by


@app.command()
@run_options("mask_ratio", "mask", more=HELP_OPTIONS | OF_TRAINING)
def finetune(**given: Any) -> None:
    """Fine-tune a pretrained encoder (or one from scratch) for a task."""
    train_by("finetune", given)
