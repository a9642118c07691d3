"""What an evaluator counted of each sample, as bytes that are kept beside the metrics, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from safetensors.torch import load, save

from maecli.results import Counted
from maecli.training.evaluator import SEEN, Evaluator

MAX_BYTES = 256 << 20
"""More is not kept: a million samples of a thousand classes, say, would be 4 GB beside every metric."""


def counted_of(evaluator: Evaluator[Any], names: Iterable[str]) -> Counted | None:
    """Return the state of an evaluator that kept rows of samples; `names` are those of the split, in order.

    None where it kept none, or very many.
    """
    state = evaluator.state()
    if SEEN not in state or sum(tensor.nbytes for tensor in state.values()) > MAX_BYTES:
        return None
    tensors = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
    return Counted(samples=_digest(names), tensors=save(tensors))


def load_counted(evaluator: Evaluator[Any], counted: Counted) -> Evaluator[Any]:
    """Return an evaluator that has counted what another one of the task did. Raises ValueError for damaged bytes."""
    try:
        evaluator.load_state(load(counted.tensors))
    except Exception as error:  # damaged headers make safetensors, and torch behind it, raise almost anything
        raise ValueError(f"no state of an evaluator: {' '.join(str(error).split())[:200]}") from error
    return evaluator


def _digest(names: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name in names:
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
