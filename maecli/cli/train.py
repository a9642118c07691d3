"""What `mae pretrain` and `mae finetune` have in common."""

from __future__ import annotations

from typing import Any

from maecli.cli.application import stderr_console, user_errors
from maecli.cli.help_options import show_chosen_options
from maecli.cli.options import (
    VerifyDataOption,
    asked_for,
)
from maecli.cli.show import show_dry_run, show_training

OF_TRAINING: dict[str, tuple[Any, Any]] = {"verify_data": (VerifyDataOption, False)}
"""What only the verbs that train know, as (annotation, default)."""


def train_by(verb: str, given: dict[str, Any]) -> None:
    with user_errors(given["as_json"]):
        if given["help_options"]:
            show_chosen_options(verb, given)
            return
        from maecli.progress import train_progress
        from maecli.registry import registry
        from maecli.run.dry_run import dry_run
        from maecli.run.request import request
        from maecli.run.train import train

        progress = train_progress(stderr_console(given["quiet"]))
        resolved = request(verb, registry(), **asked_for(given), resume=given["resume"])
        if given["verbose"]:
            for key, source in sorted(resolved.sources.items()):
                progress.say(f"{key}: from {source}")
        if given["dry_run"]:
            show_dry_run(dry_run(resolved.spec, registry(), progress), given["as_json"])
            return
        how = {name: given[name] for name in ("resume", "overwrite", "verify_data")}
        result = train(resolved.spec, registry(), progress, **how)
        show_training(result, given["as_json"])
