"""`mae finetune`."""

from __future__ import annotations

from typing import Any

from maecli.cli.application import app
from maecli.cli.options import asks
from maecli.cli.train import train
from maecli.spec.ask import Ask


@app.command()
@asks("finetune", like=train)
def finetune(ask: Ask, **options: Any) -> None:
    """Fine-tune a pretrained encoder (or one from scratch) for a task."""
    train(ask, **options)
