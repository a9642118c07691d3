"""The features of an encoder: what it makes of samples, without masking, augmentation or dropout.

Shapes: N samples, P patches, D embed_dim, Q classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from maecli.errors import Fault, SpecError, nearest
from maecli.hardware import autocast
from maecli.loading.loader import Loader
from maecli.models.encoder import Encoder
from maecli.models.heads import pool_tokens
from maecli.training.finite import NOT_FINITE, not_finite, without

Tokens = Literal["mean", "cls", "patches"]
TOKENS: tuple[Tokens, ...] = ("mean", "cls", "patches")


@dataclass(frozen=True)
class Features:
    """What an encoder makes of those samples that can be read and give finite features."""

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


def extract(encoder: Encoder, loader: Loader, batch_size: int, dtype: torch.dtype, tokens: Tokens = "mean") -> Features:
    """Return the features of a loader's split, in its order; none where no sample gives any. See `blocks`."""
    values = [torch.zeros(0, encoder.embed_dim)]
    labels: list[Tensor] = []
    keys: list[str] = []
    for block in blocks(encoder, loader, batch_size, dtype, tokens):
        values.append(block.values)
        keys += block.keys
        if block.labels is not None:
            labels.append(block.labels)
    return Features(torch.cat(values[1:] or values), keys, torch.cat(labels) if labels else None)


@torch.no_grad()
def blocks(
    encoder: Encoder, loader: Loader, batch_size: int, dtype: torch.dtype, tokens: Tokens = "mean"
) -> Iterator[Features]:
    """Yield the features of a loader's split, a batch at a time, in its order.

    mean: of the patch tokens; cls: the class token; patches: each patch's token. All come after the last norm. Samples
    whose features are not finite are left out, and the loader's `on_fault` is told of them.
    """
    was_training = encoder.training
    encoder.eval()
    for batch in loader.eval_batches(batch_size):
        with autocast(loader.device, dtype):
            made = encoder(batch["image"])
        made = made.float()  # before the mean, which bfloat16 would round
        if tokens == "patches":
            made = made[:, encoder.num_prefix_tokens :]
        else:
            made = pool_tokens(made, encoder.num_prefix_tokens, tokens)
        made = made.cpu()
        if gone := not_finite(made):
            for i in gone:
                loader.on_fault(Fault(batch.keys[i], NOT_FINITE))
            made = made[[i for i in range(len(made)) if i not in gone]]
            batch = without(batch, gone)
        if len(batch):
            yield Features(made, batch.keys, batch["label"].cpu() if "label" in batch else None)
    encoder.train(was_training)
