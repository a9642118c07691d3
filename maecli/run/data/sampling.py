"""How likely training is to draw each sample, by the classes that it shows.

Shapes: N samples, Q classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard
from maecli.data.dataset import Dataset
from maecli.data.labels import labels_by_key
from maecli.data.sample import Split
from maecli.data.sampling import Sampling, chances
from maecli.errors import SpecError
from maecli.run.data.class_counts import cells_by_position
from maecli.text import number_of


def sampling_chances(
    sampling: Sampling,
    dataset: Dataset,
    split: Split,
    card: DataCard,
    fields: Sequence[str],
    learner: str,
    say: Callable[[str], None],
) -> NDArray[np.float64] | None:
    """Return the chance (N,) of each training sample to be drawn; None where all are visited once.

    `fields` are those that `learner` learns from. Raises SpecError where it knows of no classes.
    """
    if sampling == "natural":
        return None
    present = np.zeros((len(split), card.num_classes if "label" in fields else len(card.mask_classes)), bool)
    if "label" in fields:
        labels = labels_by_key(dataset, "train", split)
        codes = labels.codes_of(split.keys)
        for code, label in enumerate(labels.distinct):
            present[codes == code] = label == (1 if card.multi_label else np.arange(card.num_classes))
    elif "mask" in fields:
        say(f"looking which classes {number_of(len(split), 'mask')} show, to draw rare ones more often")
        for i, cells in cells_by_position(dataset, split, card, range(len(split))).items():
            present[i] = cells > 0
    else:
        raise SpecError(
            f"data.sampling {sampling} draws samples by their classes, and {learner} learns without them; leave it out"
        )
    return chances(present, sampling)
