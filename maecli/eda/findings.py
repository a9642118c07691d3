"""What `mae eda` finds in a data set, as plain values: what `eda.json` holds, and pages and metrics are made from."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from maecli.data.card import DataCard
from maecli.errors import Fault


class Found(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Where(Found):
    """A sample, by its split and its key there."""

    split: str
    key: str


class Histogram(Found):
    """How often a quantity fell into each bin, per split; the end bins hold what lies beyond them too."""

    edges: tuple[float, ...] = Field(description="one more than there are bins, rising")
    counts: dict[str, tuple[int, ...]]
    medians: dict[str, float]


class Sizes(Found):
    """Spatial sizes of the readable pictures of a split, (H, W) for images."""

    smallest: tuple[int, ...] = Field(description="per axis")
    median: tuple[float, ...] = Field(description="per axis")
    largest: tuple[int, ...] = Field(description="per axis")
    num_distinct: int
    common: tuple[tuple[tuple[int, ...], int], ...] = Field(description="the most frequent sizes, with their counts")


class Pictures(Found):
    """The pictures of one split."""

    num: int
    num_broken: int
    sizes: Sizes | None = Field(description="None when no picture can be read")
    num_flat: int = Field(description="pictures of one colour, which no perceptual hash can tell apart")
    num_grey: int = Field(description="pictures of three equal channels")


class Labels(Found):
    """Labels of one split. A sample has one class, or any number of them when the card is `multi_label`."""

    num: int
    present: tuple[int, ...] = Field(description="samples of each class")
    not_judged: tuple[int, ...] = Field(description="samples where the class is neither present nor absent")


class Masks(Found):
    """Masks of one split, by class."""

    num: int
    images: tuple[int, ...] = Field(description="masks that show the class")
    objects: tuple[int, ...] = Field(description="connected regions (8 neighbours) of the class, specks left out")
    pixels: tuple[int, ...]
    void_pixels: int = Field(description="pixels that are not judged")
    constant: int = Field(description="the class that is everywhere in the trivial prediction: background, if any")
    constant_accuracy: float = Field(description="share of the judged pixels that are of that class")
    constant_miou: float = Field(description="mean IoU of that prediction, over the classes that the split has")


class Boxes(Found):
    """Annotated boxes of one split, by class."""

    num: int = Field(description="annotated samples")
    images: tuple[int, ...] = Field(description="samples with a box of the class")
    objects: tuple[int, ...]


class Objects(Found):
    """Histograms of masks and boxes; None where the data set has nothing of the kind."""

    foreground: Histogram | None = Field(default=None, description="share of a mask that is an object")
    region_areas: Histogram | None = Field(default=None, description="share of a mask that one region covers")
    per_image: Histogram | None = Field(default=None, description="boxes of a sample")
    areas: Histogram | None = Field(default=None, description="share of the picture that a box covers")
    aspects: Histogram | None = Field(default=None, description="width / height of a box")


class Pair(Found):
    """Two pictures that are copies of each other."""

    kind: Literal["exact", "near"]
    first: Where
    second: Where
    distance: int = Field(description="bits in which the perceptual hashes differ, of 63")
    similarity: float = Field(description="correlation of the pictures, as grey 32 × 32; 1 for exact copies")


class Overlap(Found):
    """How many pictures of a split have a copy in another split, or a second one in the same."""

    split: str
    other: str
    exact: int = Field(description="pictures with an exact copy")
    near: int = Field(description="pictures with a near copy, and no exact one")
    very_near: int = Field(description="those of them that are all but identical")


class Duplicates(Found):
    """Copies among all pictures of all splits."""

    num_compared: int = Field(description="pictures whose perceptual hashes were compared")
    max_distance: int
    min_similarity: float
    num_exact: int = Field(description="pictures that repeat one before them, pixel by pixel")
    num_near: int = Field(description="near pairs")
    overlaps: tuple[Overlap, ...]
    pairs: tuple[Pair, ...] = Field(description="the first ones: across splits before within, exact before near")


class Contradiction(Found):
    """Pictures that are equal pixel by pixel and have different labels."""

    num: int = Field(description="labelled pictures of the group")
    labels: tuple[str, ...] = Field(description="what they are labelled, each once")
    pictures: tuple[Where, ...] = Field(description="the first picture with each of these labels")


class Findings(Found):
    """All of it."""

    version: Literal[1] = 1
    dataset: str
    card: DataCard
    mask_card: DataCard | None = Field(default=None, description="of the samples that have masks")
    pictures: dict[str, Pictures]
    labels: dict[str, Labels] = Field(default_factory=dict)
    masks: dict[str, Masks] = Field(default_factory=dict)
    boxes: dict[str, Boxes] = Field(default_factory=dict)
    objects: Objects = Objects()
    duplicates: Duplicates | None = Field(default=None, description="None when the samples are no pictures")
    copies_by: dict[Literal["labels", "masks"], Duplicates] = Field(
        default_factory=dict,
        description="copies among the pictures with labels or masks, by the splits of these where they are others",
    )
    contradictions: tuple[Contradiction, ...] = ()
    faults: tuple[Fault, ...] = ()
    advice: tuple[str, ...] = ()
    seconds: float = 0.0
