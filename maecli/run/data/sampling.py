"""How likely training is to draw each sample, by the classes that it shows.

Shapes: N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from maecli.data.card import DataCard
from maecli.data.dataset import Dataset
from maecli.data.labels import classes_of, labels_by_key
from maecli.data.sample import Split
from maecli.data.sampling import Sampling, chances
from maecli.data.views.by_key import NONE
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
    if "label" in fields:
        labels = labels_by_key(dataset, "train", split)
        return chances(labels.codes_of(split.keys), [*map(classes_of, labels.distinct)], sampling)
    if "mask" in fields:
        say(f"looking which classes {number_of(len(split), 'mask')} show, to draw rare ones more often")
        codes, shown = np.full(len(split), NONE, np.int32), dict[tuple[int, ...], int]()
        for i, cells in cells_by_position(dataset, split, card, range(len(split))):
            codes[i] = shown.setdefault(tuple(np.flatnonzero(cells).tolist()), len(shown))
        return chances(codes, [*shown], sampling)
    raise SpecError(
        f"data.sampling {sampling} draws samples by their classes, and {learner} learns without them; leave it out"
    )
