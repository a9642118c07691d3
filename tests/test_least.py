from __future__ import annotations

import random

from maecli.least import Least


def test_the_lowest_are_kept_in_whatever_order_they_come_and_others_are_not_made():
    numbers = list(range(100))
    random.Random(0).shuffle(numbers)
    least, made = Least[int](3), []
    for number in numbers:
        least.add(float(number), number, lambda number=number: made.append(number) or number)
    assert (least.things, least.num) == ([0, 1, 2], 100)
    assert len(made) < 30


def test_of_one_rank_the_first_places_come_first():
    least = Least[int](2)
    for place in (5, 1, 3):
        least.add(0.0, place, lambda place=place: place)
    assert least.things == [1, 3]
