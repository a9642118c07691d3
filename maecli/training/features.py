"""The features of an encoder: what it makes of samples, without masking, augmentation or dropout.

Shapes: N samples, P patches, D embed_dim, Q classes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from maecli.errors import Fault, SpecError, nearest
from maecli.hardware import autocast, copy_to_cpu
from maecli.loading.loader import Loader
from maecli.models.encoder import Encoder
from maecli.models.heads import pool_tokens
from maecli.parallel.rounds import shared
from maecli.parallel.world import ALONE, World
from maecli.training.finite import NOT_FINITE, not_finite

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


def extract(
    encoder: Encoder,
    loader: Loader,
    batch_size: int,
    dtype: torch.dtype,
    tokens: Tokens = "mean",
    world: World = ALONE,
) -> Features:
    """Return the features of a loader's split, in its order; none where no sample gives any. See `blocks`."""
    values = [torch.zeros(0, encoder.embed_dim)]
    labels: list[Tensor] = []
    keys: list[str] = []
    for block in blocks(encoder, loader, batch_size, dtype, tokens, world):
        values.append(block.values)
        keys += block.keys
        if block.labels is not None:
            labels.append(block.labels)
    return Features(torch.cat(values[1:] or values), keys, torch.cat(labels) if labels else None)


def blocks(
    encoder: Encoder,
    loader: Loader,
    batch_size: int,
    dtype: torch.dtype,
    tokens: Tokens = "mean",
    world: World = ALONE,
) -> Iterator[Features]:
    """Yield the features of a loader's split, a batch at a time, in its order.

    Of several processes each makes a part, and the first yields what all have made; a batch of which nothing can be
    used may then bring the next ones out of order.

    mean: of the patch tokens; cls: the class token; patches: each patch's token, 0 where all its cells are missing. All
    come after the last norm. Samples whose features are not finite are left out, and the loader's `on_fault` is told of
    them.
    """
    own = _own_blocks(encoder, loader, batch_size, dtype, tokens, (world.rank, world.size))
    return own if world.size == 1 else shared(own, loader, world)


@torch.no_grad()
def _own_blocks(
    encoder: Encoder, loader: Loader, batch_size: int, dtype: torch.dtype, tokens: Tokens, part: tuple[int, int]
) -> Generator[Features, None, None]:
    was_training = encoder.training
    encoder.eval()
    previous: Iterator[Features] = iter(())
    for batch in loader.eval_batches(batch_size, part=part):
        with autocast(loader.device, dtype):
            valid = batch.tensors.get("valid")
            made = encoder(batch["image"], valid=valid)
        made = made.float()  # before the mean, which bfloat16 would round
        if tokens == "patches":
            made = made[:, encoder.num_prefix_tokens :]
        else:
            made = pool_tokens(made, encoder.num_prefix_tokens, tokens, encoder.present(valid))
        labels = copy_to_cpu(batch["label"]) if "label" in batch else None
        current = _finite(loader, batch.keys, copy_to_cpu(made), labels)
        yield from previous  # while the device does the current one
        previous = current
    yield from previous
    encoder.train(was_training)


def _finite(
    loader: Loader, keys: Sequence[str], values: Callable[[], Tensor], labels: Callable[[], Tensor] | None
) -> Iterator[Features]:
    """Yield the features of those samples of a batch for which they are finite, if there are any."""
    made, numbers = values(), labels() if labels is not None else None
    if gone := not_finite(made):
        for i in gone:
            loader.on_fault(Fault(keys[i], NOT_FINITE))
        kept = [i for i in range(len(made)) if i not in gone]
        made, keys, numbers = made[kept], [keys[i] for i in kept], numbers[kept] if numbers is not None else None
    if len(made):
        yield Features(made, keys, numbers)
