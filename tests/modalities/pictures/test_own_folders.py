"""Which files of a person's folder are pictures to a model that was trained on others."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from cards import card
from write_data import write_picture

from maecli.data.file_reading import FileReading, FolderReading
from maecli.modalities.pictures.modality import Pictures

GREY = np.zeros((8, 8), np.uint8)


def keys_in(root, layout):
    facts = card(channels=1).model_copy(update={"dtype": "uint8", "files": FileReading(layout=layout)})
    return list(Pictures().open(root, facts, (8, 8))[1].keys)


@pytest.mark.parametrize("layout", get_args(FolderReading))
def test_a_flat_folder_is_all_pictures_however_the_run_read_its_own(tmp_path, layout):
    for name in ("1.png", "2.png", "test/3.png", "new/4.png"):
        write_picture(tmp_path / name, GREY)
    assert sorted(keys_in(tmp_path, layout)) == ["1.png", "2.png", "new/4.png", "test/3.png"]


@pytest.mark.parametrize(("layout", "num"), [("auto", 2), ("masks", 2), ("flat", 4)])
def test_masks_are_no_pictures_unless_the_run_said_so(tmp_path, layout, num):
    for folder in ("images", "masks"):
        for name in ("1.png", "2.png"):
            write_picture(tmp_path / folder / name, GREY)
    assert len(keys_in(tmp_path, layout)) == num
