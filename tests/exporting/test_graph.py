from __future__ import annotations

import pytest
import torch

from maecli.data.card import DataCard
from maecli.errors import SpecError
from maecli.exporting.graph import Graph
from maecli.exporting.raw import RawInput
from maecli.modalities.fit import fit
from maecli.modalities.pictures.exported import resize_in_graph
from maecli.modalities.pictures.modality import Pictures
from maecli.modalities.preprocess import Preprocess
from maecli.modalities.series.modality import Series
from maecli.modalities.tables.modality import Tables
from maecli.modalities.volumes.modality import Volumes
from maecli.training.outputs import Outputs


class Seen(Outputs):
    """What a model would see."""

    def __init__(self):
        super().__init__()
        self.names = {"x": "", "valid": ""}

    def forward(self, x, valid=None):
        return {"x": x, "valid": torch.ones_like(x, dtype=torch.bool) if valid is None else valid}


def card(**facts):
    plain = {"channels": 1, "size": None, "mean": (0.25,), "std": (0.5,), "fields": ("image",)}
    return DataCard(name="toys", title="toys", split_sizes={}, split_origin="", **plain | facts)


def graph(card, preprocess, own_size=False):
    return Graph(RawInput.of(preprocess, card, own_size), Seen(), own_size)


@pytest.mark.parametrize(
    ("shape", "size"), [((40, 90), (16, 16)), ((90, 41), (8, 24)), ((7, 9), (16, 12)), ((12, 12),) * 2]
)
def test_pictures_are_cut_and_resized_as_evaluation_does(shape, size):
    picture = torch.randint(0, 256, (3, *shape), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    box = Pictures().box(shape, size, "resize", None)
    ours = fit({"image": picture.numpy()}, box, size)["image"]
    apart = (resize_in_graph(picture[None], size)[0] - ours).abs()
    assert apart.max() <= 1
    assert apart.mean() < 0.05  # of 255


def test_halves_of_a_level_are_rounded_up_by_whichever_library_makes_them():
    """Half to even would be 0, 2 and 254, and what is a little less than a half in another library's sum, too."""
    pairs = torch.tensor([[0, 1], [2, 3], [254, 255]], dtype=torch.uint8)
    assert resize_in_graph(pairs[:, None, None].expand(-1, 1, 2, 2), (1, 1)).flatten().tolist() == [1, 3, 255]


@pytest.mark.parametrize("gaps", [False, True])
def test_what_a_model_sees_becomes_raw_and_is_seen_again(gaps):
    facts = card(modality="series", channels=2, size=(6,), dtype="float32", value_range=(-10.0, 30.0), missing=gaps)
    facts = facts.model_copy(update={"mean": (0.25, 0.5), "std": (0.5, 0.25)})
    preprocess = Preprocess.of(facts, (6,), modality=Series())
    x = torch.randn(3, 2, 6)
    valid = torch.rand(3, 2, 6) > 0.3 if gaps else None
    made = graph(facts, preprocess)
    raw = made.raw.from_model(x, valid)
    seen = made(raw)
    expected = x if valid is None else torch.where(valid, x, 0.0)
    assert torch.allclose(seen["x"], expected, atol=1e-5)
    assert torch.equal(seen["valid"], torch.ones_like(x, dtype=torch.bool) if valid is None else valid)


def test_rows_shorter_than_the_model_are_padded_with_cells_that_are_missing():
    facts = card(modality="tables", size=(3,), dtype="float32", value_range=(0.0, 2.0), mean=(0.5,) * 3, std=(1.0,) * 3)
    made = graph(facts, Preprocess.of(facts, (4,), modality=Tables()))
    seen = made(torch.tensor([[[2.0, torch.nan, 0.0]]]))
    assert made.raw.size == (3,)
    assert torch.equal(seen["valid"], torch.tensor([[[True, False, True, False]]]))
    assert torch.equal(seen["x"], torch.tensor([[[0.5, 0.0, -0.5, 0.0]]]))


def test_pictures_of_8_bits_are_bytes_and_others_numbers_in_the_range_of_files():
    assert RawInput.of(Preprocess.of(card(), (8, 8)), card()).dtype == torch.uint8
    grey = card(value_range=(0.0, 16.0))
    raw = RawInput.of(Preprocess.of(grey, (8, 8)), grey)
    assert (raw.dtype, raw.preprocess.value_range) == (torch.float32, (0.0, 255.0))


def test_a_grey_channel_that_was_copied_goes_in_once():
    preprocess = Preprocess.of(card(), (8, 8), channels=3)
    seen = graph(card(), preprocess)(torch.full((1, 1, 8, 8), 255, dtype=torch.uint8))
    assert torch.equal(seen["x"], torch.full((1, 3, 8, 8), 1.5))


@pytest.mark.parametrize("size", [None, (4, 10, 4)])
def test_of_samples_that_are_cut_a_file_takes_parts_of_the_models_size(size):
    facts = card(modality="volumes", size=size, dtype="float32")
    raw = RawInput.of(Preprocess.of(facts, (4, 4, 4), modality=Volumes(), fit="crop"), facts)
    assert (raw.size, raw.is_part) == ((4, 4, 4), True)
    assert "in parts of 4 × 4 × 4; float32" in raw.describe()
    assert "(batch, 1 channel, " in raw.describe()


def test_samples_that_a_file_cannot_bring_to_the_model_are_refused():
    facts = card(modality="series", size=(10,), dtype="float32")
    with pytest.raises(SpecError, match=r"windows of toys have the size \(10,\), and the model \(6,\)"):
        RawInput.of(Preprocess.of(facts, (6,), modality=Series(), fit="resize"), facts)
