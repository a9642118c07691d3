from __future__ import annotations

import numpy as np
import pytest
from maecli_plugins.datasets.folder.masks import MaskedFiles, MaskReading
from PIL import Image
from write_data import write_palette

from maecli.api.pictures import MaskCode, Reading, class_palette
from maecli.errors import BrokenSample
from maecli.modalities.pictures.masks.class_files import ClassList


def read_mask(root, mask, size, num_classes):
    """Return the mask of `images/1.jpg`, a picture of `size` that is not opened."""
    reading, names = Reading(3, "uint8"), tuple(str(i) for i in range(num_classes))
    how = MaskReading(ClassList(names, class_palette(num_classes), False), MaskCode())
    [sample] = MaskedFiles(
        root, ["images/1.jpg"], np.array([size]), reading, set(), images=False, masks=[mask], mask_reading=how
    )
    return sample["mask"]


def test_a_mask_is_read_as_numbers_or_as_colours(tmp_path):
    numbers = np.array([[0, 1, 2], [255, 0, 1]], np.uint8)
    write_palette(tmp_path / "masks/numbers.png", numbers)
    colours = np.array(class_palette(256), np.uint8)[numbers]
    Image.fromarray(colours).save(tmp_path / "masks/colours.png")
    for name in ("numbers", "colours"):
        read = read_mask(tmp_path, f"masks/{name}.png", (2, 3), 3)
        np.testing.assert_array_equal(read, numbers)


def test_a_mask_of_another_size_is_refused_with_both_sizes(tmp_path):
    write_palette(tmp_path / "masks/1.png", np.zeros((2, 3), np.uint8))
    with pytest.raises(BrokenSample) as caught:
        read_mask(tmp_path, "masks/1.png", (3, 2), 2)
    assert caught.value.fault.path == "masks/1.png"
    assert caught.value.fault.reason == "mask is 3×2 where images/1.jpg, upright, is 2×3 wide and high"


def test_a_damaged_mask_is_called_by_its_path_within_the_folder(tmp_path):
    (tmp_path / "1.png").touch()
    with pytest.raises(BrokenSample, match=r"^1\.png: empty file$"):
        read_mask(tmp_path, "1.png", (2, 3), 3)
