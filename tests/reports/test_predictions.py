from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from maecli.errors import Fault
from maecli.reports.predictions import Card, Group, Legend, drawing_of, picture_of, render_predictions
from maecli.results import Table
from maecli.run.inference.page import link


def page_of(*parts, **more):
    settings = {"about": [("run", "runs/a")], **more}
    return render_predictions("Predictions of a", ["3 pictures."], "", parts, **settings)


def card(name="cat/1.jpg", **more):
    picture = picture_of(Image.new("RGB", (8, 8)), name)
    return Card(name, "../in/cat/1.jpg", [picture], **{"said": "cat", **more})


def test_a_mistake_shows_truth_and_prediction_and_links_to_its_file_by_its_whole_name():
    name = f"cat/{'x' * 200}.jpg"
    page = page_of(Group("Mistakes (1)", "", [card(name, truth="dog", wrong=True, certainty="93.0%")]))
    assert "dog → <strong" in page
    assert "93.0%" in page
    assert f"{'x' * 200}.jpg<wbr></a>" in page
    assert 'href="../in/cat/1.jpg"' in page
    assert page.count("unsure") == 1, "in the style alone"
    assert '<span class="unsure">unsure</span>' in page_of(Group("", "", [card(unsure=True)]))


def test_the_page_loads_nothing_and_escapes_all_names():
    odd = "<script>alert(1)</script>\n\u202e.jpg"
    page = page_of(
        Group("Mistakes", "", [card(odd, said=odd, truth=odd, wrong=True)]),
        Table(title="Classes", columns=("class", "pictures"), rows=((odd, "3"),)),
        Legend([(odd, "#ff0000"), ("background", "")]),
        drawing_of(b"", odd),
        faults=[Fault(odd, odd)],
        num_faults=1,
    )
    assert "<script>" not in page
    assert "\u202e" not in page
    assert "default-src 'none'" in page
    assert all(part.startswith('"data:image/') for part in page.split("src=")[1:] if part.startswith('"'))


def test_small_pictures_are_enlarged_pixel_by_pixel_and_photographs_are_jpegs():
    assert picture_of(Image.new("RGB", (8, 8)), "a").crisp
    photo = picture_of(Image.new("RGB", (320, 200)), "a")
    assert not photo.crisp
    assert photo.src.startswith("data:image/jpeg;base64,")


def test_of_files_that_were_left_out_the_first_are_named_and_all_counted():
    assert "2,000 files were left out; the first 1" in page_of(faults=[Fault("a", "b")], num_faults=2000)
    assert "left out" not in page_of()


@pytest.mark.parametrize(
    ("file", "address"),
    [
        ("/a/in/1.jpg", "../in/1.jpg"),
        ("/a/out/1.jpg", "1.jpg"),
        ("/a/in/a b#c?d%e:f.jpg", "../in/a%20b%23c%3Fd%25e%3Af.jpg"),
    ],
)
def test_links_are_relative_and_hold_for_any_name(file, address):
    assert link(Path(file), Path("/a/out")) == address
