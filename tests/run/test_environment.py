"""The revision of the working directory is told, and nothing of a stranger's repository is run for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from maecli.run.environment import git_revision

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Callable[..., str]:
    """Return a function that calls git in a repository of one commit, which is the current folder."""
    for key in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    Path("file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    return git


def touch_later() -> None:
    """Let git think that the file may have changed."""
    os.utime("file", (1, 1))


def test_the_revision_is_that_of_the_commit_and_says_whether_there_are_changes(repository):
    revision = repository("rev-parse", "HEAD")
    assert git_revision() == revision
    touch_later()
    assert git_revision() == revision
    Path("new").write_text("")
    assert git_revision() == revision, "files that git does not know are no changes"
    Path("file").write_text("2")
    assert git_revision() == f"{revision}-dirty"


def test_outside_a_repository_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision() is None


SETTINGS = {
    "fsmonitor": [("core.fsmonitor", "{program}")],
    "filter": [("filter.evil.clean", "{program}")],
    "filter process": [("filter.evil.process", "{program}"), ("filter.evil.required", "true")],
    "textconv": [
        ("diff.evil.textconv", "{program}"),
        ("diff.evil.command", "{program}"),
        ("diff.external", "{program}"),
    ],
    "hooks": [("core.hooksPath", "{hooks}")],
    "pager": [("core.pager", "{program}"), ("pager.status", "{program}"), ("core.editor", "{program}")],
    "lazy fetch": [
        ("extensions.partialClone", "origin"),
        ("core.repositoryFormatVersion", "1"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", "{folder}"),
        ("remote.origin.uploadpack", "{program}"),
    ],
    "included": [("include.path", "{folder}/more")],
    "alias": [("alias.status", "!{program}"), ("alias.rev-parse", "!{program}"), ("alias.config", "!{program}")],
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_no_program_of_a_strangers_settings_is_run(repository, kind, tmp_path):
    ran, hooks = tmp_path / "ran", tmp_path / "hooks"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    program.chmod(0o755)
    hooks.mkdir()
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        shutil.copy(program, hooks / hook)
        shutil.copy(program, f".git/hooks/{hook}")
    (tmp_path / "more").write_text(f'[filter "evil"]\n\tclean = {program}\n')
    revision = repository("rev-parse", "HEAD")
    Path(".gitattributes").write_text("* filter=evil diff=evil\n")
    for key, value in SETTINGS[kind]:
        repository("config", key, value.format(program=program, hooks=hooks, folder=tmp_path))
    if kind == "lazy fetch":
        tree = repository("rev-parse", "HEAD^{tree}")
        Path(f".git/objects/{tree[:2]}/{tree[2:]}").unlink()
    touch_later()
    ran.unlink(missing_ok=True)
    assert (git_revision() or revision).removesuffix("-dirty") == revision
    assert not ran.exists()


def test_submodules_are_not_looked_into(repository, tmp_path):
    ran = tmp_path / "ran"
    inner = Path("inner")
    inner.mkdir()
    repository("-C", "inner", "init", "-q")
    repository("-C", "inner", "commit", "-q", "--allow-empty", "-m", "x")
    repository("add", "inner")
    repository("commit", "-q", "-m", "second")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    repository("-C", "inner", "config", "core.fsmonitor", str(program))
    assert git_revision() == repository("rev-parse", "HEAD")
    assert not ran.exists()


def test_neither_variables_nor_a_git_of_the_folder_matter(repository, monkeypatch, tmp_path):
    revision = repository("rev-parse", "HEAD")
    shim = Path("git")
    shim.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\necho shim\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}::")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(shim.absolute()))
    assert git_revision() == revision
    assert not (tmp_path / "ran").exists()
    monkeypatch.setenv("PATH", ".:")
    assert git_revision() is None
    assert not (tmp_path / "ran").exists()
