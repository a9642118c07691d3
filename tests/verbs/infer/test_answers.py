"""The answer on the terminal, in JSON and on the page."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter

import numpy as np
import pytest
from write_data import (
    write_mask_folder,
    write_picture,
    write_pictures,
)
from written import rows_of

from maecli.terminal import PlainConsole


def test_the_terminal_tells_the_answers_by_class_the_least_certain_and_how_many_are_right(finetuned, tmp_path, mae):
    for i in range(12):
        folder = "cat" if i < 6 else "elsewhere"
        write_picture(tmp_path / "in" / folder / f"{i:02d}.png", np.full((8, 8), 20 * i, np.uint8))
    out = tmp_path / "out"
    arguments = ("infer", tmp_path / "in", "--run", finetuned, "--out", out, "--workers", 0, "--overwrite")
    outcome = mae(*arguments)
    rows = rows_of(out)
    assert list(rows[0]) == ["path", "class", "probability", "margin", "truth", "p_cat", "p_dog"]
    assert [row["truth"] for row in rows] == ["cat"] * 6 + [""] * 6
    for row in rows:
        first, second = sorted((float(row["p_cat"]), float(row["p_dog"])), reverse=True)
        assert float(row["probability"]) == first
        assert float(row["margin"]) == pytest.approx(first - second, abs=2e-6)
    lines = outcome.stdout.splitlines()
    assert lines[0].split() == ["class", "pictures", "share"]
    counts = dict(Counter(row["class"] for row in rows))
    assert {line.split()[0]: int(line.split()[1]) for line in lines[1:3] if line} == counts
    assert "the least certain of 12:" in lines
    start = lines.index("the least certain of 12:") + 1
    assert lines[start].split() == ["path", "class", "probability", "margin", "truth"]
    ranked = sorted(rows, key=lambda row: float(row["margin"]))
    assert [line.split()[0] for line in lines[start + 1 : start + 11]] == [row["path"] for row in ranked[:10]]
    right = sum(row["class"] == "cat" for row in rows[:6])
    assert f"right: {right} of the 6 pictures whose truth is known, {right / 6:.1%} (95% interval: " in outcome.stdout
    told = mae(*arguments, "--json").json
    with_values = [{key: value for key, value in row.items() if value} for row in rows]
    assert [{key: str(value) for key, value in row.items()} for row in told["predictions"]] == with_values
    assert told["classes"] == counts
    assert (told["accuracy"]["right"], told["accuracy"]["known"]) == (right, 6)
    assert [each["path"] for each in told["least_certain"]] == [row["path"] for row in ranked[:10]]
    assert json.loads((out / "infer.json").read_text())["classes"] == told["classes"]


def test_the_page_shows_mistakes_first_and_links_to_the_files(finetuned, pictures, tmp_path, mae):
    root, out = shutil.copytree(pictures, tmp_path / "in"), tmp_path / "out"
    cats = sorted(path.relative_to(root).as_posix() for path in root.glob("cat/*.png"))
    (root / "labels.csv").write_text("\n".join(["file,label", *(f"{key},dog" for key in cats[:5])]))
    outcome = mae("infer", root, "--run", finetuned, "--out", out, "--workers", 0)
    page = (out / "report.html").read_text(encoding="utf-8")
    wrong = [row for row in rows_of(out) if row["class"] != row["truth"]]
    assert f"<h2>Mistakes ({len(wrong)})</h2>" in page
    assert page.index("Mistakes") < page.index("Least certain (24 of 40 pictures)") < page.index("By class")
    first = max(wrong, key=lambda row: float(row["probability"]))
    shown = page[page.index("Mistakes") : page.index("Least certain")]
    assert f"{first['truth']} → <strong" in shown
    link = re.search('href="([^"]+)"', shown)[1]
    assert (out / link).resolve() == root / first["path"]
    assert 'src="http' not in page
    assert f"  open {out / 'report.html'} in a browser" in outcome.stdout
    assert "32 of these 40 pictures were in training: the accuracy says nothing of new ones; of the 8 others " in (
        outcome.stdout
    ), "copies are known by their content"


def test_of_masks_the_page_shows_truth_beside_prediction_and_rows_how_well_they_agree(segmented, tmp_path, mae):
    names, out = write_mask_folder(tmp_path / "new", 4), tmp_path / "out"
    (tmp_path / "new/masks" / names[3]).write_bytes(b"broken")
    outcome = mae("infer", tmp_path / "new/images", "--run", segmented, "--out", out, "--workers", 0, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    rows = rows_of(out)
    assert list(rows[0])[:4] == ["path", "classes", "iou", "pixel_accuracy"]
    assert [bool(row["iou"]) for row in rows] == [True, True, True, False]
    assert "the true masks of 1 picture cannot be used, such as that of 003.png: " in outcome.stderr
    told = outcome.json["masks"]
    assert (told["samples"], told["known"], told["baseline"]["name"]) == (4, 3, "all background")
    assert sum(told["shares"].values()) == pytest.approx(1)
    assert set(told["iou"]) == {"background", "cat", "dog"}
    assert told["mean_iou"] == pytest.approx(np.mean(list(told["iou"].values())))
    assert told == json.loads((out / "infer.json").read_text())["masks"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Largest disagreements (3 pictures)" in page
    assert "Without a known mask (1 picture)" in page
    assert page.count(">truth</span>") == 3
    lines = mae("infer", tmp_path / "new", "--run", segmented, "--out", tmp_path / "2", "--workers", 0).stdout
    assert lines.splitlines()[0].split("  ")[-1].strip() == "IoU"
    assert "mean IoU: " in lines


def test_the_page_of_a_task_without_answers_sums_up_its_numbers(pretrained, tmp_path, mae):
    write_pictures(tmp_path / "in", 3)
    outcome = mae("infer", tmp_path / "in", "--run", pretrained, "--out", tmp_path / "out", "--workers", 0)
    assert outcome.exit_code == 0, outcome.stderr
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "masked_mse" in page
    assert "Reconstructions with" in page


def test_of_one_picture_its_answer_is_told(finetuned, pictures, tmp_path, mae):
    outcome = mae("infer", pictures / "cat/003.png", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0)
    (row,) = rows_of(tmp_path / "out")
    told = dict(line.split() for line in outcome.stdout.splitlines()[: len(row)])
    assert list(told) == list(row)
    assert (told["path"], told["class"], told["truth"]) == ("003.png", row["class"], "cat")
    assert float(told["probability"]) == pytest.approx(float(row["probability"]), abs=1e-4)
    assert "the least certain" not in outcome.stdout


def test_a_json_answer_holds_a_thousand_predictions_and_of_more_the_file(finetuned, tmp_path, mae, monkeypatch):
    write_pictures(tmp_path / "in", 3)
    arguments = ("infer", tmp_path / "in", "--run", finetuned, "--out", tmp_path / "out", "--workers", 0, "--json")
    for most, keys in ((3, ("predictions",)), (2, ("predictions_file",))):
        monkeypatch.setattr("maecli.cli.show.predictions.MOST_TOLD", most)
        told = mae(*arguments, "--overwrite").json
        assert tuple(key for key in told if key.startswith("predictions")) == keys
    assert told["predictions_file"] == str(tmp_path / "out/predictions.jsonl")


@pytest.mark.parametrize("verb", ["infer", "embed"])
def test_a_bar_shows_on_a_terminal_how_many_pictures_are_done_and_elsewhere_a_line(
    finetuned, tmp_path, mae, monkeypatch, verb
):
    names = write_pictures(tmp_path / "in", 12)
    whole = (tmp_path / "in" / names[0]).read_bytes()
    (tmp_path / "in/broken.png").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / ("out" if verb == "infer" else "features.npy")
    arguments = (verb, tmp_path / "in", "--run", finetuned, "--out", out, "--workers", 0, "--overwrite")
    assert re.search(r"^pictures: 13 of 13  [\d,]+/s  0 s left$", mae(*arguments).stderr, re.MULTILINE)
    assert not re.search(r"pictures|left$", mae(*arguments, "--quiet").stderr, re.MULTILINE)
    monkeypatch.setattr(PlainConsole, "is_terminal", True)
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = mae(*arguments)
    assert "━ pictures  0 of 13" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.stderr)
    assert " of 13" not in shown.stdout
