"""What is not data, whatever folder it lies in: what mae wrote, and what systems and programs keep for themselves."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from maecli.storage.ledger import HOME, written_paths

HIDDEN, OURS = "hidden", "written by mae"
WHOLE = "./*"
"""Stands for all that a folder holds."""


@dataclass(frozen=True)
class Names:
    """Names of folders or files that are never data, in small letters or capitals, and who puts them there."""

    why: str
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    """Names of files or folders that mark the folder which holds them, whatever that is called."""


NEVER_DATA = (
    Names("kept by a NAS", folders=("@eaDir", "@Recycle", "@Recently-Snapshot", "#recycle", "#snapshot")),
    Names("kept by a system", folders=("$RECYCLE.BIN", "RECYCLER", "System Volume Information", "lost+found")),
    Names("added by macOS to an archive", folders=("__MACOSX",)),
    Names("caches and packages of programs", folders=("__pycache__", "node_modules", "site-packages")),
    Names("logs of training", folders=("wandb", "mlruns", "lightning_logs")),
    Names("a Python environment", marks=("pyvenv.cfg", "conda-meta")),
    Names(
        "notes of a file browser",
        files=("Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "Picasa.ini", "Icon\r"),
    ),
)
"""Names that begin with a dot are not among them: whatever is hidden is no data."""
STREAMS = (":zone.identifier", ":com.dropbox.attrs", "@synoeastream", "@synoresource")
"""How names end that a system gives to notes on a file, in small letters."""
_WHY_FOLDER = {name.lower(): names.why for names in NEVER_DATA for name in names.folders}
_WHY_FILE = {name.lower(): names.why for names in NEVER_DATA for name in names.files}
_WHY_MARKED = {name: names.why for names in NEVER_DATA for name in names.marks}


def why_no_data(name: str, is_folder: bool) -> str:
    """Return why an entry of this name is no data; nothing where it may be."""
    if name.startswith("."):
        return HIDDEN
    if is_folder:
        return _WHY_FOLDER.get(name.lower(), "")
    return _WHY_FILE.get(name.lower(), "notes of a file browser" if name.lower().endswith(STREAMS) else "")


def why_marked(names: Set[str]) -> str:
    """Return why a folder with these entries is no data; nothing where it may be."""
    return next((why for mark, why in _WHY_MARKED.items() if mark in names), "")


def written_by_mae(folder: Path, names: Set[str]) -> Set[str]:
    """Return what mae wrote into a folder of these entries: its ledger says so, or else the files do.

    Zip files and synchronised folders often leave out what is hidden, and with it the ledger.
    """
    if HOME in names and (written := written_paths(folder)):
        return written
    if any(kind.fits(folder, names) for kind in OUTPUTS):
        return {WHOLE}
    return {path for name in names if name.endswith(_FEATURES) for path in _features(folder, name, names)}


@dataclass(frozen=True)
class Outputs:
    """A kind of folder that mae writes, and the files by which it is known where there is no ledger."""

    what: str
    file: str
    """The one that says what it is."""
    says: str
    """A regular expression of what it says."""
    one_of: frozenset[str] = frozenset()
    all_of: frozenset[str] = frozenset()

    def fits(self, folder: Path, names: Set[str]) -> bool:
        """Whether a folder of these entries is one."""
        beside = names >= self.all_of and (not self.one_of or bool(names & self.one_of))
        return self.file in names and beside and _says(folder / self.file, self.says)


OUTPUTS = (
    Outputs(
        *("a run", "spec.yaml", r"(?m)^verb: (pretrain|finetune)\b"),
        one_of=frozenset({"checkpoints", "environment.json", "metrics.jsonl", "summary.json"}),
    ),
    Outputs("a sweep", "sweep.yaml", r"(?m)^sweep:", all_of=frozenset({"sweep.json"})),
    Outputs(
        *("predictions", "infer.json", r'"predicted":'), one_of=frozenset({"predictions.jsonl", "predictions.csv"})
    ),
    Outputs("a page of mae eda", "eda.json", r'"card":'),
    Outputs("a demo", "report.html", r"<title>mae demo", all_of=frozenset({"pretrain", "finetune"})),
)
_FEATURES = (".npy", ".safetensors")


def _features(folder: Path, name: str, names: Set[str]) -> Set[str]:
    """Return a file of features and those beside it, if that is what it is: a row of names lies beside it."""
    rows = f"{name}.csv"
    if rows in names and _says(folder / rows, r"\Apath(,label)?\r?\n"):
        return {name, rows, f"{name}.skipped.csv"}
    return set()


def _says(file: Path, pattern: str) -> bool:
    try:
        with file.open("rb") as opened:
            return re.search(pattern.encode(), opened.read(65536)) is not None
    except OSError:
        return False
