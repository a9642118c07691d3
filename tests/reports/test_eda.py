"""The page of `mae eda` in a real browser: every drawing is seen, nothing is complained of, and it fits a phone."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import needs_browser, opened
from toy_dataset import Shapes, shapes
from toy_grids import series, tables, volumes

from maecli.eda.advice import advise
from maecli.eda.examples import Augmented, Example, Gallery
from maecli.eda.findings import Boxes, Duplicates, Findings, Overlap, Pair, Where
from maecli.eda.gallery import first_samples, side_by_side
from maecli.eda.survey import survey
from maecli.modalities.pictures.modality import Pictures
from maecli.modalities.study import Bars, Curves, Finding, Study, Topic
from maecli.registry import registry
from maecli.reports.eda import describe, eda_sections
from maecli.reports.page import Section, drawing_files, render_report
from maecli.results import Table

WIDTHS = (1280, 390)

MEASURE = """
onload = () => {
  const frames = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, root = page.documentElement;
    return {
      width: frame.contentWindow.innerWidth,
      scroll: root.scrollWidth,
      paper: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
      focusable: page.querySelectorAll("a[href], [tabindex='0'], summary").length,
      images: [...page.images].map(image => {
        const box = image.getBoundingClientRect();
        return [image.naturalWidth, box.width, box.height, box.left, box.right, image.checkVisibility()];
      }),
    };
  });
  document.querySelector("pre").textContent = JSON.stringify(frames);
};
"""


@pytest.fixture(scope="module")
def page() -> tuple[str, int]:
    """Return a page with every kind of drawing, and how many it has."""
    dataset = Shapes({"train": [*range(8), 3], "val": [9, 1], "test": [11]})
    found = survey(dataset, Pictures(), lambda *_: lambda: None)
    findings = found.findings.model_copy(update={"advice": tuple(advise(found.findings, (24, 32)))})
    split = dataset.split("train", ("image", "mask"))
    first = first_samples(split, findings.card, Pictures(), 5).examples
    assert findings.duplicates is not None
    splits = {name: scan.split for name, scan in found.samples.items()}
    gallery = Gallery(
        classes=[("even", first), ("odd", first[:2])],
        first=first,
        augmented=[Augmented("pretraining", "as it is", first), Augmented("fine-tuning", "as it is", first)],
        copies=side_by_side(findings.duplicates.pairs, splits, findings.card, Pictures(), 12),
    )
    sections = eda_sections(findings, gallery)
    commands = [("mae pretrain", "learn")]
    source = render_report(
        "toy", describe(findings), sections, spec_yaml="a: 1", environment={"python": "3"}, next_commands=commands
    )
    return source, len(drawing_files(sections))


def measured(page: str, folder: Path, *arguments: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Open a page at each width; return what was measured there, and what the console says."""
    frames = "".join(f'<iframe width="{width}" height="800" srcdoc="{html.escape(page)}"></iframe>' for width in WIDTHS)
    outer = f"<!doctype html><title>x</title><pre></pre>{frames}<script>{MEASURE}</script>"
    dumped, log = opened(outer, folder, *arguments)
    found = re.search("<pre>(.*?)</pre>", dumped)
    assert found is not None
    return json.loads(html.unescape(found[1])), [line for line in log.splitlines() if "CONSOLE" in line]


@pytest.mark.slow
@needs_browser
def test_every_drawing_is_seen_on_a_screen_and_a_phone_and_the_console_is_silent(
    page: tuple[str, int], tmp_path: Path
) -> None:
    source, num = page
    frames, console = measured(source, tmp_path)

    assert console == []
    assert num == 12
    assert [frame["width"] for frame in frames] == list(WIDTHS)
    for frame in frames:
        assert frame["scroll"] <= frame["width"], "the page itself does not scroll sideways"
        assert len(frame["images"]) > num, "a grid has an image for each of its pictures"
        for natural, width, height, left, right, visible in frame["images"]:
            assert natural > 0
            assert visible
            assert min(width, height) > 40
            assert 0 <= left < right <= frame["width"]
        assert frame["focusable"] > 10


@pytest.mark.slow
@needs_browser
def test_the_page_is_dark_where_that_is_preferred_and_a_fault_would_be_noticed(
    page: tuple[str, int], tmp_path: Path
) -> None:
    faulty = page[0].replace("</main>", '<img alt="" src="data:image/png;base64,AAAA"><script>1</script></main>')
    frames, console = measured(faulty, tmp_path, "--blink-settings=preferredColorScheme=0")

    assert {frame["paper"] for frame in frames} == {"rgb(22, 24, 27)"}
    assert any("Content Security Policy" in line for line in console), "the policy refuses scripts"
    assert all(frame["images"][-1][0] == 0 for frame in frames), "a damaged image has no width of its own"


def test_what_was_not_found_is_left_out() -> None:
    findings = survey(shapes(fields=("image",)), Pictures(), lambda *_: lambda: None).findings
    titles = [section.title for section in eda_sections(findings, Gallery()) if section.content]

    assert titles == ["What to know", "Pictures", "Values", "Copies"]


def tables_of(sections: Sequence[Section], title: str) -> dict[str, Table]:
    """Return the tables of a section by their titles."""
    (section,) = [each for each in sections if each.title == title]
    return {item.title: item for item in section.content if isinstance(item, Table)}


@pytest.mark.slow
def test_boxes_and_masks_of_different_images_are_told_apart() -> None:
    findings = survey(
        shapes(fields=("image", "label", "mask"), num_train=5), Pictures(), lambda *_: lambda: None
    ).findings
    boxes = {"train": Boxes(num=50, images=(30, 25), objects=(41, 37))}
    sections = eda_sections(findings.model_copy(update={"boxes": boxes}), Gallery())

    of_boxes, of_masks = tables_of(sections, "Boxes")["Classes of the boxes"], tables_of(sections, "Masks")
    assert of_boxes.columns == ("class", "train: pictures", "objects")
    assert of_boxes.rows == (("even", 30, 41), ("odd", 25, 37))
    rows = of_masks["Classes of the masks"].rows
    assert [row[:3] for row in rows] == [("background", 5, 0), ("even", 3, 3), ("odd", 2, 2)]
    assert "box-class-frequencies.png" in drawing_files(sections)


def test_copies_across_the_splits_of_masks_are_listed_beside_those_of_the_pictures() -> None:
    findings = survey(shapes(2, 1, 1, fields=("image",)), Pictures(), lambda *_: lambda: None).findings
    where = Where(split="train", key="a"), Where(split="val", key="b")
    pair = Pair(kind="exact", first=where[0], second=where[1], distance=0, similarity=1)
    inside = pair.model_copy(update={"second": Where(split="train", key="c")})
    overlaps = [Overlap(split="val", other=other, exact=1, near=0, very_near=0) for other in ("val", "train")]
    copies = Duplicates(
        num_compared=3, max_distance=8, min_similarity=0.95, num_exact=2, num_near=0, overlaps=overlaps,
        pairs=(pair, inside),
    )  # fmt: skip
    changed = findings.model_copy(update={"duplicates": copies, "copies_by": {"masks": copies}})
    sections = eda_sections(changed, Gallery())

    found = tables_of(sections, "Copies")
    assert len(found["Pictures that have a copy"].rows) == 2
    assert found["Pictures with masks that have a copy in another of their splits"].rows == (("val", "train", 1, 0, 0),)
    (row,) = found["Pairs across the splits of pictures with masks"].rows
    assert row[:5] == ("exact", "train", "a", "val", "b")


@pytest.mark.slow
def test_equal_pictures_that_are_labelled_differently_are_listed() -> None:
    findings = survey(Shapes({"train": [5, 5], "val": [1, 5]}), Pictures(), lambda *_: lambda: None).findings
    found = tables_of(eda_sections(findings, Gallery()), "Copies")
    (title,) = [title for title in found if "labelled differently" in title]

    assert found[title].rows == ((1, "train", "train/0.png", "even"), (1, "train", "train/1.png", "odd"))


@pytest.mark.slow
def test_hostile_names_stay_text() -> None:
    findings = survey(
        shapes(rules=[("<script>alert(1)</script>", "<b>")]), Pictures(), lambda *_: lambda: None
    ).findings
    gallery = Gallery(classes=[("<i>", [Example("<u>", np.zeros((3, 8, 8), np.float32))])])
    page = render_report("toy", describe(findings), eda_sections(findings, gallery))

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("make", [series, volumes, tables])
def test_pages_of_other_samples_show_their_values_and_speak_of_no_pictures(make) -> None:
    dataset = make()
    modality = registry().modality(dataset.changes["modality"])()
    findings = survey(dataset, modality, lambda *_: lambda: None).findings
    card = findings.mask_card or findings.card
    first = first_samples(dataset.split("train", ("image", "mask")), card, modality, 3).examples
    gallery = Gallery(classes=[("", first)], first=first, augmented=[Augmented("pretraining", "as it is", first)])
    sections = eda_sections(findings, gallery)

    values = tables_of(sections, "Values")["Values of train, in units of the data"]
    assert [row[0] for row in values.rows] == [each.name for each in findings.values["train"]]
    assert ("missing" in values.columns) is (make is tables)
    assert modality.unit.capitalize() in [section.title for section in sections]
    assert ("masks.png" in drawing_files(sections)) is (make is volumes)
    page = re.sub("<style>.*?</style>|<[^>]*>", " ", render_report("toy", describe(findings), sections), flags=re.S)
    assert not re.search(r"\b(pictures?|images?|pixels?(?! accuracy)|colour)\b", page), "in their own words"


def test_what_a_modality_studies_is_told_and_shown_by_topic() -> None:
    found = survey(Shapes({"train": [*range(8)]}), Pictures(), lambda *_: lambda: None).findings
    lines = Curves(
        name="course",
        caption="How it goes.",
        x_label="step",
        y_label="level",
        points={"flow": ((0.0, 1.0), (1.0, None), (2.0, 3.0))},
        borders={"test": 2.0},
    )
    bars = Bars(name="gaps", caption="What lacks.", x_label="missing", lengths={"flow": 0.25}, unit="share")
    table = Table(title="Levels", columns=("column", "level"), rows=(("flow", 1.5),))
    topic = Topic(title="Over time", text=("All of it.",), tables=(table,), charts=(lines, bars))
    study = Study(findings=(Finding(kind="gap", of=("flow",), told="flow has a gap: fill it in."),), topics=(topic,))
    findings = found.model_copy(update={"study": study})
    assert Findings.model_validate_json(findings.model_dump_json()).study == study
    assert "flow has a gap: fill it in." in advise(findings, (24, 32))

    sections = eda_sections(findings, Gallery(classes=[], first=[], augmented=[]))
    section = next(section for section in sections if section.title == "Over time")
    assert section.content[:2] == ["All of it.", table]
    assert {"course.png", "gaps.png"} <= set(drawing_files(sections))
    page = render_report("toy", "", sections)
    assert ">test<" in re.sub(r"\s+", "", page)
    assert "25%" in page
