"""`mae pretrain`."""

from __future__ import annotations

from typing import Any

from maecli.cli.application import app
from maecli.cli.help_options import HELP_OPTIONS
from maecli.cli.options import OF_FINETUNE, run_options
from maecli.cli.train import OF_TRAINING, train_by


@app.command()
@run_options("task", *OF_FINETUNE, more=HELP_OPTIONS | OF_TRAINING)
def pretrain(**given: Any) -> None:
    """Pretrain a masked autoencoder on unlabelled data."""
    train_by("pretrain", given)
