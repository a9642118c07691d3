"""The page holds everything in itself, escapes what it is given, and says what a metric is worth."""

from __future__ import annotations

import base64
import functools
import html
import io
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import needs_browser, opened
from PIL import Image
from write_data import encoded, noise

from maecli.errors import Fault
from maecli.reports.charts import curves
from maecli.reports.confusion import confusion_matrix
from maecli.reports.grids import contact_sheet, picture_grid
from maecli.reports.page import Command, Link, Section, render_report
from maecli.results import Drawing, Evaluation, Metric, Table

HOSTILE = "<script>alert('x')</script>\"' onerror=alert(1) & co"
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of the whole."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(source)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes the innermost element"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def metric(value: float = 0.9722, **changes: object) -> Metric:
    fields = {
        "name": "top1",
        "label": "top-1 accuracy",
        "value": value,
        "unit": "share",
        "interval": (0.9688, 0.9753),
    }
    return Metric.model_validate({**fields, "baselines": {"majority": 0.1135, "chance": 0.1}, **changes})


@functools.cache
def loss_curve() -> bytes:
    return curves({"loss": [(0, 1), (1, 2)]}, "step", "loss")


def picture(caption: str = "Loss by step.", name: str = "loss_curve") -> Drawing:
    return Drawing(name=name, caption=caption, png=loss_curve())


def grids(text: str) -> list[Drawing]:
    """Return a grid under titles and one that breaks anywhere, all of whose texts are `text`."""
    pixels = np.eye(8)
    titled = picture_grid([[pixels] * 3] * 2, [text] * 3, [text] * 2, legend=[(text, "#c80000"), (text, "")])
    sheet = contact_sheet([pixels] * 9, [text] * 9, [True] * 9, [text.replace("/", " ")] * 9)
    return [Drawing(name=text, caption=text, png=png) for png in (titled, sheet)]


def evaluation(**changes: Any) -> Evaluation:
    fields = {"split": "test", "num_samples": 10000, "metrics": (metric(),)}
    return Evaluation.model_validate({**fields, **changes})


def report(*sections: Section, **options: Any) -> str:
    return render_report("Digits", "Reads 97.22% of unseen digits.", sections, **options)


@functools.cache
def everything(text: str = "plain") -> str:
    """Return a page that has each kind of content, all of it saying `text`."""
    table = Table(
        title=text,
        columns=tuple(f"{text} {i}" for i in range(14)),
        rows=tuple((text, *range(13)) for _ in range(40)),
    )
    shown = evaluation(
        split=text,
        metrics=(metric(label=text, note=text, baselines={text: 0.99}), metric(label=f"{text} 2", better="lower")),
        tables=(table,),
        drawings=(picture(text, text), *grids(text)),
        notes=(text,),
    )
    sections = [
        Section(
            text,
            [
                text,
                Command(text, text),
                shown,
                Section(text, [metric(), picture(text), Section(text, [table])]),
            ],
        )
    ] * 4
    return render_report(
        text,
        text,
        sections,
        spec_yaml=f"name: {text}",
        environment={text: {text: text}},
        faults=[Fault(text, text)],
        next_commands=[(text, text)],
    )


def test_hostile_text_stays_text_wherever_it_stands() -> None:
    page = Page(everything(HOSTILE))

    assert page.all("script") == []
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count("<script>alert('x')</script>") > 50


@pytest.mark.slow
def test_the_page_loads_nothing() -> None:
    page = Page(everything("https://example.org/a.png"))

    sources = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "data", "action", "poster"}
    ]
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert page.all("link") == []
    style = files("maecli.reports").joinpath("templates", "style.html").read_text("utf-8")
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search("https?:", everything())
    assert "default-src 'none'" in everything()


def test_every_picture_has_a_text_its_pixels_and_its_size() -> None:
    shown = Drawing(name="loss_curve", caption="", png=encoded(Image.fromarray(noise(1, 40, 30)), "PNG"))
    images = Page(report(Section("Curves", [shown]))).all("img")

    (image,) = images
    assert image["alt"] == "loss curve"
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == shown.png
    assert (image["width"], image["height"]) == ("30", "40")
    assert all(image["alt"] for image in Page(everything()).all("img"))


def test_a_chart_stands_on_the_page_as_svg_with_words_for_what_it_shows() -> None:
    page = Page(report(Section("Curves", [picture(), picture()])))

    assert page.all("img") == []
    assert [svg["class"] for svg in page.all("svg")] == ["wide", "narrow"] * 2
    assert {svg["aria-label"] for svg in page.all("svg")} == {"Loss by step: loss from 1 to 2"}
    assert {svg["role"] for svg in page.all("svg")} == {"img"}


def test_the_texts_of_a_grid_are_text_beside_its_pictures() -> None:
    titled, sheet = grids("cat & dog")
    page = Page(report(Section("x", [titled])))
    assert page.text.count("cat & dog") == 3 + 2 + 2 + 1  # columns, rows, legend, and the sentence below
    assert [image["alt"] for image in page.all("img")] == [*["cat & dog, cat & dog", "cat & dog", "cat & dog"] * 2]
    assert {(image["width"], image["height"]) for image in page.all("img")} == {("160", "160")}
    assert page.all("div")[0]["style"] == "--columns: 3; --width: 160px"
    assert [span.get("style") for span in page.all("span")] == ["background: #c80000", None]

    page = Page(report(Section("x", [sheet])))
    assert page.text.count("cat & dog wrong") == 9
    assert len(page.all("figcaption")) == 9 + 1


@pytest.mark.parametrize(("side", "kind"), [(100, "png"), (400, "jpeg")], ids=["small", "large"])
def test_a_large_photograph_is_shown_as_a_jpeg_of_its_size(side: int, kind: str) -> None:
    shown = Drawing(name="photograph", caption="", png=encoded(Image.fromarray(noise(1, side, side, 3)), "PNG"))
    (image,) = Page(report(Section("x", [shown]))).all("img")

    head, data = image["src"].split(";base64,")
    assert head == f"data:image/{kind}"
    with Image.open(io.BytesIO(base64.b64decode(data))) as opened_again:
        assert opened_again.size == (side, side)
    assert (image["width"], image["height"]) == (str(side), str(side))


def test_a_large_chart_stays_a_png() -> None:
    chart = Drawing(name="chart", caption="", png=encoded(Image.fromarray(noise(1, 600, 600)), "PNG"))

    assert Page(report(Section("x", [chart]))).all("img")[0]["src"].startswith("data:image/png;")


def test_an_evaluation_leads_with_its_number_and_what_was_drawn() -> None:
    table = Table(title="Per class", columns=("class",), rows=(("cat",),))
    source = report(Section("Test", [evaluation(drawings=(picture(),), tables=(table,), one="row", many="rows")]))

    parts = ['class="headline"', "10,000 rows", "Loss by step.", 'class="metrics"', "Per class"]
    assert [source.index(part) for part in parts] == sorted(source.index(part) for part in parts)
    assert "Top-1 accuracy 97.22%, majority 11.35%, chance 10.00%" in source, "the chart of the baselines in words"


def test_a_small_matrix_stands_beside_the_pictures_before_it() -> None:
    def sides(num: int) -> int:
        matrix = Drawing(name="m", caption="", png=confusion_matrix(np.eye(num, dtype=int), [*map(str, range(num))]))
        page = Page(report(Section("x", [grids("x")[1], matrix])))
        return [box["class"] for box in page.all("div")].count("beside")

    assert sides(3) == 1
    assert sides(13) == 0


def test_a_folded_section_opens_on_a_click() -> None:
    page = Page(report(Section("Validation", ["inside"], folded=True)))

    assert [tag for tag, _ in page.elements if tag in ("section", "details", "summary", "h2")] == [
        "section",
        "details",
        "summary",
        "h2",
    ]


def test_a_metric_stands_beside_its_interval_and_its_baselines() -> None:
    text = " ".join(Page(report(Section("Test", [evaluation()]))).text.split())

    assert "All metrics, 10,000 samples" in text
    assert "top-1 accuracy 97.22% 95% interval: 96.88% to 97.53% baselines: majority 11.35%, chance 10.00%" in text


@pytest.mark.parametrize(
    ("shown", "sentences"),
    [
        (metric(), 0),
        (metric(baselines={}), 0),
        (metric(0.11, interval=None), 1),
        (metric(0.11, better="lower"), 1),
        (metric(0.05, better="lower", interval=None), 0),
    ],
)
def test_the_verdict_appears_exactly_when_a_metric_does_not_beat_its_baselines(shown: Metric, sentences: int) -> None:
    assert report(Section("Test", [evaluation(metrics=(shown,))])).count("Does not beat") == sentences
    assert report(Section("Test", [shown])).count("Does not beat") == sentences


def test_content_keeps_its_order_and_headings_their_level() -> None:
    source = report(
        Section("Outer", ["before", Section("Inner", ["inside"]), "after\n\nnext paragraph", picture("the picture")])
    )

    order = [
        "<p>before</p>",
        "Inner</h3>",
        "<p>inside</p>",
        "<p>after</p>",
        "<p>next paragraph</p>",
        "the picture",
    ]
    assert [source.index(part) for part in order] == sorted(source.index(part) for part in order)
    assert [tag for tag, _ in Page(source).elements if re.fullmatch(r"h\d", tag)] == ["h1", "h2", "h3"]


def test_every_anchor_is_unique_and_every_link_leads_to_one() -> None:
    page = Page(everything())

    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = [link["href"].removeprefix("#") for link in page.all("a")]
    labels = [attributes["aria-labelledby"] for attributes in page.all("section")]
    assert set(references + labels) <= set(ids)


def test_a_long_page_has_a_table_of_contents() -> None:
    assert Page(report(*[Section("x", ["y"])] * 3)).all("nav") == []
    assert len(Page(report(*[Section("x", ["y"]), Section("empty")] * 4)).all("nav")) == 1


def test_numbers_are_aligned_right_and_words_left() -> None:
    table = Table(
        title="Recall per class",
        columns=("class", "samples", "recall", "share"),
        rows=(("cat", 1200, 0.97, "97.2%"), ("dog", 3, 0.5, "97.20 ± 0.11%")),
    )
    source = report(Section("Test", [table]))

    assert '<th scope="row">cat</th>' in source
    assert '<td class="number">1,200</td>' in source
    assert '<td class="number">0.9700</td>' in source
    assert '<td class="number">97.2%</td>' in source
    assert '<td class="number">97.20 ± 0.11%</td>' in source
    assert '<th scope="col" class="number">recall</th>' in source


def test_a_table_scrolls_in_its_own_box_that_the_keyboard_reaches() -> None:
    boxes = list(Page(report(Section("x", [Table(title="T", columns=("a",), rows=())]))).all("div"))

    assert boxes == [{"class": "scroll", "tabindex": "0", "role": "region", "aria-label": "T"}]


def test_what_is_empty_does_not_appear() -> None:
    page = Page(report())

    assert "left out" not in page.text
    assert "try next" not in page.text
    assert page.all("details") == []


def test_the_end_of_the_page_tells_spec_environment_leftovers_and_next_steps() -> None:
    source = report(
        spec_yaml="optim:\n  base_lr: 0.001\n",
        environment={"device": "cpu", "git": {"clean": True}, "plugins": ["voc 1.0", "mnist 0.1.0"]},
        faults=[Fault("a.png", "the file ends after 12 bytes"), Fault("b.png", "not a picture")],
        next_commands=[("mae eval runs/a  --split test", "reads the test split")],
    )
    page = Page(source)

    assert "optim:\n  base_lr: 0.001" in page.text
    assert "git.clean</dt><dd>true" in source
    assert "plugins</dt><dd>voc 1.0, mnist 0.1.0" in source
    assert "2 files were left out" in page.text
    assert "the file ends after 12 bytes" in page.text
    assert "mae eval runs/a  --split test" in page.text
    assert len(page.all("details")) == 3


def test_content_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="a section cannot show a bytes"):
        report(Section("x", [b"PNG"]))  # type: ignore[list-item]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "quiet", "accent"])
@pytest.mark.parametrize("ground", ["paper", "tint"])
def test_text_has_the_contrast_of_wcag_aa(theme: int, text: str, ground: str) -> None:
    style = files("maecli.reports").joinpath("templates", "style.html").read_text("utf-8")

    def luminance(name: str) -> float:
        colour = re.findall(rf"--{name}: #([0-9a-f]{{6}});", style)[theme]
        levels = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    darker, lighter = sorted([luminance(text), luminance(ground)])
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


@pytest.mark.slow
@needs_browser
def test_the_page_fits_a_screen_and_a_phone(tmp_path: Path) -> None:
    page = everything("a_name_without_any_space_" * 8).replace("<details>", "<details open>")
    frames = "".join(f'<iframe width="{width}" srcdoc="{html.escape(page)}"></iframe>' for width in (1280, 390))
    measure = (
        "onload = () => { document.title = [...document.querySelectorAll('iframe')].map(frame => "
        "frame.contentWindow.innerWidth + ':' + frame.contentDocument.documentElement.scrollWidth).join(' ') }"
    )
    outer = f"<!doctype html><title>not measured</title>{frames}<script>{measure}</script>"

    dumped, _ = opened(outer, tmp_path)

    title = re.search("<title>(.*?)</title>", dumped)
    assert title is not None
    widths = [[int(side) for side in frame.split(":")] for frame in title[1].split()]
    assert [inner for inner, _ in widths] == [1280, 390]
    assert all(scroll <= inner for inner, scroll in widths), title[1]


def test_links_lead_to_pages_beside_the_page() -> None:
    source = report(Section("Runs", [Link("a & b", "../a/report.html"), Link("c", "../c/report.html")]))

    assert [link["href"] for link in Page(source).all("a")][1:] == ["../a/report.html", "../c/report.html"]
    assert source.count("<ul") == 1


def test_what_is_wider_than_its_box_has_a_shade_where_there_is_more() -> None:
    style = files("maecli.reports").joinpath("templates", "style.html").read_text("utf-8")

    rule = re.search(r"\.scroll, \.titled \{.*?\n\}", style, re.DOTALL)
    assert rule is not None
    assert rule[0].count("local") == rule[0].count("var(--shade)") == 2
