from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from hub_server import COMMIT, hub
from reference_models import hf_vit_mae
from weight_files import timm_folder, timm_state

from maecli import terminal
from maecli.errors import MaeError, SpecError
from maecli.registry import registry
from maecli.run.begin.request import request
from maecli.run.directory import RunDirectory
from maecli.run.weights.from_hub import check_unchanged, hub_lines
from maecli.run.weights.initial import offered_spec
from maecli.spec.ask import Ask
from maecli.verbs.inspect import inspect_weights
from maecli.weights.hub import fetch, licence_of, sha256_of
from maecli.weights.hub_names import HubName, hub_name


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A hub with the repositories me/tiny, with weights, and me/other, without any that can be read."""
    tiny = tmp_path / "repositories/me/tiny"
    hf_vit_mae().save_pretrained(tiny)
    (tiny / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n# weights\n")
    (tmp_path / "repositories/me/other").mkdir()
    (tmp_path / "repositories/me/other/tf_model.h5").write_text("another format")
    (tmp_path / "repositories/me/gated").mkdir()
    timm_folder(tmp_path / "repositories/timm/vit_tiny.test", mean=[0.5, 0.5, 0.5], std=[0.2, 0.2, 0.2])
    (tmp_path / "repositories/me/pickled").mkdir()
    torch.save(timm_state(), tmp_path / "repositories/me/pickled/pytorch_model.bin")
    with hub(tmp_path / "repositories") as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "home/hub"))
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        fetch.cache_clear()
        yield server


def named(text) -> HubName:
    name = hub_name(text)
    assert name is not None
    return name


@pytest.mark.parametrize(
    ("text", "repo", "revision", "choice"),
    [
        ("hf:facebook/vit-mae-base", "facebook/vit-mae-base", "", ""),
        ("timm:vit_base_patch16_224.mae", "timm/vit_base_patch16_224.mae", "", ""),
        ("hf:me/x@v1#teacher", "me/x", "v1", "teacher"),
    ],
)
def test_names_say_repository_revision_and_encoder(text, repo, revision, choice):
    name = named(text)
    assert (name.repo, name.revision, name.choice, str(name)) == (repo, revision, choice, text)
    assert named(name.at(COMMIT)).is_pinned
    assert not name.is_pinned


@pytest.mark.parametrize("text", ["runs/pretrain", "C:/weights", "hf", "runs/hf:x"])
def test_paths_are_no_names(text):
    assert hub_name(Path(text)) is None


@pytest.mark.parametrize("text", ["hf:", "timm:", "hf:x", "hf:a/b/c", "timm:a/b", "hf:../x", "hf:a b/c"])
def test_names_that_cannot_be_are_refused(text):
    with pytest.raises(SpecError, match=r"is no name of the hub; write (hf:OWNER/NAME|timm:NAME)"):
        hub_name(text)


def test_weights_what_describes_them_and_the_licence_are_fetched_and_nothing_else(served):
    (served.root / "me/tiny/modeling.py").write_text("raise SystemExit")
    fetched = fetch(named("hf:me/tiny"))
    assert str(fetched.name) == f"hf:me/tiny@{COMMIT}"
    assert {path.name for path in fetched.folder.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert licence_of(fetched.folder) == "cc-by-nc-4.0"
    assert len(sha256_of(fetched.folder)) == 64


def test_a_commit_that_is_in_the_cache_needs_no_network(served):
    (served.root / "me/tiny/tf_model.h5").write_text("not fetched, and not missed")
    folder = fetch(named("hf:me/tiny")).folder
    served.asked.clear()
    fetch.cache_clear()
    assert fetch(named(f"hf:me/tiny@{COMMIT}")).folder == folder
    assert not served.asked


def test_a_commit_in_the_cache_that_lacks_a_shard_is_told_without_the_hub_and_continued_with_it(served):
    hf_vit_mae().save_pretrained(served.root / "me/large", max_shard_size="50KB")
    folder = fetch(named("hf:me/large")).folder
    shard = max(folder.glob("model-*.safetensors"))
    for name in ("hf:me/large", f"hf:me/large@{COMMIT}"):
        fetch.cache_clear()
        shard.unlink()
        served.captive = True
        with pytest.raises(
            MaeError, match=r"^hf:me/large\S* is in the cache only in part, and the hub cannot be reach"
        ):
            fetch(named(name))
        served.captive = False
        assert fetch(named(name)).folder == folder
        assert shard.is_file()


@pytest.mark.parametrize("quiet", [False, True])
def test_no_bar_is_shown_without_a_terminal_and_nothing_at_all_with_quiet(served, monkeypatch, capsys, quiet):
    monkeypatch.setattr(terminal, "quiet", quiet)
    fetch(named("hf:me/tiny"))
    fetch(named(f"hf:me/tiny@{COMMIT}"))
    fetch.cache_clear()
    fetch(named("hf:me/tiny"))  # which the cache holds by now
    said = capsys.readouterr().err.splitlines()
    assert said == [] if quiet else (len(said) == 1 and said[0].startswith("fetching hf:me/tiny from the hub, 0."))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_is_out_of_order_leaves_it_to_the_cache_and_that_is_told(served, status):
    folder = fetch(named("hf:me/tiny")).folder
    assert all("cache" not in line for line in hub_lines(Path("hf:me/tiny")))
    fetch.cache_clear()
    served.status = status
    again = fetch(named("hf:me/tiny"))
    assert (again.folder, str(again.name)) == (folder, f"hf:me/tiny@{COMMIT}")
    first, licence = hub_lines(Path(str(again.name)))
    assert first == (
        f"the hub answered {status}, so the weights are those of me/tiny that the cache holds, of commit {COMMIT[:12]}"
    )
    assert "their licence is cc-by-nc-4.0" in licence
    with pytest.raises(MaeError, match=r"^timm:vit_tiny.test could not be fetched; .*" + str(status)):
        fetch(named("timm:vit_tiny.test"))


@pytest.mark.parametrize("status", [401, 404])
def test_what_is_gone_from_the_hub_is_not_taken_from_the_cache(served, status):
    fetch(named("hf:me/tiny"))
    fetch.cache_clear()
    served.status = status
    with pytest.raises(SpecError, match="hf:me/tiny is not on the hub, or is not for everybody"):
        fetch(named("hf:me/tiny"))


@pytest.mark.parametrize("way", ["closed", "captive"])
def test_without_the_hub_the_cache_serves_and_an_empty_one_is_told_in_a_sentence(served, monkeypatch, way):
    folder = fetch(named("hf:me/tiny")).folder
    fetch.cache_clear()
    served.captive = way == "captive"
    if way == "closed":
        with socket.create_server(("127.0.0.1", 0)) as server:
            nobody = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", nobody)
    again = fetch(named("hf:me/tiny"))
    assert (again.folder, str(again.name)) == (folder, f"hf:me/tiny@{COMMIT}")
    assert next(hub_lines(Path(str(again.name)))).startswith("the hub cannot be reached, so the weights are those of ")
    with pytest.raises(
        MaeError, match=r"^timm:vit_tiny.test is not in the cache, and the hub cannot be reached \(.+\);"
    ):
        fetch(named("timm:vit_tiny.test"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hf:me/none", "hf:me/none is not on the hub, or is not for everybody"),
        ("hf:me/gated", "hf:me/gated is for those who agreed to its terms"),
        ("hf:me/tiny@v9", "me/tiny has no revision 'v9'"),
        ("hf:me/other", r"hf:me/other holds no weights that can be read: .*; it has tf_model.h5"),
    ],
)
def test_what_cannot_be_had_is_told_in_one_sentence(served, text, says):
    served.gated.add("me/gated")
    with pytest.raises(SpecError, match=says):
        fetch(named(text))


def test_a_file_that_did_not_arrive_whole_is_not_kept(served):
    served.damaged.add("model.safetensors")
    with pytest.raises(MaeError, match=r"model.safetensors did not arrive whole: .*; try again"):
        fetch(named("hf:me/tiny"))
    served.damaged.clear()
    assert fetch(named("hf:me/tiny")).folder.is_dir()


def test_a_damaged_file_of_the_cache_is_told_by_the_name_of_the_hub(served):
    folder = fetch(named("hf:me/tiny")).folder
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    for look in (offered_spec, inspect_weights):
        with pytest.raises(MaeError) as error:
            look(Path("hf:me/tiny"))
        assert str(error.value).startswith(f"hf:me/tiny: {weights} ")
        assert str(error.value).endswith(f"; remove {folder.parents[1]} to have it fetched again")
        assert str(error.value).count("hf:me/tiny") == 1


def test_a_run_records_the_commit_and_the_checksum_and_begins_again_without_network(
    served, pictures, mae, tmp_path, without_charts
):
    data = ("--dataset", "folder", "--root", pictures, "--img-size", 32, "--patch-size", 8)
    short = ("--set", "train.max_steps=1", "--epochs", 1, "--workers", 0)
    outcome = mae("pretrain", *data, *short, "--init", "hf:me/tiny", "--out", tmp_path / "first")
    assert outcome.exit_code == 0, outcome.stderr
    assert "the weights are me/tiny's on the hub; their licence is cc-by-nc-4.0" in outcome.stderr
    spec = RunDirectory(tmp_path / "first").spec(lambda _: None)
    assert spec["init"] == f"hf:me/tiny@{COMMIT}"
    assert spec["init_sha256"]
    served.asked.clear()
    fetch.cache_clear()
    outcome = mae("pretrain", "--config", tmp_path / "first/spec.yaml", "--out", tmp_path / "second", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["finished"]
    assert not served.asked


@pytest.mark.parametrize("text", ["timm:vit_tiny.test", "hf:me/pickled"])
def test_timms_own_form_and_pickles_of_tensors_alone_are_read(served, text):
    model = offered_spec(Path(text))["model"]
    assert (model["embed_dim"], model["patch_size"], model["img_size"]) == (8, 4, 8)
    data = offered_spec(Path(text))["data"]
    assert data == ({"mean": [0.5] * 3, "std": [0.2] * 3} if text.startswith("timm") else {})


def test_a_pickle_of_more_than_tensors_is_refused(served, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'trace'}",)

    torch.save({"model": timm_state(), "more": Evil()}, served.root / "me/pickled/pytorch_model.bin")
    with pytest.raises(MaeError, match=r"calls for posix\.system, which weights do not need: .* as safetensors"):
        offered_spec(Path("hf:me/pickled"))
    assert not (tmp_path / "trace").exists()


def test_weights_in_the_cache_that_are_not_those_of_the_spec_are_refused(served, tmp_path):
    def spec_of(ask):
        return request(ask, registry())

    flags = {"init": "timm:vit_tiny.test", "dataset.name": "folder", "task.name": "classify"}
    spec = spec_of(Ask("finetune", flags=flags))
    check_unchanged(spec)
    (tmp_path / "spec.yaml").write_text(json.dumps(spec.model_dump(mode="json") | {"init_sha256": "0" * 64}))
    again = Ask("finetune", config=tmp_path / "spec.yaml")
    with pytest.raises(MaeError, match=r"vit_tiny.test@0123.* has another checksum in the cache than init_sha256"):
        check_unchanged(spec_of(again))
    others = Ask("finetune", config=tmp_path / "spec.yaml", flags={"init": f"hf:me/pickled@{COMMIT}"})
    check_unchanged(spec_of(others))  # the checksum was that of other weights
