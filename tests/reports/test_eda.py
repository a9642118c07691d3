"""The page of `mae eda` in a real browser: every figure is seen, nothing is complained of, and it fits a phone."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapes import Shapes, shapes

from maecli.eda.advice import advise
from maecli.eda.gallery import first_samples, side_by_side
from maecli.eda.shown import Augmented, Gallery, Shown
from maecli.eda.survey import survey
from maecli.reports.eda import coloured, eda_pictures, eda_sections, enlarged, render_eda

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
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


def page_of(dataset: Shapes) -> tuple[str, int]:
    """Return a page with every kind of figure, and how many it has."""
    found = survey(dataset, lambda *_: lambda: None)
    findings = found.findings.model_copy(update={"advice": tuple(advise(found.findings, (24, 32)))})
    split = dataset.split("train", ("image", "mask"))
    first = first_samples(split, findings.card, 5).shown
    assert findings.duplicates is not None
    splits = {name: scan.split for name, scan in found.pictures.items()}
    gallery = Gallery(
        classes={"even": first, "odd": first[:2]},
        first=first,
        augmented=[Augmented("pretraining", "as it is", first), Augmented("fine-tuning", "as it is", first)],
        copies=side_by_side(findings.duplicates.pairs, splits, findings.card, 12),
    )
    sections = eda_sections(findings, gallery)
    page = render_eda(
        findings, sections, spec_yaml="a: 1", environment={"python": "3"}, next_commands=[("mae pretrain", "learn")]
    )
    return page, len(eda_pictures(sections))


def opened(page: str, folder: Path, *arguments: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Open a page at each width; return what was measured there, and what the console says."""
    assert CHROMIUM is not None
    frames = "".join(f'<iframe width="{width}" height="800" srcdoc="{html.escape(page)}"></iframe>' for width in WIDTHS)
    outer = folder / "outer.html"
    outer.write_text(f"<!doctype html><title>x</title><pre></pre>{frames}<script>{MEASURE}</script>", "utf-8")
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}", *arguments, "--dump-dom", outer.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    measured = re.search("<pre>(.*?)</pre>", done.stdout)
    assert measured is not None
    return json.loads(html.unescape(measured[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: chromium, chromium-browser or google-chrome")
def test_every_figure_is_seen_on_a_screen_and_a_phone_and_the_console_is_silent(tmp_path: Path) -> None:
    page, num = page_of(Shapes({"train": [*range(8), 3], "val": [9, 1], "test": [11]}))
    frames, console = opened(page, tmp_path)

    assert console == []
    assert num == 11
    assert [frame["width"] for frame in frames] == list(WIDTHS)
    for frame in frames:
        assert frame["scroll"] <= frame["width"], "the page itself does not scroll sideways"
        assert len(frame["images"]) == num
        for natural, width, height, left, right, visible in frame["images"]:
            assert natural > 0
            assert visible
            assert min(width, height) > 50
            assert 0 <= left < right <= frame["width"]
        assert frame["focusable"] > 10


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: chromium, chromium-browser or google-chrome")
def test_the_page_is_dark_where_that_is_preferred_and_a_fault_would_be_noticed(tmp_path: Path) -> None:
    page, _ = page_of(shapes(num_train=2))
    faulty = page.replace("</main>", '<img alt="" src="data:image/png;base64,AAAA"><script>1</script></main>')
    frames, console = opened(faulty, tmp_path, "--blink-settings=preferredColorScheme=0")

    assert {frame["paper"] for frame in frames} == {"rgb(22, 24, 27)"}
    assert any("Content Security Policy" in line for line in console), "the policy refuses scripts"
    assert all(frame["images"][-1][0] == 0 for frame in frames), "a damaged figure has no width of its own"


def test_a_mask_is_shown_in_the_colours_of_its_classes() -> None:
    shown = coloured(np.array([[0, 1], [2, 255]], np.uint8), [(0, 0, 0), (9, 8, 7), (1, 2, 3)])

    assert shown.tolist() == [[[0, 0, 0], [9, 8, 7]], [[1, 2, 3], [224, 224, 192]]]


def test_pictures_of_middling_size_fill_their_column() -> None:
    assert enlarged(np.zeros((3, 160, 80))).shape == (3, 240, 120)
    assert enlarged(np.zeros((1, 28, 28))).shape == (1, 28, 28)
    assert enlarged(np.zeros((3, 300, 20))).shape == (3, 300, 20)


def test_what_was_not_found_is_left_out() -> None:
    findings = survey(shapes(fields=("image",)), lambda *_: lambda: None).findings
    titles = [section.title for section in eda_sections(findings, Gallery())]

    assert titles == ["What to know", "Pictures", "Copies"]


def test_hostile_names_stay_text() -> None:
    findings = survey(shapes(rules=[("<script>alert(1)</script>", "<b>")]), lambda *_: lambda: None).findings
    gallery = Gallery(classes={"<i>": [Shown("<u>", np.zeros((3, 8, 8), np.float32))]})
    page = render_eda(findings, eda_sections(findings, gallery))

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
