"""All verbs of the command line."""

# Each adds its verbs, in the order of --help.
from maecli.cli import (  # noqa: I001
    train,  # noqa: F401
    plan,  # noqa: F401
    demo,  # noqa: F401
    sweep,  # noqa: F401
    eda,  # noqa: F401
    pack,  # noqa: F401
    eval,  # noqa: A004, F401
    infer,  # noqa: F401
    embed,  # noqa: F401
    export,  # noqa: F401
    bench,  # noqa: F401
    inspect,  # noqa: F401
    runs,  # noqa: F401
    results,  # noqa: F401
    recipes,  # noqa: F401
    schema,  # noqa: F401
    plugins,  # noqa: F401
)
from maecli.cli.application import app

__all__ = ["app"]
