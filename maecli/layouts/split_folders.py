"""Whether folders that are called train, val or test are splits, or classes of these names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from maecli.data.card import SplitName
from maecli.layouts.doubt import Judge
from maecli.layouts.kinds import named
from maecli.layouts.tree import Folder
from maecli.layouts.words import COUNTERPARTS, EXTRA, NEUTRAL, POOL, Name, alike, meaning, words_of

HALF = 0.5


def class_folders(folder: Folder, depth: int = 8) -> dict[str, Folder]:
    """Return the folders below one that may name classes: not those of pictures and masks, nor one around all."""
    while depth and (inner := folder.only) and (_is_transparent(inner.name) or alike(inner.name) == alike(folder.name)):
        folder, depth = inner, depth - 1
    found: dict[str, Folder] = {}
    for name, inner in folder.folders.items():
        what = meaning(name)
        if what.kind == "image" and what.strong and not what.rest:
            found |= inner.folders
        elif what.kind != "mask" and what.kind != "pool":
            found[name] = inner
    return found


def _is_transparent(name: str) -> bool:
    what = meaning(name)
    return what.kind == "image" and what.strong and not what.rest


@dataclass(frozen=True)
class Level:
    """What the folders of one level are."""

    splits: Mapping[str, SplitName]
    """Folder → its split; empty if they are none."""
    around: Collection[str] = ()
    """Folders beside those of splits that are part of train with their classes."""
    pass_through: bool = False
    """Whether a folder of `around` stands for train itself, and is no class."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Folder → the class that its name says beside its split: `cat_train`."""
    said: Sequence[str] = ()


NO_SPLITS = Level({})


def find_splits(
    folder: Folder,
    children: Sequence[Folder],
    names: Mapping[str, Name],
    rests: Collection[tuple[str, ...]],
    judge: Judge,
) -> Level:
    """Return which of the children of a folder are splits. Raises `DataError` where that is in doubt."""
    if judge.choice in ("auto", "masks") and (level := _classes_and_splits(children, names, rests)):
        return level
    splits = {each.name: what.split for each in children if (what := names[each.name]).split and what.rest in rests}
    splits |= {each.name: judge.split_folders[each.name] for each in children if each.name in judge.split_folders}
    splits = {name: split for name, split in splits.items() if split}
    if not splits or judge.choice in ("flat", "classes"):
        return NO_SPLITS
    splits = _eval_is_test(splits)
    if judge.choice in ("splits", "splits-flat") or not judge.split_folders.keys().isdisjoint(splits):
        return _with_train(splits, children, folder)
    others = [each for each in children if each.name not in splits]
    known = set(splits.values())
    strangers = [each for each in others if not _is_pool(each.name) and not _is_transparent(each.name)]
    if not strangers:
        return _with_train(splits, children, folder)
    if "train" in known and len(known) > 1:
        return _beside_train(splits, strangers, folder, judge)
    if "train" in known:
        return _train_alone(splits, strangers, folder, judge)
    return _without_train(splits, strangers, children, folder, judge)


def _classes_and_splits(
    children: Sequence[Folder], names: Mapping[str, Name], rests: Collection[tuple[str, ...]]
) -> Level | None:
    """Return classes and splits where folders are named as both: `cat_train`, `dog_train`, `cat_test`, `dog_test`."""
    those = {each.name: names[each.name] for each in children if names[each.name].split and names[each.name].rest}
    found = {what.rest for what in those.values()}
    if len(found) < 2 or found.isdisjoint(rests) or any(what.kind for what in those.values()):
        return None
    if {what.split for what in those.values()} == {"train"} or any(class_folders(each) for each in children):
        return None
    if not all(what.rest in found for each in children if (what := names[each.name]).split):
        return None
    labels = {name: _without_split(name) for name in those}
    return Level({name: what.split for name, what in those.items() if what.split}, labels=labels)


def _without_split(name: str) -> str:
    """Return the name of a folder without the word that says its split, as it is written."""
    parts = re.split(r"([\W_]+|(?<=[a-z])(?=[A-Z]))", name)
    kept = [part for part in parts[::2] if part and not meaning(part).split]
    return "_".join(kept) or name


def _eval_is_test(splits: dict[str, SplitName]) -> dict[str, SplitName]:
    """Return the splits, where a folder of evaluation beside one of validation is for testing."""
    evaluations = [name for name in splits if {"eval", "evaluation"} & set(words_of(name))]
    if set(splits) - set(evaluations) and "val" in {splits[name] for name in splits if name not in evaluations}:
        return splits | dict.fromkeys(evaluations, "test")
    return splits


def _is_pool(name: str) -> bool:
    words = set(words_of(name))
    return bool(words & (POOL | EXTRA)) or meaning(name).kind == "pool"


def _with_train(splits: dict[str, SplitName], children: Sequence[Folder], folder: Folder) -> Level:
    """Return a level whose train may have no name: pictures in `images/`, or class folders beside `test/`."""
    if "train" in splits.values():
        return Level(splits)
    others = {each.name for each in children if each.name not in splits and not _is_pool(each.name)}
    through = all(_is_transparent(name) or set(words_of(name)) <= NEUTRAL for name in others)
    return Level(splits, others, through)


def _classes_of(splits: Collection[str], folder: Folder) -> set[str]:
    return {alike(name) for split in splits for name in class_folders(folder.folders[split])}


def _beside_train(splits: dict[str, SplitName], strangers: list[Folder], folder: Folder, judge: Judge) -> Level:
    """Return the splits beside which folders of other names lie: these are unlabelled, unless they have the classes."""
    classes = _classes_of([name for name, split in splits.items() if split == "train"], folder)
    same = [each for each in strangers if _share(class_folders(each), classes) >= HALF]
    if same and len(classes) > 1:
        word = "its" if len(same) == 1 else "their"
        what = f"{named(same)} {'holds' if len(same) == 1 else 'hold'} folders of the same classes as train"
        readings = {
            "splits": f"unlabelled pictures for training, since {word} name says no split (rename to test or val "
            "what is one)",
            "classes": "classes beside those of the names of splits",
        }
        judge.settle(what, readings, "splits")  # type: ignore[arg-type]
    return Level(splits)


def _train_alone(splits: dict[str, SplitName], strangers: list[Folder], folder: Folder, judge: Judge) -> Level:
    """Return whether a folder called train is a split where no other folder is one: VOC has a class train."""
    train = [folder.folders[name] for name in splits]
    classes = {alike(name) for each in train for name in class_folders(each)}
    nested = [each for each in strangers if class_folders(each)]
    if len(classes) > 1 and not nested:
        return Level(splits)
    if len(classes) > 1 and any(_share(class_folders(each), classes) >= HALF for each in nested):
        return _beside_train(splits, strangers, folder, judge)
    flat = not classes and not nested
    if flat and (len(strangers) > 1 or _are_counterparts("train", strangers)):
        return NO_SPLITS
    return _doubt(splits, strangers, folder, judge)


def _without_train(
    splits: dict[str, SplitName], strangers: list[Folder], children: Sequence[Folder], folder: Folder, judge: Judge
) -> Level:
    """Return whether folders called val or test are splits where none is called train."""
    classes = _classes_of(splits, folder)
    outer = {alike(each.name) for each in strangers}
    if classes and len(classes & outer) >= HALF * len(classes):
        return _with_train(splits, children, folder)  # cat/, dog/ and test/cat/, test/dog/
    if any(_are_counterparts(word, strangers) for name in splits for word in {*words_of(name), _root_of(splits[name])}):
        return NO_SPLITS
    same = [each for each in strangers if classes and _share(class_folders(each), classes) >= HALF]
    neutral = all(set(words_of(each.name)) <= NEUTRAL for each in strangers)
    if neutral or (len(same) == len(strangers) == 1 and len(classes) > 1):
        said = () if neutral else (f"{named(strangers)} taken for train",)
        return Level(splits, {each.name for each in strangers}, pass_through=True, said=said)
    return _doubt(splits, strangers, folder, judge)


def _root_of(split: SplitName) -> str:
    return {"val": "valid"}.get(split, split)


def _are_counterparts(word: str, strangers: list[Folder]) -> bool:
    """Whether a folder is called as what stands beside a class of the name of a split: `control` beside `test`."""
    words = COUNTERPARTS.get(word, frozenset())
    return any(set(words_of(each.name)) & words or _denies(each.name, word) for each in strangers)


def _denies(name: str, word: str) -> bool:
    text = "".join(words_of(name))
    return any(text == f"{no}{word}" for no in ("in", "non", "not", "un", "no"))


def _share(found: Collection[str], classes: Collection[str]) -> float:
    return len({alike(name) for name in found} & set(classes)) / max(1, len(classes))


def _doubt(splits: dict[str, SplitName], strangers: list[Folder], folder: Folder, judge: Judge) -> Level:
    of_splits = named([folder.folders[name] for name in splits])
    many = len(splits) > 1
    what = f"{of_splits} {'stand' if many else 'stands'} beside {named(strangers)}"
    readings = {
        "splits": f"{'splits' if many else 'a split'}, the other folders not",
        "classes": "classes, all of them",
    }
    chosen = judge.settle(what, readings, "classes")  # type: ignore[arg-type]
    return Level(splits) if chosen == "splits" else NO_SPLITS
