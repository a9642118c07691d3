from __future__ import annotations

import hashlib

import pytest
from pydantic import ValidationError

from maecli.data.tally import NUM_GROUPS, PRIME, Names, Tally

NAMES = [f"class{i % 7}/{i:04d}.png" for i in range(1000)]


def test_the_number_that_changed_is_named():
    names = Names(NAMES)
    before = names.tally(range(1000))
    for position, number in ((0, 5), (517, 0), (999, PRIME - 1)):
        now = [*range(position), number, *range(position + 1, 1000)]
        assert names.tally(now) != before
        assert names.changed(before, now) == [position]


def test_several_are_named_where_each_is_alone_in_its_group():
    names = Names(NAMES)
    before = names.tally([1] * 1000)
    groups = [mark % NUM_GROUPS for mark in names.marks]
    one_each = sorted(groups.index(group) for group in range(NUM_GROUPS))
    assert names.changed(before, [2 if i in one_each else 1 for i in range(1000)]) == one_each
    assert names.changed(before, [2] * 1000) == []
    assert names.changed(before, [1] * 1000) == []


def test_a_name_that_was_added_is_found():
    before = Names(NAMES[:300] + NAMES[301:])
    now = Names(NAMES)
    assert now.changed(before.tally(before.marks), now.marks) == [300]


def test_the_order_of_numbers_counts_and_that_of_names_shows_in_their_own():
    names, turned = Names(["a", "b"]), Names(["b", "a"])
    assert names.tally([1, 2]).digest != names.tally([2, 1]).digest
    assert names.tally(names.marks).digest != turned.tally(turned.marks).digest
    assert names.tally(names.marks).sums == turned.tally(turned.marks).sums


def test_a_tally_is_the_same_everywhere():
    name = "grün\udce9".encode("utf-8", "surrogatepass")
    mark = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") % PRIME
    tally = Names(["grün\udce9"]).tally([3])
    sums = [(3, 3 * mark % PRIME) if group == mark % NUM_GROUPS else (0, 0) for group in range(NUM_GROUPS)]
    assert tally.sums == "".join(f"{plain:016x}{weighted:016x}" for plain, weighted in sums)
    assert tally.digest == hashlib.blake2b(b"\3" + bytes(7), digest_size=16).hexdigest()


@pytest.mark.parametrize("sums", ["", "0" * 255, "0" * 257, "g" * 256, "0" * 256 + "\n"])
def test_damaged_sums_are_no_tally(sums):
    with pytest.raises(ValidationError):
        Tally(digest="0" * 32, sums=sums)
