"""The wrong answers that a classifier was surest of are kept, in whatever order they come."""

from __future__ import annotations

import io

import torch
from maecli_plugins.tasks.classify.mistakes import MOST, Mistakes
from PIL import Image

from maecli import api
from maecli.reports.grids import read_grid
from maecli.testing.small import small_preprocess
from maecli.testing.synthetic import Synthetic

CARD = Synthetic(Synthetic.Options()).card()


def texts(order: list[int], truth: list[int], probabilities: torch.Tensor, at_once: int = 3) -> list[tuple[str, str]]:
    """Return captions and names of the mistakes among samples that come in this order."""
    preprocess = small_preprocess(CARD)
    mistakes = Mistakes(CARD, preprocess)
    images = torch.zeros(len(order), preprocess.in_chans, *preprocess.img_size)
    for start in range(0, len(order), at_once):
        ids = order[start : start + at_once]
        tensors = {"image": images[ids], "label": torch.tensor([truth[i] for i in ids])}
        batch = api.Batch(tensors, api.Draws(0, 0, torch.tensor(ids)), [f"folder/{i}.png" for i in ids])
        mistakes.update(batch, probabilities[ids])
    drawings = mistakes.drawings()
    if not drawings:
        return []
    with Image.open(io.BytesIO(drawings[0].png)) as image:
        grid = read_grid(image)
    assert grid is not None
    return [(cell.caption, cell.name) for cell in grid.cells]


def test_the_surest_mistakes_come_first_with_truth_prediction_and_file() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.05, 0.95]])
    names = CARD.classes[:2]
    found = texts([0, 1, 2, 3], [1, 1, 0, 1], probabilities)

    assert found == [
        (f"{names[1]} → {names[0]}, 90%", "0.png"),
        (f"{names[0]} → {names[1]}, 80%", "2.png"),
        (f"{names[1]} → {names[0]}, 70%", "1.png"),
    ]
    assert texts([3, 1, 2, 0], [1, 1, 0, 1], probabilities, at_once=1) == found


def test_where_all_is_right_nothing_is_drawn() -> None:
    assert texts([0, 1], [0, 0], torch.tensor([[0.9, 0.1], [0.6, 0.4]])) == []


def test_no_more_are_kept_than_a_page_shows() -> None:
    num = MOST + 5
    sure = torch.linspace(0.6, 0.9, num)
    found = texts([*range(num)], [1] * num, torch.stack([sure, 1 - sure], 1))

    assert [name for _, name in found] == [f"{i}.png" for i in range(num - 1, 4, -1)]
