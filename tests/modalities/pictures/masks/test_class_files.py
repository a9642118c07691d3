from __future__ import annotations

import pytest

from maecli.api import DataError
from maecli.api.pictures import VOID_COLOUR, class_palette
from maecli.modalities.pictures.masks.class_files import (
    CLASS_FORMS,
    background_of,
    read_class_file,
    read_classes,
)

NAMES = ("background", "grey cat", "dog")
COLOURS = ((0, 0, 0), (255, 0, 0), (0, 255, 7))


def read(tmp_path, text, name="classes.txt"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_class_file(path)


def refusal(tmp_path, text) -> str:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "classes.txt"))
    return str(caught.value).removeprefix(str(tmp_path / "classes.txt"))


def test_class_names_are_numbered_by_their_lines(tmp_path):
    classes = read(tmp_path, "\ufeffbackground\r\n  grey cat \r\n#dog\r\n\r\n")
    assert classes.names == ("background", "grey cat", "#dog")
    assert (classes.palette, classes.own_colours, classes.void_colour) == (class_palette(3), False, VOID_COLOUR)


@pytest.mark.parametrize(
    "lines",
    [
        "0 background\n1 grey cat\n2 dog",
        "0: background\n1: grey cat\n2: dog",
        "0:background\n1:grey cat\n2:dog\n\n",
        "0,background\n1,grey cat\n2,dog",
        "0\tbackground\n1\tgrey cat\n2\tdog",
        "0. background\n1. grey cat\n2. dog",
        "0) background\n1) grey cat\n2) dog",
        "0 - background\n1 - grey cat\n2 - dog",
        "0=background\n1=grey cat\n2=dog",
        "2 dog\n0 background\n1 grey cat",
        "id,name\n0,background\n1,grey cat\n2,dog",
        "0 background\n1 grey cat\n2 dog\n255 void",
    ],
)
def test_numbers_before_all_names_are_those_of_the_classes(tmp_path, lines):
    classes = read(tmp_path, lines)
    assert classes.names == NAMES
    assert not classes.own_colours


@pytest.mark.parametrize(
    "lines",
    [
        "background 0 0 0\ngrey cat 255 0 0\ndog 0 255 7",
        "0 background 0 0 0\n1 grey cat 255 0 0\n2 dog 0 255 7",
        "background,0,0,0\ngrey cat,255,0,0\ndog,0,255,7",
        "name,r,g,b\nbackground,0,0,0\ngrey cat,255,0,0\ndog,0,255,7",
        "id;name;r;g;b\n0;background;0;0;0\n1;grey cat;255;0;0\n2;dog;0;255;7",
        "background: 0, 0, 0\ngrey cat: 255, 0, 0\ndog: 0, 255, 7",
        "background (0, 0, 0)\ngrey cat (255, 0, 0)\ndog (0, 255, 7)",
        "0 0 0\tbackground\n255 0 0\tgrey cat\n0 255 7\tdog",
        "0,0,0,background\n255,0,0,grey cat\n0,255,7,dog",
        "0 0 0 0 background\n1 255 0 0 grey cat\n2 0 255 7 dog",
        "0;0;0;0;background\n1;255;0;0;grey cat\n2;0;255;7;dog",
        "background #000000\ngrey cat #FF0000\ndog #00ff07",
        "0: background #000000\n1: grey cat #FF0000\n2: dog #00ff07",
        "background\ngrey cat 255 0 0\ndog #00ff07",
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ngrey cat:255,0,0::\ndog:0,255,7:tail,paw:run\n",
        "# label : color (RGB) : 'body' parts : actions\nbackground:0,0,0::\ngrey cat:255,0,0::\ndog:0,255,7::\n",
        "background:0,0,0::\ngrey cat:255,0,0::\ndog:0,255,7::\nignored:224,224,192::\n",
    ],
)
def test_lines_may_carry_the_colours_of_the_classes(tmp_path, lines):
    classes = read(tmp_path, lines)
    assert (classes.names, classes.palette, classes.own_colours) == (NAMES, COLOURS, True)
    assert classes.void_colour == VOID_COLOUR


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize(("num", "void"), [(255, 255), (256, 65_535), (300, 65_535)])
def test_so_many_classes_have_colours_of_their_own_beside_a_number_of_void(tmp_path, num, void, numbered):
    classes = read(tmp_path, "".join(f"{i if numbered else ''} kind-{i}\n" for i in range(num)))
    assert classes.names == tuple(f"kind-{i}" for i in range(num))
    assert classes.void == void
    assert len({*classes.palette, classes.void_colour}) == num + 1


@pytest.mark.parametrize(("num", "number"), [(255, 255), (300, 65_535)])
def test_of_many_numbered_lines_the_one_that_is_void_is_no_class(tmp_path, num, number):
    classes = read(tmp_path, "".join(f"{i} kind-{i}\n" for i in range(num)) + f"{number} void 1 2 3\n")
    assert (len(classes.names), classes.void, classes.void_colour) == (num, number, (1, 2, 3))


def test_a_line_numbered_255_gives_void_a_colour(tmp_path):
    classes = read(tmp_path, "0 background 0 0 0\n1 cat 9 9 9\n255 void 255 255 255\n")
    assert (classes.names, classes.void_colour) == (("background", "cat"), (255, 255, 255))


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("3 series\n2 door\nvan", ("3 series", "2 door", "van")),
        ("background\n2 door\n3 door", ("background", "2 door", "3 door")),
        ("0: 2 door\n1: 4 door", ("2 door", "4 door")),
        ("0\n1\n2", ("0", "1", "2")),
        ("model 3\nmodel 5 6", ("model 3", "model 5 6")),
        ("7up\n4x4", ("7up", "4x4")),
    ],
)
def test_numbers_in_names_stay(tmp_path, lines, names):
    assert read(tmp_path, lines).names == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n \n", " is empty; write one class name per line"),
        ("a\n\nb\n", ", line 2: no name for the class 1; write one class name per line"),
        ("a\nb\na\n", ", line 3: 'a' is class 0 already"),
        ("0 a\n1 a\n", ", line 2: 'a' is class 0 already"),
        ("".join(f"{i}\n" for i in range(65_536)), " has 65,536 lines; a mask of 16 bits holds up to 65,535 classes"),
        ("größe".encode("latin-1"), ": not UTF-8 text; save it in UTF-8"),
        (
            "1 cat\n2 dog",
            ", line 1: 1 'cat' follows no class 0: all lines begin with a number,",
        ),
        ("0 cat\n1 dog\n5 emu", ", line 3: 5 'emu' follows no class 2: all lines begin with a number"),
        ("0 cat\n1 dog\n1 emu", ", line 3: the number 1 stands in line 2 already"),
        ("2 door\n4 door", ", line 1: 2 'door' follows no class 0"),
        ("a 0 0 0\nb 300 0 0", ", line 2: a colour is red, green and blue from 0 to 255, not 300, 0, 0"),
        ("a #000000\nb #000000", ", line 2: 'b' has the colour (0, 0, 0) of class 0, 'a'; give each class a colour"),
        ("a\nb\nc 128 0 0", ", line 3: 'c' has the colour (128, 0, 0) of class 1, 'b'; give each class a colour"),
        ("a\nb 224 224 192", ", line 2: 'b' has the colour (224, 224, 192) of what is not judged"),
        ("# label:color_rgb:parts:actions\na:0,0,0::\nb 1 2 3\n", ", line 3: not of the form label:red,green,blue:"),
    ],
)
def test_a_bad_list_of_classes_says_what_to_write(tmp_path, text, words):
    assert refusal(tmp_path, text).startswith(words)


def test_names_that_begin_with_numbers_have_a_way_out(tmp_path):
    expected = "name the number 0, too, or, if these are names that begin with numbers, number them: 0: 2 door"
    assert refusal(tmp_path, "2 door\n4 door").endswith(expected)


def test_a_list_that_is_missing_or_a_folder_or_too_long_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"classes\.txt is missing; write one class name per line: the first line names"
    ):
        read_classes(tmp_path)
    with pytest.raises(DataError, match=r"cannot be read \(.*[Ii]s a directory"):
        read_class_file(tmp_path)
    (tmp_path / "classes.txt").write_text("a" * (2**22 + 1))
    with pytest.raises(DataError, match="has more than 4,194,304 characters"):
        read_classes(tmp_path)


def test_a_labelmap_serves_alone_or_gives_its_colours_to_the_same_names(tmp_path):
    labelmap = "# label:color_rgb:parts:actions\ndog:1,2,3::\nbackground:0,0,0::\n"
    (tmp_path / "labelmap.txt").write_text(labelmap)
    alone = read_classes(tmp_path)
    assert (alone.names, alone.file, alone.background) == (("dog", "background"), "labelmap.txt", 1)
    (tmp_path / "classes.txt").write_text("background\ndog\n")
    both = read_classes(tmp_path)
    assert (both.names, both.palette, both.own_colours) == (("background", "dog"), ((0, 0, 0), (1, 2, 3)), True)
    (tmp_path / "classes.txt").write_text("background\ncat\n")
    with pytest.raises(DataError, match="name other classes: only one of them has 'cat'; remove one of them"):
        read_classes(tmp_path)


@pytest.mark.parametrize("name", ["background", "Background", "BG", "_background_"])
def test_the_class_that_is_called_background_is_it(name):
    assert background_of((name, "cat")) == 0
    assert background_of(("cat", name)) == 1
    assert background_of(("cat", "dog")) is None
    assert background_of(()) is None


@pytest.mark.parametrize("form", CLASS_FORMS, ids=lambda form: form.title)
def test_the_examples_of_the_forms_are_read(tmp_path, form):
    void = form.example.startswith("255")
    classes = read(tmp_path, f"0 background\n{form.example}" if void else form.example)
    assert classes.names == (("background",) if "background" in form.example or void else ("cat",))
