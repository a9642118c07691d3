from __future__ import annotations

import pytest
from maecli_plugins.datasets.voc.annotations import AnnotatedObject, Annotation, read_annotation
from write_data import voc_annotation, voc_object

from maecli import api


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a text as an annotation and returns its path."""
    path = tmp_path / "picture.xml"

    def write(text: str | bytes):
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_boxes_are_counted_from_0_with_an_exclusive_end(written):
    path = written(voc_annotation(voc_object("dog", (1, 1, 30, 20), difficult=1) + voc_object("cat", (5, 6, 5, 6))))
    assert read_annotation(path) == Annotation(
        (20, 30),
        (
            AnnotatedObject("dog", (0, 0, 30, 20), difficult=True),
            AnnotatedObject("cat", (4, 5, 5, 6)),
        ),
    )


def test_fractions_of_pixels_are_kept(written):
    [thing] = read_annotation(written(voc_annotation(voc_object("dog", (45.5, 1, 50.25, 9))))).objects
    assert thing.box == (44.5, 0, 50.25, 9)


def test_parts_of_objects_are_left_out(written):
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    text = voc_annotation(voc_object("person", (3, 3, 9, 9))).replace("<pose>", f"{part}<pose>")
    [thing] = read_annotation(written(text)).objects
    assert (thing.name, thing.box) == ("person", (2, 2, 9, 9))


def test_an_image_without_objects_and_without_size_is_sound(written):
    annotation = read_annotation(written("<annotation/>"))
    assert annotation == Annotation(None, ())
    assert list(annotation.broken_rules((4, 4))) == []


def test_a_size_of_0_is_none(written):
    assert read_annotation(written(voc_annotation("", 0, 0))).size is None


def test_every_broken_rule_is_told(written):
    objects = (
        voc_object("dog", (1, 1, 30, 20))
        + voc_object("unicorn", (-1, 1, 30, 20))
        + voc_object("dog", (1, 1, 31.5, 20))
        + voc_object("dog", (5, 9, 8, 8))
    )
    annotation = read_annotation(written(voc_annotation(objects)))
    of_30x20 = "reaches outside the image of 30×20 pixels"
    told = [
        "object 2 is of the unknown class 'unicorn'",
        f"the box of object 2 (unicorn; xmin -1, ymin 1, xmax 30, ymax 20) {of_30x20}",
        f"the box of object 3 (dog; xmin 1, ymin 1, xmax 31.5, ymax 20) {of_30x20}",
        "the box of object 4 (dog; xmin 5, ymin 9, xmax 8, ymax 8) ends before it begins",
    ]
    assert list(annotation.broken_rules()) == told
    assert list(annotation.broken_rules((20, 30))) == told
    assert next(annotation.broken_rules((30, 20))) == (
        "gives the image 30×20 pixels, but it has 20×30 pixels, which is taken"
    )


@pytest.mark.parametrize(
    ("box", "is_sound"),
    [
        ((0, 1, 30, 20), True),
        ((0.6, 1, 30.4, 20), True),
        ((1, 1, 31, 21), True),
        ((1, 1, 31.1, 20), False),
        ((-0.1, 1, 30, 20), False),
        ((31, 1, 31, 20), False),
        ((0, 1, 0, 20), False),
    ],
    ids=["from 0", "fractions", "a pixel beyond", "more", "before", "right of it", "left of it"],
)
def test_a_box_may_reach_a_pixel_outside_and_is_clipped(box, is_sound, written):
    annotation = read_annotation(written(voc_annotation(voc_object("dog", box))))
    assert (not list(annotation.broken_rules((20, 30)))) is is_sound
    if is_sound:
        left, top, right, bottom = annotation.objects[0].clipped((20, 30)).box
        assert 0 <= left < right <= 30
        assert 0 <= top < bottom <= 20


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty file"),
        ("<annotation><object>", "is not well-formed XML (no element found: line 1, column 20)"),
        (b'<?xml version="1.0" encoding="x-klingon"?><annotation/>', "is not well-formed XML (unknown encoding"),
        (b"\xff\xfe\x00<", "is not well-formed XML ("),
        ("<html/>", "its root is <html>, not <annotation>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "declares XML entities, which are refused"),
        (
            '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><annotation>&b;</annotation>',
            "declares XML entities, which are refused",
        ),
        ("<annotation><object/></annotation>", "a <object> has no <name>"),
        ("<annotation><object><name>dog</name></object></annotation>", "an object (dog) has no <bndbox>"),
        (voc_annotation(voc_object("dog", (1, 1, 2, 2)).replace("<ymax>2</ymax>", "")), "a <bndbox> has no <ymax>"),
        (voc_annotation(voc_object("dog", ("left", 1, 2, 2))), "<xmin> is 'left', not a number"),
        (voc_annotation(voc_object("dog", ("nan", 1, 2, 2))), "<xmin> is 'nan', not a number"),
        (voc_annotation(voc_object("dog", (1, 1, "inf", 2))), "<xmax> is 'inf', not a number"),
    ],
)
def test_what_is_no_annotation_is_named_with_the_rule(written, text, reason):
    path = written(text)
    with pytest.raises(api.BrokenSample) as caught:
        read_annotation(path)
    assert caught.value.fault.path == str(path)
    assert caught.value.fault.reason.startswith(reason)


def test_an_absent_annotation_is_named(tmp_path):
    with pytest.raises(api.BrokenSample, match=r"absent\.xml: cannot be read \(No such file or directory\)"):
        read_annotation(tmp_path / "absent.xml")


def test_an_annotation_has_a_size(written):
    with pytest.raises(api.BrokenSample, match="is larger than 16,777,216 bytes"):
        read_annotation(written("<annotation>" + " " * 2**24))


def test_a_box_at_infinity_is_no_box(written):
    with pytest.raises(api.BrokenSample, match="<xmax> is '1e300', not a number of pixels"):
        read_annotation(written(voc_annotation(voc_object("cat", (1, 1, "1e300", 2)))))
