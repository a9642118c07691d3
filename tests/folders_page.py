"""The page on folders: layouts, formats and tables that are understood, made from the tables of the code.

python tests/folders_page.py > docs/folders.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from maecli_plugins.datasets.folder.dataset import Folder

from maecli.api import DatasetOptions
from maecli.data.classes.label_columns import COLUMNS
from maecli.data.classes.label_files import LABELS_FILES, SPLIT_WORDS
from maecli.data.files.not_data import NEVER_DATA, OUTPUTS, STREAMS
from maecli.data.files.unread import ARCHIVES
from maecli.layouts import words
from maecli.layouts.described import LAYOUTS
from maecli.layouts.layout import READINGS
from maecli.modalities.modality import Modality
from maecli.modalities.pictures.codecs.formats import PICTURE_FORMATS
from maecli.modalities.pictures.masks.class_files import BACKGROUNDS, CLASS_FILES, CLASS_FORMS
from maecli.modalities.pictures.masks.files import MASK_FORMS
from maecli.modalities.pictures.modality import Pictures
from maecli.modalities.series.modality import Series
from maecli.modalities.tables.modality import Tables
from maecli.modalities.volumes.modality import Volumes

COMMAND = "uv run python tests/folders_page.py > docs/folders.md"

INTRODUCTION = f"""\
<!-- Made from the code by `{COMMAND}`; not written by hand. -->
# Folders

What `--dataset folder --root DIR`, `mae infer DIR` and `mae embed DIR` make of a folder: how it may be laid out,
which files are pictures, which are none, and the tables beside them. Nothing is moved or renamed.

One line before training says what was read, one what was converted and one what was left out, with counts; `mae eda`,
`mae eval` and `--dry-run` say the same (in JSON as `reading`, `converted`, `left_out`). `mae infer` lists in
`skipped.csv` each file that is like a picture and was not read, with the reason, and counts the others by kind."""

LAYOUT_OPTION = """\
What folders and names mean is read from all of them together. Where two readings are as likely, both are named and
nothing is read until one is chosen by `--set dataset.layout=…`, which also overrules what was read:"""

IMAGENET = """\
Where the folders of classes are called as ImageNet's (`n01440764`), pictures that no folder labels, such as those of a
flat `val/`, have the classes that `LOC_val_solution.csv` gives, and `LOC_synset_mapping.txt` makes `n01440764 tench` of
a class. Both lie in the folder, in one around all pictures, or up to three folders above, as beside
`ILSVRC/Data/CLS-LOC`. `--set "dataset.split_folders={val: test}"` measures on the official validation as test."""

CONTENT = """\
A picture is read as what its first bytes say, whatever its name. A file whose name has no suffix, or one that says
nothing (`x.dat`, `x.jpg.1`, `x.2020`), is a picture if it begins as one."""


def page() -> str:
    """Return the page as Markdown."""
    sections = (_layouts, _no_data, _pictures, _masks, _tables, _cuts, _options)
    return "\n\n".join([INTRODUCTION, *(part for section in sections for part in section())]) + "\n"


def _layouts() -> Iterator[str]:
    yield "## Layouts"
    for layout in LAYOUTS:
        yield f"### {layout.title}"
        yield "```text\n" + "\n".join(layout.tree) + "\n```"
        yield f"{layout.words}\n\nSaid before training: {layout.reading}"
    yield "## Where a folder can be read in two ways"
    yield LAYOUT_OPTION
    yield _table(("`dataset.layout`", "reading"), ((f"`{name}`", meaning) for name, meaning in READINGS.items()))
    yield "## Names of folders"
    yield "In capitals or not, with numbers, years and words such as `set` or `data` (`training_set`, `train2017`)."
    splits: dict[str, list[str]] = {}
    for word, split in words.SPLITS.items():
        splits.setdefault(split, []).append(word)
    yield _table(
        ("a folder of", "is called"),
        [
            *((f"the split {split}", _code(names)) for split, names in splits.items()),
            ("pictures", _code(sorted(words.IMAGES))),
            ("pictures, beside one of masks", _code(sorted(words.INPUTS))),
            ("masks", _code(sorted(words.MASKS))),
            ("pictures without labels", _code(sorted(words.POOL))),
            ("pictures without labels, beside splits", _code(sorted(words.EXTRA))),
        ],
    )


def _no_data() -> Iterator[str]:
    yield "## What is no data"
    yield (
        "Never read below a folder, whatever it holds. Pictures in it are counted on the line of what was left out. "
        "A folder that you name yourself is read, whatever it is called. Folders called `thumbs`, `runs` or `cache` "
        "may be classes, and are read."
    )
    rows = [("names that begin with a dot", "hidden")]
    for names in NEVER_DATA:
        parts = [_code(f"{name}/" for name in names.folders), _code(_printable(names.files))]
        parts.append(f"a folder that holds {' or '.join(f'`{mark}`' for mark in names.marks)}" if names.marks else "")
        rows.append((", ".join(filter(None, parts)), names.why))
    rows.append((f"names that end in {_code(STREAMS)}", "notes of a system on a file"))
    rows += [
        (f"a folder whose `{outputs.file}` says that it is {outputs.what}", "written by mae") for outputs in OUTPUTS
    ]
    rows.append(("features of `mae embed`, beside which lies their `.csv`", "written by mae"))
    yield _table(("what", "why"), rows)
    yield (
        "What mae wrote is known by its ledger (`.mae/ledger`), file by file, and by its own files where a zip file "
        "or a synchronised folder lost what is hidden."
    )


def _pictures() -> Iterator[str]:
    yield "## Formats of pictures"
    yield CONTENT
    yield _table(
        ("format", "suffixes", "what is read"),
        (
            (kind.title, _code(kind.suffixes), "; ".join(filter(None, [kind.note, _extra(kind.extra)])))
            for kind in PICTURE_FORMATS
        ),
    )
    yield "## What is not read"
    yield (
        "Files of these names are like samples and are not read: `mae infer` and `mae embed` list each in "
        "`skipped.csv` and exit with 3, unless another file is read in its place; training counts them. Other files "
        "are counted by kind. Archives "
        f"({_code(ARCHIVES)}) are not looked into: unpack them."
    )
    kinds: Sequence[Modality] = (Pictures(), Series(), Volumes(), Tables())
    shared = Modality.unread
    rows = [
        (f"`{modality.name}`", unread.what, _code(unread.suffixes), unread.way_out)
        for modality in kinds
        for unread in modality.unread
        if unread not in shared
    ]
    rows += [
        ("all", unread.what, f"{_code(unread.suffixes)} behind a sample's suffix", unread.way_out) for unread in shared
    ]
    yield _table(("modality", "what", "names end in", "what to do"), rows)


def _extra(extra: str) -> str:
    return f"needs the extra `{extra}`" if extra else ""


MASKS = """\
A mask has the size of its upright picture. Where the numbers and the colours of a palette both name classes, and not
the same, all masks together tell which counts; where they do not, `--set dataset.mask_pixels=numbers` or `=colours`
does. Masks of 0 and 255 are two classes with `--set dataset.mask_foreground=255`."""

CLASS_LISTS = f"""\
{" or ".join(f"`{name}`" for name in CLASS_FILES)} beside them names the classes, one in each line. Colours that it
gives are those by which masks are read, and in which they are drawn; without them the colours are VOC's. A class named
{", ".join(f"`{name}`" for name in sorted(BACKGROUNDS))} is the background."""


CUTS = """\
Val and test that neither folders nor a table give are cut from train, by a fixed seed and the names of the files: not
by the run's seed, so that two runs are compared on the same pictures. Each has its share (`dataset.val_share`,
`dataset.test_share`) of every class. Where there are masks, the classes that they show are spread in the same way, the
rarest first (iterative stratification), and a class in few masks is in train before it is in val or test. Every mask
is read for that, once in a process: hundreds of masks of photographs in a second, and no more than 2³¹ pixels in all,
beyond which masks count by being there. Samples of one `group` stay together.

A run keeps in `splits.csv` which file was in which split when it began, and goes on and is measured with that."""


def _masks() -> Iterator[str]:
    yield "## Masks"
    yield MASKS
    yield _table(("stored as", "what is read"), ((form.title, form.sentence) for form in MASK_FORMS))
    yield "## Lists of classes of masks"
    yield CLASS_LISTS
    yield _table(("lines", "such as", "meaning"), ((f.title, f"`{f.example}`", f.sentence) for f in CLASS_FORMS))


def _tables() -> Iterator[str]:
    yield "## Tables of labels"
    yield (
        f"{' or '.join(f'`{name}`' for name in LABELS_FILES)}, in capitals or not, in the folder or in one around all "
        "pictures; separated by commas, semicolons or tabs. What it says goes before what folders are called."
    )
    yield _table(
        ("column", "is called", "what it says"),
        ((f"`{column.meaning}`", _code(column.names), column.sentence) for column in COLUMNS),
    )
    splits: dict[str, list[str]] = {}
    for word, split in SPLIT_WORDS.items():
        splits.setdefault(split, []).append(word)
    yield _table(("a cell of `split`", "means"), ((_code(names), split) for split, names in splits.items()))
    yield "### ImageNet's own tables"
    yield IMAGENET


def _cuts() -> Iterator[str]:
    yield "## Splits that are cut"
    yield CUTS


def _options() -> Iterator[str]:
    yield "## Options"
    yield "What was read otherwise than it was meant is put right by `--set dataset.NAME=VALUE`."
    fields = Folder.Options.model_fields.items()
    yield _table(
        ("name", "default", "what it says"),
        (
            (f"`{name}`", f"`{field.default}`", (field.description or "").partition(". ")[0])
            for name, field in fields
            if name not in DatasetOptions.model_fields
        ),
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _printable(names: Iterable[str]) -> Iterator[str]:
    """Yield names without the line break of macOS's `Icon`."""
    yield from (name.replace("\r", "␍") for name in names)


if __name__ == "__main__":
    print(page(), end="")
