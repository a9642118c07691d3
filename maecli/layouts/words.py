"""What people call the folders of splits, images and masks, and how they mark the file of a mask."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from maecli.data.card import SplitName
from maecli.data.classes.alike import plain

Kind = Literal["image", "mask", "pool"]

SPLITS: Mapping[str, SplitName] = {
    **dict.fromkeys(("train", "training", "trn", "trainval", "trainvalid"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "devel", "development", "eval"), "val"),
    **dict.fromkeys(("evaluation",), "val"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout"), "test"),
    **dict.fromkeys(
        ("entrenamiento", "treino", "treinamento", "entrainement", "entraînement", "apprentissage"), "train"
    ),
    **dict.fromkeys(("addestramento", "trainingsdaten"), "train"),
    **dict.fromkeys(("validacion", "validación", "validacao", "validação", "validierung", "convalida"), "val"),
    **dict.fromkeys(("prueba", "pruebas", "teste", "testes", "testdaten"), "test"),
}
"""Words for a split. `eval` and `evaluation` are test where another word for val stands beside them."""

SHORT_SPLITS: Mapping[str, SplitName] = {"tr": "train", "va": "val", "ts": "test", "te": "test"}
"""Words for a split beside a word for images or masks, as in `imagesTr` and `labelsTs`."""

IMAGES = frozenset({"image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos"})
"""Words for a folder of pictures, which is no class."""

INPUTS = frozenset({"rgb", "input", "inputs", "original", "originals", "orig", "raw", "frame", "frames", "sat"})
"""Words for a folder of pictures beside one of masks."""

MASKS = frozenset(
    {
        *("mask", "masks", "seg", "segs", "segmentation", "segmentations", "annotation", "annotations", "annot"),
        *(
            "annots",
            "anno",
            "annos",
            "ann",
            "anns",
            "gt",
            "gts",
            "groundtruth",
            "groundtruths",
            "truth",
            "label",
            "labels",
        ),
        *("labelmap", "labelmaps", "stuffthingmaps", "manual", "target", "targets"),
    }
)
"""Words for a folder of masks."""

PLAIN_MASKS = frozenset(
    {"mask", "masks", "label", "labels", "target", "targets", "manual", "seg", "segs", "ann", "anns"}
)
"""Those of `MASKS` that may also be the name of a class."""

TARGETS: Mapping[str, Kind] = {"x": "image", "y": "mask"}
"""Words for pictures and their masks beside a word for a split: `X_train` and `y_train`."""

POOL = frozenset({"unlabeled", "unlabelled", "unannotated", "unsupervised", "unsup"})
"""Words for a folder of samples without labels."""

LABELLED = frozenset({"labeled", "labelled", "annotated", "supervised", "sup"})
"""Words for a folder of samples with labels, beside one without."""

EXTRA = frozenset({"extra", "extras", "pool", "pred", "predict", "misc", "unsorted", "rest", "other", "others"})
"""Words for a folder of samples without labels beside the folders of splits."""

NEUTRAL = frozenset({"data", "dataset", "datasets", "all", "main", "learn", "learning", "base", "full", "samples"})
"""Words for a folder that is no class: beside `test/` alone it is for training."""

FILLERS = frozenset(
    {
        *("set", "sets", "data", "dataset", "split", "splits", "folder", "dir", "file", "files", "all", "full"),
        *("png", "pngs", "jpg", "jpeg", "jpegs", "tif", "tiff", "bmp", "left", "bit", "ground", "v"),
    }
)
"""Words beside those that mean something, which add nothing."""

MASK_FILLERS = frozenset(
    {
        *("class", "classes", "fine", "coarse", "id", "ids", "semantic", "binary", "index", "indexed", "aug", "raw"),
        *("st", "nd", "full", "train", "map", "maps", "part", "task"),
    }
)
"""Words beside those that mean masks, which add nothing."""

OVERLAYS = frozenset(
    {
        *("overlay", "overlays", "overlaid", "visualization", "visualizations", "visualisation", "visualisations"),
        *("vis", "viz", "preview", "previews", "heatmap", "heatmaps", "gradcam", "saliency"),
    }
)
"""Words for drawings of masks over their pictures."""

DRAWINGS = OVERLAYS | {
    *("prediction", "predictions", "predicted", "pred", "preds", "output", "outputs", "result", "results"),
    *("inference", "inferences", "cam", "cams", "attention", "attentions", "plot", "plots"),
}
"""Words for what was made of pictures that lie beside, where files have their names."""

OTHER_DRAWINGS = OVERLAYS | {
    "object",
    "objects",
    "instance",
    "instances",
    "color",
    "colors",
    "colour",
    "colours",
    "npy",
}
"""Words for other drawings of the same masks: instances, colours."""

LOSSLESS = (".png", ".bmp", ".tif", ".tiff", ".gif", ".npy", ".pgm", ".ppm")
"""Endings of files whose numbers are those that were written: masks."""
LOSSY = (".jpg", ".jpeg", ".jfif", ".avif", ".heic", ".heif", ".jp2")
"""Endings of files that hold no mask, since they may change numbers."""

NEGATIONS = frozenset({"no", "not", "non", "without", "with", "un", "in", "anti", "never"})
"""Words that make a class of what follows: `no_mask`, `with_mask`."""

COUNTERPARTS: Mapping[str, frozenset[str]] = {
    "test": frozenset({"control", "controls", "placebo", "reference", "references", "baseline", "treatment", "normal"}),
    "valid": frozenset({"invalid", "nonvalid", "unvalid", "expired", "void", "fake", "rejected", "error", "errors"}),
    "dev": frozenset({"prod", "production", "staging"}),
    "train": frozenset({"tram", "bus", "car", "truck", "plane", "aeroplane", "airplane", "bicycle", "boat", "ship"}),
}
"""Names of classes beside a class that has the name of a split."""

PIECES = re.compile(
    r"(part|batch|chunk|shard|piece|fold|subset|split|images?|imgs?|archive|zip)[\W_]*\d+", re.IGNORECASE
)
"""Names of the pieces into which a large folder was cut."""

_PIECE_AT_END = re.compile(rf"(?P<start>.*?)(?:^|[\W_])(?:{PIECES.pattern})", re.IGNORECASE)


def are_pieces(names: Sequence[str]) -> bool:
    """Whether folders are the pieces into which a large one was cut: `images_001`, or `HAM10000_images_part_1`."""
    found = [_PIECE_AT_END.fullmatch(name) for name in names]
    return all(PIECES.fullmatch(name) for name in names) or (all(found) and len({m["start"] for m in found if m}) == 1)


DATE = re.compile(r"(19|20)\d\d([-_. ]?(0?[1-9]|1[0-2])([-_. ]?([0-2]?\d|3[01]))?)?( .*)?")
MONTH = re.compile(r"(0?[1-9]|1[0-2])|((0?[1-9]|1[0-2])[-_. ])?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*")

_GLUED = re.compile(
    r"(train|training|val|valid|validation|test|testing|dev)"
    r"(images?|imgs?|photos?|masks?|labels?|annot|annots|annotations?|gt|sets?|data|dataset|split)"
)
_GLUED_BACK = re.compile(
    r"(images?|imgs?|photos?|masks?|labels?|annots?|annotations?|gt|data|png|jpeg|jpg)"
    r"(train|training|val|valid|validation|test|testing|dev|images?|imgs?|masks?)"
)
_GLUED_MASK = re.compile(r"(segmentation|label|gt)(class|classes|object|ids?|fine|coarse|images?|masks?)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PHRASES = frozenset({"groundtruth", "holdout", "heldout", "labelmap", "trainval", "unlabeled", "unlabelled"})


@dataclass(frozen=True)
class Name:
    """What the name of a folder may mean."""

    split: SplitName | None = None
    kind: Kind | None = None
    rest: tuple[str, ...] = ()
    """Words that say neither, by which siblings know each other: `ISIC_Training_Input`, `ISIC_Test_Input`."""
    rank: int = 0
    """Of several folders of masks the one of the lowest rank is meant."""
    strong: bool = True
    """Whether the name is hardly that of a class."""


@lru_cache(maxsize=65536)
def meaning(name: str) -> Name:
    """Return what the name of a folder may mean."""
    words = words_of(name)
    if not NEGATIONS.isdisjoint(words):
        return Name(rest=tuple(words))
    split: SplitName | None = None
    kind: Kind | None = None
    rest: list[str] = []
    rank, strong = 0, True
    has_kind = any(word in IMAGES or word in MASKS for word in words)
    for word in words:
        if (found := SPLITS.get(word) or (SHORT_SPLITS.get(word) if has_kind else None)) and split in (None, found):
            split = found
        elif word in MASKS:
            kind, strong = "mask", (strong if kind == "mask" else True) and word not in PLAIN_MASKS
        elif word in IMAGES or word in INPUTS:
            kind, strong = (kind, strong) if kind else ("image", word in IMAGES)
        elif word in POOL:
            kind = "pool"
        elif word in OTHER_DRAWINGS:
            rank = 1
            rest.append(word)
        elif not word.isdigit():
            rest.append(word)
    rest = [word for word in rest if word not in FILLERS]
    if kind is None and split and len(words) == 2 and len(rest) == 1 and rest[0] in TARGETS:
        kind, rest, strong = TARGETS[rest[0]], [], False
    if kind == "mask":
        rest = [word for word in rest if word not in MASK_FILLERS and word not in OTHER_DRAWINGS]
    elif len(words) == 2 and len(rest) == 1 and len(rest[0]) == 1 and split and name[-1] == rest[0].upper():
        rest = []  # trainA, trainB: the domains of a translation
    return Name(split, kind, tuple(rest), rank, strong)


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case: `JPEGImages`, `train2017` and `ground_truth` have two, and one."""
    parts = [part for chunk in re.split(r"[\W_]+|(\d+)", name) if chunk for part in _CAMEL.split(chunk)]
    words: list[str] = []
    for part in map(str.casefold, parts):
        glued = _GLUED.fullmatch(part) or _GLUED_BACK.fullmatch(part) or _GLUED_MASK.fullmatch(part)
        words += glued.groups() if glued else [part]
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] + word in _PHRASES:
            joined[-1] += word
        else:
            joined.append(word)
    return joined


@lru_cache(maxsize=65536)
def alike(name: str) -> str:
    """Return what names have in common that differ by case, blanks, underscores or the form of Unicode only."""
    return plain(name.replace("-", " "))


_MASK_WORD = (
    r"(?:gt ?fine|gt ?coarse)?[_.\- ]*"
    r"(?P<word>label ?train ?ids?|label ?ids?|instance ?ids?|color|colour|masks?|segmentations?|seg|segs|"
    r"ground[_.\- ]?truth|gt|labels?|annotations?|annot|anno|manual|matte|l)"
)
MASK_ENDING = re.compile(rf"^(?P<base>.*?)(?P<mark>(?:^|[_.\- ]+){_MASK_WORD}(?:[_\- ]?\d{{1,2}})?)$", re.IGNORECASE)
MASK_BEGINNING = re.compile(
    r"^(?P<mark>(?P<word>mask|seg|segmentation|gt|groundtruth|ground_truth|label)(?:[_.\- ]+|(?=\d)))(?P<base>.+)$",
    re.IGNORECASE,
)
CERTAIN_MARKS = frozenset({"mask", "masks", "seg", "segs", "segmentation", "segmentations", "gt", "matte"})
"""Marks of a mask that stand in no other file's name; also ground truth and numbers of labels."""
_IMAGE_ENDS = (
    *("image", "images", "img", "sat", "rgb", "orig", "original", "input", "photo", "picture", "leftimg8bit", "im"),
    *("training", "test", "0000"),
)
IMAGE_ENDING = re.compile(
    rf"^(?P<base>.*?)(?:^|[_.\- ]+)(?:{'|'.join(_IMAGE_ENDS)})$",
    re.IGNORECASE,
)
_MARKS = (
    "mask",
    "seg",
    "tion",
    "gt",
    "truth",
    "label",
    "ids",
    "id",
    "color",
    "colour",
    "annot",
    "anno",
    "ual",
    "matte",
)
_MAY_END = tuple({*_MARKS, *(f"{mark}s" for mark in _MARKS), "_l", "-l", ".l", " l"})
_MAY_BEGIN = ("mask", "seg", "gt", "ground", "label")


@dataclass(frozen=True)
class Mark:
    """How the name of a file says that it is the mask of another."""

    base: str
    """The name of the picture."""
    text: str
    """`_mask`, as it is written."""
    certain: bool
    rank: int
    """Of several masks of a picture the one of the lowest rank is meant."""


def mark_of(stem: str) -> Mark | None:
    """Return how a file's name, without its ending, says that it is a mask; None if it does not."""
    low = stem.lower().rstrip("0123456789")
    low = low.rstrip("_- ") if low != stem.lower() else low
    if low.endswith(_MAY_END) and (match := MASK_ENDING.match(stem)):
        pass
    elif not low.startswith(_MAY_BEGIN) or not (match := MASK_BEGINNING.match(stem)):
        return None
    word = re.sub(r"[_.\- ]", "", match["word"].lower())
    certain = word in CERTAIN_MARKS or (
        word.startswith(("label", "instance", "groundtruth")) and word.endswith(("id", "ids", "truth"))
    )
    rank = 2 if word.startswith(("instance", "colo")) else 1 if "train" in word else 0
    return Mark(match["base"], match["mark"], certain, rank)


def core_of(stem: str) -> tuple[str, ...]:
    """Return the words of a file's name but those that say that it is a picture or a mask: `img_07` and `mask_07`."""
    words = words_of(stem)
    return tuple(word for word in words if word not in MASKS and word not in IMAGES and word not in INPUTS)


def base_of_image(stem: str) -> str:
    """Return a picture's name without a mark that says that it is the picture: `7_sat` → `7`."""
    match = IMAGE_ENDING.match(stem) if stem.lower().endswith(_IMAGE_ENDS) else None
    return match["base"] if match else stem
