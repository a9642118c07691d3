"""Pretrain vision transformers by masked autoencoding, fine-tune them, and know how good they are.

For code of your own, `maecli.load_encoder("runs/pretrain-mnist")` gives an encoder, and `maecli.MAEImputer()` fills in
the missing values of rows, in scikit-learn's conventions.
"""

TYPE_CHECKING = False  # as typing has it, whose import leaves time for a Ctrl-C that `main` is not yet there to hear

if TYPE_CHECKING:
    from typing import Any

    from maecli.imputer.imputer import MAEImputer
    from maecli.run.weights.pretrained import load_encoder

__version__ = "0.1.0"

__all__ = ["MAEImputer", "__version__", "load_encoder"]


def __getattr__(name: str) -> "Any":
    if name == "load_encoder":
        from maecli.run.weights.pretrained import load_encoder  # imports torch; keeps `mae --help` fast

        return load_encoder
    if name == "MAEImputer":
        from maecli.imputer.imputer import MAEImputer  # imports torch and scikit-learn

        return MAEImputer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
