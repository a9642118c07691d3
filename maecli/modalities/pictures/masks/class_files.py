"""The names and colours of the classes that masks show: `classes.txt`, CVAT's `labelmap.txt`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maecli.errors import DataError
from maecli.modalities.pictures.masks.code import (
    VOID,
    VOID_COLOUR,
    WIDE_VOID,
    WIDE_VOID_COLOUR,
    Palette,
    class_palette,
    void_of,
)

CLASSES_FILE, LABELMAP_FILE = CLASS_FILES = "classes.txt", "labelmap.txt"
MAX_CHARACTERS = 2**22
"""Of the names of up to 65,535 classes."""
VOIDS = frozenset({"void", "ignore", "ignored", "ignore_index", "unlabeled", "unlabelled", "border", "boundary"})
"""Names by which the last of 256 numbers is known to be what is not judged, and no class; in lower case."""
BACKGROUNDS = frozenset({"background", "bg", "_background_", "__background__"})
"""Names by which a class is known to be no object; in lower case."""


@dataclass(frozen=True)
class ClassForm:
    """One way to write a class in a line of its own."""

    title: str
    example: str
    sentence: str


CLASS_FORMS = (
    ClassForm("names", "background", "the first line names the pixels of number 0, the next those of 1, and so on"),
    ClassForm(
        "numbered",
        "0 background",
        "all lines begin with their number, from 0 without a gap; a colon, comma, tab or point may follow it",
    ),
    ClassForm("with a colour", "background 0 0 0", "red, green and blue from 0 to 255, also before the name"),
    ClassForm("with a colour as in HTML", "cat #ff0000", "on any line; classes without one have VOC's"),
    ClassForm("columns", "cat,255,0,0", "with commas or tabs, below a header such as name,r,g,b or without one"),
    ClassForm("CVAT", "cat:255,0,0::", "labelmap.txt: label, colour, parts and actions"),
    ClassForm(
        "what is not judged",
        "255 void 255 255 255",
        "a line numbered 255 (65535 where class numbers go beyond 254) gives void another colour",
    ),
)
"""How the lines of a list of classes may be written."""

WHAT = "write one class name per line: the first line names the pixels of number 0, the next those of 1, and so on"
_HEADER = frozenset(
    {
        *("id", "index", "number", "num", "name", "class", "class_name", "label", "label_name", "category"),
        *("r", "g", "b", "red", "green", "blue", "color", "colour", "hex", "rgb"),
    }
)
_CVAT = re.compile(r"\s*([^:]+?)\s*:\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*:[^:]*:[^:]*\Z")
_CVAT_HEADER = re.compile(r"#\s*label\s*:", re.IGNORECASE)
_HEX = re.compile(r"(.*\S)[\s,;:]+#([0-9a-fA-F]{6})\Z")
_TRIPLE = r"[(\[]?(\d{1,3})\s*[\s,;]\s*(\d{1,3})\s*[\s,;]\s*(\d{1,3})[)\]]?"
_COLOUR_LAST = re.compile(rf"(.*?[^\s,;:])\s*[\s,;:]\s*{_TRIPLE}\Z")
_COLOUR_FIRST = re.compile(rf"(){_TRIPLE}\s*[\s,;:]\s*(.*[^\d\s].*)\Z")
_NUMBER_AND_COLOUR = re.compile(rf"(\d{{1,5}}\s*[\s,;:]\s*){_TRIPLE}\s*[\s,;:]\s*(.*[^\d\s].*)\Z")
_NUMBERED = re.compile(r"(\d{1,5})(?:\s*[:,;.)=]\s*|\s+-\s+|\s+)(\S.*)\Z")

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ClassList:
    """The classes of masks: `names` by number, and the colour of each."""

    names: tuple[str, ...]
    palette: Palette
    own_colours: bool
    """Whether the file gives any colour; else all are VOC's."""
    void_colour: Colour = VOID_COLOUR
    file: str = CLASSES_FILE

    @property
    def void(self) -> int:
        """The number of what is not judged."""
        return void_of(len(self.names))

    @property
    def background(self) -> int | None:
        return background_of(self.names)


@dataclass
class _Line:
    number: int
    """In the file, from 1."""
    name: str
    colour: Colour | None = None
    of: int | None = None
    """The number of the class, if it is given."""


def background_of(names: Sequence[str]) -> int | None:
    """Return the first class that is named as the background, None if none is."""
    return next((i for i, name in enumerate(names) if name.lower() in BACKGROUNDS), None)


def read_classes(root: Path) -> ClassList:
    """Return what a folder's `classes.txt`, or else its `labelmap.txt`, says. Raises `DataError` naming the line."""
    path, labelmap = root / CLASSES_FILE, root / LABELMAP_FILE
    if not labelmap.exists():
        return read_class_file(path)
    if not path.exists():
        return read_class_file(labelmap)
    classes, other = read_class_file(path), read_class_file(labelmap)
    if set(classes.names) != set(other.names):
        one = next(iter(sorted({*classes.names} ^ {*other.names})))
        raise DataError(f"{path} and {labelmap} name other classes: only one of them has {one!r}; remove one of them")
    colours = dict(zip(other.names, other.palette, strict=True))
    if classes.own_colours:
        return classes
    palette = tuple(colours[name] for name in classes.names)
    return ClassList(classes.names, palette, True, other.void_colour)


def read_class_file(path: Path) -> ClassList:
    """Return what one list of classes says. Raises `DataError` naming the line."""
    lines = _lines(path)
    if lines and (_CVAT_HEADER.match(lines[0].name) or all(map(_is_cvat, lines))):
        lines = [_of_cvat(path, line) for line in lines if line.name and not line.name.startswith("#")]
        lines, void = _without_void(lines, {VOID_COLOUR})
    else:
        lines = _without_header(lines)
        lines, void = _numbered(path, _coloured(path, lines))
    if not lines:
        raise DataError(f"{path} is empty; {WHAT}")
    if len(lines) > WIDE_VOID:
        raise DataError(
            f"{path} has {len(lines):,} lines; a mask of 16 bits holds up to {WIDE_VOID:,} classes, and {WIDE_VOID} "
            "means not judged"
        )
    _check_names(path, lines)
    usual = VOID_COLOUR if void_of(len(lines)) == VOID else WIDE_VOID_COLOUR
    void_colour = void.colour if void is not None and void.colour is not None else usual
    palette = _palette(path, lines, void_colour)
    own = any(line.colour is not None for line in lines)
    return ClassList(tuple(line.name for line in lines), palette, own, void_colour, path.name)


def _lines(path: Path) -> list[_Line]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; {WHAT}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; save it in UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if len(text) > MAX_CHARACTERS:
        raise DataError(f"{path} has more than {MAX_CHARACTERS:,} characters; {WHAT}")
    return [_Line(number, line.strip()) for number, line in enumerate(text.rstrip().splitlines(), 1)]


def _is_cvat(line: _Line) -> bool:
    return _CVAT.match(line.name) is not None


def _of_cvat(path: Path, line: _Line) -> _Line:
    found = _CVAT.match(line.name)
    if found is None:
        raise DataError(f"{path}, line {line.number}: not of the form label:red,green,blue:parts:actions")
    name, *colour = found.groups()
    return _Line(line.number, name, _colour(path, line, colour))


def _without_header(lines: list[_Line]) -> list[_Line]:
    """Leave out a first line of names of columns."""
    cells = [cell.strip().lower() for cell in re.split(r"[,;\t]", lines[0].name)] if lines else []
    return lines[1:] if len(cells) > 1 and _HEADER.issuperset(cells) else lines


def _coloured(path: Path, lines: list[_Line]) -> list[_Line]:
    """Take the colours from the lines: behind names from any, before them from all that have none behind."""
    for line in lines:
        if found := _HEX.match(line.name):
            line.name, line.colour = found[1], tuple(bytes.fromhex(found[2]))  # type: ignore[assignment]
    for line in lines:
        if line.colour is None and (found := _COLOUR_LAST.match(line.name)):
            line.name, line.colour = found[1], _colour(path, line, found.groups()[1:])
    rest = [line for line in lines if line.name and line.colour is None]
    for form in (_NUMBER_AND_COLOUR, _COLOUR_FIRST):
        matches = [form.match(line.name) for line in rest]
        if rest and all(matches):
            for line, found in zip(rest, matches, strict=True):
                number, *colour, name = found.groups() if found is not None else ()
                line.name, line.colour = f"{number}{name}", _colour(path, line, colour)
            break
    return lines


def _colour(path: Path, line: _Line, values: Sequence[str]) -> Colour:
    red, green, blue = map(int, values)
    if max(red, green, blue) > 255:
        raise DataError(
            f"{path}, line {line.number}: a colour is red, green and blue from 0 to 255, not {', '.join(values)}"
        )
    return red, green, blue


def _numbered(path: Path, lines: list[_Line]) -> tuple[list[_Line], _Line | None]:
    """Take the numbers from lines that all begin with one, sort them, and keep apart what is not judged."""
    matches = [_NUMBERED.match(line.name) for line in lines]
    if not lines or not all(matches):
        return _without_void(lines, set())
    for line, found in zip(lines, matches, strict=True):
        if found is not None:
            line.of, line.name = int(found[1]), found[2].strip()
    number_of_void = _number_of_void(lines)
    void = next((line for line in lines if line.of == number_of_void), None)
    lines = sorted((line for line in lines if line is not void), key=lambda line: line.of or 0)
    for number, line in enumerate(lines):
        if line.of != number:
            raise DataError(_misnumbered(path, lines, number))
    return lines, void


def _number_of_void(lines: Sequence[_Line]) -> int:
    """Return the number that is not judged: 255, unless there are so many classes that it is one of them."""
    names = {line.of: line.name for line in lines}
    beyond = any(VOID < number < WIDE_VOID for number in names if number is not None)
    is_class = len(names) > VOID and names.get(VOID, "void").lower() not in VOIDS
    return WIDE_VOID if beyond or is_class else VOID


def _misnumbered(path: Path, lines: Sequence[_Line], number: int) -> str:
    line = lines[number]
    if number and line.of == lines[number - 1].of:
        return f"{path}, line {line.number}: the number {line.of} stands in line {lines[number - 1].number} already"
    return (
        f"{path}, line {line.number}: {line.of} {line.name!r} follows no class {number}: all lines begin with a "
        f"number, and class numbers run from 0 without a gap; name the number {number}, too, or, if these are names "
        f"that begin with numbers, number them: 0: {lines[0].of} {lines[0].name}"
    )


def _without_void(lines: list[_Line], colours: set[Colour]) -> tuple[list[_Line], _Line | None]:
    """Keep apart the line of what is not judged, which is known by its colour."""
    void = next((line for line in lines if line.colour in colours), None)
    return [line for line in lines if line is not void], void


def _check_names(path: Path, lines: Sequence[_Line]) -> None:
    first: dict[str, int] = {}
    for number, line in enumerate(lines):
        if not line.name:
            raise DataError(f"{path}, line {line.number}: no name for the class {number}; {WHAT}")
        if line.name in first:
            raise DataError(f"{path}, line {line.number}: {line.name!r} is class {first[line.name]} already")
        first[line.name] = number


def _palette(path: Path, lines: Sequence[_Line], void_colour: Colour) -> Palette:
    """Return the colour of each class: its own, else VOC's."""
    palette = tuple(line.colour or usual for line, usual in zip(lines, class_palette(len(lines)), strict=True))
    first: dict[Colour, int] = {void_colour: -1}
    for number, (line, colour) in enumerate(zip(lines, palette, strict=True)):
        if colour in first:
            other = first[colour]
            of = f"class {other}, {lines[other].name!r}" if other >= 0 else "what is not judged"
            raise DataError(
                f"{path}, line {line.number}: {line.name!r} has the colour {colour} of {of}; give each class a colour "
                "of its own"
            )
        first[colour] = number
    return palette
