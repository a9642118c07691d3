"""The features of an encoder: what it makes of samples, without masking, augmentation or dropout.

Shapes: N samples, P patches, D embed_dim, Q classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from maecli.data.loading import Loader
from maecli.errors import SpecError, nearest
from maecli.hardware import autocast
from maecli.models.encoder import Encoder
from maecli.models.heads import pool_tokens

Tokens = Literal["mean", "cls", "patches"]
TOKENS: tuple[Tokens, ...] = ("mean", "cls", "patches")


@dataclass(frozen=True)
class Features:
    """What an encoder makes of those samples of a split that can be read."""

    values: Tensor
    """(N, D), or (N, P, D) of all patches; float32, on the CPU."""
    keys: Sequence[str]
    labels: Tensor | None
    """The samples' field `label`, where they have one: (N,), or (N, Q)."""


def check_tokens(tokens: str, encoder: Encoder, flag: str, known: Sequence[Tokens] = TOKENS) -> Tokens:
    """Return what `flag` asks for. Raises SpecError for an unknown word, or for a class token that is not there."""
    for word in known:
        if tokens == word:
            if word == "cls" and encoder.num_prefix_tokens == 0:
                raise SpecError(f"{flag} cls needs an encoder with a class token, and this one has none; use mean")
            return word
    raise SpecError(f"{flag} {tokens!r} is none of {', '.join(known)}{nearest(tokens, known)}")


@torch.no_grad()
def extract(encoder: Encoder, loader: Loader, batch_size: int, dtype: torch.dtype, tokens: Tokens = "mean") -> Features:
    """Return the features of a loader's split, in its order; none where no sample can be read.

    mean: of the patch tokens; cls: the class token; patches: each patch's token. All come after the last norm.
    """
    was_training = encoder.training
    encoder.eval()
    values = [torch.zeros(0, encoder.embed_dim)]
    labels: list[Tensor] = []
    keys: list[str] = []
    for batch in loader.eval_batches(batch_size):
        with autocast(loader.device, dtype):
            made = encoder(batch["image"])
        made = made.float()  # before the mean, which bfloat16 would round
        if tokens == "patches":
            made = made[:, encoder.num_prefix_tokens :]
        else:
            made = pool_tokens(made, encoder.num_prefix_tokens, tokens)
        values.append(made.cpu())
        keys += batch.keys
        if "label" in batch:
            labels.append(batch["label"].cpu())
    encoder.train(was_training)
    return Features(torch.cat(values[1:] or values), keys, torch.cat(labels) if labels else None)
