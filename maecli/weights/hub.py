"""Weights of the Hugging Face hub, by name: `hf:facebook/vit-mae-base`, and `timm:vit_base_patch16_224.mae` for timm's.

They are fetched by `huggingface_hub` into its cache, which resumes, keeps tokens, and works offline (`HF_HUB_OFFLINE`).
A name with a revision that is a commit needs no network once it is there. Nothing of a repository is run: only weights,
what describes them, and the README, which says their licence, are fetched.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from json import JSONDecodeError
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from maecli import terminal
from maecli.errors import MaeError, SpecError
from maecli.storage.files import file_sha256
from maecli.text import one_line, some
from maecli.weights.file_names import CONFIG, FOLDER_FILES, PIXELS_CONFIG, SUFFIXES
from maecli.weights.hub_names import HubName, hub_name
from maecli.weights.shards import INDEX, read_index

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

README = "README.md"
MAX_README = 2**20


@dataclass(frozen=True)
class Fetched:
    """The files of a repository, as they lie in the cache."""

    name: HubName
    """With the commit that they are of."""
    folder: Path


_WHY_CACHED: dict[Path, str] = {}
"""Why the cache served what lies in a folder, where it was not asked to."""


@cache
def fetch(name: HubName) -> Fetched:
    """Return the weights of a repository, fetched unless they are in the cache.

    Raises SpecError for a repository that is not there, holds no weights or may not be read, MaeError for what does not
    arrive whole.
    """
    if name.is_pinned and (folder := _cached(name)) is not None:
        return Fetched(name, folder)
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        info = _info(name)
        files = _files(name, info)
        folder = _download(name, info, files)
        _compare(folder, info, files)
    except MaeError:
        raise
    except Exception as error:  # those of the client's own library have no common base with others
        unreached = isinstance(error, LocalEntryNotFoundError) or _is_unreached(error)
        busy = (status := _status(error)) == TOO_MANY or status >= OUT_OF_ORDER
        if (unreached or busy) and (found := _cached(name)) is not None:
            if not os.environ.get("HF_HUB_OFFLINE"):
                _WHY_CACHED[found] = f"the hub answered {status}" if busy else "the hub cannot be reached"
            return Fetched(name.at(found.name), found)
        if unreached or isinstance(error, (HfHubHTTPError, OSError)):
            raise _said(name, error) from error
        raise
    return Fetched(name.at(folder.name), folder)


@contextlib.contextmanager
def told_by_name(path: Path) -> Iterator[None]:
    """Let errors about the fetched files of a name of the hub begin with that name, and say how to fetch them again."""
    try:
        yield
    except MaeError as error:
        name = hub_name(path)
        folder = _cached(name) if name is not None else None
        if folder is None or str(folder) not in str(error):
            raise
        way = f"; remove {folder.parents[1]} to have it fetched again" if "again" in str(error) else ""
        error.args = (f"{name}: {error}{way}",)
        raise


TOO_MANY, OUT_OF_ORDER = 429, 500
"""From this answer of the hub on it is out of order, and with the first it wants to be asked later."""


def why_cached(folder: Path) -> str:
    """Return why the cache served these weights though the hub was asked; empty where the hub did."""
    return _WHY_CACHED.get(folder, "")


def licence_of(folder: Path) -> str:
    """Return the licence that the README of a repository states in its head; empty where it states none."""
    path = folder / README
    if not path.is_file() or path.stat().st_size > MAX_README:
        return ""
    head = re.match(r"---\n(.*?)\n---", path.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    try:
        stated = yaml.safe_load(head[1]) if head else None
    except (yaml.YAMLError, RecursionError):
        return ""
    return one_line(str(stated["license"]))[:100] if isinstance(stated, dict) and stated.get("license") else ""


def licence_in_cache(name: HubName) -> str:
    """Return the licence of weights that were fetched before; empty where none is stated, or they are gone."""
    folder = _cached(name)
    return licence_of(folder) if folder is not None else ""


def sha256_of(folder: Path) -> str:
    """Return the checksum of the weights in a folder: of the file, or of the index of several."""
    return file_sha256(next(folder / name for name in FOLDER_FILES if (folder / name).is_file()))


def _cached(name: HubName) -> Path | None:
    """Return the folder of a repository in the cache, if its weights are there, with all that an index names."""
    weights = next((path for file in FOLDER_FILES if (path := _in_cache(name, file)) is not None), None)
    if weights is not None and weights.name.endswith(INDEX):
        try:
            read_index(weights)
        except MaeError:  # what lacks is fetched, and what is damaged told by whoever reads it
            return None
    return weights.parent if weights is not None else None


def _in_cache(name: HubName, file: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(name.repo, file, revision=name.revision or None)
    return Path(path) if isinstance(path, str) else None


def _info(name: HubName) -> ModelInfo:
    from huggingface_hub import HfApi

    return HfApi().model_info(name.repo, revision=name.revision or None, files_metadata=True)


def _files(name: HubName, info: ModelInfo) -> list[str]:
    """Return which files of a repository are fetched. Raises SpecError where none of them holds weights."""
    there = [file.rfilename for file in info.siblings or ()]
    weights = next((file for file in FOLDER_FILES if file in there), None)
    if weights is None:
        others = [file for file in there if file.endswith(SUFFIXES) or PurePosixPath(file).suffix in _FOREIGN]
        found = f"; it has {some(others)}" if others else ""
        raise SpecError(f"{name} holds no weights that can be read: none of {', '.join(FOLDER_FILES)}{found}")
    shards = []
    if weights.endswith(INDEX):
        suffix = PurePosixPath(weights.removesuffix(INDEX)).suffix
        shards = [file for file in there if re.fullmatch(rf"[^/]+-\d{{5}}-of-\d{{5}}{re.escape(suffix)}", file)]
    return [*(file for file in (CONFIG, PIXELS_CONFIG, README) if file in there), weights, *shards]


_FOREIGN = frozenset({".h5", ".msgpack", ".onnx", ".npz", ".gguf"})
"""Endings of weights in formats of others."""


def _download(name: HubName, info: ModelInfo, files: list[str]) -> Path:
    """Fetch what the cache lacks: with bars on a terminal, else after one line, and quietly with `--quiet`."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if terminal.quiet or not sys.stderr.isatty():
        disable_progress_bars()
        if not terminal.quiet and _cached(name) is None:
            size = sum(file.size or 0 for file in info.siblings or () if file.rfilename in files)
            terminal.complain(f"fetching {name} from the hub, {size / 1e6:,.1f} MB")
    return Path(snapshot_download(name.repo, revision=name.revision or None, allow_patterns=files))


def _compare(folder: Path, info: ModelInfo, files: list[str]) -> None:
    """Raise MaeError where a file is not the one that the hub has, by its checksum."""
    for file in info.siblings or ():
        if file.rfilename not in files or file.lfs is None:
            continue
        path = folder / file.rfilename
        if file_sha256(path) != file.lfs.sha256:
            path.resolve().unlink()  # of the cache, which would give it again
            path.unlink(missing_ok=True)
            raise MaeError(f"{file.rfilename} did not arrive whole: it has another checksum than on the hub; try again")


_NO_WAY = frozenset({"RequestError", "ConnectionError", "Timeout"})
"""What the libraries below the hub's client call an error on the way: httpx the first, requests the others."""


def _is_unreached(error: Exception) -> bool:
    """Return whether something other than the hub answered, as the page of a captive portal, or nothing did."""
    if isinstance(error, (ConnectionError, JSONDecodeError)):
        return True
    kinds = type(error).__mro__
    return any(kind.__module__.split(".")[0] in _CLIENTS and kind.__name__ in _NO_WAY for kind in kinds)


_CLIENTS = frozenset({"httpx", "httpx2", "requests"})
"""Which of them is there depends on the version of huggingface_hub."""


def _status(error: Exception) -> int:
    """Return the status of an answer of the hub that its client made an error; 0 of others."""
    status: Any = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else 0


def _said(name: HubName, error: Exception) -> MaeError:
    """Return an error of the hub, or of the way to it, as one sentence."""
    from huggingface_hub import errors

    status = _status(error)
    if isinstance(error, errors.GatedRepoError):
        return SpecError(f"{name} is for those who agreed to its terms: do so on its page, and `hf auth login`")
    if isinstance(error, errors.RevisionNotFoundError):
        return SpecError(f"{name}: {name.repo} has no revision {name.revision!r}")
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403, 404):
        return SpecError(
            f"{name} is not on the hub, or is not for everybody; check the name, or `hf auth login` to read it"
        )
    begun = any(_in_cache(name, file) is not None for file in (CONFIG, *FOLDER_FILES))
    lacks = f"{name} is in the cache only in part" if begun else f"{name} is not in the cache"
    if os.environ.get("HF_HUB_OFFLINE"):
        return MaeError(f"{lacks}, and HF_HUB_OFFLINE forbids to fetch it")
    reason = " ".join(str(error).split())[:200]
    if _is_unreached(error):
        return MaeError(f"{lacks}, and the hub cannot be reached ({reason}); try again with a network")
    return MaeError(f"{name} could not be fetched; what arrived is kept, and the same command goes on: {reason}")
