"""The layouts that are understood, each with an example: read by people on a page, and by tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Described:
    """A way to lay out a folder."""

    title: str
    tree: Sequence[str]
    """Paths of an example, by which all of its kind are known."""
    words: str
    """What is made of it."""
    reading: str
    """What is said before training of the example."""


LAYOUTS: Sequence[Described] = (
    Described(
        "Flat, or in folders that mean nothing",
        ("1.jpg", "2.jpg", "3.jpg"),
        "Pictures without labels, for pretraining. Folders of dates (`2021/05/`, `2021-05-03/`) and the pieces of a "
        "large set (`part_1/`, `images_001/`) are no classes either.",
        "3 pictures",
    ),
    Described(
        "Class folders",
        ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg"),
        "The first folder of each path is the class, two or more of them; deeper folders mean nothing.",
        "3 pictures in 2 classes (cat, dog)",
    ),
    Described(
        "Split folders with class folders",
        ("train/cat/1.jpg", "train/dog/1.jpg", "val/cat/2.jpg", "test/dog/2.jpg"),
        "Folders that are called as splits are, in capitals or not: `training_set`, `train2017`, `dev`, `valid`, "
        "`validation`, `testing`, `holdout`. The folders of train are the classes.",
        "4 pictures in 2 classes (cat, dog), split by folders train/, val/, test/",
    ),
    Described(
        "Split folders without labels, in part or at all",
        ("train/cat/1.jpg", "train/dog/1.jpg", "test/1.jpg", "unlabeled/1.jpg"),
        "What lies in a split, or beside the splits, without a class folder has no label: it serves pretraining, and "
        "is counted where labels are asked for.",
        "4 pictures in 2 classes (cat, dog), split by folders train/, test/; unlabeled/ without labels",
    ),
    Described(
        "Class folders in labelled, beside unlabelled",
        ("labelled/cat/1.jpg", "labelled/dog/1.jpg", "unlabelled/1.jpg"),
        "A folder that is called labelled is none of the classes where another is called unlabelled.",
        "3 pictures in 2 classes (cat, dog); unlabelled/ without labels",
    ),
    Described(
        "Class folders that hold split folders",
        ("cat/train/1.jpg", "cat/test/2.jpg", "dog/train/1.jpg", "dog/test/2.jpg"),
        "Class first, split second.",
        "4 pictures in 2 classes (cat, dog), split by folders train/, test/",
    ),
    Described(
        "Class folders beside a test folder",
        ("cat/1.jpg", "dog/1.jpg", "test/cat/2.jpg", "test/dog/2.jpg"),
        "A folder of a split that holds the same classes as stand beside it.",
        "4 pictures in 2 classes (cat, dog), split by folders test/",
    ),
    Described(
        "Classes that are called as splits are",
        ("test/1.jpg", "control/1.jpg"),
        "`test` beside `control`, `valid` beside `invalid`, and `train` beside several flat folders are classes.",
        "2 pictures in 2 classes (control, test)",
    ),
    Described(
        "Class and split in one name",
        ("cat_train/1.jpg", "dog_train/1.jpg", "cat_test/2.jpg", "dog_test/2.jpg"),
        "Folders of pictures alone, of two names or more beside their splits. Folders that are splits though their "
        "names do not say so are named by `--set dataset.split_folders='{lernen: train, pruefen: test}'`.",
        "4 pictures in 2 classes (cat, dog), split by folders cat_train/, dog_train/, cat_test/, dog_test/",
    ),
    Described(
        "One folder around everything",
        ("pets/train/cat/1.jpg", "pets/train/dog/1.jpg", "pets/val/cat/2.jpg", "readme.txt"),
        "Folders around all pictures mean nothing, however many there are; tables may lie in any of them.",
        "3 pictures in 2 classes (cat, dog), split by folders train/, val/",
    ),
    Described(
        "Images and masks in folders of their own",
        ("images/1.jpg", "images/2.jpg", "masks/1.png", "masks/2.png"),
        "Also `Images` and `Masks`, `image` and `mask`, `img` and `label`, `images` and `labels`, `annotations`, `gt` "
        "or `ground_truth`. Names are the same but for the ending and a mark such as `_mask`.",
        "2 pictures; masks in masks/",
    ),
    Described(
        "Images and masks in each split",
        ("train/images/1.jpg", "train/masks/1.png", "val/images/2.jpg", "val/masks/2.png"),
        "Splits first; also in one name, as in `train` and `train_masks`, or `imagesTr` and `labelsTr`.",
        "2 pictures, split by folders train/, val/; masks in train/masks/, val/masks/",
    ),
    Described(
        "Splits in images and in masks",
        ("images/train/1.jpg", "images/val/2.jpg", "masks/train/1.png", "masks/val/2.png"),
        "Splits second; class folders below `images` are classes.",
        "2 pictures, split by folders train/, val/; masks in masks/",
    ),
    Described(
        "VOC's folders without its lists",
        ("JPEGImages/1.jpg", "JPEGImages/2.jpg", "SegmentationClass/1.png", "SegmentationObject/1.png"),
        "Masks of objects beside those of classes are left out. With `ImageSets` the data set `voc` reads the lists.",
        "2 pictures; masks of 1 of them in SegmentationClass/",
    ),
    Described(
        "Cityscapes' folders",
        (
            "leftImg8bit/train/bonn/a_leftImg8bit.png",
            "leftImg8bit/val/ulm/b_leftImg8bit.png",
            "gtFine/train/bonn/a_gtFine_labelIds.png",
            "gtFine/val/ulm/b_gtFine_labelIds.png",
        ),
        "Coloured drawings and instances beside the numbers of labels are left out.",
        "2 pictures, split by folders train/, val/; masks in gtFine/",
    ),
    Described(
        "Masks beside their pictures",
        ("1.jpg", "1_mask.png", "2.jpg", "2_mask.png"),
        "The mark may be `_mask`, `-mask`, `.mask`, `_seg`, `_segmentation`, `_gt`, `_labelIds`, or `mask_` before the "
        "name; `_label` and `_L` where nearly every picture has one. The picture may be `1_image` or `1_sat`.",
        "2 pictures; masks by _mask in their names",
    ),
    Described(
        "Masks beside their pictures in class folders",
        ("cat/1.jpg", "cat/1_mask.png", "dog/1.jpg", "dog/1_mask.png", "dog/2.jpg"),
        "Classes and masks both.",
        "3 pictures in 2 classes (cat, dog); masks of 2 of them by _mask in their names",
    ),
    Described(
        "A folder for each picture and its mask",
        ("001/image.png", "001/mask.png", "002/image.png", "002/mask.png"),
        "Folders of single pictures with masks are no classes.",
        "2 pictures; masks by mask in their names; folders of a single picture are no classes",
    ),
    Described(
        "What was drawn of pictures",
        ("images/1.jpg", "masks/1.png", "overlays/1.jpg", "predictions/1.png"),
        "Folders beside `images` and `masks` whose files have the names of the pictures, and copies of the folders of "
        "splits beside them, are left out and counted.",
        "1 picture; masks in masks/",
    ),
    Described(
        "Boxes in text files",
        ("images/train/1.jpg", "images/val/2.jpg", "labels/train/1.txt", "labels/val/2.txt"),
        "The pictures alone are read; the text files are counted as not read.",
        "2 pictures, split by folders train/, val/",
    ),
)
