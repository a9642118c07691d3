"""`mae schema`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from maecli.cli.application import app, tells_errors
from maecli.errors import SpecError


@app.command(epilog="Example: mae schema finetune")
@tells_errors
def schema(
    verb: Annotated[str, typer.Argument(help="pretrain or finetune.")] = "pretrain",
) -> None:
    """Print the JSON Schema of a run's spec."""
    from maecli.errors import nearest
    from maecli.schema import SPECS

    if verb not in SPECS:
        raise SpecError(f"no spec for {verb!r}{nearest(verb, SPECS)}; there are {', '.join(SPECS)}")
    print(json.dumps(SPECS[verb].model_json_schema(), indent=2))
