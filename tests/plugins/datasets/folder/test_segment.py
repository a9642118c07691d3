from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from maecli_plugins.datasets.folder.dataset import Folder
from PIL import Image
from write_data import noise, rotated_jpeg, write_class_folders, write_mask_folder, write_palette, write_picture

from maecli import api

FIELDS = ("image", "mask")
PLAIN = ("image",)


def reasons(data: Folder) -> dict[str, str]:
    return {fault.path: fault.reason for fault in data.faults()}


def folder(root: Path, **options) -> Folder:
    return Folder(Folder.Options(root=root, **options))


def everything(root: Path) -> Folder:
    return folder(root, val_share=0, test_share=0)


def keys_of(data: Folder, fields=FIELDS) -> dict[str, list[str]]:
    return {name: list(data.split(name, fields).keys) for name in api.SPLIT_NAMES}


def error_of(data: Folder) -> str:
    with pytest.raises(api.DataError) as caught:
        data.card(FIELDS)
    with pytest.raises(api.DataError):
        data.split("train", FIELDS)
    return str(caught.value)


def fault_of(data: Folder, key: str) -> api.Fault:
    split = data.split("train", FIELDS)
    with pytest.raises(api.BrokenSample) as caught:
        split[split.keys.index(key)]
    assert caught.value.fault in data.faults()
    return caught.value.fault


def test_pictures_and_masks_of_one_name_are_samples(tmp_path):
    names = write_mask_folder(tmp_path, 6)
    split = everything(tmp_path).split("train", FIELDS)
    assert split.files(1) == [tmp_path / "images" / names[1], tmp_path / "masks" / names[1]]
    assert everything(tmp_path).split("train", PLAIN).files(1) == [tmp_path / "images" / names[1]]
    assert split.keys == [f"images/{name}" for name in names]
    for i in range(6):
        sample = split[i]
        assert set(sample) == {"image", "mask"}
        assert (sample["image"].shape, sample["mask"].shape, sample["mask"].dtype) == ((3, 8, 10), (8, 10), np.uint8)
        assert sample["mask"][3, 2] == 1 + i % 2
        assert sample["mask"][6, 2] == api.pictures.VOID
        assert (sample["image"][1 + i % 2, 2:7, 1:5] == 255).all()
        assert (sample["mask"] == 0).sum() == 80 - 20


def test_over_255_classes_lie_in_masks_of_16_bits(tmp_path):
    names = write_mask_folder(tmp_path, 12, ["background", *(f"kind {i}" for i in range(1, 300))])
    for i, name in enumerate(names):
        mask = np.zeros((8, 10), np.uint16)
        mask[:4], mask[-1] = (255, 256, 299)[i % 3], 65_535
        write_picture(tmp_path / "masks" / name, mask)
    data = folder(tmp_path)
    card, split = data.card(FIELDS), data.split("train", FIELDS)
    assert (len(card.mask_classes), card.background, card.void) == (300, 0, 65_535)
    assert {*np.unique([split[i]["mask"] for i in range(len(split))]).tolist()} == {0, 255, 256, 299, 65_535}
    assert not [*data.all_faults()]
    assert data.card().void == 255, "which is nobody's without masks"
    write_picture(tmp_path / "masks" / names[0], np.full((8, 10), 300, np.uint16))
    reason = "mask has the number 300; classes are 0 to 299, and 65535 is void"
    assert [fault.reason for fault in folder(tmp_path).all_faults()] == [reason]


def test_the_card_names_the_classes_of_masks(tmp_path):
    write_mask_folder(tmp_path, 20)
    card = folder(tmp_path).card(FIELDS)
    assert card.fields == ("image", "mask")
    assert card.mask_classes == ("background", "cat", "dog")
    assert card.mask_palette == ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    assert card.background == 0
    assert (card.size, card.classes) == ((8, 10), ())
    assert card.split_sizes == {"train": 16, "val": 2, "test": 2}
    assert "of pictures with a mask only" in card.split_origin


def test_a_first_class_of_another_name_is_something(tmp_path):
    write_mask_folder(tmp_path, 5, ("sky", "sea"))
    assert folder(tmp_path).card(FIELDS).background is None


def test_masks_are_never_pictures(tmp_path):
    names = write_mask_folder(tmp_path, 5)
    card = everything(tmp_path).card()
    assert card.split_sizes["train"] == 5
    assert list(everything(tmp_path).split("train").keys) == [f"images/{name}" for name in names]
    assert not any("ignored" in note for note in card.notes)


def test_masks_of_other_names_without_images_beside_them_are_a_class(tmp_path):
    write_class_folders(tmp_path, ("masks", "faces"), num=5)
    for path in (tmp_path / "masks").iterdir():
        path.rename(path.with_stem(f"v{path.stem}"))
    assert folder(tmp_path).card().classes == ("faces", "masks")


def test_masks_or_a_class_of_the_same_names_are_refused_with_both_readings(tmp_path):
    write_class_folders(tmp_path, ("masks", "faces"), num=5)
    with pytest.raises(api.DataError) as caught:
        folder(tmp_path).card()
    assert str(caught.value) == (
        f"{tmp_path}: masks/ holds files of the same names as faces/, which can be read in two ways: masks of the "
        "pictures in faces/ (--set dataset.layout=masks) or a class beside faces/ (--set dataset.layout=classes); "
        "choose one of them"
    )
    assert folder(tmp_path, layout="classes").card().classes == ("faces", "masks")
    assert len(folder(tmp_path, layout="masks", val_share=0, test_share=0).split("train")) == 5


def test_pretraining_needs_neither_sound_masks_nor_class_names(tmp_path):
    names = write_mask_folder(tmp_path, 5)
    (tmp_path / "classes.txt").unlink()
    for name in names:
        (tmp_path / "masks" / name).write_bytes(b"")
    data = everything(tmp_path)
    assert (data.card().fields, data.card().mask_classes) == (("image",), ())
    assert set(data.split("train")[0]) == {"image"}
    assert not data.faults()


def test_the_same_pictures_are_test_with_and_without_masks(tmp_path):
    write_mask_folder(tmp_path, 30)
    data = folder(tmp_path)
    assert keys_of(data, PLAIN) == keys_of(data)


def test_pictures_without_a_mask_stay_in_train_and_do_not_count(tmp_path):
    names = write_mask_folder(tmp_path, 30)
    for name in names[:10]:
        (tmp_path / "masks" / name).unlink()
    write_picture(tmp_path / "more/1.png", noise(0, 8, 10, 3))
    data = folder(tmp_path)
    bare = {f"images/{name}" for name in names[:10]} | {"more/1.png"}
    assert bare <= set(keys_of(data, PLAIN)["train"])
    assert data.card(FIELDS).split_sizes == {"train": 16, "val": 2, "test": 2}
    assert not bare & set(keys_of(data)["train"])
    assert data.card().split_sizes == {"train": 27, "val": 2, "test": 2}
    named = ", ".join(f"images/{name}" for name in sorted(names[:10])[:3])
    assert f"11 pictures have no mask: {named} and 8 more" in data.card().notes


def test_one_picture_without_a_mask_is_named(tmp_path):
    names = write_mask_folder(tmp_path, 5)
    (tmp_path / "masks" / names[1]).unlink()
    assert f"1 picture has no mask: images/{names[1]}" in folder(tmp_path).card().notes


def test_split_folders_below_images_are_kept(tmp_path):
    for name, num in (("train", 5), ("valid", 2), ("test", 3)):
        write_mask_folder(tmp_path / name, num)
        for kind in ("images", "masks"):
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / name / kind).rename(tmp_path / kind / name)
        shutil.move(tmp_path / name / "classes.txt", tmp_path / "classes.txt")
        (tmp_path / name).rmdir()
    data = folder(tmp_path)
    assert data.card(FIELDS).split_sizes == {"train": 5, "val": 2, "test": 3}
    assert data.card(FIELDS).classes == ()
    assert data.split("val", FIELDS).keys == ["images/valid/000.png", "images/valid/001.png"]
    assert data.split("val", FIELDS)[0]["mask"].shape == (8, 10)


def test_folders_below_images_are_classes(tmp_path):
    for number, name in enumerate(("cat", "dog")):
        for i in range(10):
            write_picture(tmp_path / f"images/{name}/{i}.jpg", noise(i, 8, 8, 3))
            if i < 5:
                write_palette(tmp_path / f"masks/{name}/{i}.png", np.full((8, 8), number, np.uint8))
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    data = folder(tmp_path, val_share=0.2, test_share=0.2)
    card = data.card()
    assert (card.classes, card.fields) == (("cat", "dog"), ("image", "label", "mask"))
    assert card.split_sizes == {"train": 12, "val": 4, "test": 4}
    assert data.card(FIELDS).split_sizes == {"train": 6, "val": 2, "test": 2}  # stratified by mask too
    sample = data.split("train", ("image", "label", "mask"))[0]
    assert set(sample) == {"image", "label", "mask"}
    assert (sample["mask"] == sample["label"]).all()


def test_a_table_may_give_splits_and_groups_without_labels(tmp_path):
    names = write_mask_folder(tmp_path, 6)
    rows = [f"images/{names[0]},,test,p", f"images/{names[1]},,,p", f"images/{names[2]},,val,"]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,split,group", *rows]))
    keys = keys_of(folder(tmp_path))
    assert keys["test"] == [f"images/{name}" for name in names[:2]]
    assert keys["val"] == [f"images/{names[2]}"]
    assert len(keys["train"]) == 3


def test_a_mask_stands_beside_the_upright_picture(tmp_path):
    write_mask_folder(tmp_path, 3)
    for name, shape in (("right", (32, 16)), ("wrong", (16, 32))):
        (tmp_path / f"images/{name}.jpg").write_bytes(rotated_jpeg(6))  # stored as (16, 32)
        write_palette(tmp_path / f"masks/{name}.png", np.eye(*shape, dtype=np.uint8))
    data = everything(tmp_path)
    split = data.split("train", FIELDS)
    position = split.keys.index("images/right.jpg")
    sample = split[position]
    assert split.size(position) == sample["image"].shape[1:] == sample["mask"].shape == (32, 16)
    np.testing.assert_array_equal(sample["mask"], np.eye(32, 16))
    reason = "mask is 32×16 where images/wrong.jpg, upright, is 16×32 wide and high"
    assert fault_of(data, "images/wrong.jpg") == api.Fault("masks/wrong.png", reason)


def test_rgb_masks_have_the_colours_of_the_card(tmp_path):
    names = write_mask_folder(tmp_path, 3)
    mask = np.array(Image.open(tmp_path / "masks" / names[0]))
    palette = folder(tmp_path).card(FIELDS).mask_palette
    colours = np.array([*palette, *[api.pictures.VOID_COLOUR] * 253], np.uint8)[mask]
    write_picture(tmp_path / "masks" / names[0], colours)
    np.testing.assert_array_equal(everything(tmp_path).split("train", FIELDS)[0]["mask"], mask)


def spoil(root: Path) -> dict[str, str]:
    """Break one rule after the other in a folder of masks, and return path → the beginning of what is to be said."""
    names = write_mask_folder(root, 8)
    write_palette(root / "masks" / names[0], np.zeros((8, 9), np.uint8))
    write_palette(root / "masks" / names[1], np.full((8, 10), 37, np.uint8))
    (root / "masks" / names[2]).write_bytes(b"")
    (root / "masks" / names[3]).write_bytes((root / "masks" / names[4]).read_bytes()[:-40])
    write_picture(root / f"images/{Path(names[4]).stem}.jpg", noise(0, 8, 10, 3))
    write_palette(root / "masks/lost.png", np.zeros((8, 10), np.uint8))
    write_picture(root / f"masks/{Path(names[5]).stem}.jpg", noise(0, 8, 10, 3))
    (root / "images" / names[6]).write_bytes(b"")
    return {
        f"images/{names[6]}": "empty file",
        f"masks/{names[0]}": f"mask is 9×8 where images/{names[0]}, upright, is 10×8 wide and high",
        f"masks/{names[1]}": "mask has the number 37; classes are 0 to 2, and 255 is void",
        f"masks/{names[2]}": "empty file",
        f"masks/{names[3]}": "damaged file: broken PNG file",
        f"masks/{names[4]}": "mask of 2 pictures: images/004.jpg and images/004.png; rename one of them",
        f"masks/{Path(names[5]).stem}.jpg": "is a JPEG, in which neighbouring classes bleed",
        "masks/lost.png": "mask without a picture: there is no images/lost.*",
    }


@pytest.mark.parametrize("used", [False, True])
def test_every_broken_rule_is_told_once_with_its_path(tmp_path, used):
    expected = spoil(tmp_path)
    data = everything(tmp_path)
    if used:
        data.card(FIELDS)
    faults = list(data.all_faults())
    assert sorted(fault.path for fault in faults) == sorted(expected)
    for fault in faults:
        assert fault.reason.startswith(expected[fault.path])


def test_one_bad_mask_breaks_its_own_sample_alone(tmp_path):
    expected = spoil(tmp_path)
    data = everything(tmp_path)
    split = data.split("train", FIELDS)
    assert split.keys == [f"images/00{i}.png" for i in (0, 1, 2, 3, 5, 7)]
    for i in range(4):
        fault = fault_of(data, f"images/00{i}.png")
        assert fault.path == f"masks/00{i}.png"
        assert fault.reason.startswith(expected[fault.path])
    assert set(split[4]) == set(split[5]) == {"image", "mask"}
    assert "masks/lost.png" in reasons(data)


def test_faults_of_a_folder_without_class_names_say_what_to_write(tmp_path):
    write_mask_folder(tmp_path, 3)
    (tmp_path / "classes.txt").unlink()
    [fault] = everything(tmp_path).all_faults()
    assert fault.path == "classes.txt"
    assert fault.reason.startswith(f"{tmp_path / 'classes.txt'} is missing; write one class name per line")
    assert error_of(everything(tmp_path)) == fault.reason


def test_a_folder_without_masks_has_no_more_faults(tmp_path):
    write_class_folders(tmp_path, num=3)
    assert list(folder(tmp_path).all_faults()) == []


def test_a_sound_folder_of_masks_has_no_faults(tmp_path):
    write_mask_folder(tmp_path, 5)
    assert list(folder(tmp_path).all_faults()) == []


def test_masks_of_0_and_255_alone_are_refused(tmp_path):
    names = write_mask_folder(tmp_path, 5, ("background", "cat"))
    for name in names:
        write_palette(tmp_path / "masks" / name, np.eye(8, 10, dtype=np.uint8) * 255)
    rule = (
        "masks hold nothing but 0 and 255, which means not judged; write the number of the class where they say 255, "
        "or let 255 be cat by --set dataset.mask_foreground=255"
    )
    assert error_of(everything(tmp_path)) == f"{tmp_path / 'masks'}: {rule}"
    assert list(everything(tmp_path).all_faults()) == [api.Fault("masks", rule)]


def test_without_masks_the_error_says_how_to_give_them(tmp_path):
    write_class_folders(tmp_path, num=3)
    assert error_of(folder(tmp_path)) == (
        f"{tmp_path} has no masks; put the pictures into images/, their masks as PNG files of the same names into "
        "masks/, and the names of the classes into classes.txt: the mask of images/a/1.jpg is masks/a/1.png"
    )


def test_an_empty_folder_of_masks_says_how_they_are_named(tmp_path):
    names = write_mask_folder(tmp_path, 2)
    for name in names:
        (tmp_path / "masks" / name).unlink()
    assert error_of(folder(tmp_path)) == (
        f"no picture in {tmp_path / 'images'} that can be read has a mask; the mask of images/a/1.jpg is masks/a/1.png"
    )


def test_masks_of_other_names_say_so(tmp_path):
    names = write_mask_folder(tmp_path, 2)
    for name in names:
        (tmp_path / "masks" / name).rename(tmp_path / "masks" / f"mask of {name}")
    assert error_of(folder(tmp_path)) == (
        f"none of the files in {tmp_path / 'masks'} is the mask of a picture; masks/mask of 000.png, for one: "
        "mask without a picture: there is no images/mask of 000.*"
    )


def test_statistics_need_no_full_decoding(tmp_path):
    write_mask_folder(tmp_path, 2)
    write_picture(tmp_path / "images/large.jpg", noise(0, 64, 128, 3))
    split = everything(tmp_path).split("train")
    position = split.keys.index("images/large.jpg")
    (tmp_path / "images/000.png").unlink()
    assert split.size(split.keys.index("images/000.png")) == (8, 10)
    assert split.size(position) == (64, 128)
    assert split.small(position, 16).shape == (3, 16, 32)


def test_masks_alone_need_no_decoded_picture(tmp_path):
    names = write_mask_folder(tmp_path, 2)
    split = everything(tmp_path).split("train", ("mask",))
    (tmp_path / "images" / names[0]).unlink()
    assert set(split[0]) == {"mask"}


def test_splits_with_masks_travel_to_loader_workers(tmp_path):
    write_mask_folder(tmp_path, 3)
    split = everything(tmp_path).split("train", FIELDS)
    copy = pickle.loads(pickle.dumps(split))
    np.testing.assert_array_equal(copy[0]["mask"], split[0]["mask"])


def test_two_folders_of_masks_of_the_same_pictures_are_refused_for_segmentation_alone(tmp_path):
    write_mask_folder(tmp_path, 4)
    (tmp_path / "masks").rename(tmp_path / "masks_human")
    shutil.copytree(tmp_path / "masks_human", tmp_path / "masks_machine")
    assert error_of(everything(tmp_path)) == (
        f"{tmp_path} has masks of the same pictures in masks_human/ and masks_machine/; move all but one of these "
        "folders out of it, or put a dot before their names"
    )
    assert everything(tmp_path).card().split_sizes["train"] == 4


MASK = np.array([[0, 1, 2, 0]] * 4, np.uint8)


def write_masks(
    root: Path, masks: list[Image.Image], classes: str = "background\ncat\ndog\n", name="classes.txt"
) -> None:
    for i, mask in enumerate(masks):
        write_picture(root / f"images/{i}.jpg", noise(i, 4, 4, 3))
        (root / "masks").mkdir(exist_ok=True)
        mask.save(root / f"masks/{i}.png")
    (root / name).write_text(classes)


def masks_of(root: Path, **options) -> list[np.ndarray]:
    split = folder(root, val_share=0, test_share=0, **options).split("train", FIELDS)
    return [split[i]["mask"] for i in range(len(split))]


def permuted(order: tuple[int, ...]) -> Image.Image:
    """Return a palette picture that looks like `MASK`, whose class q stands at `order[q]`."""
    image, palette = Image.fromarray(np.array(order, np.uint8)[MASK]).convert("P"), api.pictures.class_palette(3)
    image.putpalette([value for place in sorted(order) for value in palette[order.index(place)]])
    return image


@pytest.mark.parametrize("orders", [[(1, 0, 2)] * 3, [(0, 1, 2), (0, 2, 1), (2, 1, 0)]])
def test_quantised_masks_are_read_by_their_colours_and_it_is_said(tmp_path, orders):
    write_masks(tmp_path, [permuted(order) for order in orders])
    for mask in masks_of(tmp_path):
        np.testing.assert_array_equal(mask, MASK)
    assert everything(tmp_path).card(FIELDS).reading.endswith("; palettes by their colours")


def test_palettes_that_can_be_read_in_two_ways_are_refused_with_the_ways_out(tmp_path):
    write_masks(tmp_path, [permuted((0, 2, 1))] * 2)
    message = error_of(everything(tmp_path))
    assert "its number 1 has the colour (0, 128, 0): by numbers it is class 1, by colours class 2" in message
    assert "--set dataset.mask_pixels=numbers or =colours" in message
    np.testing.assert_array_equal(masks_of(tmp_path, mask_pixels="colours")[0], MASK)
    np.testing.assert_array_equal(masks_of(tmp_path, mask_pixels="numbers")[0], np.array([0, 2, 1])[MASK])


def test_a_labelmap_gives_names_colours_and_background(tmp_path):
    colours = np.array([(5, 0, 0), (0, 9, 0), (255, 0, 255)], np.uint8)
    labelmap = "# label:color_rgb:parts:actions\ncat:5,0,0::\nbackground:0,9,0::\ndog:255,0,255::\n"
    write_masks(tmp_path, [Image.fromarray(colours[MASK])] * 3, labelmap, "labelmap.txt")
    card = everything(tmp_path).card(FIELDS)
    assert (card.mask_classes, card.background) == (("cat", "background", "dog"), 1)
    assert card.mask_palette == ((5, 0, 0), (0, 9, 0), (255, 0, 255))
    assert "classes of labelmap.txt" in card.reading
    assert not any("ignored" in note for note in card.notes)
    np.testing.assert_array_equal(masks_of(tmp_path)[0], MASK)


@pytest.mark.parametrize(("first", "clear", "said"), [("background", 0, "background"), ("sky", 255, "not judged")])
def test_transparent_pixels_are_the_background_if_there_is_one(tmp_path, first, clear, said):
    pixels = np.concatenate([np.array(api.pictures.class_palette(3), np.uint8)[MASK], (MASK[..., None] > 0) * 255], 2)
    write_masks(tmp_path, [Image.fromarray(pixels.astype(np.uint8))] * 2, f"{first}\ncat\ndog\n")
    np.testing.assert_array_equal(masks_of(tmp_path)[0], np.where(MASK == 0, clear, MASK))
    assert everything(tmp_path).card(FIELDS).reading.endswith(f"transparent is {said}")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_black_and_white_masks_are_two_classes_by_an_option_or_by_their_colours(tmp_path, mode):
    write_masks(tmp_path, [Image.fromarray((MASK == 1).astype(np.uint8) * 255).convert(mode)] * 2, "background\ncat\n")
    assert "let " in (message := error_of(everything(tmp_path)))
    assert message.endswith("be cat by --set dataset.mask_foreground=255")
    np.testing.assert_array_equal(masks_of(tmp_path, mask_foreground=255)[0], MASK == 1)
    assert "255 is cat" in folder(tmp_path, mask_foreground=255).card(FIELDS).reading
    (tmp_path / "classes.txt").write_text("background 0 0 0\ncat 255 255 255\n")
    np.testing.assert_array_equal(masks_of(tmp_path)[0], MASK == 1)
    (tmp_path / "classes.txt").write_text("background\ncat\ndog\n")
    expected = f"dataset.mask_foreground is for masks of two classes, and {tmp_path / 'classes.txt'} names 3"
    assert error_of(folder(tmp_path, mask_foreground=255)) == expected


def test_masks_that_are_all_broken_are_refused_with_up_to_three_reasons(tmp_path):
    write_masks(tmp_path, [Image.fromarray(MASK)] * 5)
    for i, text in enumerate([b"", b"text", b"\xff\xd8\xff", b"", b""]):
        (tmp_path / f"masks/{i}.png").write_bytes(text)
    message = error_of(everything(tmp_path))
    assert message.startswith(f"none of 5 masks in {tmp_path} that was looked at can be used; masks/")
    assert message.count("masks/") == 3
    assert ": empty file" in message
