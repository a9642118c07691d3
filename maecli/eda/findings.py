"""What `mae eda` finds in a data set, as plain values: what `eda.json` holds, and pages and metrics are made from."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from maecli.data.card import DataCard
from maecli.errors import Fault
from maecli.modalities.study import Study
from maecli.text import number_of


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


class Words(Found):
    """What samples and their parts are called."""

    one: str = "picture"
    many: str = "pictures"
    part: str = Field(default="pixel", description="what a sample consists of")
    axes: tuple[str, ...] = Field(default=("height", "width"), description="the lengths of a sample, in their order")
    recur: bool = Field(default=False, description="whether samples may be equal by chance, and are then no copies")

    @property
    def lengths(self) -> str:
        """What a size consists of; of more than one length each is counted for itself: height × width, separately."""
        return " × ".join(self.axes) + (", taken separately" if len(self.axes) > 1 else "")

    def count(self, num: int) -> str:
        """Return how many samples these are."""
        return number_of(num, self.one, self.many)


class Statistics(Found):
    """The values of one channel of a split's samples, of one cell of its rows, or of one target."""

    name: str
    num: int = Field(description="values, without the missing ones")
    missing: float = Field(description="share of all that is missing")
    outside: float = Field(description="share of the values that lie outside of the card's range")
    min: float | None = Field(description="in units of the data; None without any value")
    mean: float | None
    max: float | None
    std: float | None


class Sizes(Found):
    """Spatial sizes of the readable samples of a split, (H, W) for images."""

    smallest: tuple[int, ...] = Field(description="per axis")
    median: tuple[float, ...] = Field(description="per axis")
    largest: tuple[int, ...] = Field(description="per axis")
    num_distinct: int
    common: tuple[tuple[tuple[int, ...], int], ...] = Field(description="the most frequent sizes, with their counts")


class Samples(Found):
    """The samples of one split."""

    num: int
    num_broken: int
    sizes: Sizes | None = Field(description="None when no sample can be read")
    num_flat: int = Field(description="samples of one value, as pictures of one colour, which no hash can tell apart")
    num_grey: int = Field(description="pictures of three equal channels")
    num_empty: int = Field(default=0, description="samples of which every value is missing")


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
    """Two samples that are copies of each other."""

    kind: Literal["exact", "near"]
    first: Where
    second: Where
    distance: int = Field(description="bits in which the perceptual hashes differ, of 63")
    similarity: float = Field(description="correlation of the pictures, as grey 32 × 32; 1 for exact copies")


class Overlap(Found):
    """How many samples of a split have a copy in another split, or a second one in the same."""

    split: str
    other: str
    exact: int = Field(description="samples with an exact copy")
    near: int = Field(description="pictures with a near copy, and no exact one")
    very_near: int = Field(description="those of them that are all but identical")


class Duplicates(Found):
    """Copies among all samples of all splits."""

    num_compared: int = Field(
        description="samples whose perceptual hashes were compared; 0 where only pictures have one"
    )
    max_distance: int
    min_similarity: float
    num_exact: int = Field(description="samples that repeat one before them in every value")
    num_near: int = Field(description="near pairs")
    overlaps: tuple[Overlap, ...]
    pairs: tuple[Pair, ...] = Field(description="the first ones: across splits before within, exact before near")


class Contradiction(Found):
    """Samples that are equal in every value and have different labels."""

    num: int = Field(description="labelled samples of the group")
    labels: tuple[str, ...] = Field(description="what they are labelled, each once")
    pictures: tuple[Where, ...] = Field(description="the first sample with each of these labels")


class Findings(Found):
    """All of it."""

    version: Literal[1] = 1
    dataset: str
    card: DataCard
    mask_card: DataCard | None = Field(default=None, description="of the samples that have masks")
    words: Words = Words()
    pictures: dict[str, Samples] = Field(description="the samples of each split, of whatever modality")
    values: dict[str, tuple[Statistics, ...]] = Field(
        default_factory=dict,
        description="of each channel, of a table's rows each cell; of pictures as they are decoded for a survey, "
        "small where their format allows it",
    )
    missing: Histogram | None = Field(default=None, description="share of a sample that is missing, if any value is")
    targets: dict[str, tuple[Statistics, ...]] = Field(default_factory=dict, description="of the numbers to predict")
    labels: dict[str, Labels] = Field(default_factory=dict)
    masks: dict[str, Masks] = Field(default_factory=dict)
    boxes: dict[str, Boxes] = Field(default_factory=dict)
    objects: Objects = Objects()
    duplicates: Duplicates | None = None
    copies_by: dict[Literal["labels", "masks"], Duplicates] = Field(
        default_factory=dict,
        description="copies among the samples with labels or masks, by the splits of these where they are others",
    )
    contradictions: tuple[Contradiction, ...] = ()
    study: Study | None = Field(default=None, description="what samples of this kind show together")
    faults: tuple[Fault, ...] = ()
    advice: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_annotated(self) -> bool:
        """Whether anything is known of a sample but itself: a label, a mask, boxes, numbers to predict."""
        return bool(self.labels or self.masks or self.boxes or self.targets)
