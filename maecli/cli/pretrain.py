"""`mae pretrain`."""

from __future__ import annotations

from typing import Any

from maecli.cli.application import app
from maecli.cli.options import asks
from maecli.cli.train import train
from maecli.spec.ask import Ask


@app.command()
@asks("pretrain", like=train)
def pretrain(ask: Ask, **options: Any) -> None:
    """Pretrain a masked autoencoder on unlabelled data."""
    train(ask, **options)
