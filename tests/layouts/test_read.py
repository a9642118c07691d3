"""What is made of folders, from their paths alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from maecli.errors import DataError
from maecli.layouts.layout import Layout, Reading
from maecli.layouts.read import foreign_in_words, read_layout

PICTURES = (".jpg", ".png", ".tif")


def paths_of(tree: str) -> list[str]:
    """Return the paths that a tree in one line means: `a/3` are three pictures in a/, other words are files."""
    paths = []
    for word in tree.split():
        folder, _, name = word.replace("~", " ").rpartition("/")
        stem, _, ending = name.partition(".")
        num, _, mark = stem.partition("*")
        count = int(num) if num.isdigit() and (mark or "*" in stem or not ending) else 0
        start = f"{folder}/" if folder else ""
        paths += [f"{start}{i}{mark}.{ending or 'jpg'}" for i in range(count)] if count else [start + name]
    return sorted(paths)


def read(tree: str, choice: Reading = "auto", **options) -> Layout:
    return read_layout(paths_of(tree), lambda path: path.lower().endswith(PICTURES), choice, **options)


def parts(layout: Layout) -> Mapping[str, int]:
    """Return how many samples there are of each split and class: `train:cat`, `:cat`, `train:`."""
    return Counter(f"{layout.splits.get(path, '')}:{layout.labels.get(path, '')}" for path in layout.samples)


FOLDERS = {
    "labelled beside unlabelled": ("labelled/cat/2 labelled/dog/3 unlabelled/4", {":cat": 2, ":dog": 3, ":": 4}),
    "labeled beside unlabeled, around": ("all/Labeled/a/2 all/Labeled/b/3 all/Unlabeled/4", {":a": 2, ":b": 3, ":": 4}),
    "labelled with splits": (
        "labelled/train/cat/2 labelled/train/dog/3 labelled/test/cat/1 labelled/test/dog/1 unlabelled/4",
        {"train:cat": 2, "train:dog": 3, "test:cat": 1, "test:dog": 1, ":": 4},
    ),
    "flat": ("3", {":": 3}),
    "one-folder": ("images/3", {":": 3}),
    "classes": ("cat/3 dog/2", {":cat": 3, ":dog": 2}),
    "classes-and-unlabelled": ("cat/3 dog/2 4", {":cat": 3, ":dog": 2, ":": 4}),
    "classes-and-a-pool": ("cat/3 dog/2 unlabeled/4", {":cat": 3, ":dog": 2, ":": 4}),
    "deeper-folders": ("cat/a/3 cat/b/1 dog/c/2", {":cat": 4, ":dog": 2}),
    "digits": ("0/3 1/2", {":0": 3, ":1": 2}),
    "years": ("1920/3 1930/2", {":1920": 3, ":1930": 2}),
    "months": ("2021/01/3 2021/02/2 2022/01/1", {":": 6}),
    "days": ("2021-01-02/3 2021-05-02/2", {":": 5}),
    "pieces": ("images_001/images/3 images_002/images/a.jpg", {":": 4}),
    "wrapped-classes": ("pets/cat/3 pets/dog/2 readme.md", {":cat": 3, ":dog": 2}),
    "wrapped-twice": ("a/b/cat/3 a/b/dog/2", {":cat": 3, ":dog": 2}),
    "wrapped-splits": (
        "pets/train/cat/3 pets/train/dog/2 pets/val/cat/1",
        {"train:cat": 3, "train:dog": 2, "val:cat": 1},
    ),
    "wrapped-beside-a-figure": (
        "pets/train/cat/9 pets/train/dog/9 pets/val/cat/5 docs/1*.png",
        {"train:cat": 9, "train:dog": 9, "val:cat": 5, ":": 1},
    ),
    "wrapped-and-a-stray": ("pets/cat/9 pets/dog/9 logo.png", {":cat": 9, ":dog": 9, ":": 1}),
    "splits": (
        "train/cat/3 train/dog/3 val/cat/1 test/dog/1",
        {"train:cat": 3, "train:dog": 3, "val:cat": 1, "test:dog": 1},
    ),
    "splits-in-capitals": (
        "Training_Set/cat/3 Training_Set/dog/3 TEST/dog/1",
        {"train:cat": 3, "train:dog": 3, "test:dog": 1},
    ),
    "dev-and-holdout": ("trn/3 dev/2 hold-out/1", {"train:": 3, "val:": 2, "test:": 1}),
    "validation-and-testing": ("training/3 validation/2 testing/1", {"train:": 3, "val:": 2, "test:": 1}),
    "eval-is-val": ("train/3 eval/2", {"train:": 3, "val:": 2}),
    "eval-is-test": ("train/3 eval/2 valid/1", {"train:": 3, "test:": 2, "val:": 1}),
    "coco": ("train2017/3 val2017/2 annotations/instances_train2017.json", {"train:": 3, "val:": 2}),
    "named-splits": (
        "pets_train/cat/3 pets_train/dog/1 pets_test/dog/1",
        {"train:cat": 3, "train:dog": 1, "test:dog": 1},
    ),
    "classes-in-names": (
        "train_cat/3 train_dog/2 test_cat/1 test_dog/1",
        {"train:cat": 3, "train:dog": 2, "test:cat": 1, "test:dog": 1},
    ),
    "domains": ("trainA/3 trainB/2 testA/1", {"train:": 5, "test:": 1}),
    "intel": (
        "seg_train/seg_train/sea/3 seg_train/seg_train/ice/2 seg_test/seg_test/ice/1 seg_pred/seg_pred/4",
        {"train:sea": 3, "train:ice": 2, "test:ice": 1, ":": 4},
    ),
    "tiny-imagenet": (
        "train/n1/images/3 train/n2/images/2 val/images/1 test/images/1",
        {"train:n1": 3, "train:n2": 2, "val:": 1, "test:": 1},
    ),
    "images-in-splits": (
        "train/images/cat/3 train/images/dog/2 test/images/cat/1",
        {"train:cat": 3, "train:dog": 2, "test:cat": 1},
    ),
    "wrapped-in-splits": (
        "train/pets/cat/3 train/pets/dog/2 test/pets/cat/1",
        {"train:cat": 3, "train:dog": 2, "test:cat": 1},
    ),
    "test-of-one-class": ("train/cat/3 train/dog/2 test/dog/1", {"train:cat": 3, "train:dog": 2, "test:dog": 1}),
    "flat-test": ("train/cat/3 train/dog/2 test/4", {"train:cat": 3, "train:dog": 2, "test:": 4}),
    "flat-splits": ("train/3 test/4", {"train:": 3, "test:": 4}),
    "pool": ("train/cat/3 train/dog/2 test/cat/1 extra/4", {"train:cat": 3, "train:dog": 2, "test:cat": 1, ":": 4}),
    "pool-beside-flat-train": ("train/3 unlabelled/4", {"train:": 3, ":": 4}),
    "images-beside-test": ("images/3 test/1", {":": 3, "test:": 1}),
    "data-beside-test": ("data/3 test/1", {":": 3, "test:": 1}),
    "classes-beside-test": ("cat/3 dog/2 test/cat/1 test/dog/1", {":cat": 3, ":dog": 2, "test:cat": 1, "test:dog": 1}),
    "train-by-another-name": (
        "learn/cat/3 learn/dog/2 test/cat/1 test/dog/1",
        {":cat": 3, ":dog": 2, "test:cat": 1, "test:dog": 1},
    ),
    "class-first": (
        "cat/train/3 cat/test/1 dog/train/2 dog/test/1",
        {"train:cat": 3, "test:cat": 1, "train:dog": 2, "test:dog": 1},
    ),
    "folds": ("fold0/cat/3 fold0/dog/2 fold1/cat/1*a.jpg", {":cat": 4, ":dog": 2}),
    "target-and-rest": ("target/3 nontarget/3", {":target": 3, ":nontarget": 3}),
    "valid-and-invalid": ("valid/3 invalid/2", {":valid": 3, ":invalid": 2}),
    "valid-and-two-more": ("valid/3 invalid/2 unsure/1", {":valid": 3, ":invalid": 2, ":unsure": 1}),
    "test-and-control": ("test/3 control/2", {":test": 3, ":control": 2}),
    "train-bus-car": ("train/3 bus/2 car/1", {":train": 3, ":bus": 2, ":car": 1}),
    "train-and-bus": ("train/3 bus/2", {":train": 3, ":bus": 2}),
    "train-station": ("train_station/3 airport/2", {":train_station": 3, ":airport": 2}),
    "mask-and-no-mask": ("mask/3 no_mask/3", {":mask": 3, ":no_mask": 3}),
    "with-and-without-mask": ("with_mask/3 without_mask/3", {":with_mask": 3, ":without_mask": 3}),
    "faces-and-masks-of-other-names": ("faces/3 masks/3*v.jpg", {":faces": 3, ":masks": 3}),
    "marked-files-alone": ("cat/3*_mask.jpg dog/3*_mask.jpg", {":cat": 3, ":dog": 3}),
    "left-and-right": ("3*_L.png 3*_R.png", {":": 6}),
    "letters": ("a/3 A/2 b/1", {":a": 3, ":A": 2, ":b": 1}),
    "spelt-in-two-ways": (
        "train/Cat/3 train/sea_lion/2 test/cat~/1 test/Sea~Lion/1",
        {"train:Cat": 3, "train:sea_lion": 2, "test:Cat": 1, "test:sea_lion": 1},
    ),
    "classes-that-train-has-not": (
        "train/cat/3 train/dog/2 test/cat/1 test/fox/2",
        {"train:cat": 3, "train:dog": 2, "test:cat": 1, "test:": 2},
    ),
    "class-and-split-in-a-name": (
        "cat_train/3 dog_train/2 Sea~lion-train/1 cat_test/1 dog_test/1",
        {"train:cat": 3, "train:dog": 2, "train:Sea_lion": 1, "test:cat": 1, "test:dog": 1},
    ),
    "split-before-class": (
        "train_cat/3 trainDog/2 val_cat/1",
        {"train:cat": 3, "train:Dog": 2, "val:cat": 1},
    ),
    "data-sets-and-splits-in-a-name": (
        "one_train/cat/3 one_train/dog/1 two_train/cat/2 one_test/cat/1 two_test/dog/1",
        {"train:cat": 5, "train:dog": 1, "test:cat": 1, "test:dog": 1},
    ),
    "spanish": (
        "entrenamiento/gato/3 entrenamiento/perro/2 prueba/gato/1",
        {"train:gato": 3, "train:perro": 2, "test:gato": 1},
    ),
    "misspelt-train": (
        "trian/cat/3 trian/dog/2 test/cat/1 test/dog/1",
        {":cat": 3, ":dog": 2, "test:cat": 1, "test:dog": 1},
    ),
    "taxonomy": ("felidae/cat/3 felidae/lynx/2 canidae/dog/1 canidae/wolf/1", {":felidae": 5, ":canidae": 2}),
    "taxonomy-with-a-rest": (
        "felidae/cat/3 felidae/other/2 canidae/dog/1 canidae/other/1",
        {":felidae": 5, ":canidae": 2},
    ),
    "days-in-classes": ("cat/2021-05-03/3 cat/2021-05-04/1 dog/2021-05-03/2 dog/2021-05-04/2", {":cat": 4, ":dog": 4}),
    "numbers-of-equal-names": ("cat/4 dog/4", {":cat": 4, ":dog": 4}),
    "a-copy-inside": (
        "train/cat/3 train/dog/2 val/cat/1 x/train/cat/3 x/train/dog/2 x/val/cat/1",
        {"train:cat": 3, "train:dog": 2, "val:cat": 1},
    ),
    "a-folder-for-each-picture": ("p1/a.jpg p2/b.jpg p3/c.jpg p4/d.jpg", {":": 4}),
    "three-classes-of-a-picture": ("a/1.jpg b/1.jpg c/1.jpg", {":a": 1, ":b": 1, ":c": 1}),
    "pieces-of-a-name": ("HAM_images_part_1/3 HAM_images_part_2/2*b.jpg", {":": 5}),
    "split-twice": (
        "asl_train/asl_train/A/3 asl_train/asl_train/B/1 asl_test/asl_test/2",
        {"train:A": 3, "train:B": 1, "test:": 2},
    ),
    "yolo": ("images/train/3 labels/train/3*.txt images/val/1 labels/val/1*.txt", {"train:": 3, "val:": 1}),
}


@pytest.mark.parametrize(("tree", "expected"), FOLDERS.values(), ids=FOLDERS)
def test_folders_name_splits_and_classes(tree, expected):
    layout = read(tree)
    assert parts(layout) == expected
    assert not layout.has_masks


MASKS = {
    "capitals": ("Images/3 Masks/3*.png", {":": 3}, 3),
    "singular": ("image/3 mask/3*.png", {":": 3}, 3),
    "labels": ("images/3*.png labels/3*.png", {":": 3}, 3),
    "one-ending": ("imgs/3*.png gt/3*.png", {":": 3}, 3),
    "some-have-none": ("images/3 masks/2*.png", {":": 3}, 2),
    "wrapped": ("set/images/3 set/masks/3*.png", {":": 3}, 3),
    "split-first": ("train/images/3 train/masks/3*.png val/images/2 val/masks/2*.png", {"train:": 3, "val:": 2}, 5),
    "split-second": ("images/train/3 masks/train/3*.png images/test/2 masks/test/2*.png", {"train:": 3, "test:": 2}, 5),
    "splits-of-two-names": ("images/train/3 masks/training/3*.png", {"train:": 3}, 3),
    "split-in-the-name": ("train/3 train_masks/3*_mask.png test/2", {"train:": 3, "test:": 2}, 3),
    "camvid": ("train/3*.png trainannot/3*.png val/2*.png valannot/2*.png", {"train:": 3, "val:": 2}, 5),
    "nnunet": ("imagesTr/3*_0000.png labelsTr/3*.png imagesTs/2*_0000.png", {"train:": 3, "test:": 2}, 3),
    "isic": (
        "I_Train_Input/3 I_Train_GT/3*_segmentation.png I_Test_Input/2 I_Test_GT/2*_segmentation.png",
        {"train:": 3, "test:": 2},
        5,
    ),
    "ade": ("images/training/3 images/validation/1 annotations/training/3*.png", {"train:": 3, "val:": 1}, 3),
    "stuff": ("train2017/3 val2017/1 stuffthingmaps/train2017/3*.png", {"train:": 3, "val:": 1}, 3),
    "voc": ("JPEGImages/3 SegmentationClass/2*.png Annotations/3*.xml ImageSets/Main/train.txt", {":": 3}, 2),
    "mmseg": ("img_dir/train/3 img_dir/val/1 ann_dir/train/3*.png ann_dir/val/1*.png", {"train:": 3, "val:": 1}, 4),
    "pennfudan": ("PNGImages/3*.png PedMasks/3*_mask.png Annotation/3*.txt", {":": 3}, 3),
    "other-ending": ("scans/3 masks/3*.png", {":": 3}, 3),
    "marked-in-a-folder": ("CXR_png/3*.png mask/3*_mask.png", {":": 3}, 3),
    "ground-truth": ("Original/3*.tif Ground~Truth/3*.tif", {":": 3}, 3),
    "classes": ("images/cat/3 images/dog/2 masks/cat/3*.png masks/dog/2*.png", {":cat": 3, ":dog": 2}, 5),
    "flat-masks-of-nested-pictures": ("images/a/2 images/b/2*x.jpg masks/2*.png masks/2*x.png", {":a": 2, ":b": 2}, 4),
    "below-their-pictures": ("cat/3 cat/masks/3*.png dog/2 dog/masks/2*.png", {":cat": 3, ":dog": 2}, 5),
    "beside-flat-pictures": ("3 masks/3*.png", {":": 3}, 3),
    "patients": ("p1/images/3*.png p1/masks/3*.png p2/images/2*.png p2/masks/2*.png", {":p1": 3, ":p2": 2}, 5),
    "by-ending": ("3 3*_mask.png", {":": 3}, 3),
    "by-ending-and-satellite": ("3*_sat.jpg 3*_mask.png", {":": 3}, 3),
    "by-beginning": ("a.jpg b.jpg mask_a.png mask_b.png", {":": 2}, 2),
    "by-letter": ("3*.png 3*_L.png", {":": 3}, 3),
    "by-ending-in-classes": ("cat/3 cat/3*_mask.png dog/2 dog/2*_mask.png dog/1_mask_1.png", {":cat": 3, ":dog": 2}, 5),
    "by-ending-in-splits": ("train/3 train/3*-mask.png test/2", {"train:": 3, "test:": 2}, 3),
    "a-folder-each": ("001/image.png 001/mask.png 002/image.png 002/mask.png", {":": 2}, 2),
    "other-case": ("images/A.JPG images/B.JPG masks/a.png masks/b.png", {":": 2}, 2),
    "masks-of-test-alone": ("train/images/3 train/masks/3*.png test/masks/2*.png", {"train:": 3}, 3),
    "mvtec": (
        "b/train/good/3*.png b/test/good/2*.png b/test/crack/2*.png b/ground_truth/crack/2*_mask.png",
        {"train:": 3, "test:": 4},
        2,
    ),
    "data": ("data/3*.png masks/3*.png", {":": 3}, 3),
    "numbered": ("images/img_1.png images/img_2.png masks/mask_1.png masks/mask_2.png", {":": 2}, 2),
    "numbered-side-by-side": ("img1.png img2.png mask1.png mask2.png", {":": 2}, 2),
    "labelme": (
        "JPEGImages/3 SegmentationClass/3*.png SegmentationClassVisualization/3 SegmentationClassNpy/3*.npy",
        {":": 3},
        3,
    ),
    "overlays": ("images/3 masks/3*.png overlays/3*.png", {":": 3}, 3),
    "predictions": ("images/3 masks/3*.png predictions/3*.png", {":": 3}, 3),
    "marked-results": ("images/3 masks/3*.png results/run1/3*_pred.png", {":": 3}, 3),
    "drawings-of-any-name": ("images/3 masks/3*.png blended/3", {":": 3}, 3),
    "pictures-of-other-names": ("images/3 masks/3*.png output/3*v.jpg", {":": 6}, 3),
    "versions": (
        "A_Training_Data/3 A_Training_Part1_GT/3*_seg.png A_Test_v2_Data/2 A_Test_v2_Part1_GT/2*_seg.png",
        {"train:": 3, "test:": 2},
        5,
    ),
    "several-masks-of-a-picture": ("images/2 masks/0/3*x.png masks/1/3*y.png", {":": 2}, 0),
    "x-and-y": ("X_train/3*.png y_train/3*.png X_test/2*a.png y_test/2*a.png", {"train:": 3, "test:": 2}, 5),
    "pets": ("images/3 annotations/trimaps/3*.png annotations/xmls/3*.xml", {":": 3}, 3),
    "wrapped-beside-another": ("d/Images/9 d/Annotations/9*.png logos/1", {":": 10}, 9),
    "covid": ("A/images/3*a.png A/masks/3*a.png B/images/2*b.png B/masks/2*b.png", {":A": 3, ":B": 2}, 5),
    "no-pair-at-all": ("images/3 masks/3*v.png", {":": 3}, 0),
}


@pytest.mark.parametrize(("tree", "expected", "num_masks"), MASKS.values(), ids=MASKS)
def test_masks_are_no_samples(tree, expected, num_masks):
    layout = read(tree)
    assert parts(layout) == expected
    assert len(layout.masks) == num_masks
    assert len(set(layout.masks.values())) == num_masks
    assert layout.has_masks


DOUBTS: Mapping[str, tuple[str, str, Mapping[Reading, Mapping[str, int]]]] = {
    "train-beside-one-flat": (
        "train/3 holiday/2",
        "train/ stands beside holiday/",
        {"splits": {"train:": 3, ":": 2}, "classes": {":train": 3, ":holiday": 2}},
    ),
    "flat-test-beside-classes": (
        "cat/3 dog/2 test/4",
        "test/ stands beside cat/, dog/",
        {"splits": {":cat": 3, ":dog": 2, "test:": 4}, "classes": {":cat": 3, ":dog": 2, ":test": 4}},
    ),
    "flat-test-beside-one": (
        "mine/3 test/4",
        "test/ stands beside mine/",
        {"splits": {":": 3, "test:": 4}, "classes": {":mine": 3, ":test": 4}},
    ),
    "nested-train-beside-nested": (
        "train/a/3 train/b/2 bus/c/4 bus/d/1",
        "train/ stands beside bus/",
        {"splits": {"train:a": 3, "train:b": 2, ":": 5}, "classes": {":train": 5, ":bus": 5}},
    ),
    "classes-of-train-in-another": (
        "train/cat/3 train/dog/2 val/cat/1 quality/cat/4 quality/dog/1",
        "quality/ holds folders of the same classes as train",
        {
            "splits": {"train:cat": 3, "train:dog": 2, "val:cat": 1, ":": 5},
            "classes": {":train": 5, ":val": 1, ":quality": 5},
        },
    ),
    "data-sets-or-classes": (
        "a/train/x/3 a/train/y/2 a/test/x/1 b/train/x/1 b/test/y/1",
        "a/, b/ hold folders of splits, and these hold folders",
        {
            "splits": {"train:x": 4, "train:y": 2, "test:x": 1, "test:y": 1},
            "classes-splits": {"train:a": 5, "test:a": 1, "train:b": 1, "test:b": 1},
        },
    ),
    "masks-or-a-class": (
        "faces/3*.png masks/3*.png",
        "masks/ holds files of the same names as faces/",
        {"masks": {":": 3}, "classes": {":faces": 3, ":masks": 3}},
    ),
    "files-of-the-same-names": (
        "A/3 B/3*.png",
        "A/, B/ hold files of the same names, .jpg in A/ and .png in B/",
        {"masks": {":": 3}, "classes": {":A": 3, ":B": 3}},
    ),
    "files-of-the-same-names-in-splits": (
        "train/A/3 train/B/3*_b.png val/A/3 val/B/3*_b.png",
        "train/A/, train/B/ hold files of the same names, .jpg in train/A/ and .png in train/B/",
        {
            "masks": {"train:": 3, "val:": 3},
            "splits": {"train:A": 3, "train:B": 3, "val:A": 3, "val:B": 3},
        },
    ),
    "folders-of-the-same-names-in-splits": (
        "train/siteA/pos/3 train/siteA/neg/2 train/siteB/pos/1 train/siteB/neg/4 val/siteA/pos/1",
        "train/siteA/, train/siteB/ hold folders of the same names (neg, pos)",
        {
            "splits": {"train:siteA": 5, "train:siteB": 5, "val:siteA": 1},
            "last-folder": {"train:pos": 4, "train:neg": 6, "val:pos": 1},
        },
    ),
    "files-of-the-same-names-thrice": (
        "left/3 right/3 disparity/3*.png",
        "disparity/, left/ hold files of the same names, .png in disparity/ and .jpg in left/",
        {"classes": {":left": 3, ":right": 3, ":disparity": 3}},
    ),
    "folders-of-the-same-names": (
        "siteA/pos/3 siteA/neg/2 siteB/pos/1 siteB/neg/4",
        "siteA/, siteB/ hold folders of the same names (neg, pos)",
        {"classes": {":siteA": 5, ":siteB": 5}, "last-folder": {":pos": 4, ":neg": 6}},
    ),
    "folders-of-mostly-the-same-names": (
        "p1/0/3 p1/1/2 p2/0/1 p3/0/1 p3/1/1",
        "p1/, p2/, p3/ hold folders of the same names (0, 1)",
        {"classes": {":p1": 5, ":p2": 1, ":p3": 2}, "last-folder": {":0": 5, ":1": 3}},
    ),
    "masks-of-no-file-beside": (
        "3 masks/3*v.png",
        "masks/ is named as a folder of masks, but none of the files beside it has its mask there",
        {"masks": {":": 3}, "flat": {":": 6}},
    ),
    "pictures-in-two-formats": (
        "cat/3 cat/3*.png dog/3 dog/3*.png",
        "6 files have another of the same name beside them, such as cat/0.jpg and cat/0.png",
        {"masks": {":cat": 3, ":dog": 3}, "classes": {":cat": 6, ":dog": 6}},
    ),
    "few-marked-files-of-pictures": (
        "cat/a.jpg cat/a_mask.jpg cat/3*_mask.jpg dog/2",
        "1 of 4 files with _mask in their names lie beside the file of that name",
        {"masks": {":cat": 1, ":dog": 2}, "classes": {":cat": 5, ":dog": 2}},
    ),
}


@pytest.mark.parametrize(("tree", "words", "readings"), DOUBTS.values(), ids=DOUBTS)
def test_where_two_readings_are_as_likely_both_are_named_and_each_can_be_chosen(tree, words, readings):
    with pytest.raises(DataError) as caught:
        read(tree, where="pets")
    message = str(caught.value)
    assert message.startswith(f"pets: {words}")
    for choice, expected in readings.items():
        assert f"(--set dataset.layout={choice})" in message
        assert parts(read(tree, choice)) == expected
    assert parts(read(tree, lenient=True)) in readings.values()


def test_classes_that_differ_by_case_are_refused_unless_a_reading_is_chosen():
    with pytest.raises(DataError) as caught:
        read("Cat/3 cat/2 dog/1", where="pets")
    assert str(caught.value) == (
        "pets: the classes 'Cat' and 'cat' differ by case, blanks or underscores only; rename the folder of one "
        "if they are the same, or keep them apart by --set dataset.layout=classes"
    )
    assert parts(read("Cat/3 cat/2 dog/1", "classes")) == {":Cat": 3, ":cat": 2, ":dog": 1}


@pytest.mark.parametrize(
    ("choice", "tree", "expected"),
    [
        pytest.param("flat", "train/cat/3 test/dog/2 images/1*.jpg masks/1*.png", {":": 7}, id="flat"),
        pytest.param(
            "last-folder", "pet/cat/3 pet/dog/2 farm/cow/1", {":cat": 3, ":dog": 2, ":cow": 1}, id="last-folder"
        ),
        pytest.param(
            "last-folder",
            "train/a/cat/3 train/b/dog/2 test/a/cat/1",
            {"train:cat": 3, "train:dog": 2, "test:cat": 1},
            id="last-in-splits",
        ),
        pytest.param("splits-flat", "train/p1/3 train/p2/2 val/p3/1", {"train:": 5, "val:": 1}, id="splits-flat"),
        pytest.param("classes", "2021/01/3 2022/01/2", {":2021": 3, ":2022": 2}, id="dates-as-classes"),
        pytest.param("splits", "test/3 train/2 control/1", {"test:": 3, "train:": 2, ":": 1}, id="splits"),
    ],
)
def test_a_reading_can_be_chosen(choice, tree, expected):
    assert parts(read(tree, choice)) == expected


def test_folders_that_are_no_class_of_train_are_named():
    layout = read("train/cat/3 train/dog/2 val/gnu/1 test/cat/1 test/fox/2 test/emu/1 test/yak/1 test/zebra/1")
    assert foreign_in_words(layout.foreign, layout.splits) == {
        "in test under classes that train has not: emu, fox, yak, … 1 more": 5,
        "in val under a class that train has not: gnu": 1,
    }


def test_files_that_are_no_samples_are_counted_by_ending():
    assert read("images/2 labels/2*.txt README a.JSON").others == {".txt": 2, "": 1, ".json": 1}


def test_a_table_makes_samples_of_what_is_named_as_masks():
    layout = read("a.jpg a_mask.jpg", certain={"a_mask.jpg"})
    assert layout.samples == ["a.jpg", "a_mask.jpg"]


def test_a_class_spelt_in_two_ways_is_said():
    layout = read("train/Cat/3 train/dog/2 test/cat/1")
    assert layout.reading(6, 2) == (
        "6 pictures in 2 classes (Cat, dog), split by folders train/, test/; 'Cat' and 'cat' are one class"
    )


def test_deep_folders_are_no_trouble():
    deep = "/".join(["a"] * 3000)
    assert read_layout([f"{deep}/1.jpg", f"{deep}/2.jpg"], lambda path: True).samples == [
        f"{deep}/1.jpg",
        f"{deep}/2.jpg",
    ]


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        pytest.param("trian/cat/3 trian/dog/2 test/cat/1 test/dog/1", "trian/ taken for train", id="misspelt"),
        pytest.param("fold1/a/2 fold1/b/2 fold2/a/2", "fold1/, fold2/ taken for pieces of one set", id="pieces"),
        pytest.param(
            "felidae/cat/3 felidae/lynx/2 canidae/dog/1",
            "folders in the folders of classes are not told apart",
            id="deep",
        ),
        pytest.param(
            "p1/a.jpg p2/b.jpg p3/c.jpg p4/d.jpg", "folders of a single picture are no classes", id="single-pictures"
        ),
    ],
)
def test_what_was_taken_for_what_is_said(tree, words):
    layout = read(tree)
    assert layout.reading(len(layout.samples), len(set(layout.labels.values()))).split("; ")[1:] == [words]


@pytest.mark.parametrize(
    ("tree", "extra"),
    [
        pytest.param(
            "images/3 masks/3*.png overlays/3 output/3*.png",
            {"drawings of the same pictures, in output/, overlays/": 6},
            id="drawings",
        ),
        pytest.param(
            "images/3 heatmaps/3", {"drawings of the same pictures, in heatmaps/": 3}, id="drawings-without-masks"
        ),
        pytest.param(
            "train/a/2 train/b/2 val/a/1 set/train/a/2 set/train/b/2 set/val/a/1",
            {"copies of the files beside them, in set/": 5},
            id="copies",
        ),
    ],
)
def test_what_is_made_of_pictures_beside_it_is_left_out_and_counted(tree, extra):
    layout = read(tree)
    assert layout.extra == extra
    assert not any(path.startswith(("overlays", "output", "heatmaps", "set")) for path in layout.samples)


def test_folders_of_the_same_names_are_asked_for_their_colours():
    tree = "rgb/9*.png depth/9*.png"
    asked = []

    def is_grey(path):
        asked.append(path)
        return path.startswith("depth/")

    with pytest.raises(DataError) as caught:
        read(tree, where="pets", is_grey=is_grey)
    assert str(caught.value) == (
        "pets: depth/, rgb/ hold files of the same names, without colours in depth/ and in colour in the other, which "
        "can be read in three ways: pictures in rgb/ and their masks in depth/ (--set dataset.layout=masks) or classes "
        "(--set dataset.layout=classes) or several pictures of the same things (point --root at one of the two "
        "folders); choose one of them"
    )
    assert len(asked) == 16
    layout = read(tree, "masks", is_grey=is_grey)
    assert layout.masks == {f"rgb/{i}.png": f"depth/{i}.png" for i in range(9)}
    assert parts(read(tree, is_grey=lambda path: None)) == {":rgb": 9, ":depth": 9}


def test_a_person_can_say_which_folders_are_splits():
    tree = "lernen/cat/3 lernen/dog/2 pruefen/cat/1 pruefen/dog/1"
    with pytest.raises(DataError) as caught:
        read(tree, where="pets")
    assert str(caught.value) == (
        "pets: lernen/, pruefen/ hold folders of the same names (cat, dog), which can be read in three ways: classes, "
        "which the folders in them do not tell apart (--set dataset.layout=classes) or parts of one set, whose classes "
        "are the folders in them (--set dataset.layout=last-folder) or splits (--set "
        "dataset.split_folders='{lernen: train, pruefen: test}'); choose one of them, or point --root at one of them "
        "alone"
    )
    layout = read(tree, split_folders={"lernen": "train", "pruefen": "test"})
    assert parts(layout) == {"train:cat": 3, "train:dog": 2, "test:cat": 1, "test:dog": 1}
    assert parts(read(tree, classes_are_told=True)) == {":lernen": 5, ":pruefen": 2}


@pytest.mark.parametrize(
    ("tree", "counts"),
    [
        pytest.param(
            "images/2 masks/0/3*x.png masks/1/3*y.png",
            {"one of several masks of a picture, which are not read as one": 6},
            id="folder-of-its-name",
        ),
        pytest.param(
            "a/images/a.png a/masks/3*m.png b/images/b.png b/masks/2*m.png",
            {"one of several masks of a picture, which are not read as one": 5},
            id="folder-for-each",
        ),
        pytest.param(
            "images/3 manual/3*.png mask/3*_mask.png",
            {"second masks of the same pictures, in mask/": 3},
            id="second-folder",
        ),
        pytest.param(
            "images/3 masks/3",
            {"in the place of masks, but in a form that loses pixels, as JPEG does": 3},
            id="with-loss",
        ),
        pytest.param("images/3 masks/2*v.png", {"in the place of masks, but of no picture": 2}, id="no-picture"),
    ],
)
def test_masks_that_are_not_used_are_counted_with_the_reason(tree, counts):
    assert read(tree).unused_masks() == counts


def test_the_reading_names_the_classes_of_a_table():
    layout = read("4")
    assert layout.reading(4, 3, table="labels.csv (columns file, label)", names=("nan", "x", "y")) == (
        "4 pictures in 3 classes (nan, x, y) by labels.csv (columns file, label)"
    )
