"""Metrics draw names as they are, whatever they look like, and do not stumble over any."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from maecli.eda.findings import Histogram
from maecli.reports import charts, grids
from maecli.reports.canvas import draw_legend, new_axes, plain
from maecli.reports.charts import Mark
from maecli.reports.confusion import confusion_matrix
from maecli.reports.overlays import ClassStyle, overlay, overlay_rows

NAMES = [
    "$x_1$",
    r"$\frac{",
    "a\nb",
    "_hidden",
    "\x1b[31m",
    "猫",
    "\udcff",
    "",
    "$",
    "x" * 5000,
    "{",
    "%s",
    "\\",
    "a$b$c",
]


@pytest.mark.slow
def test_a_metric_of_every_kind_draws_any_name():
    """Warnings are errors here, such as that of a letter which the font lacks."""
    begin = time.process_time()
    numbers = np.arange(len(NAMES))
    confusion_matrix(np.eye(len(NAMES), dtype=int), NAMES)
    charts.class_panels(NAMES, {name: numbers.tolist() for name in NAMES[:3]})
    shares = dict.fromkeys(NAMES, 0.1)
    charts.class_bars(shares, NAMES[1], shares, NAMES[1])
    points = [(0.0, 1.0), (1.0, 2.0)]
    for start in range(0, len(NAMES), 3):  # as many as have room in a legend
        few = NAMES[start : start + 3]
        found = Histogram(edges=(0.0, 1.0), counts=dict.fromkeys(few, (1,)), medians=dict.fromkeys(few, 0.5))
        charts.histogram(found, few[-1])
        charts.sizes({name: [((8, 8), 1)] for name in few})
        charts.curves(dict.fromkeys(few, points), few[0], few[-1], baselines=dict.fromkeys(few[:1], 1.0))
        charts.curves(dict.fromkeys(few, points), "x", few[0], ends={few[0]: points[0]}, end_label=few[-1])
    mark = Mark(1.0, 0.5, 1.5)
    charts.bars_chart(dict.fromkeys(NAMES, mark), NAMES[1], baselines={NAMES[0]: 1.0}, baseline=NAMES[1])
    charts.points_chart({name: {1.0: mark, 2.0: mark} for name in NAMES}, NAMES[1], NAMES[0])
    picture = np.zeros((1, 8, 8), np.float32)
    grids.picture_grid([[picture]] * len(NAMES), [NAMES[1]], NAMES)
    grids.contact_sheet([picture] * len(NAMES), NAMES, keys=NAMES)
    style = ClassStyle(NAMES, [(i, i, i) for i in range(len(NAMES))])
    mask = np.arange(64, dtype=np.uint8).reshape(8, 8) % len(NAMES)
    overlay(picture, mask, style)
    overlay_rows([picture], [mask], [mask], style)
    assert time.process_time() - begin < 120


def test_a_legend_has_dollar_signs_and_names_that_begin_with_a_stroke():
    metric, axes = new_axes(1000, 200)
    for name in ("$x_1$", "_hidden"):
        axes.plot([0, 1], label=plain(name))
    texts = draw_legend(metric).get_texts()
    assert [text.get_text().strip() for text in texts] == ["$x_1$", "_hidden"]
    assert not any(text.get_parse_math() for text in texts)


def test_a_long_name_loses_its_middle():
    assert plain("a" * 100 + "b" * 100) == "a" * 60 + "…" + "b" * 60


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"text.usetex: True\nbackend: module://evil\n", b"\xff\xfe"])
def test_settings_for_matplotlib_in_the_current_folder_are_not_read(tmp_path, content):
    (tmp_path / "matplotlibrc").write_bytes(content)
    program = (
        "from maecli.reports.charts import curves\n"
        "curves({'a': [(0, 1), (1, 2)]}, 'x', 'y')\n"
        "import matplotlib\n"
        "print(matplotlib.rcParams['text.usetex'])\n"
    )
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")
