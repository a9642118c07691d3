"""Odd words for settings, from a seed: what people mistype, and what people try who mean harm."""

from __future__ import annotations

import json
import random
from typing import Any

from maecli.schema import FinetuneSpec

KEYS = [
    *("train.epochs", "train.batch_size", "train.base_lr", "train.freeze", "task.mask_ratio", "task.head", "seed"),
    *("dataset", "dataset.name", "dataset.root", "model", "model.name", "model.img_size", "model.patch_size", "task"),
    *("task.name", "data.labels", "data.mean", "data.workers", "augment.zoom", "augment.crop", "trackers", "plugins"),
    *("verb", "version", "out", "init", "device", "precision", "train", "checkpoint.every_epochs", "model.embed_dim"),
    *("", ".", "a..b", ".a", "a.", "a.b.c", "seed.x", "train.epochs.x", "dataset.name.x", " ", "\t", "[/b]", "\x1b[2J"),
    *("é", "\ud800", "\0", "a" * 5000, ".".join("a" * 3000), "__class__", "model_config", "<<", "*", "&a", "1", "null"),
]
SCALARS = [
    *(
        "",
        "~",
        "null",
        "true",
        "no",
        "0",
        "-1",
        "1",
        "4",
        "0.5",
        "-0.5",
        "1e-3",
        "1e999999",
        "-1e999999",
        "1e400",
        "-0",
    ),
    *("-.inf", ".inf", ".nan", "inf", "nan", "9" * 19, "9" * 30, "9" * 400, "9" * 5000, "0x" + "f" * 500, "1_0", "0b_"),
    *("0o7", "1:30", "2024-13-45", "2024-01-01", "12:99:99", "10%", "101%", "x", "a b", "'", '"', "''", "[", "]", "{"),
    *(
        "}",
        "[]",
        "{}",
        "[1]",
        "[1,[2]]",
        "{a: 1}",
        "{1: 2}",
        "{[1]: 2}",
        "{name: 1}",
        "{name: vit, name: mae}",
        "[.nan]",
    ),
    *("[null]", "&a x", "*a", "&a [*a]", "{<<: 1}", "{<<: [1]}", "!!python/object:os.system x", "!!set {a}", "!!int x"),
    *(
        "!!binary aGk=",
        "!!float []",
        "!!bool x",
        "!!timestamp x",
        "! x",
        "!x y",
        "=",
        "<<",
        "- a",
        "? a",
        "a: b",
        "# x",
    ),
    *("%YAML 9.9", "---", "...", "|", ">", "@", "`", "\t", "\0", '"\\0"', '"\\ud800"', "\ud800", '"\\U99999999"', "é"),
    *("\x1b]0;x\x07", "\u202e", "\ufeff", "\u2028", "x" * 5000, "[" * 2000, "{a: " * 500, "/dev/null", "/nowhere", "."),
    *(
        "..",
        "~root/x",
        "voc",
        "digits",
        "mnist",
        "folder",
        "classify",
        "segment",
        "reconstruct",
        "vit",
        "vit-small",
        "cpu",
    ),
    *("[digits]", "random", "block", "224x", "16x16", "[16,16]", "[16,16,16]", "[-1,0]", "[1e9,1e9]", "resnet18"),
]
VALUES = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.5, 1e308, float("nan"), float("inf"), "", "x"),
    *("\0", "\ud800", "é", "x" * 5000, "1e999", [], [1], [[1]], [None], {}, {"name": 1}, {"name": "vit"}, {"": 1}),
    *((), (1, 2), b"x", {1: 2}, {None: 1}, {(1, 2): 3}, {1.5: {2: 3}}, {"a.b": {"c": 1}}, {"..": 1}, {"a": {}}),
]
SPOILS = ["", "\0", ":", ",", "[", "}", "&a", "*a", "\n", "9", "é"]
SECTIONS = [
    *FinetuneSpec.model_fields,
    *("sweep", "about", "pretrain", "finetune", "finetune-segment", "grid", "arms", "seeds"),
]


def text(draw: random.Random) -> str:
    """Return a word, some of them together, or one that is cut, doubled or spoilt."""
    word = draw.choice(SCALARS)
    kind = draw.randrange(6)
    if kind == 0:
        return word + draw.choice(SCALARS)
    if kind == 1:
        return f"[{word}, {draw.choice(SCALARS)}]"
    if kind == 2:
        return f"{{{draw.choice(KEYS)}: {word}}}"
    if kind == 3:
        return spoilt(word, draw)
    return word


def spoilt(word: str, draw: random.Random) -> str:
    """Return a text with a few letters lost, doubled, or replaced."""
    letters = list(word)
    for _ in range(draw.randrange(1, 4)):
        place = draw.randrange(len(letters) + 1)
        letters[place : place + draw.randrange(3)] = draw.choice(SPOILS)
    return "".join(letters)


def assignment(draw: random.Random, keys: list[str]) -> str:
    """Return an argument of --set or --grid: half of them are known `keys` and one odd value."""
    if draw.random() < 0.5:
        return f"{draw.choice(keys)}={draw.choice(SCALARS)}"
    whole = draw.choice(KEYS) + draw.choice(["=", "=", "=", "=", ",", "", ": ", "=="]) + text(draw)
    return spoilt(whole, draw) if draw.random() < 0.2 else whole


def tree(draw: random.Random, depth: int = 3) -> Any:
    """Return nested settings, or something else where those are wanted."""
    if depth == 0 or draw.random() < 0.3:
        return draw.choice(VALUES)
    return {draw.choice([*KEYS, *SECTIONS]): tree(draw, depth - 1) for _ in range(draw.randrange(4))}


def document(draw: random.Random, originals: list[str]) -> str:
    """Return the text of a spec, recipe or sweep in which something is odd."""
    kind = draw.randrange(4)
    if kind == 0:
        lines = draw.choice(originals).splitlines()
        for _ in range(draw.randrange(1, 4)):
            place = draw.randrange(len(lines))
            lines[place : place + draw.randrange(3)] = [" " * draw.randrange(5) + spoilt(draw.choice(lines), draw)]
        return "\n".join(lines)
    if kind == 1:
        pairs = [(draw.choice([*KEYS, *SECTIONS]), text(draw)) for _ in range(draw.randrange(1, 7))]
        return "\n".join(f"{' ' * draw.randrange(0, 5, 2)}{key}: {value}" for key, value in pairs)
    if kind == 2:
        return json.dumps(tree(draw), default=str, skipkeys=True)
    return spoilt(draw.choice(originals)[:2000], draw)
