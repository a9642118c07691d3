from __future__ import annotations

import json

import pytest
from cards import card
from weight_files import timm_folder

from maecli.modalities.preprocess import Preprocess
from maecli.registry import registry
from maecli.run.begin.place import run_directory
from maecli.run.begin.request import request
from maecli.run.directory import RunDirectory
from maecli.run.weights.pixels import fitted_to, normalised_as
from maecli.spec.ask import Ask
from maecli.weights.pixels import PixelScale

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.15)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return timm_folder(tmp_path_factory.mktemp("timm"), mean=MEAN, std=STD)


def asked(weights, *sets, **sources):
    flags = {"init": str(weights), "dataset.name": "folder", "task.name": "classify"}
    return request(Ask("finetune", flags=flags, sets=sets, **sources), registry())


def test_they_come_with_the_weights_and_the_spec_says_so(weights):
    spec = asked(weights)
    assert (spec.data.mean, spec.data.std) == (MEAN, STD)
    assert spec.sources["data.mean"] == spec.sources["data.std"] == "--init"
    assert spec.model.options["img_size"] == 8
    assert spec.sources["model.img_size"] == "--init"


def test_what_a_person_says_wins(weights):
    spec = asked(weights, "data.mean=[0.1,0.2,0.3]", "data.std=null")
    assert (spec.data.mean, spec.data.std) == ((0.1, 0.2, 0.3), None)
    assert fitted_to(spec, card(channels=1), registry()) == spec  # and is not changed to fit the data


@pytest.mark.parametrize(("channels", "mean"), [(3, MEAN), (1, (0.4,)), (4, None)])
def test_one_grey_channel_has_their_average_and_other_channels_their_own(weights, channels, mean):
    spec = fitted_to(asked(weights), card(channels=channels), registry())
    assert spec.data.mean == (pytest.approx(mean) if mean else None)
    assert spec.sources["data.mean"] == "--init"


def test_grey_pictures_that_are_copied_to_three_channels_have_all_three(weights):
    spec = fitted_to(asked(weights, "data.channels=3"), card(channels=1), registry())
    assert spec.data.mean == MEAN


def test_a_spec_of_a_run_repeats_them_with_none_of_its_own_pixels(weights, tmp_path):
    spec = fitted_to(asked(weights), card(channels=1), registry())
    (tmp_path / "spec.yaml").write_text(json.dumps(spec.model_dump(mode="json")))
    again = request(Ask("finetune", config=tmp_path / "spec.yaml"), registry())
    assert fitted_to(again, card(channels=1), registry()).data == spec.data


def test_it_is_said_how_pixels_are_normalised():
    theirs = PixelScale((0.5,), (0.25,))
    same = Preprocess((8, 8), 3, (0.0, 1.0), (0.5,) * 3, (0.25,) * 3)
    assert normalised_as(theirs, same) == "pixels are normalised as its own were, by mean 0.5 and deviation 0.25"
    other = Preprocess((8, 8), 1, (0.0, 1.0), (0.1,), (0.3,))
    assert normalised_as(theirs, other) == (
        "pixels are normalised by mean 0.1 and deviation 0.3, and its own were by mean 0.5 and deviation 0.25"
    )
    assert normalised_as(None, other) == ""


def test_the_same_command_means_the_same_run_though_grey_pictures_have_their_average(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_RUNS", str(tmp_path / "runs"))
    (tmp_path / "grey").mkdir()
    spec = asked(weights, f"dataset.root={tmp_path / 'grey'}")
    begun = RunDirectory(tmp_path / "runs/finetune-grey-classify")
    begun.path.mkdir(parents=True)
    begun.write_spec(fitted_to(spec, card(channels=1), registry()).model_dump(mode="json"))
    assert run_directory(spec, registry()).path == begun.path
    other = asked(weights, f"dataset.root={tmp_path / 'grey'}", "data.mean=[0.1]")
    assert run_directory(other, registry()).path.name == "finetune-grey-classify-2"
