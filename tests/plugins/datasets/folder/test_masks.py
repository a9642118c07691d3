from __future__ import annotations

import numpy as np
import pytest
from maecli_plugins.datasets.folder.masks import MaskedFiles, background_of, read_classes
from PIL import Image
from write_data import write_palette

from maecli.api.pictures import Reading, class_palette
from maecli.errors import BrokenSample, DataError


def test_class_names_are_numbered_by_their_lines(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_bytes("\ufeffbackground\r\n  grey cat \r\n#dog\r\n\r\n".encode())
    assert read_classes(path) == ("background", "grey cat", "#dog")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "classes.txt is missing; write one class name per line: the first line names the pixels of number 0"),
        ("\n \n", "classes.txt is empty; write one class name per line"),
        ("a\n\nb\n", "classes.txt, line 2: no name for the class 1; write one class name per line"),
        ("a\nb\na\n", "classes.txt, line 3: 'a' is class 0 already"),
        ("".join(f"{i}\n" for i in range(256)), "has 256 lines; a mask holds up to 255 classes, and 255 means"),
        ("größe".encode("latin-1"), "classes.txt: not UTF-8 text; save it in UTF-8"),
    ],
)
def test_a_bad_list_of_classes_says_what_to_write(tmp_path, text, words):
    path = tmp_path / "classes.txt"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as caught:
        read_classes(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_a_list_of_classes_that_is_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read \(.*[Ii]s a directory"):
        read_classes(tmp_path)


@pytest.mark.parametrize("name", ["background", "Background", "BG", "_background_"])
def test_the_first_class_may_be_the_background(name):
    assert background_of((name, "cat")) == 0
    assert background_of(("cat", name)) is None
    assert background_of(()) is None


def read_mask(root, mask, size, num_classes):
    """Return the mask of `images/1.jpg`, a picture of `size` that is not opened."""
    reading, names = Reading(3, "uint8"), [str(i) for i in range(num_classes)]
    [sample] = MaskedFiles(
        root, ["images/1.jpg"], np.array([size]), reading, set(), images=False, masks=[mask], names=names
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


def test_names_of_classes_have_a_size(tmp_path):
    (tmp_path / "classes.txt").write_text("a" * (2**20 + 1))
    with pytest.raises(DataError, match="has more than 1,048,576 characters"):
        read_classes(tmp_path / "classes.txt")
