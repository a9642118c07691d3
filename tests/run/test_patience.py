"""A run that stops early is a finished run, and says so everywhere."""

from __future__ import annotations

import json


def test_a_run_stops_early_and_says_of_which_epoch_its_figures_are(toy_finetune, pictures, tmp_path, mae):
    run = tmp_path / "run"
    still = ("--patience", 1, "--base-lr", "1e-12", "--epochs", 9, "--batch-size", 32)  # it learns nothing
    outcome = mae(*toy_finetune, "--dataset", "folder", "--root", pictures, "--out", run, *still, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    ending = (
        "stopped at epoch 2 of 9: no better top-1 accuracy on val for 1 validation; figures are of epoch 2's weights"
    )
    assert outcome.json["ending"] == ending
    assert "stops after 1 validation without a better metric on val" in outcome.stderr
    assert ending in outcome.stderr
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["steps"], summary["ending"]) == (2, ending)
    assert f"It {ending}." in (run / "report.html").read_text().replace("&#39;", "'")
    assert mae("finetune", "--resume", "--out", run, "--json").json["ending"] == ending
    changed = mae("finetune", "--resume", "--out", run, "--patience", 3)
    assert changed.exit_code == 2
    assert "train.patience: 1 -> 3" in changed.stderr
