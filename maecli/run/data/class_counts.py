"""How often each class occurs in what is learnt from: known from the card, or counted.

Shapes: N samples, Q classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard
from maecli.data.dataset import Dataset
from maecli.data.labels import class_counts, labels_by_key
from maecli.data.sample import Split, TensorSplit
from maecli.data.statistics import cell_counts
from maecli.data.views.by_key import NONE, Positions
from maecli.data.views.keys import Keys, take
from maecli.eda.parallel import Scan
from maecli.errors import DataError
from maecli.text import number_of
from maecli.training.task import ClassField

MOST_MASKS = 1000
"""Masks of which the cells are counted, evenly spaced over the split; of more, these stand for all."""


def with_counts(
    card: DataCard, field: ClassField | None, dataset: Dataset, split: Split, say: Callable[[str], None]
) -> DataCard:
    """Return the card of training samples with the counts of the classes of `field`, where it lacks them."""
    if field == "label" and not card.class_counts:
        labels = labels_by_key(dataset, "train", split)
        present = class_counts(labels.distinct, labels.codes_of(split.keys), card.num_classes)
        return card.model_copy(update={"class_counts": present})
    if field == "mask" and not card.mask_counts:
        num = len(split)
        ids = np.arange(num) if num <= MOST_MASKS else np.arange(MOST_MASKS) * num // MOST_MASKS
        say(f"counting the cells of each class in {number_of(len(ids), 'mask')} of {num:,}")
        cells = dict(cells_by_position(dataset, split, card, ids))
        counts = sum(cells.values(), np.zeros(len(card.mask_classes), np.int64)) * (num / max(1, len(cells)))
        return card.model_copy(update={"mask_counts": tuple(np.rint(counts).astype(int).tolist())})
    return card


def cells_by_position(
    dataset: Dataset, split: Split, card: DataCard, ids: Sequence[int] | NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield the cells (Q,) of each class in the masks at some positions of the training split, opening no picture.

    Masks that cannot be read are left out; they are told of when they are read for use.
    """
    source, positions = split, np.asarray(ids, np.int64)
    if not isinstance(split, TensorSplit):
        source = dataset.split("train", ("mask",))
        masked = Positions(Keys.of(source.keys)).find(take(split.keys, positions))
        positions = positions[masked != NONE]
        wanted = masked[masked != NONE].tolist()
    else:
        wanted = positions.tolist()
    scan, num = Scan(), len(card.mask_classes)

    def count(index: int) -> NDArray[np.int64]:
        if isinstance(source, TensorSplit):
            return cell_counts(source.tensors["mask"][wanted[index]].cpu().numpy(), num)
        return cell_counts(np.asarray(source[wanted[index]]["mask"]), num)

    for cells in scan.read(count, len(wanted), lambda: None):
        yield int(positions[scan.ids[-1]]), cells
    if wanted and not scan.ids:
        raise DataError(f"none of the masks of {card.name} can be read ({scan.faults[0]})")
