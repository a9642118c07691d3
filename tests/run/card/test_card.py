from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from maecli.registry import registry
from maecli.run.card.body import body
from maecli.run.card.facts import CardFacts
from maecli.run.card.front import front
from maecli.run.card.write import BELOW, OF_RUNS, model_card, write_run_card
from maecli.run.checkpoint import find_checkpoint
from maecli.run.directory import RunDirectory
from maecli.storage.documents import dump_yaml

HOSTILE = ("a|b", "<script>", "two\nlines", "**x**", ": - {yaml}", "---")


@pytest.fixture
def run(finetuned, tmp_path) -> RunDirectory:
    return RunDirectory(shutil.copytree(finetuned, tmp_path / "run"))


def facts_of(run: RunDirectory) -> CardFacts:
    return CardFacts(run, find_checkpoint(run.path), registry(), OF_RUNS, "run")


def test_a_run_has_a_card_that_the_hub_reads(run):
    card = ModelCard.load(run.path / "README.md")
    assert (card.data.library_name, card.data.pipeline_tag, card.data.license) == (
        "maecli",
        "image-classification",
        None,
    )
    evaluation = run.evaluation("val")
    results = {result.metric_type: result for result in card.data.eval_results}
    assert results["top1"].metric_value == pytest.approx(evaluation.metrics[0].value, abs=1e-6)
    assert (results["top1"].dataset_split, card.data.datasets) == ("val", None), "no set of the hub"
    for text in ("95% interval", "chance", "its test split was not read", "# license: to fill in", "embed_dim: "):
        assert text in (run.path / "README.md").read_text(), text


def test_a_card_names_no_folder_of_the_machine(run, pictures):
    text = (run.path / "README.md").read_text()
    assert f"root: {pictures.name}\n" in text
    for folder in (pictures.parent, Path.cwd(), Path.home(), run.path.parent):
        assert str(folder) not in text
    assert "/checkpoints" not in text


def test_names_of_classes_are_shown_as_they_are(run):
    facts = facts_of(run)
    vars(facts)["data"] = facts.data.model_copy(update={"classes": HOSTILE, "class_counts": (1,) * len(HOSTILE)})
    vars(facts)["data_name"] = 'no: "yaml"\n---\n# x'
    tokens = MarkdownIt("commonmark").enable("table").parse(body(facts))
    shown = ["".join(child.content for child in token.children) for token in tokens if token.type == "inline"]
    for name in HOSTILE:
        assert " ".join(name.split()) in shown
    html = [token.content for token in tokens if token.type == "html_block"]
    assert [line.strip() for line in html] == ["<details><summary>spec.yaml</summary>", "</details>"]
    card = ModelCard(f"---\n{dump_yaml(front(facts))}---\n")
    assert {result.dataset_name for result in card.data.eval_results} == {'no: "yaml"\n---\n# x'}


def test_what_a_person_filled_in_stays(run):
    path = run.path / "README.md"
    filled = path.read_text().replace("# license: to fill in", "license: mit\n# ")
    path.write_text(filled.split(BELOW)[0].replace("library_name: maecli", "library_name: x") + BELOW + "\n\nOurs.\n")
    write_run_card(run, registry(), pytest.fail)
    card = ModelCard.load(path)
    assert (card.data.license, card.data.library_name) == ("mit", "maecli")
    assert path.read_text().endswith(f"{BELOW}\n\nOurs.\n")
    assert "to fill in" not in path.read_text()


def test_a_run_of_adapters_says_which_weights_it_needs_besides(run):
    checkpoint = find_checkpoint(run.path)
    metadata = checkpoint.metadata()
    spec = metadata["spec"] | {"init": "/home/a person/runs/pretrained"}
    adapted = SimpleNamespace(
        path=checkpoint.path, metadata=lambda: metadata | {"spec": spec, "base": {"checksum": "0123abcd"}}
    )
    card = model_card(adapted, registry(), OF_RUNS)
    assert "| Needs | the weights of pretrained besides (checksum 0123abcd), by --base: " in card
    assert "mae infer YOUR-FOLDER --run . --base pretrained\n" in card
    assert "| Needs |" not in model_card(adapted, registry(), replace(OF_RUNS)), "of what is exported, which is whole"
    assert "--base" not in model_card(checkpoint, registry(), OF_RUNS)


def test_a_readme_of_a_person_stays(run):
    said: list[str] = []
    (run.path / "README.md").write_text("Mine.")
    write_run_card(run, registry(), said.append)
    assert (run.path / "README.md").read_text() == "Mine."
    assert said == [f"{run.path / 'README.md'} was not written by mae, so it stays, and no model card is written"]


@pytest.mark.parametrize("head", ["a: [", "- 1\n- 2"])
def test_a_card_whose_head_is_none_is_left_as_it_is_or_made_anew(run, head):
    path, said = run.path / "README.md", []
    path.write_text(f"---\n{head}\n---\n{BELOW}\n\nOurs.\n")
    write_run_card(run, registry(), said.append)
    if said:
        assert "has a head that is no YAML" in said[0]
        assert head in path.read_text()
    else:
        assert path.read_text().endswith("Ours.\n")
