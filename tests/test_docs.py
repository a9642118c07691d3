from __future__ import annotations

import inspect
import re
import shlex
import wave
from pathlib import Path

import api_page
import folders_page
import numpy as np
import pytest
from fake_packages import install, run_mae, run_pytest
from write_data import write_pictures

from maecli import api, hookspecs
from maecli.cli.plugins import plugins_app
from maecli.registry import KINDS

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "plugins.md"
TEXT = PAGE.read_text(encoding="utf-8")
QUICKLY = {
    "pretrain": ("--set", "train.max_steps=2", "--set", "dataset.num=60", "--batch-size", "8", "--device", "cpu"),
    "finetune": ("--set", "train.max_steps=2", "--set", "dataset.num=60", "--batch-size", "8", "--device", "cpu"),
    "eda": ("--set", "dataset.num=60"),
}
"""What lets a documented command end soon: the tests add it."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """Return what stands below a heading, up to the next one of its rank or a higher one."""
    found = re.search(rf"^(#+) {re.escape(title)}\n", TEXT, re.MULTILINE)
    assert found is not None, f"{PAGE.name} has no heading {title!r}"
    rest = TEXT[found.end() :]
    following = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def quoted(text: str) -> set[str]:
    """Return every word in code type."""
    return set(re.findall(r"`(\w+)`", text))


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the page lists, and `site`, where both packages are installed."""
    folder = tmp_path_factory.mktemp("tutorial")
    for block in (*blocks("toml"), *blocks("python")):
        name = re.match(r"# (\S+)\n", block)
        assert name is not None, f"a block does not begin with the name of its file: {block[:60]}"
        path = folder / name[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block, encoding="utf-8")
    (folder / "site").mkdir()
    for project in sorted(path.parent for path in folder.glob("*/pyproject.toml")):
        install(project, folder / "site")
    return folder


def documented() -> list[list[str]]:
    """Return the arguments of every command `mae …` of the page's console blocks, in order."""
    lines = [shlex.split(line) for block in blocks("console") for line in block.splitlines()]
    return [line[1:] for line in lines if line[0] == "mae"]


def write_sound(path, steps):
    path.parent.mkdir()
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.arange(steps, dtype="<i2").tobytes())


@pytest.mark.slow
def test_the_tutorial_runs_as_it_stands(tutorial):
    write_pictures(tutorial / "some-pictures", 3, (16, 16))
    write_sound(tutorial / "some-sounds/long.wav", 600)
    commands = [[*command, *QUICKLY.get(command[0], ())] for command in documented()]
    assert {"pretrain", "finetune", "eval", "infer", "eda", "plugins"} <= {command[0] for command in commands}
    run_mae(tutorial / "site", tutorial, commands)
    assert (tutorial / "runs/finetune-shapes-rotation/report.html").is_file()
    rows = (tutorial / "runs/infer-finetune-shapes-rotation/predictions.csv").read_text().splitlines()
    assert rows[0] == "path,turned,probability"
    assert len(rows) == 4
    windows = (tutorial / "runs/infer-pretrain-tones/predictions.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in windows[1:]] == ["long.wav#0", "long.wav#256", "long.wav#512"]


@pytest.mark.slow
def test_the_tutorials_own_tests_pass(tutorial):
    assert re.search(r"^\d+ passed", run_pytest(tutorial / "site", *tutorial.glob("*/tests")), re.MULTILINE)


def test_the_tutorial_needs_nothing_of_us_but_the_api_and_the_kit():
    for block in blocks("python"):
        ours = re.findall(r"^\s*(?:from|import) (maecli\S*)(?: import (\w+))?", block, re.MULTILINE)
        assert {f"{module}.{name}" if module == "maecli" else module for module, name in ours} <= {
            "maecli.api",
            "maecli.testing",
        }


def test_every_hook_is_documented():
    hooks = {name for name, value in vars(hookspecs).items() if hasattr(value, "mae_spec")}
    assert hooks
    assert set(re.findall(r"^### `(\w+)`$", section("Hooks"), re.MULTILINE)) == hooks
    for name in hooks:
        returns = re.escape(str(inspect.signature(getattr(hookspecs, name)).return_annotation))
        assert re.search(returns.replace(r"type\[", r"type\[api\.(\w+\.)?"), section(f"`{name}`"))


def test_every_kind_of_entry_point_is_documented():
    rows = re.findall(r'^\| `"?(\w+?)(?:\.NAME"|s)` \|', section("Entry points"), re.MULTILINE)
    assert sorted(rows) == sorted(KINDS)


@pytest.mark.parametrize(
    ("title", "interface"),
    [
        ("Dataset", api.Dataset),
        ("Dataset", api.Split),
        ("Modality", api.Modality),
        ("Task", api.Task),
        ("Task", api.Evaluator),
        ("Model", api.Model),
        ("Model", api.Encoder),
        ("Tracker", api.Tracker),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_part_of_an_interface_is_documented(title, interface):
    parts = {*vars(interface), *inspect.get_annotations(interface)}
    public = {name for name in parts if not name.startswith("_") and name != "__getitem__"}
    text = section(title)
    assert public - quoted(text) == set()
    abstract = {name for name in interface.__abstractmethods__ if f"`{name}` *must*" not in text}
    assert abstract == set()
    required = set(re.findall(r"`(\w+)` \*must\*", text))
    for name in required & parts:
        assert name in interface.__abstractmethods__


def test_every_name_of_the_api_is_documented():
    drawers = re.split(r"^### `api\.(\w+)`$", section("The API by topic"), flags=re.MULTILINE)
    for name, text in zip(["", *drawers[1::2]], drawers[::2], strict=True):
        module = getattr(api, name) if name else api
        named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|.*$", text, re.MULTILINE)))
        assert sorted(named) == sorted(module.__all__), "each name once, and none that is not there"


def test_every_command_and_variable_about_plugins_is_documented():
    text = section("When something is broken")
    commands = {command.name or command.callback.__name__ for command in plugins_app.registered_commands}
    assert set(re.findall(r"^\| `mae plugins (\w+)", text, re.MULTILINE)) == commands
    environment = (DOCS / "environment.md").read_text(encoding="utf-8")
    assert set(re.findall(r"MAE_\w*PLUGINS", text)) == set(re.findall(r"MAE_\w*PLUGINS", environment))


def test_links_lead_somewhere():
    anchors = {
        re.sub(r"[^\w\- ]", "", line).strip().lower().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", TEXT, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in anchors
        else:
            assert (DOCS / target).exists(), target


def test_lines_are_not_too_long_to_read():
    prose = re.sub(r"^\|.*$|^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert max(map(len, prose.splitlines())) <= 160


def test_the_page_on_folders_is_made_from_the_tables_of_the_code():
    text = (DOCS / "folders.md").read_text(encoding="utf-8")
    assert text == folders_page.page(), f"a table has changed: {folders_page.COMMAND}"


def test_readme_leads_to_the_page_on_folders():
    assert "(docs/folders.md)" in (DOCS.parent / "README.md").read_text(encoding="utf-8")


def test_the_page_of_signatures_is_made_from_the_code():
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    assert text == api_page.page(), f"a name or a signature has changed: {api_page.COMMAND}"
    assert "\ncard(self, fields: Sequence[str] = ('image',)) -> DataCard\n" in text
    assert "\nread_idx(path: Path, num_axes: int, dtype: IdxType = 'uint8') -> np.ndarray\n" in text
