"""The headers of very many pictures that were read before, kept in the cache of the user.

Shapes: N pictures, M that are known.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maecli.data.files.kept import remember, remembered
from maecli.data.files.sample_files import states_of
from maecli.data.views.by_key import NONE, Positions
from maecli.data.views.keys import Keys, are_equal
from maecli.modalities.pictures.headers import Headers

STATES = "states"

Probe = Callable[[Keys], tuple[Headers, NDArray[np.int64]]]
"""Reads the headers of some pictures; which of them are sound is returned beside these."""


def with_known(root: Path, keys: Keys, made_by: str, probe: Probe) -> Headers:
    """Return the headers of pictures below `root`: as they are known of unchanged files, else by `probe`.

    What was read is remembered. `made_by` says in words all that headers depend on besides their files.
    """
    states = states_of(keys, f"{os.fspath(root)}/")
    known, known_states = _known(root, made_by)
    places = _places(known.of, keys)
    places[(known_states[places] != states).any(1)] = NONE
    rest = np.flatnonzero(places == NONE)
    if not len(rest):
        return Headers(keys, known.sizes[places], known.kinds[places], known.infos)
    read, sound = probe(keys if len(rest) == len(keys) else keys.take(rest))
    sizes = np.append(known.sizes, read.sizes, axis=0)
    kinds = np.append(known.kinds, read.kinds + np.int32(len(known.infos)))
    places[rest[sound]] = len(known) + np.arange(len(sound))
    there = np.flatnonzero(places != NONE)
    keys, places = keys if len(there) == len(keys) else keys.take(there), places[there]
    headers = Headers(keys, sizes[places], kinds[places], [*known.infos, *read.infos])
    remember(root, made_by, {**headers.arrays(), STATES: states[there]})
    return headers


def _known(root: Path, made_by: str) -> tuple[Headers, NDArray[np.int64]]:
    """Return the headers that are remembered, and the states (M + 1, 2) of their files, the last one of no file."""
    none = np.full((1, 2), NONE)
    try:
        arrays = remembered(root, made_by)
        if arrays is not None:
            headers, states = Headers.of_arrays(arrays), arrays[STATES]
            if states.shape == (len(headers), 2) and states.dtype == np.int64:
                return headers, np.append(states, none, axis=0)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # it was damaged
        pass
    return Headers(Keys.of(()), np.empty((0, 2), np.int32), np.empty(0, np.int32), ()), none


def _places(known: Keys, keys: Keys) -> NDArray[np.int64]:
    """Return where each of the keys (N,) stands among those that are known, else `NONE`."""
    return np.arange(len(keys)) if are_equal(known, keys) else Positions(known).find(keys)
